package ws

import (
	"bytes"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// scan returns the frames that are in bytes, which come in pieces of a size, and the bytes as they go on.
func scan(wire []byte, piece int, mask func() [4]byte) (found []frame, on []byte) {
	s := scanner{tell: func(f frame) { found = append(found, f) }, mask: mask}
	on = bytes.Clone(wire)
	for rest := on; len(rest) > 0; {
		n := min(piece, len(rest))
		s.write(rest[:n])
		rest = rest[n:]
	}
	return found, on
}

// R17: the frames of RFC 6455, section 5.7, and others.
func TestScanner(t *testing.T) {
	long := bytes.Repeat([]byte{'x'}, 256)
	for name, test := range map[string]struct {
		wire []byte
		want []frame
	}{
		"a text": {
			[]byte{0x81, 0x05, 'H', 'e', 'l', 'l', 'o'},
			[]frame{{opcode: opText, fin: true, length: 5, shown: []byte("Hello")}},
		},
		"a text with a mask": {
			[]byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58},
			[]frame{{opcode: opText, fin: true, masked: true, length: 5, shown: []byte("Hello")}},
		},
		"two fragments and a ping between them": {
			[]byte{0x01, 0x03, 'H', 'e', 'l', 0x89, 0x00, 0x80, 0x02, 'l', 'o'},
			[]frame{
				{opcode: opText, length: 3, shown: []byte("Hel")}, {opcode: opPing, fin: true},
				{opcode: opContinuation, fin: true, length: 2, shown: []byte("lo")},
			},
		},
		"a length of two bytes": {
			append([]byte{0x82, 0x7e, 0x01, 0x00}, long...),
			[]frame{{opcode: opBinary, fin: true, length: 256, shown: long}},
		},
		"a length of eight bytes": {
			append([]byte{0x82, 0x7f, 0, 0, 0, 0, 0, 0, 0x01, 0x00}, long...),
			[]frame{{opcode: opBinary, fin: true, length: 256, shown: long}},
		},
		"reserved bits and opcode": {
			[]byte{0xf3, 0x00, 0x8a, 0x00},
			[]frame{{opcode: 3, fin: true, reserved: true}, {opcode: opPong, fin: true}},
		},
		"half a frame": {[]byte{0x81, 0x05, 'H'}, nil},
		"endless":      {append([]byte{0x81, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, long...), nil},
	} {
		for piece := range 12 {
			got, on := scan(test.wire, piece+1, nil)
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(frame{})); diff != "" || !bytes.Equal(on, test.wire) {
				t.Errorf("%s in pieces of %d (-want +got):\n%s", name, piece+1, diff)
			}
		}
	}
}

// What is looked at of a frame is bounded, whatever its length.
func TestScannerIsBounded(t *testing.T) {
	var got []frame
	s := scanner{tell: func(f frame) { got = append(got, f) }}
	s.write([]byte{0x82, 0x7f, 0, 0, 0, 0, 0, 0x10, 0, 0})
	for range 16 {
		s.write(make([]byte, 1<<16))
	}
	if len(got) != 1 || got[0].length != 1<<20 || len(got[0].shown) != maxShown || cap(s.head) > 2*maxHead {
		t.Errorf("%d frames", len(got))
	}
}

// Any bytes, in any pieces, are the same frames, with other masks too, and those are the only thing that changes.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{
		"\x81\x05Hello", "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", "\x01\x03Hel\x89\x00\x80\x02lo", "\x88\x02\x03\xe8",
		"\x82\xfe\x00\x03\x01\x02\x03\x04abc\x81\x80\x01\x02\x03\x04", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
	} {
		f.Add([]byte(seed), 3)
	}
	f.Fuzz(func(t *testing.T, wire []byte, piece int) {
		if len(wire) > 1<<16 {
			return
		}
		whole, _ := scan(wire, math.MaxInt, nil)
		pieces, on := scan(wire, max(1, piece), nil)
		if !cmp.Equal(whole, pieces, cmp.AllowUnexported(frame{})) || !bytes.Equal(on, wire) {
			t.Fatalf("%x: %+v at once, %+v in pieces of %d", wire, whole, pieces, piece)
		}
		next := byte(0)
		seen, on := scan(wire, max(1, piece), func() [4]byte { next++; return [4]byte{next, 2, 3, 4} })
		again, _ := scan(on, math.MaxInt, nil)
		if !cmp.Equal(whole, seen, cmp.AllowUnexported(frame{})) || !cmp.Equal(whole, again, cmp.AllowUnexported(frame{})) {
			t.Fatalf("%x: with other masks %x: %+v, want %+v", wire, on, again, whole)
		}
	})
}
