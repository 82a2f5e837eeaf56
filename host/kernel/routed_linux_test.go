package kernel_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"go.uber.org/goleak"

	"scenario/host"
	"scenario/host/hosttest"
	"scenario/host/kernel"
	"scenario/internal/needs"
)

// Two machines with two routers between them, each in a network namespace of its own:
//
//	A 10.1.0.2 ── 10.1.0.1 R1 10.2.0.1 ── 10.2.0.2 R2 10.3.0.1 ── 10.3.0.2 B      (fd01::2 … fd03::2 likewise)
//
// R3, R31
func TestConformanceOverRouters(t *testing.T) {
	needs.Root(t)
	a, r1 := newNamespace(t, "a"), newNamespace(t, "r1")
	r2, b := newNamespace(t, "r2"), newNamespace(t, "b")
	cable(t, a, "10.1.0.2/24", "fd01::2/64", r1, "10.1.0.1/24", "fd01::1/64")
	cable(t, r1, "10.2.0.1/24", "fd02::1/64", r2, "10.2.0.2/24", "fd02::2/64")
	cable(t, r2, "10.3.0.1/24", "fd03::1/64", b, "10.3.0.2/24", "fd03::2/64")
	for _, r := range []namespace{r1, r2} {
		r.sysctl(t, "ipv4/ip_forward", "1")
		r.sysctl(t, "ipv6/conf/all/forwarding", "1")
		r.sysctl(t, "ipv4/icmp_ratelimit", "0")
		r.sysctl(t, "ipv6/icmp/ratelimit", "0")
	}
	// R2 gives up soon on a neighbour that does not answer, and says so.
	r2.sysctl(t, "ipv4/neigh/to-"+b.name+"/retrans_time_ms", "10")
	r2.sysctl(t, "ipv6/neigh/to-"+b.name+"/retrans_time_ms", "10")
	for _, route := range []struct {
		at      namespace
		to, via string
	}{
		{a, "10.0.0.0/8", "10.1.0.1"}, {a, "fd00::/8", "fd01::1"},
		{b, "10.0.0.0/8", "10.3.0.1"}, {b, "fd00::/8", "fd03::1"},
		{r1, "10.3.0.0/24", "10.2.0.2"}, {r1, "fd03::/64", "fd02::2"},
		{r2, "10.1.0.0/24", "10.2.0.1"}, {r2, "fd01::/64", "fd02::1"},
		{r1, "10.9.0.0/16", ""}, {r1, "fd09::/64", ""},
	} {
		route.at.route(t, route.to, route.via)
	}
	for _, end := range []namespace{a, b} {
		end.sysctl(t, "ipv4/ping_group_range", "0 2147483647")
	}

	addr := netip.MustParseAddr
	hosttest.Run(t, func(*testing.T) hosttest.Pair {
		return hosttest.Pair{
			A: nsHost{kernel.New(kernel.Options{Seed: 1}), a},
			B: nsHost{kernel.New(kernel.Options{Seed: 2}), b},
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
	t.Run("PingLeavesNothing", func(t *testing.T) { pingLeavesNothing(t, nsHost{kernel.New(kernel.Options{}), a}) })
}

// pingLeavesNothing: no descriptor and no goroutine outlives a Ping, however it ended.
func pingLeavesNothing(t *testing.T, h nsHost) {
	ignore := goleak.IgnoreCurrent()
	before := descriptors(t)
	for range 20 {
		if _, err := h.Ping(t.Context(), host.Echo{To: netip.MustParseAddr("10.3.0.2")}); err != nil {
			t.Error(err)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_, err := h.Ping(short, host.Echo{To: netip.MustParseAddr("10.9.0.1")})
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ping when nobody answers: %v", err)
		}
		if _, err := h.Ping(t.Context(), host.Echo{To: netip.MustParseAddr("192.0.2.1")}); err == nil {
			t.Error("ping without a route: no error")
		}
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors are open, %d were before", after, before)
	}
	goleak.VerifyNone(t, ignore)
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// namespace is a network namespace of the test's own. It ends with its last descriptor.
type namespace struct {
	handle netns.NsHandle
	name   string // of the interface that leads to it
}

func newNamespace(t *testing.T, name string) namespace {
	t.Helper()
	made := make(chan netns.NsHandle)
	go func() {
		runtime.LockOSThread() // and the thread ends with the goroutine
		handle, err := netns.New()
		if err == nil {
			err = up("lo")
		}
		if err != nil {
			t.Errorf("new network namespace: %v", err)
		}
		made <- handle
	}()
	handle := <-made
	if t.Failed() {
		t.FailNow()
	}
	t.Cleanup(func() { handle.Close() })
	return namespace{handle, name}
}

// do calls f on a thread in the namespace; sockets that f opens stay there.
func (n namespace) do(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and the thread ends with the goroutine
		if err := netns.Set(n.handle); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

func (n namespace) sysctl(t *testing.T, name, value string) {
	t.Helper()
	if err := n.do(func() error { return os.WriteFile("/proc/sys/net/"+name, []byte(value), 0) }); err != nil {
		t.Fatal(err)
	}
}

// route leads packets to a router, or without via into nothing.
func (n namespace) route(t *testing.T, to, via string) {
	t.Helper()
	err := n.do(func() error {
		dst, err := netlink.ParseIPNet(to)
		if err != nil {
			return err
		}
		r := &netlink.Route{Dst: dst, Gw: net.ParseIP(via)}
		if via == "" {
			r.Type = syscall.RTN_BLACKHOLE
		}
		return netlink.RouteAdd(r)
	})
	if err != nil {
		t.Fatalf("route to %s: %v", to, err)
	}
}

func up(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

// cable joins two namespaces by a veth pair; each end is named after the namespace that it leads to.
func cable(t *testing.T, x namespace, x4, x6 string, y namespace, y4, y6 string) {
	t.Helper()
	err := x.do(func() error {
		veth := &netlink.Veth{
			LinkAttrs:     netlink.LinkAttrs{Name: "to-" + y.name},
			PeerName:      "to-" + x.name,
			PeerNamespace: netlink.NsFd(y.handle),
		}
		return netlink.LinkAdd(veth)
	})
	if err != nil {
		t.Fatalf("veth pair: %v", err)
	}
	for _, end := range []struct {
		at, to namespace
		addrs  []string
	}{{x, y, []string{x4, x6}}, {y, x, []string{y4, y6}}} {
		err := end.at.do(func() error {
			link, err := netlink.LinkByName("to-" + end.to.name)
			if err != nil {
				return err
			}
			for _, text := range end.addrs {
				addr, err := netlink.ParseAddr(text)
				if err != nil {
					return err
				}
				addr.Flags = syscall.IFA_F_NODAD // usable at once
				if err := netlink.AddrAdd(link, addr); err != nil {
					return err
				}
			}
			return netlink.LinkSetUp(link)
		})
		if err != nil {
			t.Fatalf("end of a veth pair: %v", err)
		}
	}
}

// nsHost is a Host in another network namespace than the process's.
type nsHost struct {
	*kernel.Host
	ns namespace
}

func (h nsHost) Dial(ctx context.Context, network, addr string) (c net.Conn, err error) {
	err = h.ns.do(func() (err error) { c, err = h.Host.Dial(ctx, network, addr); return err })
	return c, err
}

func (h nsHost) Listen(ctx context.Context, network, addr string) (l net.Listener, err error) {
	err = h.ns.do(func() (err error) { l, err = h.Host.Listen(ctx, network, addr); return err })
	return l, err
}

func (h nsHost) ListenBacklog(ctx context.Context, network, addr string, backlog int) (l net.Listener, err error) {
	err = h.ns.do(func() (err error) { l, err = h.Host.ListenBacklog(ctx, network, addr, backlog); return err })
	return l, err
}

func (h nsHost) ListenPacket(ctx context.Context, network, addr string) (c net.PacketConn, err error) {
	err = h.ns.do(func() (err error) { c, err = h.Host.ListenPacket(ctx, network, addr); return err })
	return c, err
}

func (h nsHost) Interfaces() (list []host.Interface, err error) {
	err = h.ns.do(func() (err error) { list, err = h.Host.Interfaces(); return err })
	return list, err
}

func (h nsHost) Ping(ctx context.Context, echo host.Echo) (pong host.Pong, err error) {
	err = h.ns.do(func() (err error) { pong, err = h.Host.Ping(ctx, echo); return err })
	return pong, err
}
