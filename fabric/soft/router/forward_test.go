package router_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"scenario/fabric/soft"
	"scenario/topology"
)

// network is the network layer's bytes of a frame, without the Ethernet header.
func network(p gopacket.Packet) []byte { return p.Data()[14:] }

func checkIPv4(t *testing.T, b []byte) header.IPv4 {
	t.Helper()
	ip := header.IPv4(b)
	if !ip.IsValid(len(b)) || !ip.IsChecksumValid() {
		t.Fatalf("not a valid IPv4 packet: %x", b)
	}
	return ip
}

func TestForward(t *testing.T) {
	l := newLab(t, twoSided())
	l.know4("eth1", 2, "10.2.0.7")
	l.enter("eth0", 1, ip4("10.1.0.5", "10.2.0.7", layers.IPProtocolUDP), udp(1000, 53), data(30))
	p := l.one("eth1")
	e := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	if [6]byte(e.SrcMAC) != mac(2) || [6]byte(e.DstMAC) != mac(7) {
		t.Errorf("sent from %s to %s", e.SrcMAC, e.DstMAC)
	}
	if ip := checkIPv4(t, network(p)); ip.TTL() != 8 {
		t.Errorf("time to live is %d, want one less than 9", ip.TTL())
	}
	l.know6("eth1", 2, "fd02::7", "fd02::1")
	l.enter("eth0", 1, ip6("fd01::5", "fd02::7", layers.IPProtocolUDP), udp(1000, 53), data(30))
	if ip := header.IPv6(network(l.one("eth1"))); ip.HopLimit() != 8 {
		t.Errorf("hop limit is %d, want one less than 9", ip.HopLimit())
	}
	l.silent()
}

// TestChecksumOfEveryHop takes packets of all times to live, so that every carry of the sum is met.
func TestChecksumOfEveryHop(t *testing.T) {
	l := newLab(t, twoSided())
	l.know4("eth1", 2, "10.2.0.7")
	for ttl := 2; ttl < 256; ttl++ {
		ip := ip4("10.1.0.5", "10.2.0.7", 200)
		ip.TTL, ip.Id = uint8(ttl), uint16(ttl*257)
		l.enter("eth0", 1, ip, data(1))
		if got := checkIPv4(t, network(l.one("eth1"))).TTL(); int(got) != ttl-1 {
			t.Fatalf("time to live of %d became %d", ttl, got)
		}
	}
}

func TestLongestPrefixIsTaken(t *testing.T) {
	node := twoSided()
	node.Routes = append(node.Routes, via("0.0.0.0/0", "10.1.0.2", "eth0"), via("10.3.4.0/24", "10.1.0.3", "eth0"))
	for _, c := range []struct{ to, itf, next string }{
		{"10.3.5.1", "eth1", "10.2.0.9"},
		{"10.3.4.1", "eth0", "10.1.0.3"},
		{"198.51.100.1", "eth0", "10.1.0.2"},
		{"10.2.0.99", "eth1", "10.2.0.99"},
	} {
		l := newLab(t, node)
		l.enter("eth0", 1, ip4("10.1.0.5", c.to, 200), data(1))
		request := l.one(c.itf).Layer(layers.LayerTypeARP).(*layers.ARP)
		if got := netip.AddrFrom4([4]byte(request.DstProtAddress)); got.String() != c.next {
			t.Errorf("to %s: asked for %s, want %s", c.to, got, c.next)
		}
	}
}

func TestDiscardedInSilence(t *testing.T) {
	good := func() []byte {
		return ether(t, mac(9), mac(1), ip4("10.1.0.5", "10.2.0.7", layers.IPProtocolUDP), udp(1, 2), data(30))
	}
	for name, change := range map[string]func(b []byte) soft.Frame{
		"for another station":    func(b []byte) soft.Frame { b[5] = 77; return frame(b) },
		"unicast in a broadcast": func(b []byte) soft.Frame { copy(b, "\xff\xff\xff\xff\xff\xff"); return frame(b) },
		"wrong version":          func(b []byte) soft.Frame { b[14] = 0x55; return frame(b) },
		"header too short":       func(b []byte) soft.Frame { b[14] = 0x44; return frame(b) },
		"cut off":                func(b []byte) soft.Frame { return frame(b[:50]) },
		"from a group":           func(b []byte) soft.Frame { b[26] = 224; return frame(b) },
		"from the loopback":      func(b []byte) soft.Frame { b[26] = 127; return frame(b) },
		"to the loopback":        func(b []byte) soft.Frame { b[30] = 127; return frame(b) },
		"bit flipped by a wire":  func(b []byte) soft.Frame { b[16] ^= 1; b[17]--; f := frame(b); f.Suspect = true; return f },
		"nothing at all":         func([]byte) soft.Frame { return soft.Frame{} },
		"Ethernet alone":         func(b []byte) soft.Frame { return frame(b[:14]) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, twoSided())
			l.Port("eth0").Send(change(good()))
			l.silent()
		})
	}
}

func TestPaddingIsCutOff(t *testing.T) {
	l := newLab(t, twoSided())
	l.know4("eth1", 2, "10.2.0.7")
	b := ether(t, mac(9), mac(1), ip4("10.1.0.5", "10.2.0.7", 200), data(3))
	f := frame(b)
	f.Payload = buffer.MakeWithData(make([]byte, 23))
	l.Port("eth0").Send(f)
	if p := l.one("eth1"); len(p.Data()) != 14+20+3 {
		t.Errorf("a packet of 23 bytes left in a frame of %d", len(p.Data()))
	}
}

// TestErrors checks every ICMP error byte by byte: RFC 792, RFC 1191 and RFC 4443.
func TestErrors(t *testing.T) {
	expired4, expired6 := ip4("10.1.0.5", "10.2.0.7", 17), ip6("fd01::5", "fd02::7", 17)
	expired4.TTL, expired6.HopLimit = 1, 1
	large4 := ip4("10.1.0.5", "10.2.0.7", 17)
	large4.Flags = layers.IPv4DontFragment
	for _, c := range []struct {
		name       string
		ip         gopacket.SerializableLayer
		size       int
		wait       time.Duration
		kind, code byte
		extra      uint32 // the last four bytes of the header
	}{
		{"time exceeded", expired4, 30, 0, 11, 0, 0},
		{"time exceeded, long", expired4, 1000, 0, 11, 0, 0},
		{"no route", ip4("10.1.0.5", "192.0.2.1", 17), 30, 0, 3, 0, 0},
		{"host unreachable", ip4("10.1.0.5", "10.2.0.7", 17), 30, 3 * time.Second, 3, 1, 0},
		{"fragmentation needed", large4, 1400, 0, 3, 4, 1280},
		{"time exceeded", expired6, 30, 0, 3, 0, 0},
		{"no route", ip6("fd01::5", "2001:db8::1", 17), 30, 0, 1, 0, 0},
		{"address unreachable", ip6("fd01::5", "fd02::7", 17), 30, 3 * time.Second, 1, 3, 0},
		{"beyond scope", ip6("fe80::5", "fd02::7", 17), 30, 0, 1, 2, 0},
		{"packet too big", ip6("fd01::5", "fd02::7", 17), 1400, 0, 2, 0, 1280},
	} {
		v6 := c.ip.LayerType() == layers.LayerTypeIPv6
		t.Run(fmt.Sprintf("%s, v6 %t", c.name, v6), func(t *testing.T) {
			l := newLab(t, twoSided())
			l.know4("eth0", 1, "10.1.0.5")
			l.know6("eth0", 1, "fd01::5", "fd01::1")
			if c.name == "beyond scope" {
				l.know6("eth0", 1, "fe80::5", "fd01::1")
			}
			sent := ether(t, mac(5), mac(1), c.ip, udp(1000, 53), data(c.size))
			l.Port("eth0").Send(frame(bytes.Clone(sent)))
			l.turn(c.wait)
			quoted := bytes.Clone(sent[14:])
			p := l.one("eth0")
			if c.wait > 0 && v6 { // it was forwarded before it failed
				quoted[7]--
			} else if c.wait > 0 {
				ip := header.IPv4(quoted)
				ip.SetTTL(8)
				ip.SetChecksum(0)
				ip.SetChecksum(^ip.CalculateChecksum())
			}
			var message []byte
			if v6 {
				message = checkError6(t, p, c.name == "beyond scope")
				quoted = quoted[:min(len(quoted), 1280-48)]
			} else {
				ip := checkIPv4(t, network(p))
				message = ip.Payload()
				if src := ip.SourceAddress().String(); src != "10.1.0.1" || ip.DestinationAddress().String() != "10.1.0.5" {
					t.Errorf("from %s to %s", src, ip.DestinationAddress())
				}
				if tos, _ := ip.TOS(); tos != 0xc0 || ip.TTL() != 64 || ip.Protocol() != 1 {
					t.Errorf("type of service %x, time to live %d, protocol %d", tos, ip.TTL(), ip.Protocol())
				}
				if checksum.Checksum(message, 0) != 0xffff {
					t.Error("wrong ICMP checksum")
				}
				quoted = quoted[:min(len(quoted), 576-28)]
			}
			want := []byte{c.kind, c.code, message[2], message[3]}
			want = append(binary.BigEndian.AppendUint32(want, c.extra), quoted...)
			if !bytes.Equal(message, want) {
				t.Errorf("message\n%x, want\n%x", message, want)
			}
		})
	}
}

// TestErrorsOfPacketsInACircle has packets come in by a wrong interface: in IPv4 the error has the address that it leaves by,
// in IPv6 the one that the packet came to.
func TestErrorsOfPacketsInACircle(t *testing.T) {
	l := newLab(t, twoSided())
	l.know4("eth0", 1, "10.1.0.5")
	l.know6("eth0", 1, "fd01::5", "fd01::1")
	expired4, expired6 := ip4("10.1.0.5", "10.3.0.7", 17), ip6("fd01::5", "fd03::7", 17)
	expired4.TTL, expired6.HopLimit = 1, 1
	l.enter("eth1", 2, expired4, udp(1000, 53), data(30))
	if from := checkIPv4(t, network(l.one("eth0"))).SourceAddress().String(); from != "10.1.0.1" {
		t.Errorf("the error comes from %s", from)
	}
	l.enter("eth1", 2, expired6, udp(1000, 53), data(30))
	if from := header.IPv6(network(l.one("eth0"))).SourceAddress().String(); from != "fd02::1" {
		t.Errorf("the error comes from %s", from)
	}
	l.silent()
}

func checkError6(t *testing.T, p gopacket.Packet, linkLocal bool) []byte {
	t.Helper()
	ip := header.IPv6(network(p))
	if !ip.IsValid(len(ip)) {
		t.Fatalf("not a valid IPv6 packet: %v", p)
	}
	from, to := "fd01::1", "fd01::5"
	if linkLocal {
		from, to = "fe80::ff:fe00:1", "fe80::5"
	}
	src := tcpip.AddrFrom16(netip.MustParseAddr(from).As16())
	dst := tcpip.AddrFrom16(netip.MustParseAddr(to).As16())
	if ip.SourceAddress() != src || ip.DestinationAddress() != dst || ip.HopLimit() != 64 {
		t.Errorf("from %s to %s, hop limit %d", ip.SourceAddress(), ip.DestinationAddress(), ip.HopLimit())
	}
	message := header.ICMPv6(ip.Payload())
	want := header.ICMPv6Checksum(header.ICMPv6ChecksumParams{Header: message, Src: src, Dst: dst})
	if sum := message.Checksum(); sum != want {
		t.Errorf("wrong ICMPv6 checksum %x", sum)
	}
	return message
}

// TestNoErrors sends what has failed and must not be answered: RFC 1812, section 4.3.2.7, and RFC 4443, section 2.4 (e).
func TestNoErrors(t *testing.T) {
	expire := func(l gopacket.SerializableLayer) gopacket.SerializableLayer {
		switch l := l.(type) {
		case *layers.IPv4:
			l.TTL = 1
		case *layers.IPv6:
			l.HopLimit = 1
		}
		return l
	}
	later := ip4("10.1.0.5", "10.2.0.7", 17)
	later.FragOffset = 10
	for name, upper := range map[string][]gopacket.SerializableLayer{
		"an error": {ip4("10.1.0.5", "10.2.0.7", 1), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(11, 0)}, data(28)},
		"an error, v6": {
			ip6("fd01::5", "fd02::7", 58), &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(1, 0)}, data(60),
		},
		"a later fragment": {later, data(30)},
		"a later fragment, v6": {
			ip6("fd01::5", "fd02::7", 44), data(0), gopacket.Payload{17, 0, 0, 80, 0, 0, 0, 1, 1, 2, 3, 4},
		},
		"from nobody": {ip4("0.0.0.0", "10.2.0.7", 17), udp(1, 2)},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, twoSided())
			l.know4("eth0", 1, "10.1.0.5")
			l.know6("eth0", 1, "fd01::5", "fd01::1")
			expire(upper[0])
			l.enter("eth0", 1, upper...)
			l.silent()
		})
	}
}

func TestEchoIsAnswered(t *testing.T) {
	l := newLab(t, twoSided())
	l.know4("eth0", 1, "10.1.0.5")
	ip := ip4("10.1.0.5", "10.2.0.7", 1)
	ip.TTL = 1
	l.enter("eth0", 1, ip, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 5, Seq: 1}, data(20))
	if ip := checkIPv4(t, network(l.one("eth0"))); header.ICMPv4(ip.Payload()).Type() != header.ICMPv4TimeExceeded {
		t.Errorf("answer to an expired echo request: %x", ip)
	}
}

// TestLoopEnds has two routers send packets to each other until their time is over. R31
func TestLoopEnds(t *testing.T) {
	a := newLab(t, &topology.Node{
		Interfaces: []topology.Interface{itf("eth0", 1, 1500, "10.1.0.1/24"), itf("eth1", 2, 1500, "10.2.0.1/24")},
		Routes:     []topology.Route{via("0.0.0.0/0", "10.2.0.2", "eth1")},
	})
	b := newLab(t, &topology.Node{
		Interfaces: []topology.Interface{itf("eth0", 3, 1500, "10.2.0.2/24")},
		Routes:     []topology.Route{via("0.0.0.0/0", "10.2.0.1", "eth0")},
	})
	hops := 0
	a.Connect("eth1", soft.SinkFunc(func(f soft.Frame) { hops++; b.Port("eth0").Send(f) }))
	b.Connect("eth0", soft.SinkFunc(func(f soft.Frame) { hops++; a.Port("eth1").Send(f) }))
	a.know4("eth0", 1, "10.1.0.5")
	a.enter("eth0", 1, ip4("10.1.0.5", "10.9.9.9", 17), udp(1, 2), data(9))
	if ip := checkIPv4(t, network(a.one("eth0"))); header.ICMPv4(ip.Payload()).Type() != header.ICMPv4TimeExceeded {
		t.Errorf("end of a loop: %x", ip)
	}
	if hops != 8+2 { // a question who has the address, its answer
		t.Errorf("%d frames between the routers for a packet with a time to live of 9", hops)
	}
}

func TestOwnAddresses(t *testing.T) {
	last := ip4("10.1.0.5", "10.1.0.1", 17)
	last.TTL = 1
	for name, c := range map[string]struct {
		ip gopacket.SerializableLayer
		to string
	}{
		"of this side":         {ip4("10.1.0.5", "10.1.0.1", 17), "local eth0"},
		"of the other side":    {ip4("10.1.0.5", "10.2.0.1", 17), "local eth1"},
		"of this side, v6":     {ip6("fd01::5", "fd01::1", 17), "local eth0"},
		"link-local":           {ip6("fe80::5", "fe80::ff:fe00:1", 17), "local eth0"},
		"group":                {ip4("10.1.0.5", "224.0.0.1", 17), "local eth0"},
		"group, v6":            {ip6("fd01::5", "ff02::1", 17), "local eth0"},
		"all":                  {ip4("10.1.0.5", "255.255.255.255", 17), "local eth0"},
		"all of the subnet":    {ip4("10.1.0.5", "10.1.0.255", 17), "local eth0"},
		"with its last breath": {last, "local eth0"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, twoSided())
			l.enter("eth0", 1, c.ip, udp(1000, 2000), data(5))
			l.one(c.to)
			l.silent()
		})
	}
	l := newLab(t, twoSided())
	l.enter("eth0", 1, ip4("10.1.0.5", "10.2.0.255", 17), udp(1000, 2000)) // another subnet's: nobody's business
	l.silent()
}

func TestDropAndIsolated(t *testing.T) {
	node := twoSided()
	node.Drop = []topology.Filter{{Protocol: "udp", Port: 53}, {Protocol: "icmp"}}
	node.Router = &topology.Router{Isolated: []string{"eth1"}}
	l := newLab(t, node)
	l.enter("eth0", 1, ip4("10.1.0.5", "10.1.0.1", 17), udp(1000, 53))
	l.enter("eth0", 1, ip6("fd01::5", "fd02::1", 17), udp(1000, 53))
	l.enter("eth0", 1, ip4("10.1.0.5", "10.1.0.1", 1), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0)})
	l.silent()
	l.know6("eth0", 1, "fd01::5", "fd01::1")
	l.enter("eth0", 1, ip4("10.1.0.5", "10.1.0.1", 17), udp(1000, 54))
	l.one("local eth0")
	l.enter("eth0", 1, ip4("10.1.0.5", "10.2.0.7", 17), udp(1000, 54))
	l.enter("eth1", 2, ip4("10.2.0.7", "10.1.0.5", 17), udp(1000, 54))
	l.silent()
	l.enter("eth1", 2, ip4("10.2.0.7", "10.2.0.1", 17), udp(1000, 54)) // the router itself is there
	l.one("local eth1")
}

// own sends a packet of the router's own stack.
func (l *lab) own(name string, upper ...gopacket.SerializableLayer) {
	l.Local(name).Send(frame(ether(l.t, topology.MAC{}, topology.MAC{}, upper...)))
}

func TestOwnStack(t *testing.T) {
	l := newLab(t, twoSided())
	l.know4("eth1", 2, "10.2.0.7")
	l.own("eth0", ip4("10.1.0.1", "10.2.0.7", 17), udp(1, 2))
	p := l.one("eth1")
	if e := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet); [6]byte(e.SrcMAC) != mac(2) || [6]byte(e.DstMAC) != mac(7) {
		t.Errorf("sent from %s to %s", e.SrcMAC, e.DstMAC)
	}
	if ttl := checkIPv4(t, network(p)).TTL(); ttl != 9 {
		t.Errorf("time to live of the router's own packet became %d", ttl)
	}
	l.own("eth0", ip4("10.1.0.1", "224.0.0.251", 17), udp(1, 2))
	if e := l.one("eth0").Layer(layers.LayerTypeEthernet).(*layers.Ethernet); e.DstMAC.String() != "01:00:5e:00:00:fb" {
		t.Errorf("multicast goes to %s", e.DstMAC)
	}
	l.own("eth0", ip6("fd01::1", "ff02::fb", 17), udp(1, 2))
	if e := l.one("eth0").Layer(layers.LayerTypeEthernet).(*layers.Ethernet); e.DstMAC.String() != "33:33:00:00:00:fb" {
		t.Errorf("multicast goes to %s", e.DstMAC)
	}
	l.own("eth1", ip4("10.2.0.1", "10.2.0.255", 17), udp(1, 2))
	if e := l.one("eth1").Layer(layers.LayerTypeEthernet).(*layers.Ethernet); e.DstMAC.String() != "ff:ff:ff:ff:ff:ff" {
		t.Errorf("broadcast goes to %s", e.DstMAC)
	}
	l.own("eth0", ip4("10.1.0.1", "192.0.2.1", 17), udp(1, 2), data(9))
	if ip := checkIPv4(t, network(l.one("local eth0"))); header.ICMPv4(ip.Payload()).Type() != header.ICMPv4DstUnreachable {
		t.Errorf("no route: %x", ip)
	}
	l.silent()
}
