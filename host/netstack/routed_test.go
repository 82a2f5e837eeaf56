package netstack_test

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"scenario/fabric/soft"
	"scenario/fabric/soft/router"
	"scenario/host/hosttest"
	"scenario/host/netstack"
	"scenario/topology"
)

// mac is the MAC address of card n.
func mac(n byte) topology.MAC { return topology.MAC{2, 0, 0, 0, 1, n} }

// end is what is at one end of a cable.
type end struct {
	in      soft.Sink
	connect func(to soft.Sink)
}

func cable(a, b end) {
	a.connect(b.in)
	b.connect(a.in)
}

// newRouter makes a router with interfaces eth0, eth1… that have the addresses. routes are "destination gateway interface".
func newRouter(t *testing.T, s soft.Scheduler, n byte, interfaces [][]string, routes ...[3]string) *router.Router {
	t.Helper()
	node := &topology.Node{Name: "r"}
	for i, addrs := range interfaces {
		node.Interfaces = append(node.Interfaces, topology.Interface{
			Name: "eth" + string(rune('0'+i)), MAC: mac(n + byte(i)), MTU: 1500, Addresses: prefixes(addrs),
		})
	}
	for _, r := range routes {
		node.Routes = append(node.Routes, topology.Route{
			Destination: netip.MustParsePrefix(r[0]), Gateway: netip.MustParseAddr(r[1]), Interface: r[2],
		})
	}
	made, err := router.New(router.Options{Node: node, Scheduler: s})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func port(r *router.Router, name string) end {
	return end{r.Port(name), func(to soft.Sink) { r.Connect(name, to) }}
}

// newEnd makes a machine on a card of its own.
func newEnd(t *testing.T, n byte, addrs []string, routes ...[2]string) (*netstack.Machine, end) {
	t.Helper()
	card := soft.NewNIC(soft.NICOptions{MAC: mac(n), MTU: 1500, Resolve: true})
	opts := netstack.Options{
		Seed: uint64(n), Interfaces: []netstack.Interface{{Name: "eth0", Link: card, Addresses: prefixes(addrs)}},
	}
	for _, r := range routes {
		opts.Routes = append(opts.Routes, netstack.Route{
			Destination: netip.MustParsePrefix(r[0]), Gateway: netip.MustParseAddr(r[1]), Interface: "eth0",
		})
	}
	m, err := netstack.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m, end{card, card.Connect}
}

// routed is two machines with two routers between them, as in host/kernel's tests:
//
//	A 10.1.0.2 ── 10.1.0.1 R1 10.2.0.1 ── 10.2.0.2 R2 10.3.0.1 ── 10.3.0.2 B      (fd01::2 … fd03::2 likewise)
//
// R1 has a cable at 10.9.0.0/16 that leads nowhere, and sends what is for 10.7.0.0/16 in a circle with R2.
func routed(t *testing.T) (a, b *netstack.Machine) {
	t.Helper()
	s := soft.NewRealTime()
	t.Cleanup(s.Close) // after the machines
	a, endA := newEnd(t, 1, []string{"10.1.0.2/24", "fd01::2/64"}, [2]string{"10.0.0.0/8", "10.1.0.1"}, [2]string{"fd00::/8", "fd01::1"})
	b, endB := newEnd(t, 2, []string{"10.3.0.2/24", "fd03::2/64"}, [2]string{"10.0.0.0/8", "10.3.0.1"}, [2]string{"fd00::/8", "fd03::1"})
	r1 := newRouter(t, s, 10,
		[][]string{{"10.1.0.1/24", "fd01::1/64"}, {"10.2.0.1/24", "fd02::1/64"}, {"10.9.0.254/16", "fd09::254/64"}},
		[3]string{"10.3.0.0/24", "10.2.0.2", "eth1"}, [3]string{"fd03::/64", "fd02::2", "eth1"},
		[3]string{"10.7.0.0/16", "10.2.0.2", "eth1"}, [3]string{"fd07::/64", "fd02::2", "eth1"})
	r2 := newRouter(t, s, 20,
		[][]string{{"10.2.0.2/24", "fd02::2/64"}, {"10.3.0.1/24", "fd03::1/64"}},
		[3]string{"10.1.0.0/24", "10.2.0.1", "eth0"}, [3]string{"fd01::/64", "fd02::1", "eth0"},
		[3]string{"10.7.0.0/16", "10.2.0.1", "eth0"}, [3]string{"fd07::/64", "fd02::1", "eth0"})
	cable(endA, port(r1, "eth0"))
	cable(port(r1, "eth1"), port(r2, "eth0"))
	cable(port(r2, "eth1"), endB)
	r1.Connect("eth2", soft.SinkFunc(func(f soft.Frame) { f.Release() }))
	return a, b
}

// R3, R31
func TestConformanceOverRouters(t *testing.T) {
	addr := netip.MustParseAddr
	hosttest.Run(t, func(t *testing.T) hosttest.Pair {
		a, b := routed(t)
		return hosttest.Pair{
			A: a.Host(netstack.HostOptions{Seed: 1}),
			B: b.Host(netstack.HostOptions{Seed: 2}),
			V4: hosttest.Addresses{
				A: addr("10.1.0.2"), B: addr("10.3.0.2"),
				Path:        []netip.Addr{addr("10.1.0.1"), addr("10.2.0.2")},
				Silent:      addr("10.9.0.1"),
				Unreachable: addr("10.3.0.99"), UnreachableFrom: addr("10.2.0.2"),
				NoRoute: addr("192.0.2.1"),
			},
			V6: hosttest.Addresses{
				A: addr("fd01::2"), B: addr("fd03::2"),
				Path:        []netip.Addr{addr("fd01::1"), addr("fd02::2")},
				Silent:      addr("fd09::1"),
				Unreachable: addr("fd03::99"), UnreachableFrom: addr("fd02::2"),
				NoRoute: addr("2001:db8::1"),
			},
		}
	})
}

// On Linux a connection that is coming up ends with the first ICMP error about it: also where a packet's time has run out,
// or no router knows the network.
func TestDialEndsWithICMPErrors(t *testing.T) {
	a, _ := routed(t)
	h := a.Host(netstack.HostOptions{})
	for to, want := range map[string]error{
		"10.7.0.1:80":  syscall.EHOSTUNREACH,
		"[fd07::1]:80": syscall.EHOSTUNREACH,
		"10.66.0.1:80": syscall.ENETUNREACH,
		"[fd66::1]:80": syscall.ENETUNREACH,
	} {
		if _, err := h.Dial(t.Context(), "tcp", to); !errors.Is(err, want) {
			t.Errorf("dial %s: %v, want %v", to, err, want)
		}
	}
}
