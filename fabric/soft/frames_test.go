package soft_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"scenario/fabric/soft"
)

// segment is a TCP segment to be made a frame of.
type segment struct {
	from, to byte // hosts; IPv6 where six is set
	six      bool
	options  []byte // TCP's, padded
	ip       []byte // IPv4's options, padded
	flags    header.TCPFlags
	seq      uint32
	id       uint16
	payload  []byte
	pieces   int // how many views the payload is in; 0: one
	inHead   int // how much of the payload stands in the head
	mss      int // of a super-packet
}

func (s segment) frame() soft.Frame {
	ipSize := header.IPv4MinimumSize + len(s.ip)
	if s.six {
		ipSize = header.IPv6MinimumSize
	}
	tcpSize := header.TCPMinimumSize + len(s.options)
	head := make([]byte, 14+ipSize+tcpSize)
	source, destination := mac(s.from), mac(s.to)
	copy(head, destination[:])
	copy(head[6:], source[:])
	length := ipSize + tcpSize + len(s.payload)
	if s.six {
		binary.BigEndian.PutUint16(head[12:], uint16(header.IPv6ProtocolNumber))
		header.IPv6(head[14:]).Encode(&header.IPv6Fields{
			PayloadLength: uint16(length - ipSize), TransportProtocol: header.TCPProtocolNumber, HopLimit: 64,
			SrcAddr: address(v6(s.from)), DstAddr: address(v6(s.to)),
		})
	} else {
		binary.BigEndian.PutUint16(head[12:], uint16(header.IPv4ProtocolNumber))
		ip := header.IPv4(head[14:])
		ip.Encode(&header.IPv4Fields{
			TotalLength: uint16(length), ID: s.id, TTL: 64, Protocol: uint8(header.TCPProtocolNumber),
			SrcAddr: address(v4(s.from)), DstAddr: address(v4(s.to)),
		})
		ip.SetHeaderLength(uint8(ipSize))
		copy(head[14+header.IPv4MinimumSize:], s.ip)
		ip.SetChecksum(0)
		ip.SetChecksum(^ip.CalculateChecksum())
	}
	tcp := header.TCP(head[14+ipSize:])
	tcp.Encode(&header.TCPFields{
		SrcPort: 1000, DstPort: 80, SeqNum: s.seq, AckNum: 77, DataOffset: uint8(tcpSize), Flags: s.flags, WindowSize: 500,
		Checksum: 0xbad, // to be filled in
	})
	copy(tcp[header.TCPMinimumSize:], s.options)

	f := soft.Frame{Head: buffer.NewViewWithData(append(head, s.payload[:s.inHead]...)), Partial: true}
	rest := s.payload[s.inHead:]
	for n := max(s.pieces, 1); n > 0 && len(rest) > 0; n-- {
		size := len(rest) / n
		piece := buffer.MakeWithData(rest[:size])
		f.Payload.Merge(&piece)
		rest = rest[size:]
	}
	if s.mss > 0 && len(s.payload) > s.mss {
		f.Segment = uint16(s.mss)
	}
	return f
}

func address(a netip.Addr) tcpip.Address { return tcpip.AddrFromSlice(a.AsSlice()) }

// allOf is a frame's bytes.
func allOf(f *soft.Frame) []byte { return append(f.Head.ToSlice(), f.Payload.Flatten()...) }

// checked reads a TCP frame with gVisor's headers, and fails the test where lengths or checksums are wrong.
func checked(t *testing.T, f *soft.Frame) (tcp header.TCP, payload []byte) {
	t.Helper()
	packet := allOf(f)[14:]
	var source, destination tcpip.Address
	if packet[0]>>4 == 4 {
		ip := header.IPv4(packet)
		if !ip.IsValid(len(packet)) || int(ip.TotalLength()) != len(packet) || !ip.IsChecksumValid() {
			t.Fatalf("IPv4 header % x of %d bytes", ip[:ip.HeaderLength()], len(packet))
		}
		source, destination, tcp = ip.SourceAddress(), ip.DestinationAddress(), header.TCP(ip.Payload())
	} else {
		ip := header.IPv6(packet)
		if !ip.IsValid(len(packet)) || int(ip.PayloadLength()) != len(packet)-header.IPv6MinimumSize {
			t.Fatalf("IPv6 header % x of %d bytes", ip[:header.IPv6MinimumSize], len(packet))
		}
		source, destination, tcp = ip.SourceAddress(), ip.DestinationAddress(), header.TCP(ip.Payload())
	}
	payload = tcp.Payload()
	if !tcp.IsChecksumValid(source, destination, checksum.Checksum(payload, 0), uint16(len(payload))) {
		t.Fatalf("TCP checksum %#x of % x", tcp.Checksum(), tcp[:tcp.DataOffset()])
	}
	return tcp, payload
}

// datagram is a whole UDP or ICMP packet as a frame, its checksums right.
func datagram(six bool, protocol tcpip.TransportProtocolNumber, transport []byte) soft.Frame {
	source, destination := address(v4(1)), address(v4(2))
	ip := make([]byte, header.IPv4MinimumSize)
	kind := header.IPv4ProtocolNumber
	if six {
		kind, source, destination = header.IPv6ProtocolNumber, address(v6(1)), address(v6(2))
		ip = make([]byte, header.IPv6MinimumSize)
		header.IPv6(ip).Encode(&header.IPv6Fields{
			PayloadLength: uint16(len(transport)), TransportProtocol: protocol, HopLimit: 64, SrcAddr: source, DstAddr: destination,
		})
	} else {
		header.IPv4(ip).Encode(&header.IPv4Fields{
			TotalLength: uint16(len(ip) + len(transport)), TTL: 64, Protocol: uint8(protocol), SrcAddr: source, DstAddr: destination,
		})
		header.IPv4(ip).SetChecksum(^header.IPv4(ip).CalculateChecksum())
	}
	pseudo := header.PseudoHeaderChecksum(protocol, source, destination, uint16(len(transport)))
	switch protocol {
	case header.UDPProtocolNumber:
		header.UDP(transport).SetChecksum(0)
		header.UDP(transport).SetChecksum(^checksum.Checksum(transport, pseudo))
	case header.ICMPv4ProtocolNumber:
		header.ICMPv4(transport).SetChecksum(0)
		header.ICMPv4(transport).SetChecksum(^checksum.Checksum(transport, 0))
	case header.ICMPv6ProtocolNumber:
		header.ICMPv6(transport).SetChecksum(0)
		header.ICMPv6(transport).SetChecksum(^checksum.Checksum(transport, pseudo))
	}
	from, to := mac(1), mac(2)
	head := append(to[:], from[:]...)
	head = binary.BigEndian.AppendUint16(head, uint16(kind))
	head = append(append(head, ip...), transport...)
	return soft.Frame{Head: buffer.NewViewWithData(head)}
}

// udpTo is a UDP header with a payload.
func udpTo(port uint16, payload string) []byte {
	packet := append(make([]byte, header.UDPMinimumSize), payload...)
	header.UDP(packet).Encode(&header.UDPFields{SrcPort: 1000, DstPort: port, Length: uint16(len(packet))})
	return packet
}
