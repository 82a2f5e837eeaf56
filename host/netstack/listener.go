package netstack

import (
	"net"
	"net/netip"
	"os"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"scenario/host/unixmem"
)

// backlog is how many connections wait to be accepted, less one, unless it is said (net.core.somaxconn).
const backlog = unixmem.Backlog

// listener is a TCP socket that listens.
type listener struct {
	socket
	family family
	at     netip.AddrPort
}

var _ net.Listener = (*listener)(nil)

func (m *Machine) listenTCP(network string, at netip.AddrPort, backlog int) (net.Listener, error) {
	family, err := m.familyFor(network, at.Addr())
	if err != nil {
		return nil, err
	}
	full, err := m.target(at)
	if err != nil {
		return nil, err
	}
	queue := &waiter.Queue{}
	endpoint, fault := m.stack.NewEndpoint(tcp.ProtocolNumber, family.number, queue)
	if fault != nil {
		return nil, failed("socket", fault)
	}
	// Connections that are still being closed do not keep their port from being listened on again.
	endpoint.SocketOptions().SetReuseAddress(true)
	endpoint.SocketOptions().SetV6Only(!family.both)
	l := &listener{family: family}
	l.init(m, network, endpoint, queue)
	if err := m.open(&l.socket); err != nil {
		return nil, err
	}
	if err := l.listen(full, backlog); err != nil {
		l.finish(endpoint.Close)
		return nil, err
	}
	m.Kick()
	return l, nil
}

// listen binds the listener. With the address reused the stack would let another listen on a part of its addresses.
func (l *listener) listen(at tcpip.FullAddress, backlog int) error {
	m := l.machine
	m.mu.Lock()
	defer m.mu.Unlock()
	if fault := l.endpoint.Bind(at); fault != nil {
		if _, none := fault.(*tcpip.ErrNoPortAvailable); none {
			fault = &tcpip.ErrPortInUse{}
		}
		return failed("bind", fault)
	}
	local, fault := l.endpoint.GetLocalAddress()
	if fault != nil {
		return failed("getsockname", fault)
	}
	l.at = l.family.boundAddr(addrPort(local))
	l.local = net.TCPAddrFromAddrPort(l.at)
	for other := range m.listeners {
		if l.overlaps(other) {
			return os.NewSyscallError("bind", syscall.EADDRINUSE)
		}
	}
	if fault := l.endpoint.Listen(backlog + 1); fault != nil {
		return failed("listen", fault)
	}
	m.listeners[l] = struct{}{}
	return nil
}

// overlaps says that a connection might be for either of two listeners.
func (l *listener) overlaps(other *listener) bool {
	if l.at.Port() != other.at.Port() {
		return false
	}
	a, b := l.at.Addr(), other.at.Addr()
	both := l.family.both || other.family.both
	return a == b || both || a.Is4() == b.Is4() && (a.IsUnspecified() || b.IsUnspecified())
}

// Accept implements [net.Listener].
func (l *listener) Accept() (net.Conn, error) {
	if err := l.in.enter(); err != nil {
		return nil, l.fail("accept", err)
	}
	defer l.in.leave()
	for {
		var remote tcpip.FullAddress
		endpoint, queue, fault := l.endpoint.Accept(&remote)
		switch fault.(type) {
		case nil:
			return l.accepted(endpoint, queue, remote)
		case *tcpip.ErrWouldBlock:
			if err := l.in.wait(); err != nil {
				return nil, l.fail("accept", err)
			}
		default:
			return nil, l.fail("accept", failed("accept", fault))
		}
	}
}

func (l *listener) accepted(endpoint tcpip.Endpoint, queue *waiter.Queue, remote tcpip.FullAddress) (net.Conn, error) {
	defer l.machine.Kick()
	c := l.machine.newTCP(l.network, endpoint, queue)
	local, fault := endpoint.GetLocalAddress()
	if fault != nil {
		return nil, l.fail("accept", failed("getsockname", fault))
	}
	c.connected(local, remote)
	if err := l.machine.open(&c.socket); err != nil {
		return nil, l.fail("accept", net.ErrClosed)
	}
	return c, nil
}

// Close implements [net.Listener]. Connections that nobody has accepted are reset.
func (l *listener) Close() error {
	err := l.socket.Close()
	l.machine.mu.Lock()
	defer l.machine.mu.Unlock()
	delete(l.machine.listeners, l)
	return err
}

// Addr implements [net.Listener].
func (l *listener) Addr() net.Addr { return l.local }
