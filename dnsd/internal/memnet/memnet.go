// Package memnet has hosts in memory that exchange datagrams and TCP connections, for tests in virtual time.
//
// A datagram to an address that nobody has is lost; one to a port where nobody listens is refused to its connected
// sender, as by ICMP. TCP connections are pipes without a buffer.
package memnet

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"scenario/event"
	"scenario/host"
)

// Latency is how long a datagram is under way.
const Latency = time.Millisecond

// Net is what joins the hosts.
type Net struct {
	mu        sync.Mutex
	hosts     map[netip.Addr]*Host
	sockets   map[netip.AddrPort]*socket
	listeners map[netip.AddrPort]*listener
}

// New returns a network without hosts.
func New() *Net {
	return &Net{
		hosts:     make(map[netip.Addr]*Host),
		sockets:   make(map[netip.AddrPort]*socket),
		listeners: make(map[netip.AddrPort]*listener),
	}
}

// Host is one machine.
type Host struct {
	// Servers are its resolvers.
	Servers []netip.AddrPort

	net   *Net
	addrs []netip.Addr
	name  string
	port  atomic.Uint32
	rands atomic.Uint64
	log   *slog.Logger

	mu      sync.Mutex
	records []event.Record
}

var (
	_ host.Host      = (*Host)(nil)
	_ host.Resolving = (*Host)(nil)
)

// Host adds a host with addresses.
func (n *Net) Host(name string, addrs ...string) *Host {
	h := &Host{net: n, name: name}
	h.port.Store(49151)
	h.log = event.NewLogger(name, event.SinkFunc(func(r event.Record) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.records = append(h.records, r)
	}))
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, text := range addrs {
		addr := netip.MustParseAddr(text)
		h.addrs = append(h.addrs, addr)
		n.hosts[addr] = h
	}
	return h
}

// Remove takes an address off the network: what is sent there is lost.
func (n *Net) Remove(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.hosts, netip.MustParseAddr(addr))
}

// Records returns what the host has told so far.
func (h *Host) Records() []event.Record {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.records)
}

// Forget drops what the host has told so far.
func (h *Host) Forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.records = nil
}

// Told returns the events of type T that the host has told so far.
func Told[T event.Event](h *Host) []T {
	var events []T
	for _, r := range h.Records() {
		if e, ok := event.As[T](r); ok {
			events = append(events, e)
		}
	}
	return events
}

// NameServers implements [host.Resolving].
func (h *Host) NameServers() []netip.AddrPort { return h.Servers }

// Rand implements [host.Host].
func (h *Host) Rand() rand.Source { return rand.NewPCG(1, h.rands.Add(1)) }

// Log implements [host.Host].
func (h *Host) Log() *slog.Logger { return h.log }

// Interfaces implements [host.Host].
func (h *Host) Interfaces() ([]host.Interface, error) {
	eth := host.Interface{Name: "eth0", MTU: 1500}
	for _, addr := range h.addrs {
		eth.Addrs = append(eth.Addrs, netip.PrefixFrom(addr, addr.BitLen()-8))
	}
	return []host.Interface{eth}, nil
}

// source is an address of the host from which to is reached.
func (h *Host) source(to netip.Addr) (netip.AddrPort, error) {
	for _, addr := range h.addrs {
		if addr.Is4() == to.Is4() {
			return netip.AddrPortFrom(addr, uint16(h.port.Add(1))), nil
		}
	}
	return netip.AddrPort{}, syscall.ENETUNREACH
}

// Dial implements [host.Host].
func (h *Host) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	to := netip.MustParseAddrPort(addr)
	from, err := h.source(to.Addr())
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	if network == "udp" {
		return h.net.bind(from, to)
	}
	h.net.mu.Lock()
	l, known := h.net.listeners[to], h.net.hosts[to.Addr()]
	h.net.mu.Unlock()
	switch {
	case known == nil:
		<-ctx.Done()
		return nil, ctx.Err()
	case l == nil:
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	near, far := net.Pipe()
	select {
	case l.backlog <- conn{far, net.TCPAddrFromAddrPort(to), net.TCPAddrFromAddrPort(from)}:
		return conn{near, net.TCPAddrFromAddrPort(from), net.TCPAddrFromAddrPort(to)}, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ListenPacket implements [host.Host].
func (h *Host) ListenPacket(_ context.Context, _, addr string) (net.PacketConn, error) {
	return h.net.bind(netip.MustParseAddrPort(addr), netip.AddrPort{})
}

// Listen implements [host.Host] for tcp.
func (h *Host) Listen(_ context.Context, network, addr string) (net.Listener, error) {
	at := netip.MustParseAddrPort(addr)
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if h.net.listeners[at] != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: syscall.EADDRINUSE}
	}
	l := &listener{net: h.net, at: at, backlog: make(chan net.Conn), closed: make(chan struct{})}
	h.net.listeners[at] = l
	return l, nil
}

type listener struct {
	net     *Net
	at      netip.AddrPort
	backlog chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.backlog:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		l.net.mu.Lock()
		defer l.net.mu.Unlock()
		delete(l.net.listeners, l.at)
		close(l.closed)
	})
	return nil
}

func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.at) }

type conn struct {
	net.Conn
	local, remote net.Addr
}

func (c conn) LocalAddr() net.Addr  { return c.local }
func (c conn) RemoteAddr() net.Addr { return c.remote }

// socket is a UDP socket, connected where peer is valid.
type socket struct {
	net         *Net
	local, peer netip.AddrPort
	inbox       chan datagram
	closed      chan struct{}
	once        sync.Once
}

type datagram struct {
	from netip.AddrPort
	data []byte
	err  error
}

func (n *Net) bind(local, peer netip.AddrPort) (*socket, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sockets[local] != nil {
		return nil, &net.OpError{Op: "listen", Net: "udp", Err: syscall.EADDRINUSE}
	}
	s := &socket{net: n, local: local, peer: peer, inbox: make(chan datagram, 64), closed: make(chan struct{})}
	n.sockets[local] = s
	return s, nil
}

// send delivers a datagram after the latency.
func (n *Net) send(from, to netip.AddrPort, data []byte) {
	time.AfterFunc(Latency, func() {
		n.mu.Lock()
		known, target, sender := n.hosts[to.Addr()] != nil, n.sockets[to], n.sockets[from]
		n.mu.Unlock()
		switch {
		case !known:
		case target != nil && (!target.peer.IsValid() || target.peer == from):
			target.put(datagram{from: from, data: data})
		case target == nil && sender != nil && sender.peer == to:
			sender.put(datagram{err: syscall.ECONNREFUSED})
		}
	})
}

func (s *socket) put(d datagram) {
	select {
	case s.inbox <- d:
	default: // full: lost
	}
}

func (s *socket) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case d := <-s.inbox:
		return copy(b, d.data), net.UDPAddrFromAddrPort(d.from), d.err
	case <-s.closed:
		return 0, nil, net.ErrClosed
	}
}

func (s *socket) Read(b []byte) (int, error) {
	n, _, err := s.ReadFrom(b)
	return n, err
}

func (s *socket) WriteTo(b []byte, to net.Addr) (int, error) {
	s.net.send(s.local, netip.MustParseAddrPort(to.String()), slices.Clone(b))
	return len(b), nil
}

func (s *socket) Write(b []byte) (int, error) {
	s.net.send(s.local, s.peer, slices.Clone(b))
	return len(b), nil
}

func (s *socket) Close() error {
	s.once.Do(func() {
		s.net.mu.Lock()
		defer s.net.mu.Unlock()
		delete(s.net.sockets, s.local)
		close(s.closed)
	})
	return nil
}

func (s *socket) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(s.local) }

func (s *socket) RemoteAddr() net.Addr {
	return net.UDPAddrFromAddrPort(cmp.Or(s.peer, s.local))
}

// Deadlines are not supported: what is tested here closes its sockets instead.
func (s *socket) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (s *socket) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (s *socket) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }
