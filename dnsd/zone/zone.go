// Package zone holds the data that a name server is authoritative for, and answers questions from it.
//
// [Parse] turns master file lines (RFC 1035, section 5) into a [Zone]; a [Set] is the zones of one server. [Set.Lookup] is
// one step, for one name; [Set.Answer] follows aliases within the set and makes a whole answer. Nothing here does I/O.
package zone

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Config is a zone as it is written.
type Config struct {
	Origin      string         // with or without the final dot
	Records     []string       // master file lines, names relative to Origin
	TTL         time.Duration  // of records that name none
	NegativeTTL *time.Duration // of "no such name" and "no such data", where no SOA record says it; nil: DefaultNegativeTTL
}

// DefaultNegativeTTL is how long a negative answer may be cached (RFC 2308) where nothing else is said.
const DefaultNegativeTTL = time.Minute

// Values of an SOA record that is made up (RFC 1035, section 3.3.13). Nothing here transfers zones, so they only have to
// look sensible.
const (
	soaSerial  = 1
	soaRefresh = 3600
	soaRetry   = 600
	soaExpire  = 604800
)

// Zone is the data of one zone. It does not change.
type Zone struct {
	origin string
	soa    *dns.SOA
	nodes  map[string]node // by canonical name; empty non-terminals (RFC 4592, section 2.2.2) are there, with no sets
}

// node is what one name owns: its record sets by type.
type node map[uint16][]dns.RR

// Origin is the zone's name in canonical form: lower case, with the final dot.
func (z *Zone) Origin() string { return z.origin }

// Parse makes a zone. The error joins one for each record that is wrong, naming zone and record, and one for each rule of
// the DNS that the records break together.
func Parse(c Config) (*Zone, error) {
	origin := dns.CanonicalName(c.Origin)
	if _, ok := dns.IsDomainName(origin); !ok {
		return nil, fmt.Errorf("zone %q: not a domain name", c.Origin)
	}
	z := &Zone{origin: origin, nodes: map[string]node{origin: {}}}
	ttl, err := seconds(c.TTL)
	if err != nil {
		return nil, fmt.Errorf("zone %s: ttl %w", origin, err)
	}
	negative := uint32(DefaultNegativeTTL / time.Second)
	if c.NegativeTTL != nil {
		if negative, err = seconds(*c.NegativeTTL); err != nil {
			return nil, fmt.Errorf("zone %s: negative ttl %w", origin, err)
		}
	}
	var errs []error
	for _, line := range c.Records {
		rrs, err := ParseRecord(line, origin, ttl)
		for _, rr := range rrs {
			err = errors.Join(err, z.add(rr))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("zone %s: record %q: %w", origin, strings.TrimSpace(line), err))
		}
	}
	errs = append(errs, z.check()...)
	if c.NegativeTTL != nil && len(z.nodes[origin][dns.TypeSOA]) > 0 {
		errs = append(errs, fmt.Errorf("zone %s: negative ttl beside an SOA record: say it in the record's last number", origin))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	z.complete(ttl, negative)
	return z, nil
}

// ParseRecord reads the records of one master file line; names in it are relative to origin, ttl (seconds) is for those
// that name none. Records come out in the form in which they arrive from the wire, so that equal names are equal text.
func ParseRecord(line, origin string, ttl uint32) ([]dns.RR, error) {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "$") {
		return nil, errors.New("a directive is not a record")
	}
	parser := dns.NewZoneParser(strings.NewReader(line+"\n"), origin, "")
	parser.SetDefaultTTL(ttl)
	var rrs []dns.RR
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		rr, err := normal(rr)
		if err != nil {
			return nil, err
		}
		rrs = append(rrs, rr)
	}
	if err := parser.Err(); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "dns: "))
	}
	if len(rrs) == 0 {
		return nil, errors.New("no record")
	}
	return rrs, nil
}

// normal sends rr through its wire format: that undoes needless escapes and finds what cannot be sent.
func normal(rr dns.RR) (dns.RR, error) {
	if class := rr.Header().Class; class != dns.ClassINET {
		return nil, fmt.Errorf("class %s: only IN is served", dns.Class(class))
	}
	switch rrtype := rr.Header().Rrtype; rrtype {
	case dns.TypeANY, dns.TypeAXFR, dns.TypeIXFR, dns.TypeOPT, dns.TypeTSIG, dns.TypeTKEY, dns.TypeMAILA, dns.TypeMAILB:
		return nil, fmt.Errorf("type %s is for messages, not for zones", dns.Type(rrtype))
	}
	wire := make([]byte, dns.MaxMsgSize)
	end, err := dns.PackRR(rr, wire, 0, nil, false)
	if err != nil {
		return nil, err
	}
	rr, _, err = dns.UnpackRR(wire[:end], 0)
	return rr, err
}

// seconds is d as a TTL (RFC 2181, section 8).
func seconds(d time.Duration) (uint32, error) {
	if d < 0 || d/time.Second > math.MaxInt32 || d%time.Second != 0 {
		return 0, fmt.Errorf("%s is not a whole number of seconds from 0 to 2^31-1", d)
	}
	return uint32(d / time.Second), nil
}

func (z *Zone) add(rr dns.RR) error {
	name := dns.CanonicalName(rr.Header().Name)
	if !dns.IsSubDomain(z.origin, name) {
		return fmt.Errorf("%s is outside the zone (a final dot makes a name absolute)", rr.Header().Name)
	}
	if rr.Header().Rrtype == dns.TypeSOA && name != z.origin {
		return errors.New("an SOA record belongs at the zone's own name (@)")
	}
	if strings.HasPrefix(name, "*.") && slices.Contains([]uint16{dns.TypeNS, dns.TypeDNAME}, rr.Header().Rrtype) {
		return fmt.Errorf("%s at a wildcard has no agreed meaning (RFC 4592, section 4)", dns.Type(rr.Header().Rrtype))
	}
	for at := name; ; at = parent(at) {
		if z.nodes[at] == nil {
			z.nodes[at] = node{}
		}
		if at == z.origin {
			break
		}
	}
	set := z.nodes[name][rr.Header().Rrtype]
	if slices.ContainsFunc(set, func(have dns.RR) bool { return dns.IsDuplicate(have, rr) }) {
		return nil
	}
	z.nodes[name][rr.Header().Rrtype] = append(set, rr)
	return nil
}

// check returns what is wrong with the records together, and gives each record set one TTL (RFC 2181, section 5.2).
func (z *Zone) check() []error {
	var errs []error
	names := make([]string, 0, len(z.nodes))
	for name, sets := range z.nodes {
		names = append(names, name)
		for _, set := range sets {
			low := slices.MinFunc(set, func(a, b dns.RR) int { return int(a.Header().Ttl) - int(b.Header().Ttl) })
			for _, rr := range set {
				rr.Header().Ttl = low.Header().Ttl
			}
		}
	}
	slices.Sort(names)
	for _, name := range names {
		sets := z.nodes[name]
		if aliases := len(sets[dns.TypeCNAME]); aliases > 1 || aliases == 1 && len(sets) > 1 {
			errs = append(errs, fmt.Errorf("zone %s: %s has a CNAME and other records: an alias stands alone (RFC 1034, section 3.6.2)", z.origin, name))
		}
		if len(sets[dns.TypeDNAME]) > 1 {
			errs = append(errs, fmt.Errorf("zone %s: %s has more than one DNAME (RFC 6672, section 2.4)", z.origin, name))
		}
	}
	if apex := z.nodes[z.origin]; len(apex[dns.TypeSOA]) > 1 {
		errs = append(errs, fmt.Errorf("zone %s: more than one SOA record", z.origin))
	} else if len(apex[dns.TypeCNAME]) > 0 {
		errs = append(errs, fmt.Errorf("zone %s: a CNAME cannot stand at the zone's own name, which has an SOA", z.origin))
	}
	return errs
}

// complete makes up the SOA and NS records of the zone's own name where the records hold none (RFC 1035, section 5.2: a
// zone has both). They name the same server: the first that the records name, or else the zone itself.
func (z *Zone) complete(ttl, negative uint32) {
	apex := z.nodes[z.origin]
	if set := apex[dns.TypeSOA]; len(set) == 1 {
		z.soa = set[0].(*dns.SOA)
	} else {
		z.soa = z.newSOA(ttl, negative)
		apex[dns.TypeSOA] = []dns.RR{z.soa}
	}
	if len(apex[dns.TypeNS]) == 0 {
		apex[dns.TypeNS] = []dns.RR{&dns.NS{
			Hdr: dns.RR_Header{Name: z.origin, Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: ttl},
			Ns:  z.soa.Ns,
		}}
	}
}

func (z *Zone) newSOA(ttl, negative uint32) *dns.SOA {
	primary := z.origin
	if servers := z.nodes[z.origin][dns.TypeNS]; len(servers) > 0 {
		primary = servers[0].(*dns.NS).Ns
	}
	mailbox := below("hostmaster", z.origin)
	if _, ok := dns.IsDomainName(mailbox); !ok { // too long
		mailbox = z.origin
	}
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: z.origin, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ttl},
		Ns:  primary, Mbox: mailbox,
		Serial: soaSerial, Refresh: soaRefresh, Retry: soaRetry, Expire: soaExpire, Minttl: negative,
	}
}

// parent is the name one label up; name must not be the root.
func parent(name string) string {
	i, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[i:]
}

// below is the name label under origin.
func below(label, origin string) string {
	if origin == "." {
		return label + "."
	}
	return label + "." + origin
}
