// What lies behind the service: another one that it needs, and connections that it never gives back.
package main

import (
	"net"
	"sync"
	"time"
)

const (
	mostHogged  = 1000
	dialTimeout = 500 * time.Millisecond
	dialAgain   = 200 * time.Millisecond
)

// upstream is the address of a service that users' requests need; "" is none.
type upstream string

func (u upstream) check() error {
	if u == "" {
		return nil
	}
	connection, err := net.DialTimeout("tcp", string(u), dialTimeout)
	if err != nil {
		return err
	}
	return connection.Close()
}

// hogUntil keeps so many connections open, and opens those again that the other side cuts.
func hogUntil(stop, done chan struct{}, address string, count int) {
	defer close(done)
	var group sync.WaitGroup
	for range count {
		group.Add(1)
		go func() {
			defer group.Done()
			hogOne(stop, address)
		}()
	}
	group.Wait()
}

func hogOne(stop chan struct{}, address string) {
	for {
		connection, err := net.DialTimeout("tcp", address, dialTimeout)
		if err == nil {
			go func() { <-stop; connection.Close() }()
			_, _ = connection.Read(make([]byte, 1)) // nothing comes until one side ends it
		}
		select {
		case <-stop:
			return
		case <-time.After(dialAgain):
		}
	}
}
