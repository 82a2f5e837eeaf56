package web

import (
	"encoding/binary"
	"slices"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// filter stands between a client's frames and x/net's server, which is milder than RFC 9113 in two places: it answers
// requests that are malformed by a field of the connection's own, where a stream error is due, and it ends a connection whose
// SETTINGS say something twice. So heads and settings go on when they are whole, and are changed so that the server does
// what is right.
type filter struct {
	look      func([]byte) // sees every byte as it came, before it goes on
	malformed bool         // set by look, when a head is whole: its request breaks the rules

	preface int // bytes of the client's preface that are still to come
	header  [9]byte
	have    int
	left    int    // of the payload
	held    []byte // the payload so far, of a frame that goes on when it is whole
	holding bool
	ready   []byte // what goes on
}

// maxFrame bounds a frame's payload (RFC 9113, section 4.2), in bytes.
const maxFrame = 16 << 10

// feed takes what the client sends; what goes on is in ready.
func (f *filter) feed(p []byte) {
	n := min(f.preface, len(p))
	f.pass(p[:n])
	f.preface, p = f.preface-n, p[n:]
	for len(p) > 0 {
		if f.have < len(f.header) {
			n := copy(f.header[f.have:], p)
			f.look(p[:n])
			f.have, p = f.have+n, p[n:]
			if f.have == len(f.header) {
				f.begin()
			}
			continue
		}
		n := min(len(p), f.left)
		f.look(p[:n])
		if f.holding {
			f.held = append(f.held, p[:n]...)
		} else {
			f.ready = append(f.ready, p[:n]...)
		}
		f.left, p = f.left-n, p[n:]
		if f.left == 0 {
			f.end()
		}
	}
}

func (f *filter) pass(p []byte) {
	if len(p) > 0 {
		f.look(p)
		f.ready = append(f.ready, p...)
	}
}

func (f *filter) kind() http2.FrameType { return http2.FrameType(f.header[3]) }

// begin is called when the header of a frame has come.
func (f *filter) begin() {
	f.left = int(f.header[0])<<16 | int(f.header[1])<<8 | int(f.header[2])
	f.holding = f.left <= maxFrame &&
		slices.Contains([]http2.FrameType{http2.FrameHeaders, http2.FrameContinuation, http2.FrameSettings}, f.kind())
	f.held = f.held[:0]
	if !f.holding {
		f.ready = append(f.ready, f.header[:]...)
	}
	if f.left == 0 {
		f.end()
	}
}

// end is called when a frame has come whole.
func (f *filter) end() {
	f.have = 0
	if !f.holding {
		return
	}
	const endHeaders = byte(http2.FlagHeadersEndHeaders) // the same bit in HEADERS and CONTINUATION
	switch {
	case f.kind() == http2.FrameSettings:
		f.held = unique(f.held)
		f.header[1], f.header[2] = byte(len(f.held)>>8), byte(len(f.held))
	case f.malformed && f.header[4]&endHeaders != 0:
		f.malformed = false
		f.header[4] &^= endHeaders
		f.ready = append(append(f.ready, f.header[:]...), f.held...)
		// A field whose name is no name makes the request malformed for the server too (RFC 9113, section 8.2.1).
		f.held = append(f.held[:0], 0, 1, 'X', 0)
		f.header[0], f.header[1], f.header[2], f.header[3], f.header[4] = 0, 0, byte(len(f.held)), byte(http2.FrameContinuation), endHeaders
	}
	f.ready = append(append(f.ready, f.header[:]...), f.held...)
}

// flush gives up watching: what is held goes on as it is.
func (f *filter) flush() {
	if f.have == len(f.header) && f.holding {
		f.ready = append(append(f.ready, f.header[:]...), f.held...)
	} else if f.have < len(f.header) {
		f.ready = append(f.ready, f.header[:f.have]...)
	}
	f.have = 0
}

// unique leaves of the settings that are given several times the last one, which is what counts when they are processed in
// order (RFC 9113, section 6.5.3).
func unique(payload []byte) []byte {
	const size = 6
	if len(payload)%size != 0 {
		return payload // the server refuses it
	}
	var kept []byte
	for i := 0; i < len(payload); i += size {
		again := false
		for j := i + size; j < len(payload); j += size {
			again = again || binary.BigEndian.Uint16(payload[j:]) == binary.BigEndian.Uint16(payload[i:])
		}
		if !again {
			kept = append(kept, payload[i:i+size]...)
		}
	}
	return kept
}

// forbidden says that a field is one of a connection of HTTP/1.1, which makes a message of HTTP/2 malformed (RFC 9113,
// section 8.2.2).
func forbidden(f hpack.HeaderField) bool {
	switch f.Name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		return true
	case "te":
		return f.Value != "trailers"
	}
	return false
}
