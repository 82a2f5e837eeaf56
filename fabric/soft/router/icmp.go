package router

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"

	"scenario/fabric/soft"
)

// icmpError is why a packet could not be forwarded, in the words of RFC 792 and RFC 4443.
type icmpError struct {
	type4, code4 byte
	type6, code6 byte
	mtu          int // of the link that the packet is too big for
}

var (
	errorNoRoute      = icmpError{type4: 3, code4: 0, type6: 1, code6: 0}
	errorUnreachable  = icmpError{type4: 3, code4: 1, type6: 1, code6: 3}
	errorBeyondScope  = icmpError{type4: 3, code4: 0, type6: 1, code6: 2}
	errorTimeExceeded = icmpError{type4: 11, code4: 0, type6: 3, code6: 0}
)

// tooBig is the error of RFC 1191, section 4, and of RFC 4443, section 3.2.
func tooBig(mtu int) icmpError { return icmpError{type4: 3, code4: 4, type6: 2, code6: 0, mtu: mtu} }

// Sizes of the router's errors in bytes, with what they quote.
const (
	mostError4 = 576  // RFC 1812, section 4.3.2.3
	mostError6 = 1280 // RFC 4443, section 2.4 (c)
)

const (
	initialHops = 64   // of what the router makes itself
	tosControl  = 0xc0 // RFC 1812, section 4.3.2.5: precedence "internetwork control"
)

// refuse releases a packet, and tells its sender why if that may be told.
func (r *Router) refuse(p *packet, e icmpError) {
	reply, ok := r.errorAbout(p, e)
	own, port := p.own, p.port
	p.frame.Release()
	switch {
	case !ok:
	case own:
		port.deliver(reply)
	default:
		answer := packet{frame: reply, port: port, own: true}
		if !answer.parse() {
			answer.frame.Release()
			return
		}
		r.output(&answer)
	}
}

// answerable says that an ICMP error may be sent about a packet: never about an error, a fragment other than the first, or
// what was sent to or by more than one host (RFC 1812, section 4.3.2.7; RFC 4443, section 2.4 (e)).
func (p *packet) answerable() bool {
	if p.group || !p.src.host() || p.dst.multicast() || p.dst.limited() {
		return false
	}
	u := p.upper()
	if u.later {
		return false
	}
	if u.protocol != protocolICMP && u.protocol != protocolICMPv6 {
		return true
	}
	if !p.need(u.offset + 1) {
		return false
	}
	kind := p.ip()[u.offset]
	if p.v6 {
		return kind >= 128 && kind != ndpLast
	}
	switch kind {
	case 0, 8, 9, 10, 13, 14, 15, 16, 17, 18: // questions and their answers
		return true
	}
	return false
}

// errorAbout makes the ICMP error about a packet, unless there must be none.
func (r *Router) errorAbout(p *packet, e icmpError) (soft.Frame, bool) {
	if !p.answerable() {
		return soft.Frame{}, false
	}
	// As Linux: in IPv4 the address of the interface that the error leaves by (RFC 1812, section 4.3.2.4), in IPv6 that of
	// the one that the packet came in by. Stacks believe nobody who has their own address, so the router's own hears it
	// from where it wanted to send.
	from, ok := p.dst, true
	if !p.own {
		by := p.port
		if back := r.table.lookup(p.src); back != nil && !p.v6 {
			by = back.port
		}
		from, ok = by.source(p.src)
	}
	if !ok {
		return soft.Frame{}, false
	}
	header, most := ipv4Size, mostError4
	if p.v6 {
		header, most = ipv6Size, mostError6
	}
	quoted := min(p.frame.PacketSize(), p.size, most-header-icmpSize)
	head := buffer.NewViewSize(etherSize + header + icmpSize + quoted)
	b := head.AsSlice()
	message := b[etherSize+header:]
	p.quote(message[icmpSize:])
	if p.v6 {
		binary.BigEndian.PutUint16(b[12:], etherIPv6)
		message[0], message[1] = e.type6, e.code6
		binary.BigEndian.PutUint32(message[4:], uint32(e.mtu))
		putIPv6(b[etherSize:], from, p.src, protocolICMPv6, initialHops)
		binary.BigEndian.PutUint16(message[2:], icmpSum(from, p.src, message))
		return soft.Frame{Head: head}, true
	}
	binary.BigEndian.PutUint16(b[12:], etherIPv4)
	message[0], message[1] = e.type4, e.code4
	binary.BigEndian.PutUint16(message[6:], uint16(e.mtu))
	binary.BigEndian.PutUint16(message[2:], ^checksum.Checksum(message, 0))
	r.putIPv4(b[etherSize:], from, p.src, p.ip()[1]&0x1e|tosControl)
	return soft.Frame{Head: head}, true
}

// quote copies the beginning of a packet, as it is on a wire: of a super-packet, the first segment.
func (p *packet) quote(to []byte) {
	head := p.ip()
	n := copy(to, head)
	p.frame.Payload.ReadAt(to[n:], 0)
	if p.frame.Segment == 0 {
		return
	}
	size := p.frame.PacketSize()
	if p.v6 {
		binary.BigEndian.PutUint16(to[4:], uint16(size-ipv6Size))
		return
	}
	binary.BigEndian.PutUint16(to[2:], uint16(size))
	putSum(to[:p.header])
}

// putIPv4 writes the header of an ICMP message that the router sends.
func (r *Router) putIPv4(ip []byte, src, dst address, tos byte) {
	ip[0], ip[1] = 4<<4|ipv4Size/4, tos
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	binary.BigEndian.PutUint16(ip[4:], uint16(r.identification.Add(1)))
	ip[8], ip[9] = initialHops, protocolICMP
	src.put(ip[12:])
	dst.put(ip[16:])
	putSum(ip[:ipv4Size])
}

// putSum writes the checksum of an IPv4 header.
func putSum(header []byte) {
	header[10], header[11] = 0, 0
	binary.BigEndian.PutUint16(header[10:], ^checksum.Checksum(header, 0))
}

func putIPv6(ip []byte, src, dst address, protocol, hops byte) {
	ip[0] = 6 << 4
	binary.BigEndian.PutUint16(ip[4:], uint16(len(ip)-ipv6Size))
	ip[6], ip[7] = protocol, hops
	src.put(ip[8:])
	dst.put(ip[24:])
}

// icmpSum is the checksum of an ICMPv6 message (RFC 4443, section 2.3): 0 where the message has the right one already.
func icmpSum(src, dst address, message []byte) uint16 {
	var pseudo [40]byte
	src.put(pseudo[:])
	dst.put(pseudo[16:])
	binary.BigEndian.PutUint32(pseudo[32:], uint32(len(message)))
	pseudo[39] = protocolICMPv6
	return ^checksum.Checksum(message, checksum.Checksum(pseudo[:], 0))
}
