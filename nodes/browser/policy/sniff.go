package policy

import (
	"net/http"
	"strings"

	"scenario/nodes/browser/cookie"
	"scenario/nodes/browser/weburl"
)

// TypeRefused says why a body must not be taken for what the page wants of it; nil: it may. module says that a script is
// one (Fetch, sections 2.9 and 3.6; HTML, section 8.1.4.2), quirks that the page has no doctype, so that style sheets of its own origin may have any type.
func TypeRefused(d Destination, module, quirks bool, t Tainting, h http.Header) *Refusal {
	mime := MIMEType(h)
	nosniff := len(list(h, "X-Content-Type-Options")) > 0 && strings.EqualFold(list(h, "X-Content-Type-Options")[0], "nosniff")
	shown := mime
	if shown == "" {
		shown = "missing"
	}
	switch d {
	case Script:
		switch {
		case javaScript(mime):
		case nosniff:
			return &Refusal{"nosniff", "X-Content-Type-Options is nosniff, and the script's type is " + shown}
		case module:
			return &Refusal{"mime-type", "a module script needs the type of JavaScript; it is " + shown}
		case strings.HasPrefix(mime, "audio/"), strings.HasPrefix(mime, "image/"), strings.HasPrefix(mime, "video/"), mime == "text/csv":
			return &Refusal{"mime-type", "no script has the type " + mime}
		}
	case Style:
		switch {
		case mime == "text/css":
		case nosniff:
			return &Refusal{"nosniff", "X-Content-Type-Options is nosniff, and the style sheet's type is " + shown}
		case mime == "" || quirks && t == Basic:
		default:
			return &Refusal{"mime-type", "a style sheet needs the type text/css; it is " + mime}
		}
	}
	return nil
}

// javaScript says that mime is one of its types (MIME Sniffing, section 4.6).
func javaScript(mime string) bool {
	kind, sub, _ := strings.Cut(mime, "/")
	switch kind {
	case "text":
		switch sub {
		case "javascript1.0", "javascript1.1", "javascript1.2", "javascript1.3", "javascript1.4", "javascript1.5", "jscript", "livescript":
			return true
		}
	case "application":
	default:
		return false
	}
	switch sub {
	case "ecmascript", "javascript", "x-ecmascript", "x-javascript":
		return true
	}
	return false
}

// ResourcePolicyRefused says why a response to a request without CORS must not be used by a page of another origin; nil:
// it may (Fetch, section 3.7: Cross-Origin-Resource-Policy).
func ResourcePolicyRefused(page, u *weburl.URL, h http.Header) *Refusal {
	values := h.Values("Cross-Origin-Resource-Policy")
	if len(values) != 1 {
		return nil
	}
	const rule = "cross-origin-resource-policy"
	switch values[0] {
	case "same-origin":
		if page.Origin() != u.Origin() {
			return &Refusal{rule, "it is for pages of " + u.Origin() + " alone"}
		}
	case "same-site":
		if cookie.Site(page.Hostname()) != cookie.Site(u.Hostname()) || u.Secure() && !page.Secure() {
			return &Refusal{rule, "it is for pages of " + Site(u) + " alone"}
		}
	}
	return nil
}
