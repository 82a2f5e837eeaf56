// Package sock has TCP connections and listeners that tell their life as events: connect, listen, accept, error, close.
//
// [Dialer] connects as ordinary programs do: it looks the name up and tries the addresses one after another. [Listen]
// gives every connection it accepts a trace of its own. Both make a [Conn], which counts its bytes and tells how it ended.
package sock

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"

	"scenario/event"
	"scenario/host/errno"
)

// network is what the events call the kind of socket.
const network = "tcp"

// Which end closed a connection, as events say it.
const (
	byLocal  = "local"
	byRemote = "remote"
)

// Conn is a connection that tells of its errors and its end.
type Conn struct {
	net.Conn
	ctx  context.Context // carries the trace of the events
	log  *slog.Logger
	once sync.Once

	mu             sync.Mutex
	sent, received int64
	ended          error // the first error that ended a direction; io.EOF: the other end closed it
}

func newConn(ctx context.Context, log *slog.Logger, inner net.Conn) *Conn {
	return &Conn{Conn: inner, ctx: context.WithoutCancel(ctx), log: log}
}

// Context carries the connection's trace, for events about what goes over it. It is never canceled.
func (c *Conn) Context() context.Context { return c.ctx }

// Local and Remote are the connection's addresses as "IP:port".
func (c *Conn) Local() string  { return c.LocalAddr().String() }
func (c *Conn) Remote() string { return c.RemoteAddr().String() }

// Read implements [net.Conn].
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.note("read", 0, n, err)
	return n, err
}

// Write implements [net.Conn].
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.note("write", n, 0, err)
	return n, err
}

// note counts bytes and tells of the first error that the network, not this end, is the cause of.
func (c *Conn) note(op string, sent, received int, err error) {
	c.mu.Lock()
	c.sent += int64(sent)
	c.received += int64(received)
	news := err != nil && c.ended == nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded)
	if news {
		c.ended = err
	}
	c.mu.Unlock()
	if news && !errors.Is(err, io.EOF) {
		failure := Failure(op, err)
		failure.Local, failure.Remote = c.Local(), c.Remote()
		event.Emit(c.ctx, c.log, failure)
	}
}

// CloseWrite ends this end's direction; what the other end sends can still be read.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return fmt.Errorf("close writing to %s: %w", c.Remote(), errors.ErrUnsupported)
}

// SetLinger is that of *net.TCPConn: with 0, Close breaks the connection off with a reset.
func (c *Conn) SetLinger(seconds int) error {
	if tcp, ok := c.Conn.(interface{ SetLinger(int) error }); ok {
		return tcp.SetLinger(seconds)
	}
	return fmt.Errorf("linger for %s: %w", c.Remote(), errors.ErrUnsupported)
}

// Close implements [net.Conn].
func (c *Conn) Close() error { return c.CloseFor("") }

// CloseFor closes the connection and tells why. Only the first call does anything.
func (c *Conn) CloseFor(reason string) (err error) {
	c.once.Do(func() {
		err = c.Conn.Close()
		c.mu.Lock()
		end := event.SocketClose{
			Network: network, Local: c.Local(), Remote: c.Remote(), By: byLocal,
			Sent: c.sent, Received: c.received, Reason: reason,
		}
		if c.ended != nil {
			end.By = byRemote
			if !errors.Is(c.ended, io.EOF) {
				end.Reason = cmp.Or(reason, errno.Name(c.ended), c.ended.Error())
			}
		}
		c.mu.Unlock()
		event.Emit(c.ctx, c.log, end)
	})
	return err
}

// Failure is the event of a socket call that failed with err.
func Failure(op string, err error) event.SocketError {
	return event.SocketError{
		Network: network, Op: op, Errno: errno.Name(err), Error: err.Error(), Meaning: errno.Meaning(err),
	}
}
