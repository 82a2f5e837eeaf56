package router_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"scenario/topology"
)

// asked returns whom the router asked for, and of whom: an Ethernet address.
func asked(t *testing.T, p gopacket.Packet) (who string, of topology.MAC) {
	t.Helper()
	e := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	if arp, ok := p.Layer(layers.LayerTypeARP).(*layers.ARP); ok && arp.Operation == layers.ARPRequest {
		return netip.AddrFrom4([4]byte(arp.DstProtAddress)).String(), topology.MAC(e.DstMAC)
	}
	if s, ok := p.Layer(layers.LayerTypeICMPv6NeighborSolicitation).(*layers.ICMPv6NeighborSolicitation); ok {
		ip := header.IPv6(network(p))
		message := header.ICMPv6(ip.Payload())
		want := header.ICMPv6Checksum(header.ICMPv6ChecksumParams{
			Header: message, Src: ip.SourceAddress(), Dst: ip.DestinationAddress(),
		})
		if ip.HopLimit() != 255 || message.Checksum() != want {
			t.Errorf("solicitation with hop limit %d, checksum %x, want %x", ip.HopLimit(), message.Checksum(), want)
		}
		return netip.AddrFrom16([16]byte(s.TargetAddress)).String(), topology.MAC(e.DstMAC)
	}
	t.Fatalf("not a question: %v", p)
	return "", topology.MAC{}
}

var everybody = topology.MAC{255, 255, 255, 255, 255, 255}

// families are a packet through the router in both families, and who has it next.
var families = map[string]struct {
	packet func(id int) gopacket.SerializableLayer
	next   string
	group  topology.MAC
	answer func(l *lab)
}{
	"v4": {
		func(id int) gopacket.SerializableLayer {
			ip := ip4("10.1.0.5", "10.2.0.7", 200)
			ip.Id = uint16(id)
			return ip
		},
		"10.2.0.7", everybody, func(l *lab) { l.answerARP("eth1", 2, "10.2.0.7") },
	},
	"v6": {
		func(id int) gopacket.SerializableLayer {
			ip := ip6("fd01::5", "fd02::7", 200)
			ip.FlowLabel = uint32(id)
			return ip
		},
		"fd02::7", topology.MAC{0x33, 0x33, 0xff, 0, 0, 7}, func(l *lab) { l.advertise("fd02::7", mac(7), true, true) },
	},
}

// advertise has a neighbour at eth1 say where it is.
func (l *lab) advertise(address string, at topology.MAC, solicited, override bool) {
	target := netip.MustParseAddr(address).AsSlice()
	ip := ip6(address, "fd02::1", layers.IPProtocolICMPv6)
	ip.HopLimit = 255
	var flags uint8
	if solicited {
		flags |= 0x40
	}
	if override {
		flags |= 0x20
	}
	l.enter("eth1", 2, ip,
		&layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeNeighborAdvertisement, 0)},
		&layers.ICMPv6NeighborAdvertisement{Flags: flags, TargetAddress: target,
			Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptTargetAddress, Data: at[:]}}},
	)
}

func TestPacketsWaitForTheirNeighbour(t *testing.T) {
	for name, f := range families {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, twoSided())
			for id := range 70 {
				l.enter("eth0", 1, f.packet(id), data(2))
			}
			if who, of := asked(t, l.one("eth1")); who != f.next || of != f.group {
				t.Errorf("asked %s who has %s", of, who)
			}
			f.answer(l)
			sent := l.take("eth1")
			if len(sent) != 64 {
				t.Fatalf("%d of 70 packets left, want the latest 64", len(sent))
			}
			id := int(header.IPv4(network(sent[0])).ID())
			if name == "v6" {
				_, label := header.IPv6(network(sent[0])).TOS()
				id = int(label)
			}
			if id != 6 {
				t.Errorf("the first to leave was the one of number %d, want 6: in order, the oldest lost", id)
			}
			l.enter("eth0", 1, f.packet(99), data(2))
			l.one("eth1")
			l.turn(2 * time.Second)
			l.silent()
		})
	}
}

func TestAskedThreeTimes(t *testing.T) {
	for name, f := range families {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, twoSided())
			l.know4("eth0", 1, "10.1.0.5")
			l.know6("eth0", 1, "fd01::5", "fd01::1")
			l.enter("eth0", 1, f.packet(1), data(2))
			l.enter("eth0", 1, f.packet(2), data(2))
			l.turn(999 * time.Millisecond)
			asked(t, l.one("eth1"))
			l.turn(2 * time.Second)
			if questions := l.take("eth1"); len(questions) != 2 {
				t.Errorf("asked %d times more in 3 s, want 2", len(questions))
			}
			l.silent()
			l.turn(time.Millisecond)
			if refused := l.take("eth0"); len(refused) != 2 {
				t.Errorf("%d packets of 2 were answered as unreachable", len(refused))
			}
			l.turn(time.Hour)
			l.silent()
			l.enter("eth0", 1, f.packet(3), data(2)) // it all begins again
			asked(t, l.one("eth1"))
		})
	}
}

func TestNeighboursAge(t *testing.T) {
	for name, f := range families {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, twoSided())
			send := func() { l.enter("eth0", 1, f.packet(1), data(2)) }
			send()
			l.one("eth1")
			f.answer(l)
			l.one("eth1")
			l.turn(29 * time.Second)
			send()
			l.one("eth1")
			l.turn(10 * time.Second)
			l.silent() // whoever is not used is not asked either
			send()
			both := l.take("eth1")
			if len(both) != 2 {
				t.Fatalf("%d frames, want a question and the packet", len(both))
			}
			if who, of := asked(t, both[0]); who != f.next || of != mac(7) {
				t.Errorf("asked %s who has %s, want the one who had it", of, who)
			}
			f.answer(l)
			l.turn(20 * time.Second)
			l.silent()
			l.turn(20 * time.Second)
			send()
			l.turn(3 * time.Second)
			if got := len(l.take("eth1")); got != 4 {
				t.Errorf("%d frames, want the packet and three questions", got)
			}
			send() // nobody has answered
			if _, of := asked(t, l.one("eth1")); of != f.group {
				t.Errorf("asked %s, want everybody", of)
			}
		})
	}
}

func TestANeighbourMoves(t *testing.T) {
	l := newLab(t, twoSided())
	send := func() topology.MAC {
		l.enter("eth0", 1, ip6("fd01::5", "fd02::7", 200), data(2))
		packets := l.take("eth1")
		e := packets[len(packets)-1].Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
		return topology.MAC(e.DstMAC)
	}
	l.advertise("fd02::7", mac(7), true, true) // of whom nobody has asked
	if got := send(); got == mac(7) {
		t.Error("an advertisement that nobody asked for made a neighbour")
	}
	l.advertise("fd02::7", mac(7), true, true)
	l.take("eth1")
	for _, c := range []struct {
		at                  byte
		solicited, override bool
		want                byte
	}{
		{8, false, false, 7}, // would only be one that answers for it
		{8, false, true, 8},
		{9, true, true, 9},
	} {
		l.advertise("fd02::7", mac(c.at), c.solicited, c.override)
		if got := send(); got != mac(c.want) {
			t.Errorf("after %+v packets go to %s", c, got)
		}
	}
}

// TestDuplicateAddress has somebody look whether the router's address is free.
func TestDuplicateAddress(t *testing.T) {
	l := newLab(t, twoSided())
	ip := ip6("::", "ff02::1:ff00:1", layers.IPProtocolICMPv6)
	ip.HopLimit = 255
	own := netip.MustParseAddr("fd01::1").AsSlice()
	l.Port("eth0").Send(frame(ether(t, mac(9), topology.MAC{0x33, 0x33, 0xff, 0, 0, 1}, ip,
		&layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeNeighborSolicitation, 0)},
		&layers.ICMPv6NeighborSolicitation{TargetAddress: own})))
	p := l.one("eth0")
	answer := p.Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement)
	if to := header.IPv6(network(p)).DestinationAddress().String(); to != "ff02::1" || answer.Solicited() {
		t.Errorf("answered to %s, solicited %t", to, answer.Solicited())
	}
}

// TestForgedDiscovery sends messages that RFC 4861, sections 7.1.1 and 7.1.2, have nodes ignore.
func TestForgedDiscovery(t *testing.T) {
	own := netip.MustParseAddr("fd01::1").AsSlice()
	for name, change := range map[string]func(ip *layers.IPv6, m *layers.ICMPv6, s *layers.ICMPv6NeighborSolicitation){
		"from afar":       func(ip *layers.IPv6, _ *layers.ICMPv6, _ *layers.ICMPv6NeighborSolicitation) { ip.HopLimit = 254 },
		"of another code": func(_ *layers.IPv6, m *layers.ICMPv6, _ *layers.ICMPv6NeighborSolicitation) { m.TypeCode |= 1 },
		"for a group": func(_ *layers.IPv6, _ *layers.ICMPv6, s *layers.ICMPv6NeighborSolicitation) {
			s.TargetAddress[0] = 0xff
		},
		"for somebody else": func(_ *layers.IPv6, _ *layers.ICMPv6, s *layers.ICMPv6NeighborSolicitation) {
			s.TargetAddress[15] = 9
		},
		"of no length": func(_ *layers.IPv6, _ *layers.ICMPv6, s *layers.ICMPv6NeighborSolicitation) {
			s.Options = layers.ICMPv6Options{{Type: 14, Data: nil}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, twoSided())
			ip := ip6("fd01::5", "fd01::1", layers.IPProtocolICMPv6)
			ip.HopLimit = 255
			m := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeNeighborSolicitation, 0)}
			s := &layers.ICMPv6NeighborSolicitation{TargetAddress: append([]byte(nil), own...)}
			change(ip, m, s)
			l.enter("eth0", 1, ip, m, s)
			l.silent()
		})
	}
}

// TestManyNeighbours asks for more addresses than a port keeps: no more than the oldest are lost.
func TestManyNeighbours(t *testing.T) {
	node := twoSided()
	node.Interfaces[1].Addresses = []netip.Prefix{netip.MustParsePrefix("10.2.0.1/16")}
	l := newLab(t, node)
	send := func(n int) {
		l.enter("eth0", 1, ip4("10.1.0.5", fmt.Sprintf("10.2.%d.%d", 1+n/250, 1+n%250), 200))
	}
	for n := range 9000 {
		send(n)
	}
	if got := len(l.take("eth1")); got < 8000 || got > 8192 {
		t.Errorf("%d neighbours were asked for, want at most 8192", got)
	}
	l.turn(4 * time.Second)
	l.take("eth1")
	l.take("eth0")
	send(8999)
	asked(t, l.one("eth1"))
}
