package memnet

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"
)

// inbox is how many datagrams a socket keeps for its program; more are lost.
const inbox = 64

// socket is a UDP socket, connected where peer is valid.
type socket struct {
	host *Host
	bound
	peer  netip.AddrPort
	queue *queue[arrival]
}

// datagram is under way.
type datagram struct {
	sender   *socket
	from, to netip.AddrPort
	data     []byte
	due      time.Time
}

// arrival is a datagram that came, or the error that came for one that was sent.
type arrival struct {
	from netip.AddrPort
	data []byte
	err  error
}

// post has a datagram arrive after the latency.
func (n *Net) post(d datagram) {
	d.due = time.Now().Add(Latency)
	n.mu.Lock()
	n.underWay = append(n.underWay, d)
	n.mu.Unlock()
	time.AfterFunc(Latency, n.deliver)
}

// deliver brings what is due where it goes, in the order in which it was sent.
func (n *Net) deliver() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(n.underWay) > 0 && passed(n.underWay[0].due) {
		d := n.underWay[0]
		n.underWay = n.underWay[1:]
		target, err := n.find(d.sender.host, "udp", d.to)
		to, _ := target.(*socket)
		switch {
		case errors.Is(err, errSilent):
		case to != nil && (!to.peer.IsValid() || to.peer == d.from):
			to.queue.put(arrival{from: d.from, data: d.data})
		case to == nil && d.sender.peer.IsValid():
			d.sender.queue.put(arrival{err: err})
		}
	}
}

func (s *socket) ReadFrom(p []byte) (int, net.Addr, error) {
	a, err := s.queue.take()
	switch {
	case err != nil:
		return 0, nil, s.fail("read", err)
	case a.err != nil:
		return 0, nil, s.fail("read", os.NewSyscallError("recvfrom", a.err))
	}
	return copy(p, a.data), net.UDPAddrFromAddrPort(a.from), nil
}

func (s *socket) Read(p []byte) (int, error) {
	n, _, err := s.ReadFrom(p)
	return n, err
}

func (s *socket) WriteTo(p []byte, to net.Addr) (int, error) {
	at, err := netip.ParseAddrPort(to.String())
	if err != nil {
		return 0, s.fail("write", err)
	}
	return s.send(p, at)
}

func (s *socket) Write(p []byte) (int, error) { return s.send(p, s.peer) }

func (s *socket) send(p []byte, to netip.AddrPort) (int, error) {
	if s.queue.isClosed() {
		return 0, s.fail("write", net.ErrClosed)
	}
	source, err := s.host.source(to.Addr())
	if err != nil {
		return 0, s.fail("write", os.NewSyscallError("sendto", err))
	}
	from := s.at
	if from.Addr().IsUnspecified() {
		from = netip.AddrPortFrom(source, from.Port())
	}
	s.host.net.post(datagram{sender: s, from: from, to: to, data: slices.Clone(p)})
	return len(p), nil
}

func (s *socket) Close() error {
	s.host.release(s.bound)
	if _, err := s.queue.close(); err != nil {
		return s.fail("close", err)
	}
	return nil
}

func (s *socket) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "udp", Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: err}
}

func (s *socket) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(s.at) }

// RemoteAddr is nil where the socket is not connected.
func (s *socket) RemoteAddr() net.Addr {
	if !s.peer.IsValid() {
		return nil
	}
	return net.UDPAddrFromAddrPort(s.peer)
}

func (s *socket) SetDeadline(at time.Time) error     { return s.SetReadDeadline(at) }
func (s *socket) SetReadDeadline(at time.Time) error { return s.queue.setDeadline(at) }

// SetWriteDeadline does nothing: no write waits.
func (s *socket) SetWriteDeadline(time.Time) error { return nil }

var errSilent = errors.New("nobody answers")

// find returns what receives at an address when from sends there, or what is told to the sender.
func (n *Net) find(from *Host, proto string, to netip.AddrPort) (receiver, error) {
	target := n.hosts[to.Addr()]
	if to.Addr().IsLoopback() {
		target = from
	}
	switch {
	case n.silent[to.Addr()]:
		return nil, errSilent
	case target == nil:
		return nil, syscall.EHOSTUNREACH
	}
	for _, addr := range []netip.Addr{to.Addr(), wildcard(to.Addr())} {
		if r := target.sockets[endpoint{proto, netip.AddrPortFrom(addr, to.Port())}]; r != nil {
			return r, nil
		}
	}
	return nil, syscall.ECONNREFUSED
}
