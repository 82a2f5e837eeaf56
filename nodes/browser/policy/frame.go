package policy

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"scenario/nodes/browser/weburl"
)

// Refusal is a rule that forbids to load or show something.
type Refusal struct {
	Rule   string // mixed-content, x-frame-options, frame-ancestors, nosniff …
	Reason string // one sentence
}

func (r *Refusal) Error() string { return r.Rule + ": " + r.Reason }

// FrameRefused says why the document u must not be shown in a frame; nil: it may. ancestors are the documents around it, the
// page in the address bar last. Where a policy has frame-ancestors, X-Frame-Options is not looked at (CSP, section
// 6.4.2.2; HTML, section 7.4.2.4).
func FrameRefused(u *weburl.URL, h http.Header, ancestors []*weburl.URL) *Refusal {
	said := false
	for _, p := range ContentSecurity(h) {
		sources, ok := p["frame-ancestors"]
		if !ok {
			continue
		}
		said = true
		for _, ancestor := range ancestors {
			if !slices.ContainsFunc(sources, func(s string) bool { return sourceMatches(s, u, ancestor) }) {
				return &Refusal{"frame-ancestors", "its policy lets " + allowed(sources) + " frame it, and " + ancestor.Origin() + " does"}
			}
		}
	}
	if said {
		return nil
	}
	return frameOptions(u, h, ancestors)
}

func allowed(sources []string) string {
	if len(sources) == 0 || len(sources) == 1 && strings.EqualFold(sources[0], "'none'") {
		return "nobody"
	}
	return clip(strings.Join(sources, ", "))
}

func frameOptions(u *weburl.URL, h http.Header, ancestors []*weburl.URL) *Refusal {
	var options []string
	for _, member := range list(h, "X-Frame-Options") {
		if member = strings.ToLower(member); !slices.Contains(options, member) {
			options = append(options, member)
		}
	}
	known := func(o string) bool { return o == "deny" || o == "allowall" || o == "sameorigin" }
	switch {
	case len(options) > 1 && slices.ContainsFunc(options, known):
		return &Refusal{"x-frame-options", "X-Frame-Options says several things at once, so nobody may frame it"}
	case len(options) != 1:
	case options[0] == "deny":
		return &Refusal{"x-frame-options", "X-Frame-Options is deny: nobody may frame it"}
	case options[0] == "sameorigin":
		for _, ancestor := range ancestors {
			if ancestor.Origin() != u.Origin() {
				return &Refusal{"x-frame-options", "X-Frame-Options is sameorigin, and it would be framed by " + ancestor.Origin()}
			}
		}
	}
	return nil
}

// sourceMatches says that a source expression of a policy of self stands for the origin of u (CSP, section 6.7.2.7; paths
// do not count for ancestors).
func sourceMatches(source string, self, u *weburl.URL) bool {
	lower := strings.ToLower(source)
	switch {
	case lower == "*":
		return u.Web() || u.Scheme() == self.Scheme()
	case lower == "'self'":
		return u.Origin() == self.Origin() || u.Hostname() == self.Hostname() && schemeMatches(self.Scheme(), u.Scheme()) &&
			defaultPort(u) && defaultPort(self)
	case strings.HasPrefix(lower, "'"):
		return false
	}
	scheme, rest, hasScheme := strings.Cut(lower, "://")
	if !hasScheme {
		if name, after, found := strings.Cut(lower, ":"); found && after == "" {
			return schemeMatches(name, u.Scheme())
		}
		scheme, rest = self.Scheme(), lower
	}
	host, _, _ := strings.Cut(rest, "/")
	port := ""
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host, port = host[:i], host[i+1:]
	}
	return schemeMatches(scheme, u.Scheme()) && hostMatches(host, u.Hostname()) && portMatches(port, u)
}

func schemeMatches(a, b string) bool { return a == b || a == "http" && b == "https" }

func hostMatches(pattern, host string) bool {
	if pattern == "*" {
		return true
	}
	if suffix, wild := strings.CutPrefix(pattern, "*."); wild {
		return strings.HasSuffix(host, "."+suffix)
	}
	return pattern == host
}

func portMatches(port string, u *weburl.URL) bool {
	switch port {
	case "*":
		return true
	case "":
		return defaultPort(u)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && (uint16(n) == u.PortNumber() || n == 80 && u.PortNumber() == 443)
}

func defaultPort(u *weburl.URL) bool { return u.Port() == "" }
