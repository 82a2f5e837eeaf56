package wire

import (
	"fmt"
	"slices"
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
	case answered(response), response.Truncated: // what is left out is asked for over TCP
		return KindAnswer
	case hasType(response.Ns, dns.TypeSOA):
		return KindNoData
	case len(response.Answer) > 0: // aliases that lead elsewhere
		return KindAnswer
	case !response.Authoritative && hasType(response.Ns, dns.TypeNS):
		return KindReferral
	}
	return KindNoData
}

// answered says whether the type asked for is in the answer.
func answered(response *dns.Msg) bool {
	if len(response.Question) != 1 {
		return len(response.Answer) > 0
	}
	qtype := response.Question[0].Qtype
	return hasType(response.Answer, qtype) || qtype == dns.TypeANY && len(response.Answer) > 0
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
	e.RCode = RCode(response.Rcode)
	e.Kind = Kind(response)
	e.Answer, e.Authority = Texts(response.Answer), Texts(response.Ns)
	e.Authoritative, e.Truncated = response.Authoritative, response.Truncated
	e.TTL = lowestTTL(response)
	if opt := response.IsEdns0(); opt != nil {
		for _, option := range opt.Option {
			if ede, ok := option.(*dns.EDNS0_EDE); ok {
				e.ExtendedError = ExtendedError(ede.InfoCode, ede.ExtraText)
			}
		}
	}
}

// lowestTTL is how long, in seconds, the answer holds, or the absence of one (RFC 2308, section 5); 0 for any other.
func lowestTTL(response *dns.Msg) uint32 {
	ttl := ^uint32(0)
	for _, rr := range response.Answer {
		ttl = min(ttl, rr.Header().Ttl)
	}
	for _, rr := range response.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			ttl = min(ttl, soa.Hdr.Ttl, soa.Minttl)
		}
	}
	if ttl == ^uint32(0) {
		return 0
	}
	return ttl
}

// RCode is the name of a response code, as in NXDOMAIN.
func RCode(code int) string {
	if code == dns.RcodeBadVers { // the number has another name in TSIG records, which nobody here sends
		return "BADVERS"
	}
	if text, ok := dns.RcodeToString[code]; ok {
		return text
	}
	return fmt.Sprintf("RCODE%d", code)
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

// Texts returns the records as a person reads them: name, TTL, type and data with single spaces, without the class. What
// is no data (OPT, RFC 6891) is left out.
func Texts(records []dns.RR) []string {
	var texts []string
	for _, rr := range records {
		fields := strings.SplitN(rr.String(), "\t", 5) // name, TTL, class, type, data
		if rr.Header().Rrtype == dns.TypeOPT || len(fields) < 4 {
			continue
		}
		texts = append(texts, strings.TrimSpace(strings.Join(slices.Delete(fields, 2, 3), " ")))
	}
	return texts
}
