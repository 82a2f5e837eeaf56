package cache

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// span is what a Range field asks for: from first to last, or without a first the last bytes; negative: not given.
type span struct{ first, last int64 }

// parseRange reads a Range field with one range of bytes (RFC 9110, section 14.2); false for any other.
func parseRange(field string) (span, bool) {
	unit, set, found := strings.Cut(field, "=")
	if !found || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return span{}, false
	}
	from, to, found := strings.Cut(strings.Trim(set, " \t"), "-")
	if !found || from == "" && to == "" {
		return span{}, false
	}
	s := span{-1, -1}
	var ok bool
	if from != "" {
		if s.first, ok = parseLength(from); !ok {
			return span{}, false
		}
	}
	if to != "" {
		if s.last, ok = parseLength(to); !ok || from != "" && s.last < s.first {
			return span{}, false
		}
	}
	return s, true
}

// within is the span in a content of a length: from start to before end; false where there is nothing.
func (s span) within(length int64) (start, end int64, ok bool) {
	switch {
	case s.first < 0:
		start, end = max(0, length-s.last), length
	case s.last < 0:
		start, end = s.first, length
	default:
		start, end = s.first, min(s.last+1, length)
	}
	return start, end, start < end
}

// contentRange is a Content-Range of one part: from start to before end of total, which is negative where not known.
type contentRange struct{ start, end, total int64 }

// parseContentRange reads the Content-Range of a 206 (RFC 9110, section 14.4).
func parseContentRange(field string) (contentRange, bool) {
	unit, text, found := strings.Cut(field, " ")
	if !found || !strings.EqualFold(unit, "bytes") {
		return contentRange{}, false
	}
	bounds, length, found := strings.Cut(text, "/")
	from, to, dashed := strings.Cut(bounds, "-")
	start, okStart := parseLength(from)
	last, okLast := parseLength(to)
	if !found || !dashed || !okStart || !okLast || last < start {
		return contentRange{}, false
	}
	r := contentRange{start, last + 1, -1}
	if length == "*" {
		return r, true
	}
	total, ok := parseLength(length)
	r.total = total
	return r, ok && r.end <= total
}

// parseLength reads a number of bytes, of at most 18 digits.
func parseLength(s string) (int64, bool) {
	if s == "" || len(s) > 18 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// answer makes the response to r from what is stored (RFC 9111, section 4; RFC 9110, section 14.2), or says what of it is
// missing.
func (e *entry) answer(at time.Time, r Request) (answer *Response, missing string) {
	field := r.Header.Get("Range")
	if field == "" || r.method() != http.MethodGet || e.status != http.StatusOK {
		if !e.whole() && r.method() != http.MethodHead {
			return nil, "only parts of it are stored"
		}
		return e.aged(at, e.response(r.method())), ""
	}
	s, ok := parseRange(field)
	switch {
	case !ok:
		return nil, "the cache answers requests for one range of bytes alone"
	case e.total < 0 && (s.first < 0 || s.last < 0):
		return nil, "the length of what is stored in part is not known"
	}
	length := e.total
	if length < 0 {
		length = s.last + 1
	}
	start, end, ok := s.within(length)
	if !ok {
		h := e.fields()
		h.Del("Content-Length")
		h.Set("Content-Range", fmt.Sprintf("bytes */%d", length))
		return e.aged(at, &Response{Status: http.StatusRequestedRangeNotSatisfiable, Header: h, Sent: e.sent, Received: e.received}), ""
	}
	data, ok := e.slice(start, end)
	if !ok {
		return nil, "other parts of it are stored"
	}
	h := e.fields()
	total := "*"
	if e.total >= 0 {
		total = strconv.FormatInt(e.total, 10)
	}
	h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%s", start, end-1, total))
	h.Set("Content-Length", strconv.FormatInt(end-start, 10))
	return e.aged(at, &Response{Status: http.StatusPartialContent, Header: h, Body: data, Sent: e.sent, Received: e.received}), ""
}

// aged gives an answer from the cache its Age (RFC 9111, section 5.1).
func (e *entry) aged(at time.Time, r *Response) *Response {
	r.Header.Set("Age", strconv.FormatInt(int64(e.age(at)/time.Second), 10))
	return r
}
