package policy

import (
	"errors"
	"fmt"
	"net/http"

	"scenario/nodes/browser/weburl"
)

// MaxRedirects is how many redirects are followed one after the other (Fetch, section 4.5, step 6).
const MaxRedirects = 20

// IsRedirect says that a response of that status may send the browser elsewhere (Fetch, section 2.2.3).
func IsRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// Redirection is a request that a response led to.
type Redirection struct {
	URL       *weburl.URL
	Method    string
	KeepBody  bool           // the body goes along, with the fields that describe it
	Foreign   bool           // another origin: Authorization does not go along
	Referrers ReferrerPolicy // that the response names; empty: as before
}

// ErrNoLocation is a redirect that does not say where to: its own body is what there is to see.
var ErrNoLocation = errors.New("the redirect has no Location")

// Redirect says where a response to a request for u sends the browser (Fetch, section 4.5: HTTP-redirect fetch). The
// fragment of u goes along where Location has none.
func Redirect(u *weburl.URL, method string, status int, h http.Header) (Redirection, error) {
	location := h.Get("Location")
	if len(h.Values("Location")) == 0 {
		return Redirection{}, ErrNoLocation
	}
	next, err := u.Parse(location)
	if err != nil {
		return Redirection{}, fmt.Errorf("the redirect's Location makes no sense: %w", err)
	}
	if !next.Web() || next.Hostname() == "" {
		return Redirection{}, fmt.Errorf("the redirect leads to %q, which is no address of the web", clip(location))
	}
	if next.Fragment() == "" && u.Fragment() != "" {
		if with, err := weburl.Parse(next.Bare() + u.Fragment()); err == nil {
			next = with
		}
	}
	r := Redirection{URL: next, Method: method, KeepBody: true, Foreign: next.Origin() != u.Origin(), Referrers: ReferrerPolicyHeader(h)}
	post := method == http.MethodPost && (status == http.StatusMovedPermanently || status == http.StatusFound)
	other := status == http.StatusSeeOther && method != http.MethodGet && method != http.MethodHead
	if post || other {
		r.Method, r.KeepBody = http.MethodGet, false
	}
	return r, nil
}

// Bodily says that the field describes a body, and so does not go along without one (Fetch, section 2.2.2:
// request-body-header name).
func Bodily(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Content-Encoding", "Content-Language", "Content-Location", "Content-Type", "Content-Length":
		return true
	}
	return false
}
