package policy

import (
	"net/http"
	"strings"

	"scenario/nodes/browser/weburl"
)

// Verdict is what becomes of a request before it is sent.
type Verdict int

// The verdicts.
const (
	Allow Verdict = iota
	Upgrade
	Refuse
)

// MixedContent says what becomes of a request for u in a page: secure says that the page, or a page around it, came over
// TLS (Mixed Content, sections 4.1 and 4.4). Images, audio and video are tried over https; srcset says that an image is one of several to
// choose from, which is refused like everything else.
func MixedContent(secure bool, u *weburl.URL, d Destination, srcset bool) (Verdict, string) {
	switch {
	case !secure || Trustworthy(u) || d == Document:
		return Allow, ""
	case !isAddress(u) && !srcset && (d == Image || d == Icon || d == Audio || d == Video):
		return Upgrade, "the page came over https: its " + string(d) + " is asked for over https too"
	case isAddress(u):
		return Refuse, "the page came over https, and this " + string(d) + " would come over http from an address without a name"
	}
	return Refuse, "the page came over https, and this " + string(d) + " would come over http, where anybody on the path can change it"
}

// Upgraded is u over https: port 80 becomes 443, another port stays (Upgrade Insecure Requests, section 3.2).
func Upgraded(u *weburl.URL) *weburl.URL {
	if u.Scheme() != "http" {
		return u
	}
	return u.WithScheme("https")
}

// Directives is one content security policy: the values of its directives by name (CSP, section 2.2.1).
type Directives map[string][]string

// maxPolicies bounds the policies that are read of a response.
const maxPolicies = 32

// ContentSecurity reads the fields Content-Security-Policy. Policies that only report are not in force.
func ContentSecurity(h http.Header) []Directives {
	var policies []Directives
	for _, value := range h.Values("Content-Security-Policy") {
		for text := range strings.SplitSeq(value, ",") {
			if d := ParseDirectives(text); len(d) > 0 && len(policies) < maxPolicies {
				policies = append(policies, d)
			}
		}
	}
	return policies
}

// ParseDirectives reads one policy; of directives of one name the first counts.
func ParseDirectives(text string) Directives {
	d := make(Directives)
	for directive := range strings.SplitSeq(text, ";") {
		words := strings.Fields(directive)
		if len(words) == 0 {
			continue
		}
		if name := strings.ToLower(words[0]); d[name] == nil {
			d[name] = append([]string{}, words[1:]...)
		}
	}
	return d
}

// UpgradeInsecure says that one of the policies asks for upgrade-insecure-requests.
func UpgradeInsecure(policies []Directives) bool {
	for _, p := range policies {
		if _, set := p["upgrade-insecure-requests"]; set {
			return true
		}
	}
	return false
}

// UpgradeRequest says that a request in a page with upgrade-insecure-requests goes to https: whatever the page is made of,
// and of navigations those to its own host and those of forms (Upgrade Insecure Requests, section 3.2).
func UpgradeRequest(page, u *weburl.URL, d Destination, form bool) bool {
	if u.Scheme() != "http" {
		return false
	}
	return d != Document || form || page.Hostname() == u.Hostname()
}
