// Package pipehost has hosts whose TCP connections are in-memory pipes, for tests of roles in virtual time
// (testing/synctest).
//
// A pipe has no buffer: a write returns when the other end has read it, so a peer that does not read is seen at once. There
// is no UDP, no half close, and no reset.
package pipehost

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"

	"scenario/host"
)

// Net is what joins the hosts.
type Net struct {
	mu        sync.Mutex
	hosts     map[netip.Addr]bool
	listeners map[netip.AddrPort]*listener
	silent    map[netip.Addr]bool
}

// New returns a network without hosts.
func New() *Net {
	return &Net{
		hosts:     make(map[netip.Addr]bool),
		listeners: make(map[netip.AddrPort]*listener),
		silent:    make(map[netip.Addr]bool),
	}
}

// Silence has connections to addr neither made nor refused.
func (n *Net) Silence(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.silent[netip.MustParseAddr(addr)] = true
}

// Host adds a host with an address; log may be nil.
func (n *Net) Host(addr string, log *slog.Logger) *Host {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	h := &Host{net: n, addr: netip.MustParseAddr(addr), log: log}
	h.port.Store(49151)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[h.addr] = true
	return h
}

// Host is one host of a [Net].
type Host struct {
	net     *Net
	addr    netip.Addr
	log     *slog.Logger
	port    atomic.Uint32 // the last that was given to a client
	sources atomic.Uint64
}

var _ host.Host = (*Host)(nil)

// Dial implements [host.Host] for tcp.
func (h *Host) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	local := net.TCPAddrFromAddrPort(netip.AddrPortFrom(h.addr, uint16(h.port.Add(1))))
	remote := net.TCPAddrFromAddrPort(to)
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: remote, Err: err}
	}
	h.net.mu.Lock()
	l, silent, known := h.net.listeners[to], h.net.silent[to.Addr()], h.net.hosts[to.Addr()]
	h.net.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return fail(ctx.Err())
	case silent:
		<-ctx.Done()
		return fail(ctx.Err())
	case !known:
		return fail(syscall.EHOSTUNREACH)
	case l == nil:
		return fail(syscall.ECONNREFUSED)
	}
	near, far := net.Pipe()
	select {
	case l.backlog <- &conn{Conn: far, local: remote, remote: local}:
		return &conn{Conn: near, local: local, remote: remote}, nil
	case <-l.closed:
		return fail(syscall.ECONNREFUSED)
	case <-ctx.Done():
		return fail(ctx.Err())
	}
}

// Listen implements [host.Host] for tcp; an empty IP is the host's address.
func (h *Host) Listen(_ context.Context, network, addr string) (net.Listener, error) {
	ip, port, err := net.SplitHostPort(addr)
	if err == nil && ip == "" {
		addr = net.JoinHostPort(h.addr.String(), port)
	}
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	l := &listener{net: h.net, at: at, backlog: make(chan net.Conn), closed: make(chan struct{})}
	fail := func(err error) (net.Listener, error) {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: l.Addr(), Err: err}
	}
	if at.Addr() != h.addr {
		return fail(syscall.EADDRNOTAVAIL)
	}
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if h.net.listeners[at] != nil {
		return fail(syscall.EADDRINUSE)
	}
	h.net.listeners[at] = l
	return l, nil
}

// ListenPacket implements [host.Host]: there is no UDP.
func (h *Host) ListenPacket(context.Context, string, string) (net.PacketConn, error) {
	return nil, errors.ErrUnsupported
}

// Interfaces implements [host.Host].
func (h *Host) Interfaces() ([]host.Interface, error) {
	return []host.Interface{{Name: "eth0", MTU: 1500, Addrs: []netip.Prefix{netip.PrefixFrom(h.addr, 24)}}}, nil
}

// Rand implements [host.Host].
func (h *Host) Rand() rand.Source { return rand.NewPCG(0, h.sources.Add(1)) }

// Log implements [host.Host].
func (h *Host) Log() *slog.Logger { return h.log }

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
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
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

// conn gives one end of a pipe its addresses and the errors of a socket.
type conn struct {
	net.Conn
	local, remote net.Addr
	closed        atomic.Bool
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, c.translate(err)
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, c.translate(err)
}

func (c *conn) Close() error {
	c.closed.Store(true)
	return c.Conn.Close()
}

func (c *conn) translate(err error) error {
	switch {
	case !errors.Is(err, io.ErrClosedPipe):
		return err
	case c.closed.Load():
		return net.ErrClosed
	}
	return syscall.EPIPE
}
