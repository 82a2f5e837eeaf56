// Package hosttest is the conformance suite of [host.Host]: roles may rely on what it proves and on nothing else.
//
// [Run] takes two hosts that reach each other and puts every implementation through the same cases, for IPv4 and IPv6.
// What needs more than two hosts (routers between them, an address that swallows packets) is tested where the [Pair]
// offers it and skipped by name where it does not. [RunUnix] is the part of the suite that needs one host alone: Unix-domain
// sockets.
package hosttest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"scenario/host"
)

// Pair is two hosts that reach each other. They may be one machine under two addresses.
type Pair struct {
	A, B   host.Host
	V4, V6 Addresses // V6 is the zero value where the hosts have no IPv6
}

// Addresses is where the hosts of a [Pair] are for one address family, and what else there is around them.
type Addresses struct {
	A, B netip.Addr
	// Path has the routers between the hosts in the order in which a packet from A meets them, by the addresses from
	// which they send ICMP errors to A. Optional.
	Path []netip.Addr
	// Silent is an address to which A's packets vanish without a word. Optional.
	Silent netip.Addr
	// Unreachable is an address of which the router named by UnreachableFrom says that it cannot be reached. Optional.
	Unreachable, UnreachableFrom netip.Addr
	// NoRoute is an address to which A has no route. Optional.
	NoRoute netip.Addr
	// Absent is an address that neither host has.
	Absent netip.Addr
}

// family is one case's view of a Pair: one address family.
type family struct {
	Addresses
	tcp, udp string // the networks that name this family
	loopback netip.Addr
}

func (f family) listenAddr(a netip.Addr) string { return netip.AddrPortFrom(a, 0).String() }

// limit ends a case that hangs; nothing waits for it in a run that passes.
const limit = 30 * time.Second

// Run puts the hosts that open makes through the suite. open is called once a case, and every time makes its hosts with
// the same seeds; it cleans up by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Pair) {
	cases := []struct {
		name string
		run  func(ctx context.Context, t *testing.T, p Pair, f family)
	}{
		{"TCP/Echo", tcpEcho},
		{"TCP/HalfClose", tcpHalfClose},
		{"TCP/Reset", tcpReset},
		{"TCP/Refused", tcpRefused},
		{"TCP/AddressInUse", tcpAddressInUse},
		{"TCP/AddressNotAvailable", tcpAddressNotAvailable},
		{"TCP/Unreachable", tcpUnreachable},
		{"TCP/NoRoute", tcpNoRoute},
		{"TCP/Deadlines", tcpDeadlines},
		{"TCP/DialCanceled", tcpDialCanceled},
		{"TCP/DialDeadline", tcpDialDeadline},
		{"TCP/CloseWakes", tcpCloseWakes},
		{"TCP/EphemeralPorts", tcpEphemeralPorts},
		{"TCP/Wildcard", tcpWildcard},
		{"TCP/LoopbackOnly", tcpLoopbackOnly},
		{"TCP/Backlog", tcpBacklog},
		{"TCP/Conn", tcpConn},
		{"UDP/Boundaries", udpBoundaries},
		{"UDP/Refused", udpRefused},
		{"UDP/AddressInUse", udpAddressInUse},
		{"UDP/Deadline", udpDeadline},
		{"UDP/CloseWakes", udpCloseWakes},
		{"Interfaces", interfaces},
		{"Ping/Other", pingOther},
		{"Ping/Itself", pingItself},
		{"Ping/Together", pingTogether},
		{"Ping/TimeExceeded", pingTimeExceeded},
		{"Ping/Unreachable", pingUnreachable},
		{"Ping/NoRoute", pingNoRoute},
		{"Ping/Deadline", pingDeadline},
		{"Ping/Canceled", pingCanceled},
	}
	for _, version := range []string{"IPv4", "IPv6"} {
		t.Run(version, func(t *testing.T) {
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) {
					p := open(t)
					f := familyOf(p, version)
					if !f.A.IsValid() {
						t.Skip("the hosts have no " + version)
					}
					ctx, cancel := context.WithTimeout(t.Context(), limit)
					defer cancel()
					c.run(ctx, t, p, f)
				})
			}
		})
	}
	t.Run("Names", func(t *testing.T) { namesRefused(t, open(t)) })
	t.Run("Rand", func(t *testing.T) { randRepeats(t, open) })
	t.Run("Storage", func(t *testing.T) { storage(t, open(t)) })
}

func familyOf(p Pair, version string) family {
	if version == "IPv4" {
		f := family{Addresses: p.V4, tcp: "tcp4", udp: "udp4", loopback: netip.AddrFrom4([4]byte{127, 0, 0, 1})}
		if !f.Absent.IsValid() {
			f.Absent = netip.AddrFrom4([4]byte{203, 0, 113, 250}) // RFC 5737
		}
		return f
	}
	f := family{Addresses: p.V6, tcp: "tcp6", udp: "udp6", loopback: netip.IPv6Loopback()}
	if !f.Absent.IsValid() {
		f.Absent = netip.MustParseAddr("2001:db8:dead::250") // RFC 3849
	}
	return f
}

// wantError fails the test unless err is target.
func wantError(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: error %v (%T), want one that is %v", what, err, err, target)
	}
}

// must fails the test at once when there is an error.
func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func listen(ctx context.Context, t *testing.T, h host.Host, network, addr string) net.Listener {
	t.Helper()
	l, err := h.Listen(ctx, network, addr)
	must(t, "listen", err)
	t.Cleanup(func() { l.Close() })
	return l
}

func listenPacket(ctx context.Context, t *testing.T, h host.Host, network, addr string) net.PacketConn {
	t.Helper()
	c, err := h.ListenPacket(ctx, network, addr)
	must(t, "listen", err)
	t.Cleanup(func() { c.Close() })
	return c
}

func dial(ctx context.Context, t *testing.T, h host.Host, network, addr string) net.Conn {
	t.Helper()
	c, err := h.Dial(ctx, network, addr)
	must(t, "dial", err)
	guard(t, c)
	return c
}

// accept returns the listener's next connection.
func accept(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	c, err := l.Accept()
	must(t, "accept", err)
	guard(t, c)
	return c
}

// guard closes the connection after the test and keeps it from hanging before.
func guard(t *testing.T, c net.Conn) {
	t.Cleanup(func() { c.Close() })
	must(t, "set deadline", c.SetDeadline(time.Now().Add(limit)))
}

// connect returns both ends of a TCP connection from A to B.
func connect(ctx context.Context, t *testing.T, p Pair, f family) (a, b net.Conn) {
	t.Helper()
	l := listen(ctx, t, p.B, f.tcp, f.listenAddr(f.B))
	a = dial(ctx, t, p.A, f.tcp, l.Addr().String())
	return a, accept(t, l)
}

// closedPort returns an address of B at which nothing listens any more.
func closedPort(ctx context.Context, t *testing.T, p Pair, f family) string {
	t.Helper()
	l := listen(ctx, t, p.B, f.tcp, f.listenAddr(f.B))
	must(t, "close", l.Close())
	return l.Addr().String()
}

// tcpConn is the standard suite for connections of package net.
func tcpConn(ctx context.Context, t *testing.T, p Pair, f family) {
	nettest.TestConn(t, func() (a, b net.Conn, stop func(), err error) {
		l, err := p.B.Listen(ctx, f.tcp, f.listenAddr(f.B))
		if err != nil {
			return nil, nil, nil, err
		}
		defer l.Close()
		if a, err = p.A.Dial(ctx, f.tcp, l.Addr().String()); err != nil {
			return nil, nil, nil, err
		}
		if b, err = l.Accept(); err != nil {
			a.Close()
			return nil, nil, nil, err
		}
		return a, b, func() { a.Close(); b.Close() }, nil
	})
}

func interfaces(_ context.Context, t *testing.T, p Pair, f family) {
	for _, side := range []struct {
		name string
		host host.Host
		addr netip.Addr
	}{{"A", p.A, f.A}, {"B", p.B, f.B}} {
		list, err := side.host.Interfaces()
		must(t, "interfaces", err)
		var loopback, own bool
		for _, i := range list {
			if i.Name == "" || i.MTU <= 0 {
				t.Errorf("%s: interface without a name or MTU: %+v", side.name, i)
			}
			for _, prefix := range i.Addrs {
				loopback = loopback || prefix.Addr() == f.loopback
				own = own || prefix.Contains(side.addr)
			}
		}
		if !loopback || !own {
			t.Errorf("%s: %s or %s is on none of its interfaces %+v", side.name, f.loopback, side.addr, list)
		}
	}
}

func namesRefused(t *testing.T, p Pair) {
	ctx := t.Context()
	for _, addr := range []string{"localhost:80", "127.0.0.1:http", "127.0.0.1", "[::1", "127.0.0.1:65536", ""} {
		var lookup *net.DNSError
		c, err := p.A.Dial(ctx, "tcp", addr)
		if err == nil {
			c.Close()
		}
		if err == nil || errors.As(err, &lookup) {
			t.Errorf("dial %q: error %v, want a refusal without a lookup", addr, err)
		}
		l, err := p.A.Listen(ctx, "tcp", addr)
		if err == nil {
			l.Close()
		}
		if err == nil || errors.As(err, &lookup) {
			t.Errorf("listen on %q: error %v, want a refusal without a lookup", addr, err)
		}
		u, err := p.A.ListenPacket(ctx, "udp", addr)
		if err == nil {
			u.Close()
		}
		if err == nil || errors.As(err, &lookup) {
			t.Errorf("listen for packets on %q: error %v, want a refusal without a lookup", addr, err)
		}
	}
	if c, err := p.A.Dial(ctx, "ip4:icmp", "127.0.0.1:1"); err == nil {
		c.Close()
		t.Error("dial on network ip4:icmp: no error")
	}
}

func randRepeats(t *testing.T, open func(t *testing.T) Pair) {
	draw := func() (numbers [3]uint64) {
		h := open(t).A
		for i := range numbers {
			numbers[i] = h.Rand().Uint64()
		}
		return numbers
	}
	first, second := draw(), draw()
	if first != second {
		t.Errorf("the same seed gives %v, then %v", first, second)
	}
	if first[0] == first[1] || first[1] == first[2] {
		t.Errorf("sources of one host repeat each other: %v", first)
	}
}

func storage(t *testing.T, p Pair) {
	files, ok := p.A.(host.Storage)
	if !ok {
		t.Skip("the host has no Storage")
	}
	_, err := files.ReadFile("jar/cookies.json")
	wantError(t, "read before it is written", err, os.ErrNotExist)
	for _, text := range []string{"one", "", "two"} {
		data := []byte(text)
		must(t, "write", files.WriteFile("jar/cookies.json", data))
		clear(data) // the host keeps a copy
		got, err := files.ReadFile("jar/cookies.json")
		must(t, "read", err)
		if string(got) != text {
			t.Errorf("read %q, want %q", got, text)
		}
	}
	for _, name := range []string{"", "/etc/passwd", "../up", "a/../b", "a//b", "a/"} {
		if err := files.WriteFile(name, nil); err == nil {
			t.Errorf("write %q: no error", name)
		}
		if _, err := files.ReadFile(name); err == nil {
			t.Errorf("read %q: no error", name)
		}
	}
}

// readAll reads to the end of the stream.
func readAll(t *testing.T, c net.Conn) string {
	t.Helper()
	data, err := io.ReadAll(c)
	must(t, "read", err)
	return string(data)
}
