// Faults that are more than a different answer: closed doors, leaking memory, a full disk, the end of the process.
package main

import (
	"errors"
	"runtime/debug"
	"time"
)

const (
	leakStep    = 100 * time.Millisecond
	defaultRate = 16
	mebibyte    = 1 << 20
	pageSize    = 4096
	// crashDelay lets the answer to the request for the crash get out.
	crashDelay = 20 * time.Millisecond
)

// effects is used under the lock of faults.
type effects struct {
	doors   []*gate
	exit    func(code int)
	pause   func()
	scratch *scratch
	stop    chan struct{} // of what goes on beside the service: a leak, a hog
	stopped chan struct{}
}

func (e *effects) begin(wanted *fault) error {
	if wanted.Keep {
		if err := e.scratch.keep(wanted); err != nil {
			return err
		}
	}
	switch wanted.Kind {
	case kindRefuse:
		for _, door := range e.doors {
			door.shut()
		}
		return nil
	case kindLeak:
		e.leak(wanted.Rate)
	case kindCrash:
		e.crash(wanted.ExitCode)
	case kindPause:
		time.AfterFunc(crashDelay, e.pause)
	case kindHog:
		e.beside(func(stop, done chan struct{}) { hogUntil(stop, done, wanted.Address, wanted.Count) })
	case kindFill:
		if err := e.scratch.fill(); err != nil {
			return err
		}
	}
	return e.open()
}

// open makes the doors accept again; those that do already stay as they are.
func (e *effects) open() error {
	var failures []error
	for _, door := range e.doors {
		failures = append(failures, door.open())
	}
	return errors.Join(failures...)
}

func (e *effects) end() {
	e.scratch.clear()
	if e.stop == nil {
		return
	}
	close(e.stop)
	<-e.stopped
	e.stop, e.stopped = nil, nil
	debug.FreeOSMemory()
}

func (e *effects) leak(rate int) {
	if rate == 0 {
		rate = defaultRate
	}
	e.beside(func(stop, done chan struct{}) { leakUntil(stop, done, rate) })
}

func (e *effects) beside(do func(stop, done chan struct{})) {
	e.stop, e.stopped = make(chan struct{}), make(chan struct{})
	go do(e.stop, e.stopped)
}

// leakUntil touches each page, since memory that was never written does not count.
func leakUntil(stop <-chan struct{}, done chan<- struct{}, rate int) {
	defer close(done)
	ticker := time.NewTicker(leakStep)
	defer ticker.Stop()
	var kept [][]byte
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		block := make([]byte, rate*mebibyte/int(time.Second/leakStep))
		for offset := 0; offset < len(block); offset += pageSize {
			block[offset] = 1
		}
		kept = append(kept, block)
	}
}

func (e *effects) crash(code *int) {
	chosen := 1
	if code != nil {
		chosen = *code
	}
	time.AfterFunc(crashDelay, func() { e.exit(chosen) })
}
