package router_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"gvisor.dev/gvisor/pkg/buffer"

	"scenario/fabric/soft"
	"scenario/fabric/soft/router"
	"scenario/topology"
)

// crank is a scheduler whose time a test turns on.
type crank struct {
	now   time.Time
	calls []call
}

type call struct {
	at  time.Time
	run func()
}

func (c *crank) Now() time.Time { return c.now }
func (c *crank) Virtual() bool  { return true }

func (c *crank) Send(at time.Time, f soft.Frame, to soft.Sink) { c.At(at, func() { to.Send(f) }) }

func (c *crank) At(at time.Time, run func()) {
	i, _ := slices.BinarySearchFunc(c.calls, at, func(c call, at time.Time) int {
		if c.at.After(at) {
			return 1
		}
		return -1
	})
	c.calls = slices.Insert(c.calls, i, call{at, run})
}

// turn lets time go by.
func (c *crank) turn(d time.Duration) {
	end := c.now.Add(d)
	for len(c.calls) > 0 && !c.calls[0].at.After(end) {
		next := c.calls[0]
		c.calls = c.calls[1:]
		c.now = next.at
		next.run()
	}
	c.now = end
}

// lab is a router whose ports a test holds in its hands.
type lab struct {
	*router.Router
	*crank
	t     testing.TB
	sent  map[string][][]byte // by interface; "local " before it: to the router's own stack
	drawn soft.Frame          // the last one sent, for what bytes do not say
}

func mac(n byte) topology.MAC { return topology.MAC{2, 0, 0, 0, 0, n} }

func itf(name string, n byte, mtu int, addresses ...string) topology.Interface {
	i := topology.Interface{Name: name, MAC: mac(n), MTU: mtu}
	for _, a := range addresses {
		i.Addresses = append(i.Addresses, netip.MustParsePrefix(a))
	}
	return i
}

func via(destination, gateway, itf string) topology.Route {
	return topology.Route{
		Destination: netip.MustParsePrefix(destination), Gateway: netip.MustParseAddr(gateway), Interface: itf,
	}
}

// twoSided is a router between 10.1.0.0/24 (eth0) and 10.2.0.0/24 (eth1), the latter of MTU 600, with a way on behind it.
func twoSided() *topology.Node {
	return &topology.Node{
		Name: "r",
		Interfaces: []topology.Interface{
			itf("eth0", 1, 1500, "10.1.0.1/24", "fd01::1/64"),
			itf("eth1", 2, 1280, "10.2.0.1/24", "fd02::1/64"),
		},
		Routes: []topology.Route{via("10.3.0.0/16", "10.2.0.9", "eth1"), via("fd03::/16", "fd02::9", "eth1")},
	}
}

func newLab(t testing.TB, node *topology.Node) *lab {
	t.Helper()
	l := &lab{crank: &crank{now: time.Unix(1e9, 0)}, t: t, sent: make(map[string][][]byte)}
	r, err := router.New(router.Options{Node: node, Scheduler: l.crank})
	if err != nil {
		t.Fatal(err)
	}
	l.Router = r
	for _, i := range node.Interfaces {
		r.Connect(i.Name, l.sink(i.Name))
		r.ConnectLocal(i.Name, l.sink("local "+i.Name))
	}
	return l
}

func (l *lab) sink(name string) soft.Sink {
	return soft.SinkFunc(func(f soft.Frame) {
		l.sent[name] = append(l.sent[name], bytesOf(f))
		l.drawn = f
		l.drawn.Head, l.drawn.Payload = nil, buffer.Buffer{}
		f.Release()
	})
}

func bytesOf(f soft.Frame) []byte {
	var all []byte
	for _, part := range f.Parts(nil) {
		all = append(all, part...)
	}
	return all
}

func frame(b []byte) soft.Frame { return soft.Frame{Head: buffer.NewViewWithData(b)} }

// take returns what left by an interface since it was last asked.
func (l *lab) take(name string) []gopacket.Packet {
	var packets []gopacket.Packet
	for _, b := range l.sent[name] {
		packets = append(packets, decode(b))
	}
	l.sent[name] = nil
	return packets
}

func decode(b []byte) gopacket.Packet {
	return gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.Default)
}

// one returns the one packet that left by an interface.
func (l *lab) one(name string) gopacket.Packet {
	l.t.Helper()
	packets := l.take(name)
	if len(packets) != 1 {
		l.t.Fatalf("%d frames left by %s: %v", len(packets), name, packets)
	}
	return packets[0]
}

// silent fails the test if anything was sent.
func (l *lab) silent() {
	l.t.Helper()
	for name := range l.sent {
		for _, p := range l.take(name) {
			l.t.Errorf("left by %s: %v", name, p)
		}
	}
}

// enter lets a packet come in from the network by an interface, to the router's Ethernet address.
func (l *lab) enter(name string, n byte, upper ...gopacket.SerializableLayer) {
	l.Port(name).Send(frame(ether(l.t, mac(9), mac(n), upper...)))
}

// ether serializes a frame with lengths and checksums.
func ether(t testing.TB, src, dst topology.MAC, upper ...gopacket.SerializableLayer) []byte {
	t.Helper()
	e := &layers.Ethernet{SrcMAC: src[:], DstMAC: dst[:], EthernetType: layers.EthernetTypeIPv4}
	var network gopacket.NetworkLayer
	for _, u := range upper {
		switch u := u.(type) {
		case *layers.IPv6:
			e.EthernetType = layers.EthernetTypeIPv6
			network = u
		case *layers.IPv4:
			network = u
		case *layers.ARP:
			e.EthernetType = layers.EthernetTypeARP
		case *layers.UDP:
			u.SetNetworkLayerForChecksum(network)
		case *layers.TCP:
			u.SetNetworkLayerForChecksum(network)
		case *layers.ICMPv6:
			u.SetNetworkLayerForChecksum(network)
		}
	}
	buf := gopacket.NewSerializeBuffer()
	all := append([]gopacket.SerializableLayer{e}, upper...)
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, options, all...); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func ip4(src, dst string, protocol layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{
		Version: 4, TTL: 9, Id: 77, Protocol: protocol,
		SrcIP: netip.MustParseAddr(src).AsSlice(), DstIP: netip.MustParseAddr(dst).AsSlice(),
	}
}

func ip6(src, dst string, next layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{
		Version: 6, HopLimit: 9, NextHeader: next,
		SrcIP: netip.MustParseAddr(src).AsSlice(), DstIP: netip.MustParseAddr(dst).AsSlice(),
	}
}

func udp(src, dst uint16) *layers.UDP {
	return &layers.UDP{SrcPort: layers.UDPPort(src), DstPort: layers.UDPPort(dst)}
}

func data(n int) gopacket.Payload {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b
}

// answerARP has 10.x.0.y be at the Ethernet address ending in y.
func (l *lab) answerARP(name string, n byte, address string) {
	a := netip.MustParseAddr(address).AsSlice()
	m := mac(a[3])
	self := mac(n)
	l.Port(name).Send(frame(ether(l.t, m, self, &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
		Operation: layers.ARPReply, SourceHwAddress: m[:], SourceProtAddress: a,
		DstHwAddress: self[:], DstProtAddress: routerAddress(l, name),
	})))
}

func routerAddress(l *lab, name string) []byte {
	if name == "eth0" {
		return []byte{10, 1, 0, 1}
	}
	return []byte{10, 2, 0, 1}
}

// know4 has the router know a neighbour already.
func (l *lab) know4(name string, n byte, address string) {
	l.t.Helper()
	a := netip.MustParseAddr(address).AsSlice()
	m := mac(a[3])
	l.Port(name).Send(frame(ether(l.t, m, topology.MAC{255, 255, 255, 255, 255, 255}, &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
		Operation: layers.ARPRequest, SourceHwAddress: m[:], SourceProtAddress: a,
		DstHwAddress: make([]byte, 6), DstProtAddress: routerAddress(l, name),
	})))
	reply, ok := l.one(name).Layer(layers.LayerTypeARP).(*layers.ARP)
	if !ok || reply.Operation != layers.ARPReply || [6]byte(reply.SourceHwAddress) != mac(n) {
		l.t.Fatalf("%s: answer to an ARP request: %v", name, reply)
	}
}

// know6 does the same by neighbour discovery.
func (l *lab) know6(name string, n byte, address, own string) {
	l.t.Helper()
	a := netip.MustParseAddr(address).AsSlice()
	m := mac(a[15])
	self := netip.MustParseAddr(own).AsSlice()
	group := [16]byte{0xff, 0x02, 11: 1, 12: 0xff, 13: self[13], 14: self[14], 15: self[15]}
	ip := ip6(address, netip.AddrFrom16(group).String(), layers.IPProtocolICMPv6)
	ip.HopLimit = 255
	l.Port(name).Send(frame(ether(l.t, m, topology.MAC{0x33, 0x33, 0xff, self[13], self[14], self[15]}, ip,
		&layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeNeighborSolicitation, 0)},
		&layers.ICMPv6NeighborSolicitation{
			TargetAddress: self, Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptSourceAddress, Data: m[:]}},
		},
	)))
	answer, ok := l.one(name).Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement)
	if !ok || !answer.Solicited() || !answer.Override() || !answer.Router() || !slices.Equal(answer.TargetAddress, self) {
		l.t.Fatalf("%s: answer to a solicitation: %v", name, answer)
	}
}

// frameBox keeps the last frame that was sent.
type frameBox struct{ frame soft.Frame }

func (b *frameBox) Send(f soft.Frame) { b.frame = f }
