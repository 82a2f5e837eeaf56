package recursor

import (
	"cmp"
	"slices"
	"time"

	"github.com/miekg/dns"
)

const (
	// cacheSize bounds the record sets that a cache holds.
	cacheSize = 10_000
	// maxTTL bounds how long a record set is kept, whatever its TTL says.
	maxTTL = 24 * time.Hour
	// maxNegativeTTL is the same for "there is none" (RFC 2308, section 5).
	maxNegativeTTL = 3 * time.Hour
	// failureTTL is how long a failure is kept (RFC 9520, section 3.2): a dead zone is not asked for by every client anew.
	failureTTL = 5 * time.Second
)

// cache keeps what servers said until its TTL has run out. It is not safe for several goroutines at once.
type cache struct {
	entries map[key]entry
	limit   int
}

// key is what is asked. The type is dns.TypeNone for "there is no such name", which holds for every type.
type key struct {
	name  string // canonical
	qtype uint16
}

// entry is a record set; or none, with the SOA record that says so; or a failure.
type entry struct {
	records []dns.RR
	glue    []dns.RR // of a delegation: addresses of its servers
	soa     dns.RR
	failure *dns.EDNS0_EDE // why nobody could answer

	stored, expires time.Time
}

func newCache(limit int) *cache { return &cache{entries: make(map[key]entry), limit: limit} }

// put keeps e for its smallest TTL; not at all where that is 0.
func (c *cache) put(k key, e entry, at time.Time) {
	ttl, limit := uint32(maxTTL/time.Second), maxTTL
	for _, rr := range slices.Concat(e.records, e.glue) {
		ttl = min(ttl, rr.Header().Ttl)
	}
	if e.soa != nil {
		ttl, limit = min(ttl, e.soa.Header().Ttl), maxNegativeTTL
	}
	if e.failure != nil {
		limit = failureTTL
	}
	life := min(time.Duration(ttl)*time.Second, limit)
	if life == 0 {
		return
	}
	if _, ok := c.entries[k]; !ok && len(c.entries) >= c.limit {
		c.makeRoom(at)
	}
	e.stored, e.expires = at, at.Add(life)
	c.entries[k] = e
}

// makeRoom drops what has expired, or else what expires first.
func (c *cache) makeRoom(at time.Time) {
	var first key
	for k, e := range c.entries {
		if !at.Before(e.expires) {
			delete(c.entries, k)
			continue
		}
		// Of several the first by name, so that a run does not depend on the order of a map.
		known, ok := c.entries[first]
		if !ok || cmp.Or(e.expires.Compare(known.expires), cmp.Compare(k.name, first.name), cmp.Compare(k.qtype, first.qtype)) < 0 {
			first = k
		}
	}
	if len(c.entries) >= c.limit {
		delete(c.entries, first)
	}
}

// get returns copies of the records with the TTLs that are left of them.
func (c *cache) get(k key, at time.Time) (entry, bool) {
	e, ok := c.entries[k]
	if !ok || !at.Before(e.expires) {
		return entry{}, false
	}
	age := uint32(at.Sub(e.stored) / time.Second)
	left := uint32((e.expires.Sub(at) + time.Second - 1) / time.Second)
	aged := func(rr dns.RR) dns.RR {
		rr = dns.Copy(rr)
		rr.Header().Ttl = min(rr.Header().Ttl-min(age, rr.Header().Ttl), left)
		return rr
	}
	old := e
	e.records, e.glue = nil, nil
	for _, rr := range old.records {
		e.records = append(e.records, aged(rr))
	}
	for _, rr := range old.glue {
		e.glue = append(e.glue, aged(rr))
	}
	if e.soa != nil {
		e.soa = aged(e.soa)
	}
	return e, true
}

// cloned returns copies of records.
func cloned(records []dns.RR) []dns.RR {
	records = slices.Clone(records)
	for i, rr := range records {
		records[i] = dns.Copy(rr)
	}
	return records
}
