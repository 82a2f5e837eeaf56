package har

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// message is a request or a response as far as the log has its bytes.
type message struct {
	known   bool
	headers []Pair // in order; pseudo-fields of HTTP/2 first
	head    int64  // bytes of it as HTTP/1.1 text, with the empty line; -1: it is cut short
	body    []byte // as it went over the wire, but without chunks
	whole   bool   // the log has all of it
}

// newMessage reads the raw view of an event; left bytes of it were left out.
func newMessage(text, base string, left int64) message {
	if decoded, err := base64.StdEncoding.DecodeString(base); text == "" && err == nil {
		text = string(decoded)
	}
	if text == "" {
		return message{head: -1}
	}
	m := message{known: true}
	head, body, complete := strings.Cut(text, "\r\n\r\n")
	m.head = int64(len(head)) + 4
	lines := strings.Split(head, "\r\n")
	if !complete { // the last line may be a part of one
		m.head, lines = -1, lines[:len(lines)-1]
	}
	for i, l := range lines {
		if pair, ok := field(l); ok && (i > 0 || strings.HasPrefix(l, ":")) { // the first line is none in HTTP/1.1
			m.headers = append(m.headers, pair)
		}
	}
	m.body, m.whole = []byte(body), complete && left == 0
	if m.whole && strings.EqualFold(m.get("Transfer-Encoding"), "chunked") {
		m.unchunk()
	}
	return m
}

// field cuts a line into name and value; the name of a pseudo-field begins with a colon.
func field(line string) (Pair, bool) {
	if line == "" {
		return Pair{}, false
	}
	i := strings.IndexByte(line[1:], ':') + 1
	if i == 0 {
		return Pair{}, false
	}
	return Pair{line[:i], strings.Trim(line[i+1:], " \t")}, true
}

// get is the value of the first field of that name.
func (m message) get(name string) string {
	for _, h := range m.headers {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// all are the values of the fields of that name.
func (m message) all(name string) []string {
	var values []string
	for _, h := range m.headers {
		if strings.EqualFold(h.Name, name) {
			values = append(values, h.Value)
		}
	}
	return values
}

// maxBody bounds a body that is decoded for a file, in bytes.
const maxBody = 4 << 20

// unchunk takes the chunked coding from the body.
func (m *message) unchunk() {
	plain, err := io.ReadAll(io.LimitReader(httputil.NewChunkedReader(bytes.NewReader(m.body)), maxBody))
	m.body, m.whole = plain, err == nil
}

// decoded is the body behind its content codings; false where the log does not have it whole, or it is broken or too
// large.
func (m message) decoded() ([]byte, bool) {
	if !m.whole {
		return nil, false
	}
	body := m.body
	codings := strings.Split(m.get("Content-Encoding"), ",")
	const most = 4 // codings, one on the other
	if len(codings) > most {
		return nil, false
	}
	for i := len(codings) - 1; i >= 0; i-- {
		var ok bool
		if body, ok = decode(strings.ToLower(strings.TrimSpace(codings[i])), body); !ok {
			return nil, false
		}
	}
	return body, true
}

// decode takes one content coding from a body (RFC 9110, section 8.4.1).
func decode(coding string, body []byte) ([]byte, bool) {
	var from io.Reader = bytes.NewReader(body)
	var err error
	switch coding {
	case "", "identity":
		return body, true
	case "gzip", "x-gzip":
		from, err = gzip.NewReader(from)
	case "deflate":
		if from, err = zlib.NewReader(from); err != nil { // as some servers do
			from, err = flate.NewReader(bytes.NewReader(body)), nil
		}
	case "br":
		from = brotli.NewReader(from)
	case "zstd":
		var z *zstd.Decoder
		z, err = zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(2*maxBody))
		if err == nil {
			defer z.Close()
			from = z
		}
	default:
		return nil, false
	}
	if err != nil {
		return nil, false
	}
	plain, err := io.ReadAll(io.LimitReader(from, maxBody+1))
	return plain, err == nil && len(plain) <= maxBody
}

// text is a body as JSON can hold it, and how it is encoded.
func text(body []byte) (content, encoding string) {
	if utf8.Valid(body) && bytes.IndexByte(body, 0) < 0 {
		return string(body), ""
	}
	return base64.StdEncoding.EncodeToString(body), "base64"
}

// cookiesSent reads a Cookie field.
func cookiesSent(fields ...string) []Cookie {
	all := []Cookie{}
	for _, f := range fields {
		for pair := range strings.SplitSeq(f, ";") {
			if pair = strings.TrimSpace(pair); pair != "" {
				name, value, ok := strings.Cut(pair, "=")
				if !ok {
					name, value = "", pair
				}
				all = append(all, Cookie{Name: name, Value: value})
			}
		}
	}
	return all
}

// cookiesSet reads Set-Cookie fields, which came at that time, as servers write them (RFC 6265, section 4.1.1).
func cookiesSet(fields []string, at time.Time) []Cookie {
	all := []Cookie{}
	for _, f := range fields {
		pair, attributes, _ := strings.Cut(f, ";")
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			name, value = "", pair
		}
		c := Cookie{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)}
		lives := false // Max-Age goes before Expires
		for a := range strings.SplitSeq(attributes, ";") {
			key, value, _ := strings.Cut(a, "=")
			value = strings.TrimSpace(value)
			switch strings.ToLower(strings.TrimSpace(key)) {
			case "path":
				c.Path = value
			case "domain":
				c.Domain = value
			case "secure":
				c.Secure = true
			case "httponly":
				c.HTTPOnly = true
			case "samesite":
				c.SameSite = value
			case "max-age":
				if s, err := strconv.ParseInt(value, 10, 32); err == nil {
					c.Expires, lives = stamp(at.Add(time.Duration(s)*time.Second)), true
				}
			case "expires":
				if until, err := http.ParseTime(value); err == nil && !lives {
					c.Expires = stamp(until)
				}
			}
		}
		all = append(all, c)
	}
	return all
}

// stamp writes a moment as RFC 3339 with what lies within a second. A year of five digits has no such form.
func stamp(t time.Time) string {
	if y := t.UTC().Year(); y < 0 || y > 9999 {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// parameters reads a query or a form (URL Standard, section 5.1); what is no valid escape stays as it is.
func parameters(query string) []Pair {
	all := []Pair{}
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		all = append(all, Pair{unescape(name), unescape(value)})
	}
	return all
}

func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// uri is an address in the strict form of RFC 3986: browsers take more (a % that escapes nothing) than HAR allows.
func uri(raw string) string {
	if u, err := url.Parse(raw); err == nil && u.IsAbs() {
		return raw
	}
	var b strings.Builder
	for i := range len(raw) {
		switch {
		case raw[i] == '%' && !(i+2 < len(raw) && hex(raw[i+1]) && hex(raw[i+2])):
			b.WriteString("%25")
		case raw[i] <= ' ' || raw[i] == 0x7f:
			b.WriteString("%" + strings.ToUpper(strconv.FormatInt(0x100+int64(raw[i]), 16)[1:]))
		default:
			b.WriteByte(raw[i])
		}
	}
	if u, err := url.Parse(b.String()); err == nil && u.IsAbs() {
		return b.String()
	}
	return "about:invalid"
}

func hex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
