package unixmem

import (
	"bytes"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// room is how many bytes that nobody has read yet a stream holds, as on Linux (net.core.wmem_default).
const room = 212992

// conn is one end of a connection. Both ends share the monitor.
type conn struct {
	machine       *Machine
	local, remote net.Addr
	number        int    // of the connection on its machine
	side          string // client, server
	writing       chan struct{}

	*monitor
	in, out         *stream
	readBy, writeBy time.Time
	closed          bool
}

// stream is one direction of a connection.
type stream struct {
	data   bytes.Buffer // written and not yet read
	ended  bool         // nothing is written any more, or nobody reads it
	broken bool         // the end of it is told as ECONNRESET, once
}

var _ net.Conn = (*conn)(nil)

// join makes a connection to a path. The address of the end that connects has no name, for which package net has "@".
func join(m *Machine, network, path string, number int) (near, far *conn) {
	shared := new(monitor)
	there, back := new(stream), new(stream)
	client, server := address(network, "@"), address(network, path)
	near = &conn{machine: m, local: client, remote: server, number: number, side: "client", monitor: shared, in: back, out: there}
	far = &conn{machine: m, local: server, remote: client, number: number, side: "server", monitor: shared, in: there, out: back}
	near.writing, far.writing = make(chan struct{}, 1), make(chan struct{}, 1)
	return near, far
}

// await waits for the turn of a call.
func (c *conn) await(op string) {
	c.machine.await("%s %s %s %d %s", op, c.local.Network(), c.local, c.number, c.side)
}

// Read implements [net.Conn].
func (c *conn) Read(p []byte) (int, error) {
	for {
		c.await("read")
		n, change, by, err := c.take(p)
		if change == nil {
			return n, err
		}
		await(change, by)
	}
}

// take reads what there is; where there is nothing, it says what to wait for.
func (c *conn) take(p []byte) (n int, change <-chan struct{}, by time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return 0, nil, by, c.fail("read", net.ErrClosed)
	case passed(c.readBy):
		return 0, nil, by, c.fail("read", os.ErrDeadlineExceeded)
	case len(p) == 0:
		return 0, nil, by, nil
	case c.in.data.Len() > 0:
		n, _ = c.in.data.Read(p)
		c.tell()
		return n, nil, by, nil
	case c.in.broken:
		c.in.broken = false
		return 0, nil, by, c.fail("read", os.NewSyscallError("read", syscall.ECONNRESET))
	case c.in.ended:
		return 0, nil, by, io.EOF
	}
	return 0, c.next(), c.readBy, nil
}

// Write implements [net.Conn]. What two calls write at once is not mixed.
func (c *conn) Write(p []byte) (written int, err error) {
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	for {
		n, change, by, err := c.put(p[written:])
		written += n
		if change == nil {
			return written, err
		}
		await(change, by)
		c.await("write")
	}
}

// put writes what there is room for; where that is not all, it says what to wait for.
func (c *conn) put(p []byte) (n int, change <-chan struct{}, by time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return 0, nil, by, c.fail("write", net.ErrClosed)
	case passed(c.writeBy):
		return 0, nil, by, c.fail("write", os.ErrDeadlineExceeded)
	case c.out.ended:
		return 0, nil, by, c.fail("write", os.NewSyscallError("write", syscall.EPIPE))
	}
	n = min(len(p), room-c.out.data.Len())
	if n > 0 {
		c.out.data.Write(p[:n])
		c.tell()
	}
	if n == len(p) {
		return n, nil, by, nil
	}
	return n, c.next(), c.writeBy, nil
}

// Close implements [net.Conn]. Where something was not read, the other end is told so by ECONNRESET.
func (c *conn) Close() error {
	if !c.end(false) {
		return c.fail("close", net.ErrClosed)
	}
	return nil
}

// abort implements [aborter].
func (c *conn) abort() { c.end(false) }

// end closes this end; refused is an end that nobody has accepted.
func (c *conn) end(refused bool) (first bool) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return false
	}
	c.closed = true
	c.out.broken = refused || c.in.data.Len() > 0
	c.out.ended, c.in.ended = true, true
	c.in.data = bytes.Buffer{}
	c.tell()
	c.mu.Unlock()
	c.machine.release(c, name{}, false)
	return true
}

// CloseWrite ends the stream that this end sends.
func (c *conn) CloseWrite() error { return c.shutdown(c.out) }

// CloseRead ends the stream that this end receives: the other end can write no more. What was written can still be read.
func (c *conn) CloseRead() error { return c.shutdown(c.in) }

func (c *conn) shutdown(s *stream) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	s.ended = true
	c.tell()
	return nil
}

// LocalAddr implements [net.Conn].
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements [net.Conn].
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements [net.Conn].
func (c *conn) SetDeadline(at time.Time) error { return c.setDeadlines(at, &c.readBy, &c.writeBy) }

// SetReadDeadline implements [net.Conn].
func (c *conn) SetReadDeadline(at time.Time) error { return c.setDeadlines(at, &c.readBy) }

// SetWriteDeadline implements [net.Conn].
func (c *conn) SetWriteDeadline(at time.Time) error { return c.setDeadlines(at, &c.writeBy) }

func (c *conn) setDeadlines(at time.Time, deadlines ...*time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.fail("set", net.ErrClosed)
	}
	for _, d := range deadlines {
		*d = at
	}
	c.tell()
	return nil
}

func (c *conn) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: c.local.Network(), Source: c.local, Addr: c.remote, Err: err}
}
