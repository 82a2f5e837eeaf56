package router_test

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"scenario/topology"
)

// home is a router with 10.1.0.0/24 behind it (eth0), masquerading at 10.2.0.1 (eth1), and forwarding port 80 to 10.1.0.5.
func home() *topology.Node {
	node := twoSided()
	node.Interfaces[1].MTU = 1500
	node.Router = &topology.Router{
		Masquerade: []topology.Masquerade{{Interface: "eth1"}},
		Forwards: []topology.PortForward{
			{Interface: "eth1", Protocol: "tcp", Port: 80, To: netip.MustParseAddrPort("10.1.0.5:8080")},
			{Interface: "eth1", Protocol: "udp", Port: 53, To: netip.MustParseAddrPort("10.1.0.5:5353")},
		},
	}
	return node
}

func newHome(t testing.TB) *lab {
	l := newLab(t, home())
	l.know4("eth0", 1, "10.1.0.5")
	l.know4("eth0", 1, "10.1.0.6")
	l.know4("eth1", 2, "10.2.0.7")
	return l
}

func tcp(src, dst uint16, flags ...string) *layers.TCP {
	return &layers.TCP{
		SrcPort: layers.TCPPort(src), DstPort: layers.TCPPort(dst), Window: 1000,
		SYN: slices.Contains(flags, "syn"), ACK: slices.Contains(flags, "ack"),
	}
}

// ends are who sends and who is meant, with all checksums verified.
func ends(t *testing.T, p gopacket.Packet) (src, dst string) {
	t.Helper()
	ip := checkIPv4(t, network(p))
	payload := ip.Payload()
	from, to := netip.AddrFrom4(ip.SourceAddress().As4()), netip.AddrFrom4(ip.DestinationAddress().As4())
	switch ip.Protocol() {
	case 6, 17:
		size := uint16(len(payload))
		sum := header.PseudoHeaderChecksum(ip.TransportProtocol(), ip.SourceAddress(), ip.DestinationAddress(), size)
		if checksum.Checksum(payload, sum) != 0xffff {
			t.Errorf("wrong checksum: %v", p)
		}
		ports := header.UDP(payload) // where TCP has them too
		return netip.AddrPortFrom(from, ports.SourcePort()).String(), netip.AddrPortFrom(to, ports.DestinationPort()).String()
	case 1:
		if checksum.Checksum(payload, 0) != 0xffff {
			t.Errorf("wrong checksum: %v", p)
		}
	}
	return from.String(), to.String()
}

// wantEnds checks the one packet that left by an interface.
func (l *lab) wantEnds(t *testing.T, name, src, dst string) gopacket.Packet {
	t.Helper()
	p := l.one(name)
	if gotSrc, gotDst := ends(t, p); gotSrc != src || gotDst != dst {
		t.Errorf("left by %s from %s to %s, want from %s to %s", name, gotSrc, gotDst, src, dst)
	}
	l.silent()
	return p
}

// R29
func TestMasquerade(t *testing.T) {
	for name, upper := range map[string]func(src, dst uint16, syn bool) gopacket.SerializableLayer{
		"udp": func(src, dst uint16, _ bool) gopacket.SerializableLayer { return udp(src, dst) },
		"tcp": func(src, dst uint16, syn bool) gopacket.SerializableLayer {
			if syn {
				return tcp(src, dst, "syn")
			}
			return tcp(src, dst, "syn", "ack")
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newHome(t)
			protocol := layers.IPProtocolUDP
			if name == "tcp" {
				protocol = layers.IPProtocolTCP
			}
			l.enter("eth1", 2, ip4("10.2.0.7", "10.2.0.1", protocol), upper(443, 5000, true), data(5))
			l.one("local eth1") // nobody inside has asked: for the router itself
			l.enter("eth1", 2, ip4("10.2.0.7", "10.1.0.5", protocol), upper(443, 5000, true), data(5))
			l.silent() // and nobody comes in by knowing what is inside
			l.enter("eth0", 1, ip4("10.1.0.5", "10.2.0.7", protocol), upper(5001, 443, true), data(5))
			l.wantEnds(t, "eth1", "10.2.0.1:5001", "10.2.0.7:443")
			l.enter("eth1", 2, ip4("10.2.0.7", "10.2.0.1", protocol), upper(443, 5001, false), data(5))
			l.wantEnds(t, "eth0", "10.2.0.7:443", "10.1.0.5:5001")
		})
	}
}

func TestMasqueradeOfEcho(t *testing.T) {
	l := newHome(t)
	echo := func(kind uint8, id uint16) *layers.ICMPv4 {
		return &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(kind, 0), Id: id, Seq: 3}
	}
	l.enter("eth0", 1, ip4("10.1.0.5", "10.2.0.7", 1), echo(8, 5), data(9))
	l.wantEnds(t, "eth1", "10.2.0.1", "10.2.0.7")
	l.enter("eth0", 1, ip4("10.1.0.6", "10.2.0.7", 1), echo(8, 5), data(9)) // the same identifier
	p := l.wantEnds(t, "eth1", "10.2.0.1", "10.2.0.7")
	other := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4).Id
	if other == 5 {
		t.Error("two hosts have the same identifier outside")
	}
	l.enter("eth1", 2, ip4("10.2.0.7", "10.2.0.1", 1), echo(0, other), data(9))
	p = l.wantEnds(t, "eth0", "10.2.0.7", "10.1.0.6")
	if id := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4).Id; id != 5 {
		t.Errorf("the answer has identifier %d, want that of the question", id)
	}
}

func TestForwards(t *testing.T) {
	l := newHome(t)
	l.enter("eth1", 2, ip4("10.2.0.7", "10.2.0.1", 6), tcp(3000, 80, "syn"))
	l.wantEnds(t, "eth0", "10.2.0.7:3000", "10.1.0.5:8080")
	l.enter("eth0", 1, ip4("10.1.0.5", "10.2.0.7", 6), tcp(8080, 3000, "syn", "ack"))
	l.wantEnds(t, "eth1", "10.2.0.1:80", "10.2.0.7:3000")
	l.enter("eth1", 2, ip4("10.2.0.7", "10.2.0.1", 17), udp(3000, 53))
	l.wantEnds(t, "eth0", "10.2.0.7:3000", "10.1.0.5:5353")

	// From inside, by the outside address: the answer comes back this way, since the server sees the router.
	l.enter("eth0", 1, ip4("10.1.0.6", "10.2.0.1", 6), tcp(3000, 80, "syn"))
	l.wantEnds(t, "eth0", "10.1.0.1:3000", "10.1.0.5:8080")
	l.enter("eth0", 1, ip4("10.1.0.5", "10.1.0.1", 6), tcp(8080, 3000, "syn", "ack"))
	l.wantEnds(t, "eth0", "10.2.0.1:80", "10.1.0.6:3000")
}

// TestPartialChecksums has NAT leave alone what is not filled in.
func TestPartialChecksums(t *testing.T) {
	l := newHome(t)
	b := ether(t, mac(5), mac(1), ip4("10.1.0.5", "10.2.0.7", 6), tcp(5000, 443, "syn"))
	b[50], b[51] = 0x12, 0x34
	f := frame(b)
	f.Partial = true
	l.Port("eth0").Send(f)
	if got := l.one("eth1").Data(); !l.drawn.Partial || !bytes.Equal(got[50:52], []byte{0x12, 0x34}) {
		t.Errorf("partial %t, checksum %x", l.drawn.Partial, got[50:52])
	}
}

func TestErrorsThroughNAT(t *testing.T) {
	l := newHome(t)
	l.enter("eth0", 1, ip4("10.1.0.5", "10.2.0.7", 17), udp(5000, 443), data(5))
	l.wantEnds(t, "eth1", "10.2.0.1:5000", "10.2.0.7:443")

	refuse := func(port uint16) {
		about := ether(t, mac(0), mac(0), ip4("10.2.0.1", "10.2.0.7", 17), udp(port, 443))[14:]
		unreachable := &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 3)}
		l.enter("eth1", 2, ip4("10.2.0.7", "10.2.0.1", 1), unreachable, gopacket.Payload(about))
	}
	refuse(5000)
	p := l.wantEnds(t, "eth0", "10.2.0.7", "10.1.0.5")
	inner := header.IPv4(network(p)[28:])
	port := header.UDP(inner[20:]).SourcePort()
	if src := inner.SourceAddress().String(); src != "10.1.0.5" || port != 5000 || !inner.IsChecksumValid() {
		t.Errorf("what is quoted comes from %s, port %d", src, port)
	}

	// An error about nothing that the table knows is for the router itself, as far as it goes.
	refuse(6000)
	l.one("local eth1")
}

// TestOwnErrorsBehindNAT has a host inside hear that nobody is at the address outside, though what was sent there had been
// rewritten by then.
func TestOwnErrorsBehindNAT(t *testing.T) {
	l := newHome(t)
	l.enter("eth0", 1, ip4("10.1.0.5", "10.2.0.66", 17), udp(5000, 443), data(5))
	l.turn(4 * time.Second)
	l.take("eth1")
	p := l.one("eth0")
	if _, dst := ends(t, p); dst != "10.1.0.5" {
		t.Fatalf("host unreachable goes to %s", dst)
	}
	inner := header.IPv4(network(p)[28:])
	if src := inner.SourceAddress().String(); src != "10.1.0.5" || !inner.IsChecksumValid() {
		t.Errorf("what is quoted comes from %s", src)
	}
	l.silent()
}

// TestFragmentsThroughNAT: a datagram is rewritten as a whole, and leaves in fragments as large as it came in.
func TestFragmentsThroughNAT(t *testing.T) {
	l := newHome(t)
	whole := ether(t, mac(5), mac(1), ip4("10.1.0.5", "10.2.0.7", 17), udp(5000, 443), data(2500))[34:]
	send := func(from, to int, more bool) {
		ip := ip4("10.1.0.5", "10.2.0.7", 17)
		ip.FragOffset = uint16(from / 8)
		if more {
			ip.Flags = layers.IPv4MoreFragments
		}
		l.enter("eth0", 1, ip, gopacket.Payload(whole[from:to]))
	}
	send(2000, len(whole), false) // in any order
	send(0, 1000, true)
	send(0, 1000, true) // the same again
	l.silent()
	send(1000, 2000, true)
	fragments := l.take("eth1")
	if len(fragments) != 3 {
		t.Fatalf("%d fragments, want 3", len(fragments))
	}
	all := together(t, fragments)
	ip := header.IPv4(network(fragments[0]))
	sum := header.PseudoHeaderChecksum(17, ip.SourceAddress(), ip.DestinationAddress(), uint16(len(all)))
	if ip.SourceAddress().String() != "10.2.0.1" || checksum.Checksum(all, sum) != 0xffff || !bytes.Equal(all[8:], whole[8:]) {
		t.Errorf("from %s: not what was sent", ip.SourceAddress())
	}

	send(0, 1000, true)
	l.turn(31 * time.Second)
	l.know4("eth1", 2, "10.2.0.7")
	send(1000, 2000, true)
	send(2000, len(whole), false)
	l.silent() // the first was given up
	send(0, 1000, true)
	if len(l.take("eth1")) != 3 {
		t.Error("a datagram whose first fragment came late was lost")
	}
	send(0, 1000, true)
	send(992, 1992, true) // overlaps: an attack
	send(1000, 2000, true)
	send(2000, len(whole), false)
	l.silent()
}

// TestFragmentsThroughNAT6 puts together what its sender cut, and cuts it again likewise.
func TestFragmentsThroughNAT6(t *testing.T) {
	l := newHome(t)
	l.know6("eth1", 2, "fd02::7", "fd02::1")
	whole := ether(t, mac(5), mac(1), ip6("fd01::5", "fd02::7", 17), udp(5000, 443), data(2500))[54:]
	var sent [][]byte
	for from := 0; from < len(whole); from += 1200 {
		to, more := min(from+1200, len(whole)), byte(1)
		if to == len(whole) {
			more = 0
		}
		fragment := []byte{17, 0, byte(from >> 8), byte(from) | more, 1, 2, 3, 4}
		b := ether(t, mac(5), mac(1), ip6("fd01::5", "fd02::7", 44), gopacket.Payload(append(fragment, whole[from:to]...)))
		sent = append(sent, b)
		l.Port("eth0").Send(frame(bytes.Clone(b)))
	}
	got := l.take("eth1")
	if len(got) != len(sent) {
		t.Fatalf("%d fragments, want %d", len(got), len(sent))
	}
	for i := range got {
		want := sent[i][14:]
		want[7]--
		if !bytes.Equal(network(got[i]), want) {
			t.Errorf("fragment %d\n%x, want\n%x", i, network(got[i]), want)
		}
	}
	// What comes in from outside is nobody's.
	l.enter("eth1", 2, ip6("fd02::7", "fd01::5", 17), udp(1, 2))
	l.silent()
}

func TestOwnStackBehindNAT(t *testing.T) {
	l := newHome(t)
	l.own("eth0", ip4("10.1.0.1", "10.2.0.7", 17), udp(5000, 443))
	l.wantEnds(t, "eth1", "10.2.0.1:5000", "10.2.0.7:443")
	l.enter("eth1", 2, ip4("10.2.0.7", "10.2.0.1", 17), udp(443, 5000))
	l.wantEnds(t, "local eth0", "10.2.0.7:443", "10.1.0.1:5000")
}
