package router

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/buffer"

	"scenario/fabric/soft"
)

// fragment sends a packet that is larger than the link's MTU in parts: super-packets as the segments that they stand for,
// IPv4 packets in fragments (RFC 791, section 3.2).
func (r *Router) fragment(p *packet, route *route) {
	if p.frame.Segment > 0 {
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
	}
	if !p.v6 {
		p.frame.Complete()
		r.fragment4(p, route)
	}
	p.frame.Release()
}

func (r *Router) fragment4(p *packet, route *route) {
	room := (route.port.mtu - p.header) &^ 7
	if room <= 0 {
		return
	}
	data := make([]byte, p.size-p.header)
	n := copy(data, p.ip()[p.header:])
	p.frame.Payload.ReadAt(data[n:], 0)

	headers := append([]byte(nil), p.frame.Head.AsSlice()[:etherSize+p.header]...)
	ip := headers[etherSize:]
	field := binary.BigEndian.Uint16(ip[6:])
	for at := 0; at < len(data); at += room {
		part := data[at:min(at+room, len(data))]
		offset := field + uint16(at/8)
		if at+len(part) < len(data) {
			offset |= moreFragments
		}
		binary.BigEndian.PutUint16(ip[2:], uint16(p.header+len(part)))
		binary.BigEndian.PutUint16(ip[6:], offset)
		putSum(ip)
		head := buffer.NewView(len(headers) + len(part))
		head.Write(headers)
		head.Write(part)
		f := packet{
			frame: soft.Frame{Head: head, Suspect: p.frame.Suspect}, port: p.port, own: p.own,
			header: p.header, size: p.header + len(part), src: p.src, dst: p.dst,
		}
		r.transmit(&f, route)
		dropOptions(ip)
	}
}

const moreFragments = 0x2000 // RFC 791, section 3.1

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
