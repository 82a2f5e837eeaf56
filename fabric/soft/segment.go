package soft

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// PacketSize is the size in bytes of the largest IP packet that the frame is on a wire, without the Ethernet header: what
// an MTU is compared with.
func (f *Frame) PacketSize() int {
	if f.Segment > 0 {
		head := f.Head.AsSlice()
		if l, ok := parse(head); ok {
			if headers, ok := l.tcp(head); ok {
				return headers - ethernetSize + int(f.Segment)
			}
		}
	}
	return f.Size() - ethernetSize
}

// Complete fills in the TCP checksum of a Partial frame; what stood in the field does not matter, so that addresses and
// ports may have been rewritten. It is for frames that are no super-packets: see [Split].
func (f *Frame) Complete() {
	if !f.Partial {
		return
	}
	f.Partial = false
	head := f.Head.AsSlice()
	if l, ok := parse(head); ok {
		if headers, ok := l.tcp(head); ok {
			tcp := header.TCP(head[l.transport:headers])
			tcp.SetChecksum(0)
			tcp.SetChecksum(^f.sum(l))
		}
	}
}

// Split cuts a super-packet into the frames that a wire carries, and emits them in order; their payload shares its memory
// with the super-packet's. All other frames are emitted as they are. What is emitted has full checksums.
func Split(f Frame, emit func(Frame)) {
	if f.Segment == 0 {
		f.Complete()
		emit(f)
		return
	}
	head := f.Head.AsSlice()
	l, ok := parse(head)
	headers := 0
	if ok {
		headers, ok = l.tcp(head)
	}
	if !ok {
		f.Release() // a super-packet is TCP, and whole
		return
	}
	c := cutter{frame: &f, layout: l, headers: headers, size: int(f.Segment)}
	c.payload = f.Payload
	if f.Head.Size() > headers {
		rest := f.Head.Clone()
		rest.TrimFront(headers)
		c.payload = buffer.MakeWithView(rest)
		c.payload.Merge(&f.Payload)
	}
	views := c.payload.AsViewList()
	c.view = views.Front()
	for left, n := int(c.payload.Size()), 0; left > 0; n++ {
		size := min(left, c.size)
		left -= size
		emit(c.next(n, size, left == 0))
	}
	f.Head.Release()
	c.payload.Release()
}

// cutter makes the segments of one super-packet.
type cutter struct {
	frame   *Frame
	layout  layout
	headers int // bytes
	size    int // of a segment's payload, in bytes
	payload buffer.Buffer
	view    *buffer.View // where the next segment's payload begins
	offset  int          // within the view
}

// next makes segment n, with size bytes of payload.
func (c *cutter) next(n, size int, last bool) Frame {
	f := Frame{Head: buffer.NewViewWithData(c.frame.Head.AsSlice()[:c.headers]), Suspect: c.frame.Suspect}
	for left := size; left > 0; {
		part := c.view.Clone()
		part.TrimFront(c.offset)
		part.CapLength(left)
		got := part.Size()
		left -= got
		if c.offset += got; c.offset == c.view.Size() {
			c.view, c.offset = c.view.Next(), 0
		}
		// The view is still shared with the super-packet, so that nothing is ever written behind it.
		_ = f.Payload.Append(part)
	}
	head := f.Head.AsSlice()
	length := c.headers - ethernetSize + size
	if c.layout.version == 4 {
		ip := header.IPv4(head[ethernetSize:c.layout.transport])
		ip.SetTotalLength(uint16(length))
		ip.SetID(ip.ID() + uint16(n)) // RFC 6864: no two fragments that may be mixed up have one ID
		ip.SetChecksum(0)
		ip.SetChecksum(^ip.CalculateChecksum())
	} else {
		header.IPv6(head[ethernetSize:]).SetPayloadLength(uint16(length - header.IPv6MinimumSize))
	}
	c.layout.end = ethernetSize + length
	tcp := header.TCP(head[c.layout.transport:])
	tcp.SetSequenceNumber(tcp.SequenceNumber() + uint32(n*c.size))
	flags := tcp.Flags()
	if !last {
		flags &^= header.TCPFlagFin | header.TCPFlagPsh
	}
	if n > 0 {
		flags &^= flagCWR
	}
	tcp.SetFlags(uint8(flags))
	tcp.SetChecksum(0)
	tcp.SetChecksum(^f.sum(c.layout))
	return f
}

// flagCWR says that the sender has slowed down; RFC 3168, section 6.1.2: once for a window, so on the first segment only.
const flagCWR = header.TCPFlags(0x80)

// sum is the checksum, not yet inverted, of the pseudo-header (RFC 9293, section 3.1, and RFC 8200, section 8.1) and all
// that follows the network headers. The packet must be whole.
func (f *Frame) sum(l layout) uint16 {
	head := f.Head.AsSlice()
	var pseudo [4]byte
	binary.BigEndian.PutUint16(pseudo[:], uint16(l.end-l.transport))
	pseudo[3] = l.protocol
	initial := checksum.Checksum(l.addresses(head), checksum.Checksum(pseudo[:], 0))
	return checksum.Combine(f.sumFrom(l.transport, l.end), initial)
}

// sumFrom is the checksum, not yet inverted, of the bytes of the frame from begin to end.
func (f *Frame) sumFrom(begin, end int) uint16 {
	var sum checksum.Checksumer
	head := f.Head.AsSlice()
	sum.Add(head[min(begin, len(head)):min(end, len(head))])
	left := end - len(head)
	views := f.Payload.AsViewList()
	for v := views.Front(); v != nil && left > 0; v = v.Next() {
		part := v.AsSlice()
		part = part[:min(left, len(part))]
		sum.Add(part)
		left -= len(part)
	}
	return sum.Checksum()
}

// Verify says whether the checksums of a frame are right: IPv4's, and those of TCP, UDP, ICMP and ICMPv6. What is no IP is
// taken as it is. A fragment's transport checksum is over the whole packet, so only its network header is looked at.
func Verify(f *Frame) bool {
	head := f.Head.AsSlice()
	if len(head) < ethernetSize {
		return false
	}
	kind := binary.BigEndian.Uint16(head[2*macSize:])
	if kind != uint16(header.IPv4ProtocolNumber) && kind != uint16(header.IPv6ProtocolNumber) {
		return true
	}
	l, ok := parse(head)
	if !ok || l.end > f.Size() {
		return false
	}
	if l.version == 4 && checksum.Checksum(head[ethernetSize:l.transport], 0) != 0xffff {
		return false
	}
	if l.fragment {
		return true
	}
	size := l.end - l.transport
	switch {
	case l.protocol == uint8(header.TCPProtocolNumber):
		return size >= header.TCPMinimumSize && (f.Partial || f.sum(l) == 0xffff)
	case l.protocol == uint8(header.UDPProtocolNumber):
		if size < header.UDPMinimumSize || len(head) < l.transport+header.UDPMinimumSize {
			return false
		}
		udp := header.UDP(head[l.transport:])
		if udp.Checksum() == 0 {
			return l.version == 4 // RFC 768: none; RFC 8200, section 8.1: must be there
		}
		return int(udp.Length()) == size && f.sum(l) == 0xffff
	case l.protocol == uint8(header.ICMPv4ProtocolNumber) && l.version == 4:
		return size >= header.ICMPv4MinimumSize && f.sumFrom(l.transport, l.end) == 0xffff
	case l.protocol == uint8(header.ICMPv6ProtocolNumber) && l.version == 6:
		return size >= header.ICMPv6MinimumSize && f.sum(l) == 0xffff
	}
	return true
}
