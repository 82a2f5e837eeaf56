package transport

import "sync"

// pieces is the part of a body that has come and is not read yet, in pieces that bodies use again.
type pieces struct {
	spare *sync.Pool // of *piece
	list  []*piece
	n     int // bytes in them
}

// piece holds as much as a frame.
type piece struct {
	bytes    [maxFrame]byte
	from, to int // what is in it
}

func newPiece() any { return new(piece) }

// Len is how many bytes there are.
func (b *pieces) Len() int { return b.n }

// Write adds bytes.
func (b *pieces) Write(p []byte) {
	b.n += len(p)
	for len(p) > 0 {
		if len(b.list) == 0 || b.list[len(b.list)-1].to == maxFrame {
			fresh := b.spare.Get().(*piece)
			fresh.from, fresh.to = 0, 0
			b.list = append(b.list, fresh)
		}
		last := b.list[len(b.list)-1]
		n := copy(last.bytes[last.to:], p)
		last.to += n
		p = p[n:]
	}
}

// Read takes bytes out, as far as there are any.
func (b *pieces) Read(p []byte) int {
	got := 0
	for len(p) > 0 && len(b.list) > 0 {
		first := b.list[0]
		n := copy(p, first.bytes[first.from:first.to])
		first.from += n
		got, p = got+n, p[n:]
		if first.from == first.to {
			b.spare.Put(first)
			b.list = b.list[1:]
		}
	}
	b.n -= got
	return got
}

// Drop forgets what there is.
func (b *pieces) Drop() {
	for _, left := range b.list {
		b.spare.Put(left)
	}
	b.list, b.n = nil, 0
}
