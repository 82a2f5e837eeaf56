package netstack_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"scenario/fabric/soft"
	"scenario/host"
	"scenario/host/hosttest"
	"scenario/host/netstack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cards makes network cards on one switch.
type cards struct {
	network *soft.Switch
	made    uint32
}

func newCards() *cards { return &cards{network: soft.NewSwitch()} }

func (c *cards) card(opts soft.NICOptions) *soft.NIC {
	c.made++
	opts.MAC = [6]byte{2}
	binary.BigEndian.PutUint32(opts.MAC[2:], c.made)
	opts.MTU, opts.Resolve = 1500, true
	nic := soft.NewNIC(opts)
	nic.Connect(c.network.Attach(nic))
	return nic
}

// machine makes a machine with one card that has the addresses.
func (c *cards) machine(t testing.TB, seed uint64, addrs ...string) *netstack.Machine {
	t.Helper()
	m, err := netstack.New(netstack.Options{
		Seed:       seed,
		Interfaces: []netstack.Interface{{Name: "eth0", Link: c.card(soft.NICOptions{}), Addresses: prefixes(addrs)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func prefixes(texts []string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// Two machines on a switch. R3
func TestConformance(t *testing.T) {
	addr := netip.MustParseAddr
	hosttest.Run(t, func(t *testing.T) hosttest.Pair {
		c := newCards()
		return hosttest.Pair{
			A: c.machine(t, 1, "10.0.0.1/24", "fd00::1/64").Host(netstack.HostOptions{Seed: 1}),
			B: c.machine(t, 2, "10.0.0.2/24", "fd00::2/64").Host(netstack.HostOptions{Seed: 2}),
			V4: hosttest.Addresses{
				A: addr("10.0.0.1"), B: addr("10.0.0.2"),
				Unreachable: addr("10.0.0.99"), UnreachableFrom: addr("10.0.0.1"),
				NoRoute: addr("192.0.2.1"),
			},
			V6: hosttest.Addresses{
				A: addr("fd00::1"), B: addr("fd00::2"),
				Unreachable: addr("fd00::99"), UnreachableFrom: addr("fd00::1"),
				NoRoute: addr("2001:db8::1"),
			},
		}
	})
}

// Several roles share one machine: its ports, but not their randomness.
func TestRolesShareAMachine(t *testing.T) {
	m := newCards().machine(t, 1, "10.0.0.1/24")
	web, dns := m.Host(netstack.HostOptions{Seed: 1}), m.Host(netstack.HostOptions{Seed: 2})
	if web.Rand().Uint64() == dns.Rand().Uint64() {
		t.Error("two roles have the same randomness")
	}
	l, err := web.Listen(t.Context(), "tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dns.Listen(t.Context(), "tcp", "10.0.0.1:80"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listen on the other role's port: %v", err)
	}
	c, err := dns.Dial(t.Context(), "tcp", "127.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	local, err := netip.ParseAddrPort(c.LocalAddr().String())
	if err != nil || local.Port() < 32768 || local.Port() > 60999 {
		t.Errorf("the client's port is that of %s (%v)", c.LocalAddr(), err)
	}
	// The port is free again while connections to it live on.
	if _, err := l.Accept(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := dns.Listen(t.Context(), "tcp", ":80"); err != nil {
		t.Errorf("listen when the other role has closed its listener: %v", err)
	}
}

// A machine without IPv6 addresses has no IPv6, and says so as Linux does without any.
func TestIPv4Only(t *testing.T) {
	h := newCards().machine(t, 1, "10.0.0.1/24").Host(netstack.HostOptions{})
	if _, err := h.Dial(t.Context(), "tcp", "[fd00::1]:80"); !errors.Is(err, syscall.ENETUNREACH) {
		t.Errorf("dial: %v", err)
	}
	if _, err := h.Dial(t.Context(), "udp", "[fd00::1]:80"); !errors.Is(err, syscall.ENETUNREACH) {
		t.Errorf("dial by UDP: %v", err)
	}
	if _, err := h.Listen(t.Context(), "tcp", "[::1]:80"); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("listen: %v", err)
	}
	for _, at := range []string{":80", "[::]:81"} {
		if _, err := h.Listen(t.Context(), "tcp", at); err != nil {
			t.Errorf("listen on all addresses: %v", err)
		}
	}
}

// R25
func TestUnixSockets(t *testing.T) {
	hosttest.RunUnix(t, func(t *testing.T) hosttest.UnixHost {
		return hosttest.UnixHost{Host: newCards().machine(t, 1, "10.0.0.1/24").Host(netstack.HostOptions{}), Folder: "/run"}
	})
}

// What package net's connections can be told, these can.
func TestOptions(t *testing.T) {
	s := script{t, newCards().machine(t, 1, "10.0.0.1/24").Host(netstack.HostOptions{})}
	c, _ := s.pair()
	options := c.(interface {
		SetNoDelay(bool) error
		SetKeepAlive(bool) error
		SetKeepAlivePeriod(time.Duration) error
		SetKeepAliveConfig(net.KeepAliveConfig) error
		SetLinger(int) error
	})
	s.must(options.SetNoDelay(false))
	s.must(options.SetKeepAlive(false))
	s.must(options.SetKeepAlivePeriod(time.Minute))
	s.must(options.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: -1, Interval: time.Second, Count: 3}))
	s.must(options.SetLinger(-1))
}

// Datagrams larger than a packet arrive in one piece.
func TestLargeDatagrams(t *testing.T) {
	cards := newCards()
	a := cards.machine(t, 1, "10.0.0.1/24", "fd00::1/64").Host(netstack.HostOptions{})
	b := cards.machine(t, 2, "10.0.0.2/24", "fd00::2/64").Host(netstack.HostOptions{})
	server, err := b.ListenPacket(t.Context(), "udp", ":53")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for _, to := range []string{"10.0.0.2:53", "[fd00::2]:53"} {
		c, err := a.Dial(t.Context(), "udp", to)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, size := range []int{1452, 1473, 9000, 60000} {
			sent, got := bytes.Repeat([]byte{byte(size)}, size), make([]byte, 65536)
			if _, err := c.Write(sent); err != nil {
				t.Fatal(err)
			}
			n, _, err := server.ReadFrom(got)
			if err != nil || !bytes.Equal(got[:n], sent) {
				t.Errorf("%s: %d bytes of %d, %v", to, n, size, err)
			}
		}
	}
}

// What cannot be made is an error that names it, and leaves nothing behind.
func TestMistakes(t *testing.T) {
	cards := newCards()
	for name, opts := range map[string]netstack.Options{
		"two of a name": {Interfaces: []netstack.Interface{
			{Name: "eth0", Link: cards.card(soft.NICOptions{})}, {Name: "eth0", Link: cards.card(soft.NICOptions{})},
		}},
		"a route without its interface": {Routes: []netstack.Route{{
			Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("10.0.0.1"), Interface: "eth7",
		}}},
	} {
		if _, err := netstack.New(opts); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A machine is closed in the middle of all that it does, and all that waits is woken.
func TestCloseUnderTraffic(t *testing.T) {
	for range 3 {
		cards := newCards()
		a, b := cards.machine(t, 1, "10.0.0.1/24", "fd00::1/64"), cards.machine(t, 2, "10.0.0.2/24", "fd00::2/64")
		h := a.Host(netstack.HostOptions{})
		echo(t, b.Host(netstack.HostOptions{}), ":7")
		var clients sync.WaitGroup
		for i := range 8 {
			clients.Go(func() {
				to := []string{"10.0.0.2:7", "[fd00::2]:7"}[i%2]
				for {
					c, err := h.Dial(t.Context(), "tcp", to)
					if err != nil {
						return
					}
					go func() { _, _ = io.Copy(io.Discard, c) }()
					for err == nil && i < 4 {
						_, err = c.Write(make([]byte, 100_000))
					}
					_ = c.Close()
				}
			})
		}
		clients.Go(func() {
			for {
				if _, err := h.Ping(t.Context(), host.Echo{To: netip.MustParseAddr("10.0.0.2")}); err != nil {
					return
				}
			}
		})
		for range 20 {
			if _, err := h.Ping(t.Context(), host.Echo{To: netip.MustParseAddr("fd00::2")}); err != nil {
				t.Fatal(err)
			}
		}
		var closing sync.WaitGroup
		closing.Go(a.Close)
		closing.Go(b.Close)
		closing.Wait()
		clients.Wait()
	}
}
