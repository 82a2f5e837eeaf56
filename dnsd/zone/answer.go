package zone

import (
	"slices"

	"github.com/miekg/dns"
)

// maxAliases bounds a chain of aliases.
const maxAliases = 16

// Answer is a whole answer, as the sections of a message. Records are shared: do not change them.
type Answer struct {
	RCode         int
	Authoritative bool
	Answer        []dns.RR
	Authority     []dns.RR
	Additional    []dns.RR
}

// Answer answers a question from the set: it follows aliases as long as they stay in zones of the set. Where no zone
// holds the name the code is REFUSED.
func (s Set) Answer(name string, qtype uint16) Answer {
	var a Answer
	seen := make(map[string]bool)
	for len(seen) < maxAliases && !seen[dns.CanonicalName(name)] {
		seen[dns.CanonicalName(name)] = true
		found := s.Lookup(name, qtype)
		if len(seen) == 1 {
			a.Authoritative = found.Kind != NotServed && found.Kind != Referral
		}
		switch found.Kind {
		case Alias:
			a.Answer = append(a.Answer, found.Records...)
			name = found.Target
			continue
		case Positive:
			a.Answer = append(a.Answer, found.Records...)
			a.Additional = s.additional(found.Records)
		case Referral:
			a.Authority, a.Additional = found.Records, found.Glue
		case NoData:
			a.Authority = []dns.RR{found.SOA}
		case NXDomain: // of the last name of the chain: RFC 6604, section 3
			a.RCode, a.Authority = dns.RcodeNameError, []dns.RR{found.SOA}
		case TooLong:
			a.RCode = dns.RcodeYXDomain
			a.Answer = append(a.Answer, found.Records...)
		case NotServed:
			if len(seen) == 1 {
				a.RCode = dns.RcodeRefused
			}
		}
		return a
	}
	return a
}

// additional is the addresses, where the set has them, of the hosts that records name (RFC 1035, section 3.3; RFC 2782).
func (s Set) additional(records []dns.RR) []dns.RR {
	var hosts []string
	for _, rr := range records {
		host := ""
		switch rr := rr.(type) {
		case *dns.NS:
			host = rr.Ns
		case *dns.MX:
			host = rr.Mx
		case *dns.SRV:
			host = rr.Target
		}
		if host = dns.CanonicalName(host); host != "." && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	var addresses []dns.RR
	for _, host := range hosts {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
			if found := s.Lookup(host, qtype); found.Kind == Positive {
				addresses = append(addresses, found.Records...)
			}
		}
	}
	return addresses
}
