package router

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"

	"scenario/fabric/soft"
)

// What waits for its other fragments, where connections are tracked: only the first has the ports.
const (
	mostDatagrams = 64
	waitsFor      = 30 * time.Second // as Linux
	mostIPv4      = 1<<16 - 1        // bytes
	mostIPv6      = ipv6Size + 1<<16 - 1
)

// fragments are the datagrams that are being put together.
type fragments struct {
	mu        sync.Mutex
	datagrams []*reassembly // oldest first
}

// fragmentKey tells datagrams apart (RFC 791, section 3.2; RFC 8200, section 4.5, which has no protocol).
type fragmentKey struct {
	src, dst address
	id       uint32
	protocol byte
}

// reassembly is a datagram that is being put together, or was.
type reassembly struct {
	key      fragmentKey
	since    time.Time
	pieces   []piece // by offset, none overlaps
	have     int     // bytes
	size     int     // bytes, or -1: the last has not come
	head     []byte  // Ethernet and network headers, of the first fragment; of IPv6 those that each fragment has
	pointer  int     // of IPv6: where the last of those says what follows, in bytes from the network header on
	protocol byte    // of IPv6: what follows
	largest  int     // bytes of the largest fragment: what is sent on has none that are larger
	suspect  bool
}

type piece struct {
	offset int
	data   []byte
}

// add takes a fragment, whose frame is still the caller's. It is true with the last that was missing: the packet is then
// the whole one.
func (f *fragments) add(p *packet, u upper, now time.Time) bool {
	if !p.need(p.size) {
		return false
	}
	ip := p.ip()
	field, begin, unit := binary.BigEndian.Uint16(ip[6:]), p.header, 1
	key := fragmentKey{src: p.src, dst: p.dst, id: uint32(binary.BigEndian.Uint16(ip[4:])), protocol: ip[9]}
	offset, more := int(field&0x1fff)*8, field&moreFragments != 0
	if p.v6 {
		header := ip[u.fragment:]
		field, begin = binary.BigEndian.Uint16(header[2:]), u.fragment+fragmentSize
		key = fragmentKey{src: p.src, dst: p.dst, id: binary.BigEndian.Uint32(header[4:])}
		offset, more = int(field&0xfff8), field&1 != 0
	}
	if more {
		unit = 8
	}
	data := ip[begin:p.size]
	if len(data) == 0 || len(data)%unit != 0 || offset+len(data) > mostIPv4 {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.find(key, now)
	if !d.insert(offset, data, more) {
		f.remove(d)
		return false
	}
	d.largest, d.suspect = max(d.largest, p.size), d.suspect || p.frame.Suspect
	if offset == 0 {
		d.head = slices.Clone(p.frame.Head.AsSlice()[:etherSize+begin])
		if p.v6 {
			d.protocol, d.pointer = ip[u.fragment], u.pointer
			d.head = d.head[:etherSize+u.fragment]
		}
	}
	if d.head == nil || d.have != d.size {
		return false
	}
	f.remove(d)
	return d.replace(p)
}

// find returns the datagram of a fragment, and forgets those that have waited too long or are too many.
func (f *fragments) find(key fragmentKey, now time.Time) *reassembly {
	late := 0
	for late < len(f.datagrams) && now.Sub(f.datagrams[late].since) > waitsFor {
		late++
	}
	f.datagrams = slices.Delete(f.datagrams, 0, late)
	for _, d := range f.datagrams {
		if d.key == key {
			return d
		}
	}
	if len(f.datagrams) == mostDatagrams {
		f.datagrams = slices.Delete(f.datagrams, 0, 1)
	}
	d := &reassembly{key: key, since: now, size: -1}
	f.datagrams = append(f.datagrams, d)
	return d
}

func (f *fragments) remove(d *reassembly) {
	if i := slices.Index(f.datagrams, d); i >= 0 {
		f.datagrams = slices.Delete(f.datagrams, i, i+1)
	}
}

// insert is false where the datagram cannot be any more: fragments that overlap are an attack (RFC 5722).
func (d *reassembly) insert(offset int, data []byte, more bool) bool {
	end := offset + len(data)
	if !more {
		if d.size >= 0 && d.size != end {
			return false
		}
		d.size = end
	}
	at, same := slices.BinarySearchFunc(d.pieces, offset, func(p piece, offset int) int {
		return cmp.Compare(p.offset, offset)
	})
	if same && len(d.pieces[at].data) == len(data) {
		return true // the same again
	}
	if same || at > 0 && d.pieces[at-1].offset+len(d.pieces[at-1].data) > offset ||
		at < len(d.pieces) && d.pieces[at].offset < end {
		return false
	}
	d.pieces = slices.Insert(d.pieces, at, piece{offset, slices.Clone(data)})
	d.have += len(data)
	last := d.pieces[len(d.pieces)-1]
	return d.size < 0 || last.offset+len(last.data) <= d.size
}

// replace makes a fragment the whole packet.
func (d *reassembly) replace(p *packet) bool {
	size := len(d.head) - etherSize + d.size
	if !p.v6 && size > mostIPv4 || size > mostIPv6 {
		return false
	}
	head := buffer.NewView(etherSize + size)
	head.Write(d.head)
	for _, piece := range d.pieces {
		head.Write(piece.data)
	}
	d.pieces = nil
	ip := head.AsSlice()[etherSize:]
	if p.v6 {
		ip[d.pointer] = d.protocol
		binary.BigEndian.PutUint16(ip[4:], uint16(size-ipv6Size))
	} else {
		ip[6], ip[7] = ip[6]&0x40, 0
		binary.BigEndian.PutUint16(ip[2:], uint16(size))
		putSum(ip[:len(d.head)-etherSize])
	}
	p.frame.Release()
	p.frame = soft.Frame{Head: head, Suspect: d.suspect}
	p.size = size
	if !p.v6 {
		p.header = len(d.head) - etherSize
	}
	p.whole = d
	return true
}
