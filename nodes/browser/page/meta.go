package page

import (
	"bufio"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/transform"
)

// Meta is what one meta element says for the whole document. At least one of its fields is set.
type Meta struct {
	Refresh  *Refresh
	Referrer string // the referrer policy
	// Policy is a Content-Security-Policy; frame-ancestors, report-uri and sandbox do not count in it (CSP 3, section 3.3).
	Policy string
	// Upgrade says that the policy has http addresses requested by https (upgrade-insecure-requests).
	Upgrade bool
}

// Refresh is a page that loads itself or another one anew after a time.
type Refresh struct {
	After   time.Duration
	Address string // empty: the page itself
}

// maxRefresh bounds the time of a refresh; longer ones are as this.
const maxRefresh = 365 * 24 * time.Hour

// ParseRefresh reads the content of <meta http-equiv=refresh>, or a Refresh field (HTML, section 4.2.5.3, "shared
// declarative refresh steps").
func ParseRefresh(content string) (Refresh, bool) {
	rest := strings.TrimLeft(content, " \t\n\f\r")
	end := 0
	for end < len(rest) && isDigit(rest[end]) {
		end++
	}
	if end == 0 && !strings.HasPrefix(rest, ".") {
		return Refresh{}, false
	}
	seconds, err := strconv.ParseFloat("0"+rest[:end], 64)
	r := Refresh{After: maxRefresh}
	if err == nil && seconds < math.Floor(maxRefresh.Seconds()) {
		r.After = time.Duration(seconds) * time.Second
	}
	rest = strings.TrimLeft(rest[end:], "0123456789.")
	if rest == "" {
		return r, true
	}
	if c := rest[0]; c != ';' && c != ',' && !isSpace(c) {
		return Refresh{}, false
	}
	rest = strings.TrimLeft(rest, " \t\n\f\r")
	if rest != "" && (rest[0] == ';' || rest[0] == ',') {
		rest = strings.TrimLeft(rest[1:], " \t\n\f\r")
	}
	r.Address = refreshAddress(rest)
	return r, true
}

// refreshAddress takes an address that may stand behind "url=" and in quotes.
func refreshAddress(text string) string {
	rest := text
	if len(rest) >= 3 && strings.EqualFold(rest[:3], "url") {
		rest = strings.TrimLeft(rest[3:], " \t\n\f\r")
		if !strings.HasPrefix(rest, "=") {
			return strings.TrimRight(text, " \t\n\f\r")
		}
		rest = strings.TrimLeft(rest[1:], " \t\n\f\r")
	}
	if rest != "" && (rest[0] == '"' || rest[0] == '\'') {
		quote := rest[:1]
		rest, _, _ = strings.Cut(rest[1:], quote)
	}
	return strings.TrimFunc(rest, isSpaceRune)
}

func (s *scanner) metaElement(t html.Token) {
	var m Meta
	content := attribute(t, "content")
	switch strings.ToLower(attribute(t, "http-equiv")) {
	case "refresh":
		if r, ok := ParseRefresh(content); ok {
			m.Refresh = &r
		}
	case "content-security-policy":
		if !s.body {
			m.Policy = content
			for directive := range strings.SplitSeq(content, ";") {
				m.Upgrade = m.Upgrade || strings.EqualFold(strings.TrimSpace(directive), "upgrade-insecure-requests")
			}
		}
	}
	if strings.EqualFold(attribute(t, "name"), "referrer") {
		m.Referrer = referrerPolicy(content)
	}
	if m != (Meta{}) {
		s.to.Meta(m)
	}
}

// referrerPolicy is a policy that <meta name=referrer> names, also by an old word (HTML, section 4.2.5.1).
func referrerPolicy(content string) string {
	switch word := strings.ToLower(strings.TrimFunc(content, isSpaceRune)); word {
	case "never":
		return "no-referrer"
	case "default":
		return "strict-origin-when-cross-origin"
	case "always":
		return "unsafe-url"
	case "origin-when-crossorigin":
		return "origin-when-cross-origin"
	case "no-referrer", "no-referrer-when-downgrade", "same-origin", "origin", "strict-origin", "origin-when-cross-origin",
		"strict-origin-when-cross-origin", "unsafe-url":
		return word
	}
	return ""
}

// prescanned is how much of a document is looked at for its encoding (HTML, section 13.2.3.2).
const prescanned = 1024

// Decode reads a document in its encoding, as UTF-8, and names it: that of a byte order mark, of the Content-Type field, of
// a meta element in its first 1024 bytes, else windows-1252, or UTF-8 where these bytes are. Without a field it waits for
// these bytes; Chromium does not, but begins anew when such an element comes.
func Decode(r io.Reader, contentType string) (decoded io.Reader, name string, err error) {
	peeked := bufio.NewReaderSize(r, prescanned)
	want := prescanned
	encoding, name := declared(contentType)
	if encoding != nil {
		want = 3
	}
	start, err := peeked.Peek(want)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, "", err
	}
	marked, byMark, sure := charset.DetermineEncoding(start, "")
	switch {
	case sure:
		mark := 2
		if byMark == "utf-8" {
			mark = 3
		}
		if _, err := peeked.Discard(mark); err != nil {
			return nil, "", err
		}
		encoding, name = marked, byMark
	case encoding == nil:
		encoding, name = marked, byMark
	}
	if name == "utf-8" {
		return peeked, name, nil
	}
	return transform.NewReader(peeked, encoding.NewDecoder()), name, nil
}

// declared is the encoding that a Content-Type field names; nil: none that is known.
func declared(contentType string) (encoding.Encoding, string) {
	_, parameters, _ := strings.Cut(contentType, ";")
	for parameter := range strings.SplitSeq(parameters, ";") {
		key, value, _ := strings.Cut(parameter, "=")
		if strings.EqualFold(strings.TrimSpace(key), "charset") {
			return charset.Lookup(strings.Trim(strings.TrimSpace(value), `"'`))
		}
	}
	return nil, ""
}
