package unixmem

import (
	"context"
	"net"
	"os"
	"slices"
	"syscall"
	"time"
)

const (
	// inbox is how many datagrams wait for a socket's program, as on Linux (net.unix.max_dgram_qlen, and one more).
	inbox = 11
	// datagramMax is the length of the longest datagram, in bytes: the buffer less what Linux takes of it.
	datagramMax = room - 32
)

// packetConn is a datagram socket: bound to a path, or connected to one.
type packetConn struct {
	machine *Machine
	local   net.Addr
	remote  net.Addr // nil: it is not connected
	number  int      // tells the machine's connected sockets apart; 0: it is bound
	name    name

	monitor
	peer            *packetConn // that it is connected to; nil when that one has closed
	waiting         []datagram
	readBy, writeBy time.Time
	closed          bool
}

// datagram is one that waits to be read.
type datagram struct {
	from net.Addr // nil: of a socket without a name
	data []byte
}

var (
	_ net.Conn       = (*packetConn)(nil)
	_ net.PacketConn = (*packetConn)(nil)
)

// ListenPacket binds a datagram socket to a path; network is unixgram. Its file stays when it closes, as with package net.
func (m *Machine) ListenPacket(network, path string) (net.PacketConn, error) {
	m.await("listen %s %s", network, path)
	c := &packetConn{machine: m, local: address(network, path), name: name{path: path}}
	if err := m.bind(c, &c.name); err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: c.local, Err: os.NewSyscallError("bind", err)}
	}
	return c, nil
}

// DialPacket connects a datagram socket without a name to a path; network is unixgram.
func (m *Machine) DialPacket(ctx context.Context, network, path string) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: address(network, path), Err: err}
	}
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	m.await("dial %s %s", network, path)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return fail(net.ErrClosed)
	}
	peer, err := m.findPacket(path)
	if err != nil {
		return fail(os.NewSyscallError("connect", err))
	}
	m.made++
	c := &packetConn{
		machine: m, local: address(network, "@"), number: m.made, peer: peer, remote: address(network, path),
	}
	m.open[c] = struct{}{}
	return c, nil
}

// findPacket returns who gets datagrams at a path; the machine's lock is held.
func (m *Machine) findPacket(path string) (*packetConn, error) {
	found, err := m.find(path)
	if err != nil {
		return nil, err
	}
	if c, ok := found.(*packetConn); ok {
		return c, nil
	}
	return nil, syscall.EPROTOTYPE
}

// await waits for the turn of a call.
func (c *packetConn) await(op string) {
	c.machine.await("%s %s %s %d", op, c.local.Network(), c.local, c.number)
}

// Read implements [net.Conn].
func (c *packetConn) Read(p []byte) (int, error) {
	n, _, err := c.ReadFrom(p)
	return n, err
}

// ReadFrom implements [net.PacketConn]. The address is nil where the sender has no name. What does not fit p is lost.
func (c *packetConn) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		c.await("read")
		d, change, by, err := c.take()
		switch {
		case err != nil:
			return 0, nil, c.fail("read", c.RemoteAddr(), err)
		case change == nil:
			return copy(p, d.data), d.from, nil
		}
		await(change, by)
	}
}

// take returns the first datagram that waits; where there is none, what to wait for.
func (c *packetConn) take() (d datagram, change <-chan struct{}, by time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return d, nil, by, net.ErrClosed
	case passed(c.readBy):
		return d, nil, by, os.ErrDeadlineExceeded
	case len(c.waiting) > 0:
		d, c.waiting = c.waiting[0], c.waiting[1:]
		c.tell()
		return d, nil, by, nil
	}
	return d, c.next(), c.readBy, nil
}

// Write implements [net.Conn].
func (c *packetConn) Write(p []byte) (int, error) {
	for {
		change, room, by, err := c.post(p)
		switch {
		case err != nil:
			return 0, c.fail("write", c.RemoteAddr(), err)
		case room == nil:
			return len(p), nil
		}
		awaitEither(change, room, by)
		c.await("write")
	}
}

// post sends a datagram to the peer. That the peer has closed is told once; then there is none (unix(7)).
func (c *packetConn) post(p []byte) (change, room <-chan struct{}, by time.Time, err error) {
	c.mu.Lock()
	peer := c.peer
	if peer != nil && !c.closed && peer.isClosed() {
		c.peer = nil
	}
	c.mu.Unlock()
	if peer == nil {
		if _, _, err = c.ready(); err == nil {
			err = os.NewSyscallError("write", syscall.ENOTCONN)
		}
		return nil, nil, by, err
	}
	return c.send("write", peer, p)
}

// WriteTo implements [net.PacketConn].
func (c *packetConn) WriteTo(p []byte, to net.Addr) (int, error) {
	fail := func(err error) (int, error) { return 0, c.fail("write", to, err) }
	at, ok := to.(*net.UnixAddr)
	switch {
	case c.RemoteAddr() != nil:
		return fail(net.ErrWriteToConnected)
	case !ok || at == nil:
		return fail(syscall.EINVAL)
	case at.Net != c.local.Network():
		return fail(syscall.EAFNOSUPPORT)
	}
	for {
		c.machine.mu.Lock()
		peer, err := c.machine.findPacket(at.Name)
		c.machine.mu.Unlock()
		if err != nil {
			return fail(os.NewSyscallError("sendto", err))
		}
		change, room, by, err := c.send("sendto", peer, p)
		switch {
		case err != nil:
			return fail(err)
		case room == nil:
			return len(p), nil
		}
		awaitEither(change, room, by)
		c.await("write")
	}
}

// send puts a datagram into another socket's inbox by the system call of that name. Where there is no room it says what to
// wait for.
func (c *packetConn) send(call string, to *packetConn, p []byte) (change, room <-chan struct{}, by time.Time, err error) {
	if change, by, err = c.ready(); err != nil {
		return nil, nil, by, err
	}
	if len(p) > datagramMax {
		return nil, nil, by, os.NewSyscallError(call, syscall.EMSGSIZE)
	}
	d := datagram{data: slices.Clone(p)}
	if c.number == 0 {
		d.from = c.local
	}
	to.mu.Lock()
	defer to.mu.Unlock()
	switch {
	case to.closed:
		return nil, nil, by, os.NewSyscallError(call, syscall.ECONNREFUSED)
	case len(to.waiting) >= inbox:
		return change, to.next(), by, nil
	}
	to.waiting = append(to.waiting, d)
	to.tell()
	return nil, nil, by, nil
}

// ready says whether the socket can be written to, and when that may change.
func (c *packetConn) ready() (change <-chan struct{}, by time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		err = net.ErrClosed
	case passed(c.writeBy):
		err = os.ErrDeadlineExceeded
	default:
		change = c.next()
	}
	return change, c.writeBy, err
}

func (c *packetConn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// Close implements [net.Conn].
func (c *packetConn) Close() error {
	if !c.end() {
		return c.fail("close", c.RemoteAddr(), net.ErrClosed)
	}
	return nil
}

// abort implements [aborter].
func (c *packetConn) abort() { c.end() }

func (c *packetConn) end() (first bool) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return false
	}
	c.closed, c.waiting = true, nil
	c.tell()
	c.mu.Unlock()
	c.machine.release(c, c.name, false)
	return true
}

// LocalAddr implements [net.Conn].
func (c *packetConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements [net.Conn]; it is nil where the socket is not connected.
func (c *packetConn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements [net.Conn].
func (c *packetConn) SetDeadline(at time.Time) error {
	return c.setDeadlines(at, &c.readBy, &c.writeBy)
}

// SetReadDeadline implements [net.Conn].
func (c *packetConn) SetReadDeadline(at time.Time) error { return c.setDeadlines(at, &c.readBy) }

// SetWriteDeadline implements [net.Conn].
func (c *packetConn) SetWriteDeadline(at time.Time) error { return c.setDeadlines(at, &c.writeBy) }

func (c *packetConn) setDeadlines(at time.Time, deadlines ...*time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.fail("set", c.remote, net.ErrClosed)
	}
	for _, d := range deadlines {
		*d = at
	}
	c.tell()
	return nil
}

func (c *packetConn) fail(op string, to net.Addr, err error) error {
	return &net.OpError{Op: op, Net: c.local.Network(), Source: c.local, Addr: to, Err: err}
}
