package soft

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// paths remembers the MTU of paths of IPv6 (RFC 8201), where no router cuts a packet. The stack does so for TCP alone:
// datagrams that are too large for their path, the card cuts for it (RFC 8200, section 4.5).
type paths struct {
	known atomic.Bool // whether there is any path that carries less than the link

	mu             sync.Mutex
	mtus           map[[16]byte]path // by destination
	identification uint32
}

// path is what is known of a way to a destination.
type path struct {
	mtu   int // bytes of an IP packet
	until time.Time
}

const (
	pathAge   = 10 * time.Minute // RFC 8201, section 4: until a larger packet is tried again
	mostPaths = 1024

	ipv6Size     = header.IPv6MinimumSize
	fragmentSize = header.IPv6FragmentHeaderSize
)

// learn takes in the message that a packet was too big (RFC 4443, section 3.2); anything else it passes over.
func (p *paths) learn(head []byte) {
	if len(head) < ethernetSize+ipv6Size || head[ethernetSize+6] != byte(header.ICMPv6ProtocolNumber) {
		return
	}
	l, ok := parse(head)
	if !ok || l.version != 6 || l.protocol != uint8(header.ICMPv6ProtocolNumber) || l.fragment {
		return
	}
	const unused = 8 // bytes before the packet that the message is about
	message := head[l.transport:]
	if len(message) < unused+ipv6Size || message[0] != byte(header.ICMPv6PacketTooBig) {
		return
	}
	mtu := max(int(binary.BigEndian.Uint32(message[4:])), header.IPv6MinimumMTU)
	destination := [16]byte(message[unused+24:])
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mtus == nil {
		p.mtus = make(map[[16]byte]path)
	}
	if len(p.mtus) >= mostPaths {
		clear(p.mtus)
	}
	p.mtus[destination] = path{mtu, time.Now().Add(pathAge)}
	p.known.Store(true)
}

// carries says how many bytes of a datagram's IP packet its path carries; 0 where that is not known to be too few.
func (p *paths) carries(f *Frame, now time.Time) int {
	head := f.Head.AsSlice()
	l, ok := parse(head)
	if !ok || l.version != 6 || l.protocol == uint8(header.TCPProtocolNumber) {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	way, ok := p.mtus[[16]byte(l.addresses(head)[16:])]
	if !ok || now.After(way.until) || f.PacketSize() <= way.mtu {
		return 0
	}
	return way.mtu
}

// send sends a frame on, a datagram in fragments that its path carries.
func (p *paths) send(f Frame, to Sink) {
	if !p.known.Load() {
		to.Send(f)
		return
	}
	mtu := p.carries(&f, time.Now())
	if mtu == 0 {
		to.Send(f)
		return
	}
	whole := fragmentOf(&f)
	if whole == nil {
		to.Send(f)
		return
	}
	if whole.identification == 0 {
		p.mu.Lock()
		p.identification++
		whole.identification = p.identification
		p.mu.Unlock()
	}
	most := (mtu - ipv6Size - fragmentSize) &^ 7
	for at := 0; at < len(whole.data); at += most {
		end := min(at+most, len(whole.data))
		to.Send(whole.part(at, end))
	}
	f.Release()
}

// fragment is a piece of a datagram, or all of one.
type fragment struct {
	headers        []byte // Ethernet's and IPv6's
	next           byte   // what the datagram begins with
	identification uint32
	offset         int  // of data in the datagram
	more           bool // pieces follow
	data           []byte
}

// fragmentOf reads an IPv6 packet without extension headers other than that of a fragment; nil: it is none.
func fragmentOf(f *Frame) *fragment {
	head := f.Head.AsSlice()
	if len(head) < ethernetSize+ipv6Size || binary.BigEndian.Uint16(head[2*macSize:]) != uint16(header.IPv6ProtocolNumber) {
		return nil
	}
	whole := &fragment{headers: head[:ethernetSize+ipv6Size], next: head[ethernetSize+6]}
	whole.data = append(whole.data, head[len(whole.headers):]...)
	whole.data = append(whole.data, f.Payload.Flatten()...)
	switch header.IPv6ExtensionHeaderIdentifier(whole.next) {
	case header.IPv6FragmentExtHdrIdentifier:
		if len(whole.data) < fragmentSize {
			return nil
		}
		field := binary.BigEndian.Uint16(whole.data[2:])
		whole.next, whole.identification = whole.data[0], binary.BigEndian.Uint32(whole.data[4:])
		whole.offset, whole.more = int(field&^7), field&1 != 0
		whole.data = whole.data[fragmentSize:]
	case header.IPv6HopByHopOptionsExtHdrIdentifier, header.IPv6RoutingExtHdrIdentifier,
		header.IPv6DestinationOptionsExtHdrIdentifier:
		return nil
	}
	return whole
}

// part is the fragment with the bytes from at to end.
func (w *fragment) part(at, end int) Frame {
	head := buffer.NewViewSize(len(w.headers) + fragmentSize + end - at)
	b := head.AsSlice()
	copy(b, w.headers)
	b[ethernetSize+6] = uint8(header.IPv6FragmentExtHdrIdentifier)
	binary.BigEndian.PutUint16(b[ethernetSize+4:], uint16(fragmentSize+end-at))
	extension := b[len(w.headers):]
	field := uint16(w.offset + at)
	if w.more || end < len(w.data) {
		field |= 1
	}
	extension[0], extension[1] = w.next, 0
	binary.BigEndian.PutUint16(extension[2:], field)
	binary.BigEndian.PutUint32(extension[4:], w.identification)
	copy(extension[fragmentSize:], w.data[at:end])
	return Frame{Head: head}
}
