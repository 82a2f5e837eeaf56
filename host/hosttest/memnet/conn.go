package memnet

import (
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"scenario/host/unixmem"
)

// conn is one end of a TCP connection. Both ends share the monitor.
type conn struct {
	*monitor
	local, remote   netip.AddrPort
	in, out         *stream
	readBy, writeBy time.Time
	noLinger        bool
	closed          bool
}

// stream is one direction of a connection.
type stream struct {
	window int
	data   []byte // written and not yet read
	ended  bool   // by its writer
	gone   bool   // its reader is closed
	reset  bool
}

// join makes a connection.
func join(near, far netip.AddrPort, window int) (a, b *conn) {
	m := new(monitor)
	m.init()
	there, back := &stream{window: window}, &stream{window: window}
	return &conn{monitor: m, local: near, remote: far, in: back, out: there},
		&conn{monitor: m, local: far, remote: near, in: there, out: back}
}

func (c *conn) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, c.fail("read", net.ErrClosed)
		case passed(c.readBy):
			return 0, c.fail("read", os.ErrDeadlineExceeded)
		case len(p) == 0:
			return 0, nil
		case len(c.in.data) > 0:
			n := copy(p, c.in.data)
			c.in.data = c.in.data[n:]
			c.tell()
			return n, nil
		case c.in.reset:
			return 0, c.fail("read", os.NewSyscallError("read", syscall.ECONNRESET))
		case c.in.ended:
			return 0, io.EOF
		}
		c.wait(c.readBy)
	}
}

func (c *conn) Write(p []byte) (written int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			return written, c.fail("write", net.ErrClosed)
		case passed(c.writeBy):
			return written, c.fail("write", os.ErrDeadlineExceeded)
		case c.out.ended || c.out.gone:
			return written, c.fail("write", os.NewSyscallError("write", syscall.EPIPE))
		}
		if n := min(len(p)-written, c.out.window-len(c.out.data)); n > 0 {
			c.out.data = append(c.out.data, p[written:written+n]...)
			written += n
			c.tell()
		}
		if written == len(p) {
			return written, nil
		}
		c.wait(c.writeBy)
	}
}

// Close implements [net.Conn]. It breaks the connection off where something was not read, as the kernel does; an end of the
// stream that was sent before stays the end.
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	c.closed = true
	c.out.reset = !c.out.ended && (c.noLinger || len(c.in.data) > 0)
	c.out.ended, c.in.gone = true, true
	c.tell()
	return nil
}

// CloseWrite ends the stream that this end sends.
func (c *conn) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	c.out.ended = true
	c.tell()
	return nil
}

// SetLinger has Close break the connection off when seconds is 0; other numbers change nothing here.
func (c *conn) SetLinger(seconds int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noLinger = seconds == 0
	return nil
}

func (c *conn) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

func (c *conn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

func (c *conn) SetDeadline(at time.Time) error      { return c.setDeadlines(at, &c.readBy, &c.writeBy) }
func (c *conn) SetReadDeadline(at time.Time) error  { return c.setDeadlines(at, &c.readBy) }
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

// backlog is how many connections wait to be accepted, less one, unless it is said; who comes then gets no answer.
const backlog = unixmem.Backlog

// listener is a TCP socket that listens.
type listener struct {
	host    *Host
	network string
	bound
	queue *queue[*conn]
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.queue.take()
	if err != nil {
		return nil, &net.OpError{Op: "accept", Net: l.network, Addr: l.Addr(), Err: err}
	}
	return c, nil
}

// Close implements [net.Listener]: connections that nobody accepted are broken off.
func (l *listener) Close() error {
	l.host.release(l.bound)
	waiting, err := l.queue.close()
	if err != nil {
		return &net.OpError{Op: "close", Net: l.network, Addr: l.Addr(), Err: err}
	}
	for _, c := range waiting {
		_ = c.SetLinger(0)
		_ = c.Close()
	}
	return nil
}

func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.at) }
