// A listener that can be closed and opened again under a running server.
package main

import (
	"net"
	"sync"
)

// gate is a net.Listener. Shut, its port refuses connections, and those that were open are cut; its server notices nothing.
type gate struct {
	address net.Addr

	mutex       sync.Mutex
	changed     *sync.Cond
	listener    net.Listener // nil while shut
	most        int          // connections at the same time; 0 is any number
	isClosed    bool
	connections map[*gatedConnection]struct{}
}

func newGate(address string) (*gate, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	g := &gate{address: listener.Addr(), listener: listener, connections: map[*gatedConnection]struct{}{}}
	g.changed = sync.NewCond(&g.mutex)
	return g, nil
}

func (g *gate) Addr() net.Addr { return g.address }

// Accept waits while the gate is shut; it fails only after Close.
func (g *gate) Accept() (net.Conn, error) {
	for {
		listener := g.awaitListener()
		if listener == nil {
			return nil, net.ErrClosed
		}
		connection, err := listener.Accept()
		if err == nil {
			if tracked := g.track(connection, listener); tracked != nil {
				return tracked, nil
			}
			connection.Close()
			continue
		}
		if g.isCurrent(listener) {
			return nil, err
		}
	}
}

func (g *gate) awaitListener() net.Listener {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	for g.listener == nil && !g.isClosed {
		g.changed.Wait()
	}
	return g.listener
}

// track returns nil for a connection that came in while the gate was being shut, or that is one too many.
func (g *gate) track(connection net.Conn, from net.Listener) net.Conn {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.listener != from || (g.most > 0 && len(g.connections) >= g.most) {
		return nil
	}
	tracked := &gatedConnection{Conn: connection, gate: g}
	g.connections[tracked] = struct{}{}
	return tracked
}

func (g *gate) isCurrent(listener net.Listener) bool {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return g.listener == listener
}

func (g *gate) shut() {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.listener == nil {
		return
	}
	g.listener.Close()
	g.listener = nil
	for connection := range g.connections {
		connection.Conn.Close()
	}
	clear(g.connections)
}

func (g *gate) open() error {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.listener != nil || g.isClosed {
		return nil
	}
	listener, err := net.Listen("tcp", g.address.String())
	if err != nil {
		return err
	}
	g.listener = listener
	g.changed.Broadcast()
	return nil
}

// Close is the server's way to end; connections in use are the server's to end.
func (g *gate) Close() error {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.isClosed = true
	g.changed.Broadcast()
	if g.listener == nil {
		return nil
	}
	listener := g.listener
	g.listener = nil
	return listener.Close()
}

type gatedConnection struct {
	net.Conn
	gate *gate
}

func (c *gatedConnection) Close() error {
	c.gate.mutex.Lock()
	delete(c.gate.connections, c)
	c.gate.mutex.Unlock()
	return c.Conn.Close()
}
