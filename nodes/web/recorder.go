package web

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"net/http"
	"net/textproto"
	"strconv"
	"time"
	"unicode/utf8"
)

// headLimit bounds a head, in bytes: net/http reads no more of a request's, and no more of any message is kept.
const headLimit = 64<<10 + 4096

// message is one request or response as it went over the wire.
type message struct {
	head      []byte         // request or status line, fields and blank line; interim responses (1xx) stand before it
	body      []byte         // the body's first bytes, chunk framing included
	dropped   int64          // bytes of head and body that were not kept
	size      int64          // bytes of the body's content, chunk framing left out
	whole     bool           // the message arrived, or was written, to its end
	at        time.Time      // of its last byte
	refused   string         // what is wrong with a request; empty: nothing
	ambiguous bool           // a request has both a Transfer-Encoding and a Content-Length
	request   *http.Request  // the head of a request that can be understood
	response  *http.Response // the head of a response
}

// blank says that the message is nothing but line ends, as old clients send after a body.
func (m *message) blank() bool { return len(bytes.Trim(m.head, "\r\n")) == 0 && len(m.body) == 0 }

// raw is the message as text, or in base64 where it is not UTF-8, and how many bytes it leaves out.
func (m *message) raw() (text, encoded string, left int64) {
	wire := append(bytes.Clone(m.head), m.body...)
	left = m.dropped
	if utf8.Valid(wire) {
		return string(wire), "", left
	}
	// The bound may have cut the last character of a text in two.
	if left > 0 || !m.whole {
		for cut := 1; cut < utf8.UTFMax && cut < len(wire); cut++ {
			if utf8.Valid(wire[:len(wire)-cut]) {
				return string(wire[:len(wire)-cut]), "", left + int64(cut)
			}
		}
	}
	return "", base64.StdEncoding.EncodeToString(wire), left
}

// recorder cuts the bytes of one direction of an HTTP/1 connection into messages (RFC 9112, sections 2 and 6). Requests
// end where their framing says, and [recorder.take] returns them one by one; a response ends where the server says so,
// by [recorder.cut]. What it keeps is bounded, whatever the bytes are. It is not safe for use by several goroutines.
type recorder struct {
	bodyLimit int  // bytes of a body that are kept
	responses bool // not requests

	done   []message // requests that arrived whole, oldest first
	cur    message   // what is arriving
	passed bool      // cur has been taken before it was whole: its rest is nobody's
	phase  phase
	start  int    // where the head that is arriving begins in cur.head: after blank lines and interim responses
	line   []byte // what has arrived of a line, outside of content
	left   int64  // bytes still to come in content and chunk

	refusedHead bool // the head that is arriving has just been found to be wrong
	length      bool // the head that is arriving has a Content-Length
	blanks      []span
}

// span is a part of the bytes given to write, from one to before another.
type span struct{ from, to int }

// phase is the part of a message that the next byte belongs to.
type phase int

const (
	inHead phase = iota
	inContent
	inChunkSize
	inChunk
	inChunkEnd
	inTrailer
	inRest // to the end of the connection: what has no framing, or cannot be understood
)

// write records bytes that went over the wire at a time. It returns how many of them stand before a request that is
// refused for its head: all where there is none.
func (r *recorder) write(p []byte, at time.Time) int {
	all, begin := len(p), 0
	r.blanks = r.blanks[:0]
	for len(p) > 0 {
		if r.phase == inHead && r.cur.at.IsZero() {
			begin = all - len(p)
		}
		var n int
		switch r.phase {
		case inContent, inChunk:
			n = int(min(int64(len(p)), r.left))
			r.keep(p[:n], at)
			r.cur.size += int64(n)
			r.left -= int64(n)
			if r.left == 0 {
				r.endContent()
			}
		case inRest:
			n = len(p)
			r.keep(p, at)
			r.cur.size += int64(n)
		default:
			n = bytes.IndexByte(p, '\n') + 1
			if n == 0 {
				n = len(p)
			}
			r.keep(p[:n], at)
			r.line = append(r.line, p[:n]...)
			if len(r.line) > headLimit || len(r.cur.head) == headLimit {
				r.phase, r.line = inRest, nil
			} else if p[n-1] == '\n' {
				r.check(r.line)
				if len(r.line) <= len("\r\n") && r.phase == inHead && r.cur.blank() {
					// RFC 9112, section 2.2: an empty line before a request line is passed over.
					r.blanks = append(r.blanks, span{all - len(p), all - len(p) + n})
				}
				line := bytes.TrimSuffix(r.line[:len(r.line)-1], []byte("\r"))
				r.line = r.line[:0]
				r.endLine(line)
			} else if bytes.IndexByte(p[:n-1], '\r') >= 0 {
				r.refuse("a carriage return stands alone")
			} else if r.phase == inHead && len(r.line) < len(r.cur.head)-r.start && (r.line[0] == ' ' || r.line[0] == '\t') {
				r.refuse(checkField(r.line))
			}
		}
		p = p[n:]
		if r.refusedHead {
			// What follows it is nobody's request: it is kept with it, as far as there is room.
			r.refusedHead, r.phase = false, inRest
			r.write(p, at)
			return begin
		}
	}
	return all
}

// check looks at a line, with its end, of a request.
func (r *recorder) check(line []byte) {
	if r.responses || r.cur.refused != "" {
		return
	}
	reason := ""
	text := bytes.TrimSuffix(line[:len(line)-1], []byte("\r"))
	first := r.phase == inHead && r.start+len(line) == len(r.cur.head)
	if first && len(text) == 0 {
		return // RFC 9112, section 2.2: an empty line before a request line is ignored
	}
	switch reason = checkLine(line); {
	case reason != "":
	case first:
		reason = checkStart(text)
	case (r.phase == inHead || r.phase == inTrailer) && len(text) > 0:
		if reason = checkField(text); reason == "" && r.phase == inHead {
			reason = r.checkLength(text)
		}
	case r.phase == inChunkSize:
		reason = checkChunkSize(text)
	case r.phase == inChunkEnd && len(text) > 0:
		reason = "a chunk is longer than its size says"
	}
	r.refuse(reason)
}

// checkLength says what is wrong with a field line where it is a Content-Length (RFC 9112, section 6.3).
func (r *recorder) checkLength(line []byte) string {
	const name = "content-length:"
	if len(line) < len(name) || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return ""
	}
	value := bytes.Trim(line[len(name):], " \t")
	switch {
	case r.length:
		return "there are several Content-Length fields"
	case len(value) == 0 || len(bytes.Trim(value, "0123456789")) > 0:
		return "the Content-Length is no number"
	case len(bytes.TrimLeft(value, "0")) > 18:
		return "the Content-Length is larger than any body"
	}
	r.length = true
	return ""
}

// refuse notes what is wrong with the request that is arriving; empty: nothing.
func (r *recorder) refuse(reason string) {
	if reason == "" || r.responses || r.cur.refused != "" {
		return
	}
	r.cur.refused = reason
	r.refusedHead = r.phase == inHead
}

// keep stores bytes of the current message as far as its bounds allow.
func (r *recorder) keep(p []byte, at time.Time) {
	r.cur.at = at
	if r.passed {
		return
	}
	part, limit := &r.cur.body, r.bodyLimit
	if r.phase == inHead {
		part, limit = &r.cur.head, headLimit
	}
	n := min(len(p), limit-len(*part))
	*part = append(*part, p[:n]...)
	r.cur.dropped += int64(len(p) - n)
}

// endLine takes a line, without its end, of the head or the chunk framing (RFC 9112, section 7.1).
func (r *recorder) endLine(line []byte) {
	switch r.phase {
	case inHead:
		switch {
		case len(line) > 0:
		case r.cur.blank():
			r.start = len(r.cur.head)
		default:
			r.endHead()
		}
	case inChunkSize:
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseUint(string(bytes.TrimRight(size, " \t")), 16, 63)
		switch {
		case err != nil:
			r.phase = inRest
		case n == 0:
			r.phase = inTrailer
		default:
			r.phase, r.left = inChunk, int64(n)
		}
	case inChunkEnd:
		r.phase = inChunkSize
		if len(line) > 0 {
			r.phase = inRest
		}
	case inTrailer:
		if len(line) == 0 {
			r.end()
		}
	}
}

// endHead decides from the head how the body is framed. net/http's own parser reads it, so that both agree.
func (r *recorder) endHead() {
	if r.responses {
		r.endResponseHead()
		return
	}
	if r.cur.refused != "" {
		return
	}
	request, err := http.ReadRequest(r.head())
	if err != nil {
		r.phase = inRest
		return
	}
	r.cur.request = request
	fields := r.fields()
	r.cur.ambiguous = len(fields["Transfer-Encoding"]) > 0 && len(fields["Content-Length"]) > 0
	if reason := checkFraming(request, fields); reason != "" {
		r.refuse(reason)
		return
	}
	switch {
	case request.ContentLength < 0:
		r.phase = inChunkSize
	case request.ContentLength > 0:
		r.phase, r.left = inContent, request.ContentLength
	default:
		r.end()
	}
}

// fields are those of the head that has just arrived: net/http takes those of the framing out.
func (r *recorder) fields() http.Header {
	reader := textproto.NewReader(r.head())
	if _, err := reader.ReadLine(); err != nil {
		return nil
	}
	fields, err := reader.ReadMIMEHeader()
	if err != nil {
		return nil
	}
	return http.Header(fields)
}

// head reads the head that has just arrived.
func (r *recorder) head() *bufio.Reader {
	return bufio.NewReader(bytes.NewReader(r.cur.head[r.start:]))
}

func (r *recorder) endResponseHead() {
	response, err := http.ReadResponse(r.head(), nil)
	if err != nil {
		r.phase = inRest
		return
	}
	r.cur.response = response
	switch {
	case response.StatusCode < 200:
		r.start = len(r.cur.head)
	case len(response.TransferEncoding) > 0:
		r.phase = inChunkSize
	default:
		r.phase = inRest
	}
}

// endContent is called after the last byte of a chunk or of a body with a known length.
func (r *recorder) endContent() {
	if r.phase == inChunk {
		r.phase = inChunkEnd
		return
	}
	r.end()
}

// end is called after the last byte of a message.
func (r *recorder) end() {
	r.cur.whole = true
	if r.responses {
		r.phase = inRest
		return
	}
	if !r.passed {
		r.done = append(r.done, r.cur)
	}
	r.reset()
}

func (r *recorder) reset() {
	*r = recorder{bodyLimit: r.bodyLimit, responses: r.responses, done: r.done, blanks: r.blanks}
}

// take returns the oldest request that has not been taken; where none has arrived whole, what has arrived of the next,
// and the rest of that is passed over.
func (r *recorder) take() message {
	if len(r.done) > 0 {
		m := r.done[0]
		r.done = r.done[1:]
		return m
	}
	m := r.cur
	r.cur, r.passed = message{}, !m.at.IsZero()
	return m
}

// idle says that nothing of a further message has arrived.
func (r *recorder) idle() bool { return len(r.done) == 0 && r.phase == inHead && r.cur.blank() }

// rest returns every request that has not been taken; the last may not be whole.
func (r *recorder) rest() []message {
	messages := r.done
	if !r.passed && !r.cur.blank() {
		messages = append(messages, r.cur)
	}
	r.done = nil
	r.reset()
	return messages
}

// cut ends the response that is being written, to a request with this method.
func (r *recorder) cut(method string) message {
	m := r.cur
	if m.response != nil && len(m.response.TransferEncoding) == 0 {
		length := m.response.ContentLength
		m.whole = length < 0 || length == m.size
	}
	if method == http.MethodHead {
		m.whole = m.response != nil
	}
	r.reset()
	return m
}
