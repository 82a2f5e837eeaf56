// Package counted counts what a connection carries, and tells its end.
package counted

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"scenario/event"
)

// Conn is a connection that tells socket.close when it is closed, and by whom as far as that is known. Its methods may be called from any goroutine.
type Conn struct {
	net.Conn
	sent, received atomic.Int64

	mu     sync.Mutex
	remote bool // the other end ended it first
	reason string
	closed bool
	gone   chan struct{}
	tell   func(event.SocketClose)
}

// New returns conn with its counters. The event is told to log in the causal chain of ctx, which may have ended by then.
func New(ctx context.Context, log *slog.Logger, conn net.Conn) *Conn {
	return &Conn{Conn: conn, gone: make(chan struct{}), tell: func(e event.SocketClose) { event.Emit(context.WithoutCancel(ctx), log, e) }}
}

// Read implements [net.Conn].
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.received.Add(int64(n))
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.mu.Lock()
		c.remote = c.remote || !c.closed
		c.mu.Unlock()
	}
	return n, err
}

// Write implements [net.Conn].
func (c *Conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.sent.Add(int64(n))
	return n, err
}

// Ended says that the other end is about to close the connection, as it does where it ends TLS.
func (c *Conn) Ended() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remote = c.remote || c.reason == "" && !c.closed
}

// Because says why this end is about to close the connection; who does not say so may only follow the other end. The first
// reason counts.
func (c *Conn) Because(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reason == "" && !c.closed && !c.remote {
		c.reason = reason
	}
}

// Close closes the connection and tells so, once.
func (c *Conn) Close() error {
	c.mu.Lock()
	again := c.closed
	c.closed = true
	e := event.SocketClose{
		Network: "tcp", Local: c.LocalAddr().String(), Remote: c.RemoteAddr().String(), Socket: event.SocketConnection,
		Reason: c.reason,
	}
	switch {
	case c.remote:
		e.By = "remote"
	case c.reason != "":
		e.By = "local"
	}
	c.mu.Unlock()
	err := c.Conn.Close()
	if !again {
		e.Sent, e.Received = c.sent.Load(), c.received.Load()
		c.tell(e)
		close(c.gone)
	}
	return err
}

// Closed is closed when the connection has been closed at this end.
func (c *Conn) Closed() <-chan struct{} { return c.gone }
