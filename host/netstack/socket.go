package netstack

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/waiter"
)

// socket is what TCP connections and UDP sockets have in common.
type socket struct {
	machine       *Machine
	endpoint      tcpip.Endpoint
	network       string // as package net's user named it: tcp, tcp4…
	local, remote net.Addr
	in, out       gate
	ended         chan struct{}
	end           sync.Once
}

// init takes an endpoint over. The socket is not yet known to the machine.
func (s *socket) init(m *Machine, network string, endpoint tcpip.Endpoint, queue *waiter.Queue) {
	s.machine, s.network, s.endpoint = m, network, endpoint
	s.ended = make(chan struct{})
	s.in.watch(queue, waiter.ReadableEvents, s.ended)
	s.out.watch(queue, waiter.WritableEvents, s.ended)
}

// finish ends the socket, the first time: who waits is woken and f is called.
func (s *socket) finish(f func()) (first bool) {
	s.end.Do(func() {
		first = true
		close(s.ended)
		s.in.clear()
		s.out.clear()
		s.machine.forget(s)
		f()
	})
	return first
}

// abort implements [aborter].
func (s *socket) abort() {
	s.finish(func() {
		if e, ok := s.endpoint.(interface{ Abort() }); ok {
			e.Abort()
		}
	})
}

func (s *socket) isEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// Close implements [net.Conn].
func (s *socket) Close() error {
	if s.isEnded() {
		return s.fail("close", net.ErrClosed)
	}
	if !s.finish(s.endpoint.Close) {
		return s.fail("close", net.ErrClosed)
	}
	s.machine.Kick()
	return nil
}

// fail is the error of an operation; when the socket has ended, that is why.
func (s *socket) fail(op string, err error) error {
	if s.isEnded() {
		err = net.ErrClosed
	}
	return opError(op, s.network, s.local, s.remote, err)
}

// unset is the error of setting what a closed socket has no more.
func (s *socket) unset() error { return opError("set", s.network, nil, s.local, net.ErrClosed) }

// LocalAddr implements [net.Conn].
func (s *socket) LocalAddr() net.Addr { return s.local }

// RemoteAddr implements [net.Conn]; it is nil where the socket is not connected.
func (s *socket) RemoteAddr() net.Addr { return s.remote }

// SetDeadline implements [net.Conn].
func (s *socket) SetDeadline(at time.Time) error { return s.setDeadlines(at, &s.in, &s.out) }

// SetReadDeadline implements [net.Conn].
func (s *socket) SetReadDeadline(at time.Time) error { return s.setDeadlines(at, &s.in) }

// SetWriteDeadline implements [net.Conn].
func (s *socket) SetWriteDeadline(at time.Time) error { return s.setDeadlines(at, &s.out) }

func (s *socket) setDeadlines(at time.Time, gates ...*gate) error {
	if s.isEnded() {
		return s.unset()
	}
	for _, g := range gates {
		g.deadline.set(at)
	}
	return nil
}

// target is a literal address for the stack.
func (m *Machine) target(at netip.AddrPort) (tcpip.FullAddress, error) {
	full := tcpip.FullAddress{Port: at.Port()}
	addr := at.Addr()
	if zone := addr.Zone(); zone != "" {
		id, ok := m.ids[zone]
		if !ok {
			return full, os.NewSyscallError("connect", syscall.EINVAL)
		}
		full.NIC = id
		addr = addr.WithZone("")
	}
	if addr.IsValid() && !addr.IsUnspecified() {
		full.Addr = address(addr)
	}
	return full, nil
}

// addrPort is the inverse of target.
func addrPort(full tcpip.FullAddress) netip.AddrPort {
	return netip.AddrPortFrom(addrOf(full.Addr), full.Port)
}
