package policy

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
)

// Range is a part of a body, in bytes.
type Range struct {
	First int64 `json:"first"` // -1: the last bytes of the body, as many as Last says
	Last  int64 `json:"last"`  // the last byte; -1: the end of the body, whatever it is
}

// String writes the range as the field Range has it.
func (r Range) String() string {
	switch {
	case r.First < 0:
		return fmt.Sprintf("-%d", r.Last)
	case r.Last < 0:
		return fmt.Sprintf("%d-", r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// Bounds of ranges.
const (
	maxRanges     = 64
	maxPartFields = 8 << 10 // bytes of the fields of one part
)

// ParseRanges reads ranges as a person and the field Range write them: "0-99,200-,-50".
func ParseRanges(text string) ([]Range, error) {
	var ranges []Range
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		first, last, dash := strings.Cut(item, "-")
		r := Range{-1, -1}
		var firstOK, lastOK bool
		if r.First, firstOK = number(first); !firstOK {
			r.First = -1
		}
		if r.Last, lastOK = number(last); !lastOK {
			r.Last = -1
		}
		switch {
		case !dash, first != "" && !firstOK, last != "" && !lastOK, first == "" && last == "":
			return nil, fmt.Errorf("%q is no range: one is such as 0-99, 200- or -50", clip(item))
		case firstOK && lastOK && r.Last < r.First:
			return nil, fmt.Errorf("%q is no range: it ends before it begins", clip(item))
		case len(ranges) == maxRanges:
			return nil, fmt.Errorf("more than %d ranges", maxRanges)
		}
		ranges = append(ranges, r)
	}
	return ranges, nil
}

// RangeField is the value of the field Range that asks for the ranges.
func RangeField(ranges []Range) string {
	texts := make([]string, len(ranges))
	for i, r := range ranges {
		texts[i] = r.String()
	}
	return "bytes=" + strings.Join(texts, ",")
}

// ContentRange is the field of that name (RFC 9110, section 14.4).
type ContentRange struct {
	First, Last int64 // -1 both: no part; the response says how large the whole is
	Size        int64 // of the whole; -1: not known
}

// ParseContentRange reads the field Content-Range.
func ParseContentRange(value string) (ContentRange, error) {
	bad := fmt.Errorf("Content-Range %q makes no sense", clip(value))
	unit, rest, found := strings.Cut(strings.TrimSpace(value), " ")
	if !found || !strings.EqualFold(unit, "bytes") {
		return ContentRange{}, bad
	}
	part, whole, found := strings.Cut(rest, "/")
	if !found {
		return ContentRange{}, bad
	}
	c := ContentRange{-1, -1, -1}
	var ok bool
	if whole != "*" {
		if c.Size, ok = number(whole); !ok {
			return ContentRange{}, bad
		}
	}
	if part == "*" {
		if c.Size < 0 {
			return ContentRange{}, bad
		}
		return c, nil
	}
	first, last, _ := strings.Cut(part, "-")
	var firstOK, lastOK bool
	c.First, firstOK = number(first)
	c.Last, lastOK = number(last)
	if !firstOK || !lastOK || c.Last < c.First || c.Size >= 0 && c.Last >= c.Size {
		return ContentRange{}, bad
	}
	return c, nil
}

// Validator is what an If-Range field holds so that a part is only taken from the very same body: a strong entity tag, or
// the time of the last change (RFC 9110, section 13.1.5); empty where the response has neither.
func Validator(h http.Header) string {
	if tag := h.Get("ETag"); strings.HasPrefix(tag, `"`) {
		return tag
	}
	return h.Get("Last-Modified")
}

// ReadParts reads the body of a 206 response: one part, or several as multipart/byteranges, and hands each to part, whose
// reader ends with it. A part that is shorter or longer than it says is an error (RFC 9110, section 15.3.7).
func ReadParts(h http.Header, body io.Reader, part func(ContentRange, io.Reader) error) error {
	kind, parameters, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || kind != "multipart/byteranges" {
		at, err := ParseContentRange(h.Get("Content-Range"))
		if err != nil {
			return err
		}
		return readPart(at, body, part)
	}
	if parameters["boundary"] == "" {
		return errors.New("multipart/byteranges without a boundary")
	}
	parts := multipart.NewReader(body, parameters["boundary"])
	for n := 0; ; n++ {
		p, err := parts.NextRawPart()
		if err == io.EOF {
			if n == 0 {
				return errors.New("multipart/byteranges without a part")
			}
			return nil
		}
		switch {
		case err != nil:
			return fmt.Errorf("multipart/byteranges: %w", err)
		case n == maxRanges:
			return fmt.Errorf("multipart/byteranges of more than %d parts", maxRanges)
		case size(p.Header) > maxPartFields:
			return fmt.Errorf("multipart/byteranges: the fields of a part are longer than %d bytes", maxPartFields)
		}
		at, err := ParseContentRange(p.Header.Get("Content-Range"))
		if err != nil {
			return err
		}
		if err := readPart(at, p, part); err != nil {
			return err
		}
	}
}

func size(h textproto.MIMEHeader) (n int) {
	for name, values := range h {
		for _, value := range values {
			n += len(name) + len(value)
		}
	}
	return n
}

func readPart(at ContentRange, body io.Reader, part func(ContentRange, io.Reader) error) error {
	if at.First < 0 {
		return errors.New("Content-Range names no part")
	}
	want := at.Last - at.First + 1
	m := &measured{from: io.LimitReader(body, want)}
	if err := part(at, m); err != nil {
		return err
	}
	if m.n < want {
		rest, err := io.Copy(io.Discard, m)
		if err != nil {
			return err
		}
		if m.n < want {
			return fmt.Errorf("a part of %d bytes ends after %d: %w", want, m.n-rest, io.ErrUnexpectedEOF)
		}
	}
	if n, _ := io.ReadFull(body, make([]byte, 1)); n > 0 {
		return fmt.Errorf("a part is longer than the %d bytes that Content-Range says", want)
	}
	return nil
}
