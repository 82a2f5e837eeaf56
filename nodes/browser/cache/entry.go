package cache

import (
	"bytes"
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// entry is a stored response.
type entry struct {
	key    key
	vary   map[string]string // what of the request counts, by the field's name; nil: nothing
	head   bool              // it answered HEAD
	status int               // of the complete response: 200 for parts
	header http.Header       // without Content-Range
	parts  []part            // of the content, in order, neither overlapping nor adjacent
	total  int64             // length of the complete content; negative: unknown
	// sent and received are those of the response, or of the last one that confirmed it.
	sent, received time.Time
	invalid        bool // something changed on the server: it is not used without asking
	used           uint64
	size           int64
}

// part is a piece of the content.
type part struct {
	start int64
	data  []byte
}

func (p part) end() int64 { return p.start + int64(len(p.data)) }

// whole says that all of the content is there.
func (e *entry) whole() bool {
	if e.total == 0 {
		return true
	}
	return len(e.parts) == 1 && e.parts[0].start == 0 && e.parts[0].end() == e.total
}

// content is all of it, where it is there.
func (e *entry) content() []byte {
	if len(e.parts) == 0 {
		return nil
	}
	return e.parts[0].data
}

// prefix is how many bytes from the beginning are there.
func (e *entry) prefix() int64 {
	if len(e.parts) > 0 && e.parts[0].start == 0 {
		return e.parts[0].end()
	}
	return 0
}

// slice is the bytes from start to before end; false where not all of them are there.
func (e *entry) slice(start, end int64) ([]byte, bool) {
	for _, p := range e.parts {
		if p.start <= start && end <= p.end() {
			return p.data[start-p.start : end-p.start], true
		}
	}
	return nil, false
}

// join adds a part to those that are there; what came last counts where they overlap.
func (e *entry) join(added part) {
	if len(added.data) == 0 {
		return
	}
	var before, after []part
	for _, p := range e.parts {
		switch {
		case p.end() < added.start:
			before = append(before, p)
		case added.end() < p.start:
			after = append(after, p)
		default:
			merged := part{min(p.start, added.start), nil}
			if p.start < added.start {
				merged.data = append(merged.data, p.data[:added.start-p.start]...)
			}
			merged.data = append(merged.data, added.data...)
			if p.end() > added.end() {
				merged.data = append(merged.data, p.data[added.end()-p.start:]...)
			}
			added = merged
		}
	}
	e.parts = slices.Concat(before, []part{added}, after)
}

// fits says that the request's fields are those that Vary asks for (RFC 9111, section 4.1).
func (e *entry) fits(h http.Header) bool {
	for name, value := range e.vary {
		if selecting(h, name) != value {
			return false
		}
	}
	return true
}

// variant tells the responses of one key apart.
func (e *entry) variant() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(e.vary)) {
		b.WriteString(name + ": " + e.vary[name] + "\n")
	}
	return b.String()
}

// date is when the server made the response, or else when it came.
func (e *entry) date() time.Time {
	if at, ok := ParseDate(e.received, e.header.Get("Date")); ok {
		return at
	}
	return e.received
}

// newer says that e was made after o.
func (e *entry) newer(o *entry) bool {
	return cmp.Or(e.date().Compare(o.date()), e.received.Compare(o.received), cmp.Compare(e.used, o.used)) > 0
}

func (e *entry) measure() int64 {
	size := int64(overhead + len(e.key.partition) + len(e.key.url))
	for name, values := range e.header {
		for _, value := range values {
			size += int64(len(name) + len(value))
		}
	}
	for name, value := range e.vary {
		size += int64(len(name) + len(value))
	}
	for _, p := range e.parts {
		size += int64(len(p.data))
	}
	return size
}

func (e *entry) dropped(reason string) Dropped {
	return Dropped{e.key.partition, e.key.url, reason}
}

// fields are the header as an answer from the cache has it, with Content-Length where that is known.
func (e *entry) fields() http.Header {
	h := e.header.Clone()
	if h.Get("Content-Length") != "" && e.whole() && !e.head {
		h.Set("Content-Length", strconv.Itoa(len(e.content())))
	}
	return h
}

// response is all of the stored response, or its beginning.
func (e *entry) response(method string) *Response {
	r := &Response{Status: e.status, Header: e.fields(), Incomplete: !e.whole(), Sent: e.sent, Received: e.received}
	switch {
	case method == http.MethodHead:
		r.Incomplete = false
	case r.Incomplete:
		r.Body = bytes.Clone(e.content()[:e.prefix()])
	default:
		r.Body = e.content()
	}
	return r
}

// etag is the entity tag of a message; strong where it says that two contents are the same byte for byte (RFC 9110,
// section 8.8.3).
func etag(h http.Header) (tag string, strong bool) {
	tag = strings.Trim(h.Get("ETag"), " \t")
	return tag, tag != "" && !strings.HasPrefix(tag, "W/")
}

// sameWeakly compares two entity tags as validation does (RFC 9110, section 8.8.3.2).
func sameWeakly(a, b string) bool {
	return a != "" && strings.TrimPrefix(a, "W/") == strings.TrimPrefix(b, "W/")
}

// strongValidator is what a content with this header can be told by byte for byte: its entity tag, or a date of change
// that is at least a second before the response was made (RFC 9110, section 8.8.2.2). Empty: there is none.
func strongValidator(at time.Time, h http.Header) string {
	if tag, strong := etag(h); tag != "" {
		if strong {
			return tag
		}
		return ""
	}
	modified, ok := ParseDate(at, h.Get("Last-Modified"))
	date, dated := ParseDate(at, h.Get("Date"))
	if ok && dated && date.Sub(modified) >= time.Second {
		return h.Get("Last-Modified")
	}
	return ""
}
