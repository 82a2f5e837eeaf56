package wire

import (
	"strings"

	"github.com/miekg/dns"

	"scenario/event"
)

// The kinds of a response, as events name them.
const (
	KindAnswer   = "answer"   // it has what was asked for
	KindReferral = "referral" // it names servers that are closer to the name
	KindNoData   = "nodata"   // the name exists, but has no record of the type (RFC 2308, section 2.2)
	KindNXDomain = "nxdomain" // the name does not exist
	KindError    = "error"    // any other response code, or no response
)

// Kind says what a response is.
func Kind(response *dns.Msg) string {
	switch {
	case response.Rcode == dns.RcodeNameError:
		return KindNXDomain
	case response.Rcode != dns.RcodeSuccess:
		return KindError
	case len(response.Answer) > 0:
		return KindAnswer
	case !response.Authoritative && hasType(response.Ns, dns.TypeNS) && !hasType(response.Ns, dns.TypeSOA):
		return KindReferral
	}
	return KindNoData
}

func hasType(records []dns.RR, of uint16) bool {
	for _, rr := range records {
		if rr.Header().Rrtype == of {
			return true
		}
	}
	return false
}

// Describe fills in what the response says: code, kind, records, TTL, flags and the extended error (RFC 8914).
func Describe(e *event.DNSAnswer, response *dns.Msg) {
	e.RCode = dns.RcodeToString[response.Rcode]
	e.Kind = Kind(response)
	e.Answer, e.Authority = Texts(response.Answer), Texts(response.Ns)
	e.Authoritative, e.Truncated = response.Authoritative, response.Truncated
	for i, rr := range response.Answer {
		if ttl := rr.Header().Ttl; i == 0 || ttl < e.TTL {
			e.TTL = ttl
		}
	}
	if opt := response.IsEdns0(); opt != nil {
		for _, option := range opt.Option {
			if ede, ok := option.(*dns.EDNS0_EDE); ok {
				e.ExtendedError = ExtendedError(ede.InfoCode, ede.ExtraText)
			}
		}
	}
}

// ExtendedError is the text of an extended DNS error: what its code means, and what the server adds.
func ExtendedError(code uint16, extra string) string {
	text := dns.ExtendedErrorCodeToString[code]
	switch {
	case text == "":
		return extra
	case extra == "":
		return text
	}
	return text + ": " + extra
}

// Texts returns the records as a person reads them: name, TTL, class, type and data with single spaces.
func Texts(records []dns.RR) []string {
	var texts []string
	for _, rr := range records {
		texts = append(texts, strings.Join(strings.Fields(rr.String()), " "))
	}
	return texts
}
