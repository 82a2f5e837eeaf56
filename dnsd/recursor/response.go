package recursor

import (
	"errors"
	"fmt"

	"github.com/miekg/dns"

	"scenario/dnsd/wire"
)

// kind says what a response is good for.
type kind int

const (
	positive kind = iota // it has the record set asked for, perhaps after aliases
	alias                // it leads to another name, which is still to be asked for
	referral             // it leads to servers closer to the name
	nodata               // the name is there, the type is not
	nxdomain             // there is no such name
)

// response is what a server's message says, as far as the server may say it.
type response struct {
	kind    kind
	sets    [][]dns.RR // the aliases followed, in order, and then the set asked for
	target  string     // the last name of the chain
	soa     dns.RR     // nodata, nxdomain: with the TTL of the absence; nil: it may not be cached
	cut     string     // referral: the zone delegated
	servers []dns.RR   // referral: its NS records
	glue    []dns.RR   // referral: addresses of its servers
}

// read takes from a message of a server of zone what answers the question. Records outside of the zone are passed over:
// the server has no say there (RFC 2181, section 5.4.1; RFC 5452, section 6). The error says why the message is of no use.
func read(m *dns.Msg, zone, name string, qtype uint16) (response, error) {
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return response{}, fmt.Errorf("answered %s", wire.RCode(m.Rcode))
	}
	r := response{target: dns.CanonicalName(name)}
	if !m.Authoritative {
		if r.delegation(m, zone, qtype) {
			return r, nil
		}
		return response{}, misplaced(m)
	}
	for seen := map[string]bool{}; !seen[r.target] && len(seen) <= maxAliases && dns.IsSubDomain(zone, r.target); {
		seen[r.target] = true
		if set := pick(m.Answer, r.target, qtype); len(set) > 0 {
			r.sets = append(r.sets, set)
			return r, nil
		}
		aliases := pick(m.Answer, r.target, dns.TypeCNAME)
		if len(aliases) == 0 {
			break
		}
		r.sets = append(r.sets, aliases[:1])
		r.target = dns.CanonicalName(aliases[0].(*dns.CNAME).Target)
	}
	inZone := dns.IsSubDomain(zone, r.target)
	if inZone {
		r.soa = authority(m.Ns, zone, r.target)
	}
	switch {
	case inZone && m.Rcode == dns.RcodeNameError:
		r.kind = nxdomain
	case r.soa != nil:
		r.kind = nodata
	case len(r.sets) > 0:
		r.kind = alias
	case r.delegation(m, zone, qtype): // some servers call their referrals authoritative
	default:
		r.kind = nodata
	}
	return r, nil
}

// misplaced says why a message that is neither authoritative nor a referral downwards is of no use.
func misplaced(m *dns.Msg) error {
	for _, rr := range m.Ns {
		if rr.Header().Rrtype == dns.TypeNS {
			return fmt.Errorf("is not a server of the zone: it refers to %s", rr.Header().Name)
		}
	}
	if len(m.Answer) == 0 {
		return errors.New("is not a server of the zone: its answer is empty and not authoritative")
	}
	return errors.New("is not a server of the zone: its answer is not authoritative")
}

// delegation finds the NS records of a zone cut between zone and the name.
func (r *response) delegation(m *dns.Msg, zone string, qtype uint16) bool {
	for _, rr := range m.Ns {
		cut := dns.CanonicalName(rr.Header().Name)
		closer := cut != zone && dns.IsSubDomain(zone, cut) && dns.IsSubDomain(cut, r.target)
		if rr.Header().Rrtype != dns.TypeNS || !closer || cut == r.target && qtype == dns.TypeDS {
			continue
		}
		r.kind, r.cut, r.servers = referral, cut, pick(m.Ns, cut, dns.TypeNS)
		r.servers = r.servers[:min(len(r.servers), maxServers)]
		for _, server := range r.servers {
			host := dns.CanonicalName(server.(*dns.NS).Ns)
			if dns.IsSubDomain(zone, host) {
				r.glue = append(r.glue, pick(m.Extra, host, dns.TypeA)...)
				r.glue = append(r.glue, pick(m.Extra, host, dns.TypeAAAA)...)
			}
		}
		return true
	}
	return false
}

// pick returns the records of class IN that name owns, of one type and with one TTL (RFC 2181, section 5.2).
func pick(records []dns.RR, name string, rrtype uint16) []dns.RR {
	var set []dns.RR
	for _, rr := range records {
		h := rr.Header()
		if h.Rrtype == rrtype && h.Class == dns.ClassINET && dns.CanonicalName(h.Name) == name {
			if h.Ttl > 1<<31-1 { // RFC 2181, section 8
				h.Ttl = 0
			}
			set = append(set, rr)
		}
	}
	for _, rr := range set {
		set[0].Header().Ttl = min(set[0].Header().Ttl, rr.Header().Ttl)
	}
	for _, rr := range set {
		rr.Header().Ttl = set[0].Header().Ttl
	}
	return set
}

// authority returns the SOA record of the zone that says that name, or its type, is not there; its TTL is made that of
// the absence (RFC 2308, section 5).
func authority(records []dns.RR, zone, name string) dns.RR {
	for _, rr := range records {
		soa, ok := rr.(*dns.SOA)
		if !ok || soa.Hdr.Class != dns.ClassINET {
			continue
		}
		owner := dns.CanonicalName(soa.Hdr.Name)
		if dns.IsSubDomain(zone, owner) && dns.IsSubDomain(owner, name) {
			soa.Hdr.Ttl = min(soa.Hdr.Ttl, soa.Minttl)
			return soa
		}
	}
	return nil
}
