package soft_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"

	"scenario/fabric/link"
	"scenario/fabric/soft"
)

func addrPort(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }

// lan is hosts at a switch, each with a wire for each direction.
type lan struct {
	nodes    []*node
	up, down []*soft.Wire
}

func newLAN(t *testing.T, n byte) *lan {
	scheduler := soft.NewRealTime()
	t.Cleanup(scheduler.Close)
	l := &lan{}
	s := soft.NewSwitch()
	for i := range n {
		at := newNode(t, i+1, soft.NICOptions{})
		down := soft.NewWire(soft.WireOptions{MTU: 1500, Scheduler: scheduler, To: at.nic})
		up := soft.NewWire(soft.WireOptions{MTU: 1500, Scheduler: scheduler, To: s.Attach(down)})
		at.nic.Connect(up)
		l.nodes, l.up, l.down = append(l.nodes, at), append(l.up, up), append(l.down, down)
	}
	return l
}

// seen counts what a tap sees.
type seen struct {
	mu    sync.Mutex
	kinds map[string]int
}

func (s *seen) tap(w *soft.Wire) {
	w.Tap(func(_ time.Time, f *soft.Frame) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.kinds == nil {
			s.kinds = map[string]int{}
		}
		s.kinds[kind(f.Head.AsSlice())]++
	})
}

func (s *seen) count(kind string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kinds[kind]
}

// kind names what a test counts.
func kind(head []byte) string {
	switch packet := head[14:]; binary.BigEndian.Uint16(head[12:]) {
	case uint16(header.ARPProtocolNumber):
		return fmt.Sprintf("ARP %d", header.ARP(packet).Op())
	case uint16(header.IPv4ProtocolNumber):
		if ip := header.IPv4(packet); ip.More() || ip.FragmentOffset() > 0 {
			return "fragment"
		}
	case uint16(header.IPv6ProtocolNumber):
		switch header.IPv6(packet).NextHeader() {
		case uint8(header.IPv6FragmentHeader):
			return "fragment"
		case uint8(header.ICMPv6ProtocolNumber):
			return fmt.Sprintf("ICMPv6 %d", packet[header.IPv6MinimumSize])
		}
	}
	return "other"
}

// settings that a network must carry everything over: untouched, cut, and with bits flipped now and then.
var settings = []struct {
	name string
	with *link.Settings
}{
	{"clean", nil},
	{"frames", &link.Settings{}},
	{"corrupting", &link.Settings{Corrupt: 0.01}},
}

// The same bytes come back, over IPv4 and IPv6, whatever the wires do.
func TestTCP(t *testing.T) {
	for _, test := range settings {
		for _, at := range []netip.Addr{v4(2), v6(2)} {
			t.Run(fmt.Sprint(test.name, " ", at), func(t *testing.T) {
				noLeaks(t)
				l := newLAN(t, 2)
				if test.with != nil {
					for i, w := range l.up {
						w.Shape(link.New(*test.with, uint64(i)))
					}
				}
				server := l.nodes[1].listen(t, addrPort(at, 80))
				served := echo(server)
				conn, err := l.nodes[0].dial(context.Background(), addrPort(at, 80))
				if err != nil {
					t.Fatal(err)
				}
				want := pattern(300_000)
				sent := make(chan error, 1)
				go func() {
					_, err := conn.Write(want)
					sent <- err
				}()
				got := make([]byte, len(want))
				if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, want) {
					t.Errorf("other bytes came back: %v", err)
				}
				if err := <-sent; err != nil {
					t.Error(err)
				}
				_ = conn.Close()
				_ = server.Close()
				<-served
			})
		}
	}
}

// Neighbours are found by broadcast and by multicast, and answer to the one who asks.
func TestResolution(t *testing.T) {
	noLeaks(t)
	l := newLAN(t, 3)
	var client, server, third seen
	client.tap(l.up[0])
	server.tap(l.up[1])
	third.tap(l.down[2])
	for _, at := range []netip.Addr{v4(2), v6(2)} {
		to := l.nodes[1].packets(t, addrPort(at, 9), netip.AddrPort{})
		from := l.nodes[0].packets(t, netip.AddrPort{}, addrPort(at, 9))
		if _, err := from.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 10)
		if n, _, err := to.ReadFrom(got); err != nil || string(got[:n]) != "hello" {
			t.Errorf("%q, %v", got[:n], err)
		}
		_ = to.Close()
		_ = from.Close()
	}
	const solicit, advert = "ICMPv6 135", "ICMPv6 136"
	for _, c := range []struct {
		who  string
		at   *seen
		kind string
	}{
		{"the client", &client, "ARP 1"}, {"the server", &server, "ARP 2"}, {"the third", &third, "ARP 1"},
		{"the client", &client, solicit}, {"the server", &server, advert}, {"the third", &third, solicit},
	} {
		if c.at.count(c.kind) == 0 {
			t.Errorf("at %s no %s was seen: %v", c.who, c.kind, c.at.kinds)
		}
	}
	if third.count("ARP 2")+third.count(advert) > 0 {
		t.Errorf("the third host got answers to others: %v", third.kinds)
	}
}

// Datagrams larger than the MTU arrive as they were sent, or not at all.
func TestFragments(t *testing.T) {
	for _, test := range settings {
		for _, at := range []netip.Addr{v4(2), v6(2)} {
			t.Run(fmt.Sprint(test.name, " ", at), func(t *testing.T) {
				noLeaks(t)
				l := newLAN(t, 2)
				var fragments seen
				fragments.tap(l.up[0])
				server := l.nodes[1].packets(t, addrPort(at, 9), netip.AddrPort{})
				client := l.nodes[0].packets(t, netip.AddrPort{}, addrPort(at, 9))
				defer server.Close()
				defer client.Close()
				// Until the neighbour is known, only so much waits for it.
				if _, err := client.Write([]byte("hello")); err != nil {
					t.Fatal(err)
				}
				if _, _, err := server.ReadFrom(make([]byte, 10)); err != nil {
					t.Fatal(err)
				}
				if test.with != nil {
					l.up[0].Shape(link.New(*test.with, 1))
				}
				want := pattern(5000)
				for range 100 {
					if _, err := client.Write(want); err != nil {
						t.Fatal(err)
					}
				}
				l.up[0].Shape(nil)
				// What is sent last arrives, after all that can.
				_, _ = client.Write([]byte("over"))
				arrived := 0
				for {
					got := make([]byte, 6000)
					n, _, err := server.ReadFrom(got)
					if err != nil {
						t.Fatal(err)
					}
					if string(got[:n]) == "over" {
						break
					}
					if !bytes.Equal(got[:n], want) {
						t.Fatal("a datagram arrived that was not sent")
					}
					arrived++
				}
				if arrived == 0 || test.with == nil && fragments.count("fragment") < 4*100 {
					t.Errorf("%d arrived, in %d fragments", arrived, fragments.count("fragment"))
				}
			})
		}
	}
}

// A datagram to the subnet's broadcast address reaches every host.
func TestBroadcast(t *testing.T) {
	noLeaks(t)
	l := newLAN(t, 4)
	var got []io.ReadCloser
	for _, n := range l.nodes[1:] {
		got = append(got, n.packets(t, netip.AddrPortFrom(netip.IPv4Unspecified(), 9), netip.AddrPort{}))
	}
	var queue waiter.Queue
	endpoint, err := l.nodes[0].NewEndpoint(udp.ProtocolNumber, header.IPv4ProtocolNumber, &queue)
	must(t, err)
	defer endpoint.Close()
	endpoint.SocketOptions().SetBroadcast(true)
	all, _ := full(addrPort(netip.MustParseAddr("10.0.0.255"), 9))
	_, err = endpoint.Write(bytes.NewReader([]byte("to all")), tcpip.WriteOptions{To: &all})
	must(t, err)
	for i, conn := range got {
		data := make([]byte, 10)
		if n, err := conn.Read(data); err != nil || string(data[:n]) != "to all" {
			t.Errorf("host %d: %q, %v", i+2, data[:n], err)
		}
		_ = conn.Close()
	}
}
