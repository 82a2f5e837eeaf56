package browser

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"sync/atomic"
	"unicode/utf8"
)

// maxHead bounds the head of a response, in bytes; interim responses count with it.
const maxHead = 256 << 10

var errHeadTooLong = errors.New("the head of the response is longer than 256 KiB")

// tap reads from a connection and keeps what came of the response at hand: its head whole, of its body the first bytes.
type tap struct {
	from  io.Reader
	limit int // bytes of the body to keep

	head, body []byte
	last       int          // where the head that is being read begins, after interim ones
	headRead   bool         // the head is complete
	bodyTotal  int64        // bytes of the body on the wire
	total      atomic.Int64 // bytes since the connection began
	eof        bool
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.from.Read(p)
	t.total.Add(int64(n))
	t.record(p[:n])
	if err == io.EOF {
		t.eof = true
	}
	if err == nil && len(t.head) > maxHead {
		err = errHeadTooLong
	}
	return n, err
}

// next begins another response. The bytes kept so far are the caller's.
func (t *tap) next() {
	t.head, t.body, t.last, t.headRead, t.bodyTotal = nil, nil, 0, false, 0
}

func (t *tap) record(p []byte) {
	for !t.headRead && len(p) > 0 {
		old := len(t.head)
		t.head = append(t.head, p...)
		end := endOfHead(t.head, max(t.last, old-3))
		if end < 0 {
			return
		}
		p = p[end-old:]
		t.head = t.head[:end]
		t.headRead = !interim(t.head[t.last:])
		t.last = end
	}
	t.bodyTotal += int64(len(p))
	t.body = append(t.body, p[:min(len(p), t.limit-len(t.body))]...)
}

// endOfHead is the index after the blank line that ends a head, searched from start; -1 where there is none.
func endOfHead(head []byte, start int) int {
	for i := start; i < len(head); i++ {
		if head[i] != '\n' {
			continue
		}
		rest := head[i+1:]
		switch {
		case bytes.HasPrefix(rest, []byte("\r\n")):
			return i + 3
		case bytes.HasPrefix(rest, []byte("\n")):
			return i + 2
		}
	}
	return -1
}

// interim says that head is that of a 1xx response, which another one follows.
func interim(head []byte) bool {
	_, status, _ := bytes.Cut(head, []byte(" "))
	return len(status) > 0 && status[0] == '1'
}

// raw is how an event shows bytes of the wire: as text as far as they are text, what follows in base64, and how many
// are left out.
func raw(head, body []byte, bodyTotal int64) (text, base string, truncated int64) {
	truncated = bodyTotal - int64(len(body))
	switch {
	case !utf8.Valid(head):
		return "", base64.StdEncoding.EncodeToString(append(bytes.Clone(head), body...)), truncated
	case isText(body, truncated > 0):
		return string(head) + string(body), "", truncated
	}
	return string(head), base64.StdEncoding.EncodeToString(body), truncated
}

// isText says that b is UTF-8 without NUL; where b was cut, its last character may be incomplete.
func isText(b []byte, cut bool) bool {
	if bytes.IndexByte(b, 0) >= 0 {
		return false
	}
	for drop := 0; cut && drop < utf8.UTFMax && drop < len(b); drop++ {
		if last := b[:len(b)-drop]; utf8.Valid(last) {
			return true
		}
	}
	return utf8.Valid(b)
}
