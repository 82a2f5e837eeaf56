package ws

import "encoding/binary"

// opcode is what a frame is for (RFC 6455, section 5.2).
type opcode byte

const (
	opContinuation opcode = 0x0
	opText         opcode = 0x1
	opBinary       opcode = 0x2
	opClose        opcode = 0x8
	opPing         opcode = 0x9
	opPong         opcode = 0xa
)

// String is the opcode's name, as events write it.
func (o opcode) String() string {
	switch o {
	case opContinuation:
		return "continuation"
	case opText:
		return "text"
	case opBinary:
		return "binary"
	case opClose:
		return "close"
	case opPing:
		return "ping"
	case opPong:
		return "pong"
	}
	return "reserved"
}

// frame is one frame that went by.
type frame struct {
	opcode   opcode
	fin      bool // the last one of its message
	reserved bool // a bit was set that has no meaning
	masked   bool
	length   uint64 // bytes of payload
	shown    []byte // the payload's beginning, unmasked
}

// maxShown is how many bytes of a frame's payload are looked at: all of a control frame's, and of a line of a chat.
const maxShown = 1024

// maxHead is the greatest length of what stands before a payload, in bytes: two, a length of eight, a mask of four.
const maxHead = 14

// scanner finds the frames in the bytes of one direction of a connection as they go by, whatever pieces they come in. It
// judges nothing: what is wrong with a frame is for who takes it.
type scanner struct {
	tell func(frame)
	// mask gives the masks of frames that are sent, in place of those that they come with; nil: they keep theirs.
	mask func() [4]byte

	bare   bool   // a frame has begun that has no mask
	head   []byte // of the frame that is going by, as far as it has
	frame  frame
	within bool    // the head has gone by whole
	left   uint64  // bytes of payload still to come
	old    [4]byte // the mask that the frame came with
	twist  [4]byte // what makes another mask of it
}

// write looks at bytes that go by, and changes them only where there are masks to be replaced.
func (s *scanner) write(p []byte) {
	for i := 0; i < len(p); {
		if !s.within {
			s.head = append(s.head, p[i])
			i++
			if size := headSize(s.head); len(s.head) == size {
				s.begin(p[:i])
			}
			continue
		}
		n := int(min(uint64(len(p)-i), s.left))
		s.payload(p[i : i+n])
		i += n
		if s.left == 0 {
			s.end()
		}
	}
}

// headSize is how long a head is that begins so; more than there is while that cannot be said.
func headSize(head []byte) int {
	if len(head) < 2 {
		return 2
	}
	size := 2
	switch head[1] & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if head[1]&0x80 != 0 {
		size += 4
	}
	return size
}

// begin reads the head, the last bytes of which are those of p.
func (s *scanner) begin(p []byte) {
	h := s.head
	s.frame = frame{opcode: opcode(h[0] & 0x0f), fin: h[0]&0x80 != 0, reserved: h[0]&0x70 != 0, masked: h[1]&0x80 != 0}
	switch n := h[1] & 0x7f; n {
	case 126:
		s.frame.length = uint64(binary.BigEndian.Uint16(h[2:]))
	case 127:
		s.frame.length = binary.BigEndian.Uint64(h[2:])
	default:
		s.frame.length = uint64(n)
	}
	s.bare = s.bare || !s.frame.masked
	s.old, s.twist = [4]byte{}, [4]byte{}
	if s.frame.masked {
		s.old = [4]byte(h[len(h)-4:])
		if s.mask != nil && len(p) >= 4 { // else a part of the mask has gone by
			mask := s.mask()
			copy(p[len(p)-4:], mask[:])
			for i := range s.twist {
				s.twist[i] = s.old[i] ^ mask[i]
			}
		}
	}
	s.within, s.left = true, s.frame.length
	if s.left == 0 {
		s.end()
	}
}

func (s *scanner) payload(p []byte) {
	at := s.frame.length - s.left
	for i := range p[:min(len(p), maxShown-len(s.frame.shown))] {
		s.frame.shown = append(s.frame.shown, p[i]^s.old[(at+uint64(i))%4])
	}
	if s.twist != [4]byte{} {
		for i := range p {
			p[i] ^= s.twist[(at+uint64(i))%4]
		}
	}
	s.left -= uint64(len(p))
}

func (s *scanner) end() {
	f := s.frame
	s.head, s.within, s.frame = s.head[:0], false, frame{}
	s.tell(f)
}
