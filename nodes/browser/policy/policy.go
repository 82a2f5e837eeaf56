// Package policy has the rules that a browser goes by when it fetches: what a request tells of the page that asks for
// it, which answers the page may see, what is upgraded to https, what is refused, and how bodies are decoded.
//
// It does no I/O: a rule is a function of addresses and header fields, a store ([HSTS], [Preflights]) takes the time as an
// argument. Reasons are sentences for a person to read.
package policy

import (
	"net/http"
	"net/netip"
	"strings"

	"scenario/nodes/browser/cookie"
	"scenario/nodes/browser/weburl"
)

// Destination is what a request is for (Fetch, section 2.2.5).
type Destination string

// The destinations.
const (
	Document Destination = "document"
	Frame    Destination = "iframe"
	Style    Destination = "style"
	Script   Destination = "script"
	Image    Destination = "image"
	Icon     Destination = "icon" // an image, told apart because nobody looks at it while the page loads
	Font     Destination = "font"
	Audio    Destination = "audio"
	Video    Destination = "video"
	Track    Destination = "track"
	Manifest Destination = "manifest"
	Object   Destination = "object"
	Embed    Destination = "embed"
	Fetch    Destination = "fetch" // what a script asks for: the empty string in the standard
)

// Mode is how the same-origin policy goes into a request (Fetch, section 2.2.5).
type Mode string

// The modes.
const (
	Navigate   Mode = "navigate"
	SameOrigin Mode = "same-origin"
	NoCORS     Mode = "no-cors"
	CORS       Mode = "cors"
)

// Credentials is whether cookies go along (Fetch, section 2.2.5).
type Credentials string

// The credentials modes.
const (
	Omit               Credentials = "omit"
	SameOriginOnly     Credentials = "same-origin"
	IncludeCredentials Credentials = "include"
)

// Tainting is how much of a response whoever asked may see (Fetch, section 2.2.5).
type Tainting string

// The kinds of a response.
const (
	Basic  Tainting = "basic"  // of the same origin
	Shared Tainting = "cors"   // of another origin, which allows it
	Opaque Tainting = "opaque" // of another origin: it can be shown and not be read
)

// Taint is the kind of response that a request of the origin gets from u: redirects to another origin keep what they have
// tainted. ok is false where the mode forbids the request (Fetch, section 4.1, step 13).
func Taint(mode Mode, origin string, u *weburl.URL, before Tainting) (t Tainting, ok bool) {
	same := before != Shared && before != Opaque && origin == u.Origin()
	switch {
	case mode == Navigate:
		return Basic, true
	case same:
		return Basic, true
	case mode == SameOrigin:
		return Opaque, false
	case mode == NoCORS:
		return Opaque, true
	}
	return Shared, true
}

// WithCredentials says that cookies go along with a request of that credentials mode.
func WithCredentials(c Credentials, t Tainting) bool {
	return c == IncludeCredentials || c == SameOriginOnly && t == Basic
}

// Trustworthy says that what comes from u cannot have been changed on the way: it came over TLS, or did not leave the
// machine (Secure Contexts, section 3.1).
func Trustworthy(u *weburl.URL) bool {
	if u.Secure() {
		return true
	}
	name := strings.TrimSuffix(u.Hostname(), ".")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	addr, ok := address(name)
	return ok && addr.IsLoopback()
}

// address reads the host of a URL that is an IP address: those of version 4 end with a digit, and no name does (URL, section
// 3.5); those of version 6 stand in brackets.
func address(host string) (netip.Addr, bool) {
	if host == "" {
		return netip.Addr{}, false
	}
	if last := host[len(host)-1]; last != ']' && (last < '0' || last > '9') {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return addr, err == nil
}

// isAddress says that the host of u is an IP address and no name.
func isAddress(u *weburl.URL) bool {
	_, ok := address(u.Hostname())
	return ok
}

// Site is what u's host belongs to, with its scheme (HTML, section 7.1.1: schemelessly same site, and the scheme).
func Site(u *weburl.URL) string { return u.Scheme() + "://" + cookie.Site(u.Hostname()) }

// list splits a field's values at their commas, outside of quoted strings (RFC 9110, section 5.6.1). Empty members are
// left out.
func list(h http.Header, name string) []string {
	var members []string
	for _, value := range h.Values(name) {
		start, quoted := 0, false
		add := func(end int) {
			if member := strings.Trim(value[start:end], " \t"); member != "" {
				members = append(members, member)
			}
		}
		for i := 0; i < len(value); i++ {
			switch c := value[i]; {
			case c == '"':
				quoted = !quoted
			case c == '\\' && quoted:
				i++
			case c == ',' && !quoted:
				add(i)
				start = i + 1
			}
		}
		add(len(value))
	}
	return members
}

// token says that s is one (RFC 9110, section 5.6.2).
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// MIMEType is the essence of a Content-Type field, such as "text/html"; empty where there is none that makes sense
// (MIME Sniffing, section 4.4). Of several fields the last one counts.
func MIMEType(h http.Header) string {
	values := h.Values("Content-Type")
	for i := len(values) - 1; i >= 0; i-- {
		essence, _, _ := strings.Cut(values[i], ";")
		essence = strings.ToLower(strings.Trim(essence, " \t\r\n"))
		kind, sub, found := strings.Cut(essence, "/")
		if found && token(kind) && token(sub) && essence != "*/*" {
			return essence
		}
	}
	return ""
}
