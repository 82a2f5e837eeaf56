package transport

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"
)

// R13: what goes into the pieces of a body comes out of them, however it is cut.
func TestPieces(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	b := pieces{spare: &sync.Pool{New: newPiece}}
	var in, out bytes.Buffer
	for range 1000 {
		part := make([]byte, random.IntN(3*maxFrame))
		for i := range part {
			part[i] = byte(random.Uint32())
		}
		in.Write(part)
		b.Write(part)
		take := make([]byte, random.IntN(3*maxFrame))
		out.Write(take[:b.Read(take)])
		if b.Len() != in.Len()-out.Len() {
			t.Fatalf("%d bytes are left, want %d", b.Len(), in.Len()-out.Len())
		}
	}
	rest := make([]byte, b.Len())
	out.Write(rest[:b.Read(rest)])
	if !bytes.Equal(in.Bytes(), out.Bytes()) {
		t.Error("something else came out")
	}
	b.Write([]byte("what nobody reads"))
	b.Drop()
	if n := b.Read(rest); n != 0 || b.Len() != 0 {
		t.Errorf("%d bytes came although they were dropped", n)
	}
}
