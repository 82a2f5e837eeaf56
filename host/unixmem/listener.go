package unixmem

import (
	"net"
	"os"
	"syscall"
	"time"
)

// listener is a socket that listens.
type listener struct {
	machine *Machine
	network string
	name    name
	backlog int

	monitor
	waiting []*conn // for Accept
	by      time.Time
	keep    bool // the file when the listener closes
	closed  bool
}

var _ net.Listener = (*listener)(nil)

func newListener(m *Machine, network, path string, backlog int) *listener {
	return &listener{machine: m, network: network, name: name{path: path}, backlog: backlog}
}

// put adds a connection to those that wait.
func (l *listener) put(c *conn) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return syscall.ECONNREFUSED
	case len(l.waiting) > l.backlog:
		return syscall.EAGAIN
	}
	l.waiting = append(l.waiting, c)
	l.tell()
	return nil
}

// Accept implements [net.Listener].
func (l *listener) Accept() (net.Conn, error) {
	for {
		l.machine.await("accept %s %s", l.network, l.name.path)
		c, change, by, err := l.take()
		switch {
		case err != nil:
			return nil, l.fail("accept", err)
		case c != nil:
			return c, nil
		}
		await(change, by)
	}
}

// take returns the first connection that waits; where there is none, what to wait for.
func (l *listener) take() (c *conn, change <-chan struct{}, by time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, nil, l.by, net.ErrClosed
	case passed(l.by):
		return nil, nil, l.by, os.ErrDeadlineExceeded
	case len(l.waiting) > 0:
		c, l.waiting = l.waiting[0], l.waiting[1:]
		return c, nil, l.by, nil
	}
	return nil, l.next(), l.by, nil
}

// Close implements [net.Listener]. Connections that nobody has accepted are reset.
func (l *listener) Close() error {
	if !l.end() {
		return l.fail("close", net.ErrClosed)
	}
	return nil
}

// abort implements [aborter].
func (l *listener) abort() { l.end() }

func (l *listener) end() (first bool) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return false
	}
	l.closed = true
	waiting, keep := l.waiting, l.keep
	l.waiting = nil
	l.tell()
	l.mu.Unlock()
	l.machine.release(l, l.name, !keep)
	for _, c := range waiting {
		c.end(true)
	}
	return true
}

// SetUnlinkOnClose says whether Close removes the socket's file, as it does unless it is told otherwise.
func (l *listener) SetUnlinkOnClose(unlink bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep = !unlink
}

// SetDeadline is that of *net.UnixListener: of Accept.
func (l *listener) SetDeadline(at time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return l.fail("set", net.ErrClosed)
	}
	l.by = at
	l.tell()
	return nil
}

// Addr implements [net.Listener].
func (l *listener) Addr() net.Addr { return address(l.network, l.name.path) }

func (l *listener) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: l.network, Addr: l.Addr(), Err: err}
}
