package router

import (
	"encoding/binary"
	"net/netip"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"

	"scenario/fabric/soft"
)

// Numbers of the protocols that the router reads.
const (
	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherIPv6 = 0x86dd

	protocolHopByHop = 0
	protocolICMP     = 1
	protocolTCP      = 6
	protocolUDP      = 17
	protocolRouting  = 43
	protocolFragment = 44
	protocolAuth     = 51
	protocolICMPv6   = 58
	protocolOptions  = 60
	protocolNone     = 59 // of an IPv6 packet that has nothing (more) to read
)

// Sizes of headers in bytes.
const (
	etherSize    = 14
	ipv4Size     = 20
	ipv6Size     = 40
	tcpSize      = 20
	udpSize      = 8
	icmpSize     = 8
	fragmentSize = 8 // of an IPv6 fragment header
)

// mac is an Ethernet address.
type mac [6]byte

var broadcast = mac{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// address is an IP address as two numbers; IPv4 is mapped into IPv6 (RFC 4291, section 2.5.5.2). It is smaller and quicker
// to hash than a netip.Addr.
type address struct{ hi, lo uint64 }

const mapped4 = 0xffff << 32

func addressOf(a netip.Addr) address {
	b := a.As16()
	return address6(b[:])
}

func address4(b []byte) address { return address{lo: mapped4 | uint64(binary.BigEndian.Uint32(b))} }

func address6(b []byte) address {
	return address{hi: binary.BigEndian.Uint64(b), lo: binary.BigEndian.Uint64(b[8:])}
}

func (a address) netip() netip.Addr {
	b := a.bytes16()
	return netip.AddrFrom16(b).Unmap()
}

func (a address) bytes16() (b [16]byte) {
	binary.BigEndian.PutUint64(b[:], a.hi)
	binary.BigEndian.PutUint64(b[8:], a.lo)
	return b
}

// put writes the address as a header has it: 4 bytes or 16.
func (a address) put(b []byte) {
	if a.is4() {
		binary.BigEndian.PutUint32(b, uint32(a.lo))
		return
	}
	binary.BigEndian.PutUint64(b, a.hi)
	binary.BigEndian.PutUint64(b[8:], a.lo)
}

func (a address) is4() bool         { return a.hi == 0 && a.lo>>32 == 0xffff }
func (a address) unspecified() bool { return a == address{} || a == address{lo: mapped4} }
func (a address) linkLocal6() bool  { return a.hi>>54 == 0xfe80>>6 }
func (a address) limited() bool     { return a == address{lo: mapped4 | 0xffffffff} } // 255.255.255.255

func (a address) before(b address) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

func (a address) multicast() bool {
	return a.hi>>56 == 0xff || a.is4() && a.lo>>28&0xf == 0xe
}

func (a address) loopback() bool {
	return a == address{lo: 1} || a.is4() && a.lo>>24&0xff == 127
}

// host says that the address can be one host's, which may send and be answered.
func (a address) host() bool {
	return !a.unspecified() && !a.multicast() && !a.loopback() && !(a.is4() && a.lo>>28&0xf == 0xf)
}

// packet is a frame with an IP packet under way through the router.
type packet struct {
	frame    soft.Frame
	port     *port // by which it came in, or through which the router's own stack sent it
	own      bool  // the router's own stack, or the router, made it
	group    bool  // the frame is for more than this router
	v6       bool
	header   int // bytes of the network header; IPv6 without extensions
	size     int // bytes of the packet from the network header on
	src, dst address

	track *tracking   // where connections are tracked
	whole *reassembly // of which the packet was put together
}

// ip is the packet from the network header on, as far as the frame's head has it.
func (p *packet) ip() []byte { return p.frame.Head.AsSlice()[etherSize:] }

// contiguous has the frame's first n bytes in its head, or says that there are not so many.
func contiguous(f *soft.Frame, n int) bool {
	have := f.Head.Size()
	if have >= n {
		return true
	}
	if f.Size() < n {
		return false
	}
	head := buffer.NewViewSize(n)
	copy(head.AsSlice(), f.Head.AsSlice())
	f.Payload.ReadAt(head.AsSlice()[have:], 0)
	f.Payload.TrimFront(int64(n - have))
	if f.Head != nil {
		f.Head.Release()
	}
	f.Head = head
	return true
}

// need has the packet's first n bytes from the network header on in the frame's head.
func (p *packet) need(n int) bool { return n <= p.size && contiguous(&p.frame, etherSize+n) }

// parse reads the network header, and cuts off what follows the packet (Ethernet frames have a least length). It returns
// false for what RFC 1812, section 5.2.2, and RFC 8200, section 3, have a router discard in silence.
func (p *packet) parse() bool {
	if !contiguous(&p.frame, etherSize+ipv4Size) {
		return false
	}
	switch binary.BigEndian.Uint16(p.frame.Head.AsSlice()[12:]) {
	case etherIPv4:
		return p.parse4() && p.trim()
	case etherIPv6:
		return p.parse6() && p.trim()
	}
	return false
}

func (p *packet) parse4() bool {
	ip := p.ip()
	p.header = int(ip[0]&0xf) * 4
	p.size = int(binary.BigEndian.Uint16(ip[2:]))
	if ip[0]>>4 != 4 || p.header < ipv4Size || p.size < p.header || !p.need(p.header) {
		return false
	}
	ip = p.ip()
	if p.frame.Suspect && checksum.Checksum(ip[:p.header], 0) != 0xffff {
		return false
	}
	p.src, p.dst = address4(ip[12:]), address4(ip[16:])
	return true
}

func (p *packet) parse6() bool {
	if !contiguous(&p.frame, etherSize+ipv6Size) {
		return false
	}
	ip := p.ip()
	if ip[0]>>4 != 6 {
		return false
	}
	p.v6 = true
	p.header = ipv6Size
	p.size = ipv6Size + int(binary.BigEndian.Uint16(ip[4:]))
	p.src, p.dst = address6(ip[8:]), address6(ip[24:])
	// Mapped addresses have no place on a wire, and would be taken for IPv4 here.
	return !p.src.is4() && !p.dst.is4()
}

// trim makes the frame as long as its packet.
func (p *packet) trim() bool {
	have := p.frame.Size() - etherSize
	switch {
	case have < p.size:
		return false
	case have > p.size:
		if over := p.frame.Head.Size() - etherSize - p.size; over > 0 {
			p.frame.Head.CapLength(etherSize + p.size)
			p.frame.Payload.Release()
		} else {
			p.frame.Payload.Truncate(int64(-over))
		}
	}
	return true
}

// hops is the packet's time to live or hop limit.
func (p *packet) hops() byte {
	if p.v6 {
		return p.ip()[7]
	}
	return p.ip()[8]
}

// hop takes one from the time to live or hop limit, which must be more than 0.
func (p *packet) hop() {
	ip := p.ip()
	if p.v6 {
		ip[7]--
		return
	}
	ip[8]--
	// RFC 1624: taking 1 from the upper byte of a word adds as much to the checksum.
	sum := uint32(binary.BigEndian.Uint16(ip[10:])) + 0x0100
	binary.BigEndian.PutUint16(ip[10:], uint16(sum+sum>>16))
}

func (p *packet) dontFragment() bool { return p.ip()[6]&0x40 != 0 }

// upper is what an IP packet carries, and where.
type upper struct {
	protocol byte
	offset   int  // bytes from the network header on
	part     bool // a fragment
	later    bool // a fragment that has no upper header: it is not the first
	fragment int  // where the IPv6 fragment header is, or 0
	pointer  int  // where the IPv6 header before that says so
}

// upper finds the upper-layer header behind IPv6 extension headers. What cannot be read has protocol 59, no next header.
func (p *packet) upper() upper {
	u, ok := walk(p.ip(), p.v6)
	if !ok && p.need(p.size) {
		u, ok = walk(p.ip(), p.v6)
	}
	if !ok {
		u.protocol = protocolNone
	}
	return u
}

// walk goes from header to header (RFC 8200, section 4), and is false where the packet ends on the way.
func walk(ip []byte, v6 bool) (u upper, ok bool) {
	if !v6 {
		field := binary.BigEndian.Uint16(ip[6:])
		u = upper{protocol: ip[9], offset: int(ip[0]&0xf) * 4, part: field&0x3fff != 0, later: field&0x1fff != 0}
		return u, len(ip) >= u.offset
	}
	u = upper{protocol: ip[6], offset: ipv6Size}
	pointer := 6
	for {
		switch u.protocol {
		case protocolHopByHop, protocolRouting, protocolOptions, protocolAuth, protocolFragment:
		default:
			return u, true
		}
		if len(ip) < u.offset+8 {
			return u, false
		}
		header := ip[u.offset:]
		extent := (int(header[1]) + 1) * 8
		switch u.protocol {
		case protocolFragment:
			field := binary.BigEndian.Uint16(header[2:])
			u.fragment, u.pointer = u.offset, pointer
			u.part, u.later = field&0xfff9 != 0, field&0xfff8 != 0
			extent = fragmentSize
		case protocolAuth:
			extent = (int(header[1]) + 2) * 4
		}
		pointer = u.offset
		u.protocol = header[0]
		u.offset += extent
		if u.later {
			return u, true
		}
	}
}
