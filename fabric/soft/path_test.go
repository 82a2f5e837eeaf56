package soft

import (
	"bytes"
	"encoding/binary"
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
)

// datagram is an IPv6 packet with a UDP header and as many bytes as will make it that size.
func datagram(size int) Frame {
	b := make([]byte, ethernetSize+size)
	for i := range b {
		b[i] = byte(i * 7)
	}
	binary.BigEndian.PutUint16(b[12:], 0x86dd)
	ip := b[ethernetSize:]
	ip[0], ip[6] = 0x60, 17
	binary.BigEndian.PutUint16(ip[4:], uint16(size-ipv6Size))
	return Frame{Head: buffer.NewViewWithData(b[:ethernetSize+ipv6Size+8]), Payload: buffer.MakeWithData(b[ethernetSize+ipv6Size+8:])}
}

// tooBig is the frame of a router's message that a packet was too big for a path.
func tooBig(f Frame, mtu int) []byte {
	about := f.Head.AsSlice()[ethernetSize:]
	b := make([]byte, ethernetSize+ipv6Size+8, 200)
	binary.BigEndian.PutUint16(b[12:], 0x86dd)
	ip := b[ethernetSize:]
	ip[0], ip[6] = 0x60, 58
	binary.BigEndian.PutUint16(ip[4:], uint16(8+len(about)))
	ip[ipv6Size] = 2
	binary.BigEndian.PutUint32(ip[ipv6Size+4:], uint32(mtu))
	return append(b, about...)
}

// collect takes what is sent apart: the bytes after the headers, in order, and the sizes of the packets.
func collect(t *testing.T, p *paths, f Frame) (content []byte, sizes []int) {
	t.Helper()
	p.send(f, SinkFunc(func(part Frame) {
		sizes = append(sizes, part.PacketSize())
		whole := fragmentOf(&part)
		if whole.offset != len(content) {
			t.Errorf("a part for %d comes at %d", whole.offset, len(content))
		}
		content = append(content, whole.data...)
		part.Release()
	}))
	return content, sizes
}

// R35: datagrams get through a path that carries less than the link.
func TestDatagramsAreCutForTheirPath(t *testing.T) {
	var p paths
	want, sizes := collect(t, &p, datagram(1500))
	if len(sizes) != 1 || sizes[0] != 1500 {
		t.Fatalf("before anything is known: packets of %v", sizes)
	}
	p.learn(tooBig(datagram(1500), 1300))
	got, sizes := collect(t, &p, datagram(1500))
	if !bytes.Equal(got, want) {
		t.Error("the parts are not the datagram")
	}
	for _, size := range sizes {
		if size > 1300 {
			t.Errorf("packets of %v for a path that carries 1300", sizes)
		}
	}
	if len(sizes) != 2 {
		t.Errorf("packets of %v", sizes)
	}
	// What the stack cut for the link is cut again.
	whole := datagram(1500 - fragmentSize)
	piece := fragmentOf(&whole)
	piece.offset, piece.more, piece.identification = 0, true, 99
	content, sizes := collect(t, &p, piece.part(0, len(piece.data)))
	if !bytes.Equal(content, piece.data) || len(sizes) != 2 {
		t.Errorf("a fragment of %d bytes makes packets of %v", len(piece.data), sizes)
	}
	if _, sizes = collect(t, &p, datagram(1300)); len(sizes) != 1 {
		t.Errorf("a datagram that fits makes packets of %v", sizes)
	}
}

func FuzzPaths(f *testing.F) {
	f.Add(tooBig(datagram(1500), 1280))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		var p paths
		p.learn(tooBig(datagram(1500), 1280))
		p.learn(data)
		if len(data) >= ethernetSize {
			p.send(Frame{Head: buffer.NewViewWithData(data)}, SinkFunc(func(f Frame) { f.Release() }))
		}
	})
}
