package recursor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"scenario/dnsd/wire"
	"scenario/dnsd/zone"
)

func records(t testing.TB, lines ...string) []dns.RR {
	t.Helper()
	var rrs []dns.RR
	for _, line := range lines {
		set, err := zone.ParseRecord(line, ".", 300)
		if err != nil {
			t.Fatal(err)
		}
		rrs = append(rrs, set...)
	}
	return rrs
}

// What a server of the zone shop. may say when it is asked for www.shop. A.
func TestRead(t *testing.T) {
	const soa = "shop. 100 SOA ns.shop. mail.shop. 1 2 3 4 50"
	for _, test := range []struct {
		name                          string
		rcode                         int
		unauthoritative               bool
		answer, authority, additional []string
		want                          string
	}{
		{name: "answer", answer: []string{"www.shop. A 192.0.2.1", "WWW.shop. A 192.0.2.2"}, want: "positive www.shop. 192.0.2.1 192.0.2.2"},
		{name: "one TTL a set", answer: []string{"www.shop. 9 A 192.0.2.1", "www.shop. 5 A 192.0.2.2"}, want: "positive www.shop. 192.0.2.1 192.0.2.2"},
		{name: "alias", answer: []string{"www.shop. CNAME host.shop.", "host.shop. A 192.0.2.1"}, want: "positive host.shop. host.shop. 192.0.2.1"},
		{name: "alias in another order", answer: []string{"host.shop. A 192.0.2.1", "www.shop. CNAME host.shop."}, want: "positive host.shop. host.shop. 192.0.2.1"},
		{name: "alias away", answer: []string{"www.shop. CNAME www.bank.", "www.bank. A 192.0.2.66"}, want: "alias www.bank. www.bank."},
		{name: "alias to nothing more", answer: []string{"www.shop. CNAME host.shop."}, want: "alias host.shop. host.shop."},
		{name: "alias to no data", answer: []string{"www.shop. CNAME host.shop."}, authority: []string{soa}, want: "nodata host.shop. host.shop. soa 50"},
		{name: "alias to no name", rcode: dns.RcodeNameError, answer: []string{"www.shop. CNAME host.shop."}, authority: []string{soa}, want: "nxdomain host.shop. host.shop. soa 50"},
		{name: "alias away to no name", rcode: dns.RcodeNameError, answer: []string{"www.shop. CNAME www.bank."}, authority: []string{soa}, want: "alias www.bank. www.bank."},
		{name: "two aliases of one name", answer: []string{"www.shop. CNAME a.shop.", "www.shop. CNAME b.shop."}, want: "alias a.shop. a.shop."},
		{name: "aliases in a circle", answer: []string{"www.shop. CNAME a.shop.", "a.shop. CNAME www.shop."}, want: "alias www.shop. a.shop. www.shop."},
		{name: "no name", rcode: dns.RcodeNameError, authority: []string{soa}, want: "nxdomain www.shop. soa 50"},
		{name: "no name without SOA", rcode: dns.RcodeNameError, want: "nxdomain www.shop."},
		{name: "no data, SOA of another zone", authority: []string{"bank. 100 SOA ns.bank. mail.bank. 1 2 3 4 50"}, want: "nodata www.shop."},
		{name: "empty and not authoritative", unauthoritative: true, want: "error is not a server of the zone: its answer is empty and not authoritative"},
		{name: "referral", unauthoritative: true, authority: []string{"www.shop. NS ns.www.shop."}, additional: []string{"ns.www.shop. A 192.0.2.1"}, want: "referral www.shop. glue 192.0.2.1"},
		{name: "referral with foreign glue", unauthoritative: true, authority: []string{"www.shop. NS ns.bank."}, additional: []string{"ns.bank. A 192.0.2.66"}, want: "referral www.shop."},
		{name: "referral with unasked glue", unauthoritative: true, authority: []string{"www.shop. NS ns.bank."}, additional: []string{"host.shop. A 192.0.2.66"}, want: "referral www.shop."},
		{name: "referral elsewhere", unauthoritative: true, authority: []string{"bank. NS ns.shop."}, want: "error is not a server of the zone: it refers to bank."},
		{name: "referral to a sibling", unauthoritative: true, authority: []string{"other.shop. NS ns.shop."}, want: "error is not a server of the zone: it refers to other.shop."},
		{name: "referral to itself", unauthoritative: true, authority: []string{"shop. NS ns.shop."}, want: "error is not a server of the zone: it refers to shop."},
		{name: "failure", rcode: dns.RcodeServerFailure, want: "error answered SERVFAIL"},
		{name: "code that nobody knows", rcode: 3841, want: "error answered RCODE3841"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: test.rcode, Authoritative: !test.unauthoritative}}
			m.Answer, m.Ns, m.Extra = records(t, test.answer...), records(t, test.authority...), records(t, test.additional...)
			r, err := read(m, "shop.", "www.shop.", dns.TypeA)
			if diff := cmp.Diff(test.want, describe(r, err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func describe(r response, err error) string {
	if err != nil {
		return "error " + err.Error()
	}
	words := []string{[]string{"positive", "alias", "referral", "nodata", "nxdomain"}[r.kind], r.target}
	for _, set := range r.sets {
		for _, rr := range set {
			words = append(words, strings.TrimPrefix(rr.String(), rr.Header().String()))
			if rr.Header().Ttl != set[0].Header().Ttl {
				words = append(words, "TTLs differ")
			}
		}
	}
	if r.soa != nil {
		words = append(words, fmt.Sprintf("soa %d", r.soa.Header().Ttl))
	}
	for _, rr := range r.glue {
		words = append(words, "glue "+strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	return strings.Join(words, " ")
}

// RFC 2181, section 8: a TTL with the highest bit set is 0.
func TestReadHugeTTL(t *testing.T) {
	m := &dns.Msg{MsgHdr: dns.MsgHdr{Authoritative: true}, Answer: records(t, "www.shop. A 192.0.2.1")}
	m.Answer[0].Header().Ttl = 1 << 31
	r, err := read(m, "shop.", "www.shop.", dns.TypeA)
	if err != nil || r.sets[0][0].Header().Ttl != 0 {
		t.Errorf("%v, %v", r.sets, err)
	}
}

// Whatever a server says, nothing is taken that is not below its zone.
func FuzzRead(f *testing.F) {
	m := new(dns.Msg).SetQuestion("www.shop.", dns.TypeA)
	m.Answer = records(f, "www.shop. CNAME a.shop.", "a.shop. A 192.0.2.1", "www.bank. A 192.0.2.2")
	m.Ns = records(f, "shop. SOA ns.shop. mail.shop. 1 2 3 4 5", "www.shop. NS ns.bank.")
	m.Extra = records(f, "ns.bank. A 192.0.2.3")
	packed, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed, "www.shop.", uint16(dns.TypeA))
	f.Fuzz(func(t *testing.T, packed []byte, name string, qtype uint16) {
		m := new(dns.Msg)
		if m.Unpack(packed) != nil || !dns.IsSubDomain("shop.", dns.CanonicalName(name)) {
			return
		}
		r, err := read(m, "shop.", name, qtype)
		if err != nil {
			return
		}
		for _, set := range append(r.sets, r.glue, r.servers) {
			for _, rr := range set {
				if !dns.IsSubDomain("shop.", dns.CanonicalName(rr.Header().Name)) {
					t.Errorf("took %s", rr)
				}
			}
		}
		if r.kind == referral && (len(r.servers) == 0 || r.cut == "shop." || !dns.IsSubDomain(r.cut, r.target)) {
			t.Errorf("referral to %s", r.cut)
		}
		if r.kind == alias && len(r.sets) == 0 {
			t.Error("an alias without a CNAME")
		}
	})
}

func TestCache(t *testing.T) {
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	soa := records(t, "shop. SOA ns.shop. mail.shop. 1 2 3 4 5")[0]
	long := dns.Copy(soa)
	long.Header().Ttl = 1 << 30
	for _, test := range []struct {
		name  string
		entry entry
		after time.Duration
		want  string // records left; "" for nothing
	}{
		{"fresh", entry{records: records(t, "a. 60 A 192.0.2.1")}, 0, "a. 60 A 192.0.2.1"},
		{"aged", entry{records: records(t, "a. 60 A 192.0.2.1")}, 20500 * time.Millisecond, "a. 40 A 192.0.2.1"},
		{"last second", entry{records: records(t, "a. 60 A 192.0.2.1")}, 59 * time.Second, "a. 1 A 192.0.2.1"},
		{"expired", entry{records: records(t, "a. 60 A 192.0.2.1")}, 60 * time.Second, ""},
		{"no time", entry{records: records(t, "a. 0 A 192.0.2.1")}, 0, ""},
		{"glue ends it too", entry{records: records(t, "a. 60 NS b."), glue: records(t, "b. 10 A 192.0.2.1")}, 10 * time.Second, ""},
		{"longest", entry{records: records(t, "a. 2000000 A 192.0.2.1")}, 24*time.Hour - time.Second, "a. 1 A 192.0.2.1"},
		{"absence", entry{soa: soa}, 100 * time.Second, "shop. 200 SOA ns.shop. mail.shop. 1 2 3 4 5"},
		{"longest absence", entry{soa: long}, 3 * time.Hour, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCache(10)
			c.put(key{"a.", dns.TypeA}, test.entry, start)
			e, ok := c.get(key{"a.", dns.TypeA}, start.Add(test.after))
			if e.soa != nil {
				e.records = []dns.RR{e.soa}
			}
			if got := strings.Join(wire.Texts(e.records), " "); got != test.want || ok != (test.want != "") {
				t.Errorf("left is %q, %v; want %q", got, ok, test.want)
			}
		})
	}
}

func TestCacheIsBounded(t *testing.T) {
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	c := newCache(3)
	for i, ttl := range []int{50, 10, 30, 40} {
		c.put(key{fmt.Sprintf("n%d.", i), dns.TypeA}, entry{records: records(t, fmt.Sprintf("x. %d A 192.0.2.1", ttl))}, start)
	}
	if _, ok := c.get(key{"n1.", dns.TypeA}, start); ok || len(c.entries) != 3 {
		t.Errorf("%d entries, the one that expires first is there: %v", len(c.entries), ok)
	}
	c.put(key{"late.", dns.TypeA}, entry{records: records(t, "x. 60 A 192.0.2.1")}, start.Add(45*time.Second))
	if len(c.entries) != 2 {
		t.Errorf("%d entries, want those that have not expired", len(c.entries))
	}
}
