package router

import (
	"encoding/binary"
	"slices"

	"gvisor.dev/gvisor/pkg/buffer"

	"scenario/fabric/soft"
)

// fragment sends a packet in parts of at most that many bytes: super-packets as the segments that they stand for, others
// in fragments (RFC 791, section 3.2). IPv6 packets are only cut again that were put together here.
func (r *Router) fragment(p *packet, route *route, most int) {
	switch {
	case p.frame.Segment > 0:
		port, own := p.port, p.own
		soft.Split(p.frame, func(f soft.Frame) {
			segment := packet{frame: f, port: port, own: own}
			if !segment.parse() {
				segment.frame.Release()
				return
			}
			r.transmit(&segment, route)
		})
		return
	case !p.v6:
		p.frame.Complete()
		r.fragment4(p, route, most)
	case p.whole != nil:
		r.fragment6(p, route, most)
	}
	p.frame.Release()
}

// content is what follows the first n bytes of a packet.
func (p *packet) content(n int) []byte {
	data := make([]byte, p.size-n)
	head := copy(data, p.ip()[n:])
	p.frame.Payload.ReadAt(data[head:], 0)
	return data
}

const moreFragments = 0x2000 // RFC 791, section 3.1

func (r *Router) fragment4(p *packet, route *route, most int) {
	headers := slices.Clone(p.frame.Head.AsSlice()[:etherSize+p.header])
	ip := headers[etherSize:]
	field := binary.BigEndian.Uint16(ip[6:])
	cut(p.content(p.header), most-p.header, func(at int, part []byte, more bool) {
		offset := field + uint16(at/8)
		if more {
			offset |= moreFragments
		}
		binary.BigEndian.PutUint16(ip[2:], uint16(p.header+len(part)))
		binary.BigEndian.PutUint16(ip[6:], offset)
		putSum(ip)
		r.transmitPart(p, route, headers, part)
		dropOptions(ip)
	})
}

func (r *Router) fragment6(p *packet, route *route, most int) {
	whole := p.whole
	before := len(whole.head) - etherSize
	headers := slices.Grow(slices.Clone(p.frame.Head.AsSlice()[:len(whole.head)]), fragmentSize)
	headers = headers[:len(whole.head)+fragmentSize]
	ip := headers[etherSize:]
	ip[whole.pointer] = protocolFragment
	header := ip[before:]
	header[0], header[1] = whole.protocol, 0
	binary.BigEndian.PutUint32(header[4:], whole.key.id)
	cut(p.content(before), most-before-fragmentSize, func(at int, part []byte, more bool) {
		field := uint16(at)
		if more {
			field |= 1
		}
		binary.BigEndian.PutUint16(ip[4:], uint16(len(ip)+len(part)-ipv6Size))
		binary.BigEndian.PutUint16(header[2:], field)
		r.transmitPart(p, route, headers, part)
	})
}

// cut hands out data in parts of at most that many bytes, all but the last in units of 8.
func cut(data []byte, most int, emit func(at int, part []byte, more bool)) {
	most &^= 7
	if most <= 0 {
		return
	}
	for at := 0; at < len(data); at += most {
		end := min(at+most, len(data))
		emit(at, data[at:end], end < len(data))
	}
}

func (r *Router) transmitPart(p *packet, route *route, headers, part []byte) {
	head := buffer.NewView(len(headers) + len(part))
	head.Write(headers)
	head.Write(part)
	r.transmit(&packet{
		frame: soft.Frame{Head: head, Suspect: p.frame.Suspect}, port: p.port, own: p.own, v6: p.v6,
		header: p.header, size: len(headers) - etherSize + len(part), src: p.src, dst: p.dst,
	}, route)
}

// dropOptions overwrites the options that only the first fragment has with ones that do nothing.
func dropOptions(ip []byte) {
	const end, nothing, copied = 0, 1, 0x80
	for options := ip[ipv4Size:]; len(options) > 0; {
		size := 1
		switch {
		case options[0] == end:
			return
		case options[0] != nothing:
			if len(options) < 2 || options[1] < 2 || int(options[1]) > len(options) {
				return
			}
			size = int(options[1])
			if options[0]&copied == 0 {
				for i := range size {
					options[i] = nothing
				}
			}
		}
		options = options[size:]
	}
}
