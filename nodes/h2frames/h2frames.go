// Package h2frames watches the bytes of an HTTP/2 connection and tells of the frames in them (RFC 9113, section 4), without
// a part in the exchange.
//
// A [Watcher] is fed the bytes of one direction, however they are cut. What it sees comes from the network: it keeps no more
// than a frame's beginning and one head at a time, and stops at what cannot be HTTP/2.
package h2frames

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"scenario/event"
)

// MaxHead bounds a head, in bytes, compressed and decoded: larger ones are told without their fields.
const MaxHead = 256 << 10

const (
	frameHeader = 9   // bytes of a frame before its payload
	maxDetail   = 256 // bytes of a payload that are looked at for its detail
	maxTable    = 64 << 10
)

// Frame is a frame that was seen whole.
type Frame struct {
	Type   http2.FrameType
	Flags  http2.Flags
	Stream uint32
	Bytes  int    // of the payload
	Detail string // of SETTINGS, PING, RST_STREAM, GOAWAY, WINDOW_UPDATE, PRIORITY_UPDATE: what it says
}

// Event is the frame's event. Its side is the one whose event it is; direction is "sent" or "received".
func (f Frame) Event(side, local, remote, direction string) event.HTTP2Frame {
	return event.HTTP2Frame{
		Side: side, Local: local, Remote: remote, Direction: direction,
		Type: f.Type.String(), Stream: f.Stream, Flags: flags(f.Type, f.Flags), Bytes: f.Bytes, Detail: f.Detail,
	}
}

// Head is a head of a request or response, or trailers, that was seen whole.
type Head struct {
	Stream      uint32
	Wire        int                 // bytes of its field block on the wire (RFC 9113, section 4.3)
	Fields      []hpack.HeaderField // pseudo-header fields first; nil where they could not be decoded
	End         bool                // nothing follows on the stream
	PushPromise bool
}

// Plain is the bytes that the head's fields take as lines of HTTP/1.1, up to the empty line: "name: value\r\n" for each.
func (h Head) Plain() int { return Plain(h.Fields) }

// Plain is [Head.Plain] of any fields.
func Plain(fields []hpack.HeaderField) int {
	n := len("\r\n")
	for _, f := range fields {
		n += len(f.Name) + len(": ") + len(f.Value) + len("\r\n")
	}
	return n
}

// Text is the fields, a line each, as raw views show them, up to the empty line.
func Text(fields []hpack.HeaderField) string {
	var b strings.Builder
	b.Grow(Plain(fields))
	for _, f := range fields {
		b.WriteString(f.Name)
		b.WriteString(": ")
		b.WriteString(f.Value)
		b.WriteString("\r\n")
	}
	b.WriteString("\r\n")
	return b.String()
}

// Watcher watches one direction of a connection. It is for one goroutine at a time.
type Watcher struct {
	frame func(Frame)
	head  func(Head)

	preface []byte // what the client's preface still has to bring; nil: frames
	began   bool
	broken  bool

	header  [frameHeader]byte
	have    int // bytes of header
	current http2.FrameHeader
	left    int    // bytes of the payload to come
	payload []byte // what is kept of it

	block       []byte // of the head under way
	wire        int
	first       http2.FrameHeader // of the frame that began the head
	open        bool              // a head is under way
	undecodable bool              // a head was left out, so that the table of the decoder is no longer right
	decoder     *hpack.Decoder
	fields      []hpack.HeaderField
	size        int
}

// New returns a Watcher that tells frame of each frame, and head, unless it is nil, of each head with its fields.
func New(frame func(Frame), head func(Head)) *Watcher {
	w := &Watcher{frame: frame, head: head}
	if head != nil {
		w.decoder = hpack.NewDecoder(4096, w.field)
		w.decoder.SetAllowedMaxDynamicTableSize(maxTable)
		w.decoder.SetMaxStringLength(MaxHead)
	}
	return w
}

func (w *Watcher) field(f hpack.HeaderField) {
	if w.size += int(f.Size()); w.size <= 2*MaxHead {
		w.fields = append(w.fields, f)
	}
}

// Feed gives the next bytes of the direction. They are not kept.
func (w *Watcher) Feed(p []byte) {
	if !w.began && len(p) > 0 { // only the client's direction has a preface (RFC 9113, section 3.4)
		w.began = true
		if p[0] == http2.ClientPreface[0] {
			w.preface = []byte(http2.ClientPreface)
		}
	}
	for len(p) > 0 && !w.broken {
		switch {
		case len(w.preface) > 0:
			n := min(len(p), len(w.preface))
			w.broken = !bytes.Equal(p[:n], w.preface[:n])
			w.preface, p = w.preface[n:], p[n:]
		case w.have < frameHeader:
			n := copy(w.header[w.have:], p)
			w.have, p = w.have+n, p[n:]
			if w.have == frameHeader {
				w.begin()
			}
		default:
			n := min(len(p), w.left)
			w.keep(p[:n])
			w.left, p = w.left-n, p[n:]
		}
		if w.have == frameHeader && w.left == 0 {
			w.end()
		}
	}
}

// begin reads the header of a frame.
func (w *Watcher) begin() {
	h := w.header
	w.current = http2.FrameHeader{
		Length: uint32(h[0])<<16 | uint32(h[1])<<8 | uint32(h[2]),
		Type:   http2.FrameType(h[3]), Flags: http2.Flags(h[4]),
		StreamID: binary.BigEndian.Uint32(h[5:]) & (1<<31 - 1),
	}
	w.left = int(w.current.Length)
	w.payload = w.payload[:0]
}

// keep keeps what is needed of a payload.
func (w *Watcher) keep(p []byte) {
	limit := maxDetail
	switch w.current.Type {
	case http2.FrameData:
		return
	case http2.FrameHeaders, http2.FrameContinuation, http2.FramePushPromise:
		if limit = 0; w.head != nil {
			limit = MaxHead
		}
	}
	w.payload = append(w.payload, p[:min(len(p), max(0, limit-len(w.payload)))]...)
}

// end tells of a frame that is complete.
func (w *Watcher) end() {
	w.have = 0
	f := w.current
	w.frame(Frame{Type: f.Type, Flags: f.Flags, Stream: f.StreamID, Bytes: int(f.Length), Detail: w.detail()})
	if w.head == nil {
		return
	}
	switch f.Type {
	case http2.FrameHeaders, http2.FramePushPromise:
		w.open, w.first, w.block, w.wire = true, f, w.block[:0], 0
		w.add(w.fragment())
	case http2.FrameContinuation:
		if !w.open || f.StreamID != w.first.StreamID {
			w.broken = true
			return
		}
		w.add(w.payload, int(f.Length))
	default:
		return
	}
	if f.Flags.Has(http2.FlagHeadersEndHeaders) { // the same bit in all three
		w.open = false
		w.complete()
	}
}

// fragment is the part of a field block in the payload of HEADERS or PUSH_PROMISE, and its bytes on the wire: padding and
// priority are no part of it (RFC 9113, sections 6.2 and 6.6).
func (w *Watcher) fragment() (kept []byte, wire int) {
	p, wire := w.payload, int(w.current.Length)
	strip := func(n int) {
		p, wire = p[min(n, len(p)):], max(0, wire-n)
	}
	if w.current.Flags.Has(http2.FlagHeadersPadded) {
		padding := 0
		if len(p) > 0 {
			padding = int(p[0])
		}
		strip(1)
		wire = max(0, wire-padding)
	}
	if w.current.Type == http2.FramePushPromise {
		strip(4)
	} else if w.current.Flags.Has(http2.FlagHeadersPriority) {
		strip(5)
	}
	return p[:min(len(p), wire)], wire
}

func (w *Watcher) add(kept []byte, wire int) {
	w.wire += wire
	if len(kept) < wire || len(w.block)+len(kept) > MaxHead {
		w.undecodable = true
		w.block = w.block[:0]
		return
	}
	w.block = append(w.block, kept...)
}

// complete tells of a head that is complete.
func (w *Watcher) complete() {
	h := Head{
		Stream: w.first.StreamID, Wire: w.wire, End: w.first.Flags.Has(http2.FlagHeadersEndStream),
		PushPromise: w.first.Type == http2.FramePushPromise,
	}
	h.End = h.End && !h.PushPromise
	if !w.undecodable {
		w.fields, w.size = nil, 0
		_, err := w.decoder.Write(w.block)
		if closed := w.decoder.Close(); err != nil || closed != nil {
			w.undecodable = true
		} else if w.size <= 2*MaxHead {
			h.Fields = w.fields
		}
	}
	w.head(h)
}

// detail says what a frame of the connection's own business says.
func (w *Watcher) detail() string {
	p, number := w.payload, func(i int) uint32 { return binary.BigEndian.Uint32(w.payload[i:]) }
	switch w.current.Type {
	case http2.FrameSettings:
		var list []string
		for ; len(p) >= 6; p = p[6:] {
			list = append(list, fmt.Sprintf("%s=%d", setting(binary.BigEndian.Uint16(p)), binary.BigEndian.Uint32(p[2:])))
		}
		return strings.Join(list, " ")
	case http2.FrameRSTStream:
		if len(p) >= 4 {
			return http2.ErrCode(number(0)).String()
		}
	case http2.FrameWindowUpdate:
		if len(p) >= 4 {
			return fmt.Sprintf("+%d bytes", number(0)&(1<<31-1))
		}
	case http2.FrameGoAway:
		if len(p) >= 8 {
			text := fmt.Sprintf("%s last_stream=%d", http2.ErrCode(number(4)), number(0)&(1<<31-1))
			if debug := strings.ToValidUTF8(string(p[8:]), "?"); debug != "" {
				text += fmt.Sprintf(" %q", debug)
			}
			return text
		}
	case http2.FramePriorityUpdate:
		if len(p) >= 4 {
			return fmt.Sprintf("stream=%d %q", number(0)&(1<<31-1), strings.ToValidUTF8(string(p[4:]), "?"))
		}
	}
	return ""
}

// setting is the name of a setting (RFC 9113, section 6.5.2).
func setting(id uint16) string {
	return strings.TrimPrefix(http2.SettingID(id).String(), "SETTINGS_")
}

// flags names the flags that are set, joined by spaces.
func flags(t http2.FrameType, f http2.Flags) string {
	known := func(pairs ...any) string {
		var list []string
		for i := 0; i < len(pairs); i += 2 {
			if f.Has(pairs[i].(http2.Flags)) {
				list = append(list, pairs[i+1].(string))
			}
		}
		return strings.Join(list, " ")
	}
	switch t {
	case http2.FrameData:
		return known(http2.FlagDataEndStream, "END_STREAM", http2.FlagDataPadded, "PADDED")
	case http2.FrameHeaders:
		return known(http2.FlagHeadersEndStream, "END_STREAM", http2.FlagHeadersEndHeaders, "END_HEADERS",
			http2.FlagHeadersPadded, "PADDED", http2.FlagHeadersPriority, "PRIORITY")
	case http2.FrameSettings, http2.FramePing:
		return known(http2.FlagSettingsAck, "ACK")
	case http2.FrameContinuation, http2.FramePushPromise:
		return known(http2.FlagContinuationEndHeaders, "END_HEADERS", http2.FlagPushPromisePadded, "PADDED")
	}
	return ""
}
