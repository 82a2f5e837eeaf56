// Package weburl is URLs as browsers read them (WHATWG URL Standard).
package weburl

import (
	"fmt"

	"github.com/nlnwa/whatwg-url/url"
)

// URL is a parsed address. It is a value: methods that change something return another one.
type URL struct {
	u *url.Url

	bare, origin string // each request asks for them many times
}

func wrap(u *url.Url) *URL {
	w := &URL{u: u, bare: u.Href(true), origin: "null"}
	if w.Web() && w.Hostname() != "" {
		w.origin = w.Scheme() + "://" + w.Host()
	}
	return w
}

// Parse reads an absolute address.
func Parse(text string) (*URL, error) {
	u, err := parser().Parse(spaced(text))
	if err != nil {
		return nil, fmt.Errorf("%q is no URL: %w", text, err)
	}
	return wrap(u), nil
}

// Parse reads an address that stands in the document u, absolute or relative to it.
func (u *URL) Parse(reference string) (*URL, error) {
	next, err := u.u.Parse(spaced(reference))
	if err != nil {
		return nil, fmt.Errorf("%q is no URL: %w", reference, err)
	}
	return wrap(next), nil
}

// String is the serialized URL, with its fragment (section 4.5).
func (u *URL) String() string { return u.u.Href(false) }

// Bare is the URL without its fragment, as requests are told apart by.
func (u *URL) Bare() string { return u.bare }

// Scheme is such as "https".
func (u *URL) Scheme() string { return u.u.Scheme() }

// Hostname is the host without its port, an IPv6 address in brackets; empty where there is none.
func (u *URL) Hostname() string { return u.u.Hostname() }

// Host is the host with its port where that is not the scheme's default.
func (u *URL) Host() string { return u.u.Host() }

// Port is the port as written; empty where it is the scheme's default.
func (u *URL) Port() string { return u.u.Port() }

// PortNumber is the port, by default the scheme's; 0 where the scheme has none.
func (u *URL) PortNumber() uint16 { return uint16(u.u.DecodedPort()) }

// Path is the path, percent-encoded.
func (u *URL) Path() string { return u.u.Pathname() }

// Query is the query with its question mark; empty where there is none, or nothing in it.
func (u *URL) Query() string { return u.u.Search() }

// Fragment is the fragment with its hash; empty where there is none, or nothing in it.
func (u *URL) Fragment() string { return u.u.Hash() }

// Target is what a request line names: path and query.
func (u *URL) Target() string { return u.Path() + u.Query() }

// Origin is scheme, host and port as RFC 6454, section 6.2, writes them; "null" where the scheme has no such origin.
func (u *URL) Origin() string { return u.origin }

// Web says that the URL is one of http or https.
func (u *URL) Web() bool { return u.Scheme() == "http" || u.Scheme() == "https" }

// Secure says that what comes from here comes over TLS.
func (u *URL) Secure() bool { return u.Scheme() == "https" }

// WithoutCredentials is the URL without user, password and fragment, as a referrer has it.
func (u *URL) WithoutCredentials() *URL {
	if u.u.Username() == "" && u.u.Password() == "" && u.String() == u.bare {
		return u
	}
	c := u.u.Clone()
	c.SetUsername("")
	c.SetPassword("")
	c.SetHash("")
	return wrap(c)
}

// WithScheme is the URL with another scheme; the port stays where it is not the old scheme's default.
func (u *URL) WithScheme(scheme string) *URL {
	c := u.u.Clone()
	c.SetProtocol(scheme)
	return wrap(c)
}
