package zone

import (
	"fmt"
	"maps"
	"slices"

	"github.com/miekg/dns"
)

// Set is the zones of one server. The zero value serves nothing.
type Set struct {
	zones map[string]*Zone
}

// NewSet returns the set of zones; an error where two have one name.
func NewSet(zones ...*Zone) (Set, error) {
	s := Set{zones: make(map[string]*Zone, len(zones))}
	for _, z := range zones {
		if s.zones[z.origin] != nil {
			return Set{}, fmt.Errorf("zone %s is there twice", z.origin)
		}
		s.zones[z.origin] = z
	}
	return s, nil
}

// Origins returns the names of the zones, sorted.
func (s Set) Origins() []string { return slices.Sorted(maps.Keys(s.zones)) }

// Kind says what a zone has for a question.
type Kind int

// The kinds of a [Found].
const (
	NotServed Kind = iota // no zone of the set holds the name
	Positive              // the record set asked for
	Alias                 // a CNAME, perhaps made from a DNAME, which leads on
	Referral              // the name is delegated: the NS records of its zone cut
	NoData                // the name is there, the type is not
	NXDomain              // there is no such name
	TooLong               // a DNAME leads to a name longer than a name can be (RFC 6672, section 2.2)
)

// Found is what a set of zones has for one name and type. Records are shared: do not change them.
type Found struct {
	Kind    Kind
	Records []dns.RR // Positive: the set; Alias: the CNAME, after the DNAME it was made from; Referral: the NS set
	Glue    []dns.RR // Referral: addresses of servers whose names are below the cut
	Target  string   // Alias: where it leads
	SOA     dns.RR   // NoData, NXDomain: with the TTL of negative answers (RFC 2308, section 3)
}

// Lookup takes one step of RFC 1034, section 4.3.2, with wildcards as in RFC 4592: it finds the zone nearest to name and
// what is there. The type of a record or ANY may be asked.
func (s Set) Lookup(name string, qtype uint16) Found {
	z := s.nearest(dns.CanonicalName(name), qtype)
	if z == nil {
		return Found{}
	}
	return z.lookup(name, qtype)
}

// nearest is the zone with the longest name that holds name, which is canonical. DS records of a zone are in the zone
// above (RFC 4035, section 3.1.4.1), so that is preferred for them.
func (s Set) nearest(name string, qtype uint16) *Zone {
	var own *Zone
	for at := name; ; at = parent(at) {
		if z := s.zones[at]; z != nil && (qtype != dns.TypeDS || at != name) {
			return z
		} else if z != nil {
			own = z
		}
		if at == "." {
			return own
		}
	}
}

// lookup walks from the zone's own name down to name, one label at a time, and stops at the first zone cut, DNAME or
// missing name.
func (z *Zone) lookup(name string, qtype uint16) Found {
	canonical := dns.CanonicalName(name)
	labels := dns.Split(canonical)
	at, encloser := z.origin, z.origin
	for i := len(labels) - dns.CountLabel(z.origin) - 1; ; i-- {
		here, ok := z.nodes[at]
		if !ok {
			return z.missing(name, encloser, qtype)
		}
		if servers := here[dns.TypeNS]; len(servers) > 0 && at != z.origin && (at != canonical || qtype != dns.TypeDS) {
			return Found{Kind: Referral, Records: servers, Glue: z.glue(at, servers)}
		}
		if at == canonical {
			return z.found(name, here, qtype)
		}
		if set := here[dns.TypeDNAME]; len(set) > 0 {
			return renamed(name, set[0].(*dns.DNAME))
		}
		encloser, at = at, canonical[labels[i]:]
	}
}

// missing answers for a name that is not in the zone: from the wildcard below its closest encloser, if there is one.
func (z *Zone) missing(name, encloser string, qtype uint16) Found {
	wild, ok := z.nodes[below("*", encloser)]
	if !ok {
		return Found{Kind: NXDomain, SOA: z.negative()}
	}
	found := z.found(name, wild, qtype)
	if found.Kind == Positive || found.Kind == Alias {
		found.Records = slices.Clone(found.Records)
		for i, rr := range found.Records {
			found.Records[i] = dns.Copy(rr)
			found.Records[i].Header().Name = name
		}
	}
	return found
}

// found answers from what a name owns.
func (z *Zone) found(name string, here node, qtype uint16) Found {
	if set := here[qtype]; len(set) > 0 {
		return Found{Kind: Positive, Records: set}
	}
	if qtype == dns.TypeANY && len(here) > 0 { // ANY is the type of an alias too, which is not followed then
		return Found{Kind: Positive, Records: []dns.RR{Minimal(name, z.soa.Hdr.Ttl)}}
	}
	if set := here[dns.TypeCNAME]; len(set) > 0 {
		return Found{Kind: Alias, Records: set, Target: set[0].(*dns.CNAME).Target}
	}
	return Found{Kind: NoData, SOA: z.negative()}
}

// Minimal is the one record that answers a question for ANY (RFC 8482, section 4.2); ttl is in seconds.
func Minimal(name string, ttl uint32) dns.RR {
	return &dns.HINFO{
		Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeHINFO, Class: dns.ClassINET, Ttl: ttl},
		Cpu: "RFC8482",
	}
}

// glue is the addresses that the zone has for those servers of a delegation that are below its cut: nobody can find
// them otherwise (RFC 9471).
func (z *Zone) glue(cut string, servers []dns.RR) []dns.RR {
	var glue []dns.RR
	for _, rr := range servers {
		server := dns.CanonicalName(rr.(*dns.NS).Ns)
		if dns.IsSubDomain(cut, server) {
			glue = append(glue, z.nodes[server][dns.TypeA]...)
			glue = append(glue, z.nodes[server][dns.TypeAAAA]...)
		}
	}
	return glue
}

// renamed is the alias that a DNAME above name makes of it (RFC 6672, section 3.1).
func renamed(name string, rr *dns.DNAME) Found {
	prefix := name
	if n := dns.CountLabel(rr.Hdr.Name); n > 0 {
		labels := dns.Split(name)
		prefix = name[:labels[len(labels)-n]]
	}
	target := prefix + rr.Target
	if rr.Target == "." {
		target = prefix
	}
	if _, ok := dns.IsDomainName(target); !ok {
		return Found{Kind: TooLong, Records: []dns.RR{rr}}
	}
	alias := &dns.CNAME{
		Hdr:    dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: rr.Hdr.Ttl},
		Target: target,
	}
	return Found{Kind: Alias, Records: []dns.RR{rr, alias}, Target: target}
}

// negative is the zone's SOA as it stands in negative answers.
func (z *Zone) negative() dns.RR {
	soa := *z.soa
	soa.Hdr.Ttl = min(soa.Hdr.Ttl, soa.Minttl)
	return &soa
}
