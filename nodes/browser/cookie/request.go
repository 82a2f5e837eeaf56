package cookie

import (
	"net/http"
	"strings"
)

// Origin is the scheme and host of a document. Its port is left out: cookies do not tell ports apart. The zero value is
// no document; one without a host is opaque, such as that of a data: URL, and same-site with nothing.
type Origin struct{ Scheme, Host string }

// Request says where a cookie comes from, or would go to.
//
// Each address of a chain of redirects is a request of its own, with the same Top, Ancestors and Initiator: only the
// address that is asked now counts, as in the latest draft of RFC 6265bis (section 5.2) and in Chromium, not the sites
// that the chain came through. A page that is loaded anew keeps the Initiator that it was opened with.
type Request struct {
	Scheme string // http, https, ws or wss
	Host   string // name or address, without a port, as the URL standard writes it
	Path   string // as on the wire, without the query; empty: /
	Method string // empty: GET

	// Top is the page in the address bar. Zero: the request itself opens that page (a top-level navigation).
	Top Origin
	// Ancestors are the documents below Top that the request is made in: the frame that asks, and those around it. A
	// frame's own document is not among them while it is being requested.
	Ancestors []Origin
	// Initiator is the document that started a navigation, be it by a link, a form or a redirect of its own. Zero: a
	// person typed the address, or it is no navigation.
	Initiator Origin
	// Script says that a script reads or writes cookies (document.cookie, what a fetch may see of an answer), not HTTP.
	Script bool
}

func (r Request) origin() Origin { return Origin{r.Scheme, r.Host} }

// canonical is r with its host in lower case and a path.
func (r Request) canonical() Request {
	r.Host = strings.ToLower(r.Host)
	if r.Path == "" {
		r.Path = "/"
	}
	return r
}

// topLevel says that the request opens the page in the address bar.
func (r Request) topLevel() bool { return r.Top == Origin{} }

// ThirdParty says that the request goes to another registrable domain than the page in the address bar, or is made in a
// frame that such a domain surrounds. The scheme does not count.
func (r Request) ThirdParty() bool {
	if r.topLevel() {
		return false
	}
	top := Site(r.Top.Host)
	for _, a := range r.Ancestors {
		if Site(a.Host) != top {
			return true
		}
	}
	return Site(r.Host) != top
}

// secure says that the request's connection counts as a secure one. As in Chromium and Firefox that is also plain http
// to the machine itself, whose packets nobody else sees: localhost, names below it, 127.0.0.0/8 and ::1.
func (r Request) secure() bool { return plain(r.Scheme) == "https" || loopback(r.Host) }

// safe says that the method changes nothing on the server (RFC 9110, section 9.2.1).
func (r Request) safe() bool {
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// relation is how a request stands to the page that it serves, from the closest to the farthest.
type relation int

const (
	sameSite       relation = iota
	crossOpen               // another site's page opens this one, by a safe method: Lax cookies go along
	crossOpenByAct          // another site's page opens this one, by a method such as POST
	crossSite               // a part of another site's page
)

// relation compares the request's address with the site for cookies (RFC 6265bis, section 5.2.1): that of the page in
// the address bar, or none where a document of another site surrounds the request.
func (r Request) relation() relation {
	own := r.origin()
	started := r.Initiator == Origin{} || r.Initiator.sameSite(own)
	switch {
	case r.topLevel() && started:
		return sameSite
	case r.topLevel() && r.safe():
		return crossOpen
	case r.topLevel():
		return crossOpenByAct
	case !started || r.crossSiteAncestor():
		return crossSite
	}
	return sameSite
}

// crossSiteAncestor says that the request, or a document that it is made in, is of another site than the page in the
// address bar.
func (r Request) crossSiteAncestor() bool {
	if r.topLevel() {
		return false
	}
	for _, a := range r.Ancestors {
		if !a.sameSite(r.Top) {
			return true
		}
	}
	return !r.origin().sameSite(r.Top)
}

// partition is the key of the request's partitioned cookies.
func (r Request) partition() Partition {
	top := r.Top
	if r.topLevel() {
		top = r.origin()
	}
	return Partition{TopSite: top.site(), CrossSite: r.crossSiteAncestor()}
}
