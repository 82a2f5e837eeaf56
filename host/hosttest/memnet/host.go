package memnet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"scenario/event"
	"scenario/host"
	"scenario/host/local"
	"scenario/host/unixmem"
)

// Host is one machine. It keeps the events that it tells.
type Host struct {
	// Servers are its resolvers.
	Servers []netip.AddrPort
	// Search is its search list, Identity its certificate, Authorities whom it trusts.
	Search      []string
	Identity    *tls.Certificate
	Authorities *x509.CertPool
	// Sink is told every event too. Optional.
	Sink event.Sink

	net     *Net
	name    string
	addrs   []netip.Addr
	files   *unixmem.Machine
	log     *slog.Logger
	sources atomic.Uint64

	// Under the lock of the Net.
	sockets  map[endpoint]receiver
	lastPort uint16 // that the host chose

	mu      sync.Mutex
	records []event.Record
}

var (
	_ host.Host       = (*Host)(nil)
	_ host.Resolving  = (*Host)(nil)
	_ host.Searching  = (*Host)(nil)
	_ host.Trusting   = (*Host)(nil)
	_ host.Backlog    = (*Host)(nil)
	_ host.FileSystem = (*Host)(nil)
)

// firstPort is the first of the ports that a host chooses itself (RFC 6335, section 6).
const firstPort = 49152

// endpoint is what a socket is bound to.
type endpoint struct {
	proto string // tcp, udp
	at    netip.AddrPort
}

// receiver is a *listener or a *socket.
type receiver any

// bound is a socket's address and the endpoints that it takes.
type bound struct {
	at        netip.AddrPort
	endpoints []endpoint
}

func (h *Host) record(r event.Record) {
	h.mu.Lock()
	h.records = append(h.records, r)
	h.mu.Unlock()
	if h.Sink != nil {
		h.Sink.Record(r)
	}
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

// SearchDomains implements [host.Searching].
func (h *Host) SearchDomains() []string { return h.Search }

// Certificate implements [host.Trusting].
func (h *Host) Certificate() *tls.Certificate { return h.Identity }

// Roots implements [host.Trusting].
func (h *Host) Roots() *x509.CertPool { return h.Authorities }

// Rand implements [host.Host].
func (h *Host) Rand() rand.Source { return rand.NewPCG(0, h.sources.Add(1)) }

// Log implements [host.Host].
func (h *Host) Log() *slog.Logger { return h.log }

// Interfaces implements [host.Host]: eth0, and lo where the host has a loopback address.
func (h *Host) Interfaces() ([]host.Interface, error) {
	eth, lo := host.Interface{Name: "eth0", MTU: 1500}, host.Interface{Name: "lo", MTU: 65536}
	for _, addr := range h.addrs {
		if addr.IsLoopback() {
			lo.Addrs = append(lo.Addrs, netip.PrefixFrom(addr, addr.BitLen()))
		} else {
			eth.Addrs = append(eth.Addrs, netip.PrefixFrom(addr, addr.BitLen()-8))
		}
	}
	if lo.Addrs == nil {
		return []host.Interface{eth}, nil
	}
	return []host.Interface{eth, lo}, nil
}

// Dial implements [host.Host].
func (h *Host) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if network == "unix" || network == "unixgram" {
		return h.dialPath(ctx, network, addr)
	}
	to, err := parse(network, addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s %q: %w", network, addr, err)
	}
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: address(network, to), Err: err}
	}
	if ctx.Err() != nil {
		return fail(ctx.Err())
	}
	source, err := h.source(to.Addr())
	if err != nil {
		return fail(os.NewSyscallError("connect", err))
	}
	if isUDP(network) {
		s := &socket{host: h, peer: to, queue: newQueue[arrival](inbox)}
		if s.bound, err = h.bind("udp", netip.AddrPortFrom(source, 0), s); err != nil {
			return fail(err)
		}
		return s, nil
	}
	c, err := h.connect(source, to)
	switch {
	case errors.Is(err, errSilent):
		<-ctx.Done()
		return fail(ctx.Err())
	case err != nil:
		return fail(os.NewSyscallError("connect", err))
	}
	return c, nil
}

// dialPath connects to a path.
func (h *Host) dialPath(ctx context.Context, network, path string) (net.Conn, error) {
	if err := local.CheckAddr("dial", network, path, network); err != nil {
		return nil, err
	}
	if network == "unixgram" {
		return h.files.DialPacket(ctx, network, path)
	}
	return h.files.Dial(ctx, network, path)
}

// connect puts a new connection into the backlog of who listens.
func (h *Host) connect(source netip.Addr, to netip.AddrPort) (*conn, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	from := netip.AddrPortFrom(source, h.port("tcp", source))
	r, err := h.net.find(h, "tcp", to)
	if err != nil {
		return nil, err
	}
	near, far := join(from, to, h.net.window)
	if !r.(*listener).queue.put(far) {
		return nil, errSilent
	}
	return near, nil
}

// Listen implements [host.Host].
func (h *Host) Listen(ctx context.Context, network, addr string) (net.Listener, error) {
	return h.ListenBacklog(ctx, network, addr, backlog)
}

// ListenBacklog implements [host.Backlog].
func (h *Host) ListenBacklog(_ context.Context, network, addr string, backlog int) (net.Listener, error) {
	switch {
	case backlog < 0:
		return nil, fmt.Errorf("listen %s %q: a backlog of %d", network, addr, backlog)
	case isUDP(network):
		return nil, fmt.Errorf("listen %s %q: this host has no such network", network, addr)
	case network == "unix":
		if err := local.CheckAddr("listen", network, addr, network); err != nil {
			return nil, err
		}
		return h.files.Listen(network, addr, backlog)
	}
	l := &listener{host: h, network: network, queue: newQueue[*conn](backlog + 1)}
	var err error
	l.bound, err = h.listen(network, addr, l)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// ListenPacket implements [host.Host].
func (h *Host) ListenPacket(_ context.Context, network, addr string) (net.PacketConn, error) {
	if network == "unixgram" {
		if err := local.CheckAddr("listen", network, addr, network); err != nil {
			return nil, err
		}
		return h.files.ListenPacket(network, addr)
	}
	if !isUDP(network) {
		return nil, fmt.Errorf("listen %s %q: this host has no such network", network, addr)
	}
	s := &socket{host: h, queue: newQueue[arrival](inbox)}
	var err error
	s.bound, err = h.listen(network, addr, s)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// listen binds a socket to an address in the words of package net.
func (h *Host) listen(network, addr string, r receiver) (bound, error) {
	at, err := parse(network, anyHost(network, addr))
	if err != nil {
		return bound{}, fmt.Errorf("listen %s %q: %w", network, addr, err)
	}
	b, err := h.bind(network, at, r)
	if err != nil {
		return bound{}, &net.OpError{Op: "listen", Net: network, Addr: address(network, at), Err: err}
	}
	return b, nil
}

// bind has r receive what comes for an address; port 0 is one that the host chooses.
func (h *Host) bind(network string, at netip.AddrPort, r receiver) (bound, error) {
	proto, family := network[:3], network[3:]
	addrs := []netip.Addr{at.Addr()}
	switch {
	case !at.Addr().IsUnspecified():
		if !slices.Contains(h.addrs, at.Addr()) {
			return bound{}, os.NewSyscallError("bind", syscall.EADDRNOTAVAIL)
		}
	case family == "":
		addrs = []netip.Addr{netip.IPv6Unspecified(), netip.IPv4Unspecified()}
	}
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	port := at.Port()
	if port == 0 {
		port = h.port(proto, addrs...)
	}
	b := bound{at: netip.AddrPortFrom(addrs[0], port)}
	for _, addr := range addrs {
		if h.taken(proto, netip.AddrPortFrom(addr, port)) {
			return bound{}, os.NewSyscallError("bind", syscall.EADDRINUSE)
		}
		b.endpoints = append(b.endpoints, endpoint{proto, netip.AddrPortFrom(addr, port)})
	}
	for _, e := range b.endpoints {
		h.sockets[e] = r
	}
	return b, nil
}

func (h *Host) release(b bound) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	for _, e := range b.endpoints {
		delete(h.sockets, e)
	}
}

// taken says that a socket has the address, or one of all addresses its port.
func (h *Host) taken(proto string, at netip.AddrPort) bool {
	for e := range h.sockets {
		if e.proto == proto && e.at.Port() == at.Port() && e.at.Addr().Is4() == at.Addr().Is4() &&
			(e.at == at || e.at.Addr().IsUnspecified() || at.Addr().IsUnspecified()) {
			return true
		}
	}
	return false
}

// port is the next one that is free at the addresses; the lock of the Net is held.
func (h *Host) port(proto string, addrs ...netip.Addr) uint16 {
	for {
		h.lastPort = max(h.lastPort+1, firstPort) // 65535 is followed by the first
		taken := func(a netip.Addr) bool { return h.taken(proto, netip.AddrPortFrom(a, h.lastPort)) }
		if !slices.ContainsFunc(addrs, taken) {
			return h.lastPort
		}
	}
}

// source is the address of the host from which to is reached; the error is syscall.ENETUNREACH.
func (h *Host) source(to netip.Addr) (netip.Addr, error) {
	h.net.mu.Lock()
	noRoute := h.net.noRoute[to]
	h.net.mu.Unlock()
	if slices.Contains(h.addrs, to) {
		return to, nil
	}
	for _, addr := range h.addrs {
		if addr.Is4() == to.Is4() && addr.IsLoopback() == to.IsLoopback() && !noRoute {
			return addr, nil
		}
	}
	return netip.Addr{}, syscall.ENETUNREACH
}

// parse reads a literal "IP:port" of the network's family.
func parse(network, addr string) (netip.AddrPort, error) {
	family, ok := strings.CutPrefix(network, "tcp")
	if !ok {
		family, ok = strings.CutPrefix(network, "udp")
	}
	if !ok || family != "" && family != "4" && family != "6" {
		return netip.AddrPort{}, net.UnknownNetworkError(network)
	}
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return netip.AddrPort{}, err
	}
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	if family == "4" && at.Addr().Is6() || family == "6" && at.Addr().Is4() {
		return netip.AddrPort{}, &net.AddrError{Err: "no suitable address", Addr: addr}
	}
	return at, nil
}

// anyHost fills in the address that means all addresses where addr is a port alone.
func anyHost(network, addr string) string {
	port, ok := strings.CutPrefix(addr, ":")
	if _, err := strconv.ParseUint(port, 10, 16); !ok || err != nil {
		return addr
	}
	if strings.HasSuffix(network, "4") {
		return "0.0.0.0:" + port
	}
	return "[::]:" + port
}

func isUDP(network string) bool { return strings.HasPrefix(network, "udp") }

func address(network string, at netip.AddrPort) net.Addr {
	if isUDP(network) {
		return net.UDPAddrFromAddrPort(at)
	}
	return net.TCPAddrFromAddrPort(at)
}

func wildcard(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}
