package soft

import (
	"bytes"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// joiner puts segments of one TCP connection that arrive in a row together again, so that a stack has the work of one packet
// and not of forty: what network cards call receive offload. It undoes what [Split] does.
type joiner struct {
	frame   Frame
	layout  layout
	headers int    // bytes
	next    uint32 // the sequence number that continues it
	segment int    // payload of the first segment, in bytes
	open    bool   // more may follow
	joined  bool
}

// start begins with a frame.
func (j *joiner) start(f Frame) {
	*j = joiner{frame: f}
	if f.Segment > 0 || f.Suspect {
		return
	}
	head := f.Head.AsSlice()
	var ok bool
	if j.layout, ok = parse(head); !ok {
		return
	}
	if j.headers, ok = j.layout.tcp(head); !ok || j.headers != len(head) || j.layout.end != f.Size() {
		return
	}
	tcp := header.TCP(head[j.layout.transport:])
	j.segment = int(f.Payload.Size())
	j.next = tcp.SequenceNumber() + uint32(j.segment)
	j.open = j.segment > 0 && tcp.Flags() == header.TCPFlagAck
}

// add appends a frame, which is then used up; false where it does not continue what is there.
func (j *joiner) add(f *Frame) bool {
	if !j.open || f.Segment > 0 || f.Suspect || f.Head.Size() != j.headers {
		return false
	}
	head, size := f.Head.AsSlice(), int(f.Payload.Size())
	if size == 0 || size > j.segment || j.layout.end+size-ethernetSize >= superSize || !j.continues(head) {
		return false
	}
	if l, ok := parse(head); !ok || l.end != j.headers+size {
		return false
	}
	flags := header.TCP(head[j.layout.transport:]).Flags()
	first := header.TCP(j.frame.Head.AsSlice()[j.layout.transport:])
	first.SetFlags(uint8(first.Flags() | flags))
	j.open = flags == header.TCPFlagAck && size == j.segment
	j.joined = true
	j.next += uint32(size)
	j.layout.end += size
	j.frame.Payload.Merge(&f.Payload)
	f.Release()
	return true
}

// continues says whether headers are those of the next segment: the same but for the sequence number, what differs
// between any two packets, and flags that end a train.
func (j *joiner) continues(head []byte) bool {
	first := j.frame.Head.AsSlice()
	same := func(begin, end int) bool { return bytes.Equal(head[begin:end], first[begin:end]) }
	const ip = ethernetSize
	t := j.layout.transport
	if j.layout.version == 4 {
		if !same(0, ip+2) || !same(ip+6, ip+10) || !same(ip+12, t) { // but for length, ID and checksum
			return false
		}
	} else if !same(0, ip+4) || !same(ip+6, t) { // but for the length
		return false
	}
	if !same(t, t+header.TCPSeqNumOffset) || !same(t+header.TCPAckNumOffset, t+header.TCPFlagsOffset) ||
		!same(t+header.TCPWinSizeOffset, t+header.TCPChecksumOffset) || !same(t+header.TCPUrgentPtrOffset, j.headers) {
		return false
	}
	tcp := header.TCP(head[t:])
	return tcp.SequenceNumber() == j.next && tcp.Flags()&^(header.TCPFlagPsh|header.TCPFlagFin) == header.TCPFlagAck
}

// done returns what was put together.
func (j *joiner) done() Frame {
	if j.joined {
		head := j.frame.Head.AsSlice()
		if length := j.layout.end - ethernetSize; j.layout.version == 4 {
			ip := header.IPv4(head[ethernetSize:j.layout.transport])
			ip.SetTotalLength(uint16(length))
			ip.SetChecksum(0)
			ip.SetChecksum(^ip.CalculateChecksum())
		} else {
			header.IPv6(head[ethernetSize:]).SetPayloadLength(uint16(length - header.IPv6MinimumSize))
		}
		j.frame.Segment = uint16(j.segment)
		j.frame.Partial = true
	}
	return j.frame
}
