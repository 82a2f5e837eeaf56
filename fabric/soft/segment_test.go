package soft_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"scenario/fabric/soft"
)

// split is Split as a list.
func split(f soft.Frame) (frames []soft.Frame) {
	soft.Split(f, func(f soft.Frame) { frames = append(frames, f) })
	return frames
}

// pattern is n bytes of which none repeats soon.
func pattern(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i*7 + i>>8)
	}
	return data
}

func TestSplit(t *testing.T) {
	const ack, psh, fin = header.TCPFlagAck, header.TCPFlagPsh, header.TCPFlagFin
	timestamps := []byte{1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8}
	for _, test := range []struct {
		name  string
		in    segment
		sizes []int
		flags []header.TCPFlags
	}{
		{"no data", segment{flags: ack, mss: 100}, []int{0}, []header.TCPFlags{ack}},
		{"fits", segment{flags: ack | psh, payload: pattern(100), mss: 100}, []int{100}, []header.TCPFlags{ack | psh}},
		{"one more", segment{flags: ack | psh, payload: pattern(101), mss: 100}, []int{100, 1}, []header.TCPFlags{ack, ack | psh}},
		{"FIN", segment{flags: ack | fin, payload: pattern(250), mss: 100}, []int{100, 100, 50}, []header.TCPFlags{ack, ack, ack | fin}},
		{"CWR", segment{flags: ack | 0x80, payload: pattern(250), mss: 100}, []int{100, 100, 50}, []header.TCPFlags{ack | 0x80, ack, ack}},
		{"IPv6", segment{six: true, flags: ack, payload: pattern(200), mss: 100}, []int{100, 100}, []header.TCPFlags{ack, ack}},
		{"options", segment{flags: ack, options: timestamps, ip: []byte{7, 3, 4, 0}, payload: pattern(150), mss: 100},
			[]int{100, 50}, []header.TCPFlags{ack, ack}},
		{"odd sizes", segment{flags: ack, payload: pattern(101), pieces: 7, mss: 33}, []int{33, 33, 33, 2}, []header.TCPFlags{ack, ack, ack, ack}},
		{"data in the head", segment{flags: ack, payload: pattern(101), inHead: 35, pieces: 2, mss: 33},
			[]int{33, 33, 33, 2}, []header.TCPFlags{ack, ack, ack, ack}},
		{"sequence numbers wrap", segment{flags: ack, seq: 0xffffffff, id: 0xffff, payload: pattern(20), mss: 10},
			[]int{10, 10}, []header.TCPFlags{ack, ack}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.in.from, test.in.to = 1, 2
			largest := test.in.frame()
			frames := split(test.in.frame())
			if len(frames) != len(test.sizes) {
				t.Fatalf("%d frames", len(frames))
			}
			seq := test.in.seq
			for i := range frames {
				if frames[i].Partial || frames[i].Segment > 0 {
					t.Errorf("frame %d still has work to be done", i)
				}
				tcp, payload := checked(t, &frames[i])
				if len(payload) != test.sizes[i] || tcp.Flags() != test.flags[i] || tcp.SequenceNumber() != seq {
					t.Errorf("frame %d: %d bytes, flags %v, number %d", i, len(payload), tcp.Flags(), tcp.SequenceNumber())
				}
				if !bytes.Equal(tcp.Options(), test.in.options) {
					t.Errorf("options % x", tcp.Options())
				}
				if packet := frames[i].Head.AsSlice()[14:]; !test.in.six && header.IPv4(packet).ID() != test.in.id+uint16(i) {
					t.Errorf("frame %d: ID %d", i, header.IPv4(packet).ID())
				}
				if size := frames[i].Size() - 14; size > largest.PacketSize() || i == 0 && size < largest.PacketSize() {
					t.Errorf("frame %d has %d bytes, and PacketSize says %d", i, size, largest.PacketSize())
				}
				seq += uint32(len(payload))
			}
			largest.Release()
		})
	}
}

// What Split makes is complete: the bytes that went in, right checksums, nothing larger than it may be; and what a card
// joins again is what there was before.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("hello, world"), uint16(5), uint8(3), uint8(2), uint8(0x18), uint32(1<<32-3), false)
	f.Add(pattern(700), uint16(99), uint8(1), uint8(0), uint8(0x10), uint32(7), true)
	f.Fuzz(func(t *testing.T, payload []byte, mss uint16, pieces, options, flags uint8, seq uint32, six bool) {
		if mss == 0 || len(payload) > 65000 || len(payload)/int(mss) > 1000 {
			t.Skip()
		}
		s := segment{
			from: 1, to: 2, six: six, flags: header.TCPFlags(flags), seq: seq, payload: payload, mss: int(mss), pieces: int(pieces),
			options: bytes.Repeat([]byte{1}, int(options%11)*4),
		}
		frames := split(s.frame())
		var got []byte
		for i := range frames {
			tcp, part := checked(t, &frames[i])
			if len(part) > int(mss) || tcp.SequenceNumber() != seq+uint32(len(got)) {
				t.Fatalf("frame %d: %d bytes with number %d", i, len(part), tcp.SequenceNumber())
			}
			if !soft.Verify(&frames[i]) {
				t.Fatalf("frame %d: checksums found wrong", i)
			}
			got = append(got, part...)
		}
		if !bytes.Equal(got, payload) {
			t.Fatalf("%d bytes became %d others", len(payload), len(got))
		}
		if flags != uint8(header.TCPFlagAck) {
			return
		}
		joined := soft.Join(frames...)
		want := s.frame()
		if len(joined) != 1 || joined[0].Segment != want.Segment {
			t.Fatalf("joined to %d frames, segments of %d", len(joined), joined[0].Segment)
		}
		want.Complete()
		joined[0].Partial = true
		joined[0].Complete()
		if !bytes.Equal(allOf(&joined[0]), allOf(&want)) {
			t.Fatalf("joined to\n% x, not\n% x", allOf(&joined[0]), allOf(&want))
		}
	})
}

// Only what continues a train is joined to it.
func TestJoin(t *testing.T) {
	const ack, psh = header.TCPFlagAck, header.TCPFlagPsh
	first := segment{from: 1, to: 2, flags: ack, seq: 100, payload: pattern(10)}
	for _, test := range []struct {
		name   string
		change func(*segment)
		frame  func(*soft.Frame)
		want   int
	}{
		{"the next", nil, nil, 1},
		{"pushed", func(s *segment) { s.flags |= psh }, nil, 1},
		{"shorter", func(s *segment) { s.payload = s.payload[:4] }, nil, 1},
		{"longer", func(s *segment) { s.payload = pattern(11) }, nil, 2},
		{"empty", func(s *segment) { s.payload = nil }, nil, 2},
		{"a gap", func(s *segment) { s.seq++ }, nil, 2},
		{"sent again", func(s *segment) { s.seq = 100 }, nil, 2},
		{"other host", func(s *segment) { s.from = 3 }, nil, 2},
		{"IPv6", func(s *segment) { s.six = true }, nil, 2},
		{"options", func(s *segment) { s.options = []byte{1, 1, 1, 1} }, nil, 2},
		{"reset", func(s *segment) { s.flags |= header.TCPFlagRst }, nil, 2},
		{"suspect", nil, func(f *soft.Frame) { f.Suspect = true }, 2},
		{"other port", nil, func(f *soft.Frame) { f.Head.AsSlice()[35]++ }, 2},
		{"other window", nil, func(f *soft.Frame) { f.Head.AsSlice()[49]++ }, 2},
		{"other acknowledgement", nil, func(f *soft.Frame) { f.Head.AsSlice()[45]++ }, 2},
		{"other TTL", nil, func(f *soft.Frame) { f.Head.AsSlice()[22]-- }, 2},
		{"a fragment", nil, func(f *soft.Frame) { f.Head.AsSlice()[20] |= 0x20 }, 2},
		{"padded", nil, func(f *soft.Frame) { f.Head.AsSlice()[17]-- }, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			second := first
			second.seq += 10
			if test.change != nil {
				test.change(&second)
			}
			a, b := first.frame(), second.frame()
			if test.frame != nil {
				test.frame(&b)
			}
			if got := soft.Join(a, b); len(got) != test.want {
				t.Errorf("%d frames", len(got))
			}
		})
	}
	t.Run("nothing after a push", func(t *testing.T) {
		pushed := first
		pushed.flags |= psh
		next := first
		next.seq += 10
		if got := soft.Join(pushed.frame(), next.frame()); len(got) != 2 {
			t.Errorf("%d frames", len(got))
		}
	})
	t.Run("no more than 64 KiB", func(t *testing.T) {
		var frames []soft.Frame
		for i := range 50 {
			frames = append(frames, segment{from: 1, to: 2, flags: ack, seq: uint32(1460 * i), payload: pattern(1460)}.frame())
		}
		got := soft.Join(frames...)
		if len(got) != 2 || got[0].Size()-14 > 0xffff {
			t.Errorf("%d frames, the first of %d bytes", len(got), got[0].Size())
		}
	})
}

// Every flipped bit that a checksum covers is found.
func TestVerify(t *testing.T) {
	tcp4 := segment{from: 1, to: 2, flags: header.TCPFlagAck, payload: pattern(21)}
	tcp6 := tcp4
	tcp6.six = true
	echo4 := append([]byte{byte(header.ICMPv4Echo), 0, 0, 0, 0, 1, 0, 2}, "ping"...)
	echo6 := append([]byte{byte(header.ICMPv6EchoRequest), 0, 0, 0, 0, 1, 0, 2}, "ping"...)
	done := func(f soft.Frame) soft.Frame {
		f.Complete()
		return f
	}
	for _, test := range []struct {
		name  string
		frame soft.Frame
		from  int // the first byte that a checksum covers
	}{
		{"TCP", done(tcp4.frame()), 14},
		{"TCP on IPv6", done(tcp6.frame()), 22},
		{"UDP", datagram(false, header.UDPProtocolNumber, udpTo(53, "hello")), 14},
		{"UDP on IPv6", datagram(true, header.UDPProtocolNumber, udpTo(53, "hello")), 22},
		{"ICMP", datagram(false, header.ICMPv4ProtocolNumber, echo4), 14},
		{"ICMPv6", datagram(true, header.ICMPv6ProtocolNumber, echo6), 22},
	} {
		t.Run(test.name, func(t *testing.T) {
			if !soft.Verify(&test.frame) {
				t.Fatal("found wrong")
			}
			data := allOf(&test.frame)
			for bit := test.from * 8; bit < len(data)*8; bit++ {
				flipped := bytes.Clone(data)
				flipped[bit/8] ^= 1 << (bit % 8)
				f := soft.Frame{Head: buffer.NewViewWithData(flipped)}
				if soft.Verify(&f) {
					t.Errorf("bit %d of byte %d flipped, and found right", bit%8, bit/8)
				}
				f.Release()
			}
		})
	}
}

func TestVerifyWhatHasNoChecksum(t *testing.T) {
	none := datagram(false, header.UDPProtocolNumber, udpTo(53, "hello"))
	header.UDP(none.Head.AsSlice()[34:]).SetChecksum(0)
	none6 := datagram(true, header.UDPProtocolNumber, udpTo(53, "hello"))
	header.UDP(none6.Head.AsSlice()[54:]).SetChecksum(0)
	fragment := datagram(false, header.UDPProtocolNumber, udpTo(53, "hello"))
	ip := header.IPv4(fragment.Head.AsSlice()[14:])
	ip.SetFlagsFragmentOffset(header.IPv4FlagMoreFragments, 0)
	ip.SetChecksum(0)
	ip.SetChecksum(^ip.CalculateChecksum())
	fragment.Head.AsSlice()[fragment.Size()-1] ^= 1
	arp := soft.Frame{Head: buffer.NewViewWithData(append(make([]byte, 12), 8, 6, 0, 1))}
	short := soft.Frame{Head: buffer.NewViewWithData(make([]byte, 5))}
	for _, test := range []struct {
		name  string
		frame soft.Frame
		want  bool
	}{
		{"UDP without one", none, true}, // RFC 768
		{"UDP on IPv6 without one", none6, false},
		{"a fragment", fragment, true},
		{"ARP", arp, true},
		{"less than a header", short, false},
	} {
		if got := soft.Verify(&test.frame); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// Whatever comes in, nothing panics.
func FuzzHeaders(f *testing.F) {
	for _, six := range []bool{false, true} {
		s := segment{six: six, flags: header.TCPFlagAck, payload: pattern(10)}
		frame := s.frame()
		f.Add(allOf(&frame), uint16(frame.Head.Size()), uint16(3))
		d := datagram(six, header.UDPProtocolNumber, udpTo(53, "hello"))
		f.Add(allOf(&d), uint16(d.Head.Size()), uint16(0))
	}
	extended := datagram(true, header.UDPProtocolNumber, append([]byte{44, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 9}, udpTo(53, "hello")...))
	extended.Head.AsSlice()[20] = 0 // hop-by-hop options first, then a fragment header
	f.Add(allOf(&extended), uint16(200), uint16(0))
	accept, err := soft.Dropping(soft.Match{Protocol: "icmp"}, soft.Match{Protocol: "tcp", Port: 80}, soft.Match{Protocol: "udp"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte, cut, mss uint16) {
		cut = min(cut, uint16(min(len(data), 0xffff)))
		if cut == 0 || len(data) > 0xffff {
			t.Skip()
		}
		frame := soft.Frame{Head: buffer.NewViewWithData(data[:cut]), Payload: buffer.MakeWithData(data[cut:]), Segment: mss, Partial: mss > 0}
		if transport, ok := soft.Parse(data[:cut]); ok && transport > int(cut) {
			t.Errorf("transport header at %d of %d", transport, cut)
		}
		accept(data[:cut])
		soft.Verify(&frame)
		if frame.PacketSize() < 0 && cut >= 14 {
			t.Errorf("a packet of %d bytes", frame.PacketSize())
		}
		for _, joined := range soft.Join(split(frame)...) {
			joined.Release()
		}
	})
}

func TestFilter(t *testing.T) {
	type matches []soft.Match
	neighbour := make([]byte, 24)
	neighbour[0] = byte(header.ICMPv6NeighborSolicit)
	echo4, echo6 := []byte{8, 0, 0, 0, 0, 0, 0, 0}, []byte{128, 0, 0, 0, 0, 0, 0, 0}
	later := datagram(false, header.UDPProtocolNumber, udpTo(53, ""))
	binary.BigEndian.PutUint16(later.Head.AsSlice()[20:], 1)
	tcp := segment{flags: header.TCPFlagSyn}.frame() // to port 80
	extended := datagram(true, header.UDPProtocolNumber, append([]byte{17, 0, 0, 0, 0, 0, 0, 0}, udpTo(53, "hello")...))
	extended.Head.AsSlice()[20] = 60 // destination options
	for _, test := range []struct {
		name  string
		frame soft.Frame
		drops matches
		want  bool
	}{
		{"nothing", tcp, nil, true},
		{"its protocol", tcp, matches{{Protocol: "tcp"}}, false},
		{"its port", tcp, matches{{Protocol: "udp"}, {Protocol: "tcp", Port: 80}}, false},
		{"other port", tcp, matches{{Protocol: "tcp", Port: 81}}, true},
		{"other protocol", tcp, matches{{Protocol: "udp", Port: 80}, {Protocol: "icmp"}}, true},
		{"ping", datagram(false, header.ICMPv4ProtocolNumber, echo4), matches{{Protocol: "icmp"}}, false},
		{"ping on IPv6", datagram(true, header.ICMPv6ProtocolNumber, echo6), matches{{Protocol: "icmp"}}, false},
		{"neighbour discovery", datagram(true, header.ICMPv6ProtocolNumber, neighbour), matches{{Protocol: "icmp"}}, true},
		{"UDP on IPv6", datagram(true, header.UDPProtocolNumber, udpTo(53, "")), matches{{Protocol: "udp", Port: 53}}, false},
		{"behind an extension header", extended, matches{{Protocol: "udp", Port: 53}}, false},
		{"a later fragment has no port", later, matches{{Protocol: "udp", Port: 53}}, true},
		{"a later fragment has a protocol", later, matches{{Protocol: "udp"}}, false},
	} {
		accept, err := soft.Dropping(test.drops...)
		if err != nil {
			t.Fatal(err)
		}
		if got := accept(test.frame.Head.AsSlice()); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
	if _, err := soft.Dropping(soft.Match{Protocol: "sctp"}); fmt.Sprint(err) != `protocol "sctp": not tcp, udp or icmp` {
		t.Error(err)
	}
}
