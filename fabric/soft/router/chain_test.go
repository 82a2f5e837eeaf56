package router_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"scenario/fabric/link"
	"scenario/fabric/soft"
	"scenario/fabric/soft/router"
	"scenario/host"
	"scenario/host/netstack"
	"scenario/topology"
)

// chain is two hosts with routers between them, and the own stack of the middle one:
//
//	A 10.0.0.9 ── 10.0.0.1 R0 10.1.0.2 ── 10.1.0.1 R1 10.2.0.2 ── … ── 10.N.0.9 B      (fd00:0:0:N::9 likewise)
type chain struct {
	a, b, middle *netstack.Machine
}

const inTheMiddle = 2

func subnets(n, host int) []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix(fmt.Sprintf("10.%d.0.%d/24", n, host)),
		netip.MustParsePrefix(fmt.Sprintf("fd00:0:0:%d::%d/64", n, host)),
	}
}

// newChain makes the chain. wire makes each direction of each link, mtu says how much a link takes.
func newChain(t testing.TB, s soft.Scheduler, routers int, mtu func(n int) int, wire func(to soft.Sink) soft.Sink) *chain {
	t.Helper()
	ends := make([][2]end, routers+1) // of the links: left and right
	c := &chain{}
	c.a, ends[0][0] = newHost(t, 1, mtu(0), subnets(0, 9), "10.0.0.1", "fd00::1")
	c.b, ends[routers][1] = newHost(t, 2, mtu(routers), subnets(routers, 9),
		fmt.Sprintf("10.%d.0.2", routers), fmt.Sprintf("fd00:0:0:%d::2", routers))
	for i := range routers {
		node := &topology.Node{Name: fmt.Sprintf("r%d", i), Interfaces: []topology.Interface{
			{Name: "eth0", MAC: mac(byte(10 + 2*i)), MTU: mtu(i), Addresses: subnets(i, 1)},
			{Name: "eth1", MAC: mac(byte(11 + 2*i)), MTU: mtu(i + 1), Addresses: subnets(i+1, 2)},
		}}
		for n := range routers + 1 {
			switch {
			case n < i:
				node.Routes = append(node.Routes,
					via(fmt.Sprintf("10.%d.0.0/24", n), fmt.Sprintf("10.%d.0.2", i), "eth0"),
					via(fmt.Sprintf("fd00:0:0:%d::/64", n), fmt.Sprintf("fd00:0:0:%d::2", i), "eth0"))
			case n > i+1:
				node.Routes = append(node.Routes,
					via(fmt.Sprintf("10.%d.0.0/24", n), fmt.Sprintf("10.%d.0.1", i+1), "eth1"),
					via(fmt.Sprintf("fd00:0:0:%d::/64", n), fmt.Sprintf("fd00:0:0:%d::1", i+1), "eth1"))
			}
		}
		r, err := router.New(router.Options{Node: node, Scheduler: s})
		if err != nil {
			t.Fatal(err)
		}
		if i == inTheMiddle {
			c.middle = newOwn(t, r, node)
		}
		ends[i][1] = end{r.Port("eth0"), func(to soft.Sink) { r.Connect("eth0", to) }}
		ends[i+1][0] = end{r.Port("eth1"), func(to soft.Sink) { r.Connect("eth1", to) }}
	}
	for _, e := range ends {
		e[0].connect(wire(e[1].in))
		e[1].connect(wire(e[0].in))
	}
	return c
}

// end is what is at one end of a link.
type end struct {
	in      soft.Sink
	connect func(to soft.Sink)
}

func newHost(t testing.TB, n byte, mtu int, addresses []netip.Prefix, gateways ...string) (*netstack.Machine, end) {
	t.Helper()
	card := soft.NewNIC(soft.NICOptions{MAC: mac(n), MTU: mtu, Resolve: true})
	o := netstack.Options{Seed: uint64(n), Interfaces: []netstack.Interface{{Name: "eth0", Link: card, Addresses: addresses}}}
	for i, destination := range []string{"0.0.0.0/0", "::/0"} {
		o.Routes = append(o.Routes, netstack.Route{
			Destination: netip.MustParsePrefix(destination), Gateway: netip.MustParseAddr(gateways[i]), Interface: "eth0",
		})
	}
	return newMachine(t, o), end{card, card.Connect}
}

// newOwn makes a router's own stack.
func newOwn(t testing.TB, r *router.Router, node *topology.Node) *netstack.Machine {
	t.Helper()
	o := netstack.Options{Seed: 3}
	for _, i := range node.Interfaces {
		card := soft.NewNIC(soft.NICOptions{MAC: i.MAC, MTU: i.MTU})
		card.Connect(r.Local(i.Name))
		r.ConnectLocal(i.Name, card)
		o.Interfaces = append(o.Interfaces, netstack.Interface{Name: i.Name, Link: card, Addresses: i.Addresses})
	}
	for _, route := range node.Routes {
		o.Routes = append(o.Routes, netstack.Route(route))
	}
	for _, i := range node.Interfaces {
		for _, all := range []string{"0.0.0.0/0", "::/0"} {
			o.Routes = append(o.Routes, netstack.Route{Destination: netip.MustParsePrefix(all), Interface: i.Name})
		}
	}
	return newMachine(t, o)
}

func newMachine(t testing.TB, o netstack.Options) *netstack.Machine {
	t.Helper()
	m, err := netstack.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func clean(to soft.Sink) soft.Sink { return to }

func everywhere(mtu int) func(int) int { return func(int) int { return mtu } }

// narrowing is an MTU that is smaller on each link.
func narrowing(n int) int { return 1500 - 40*n }

func newTestChain(t *testing.T, mtu func(int) int) *chain {
	s := soft.NewRealTime()
	t.Cleanup(s.Close)
	return newChain(t, s, 5, mtu, clean)
}

func as(m *netstack.Machine) *netstack.Host { return m.Host(netstack.HostOptions{Seed: 1}) }

// transfer sends data by TCP to a listener that sends it back.
func transfer(t *testing.T, from, to host.Host, at string, size int) {
	t.Helper()
	l, err := to.Listen(t.Context(), "tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.Copy(c, c)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := from.Dial(ctx, "tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sent := []byte(data(size))
	go func() {
		_, _ = c.Write(sent)
		_ = c.(interface{ CloseWrite() error }).CloseWrite()
	}()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes of %d came back: %v", len(got), size, err)
	}
}

// datagram sends one UDP packet and has it sent back.
func datagram(t *testing.T, from, to host.Host, at string, size int) {
	t.Helper()
	server, err := to.ListenPacket(t.Context(), "udp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		b := make([]byte, 1<<16)
		for {
			n, peer, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(b[:n], peer)
		}
	}()
	c, err := from.Dial(t.Context(), "udp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sent, got := []byte(data(size)), make([]byte, 1<<16)
	if _, err := c.Write(sent); err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if n, err := c.Read(got); err != nil || !bytes.Equal(got[:n], sent) {
		t.Errorf("%d bytes of %d came back: %v", n, size, err)
	}
}

// TestFiveRouters has two hosts talk across five routers. R31
func TestFiveRouters(t *testing.T) {
	for name, mtu := range map[string]func(int) int{"even": everywhere(1500), "narrowing": narrowing} {
		t.Run(name, func(t *testing.T) {
			c := newTestChain(t, mtu)
			for _, to := range []string{"10.5.0.9:%d", "[fd00:0:0:5::9]:%d"} {
				transfer(t, as(c.a), as(c.b), fmt.Sprintf(to, 80), 3<<20)
				if name == "even" || to[0] != '[' { // UDP over IPv6 is its sender's to cut, who would have to know the path
					datagram(t, as(c.a), as(c.b), fmt.Sprintf(to, 53), 4000)
				}
			}
		})
	}
}

// R31
func TestTraceroute(t *testing.T) {
	c := newTestChain(t, everywhere(1500))
	for target, hops := range map[string][]string{
		"10.5.0.9":      {"10.0.0.1", "10.1.0.1", "10.2.0.1", "10.3.0.1", "10.4.0.1", "10.5.0.9"},
		"fd00:0:0:5::9": {"fd00::1", "fd00:0:0:1::1", "fd00:0:0:2::1", "fd00:0:0:3::1", "fd00:0:0:4::1", "fd00:0:0:5::9"},
	} {
		for i, hop := range hops {
			kind := host.TimeExceeded
			if i == len(hops)-1 {
				kind = host.EchoReply
			}
			pong, err := as(c.a).Ping(t.Context(), host.Echo{To: netip.MustParseAddr(target), TTL: i + 1, Sequence: uint16(i)})
			if err != nil || pong.From.String() != hop || pong.Kind != kind {
				t.Errorf("%s, hop %d: %v from %s, %v; want %s from %s", target, i+1, pong.Kind, pong.From, err, kind, hop)
			}
		}
	}
}

// TestRoutersOwnStack has a router be a host itself: asked by any of its addresses, and asking.
func TestRoutersOwnStack(t *testing.T) {
	c := newTestChain(t, everywhere(1500))
	for _, to := range []string{"10.2.0.1:80", "10.3.0.2:80", "[fd00:0:0:2::1]:80", "[fd00:0:0:3::2]:80"} {
		transfer(t, as(c.a), as(c.middle), to, 1<<20)
	}
	transfer(t, as(c.middle), as(c.b), "10.5.0.9:80", 1<<20)
	transfer(t, as(c.middle), as(c.a), "[fd00:0:0:0::9]:80", 1<<20)
	for _, to := range []string{"10.3.0.2", "10.5.0.9", "fd00::9"} {
		if pong, err := as(c.middle).Ping(t.Context(), host.Echo{To: netip.MustParseAddr(to)}); err != nil || pong.Kind != host.EchoReply {
			t.Errorf("ping %s: %v, %v", to, pong, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := as(c.middle).Dial(ctx, "tcp", "10.3.0.77:80"); !errors.Is(err, syscall.EHOSTUNREACH) {
		t.Errorf("dial a host that is not there: %v", err)
	}
}

// BenchmarkFiveRouters compares one TCP transfer with the kernel's loopback in the same run.
func BenchmarkFiveRouters(b *testing.B) {
	s := soft.NewRealTime()
	b.Cleanup(s.Close)
	cut := func(to soft.Sink) soft.Sink {
		w := soft.NewWire(soft.WireOptions{MTU: 1500, Scheduler: s, To: to})
		w.Shape(link.New(link.Settings{}, 1))
		return w
	}
	super, frames := newChain(b, s, 5, everywhere(1500), clean), newChain(b, s, 5, everywhere(1500), cut)
	overChain := func(c *chain) (dial dialer, listen listener) { return as(c.a).Dial, as(c.b).Listen }
	var rates [3][]float64
	for b.Loop() {
		for range 5 {
			rates[0] = append(rates[0], bulk(b, kernelDial, kernelListen, "127.0.0.1:0", 2<<30))
			dial, listen := overChain(super)
			rates[1] = append(rates[1], bulk(b, dial, listen, "10.5.0.9:80", 2<<30))
			dial, listen = overChain(frames)
			rates[2] = append(rates[2], bulk(b, dial, listen, "10.5.0.9:80", 1<<29))
		}
	}
	loopback := median(rates[0])
	b.ReportMetric(loopback, "loopback-Gbit/s")
	b.ReportMetric(median(rates[1]), "super-Gbit/s")
	b.ReportMetric(median(rates[1])/loopback, "super/loopback")
	b.ReportMetric(median(rates[2]), "frames-Gbit/s")
	b.ReportMetric(median(rates[2])/loopback, "frames/loopback")
}

// TestManySenders has packets of many connections to many neighbours, known and not, go through a router at once.
func TestManySenders(t *testing.T) {
	s := soft.NewRealTime()
	t.Cleanup(s.Close)
	r, err := router.New(router.Options{Node: home(), Scheduler: s})
	if err != nil {
		t.Fatal(err)
	}
	var left atomic.Int64
	count := soft.SinkFunc(func(f soft.Frame) { left.Add(1); f.Release() })
	r.Connect("eth0", count)
	r.Connect("eth1", count)
	r.ConnectLocal("eth1", count)
	l := &lab{Router: r, t: t}
	var senders sync.WaitGroup
	for sender := range byte(4) {
		senders.Go(func() {
			for n := range uint16(500) {
				to := fmt.Sprintf("10.2.0.%d", 10+n%20)
				l.enter("eth0", 1, ip4(fmt.Sprintf("10.1.0.%d", 5+sender), to, 17), udp(1000+n, 53))
				if n%100 == 99 {
					l.answerARP("eth1", 2, to)
				}
			}
		})
	}
	senders.Wait()
	if left.Load() == 0 {
		t.Error("nothing was sent")
	}
}
