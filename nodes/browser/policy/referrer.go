package policy

import (
	"net/http"
	"strings"

	"scenario/nodes/browser/weburl"
)

// ReferrerPolicy is how much a request tells of the page that asks for it (Referrer Policy, section 3).
type ReferrerPolicy string

// The policies.
const (
	NoReferrer                  ReferrerPolicy = "no-referrer"
	NoReferrerWhenDowngrade     ReferrerPolicy = "no-referrer-when-downgrade"
	SameOriginReferrer          ReferrerPolicy = "same-origin"
	OriginReferrer              ReferrerPolicy = "origin"
	StrictOrigin                ReferrerPolicy = "strict-origin"
	OriginWhenCrossOrigin       ReferrerPolicy = "origin-when-cross-origin"
	StrictOriginWhenCrossOrigin ReferrerPolicy = "strict-origin-when-cross-origin" // where nobody says another
	UnsafeURL                   ReferrerPolicy = "unsafe-url"
)

// maxReferrer is the longest address that a Referer field tells, in bytes (Referrer Policy, section 8.3, step 6).
const maxReferrer = 4096

// ReferrerPolicyAttribute reads the attribute referrerpolicy; empty where it is none of the policies.
func ReferrerPolicyAttribute(value string) ReferrerPolicy {
	switch p := ReferrerPolicy(strings.ToLower(strings.TrimSpace(value))); p {
	case NoReferrer, NoReferrerWhenDowngrade, SameOriginReferrer, OriginReferrer, StrictOrigin, OriginWhenCrossOrigin,
		StrictOriginWhenCrossOrigin, UnsafeURL:
		return p
	}
	return ""
}

// ReferrerPolicyMeta reads the content of <meta name=referrer>, with its old words (HTML, section 4.2.5.3).
func ReferrerPolicyMeta(content string) ReferrerPolicy {
	switch strings.ToLower(strings.TrimSpace(content)) {
	case "never":
		return NoReferrer
	case "default":
		return StrictOriginWhenCrossOrigin
	case "always":
		return UnsafeURL
	case "origin-when-crossorigin":
		return OriginWhenCrossOrigin
	}
	return ReferrerPolicyAttribute(content)
}

// ReferrerPolicyHeader reads the field Referrer-Policy: of a list the last policy that is known (Referrer Policy, section
// 8.1); empty where there is none.
func ReferrerPolicyHeader(h http.Header) ReferrerPolicy {
	var last ReferrerPolicy
	for _, member := range list(h, "Referrer-Policy") {
		if p := ReferrerPolicyAttribute(member); p != "" {
			last = p
		}
	}
	return last
}

// Referrer is the Referer field of a request for to that from asks for; empty: the request has none (Referrer Policy,
// section 8.3). The empty policy is the default one.
func (p ReferrerPolicy) Referrer(from, to *weburl.URL) string {
	if from == nil || !from.Web() {
		return ""
	}
	origin := from.Origin() + "/"
	full := from.WithoutCredentials().Bare()
	if len(full) > maxReferrer {
		full = origin
	}
	same := from.Origin() == to.Origin()
	downgrade := Trustworthy(from) && !Trustworthy(to)
	switch p {
	case NoReferrer:
		return ""
	case UnsafeURL:
		return full
	case OriginReferrer:
		return origin
	case NoReferrerWhenDowngrade:
		if downgrade {
			return ""
		}
		return full
	case SameOriginReferrer:
		if same {
			return full
		}
		return ""
	case StrictOrigin:
		if downgrade {
			return ""
		}
		return origin
	case OriginWhenCrossOrigin:
		if same {
			return full
		}
		return origin
	}
	switch {
	case same:
		return full
	case downgrade:
		return ""
	}
	return origin
}

// OriginField is the Origin field of a request; empty: it has none (Fetch, section 3.2). shared says that another origin
// is asked with CORS, origin is that of whoever asks. The policy makes it "null" where it would tell too much; downgrade says that
// the request leaves https.
func OriginField(shared bool, method, origin string, to *weburl.URL, p ReferrerPolicy, downgrade bool) string {
	if shared {
		return origin
	}
	if method == http.MethodGet || method == http.MethodHead {
		return ""
	}
	switch p {
	case NoReferrer:
		return "null"
	case SameOriginReferrer:
		if origin != to.Origin() {
			return "null"
		}
	case NoReferrerWhenDowngrade, StrictOrigin, StrictOriginWhenCrossOrigin, "":
		if downgrade {
			return "null"
		}
	}
	return origin
}
