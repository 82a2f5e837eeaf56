package router_test

import (
	"bytes"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"scenario/fabric/soft"
)

// together is what IPv4 fragments in order carry.
func together(t *testing.T, fragments []gopacket.Packet) []byte {
	t.Helper()
	var all []byte
	for i, f := range fragments {
		ip := checkIPv4(t, network(f))
		if int(ip.FragmentOffset()) != len(all) || ip.More() != (i < len(fragments)-1) {
			t.Errorf("fragment %d: offset %d, more %t; %d bytes came before it", i, ip.FragmentOffset(), ip.More(), len(all))
		}
		all = append(all, ip.Payload()...)
	}
	return all
}

func TestFragments(t *testing.T) {
	l := newLab(t, twoSided())
	l.know4("eth1", 2, "10.2.0.7")
	for _, size := range []int{1252, 1253, 1472} {
		sent := ether(t, mac(5), mac(1), ip4("10.1.0.5", "10.2.0.7", 17), udp(1000, 53), data(size))
		f := frame(sent[:42])
		f.Payload = buffer.MakeWithData(sent[42:])
		l.Port("eth0").Send(f)
		got := l.take("eth1")
		if want := 1 + (size+8-1)/(1280-20); len(got) != want {
			t.Errorf("%d bytes left in %d fragments, want %d", size, len(got), want)
		}
		if !bytes.Equal(together(t, got), sent[34:]) {
			t.Errorf("%d bytes are not the same any more", size)
		}
	}
}

// TestFragmentsOfFragments cuts the middle of a datagram: offsets count from its beginning, and more follow.
func TestFragmentsOfFragments(t *testing.T) {
	l := newLab(t, twoSided())
	l.know4("eth1", 2, "10.2.0.7")
	ip := ip4("10.1.0.5", "10.2.0.7", 17)
	ip.FragOffset, ip.Flags = 100, layers.IPv4MoreFragments
	l.enter("eth0", 1, ip, data(1480))
	got := l.take("eth1")
	if len(got) != 2 {
		t.Fatalf("%d fragments, want 2", len(got))
	}
	first, second := checkIPv4(t, network(got[0])), checkIPv4(t, network(got[1]))
	if first.FragmentOffset() != 800 || second.FragmentOffset() != 800+1256 || !first.More() || !second.More() {
		t.Errorf("offsets %d and %d", first.FragmentOffset(), second.FragmentOffset())
	}
}

func TestOptionsOfFragments(t *testing.T) {
	l := newLab(t, twoSided())
	l.know4("eth1", 2, "10.2.0.7")
	ip := ip4("10.1.0.5", "10.2.0.7", 17)
	ip.Options = []layers.IPv4Option{
		{OptionType: 7, OptionLength: 6, OptionData: make([]byte, 4)},   // record route: the first has it
		{OptionType: 148, OptionLength: 4, OptionData: make([]byte, 2)}, // router alert: all have it
		{OptionType: 0},
	}
	l.enter("eth0", 1, ip, udp(1, 2), data(1300))
	got := l.take("eth1")
	if len(got) != 2 {
		t.Fatalf("%d fragments, want 2", len(got))
	}
	want := [][]byte{{7, 6, 0, 0, 0, 0, 148, 4, 0, 0, 0, 0}, {1, 1, 1, 1, 1, 1, 148, 4, 0, 0, 0, 0}}
	for i, f := range got {
		if options := checkIPv4(t, network(f)).Options(); !bytes.Equal(options, want[i]) {
			t.Errorf("options of fragment %d: %v, want %v", i, options, want[i])
		}
	}
}

// super is a TCP super-packet of n bytes.
func super(t *testing.T, segment uint16, n int, flags layers.IPv4Flag) soft.Frame {
	t.Helper()
	ip := ip4("10.1.0.5", "10.2.0.7", 6)
	ip.Flags = flags
	tcp := &layers.TCP{SrcPort: 1000, DstPort: 80, Seq: 1, ACK: true, DataOffset: 5, Window: 1000}
	b := ether(t, mac(5), mac(1), ip, tcp, data(n))
	f := frame(b[:54])
	f.Payload = buffer.MakeWithData(b[54:])
	f.Segment, f.Partial = segment, true
	return f
}

func TestSuperPackets(t *testing.T) {
	l := newLab(t, twoSided())
	l.know4("eth0", 1, "10.1.0.5")
	l.know4("eth1", 2, "10.2.0.7")

	l.Port("eth0").Send(super(t, 1240, 20_000, layers.IPv4DontFragment))
	if p := l.one("eth1"); len(p.Data()) != 20_054 || l.drawn.Segment != 1240 || !l.drawn.Partial {
		t.Errorf("a super-packet of segments that fit became a frame of %d bytes, segment %d", len(p.Data()), l.drawn.Segment)
	}

	l.Port("eth0").Send(super(t, 1241, 20_000, layers.IPv4DontFragment))
	ip := checkIPv4(t, network(l.one("eth0")))
	message := header.ICMPv4(ip.Payload())
	if message.Code() != header.ICMPv4FragmentationNeeded || message.MTU() != 1280 {
		t.Errorf("segments that do not fit: %x", message)
	}
	if quoted := header.IPv4(message.Payload()); quoted.TotalLength() != 1281 || !quoted.IsChecksumValid() {
		t.Errorf("the segment that does not fit has %d bytes, want 1281", quoted.TotalLength())
	}

	l.Port("eth0").Send(super(t, 1460, 2000, 0))
	segments := l.take("eth1")
	if len(segments) != 3 { // 1460 bytes in two fragments, 540 in one
		t.Fatalf("%d frames, want 3", len(segments))
	}
	segment := together(t, segments[:2])
	ip = checkIPv4(t, network(segments[0]))
	tcp := header.TCP(segment)
	sum := checksum.Checksum(segment[tcp.DataOffset():], 0)
	if !tcp.IsChecksumValid(ip.SourceAddress(), ip.DestinationAddress(), sum, uint16(len(segment)-int(tcp.DataOffset()))) {
		t.Error("a segment that was cut has a wrong TCP checksum")
	}
	l.silent()
}
