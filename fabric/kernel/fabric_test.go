//go:build linux

package kernel

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"scenario/internal/needs"
	"scenario/topology"
)

// The network of these tests:
//
//	laptop ─ home ─ router (masquerades) ─ outside ─ server
//	                   └─ office (internal) ─ printer
func testPlan() *topology.Plan {
	return &topology.Plan{
		Networks: []topology.Network{{Name: "home"}, {Name: "outside"}, {Name: "office", Internal: true}},
		Nodes: []topology.Node{
			{
				Name:       "laptop",
				Interfaces: []topology.Interface{itf(0, "home", 1, "192.168.1.10/24", "fd00:1::10/64")},
				Routes:     []topology.Route{route("0.0.0.0/0", "192.168.1.1"), route("::/0", "fd00:1::1")},
			},
			{
				Name: "router",
				Interfaces: []topology.Interface{
					itf(0, "home", 2, "192.168.1.1/24", "fd00:1::1/64"),
					itf(1, "outside", 3, "198.51.100.1/24", "2001:db8::1/64"),
					itf(2, "office", 4, "10.9.0.1/24"),
				},
				Router: &topology.Router{
					Masquerade: []topology.Masquerade{{Interface: "eth1"}},
					Forwards:   []topology.PortForward{{Interface: "eth1", Protocol: "tcp", Port: 8080, To: netip.MustParseAddrPort("192.168.1.10:80")}},
					Isolated:   []string{"eth2"},
				},
			},
			{
				Name:       "server",
				Interfaces: []topology.Interface{itf(0, "outside", 5, "198.51.100.80/24", "2001:db8::80/64")},
				// The way back inside exists, so only the router's rules keep strangers out.
				Routes: []topology.Route{route("192.168.1.0/24", "198.51.100.1"), route("fd00:1::/64", "2001:db8::1")},
				Drop:   []topology.Filter{{Protocol: "tcp", Port: 81}},
			},
			{
				Name:       "printer",
				Interfaces: []topology.Interface{itf(0, "office", 6, "10.9.0.9/24")},
				Routes:     []topology.Route{route("0.0.0.0/0", "10.9.0.1")},
			},
		},
	}
}

func itf(index int, network string, mac byte, addresses ...string) topology.Interface {
	i := topology.Interface{Name: fmt.Sprintf("eth%d", index), Network: network, MAC: topology.MAC{2, 0, 0, 0, 0, mac}, MTU: 1500}
	for _, a := range addresses {
		i.Addresses = append(i.Addresses, netip.MustParsePrefix(a))
	}
	return i
}

func route(to, by string) topology.Route {
	return topology.Route{Destination: netip.MustParsePrefix(to), Gateway: netip.MustParseAddr(by), Interface: "eth0"}
}

// R29, R30 (port forward), R34, R35: one wired network, looked at from each node.
func TestWire(t *testing.T) {
	nodes := wire(t, testPlan())

	t.Run("the server sees the router's address", func(t *testing.T) {
		seen := nodes["laptop"].dial(t, nodes["server"], "198.51.100.80:80")
		if want := "198.51.100.1"; seen.Addr().String() != want {
			t.Errorf("the server saw %s, want the router's %s", seen.Addr(), want)
		}
	})
	t.Run("IPv6 is routed as it is", func(t *testing.T) {
		seen := nodes["laptop"].dial(t, nodes["server"], "[2001:db8::80]:80")
		if want := "fd00:1::10"; seen.Addr().String() != want {
			t.Errorf("the server saw %s, want the laptop's %s", seen.Addr(), want)
		}
	})
	t.Run("a port forward leads in", func(t *testing.T) {
		seen := nodes["server"].dialTo(t, nodes["laptop"], "192.168.1.10:80", "198.51.100.1:8080")
		if want := "198.51.100.80"; seen.Addr().String() != want {
			t.Errorf("the laptop saw %s, want %s", seen.Addr(), want)
		}
	})
	t.Run("a port forward serves the inside too", func(t *testing.T) {
		seen := nodes["laptop"].dialTo(t, nodes["laptop"], "192.168.1.10:80", "198.51.100.1:8080")
		if want := "192.168.1.1"; seen.Addr().String() != want {
			t.Errorf("the laptop saw %s, want the router's %s", seen.Addr(), want)
		}
	})
	for _, silent := range []struct{ name, from, to, addr string }{
		{"nothing unasked comes in from outside", "server", "laptop", "192.168.1.10:80"},
		{"nor by IPv6", "server", "laptop", "[fd00:1::10]:80"},
		{"an internal network has no way out", "printer", "server", "198.51.100.80:80"},
		{"nor in", "laptop", "printer", "10.9.0.9:80"},
		{"what a node drops gets no answer", "laptop", "server", "198.51.100.80:81"},
	} {
		t.Run(silent.name, func(t *testing.T) {
			defer nodes[silent.to].listen(t, silent.addr).Close()
			_, err := nodes[silent.from].try(silent.addr, 300*time.Millisecond)
			var timeout net.Error
			if !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("connect to %s: %v, want a timeout", silent.addr, err)
			}
		})
	}
	t.Run("a closed port refuses", func(t *testing.T) {
		if _, err := nodes["laptop"].try("198.51.100.80:82", 5*time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("got %v, want ECONNREFUSED", err)
		}
	})
	t.Run("interfaces are what the plan says", func(t *testing.T) {
		nodes["router"].do(t, func() error {
			i, err := net.InterfaceByName("eth1")
			if err != nil {
				return err
			}
			if got := i.HardwareAddr.String(); got != "02:00:00:00:00:03" || i.MTU != 1500 {
				return fmt.Errorf("eth1 has %s, MTU %d", got, i.MTU)
			}
			return nil
		})
	})
}

func TestWireErrors(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*topology.Plan)
		want  string
	}{
		{"no such network", func(p *topology.Plan) { p.Nodes[0].Interfaces[0].Network = "moon" }, "node laptop: interface eth0: no such network: moon"},
		{"gateway not on the network", func(p *topology.Plan) { p.Nodes[0].Routes[0].Gateway = netip.MustParseAddr("10.0.0.1") }, "node laptop: route to 0.0.0.0/0 by 10.0.0.1"},
		{"address twice", func(p *topology.Plan) {
			i := &p.Nodes[0].Interfaces[0]
			i.Addresses = append(i.Addresses, i.Addresses[0])
		}, "node laptop: interface eth0: address 192.168.1.10/24"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			plan := testPlan()
			test.spoil(plan)
			fabric := newFabric(t)
			if err := fabric.AddNetworks(plan.Networks); err != nil {
				t.Fatal(err)
			}
			err := fabric.Wire(&plan.Nodes[0], newNamespace(t).file)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q in it", err, test.want)
			}
		})
	}
}

func TestOpenNamespaceRefusesOurs(t *testing.T) {
	if _, err := OpenNamespace(os.Getpid()); !errors.Is(err, ErrSameNamespace) {
		t.Errorf("our own: got %v, want ErrSameNamespace", err)
	}
	if _, err := OpenNamespace(1); !errors.Is(err, ErrSameNamespace) && !errors.Is(err, os.ErrPermission) {
		t.Errorf("the machine's: got %v, want ErrSameNamespace, or no permission to look at it", err)
	}
}

// R41: what is in a wired namespace ends with the fabric, and nothing else does.
func TestEndAll(t *testing.T) {
	inside, outside := newNamespace(t), newNamespace(t)
	victim, bystander := inside.sleeper(t), outside.sleeper(t)
	if err := EndAll([]*os.File{inside.file}); err != nil {
		t.Fatal(err)
	}
	state, err := victim.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if status := state.Sys().(syscall.WaitStatus); status.Signal() != unix.SIGKILL {
		t.Errorf("the process in the namespace ended with %v, want SIGKILL", status)
	}
	if err := bystander.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the process elsewhere is gone: %v", err)
	}
}

// BenchmarkWire measures the wiring of 100 interfaces on 10 networks.
func BenchmarkWire(b *testing.B) {
	plan := &topology.Plan{}
	for n := range 10 {
		plan.Networks = append(plan.Networks, topology.Network{Name: fmt.Sprintf("n%d", n)})
	}
	for n := range 100 {
		node := topology.Node{Name: fmt.Sprintf("node%d", n)}
		node.Interfaces = []topology.Interface{itf(0, fmt.Sprintf("n%d", n%10), byte(n), fmt.Sprintf("10.0.%d.%d/24", n%10, n/10+1))}
		plan.Nodes = append(plan.Nodes, node)
	}
	for b.Loop() {
		b.StopTimer()
		fabric := newFabric(b)
		spaces := make([]namespace, len(plan.Nodes))
		for i := range spaces {
			spaces[i] = newNamespace(b)
		}
		b.StartTimer()
		if err := fabric.AddNetworks(plan.Networks); err != nil {
			b.Fatal(err)
		}
		for i := range plan.Nodes {
			if err := fabric.Wire(&plan.Nodes[i], spaces[i].file); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/100-interfaces")
}

// namespace is a network namespace of the test's own.
type namespace struct{ file *os.File }

func wire(t *testing.T, plan *topology.Plan) map[string]namespace {
	fabric := newFabric(t)
	if err := fabric.AddNetworks(plan.Networks); err != nil {
		t.Fatal(err)
	}
	nodes := make(map[string]namespace)
	for i := range plan.Nodes {
		node := &plan.Nodes[i]
		ns := newNamespace(t)
		ns.tune(t, node)
		if err := fabric.Wire(node, ns.file); err != nil {
			t.Fatal(err)
		}
		nodes[node.Name] = ns
	}
	return nodes
}

// tune sets what an engine sets for a node before it is wired. A namespace begins with the machine's own ip_forward.
func (n namespace) tune(t *testing.T, node *topology.Node) {
	t.Helper()
	forward := "0"
	if node.Router != nil {
		forward = "1"
	}
	n.sysctl(t, map[string]string{
		"ipv4/ip_forward":              forward,
		"ipv6/conf/all/forwarding":     forward,
		"ipv6/conf/default/accept_dad": "0", // a router asks for neighbours by its link-local address, which waits for it
		"ipv4/ping_group_range":        "0 2147483647",
		"ipv4/icmp_ratelimit":          "0",
		"ipv6/icmp/ratelimit":          "0",
	})
}

// sysctl changes settings of the namespace, named by their place below /proc/sys/net.
func (n namespace) sysctl(t *testing.T, settings map[string]string) {
	t.Helper()
	n.do(t, func() error {
		var errs []error
		for name, value := range settings {
			errs = append(errs, os.WriteFile("/proc/sys/net/"+name, []byte(value), 0))
		}
		return errors.Join(errs...)
	})
}

func newFabric(t testing.TB) *Fabric {
	var fabric *Fabric
	newNamespace(t).do(t, func() (err error) {
		fabric, err = New()
		return err
	})
	t.Cleanup(func() { fabric.Close() })
	return fabric
}

func newNamespace(t testing.TB) namespace {
	needs.Root(t)
	var ns namespace
	onThread(t, func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		var err error
		ns.file, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	t.Cleanup(func() { ns.file.Close() })
	return ns
}

// onThread calls f on a thread that is given up afterwards, with whatever namespace it then has.
func onThread(t testing.TB, f func() error) {
	t.Helper()
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		result <- f()
	}()
	if err := <-result; err != nil {
		t.Fatal(err)
	}
}

// do calls f in the namespace.
func (n namespace) do(t testing.TB, f func() error) {
	t.Helper()
	onThread(t, func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
		return f()
	})
}

func (n namespace) listen(t *testing.T, addr string) net.Listener {
	var listener net.Listener
	n.do(t, func() (err error) {
		listener, err = net.Listen("tcp", addr)
		return err
	})
	return listener
}

// try connects from the namespace.
func (n namespace) try(addr string, timeout time.Duration) (conn net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err = unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err == nil {
			conn, err = net.DialTimeout("tcp", addr, timeout)
		}
	}()
	<-done
	return conn, err
}

// dial connects to addr of the other node and returns the address that the other saw.
func (n namespace) dial(t *testing.T, other namespace, addr string) netip.AddrPort {
	t.Helper()
	return n.dialTo(t, other, addr, addr)
}

// dialTo connects to addr, which leads to listen on the other node.
func (n namespace) dialTo(t *testing.T, other namespace, listen, addr string) netip.AddrPort {
	t.Helper()
	listener := other.listen(t, listen)
	defer listener.Close()
	conn, err := n.try(addr, 5*time.Second)
	if err != nil {
		t.Fatalf("connect to %s: %v", addr, err)
	}
	defer conn.Close()
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	if _, err := io.WriteString(conn, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := accepted.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return accepted.RemoteAddr().(*net.TCPAddr).AddrPort()
}

// sleeper starts a process in the namespace that waits until it is killed.
func (n namespace) sleeper(t *testing.T) *os.Process {
	var process *os.Process
	n.do(t, func() (err error) {
		process, err = os.StartProcess("/bin/sleep", []string{"sleep", "300"}, &os.ProcAttr{})
		return err
	})
	t.Cleanup(func() {
		_ = process.Kill()
		_, _ = process.Wait()
	})
	return process
}
