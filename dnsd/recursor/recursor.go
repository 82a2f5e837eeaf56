// Package recursor finds answers by asking name servers from the root down (RFC 1034, section 5.3.3).
//
// A question is first looked for in the server's own zones, then in the cache; what is left is asked: of the servers of
// the closest zone known, which answer or refer to servers closer still. recursor.go follows a name through its aliases,
// iterate.go walks down the referrals for one name, response.go decides what a message may say.
package recursor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"scenario/dnsd/wire"
	"scenario/dnsd/zone"
	"scenario/host"
)

// Defaults of [Options].
const (
	// DefaultTimeout is how long one server has for an answer.
	DefaultTimeout = time.Second
	// DefaultLimit is how long a question may take; less than the 5 s that a client waits, so that it hears the reason.
	DefaultLimit = 4500 * time.Millisecond
)

// Bounds of the work for one question.
const (
	maxQueries = 64 // sent to servers
	maxSought  = 64 // servers whose addresses are looked up
	maxServers = 16 // of a zone that are considered
	maxAliases = 16 // followed
	maxDepth   = 6  // of looking up a server's address to look up a server's address …
	maxRounds  = 2  // over the servers of a zone
)

// Options configure a [Recursor].
type Options struct {
	Zones   zone.Set      // the server's own
	Hints   []dns.RR      // NS records of the root and the addresses of its servers
	Timeout time.Duration // 0: DefaultTimeout
	Limit   time.Duration // 0: DefaultLimit
}

// Recursor answers questions by asking others. Its methods may be called from any goroutine.
type Recursor struct {
	host   host.Host
	client exchanger
	zones  zone.Set
	roots  delegation
	limit  time.Duration

	mu          sync.Mutex // never held while waiting
	rand        *rand.Rand
	answers     *cache
	delegations *cache // by the name of the zone; what a zone above says of another is good for finding it, not for answers
	failures    *cache
	flights     map[key]*flight
}

// exchanger puts a question to one server. Tests script it.
type exchanger interface {
	Exchange(ctx context.Context, server netip.AddrPort, q dns.Question, recursionDesired bool) (*dns.Msg, error)
}

var _ exchanger = (*wire.Client)(nil)

// flight is a question under way; those who ask the same meanwhile wait for it.
type flight struct {
	done   chan struct{}
	landed bool // there is a result; false where the one who worked on it gave up
	result Result
}

// Result is an answer.
type Result struct {
	RCode         int
	Authoritative bool // the name is in one of the server's own zones
	Cached        bool // from the cache alone
	Answer        []dns.RR
	Authority     []dns.RR
	Extended      *dns.EDNS0_EDE // why, where RCode is SERVFAIL (RFC 8914)
}

// New returns a recursor on h.
func New(h host.Host, o Options) *Recursor {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	return newRecursor(h, wire.New(h, wire.Options{Timeout: o.Timeout}), o)
}

func newRecursor(h host.Host, client exchanger, o Options) *Recursor {
	if o.Limit == 0 {
		o.Limit = DefaultLimit
	}
	return &Recursor{
		host: h, client: client, zones: o.Zones, limit: o.Limit,
		roots:   newDelegation(".", o.Hints, o.Hints),
		rand:    rand.New(h.Rand()),
		answers: newCache(cacheSize), delegations: newCache(cacheSize), failures: newCache(cacheSize),
		flights: make(map[key]*flight),
	}
}

// Resolve answers a question. It always has a result; where nobody could be asked, or ctx ended, that is a SERVFAIL.
func (r *Recursor) Resolve(ctx context.Context, name string, qtype uint16) Result {
	k := key{dns.CanonicalName(name), qtype}
	for ctx.Err() == nil {
		if result, ok := r.Known(name, qtype); ok {
			return result
		}
		r.mu.Lock()
		f, under := r.flights[k]
		if !under {
			f = &flight{done: make(chan struct{})}
			r.flights[k] = f
		}
		r.mu.Unlock()
		if !under {
			r.fly(ctx, name, k, f)
		}
		select {
		case <-f.done:
		case <-ctx.Done():
		}
		// Whoever gave up says nothing to the others: the next of them goes on, with what the cache has by now.
		if ctx.Err() == nil && f.landed {
			return f.result.clone()
		}
	}
	return failed(context.Cause(ctx))
}

// fly works on a question and ends its flight.
func (r *Recursor) fly(ctx context.Context, name string, k key, f *flight) {
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.flights, k)
		close(f.done)
	}()
	result := r.resolve(ctx, name, k.qtype)
	if ctx.Err() != nil {
		return
	}
	f.result, f.landed = result, true
	if result.Extended != nil {
		r.mu.Lock()
		r.failures.put(k, entry{failure: result.Extended}, time.Now())
		r.mu.Unlock()
	}
}

func (r *Recursor) resolve(ctx context.Context, name string, qtype uint16) Result {
	ctx, cancel := context.WithTimeoutCause(ctx, r.limit, fmt.Errorf("gave up after %s", r.limit))
	defer cancel()
	work := &search{recursor: r}
	result, err := r.follow(name, qtype, func(name string) (response, error) { return work.iterate(ctx, name, qtype, 0) })
	if err != nil {
		return failed(err)
	}
	return result
}

// clone is the result with records of its own, for one of several askers.
func (result Result) clone() Result {
	result.Answer, result.Authority = cloned(result.Answer), cloned(result.Authority)
	return result
}

// errUnknown is the error of a name that nobody has been asked for.
var errUnknown = errors.New("not known yet")

// Known answers from the server's own zones and the cache, without asking anybody; false where they do not suffice.
func (r *Recursor) Known(name string, qtype uint16) (Result, bool) {
	result, err := r.follow(name, qtype, func(string) (response, error) { return response{}, errUnknown })
	if errors.Is(err, errUnknown) {
		return r.knownFailure(key{dns.CanonicalName(name), qtype})
	}
	if err != nil {
		return failed(err), true
	}
	return result, true
}

// knownFailure is the result of a question that nobody could answer a moment ago.
func (r *Recursor) knownFailure(k key) (Result, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.failures.get(k, time.Now())
	return Result{RCode: dns.RcodeServerFailure, Cached: true, Extended: e.failure}, ok
}

// failed is the result of an error.
func failed(err error) Result {
	ede := &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeOther, ExtraText: err.Error()}
	var known *Failure
	if errors.As(err, &known) {
		ede.InfoCode = known.code()
	}
	return Result{RCode: dns.RcodeServerFailure, Extended: ede}
}

// follow finds the answer for a name and, where it is an alias, for what it leads to. What the own zones and the cache
// do not have is asked of ask.
func (r *Recursor) follow(name string, qtype uint16, ask func(name string) (response, error)) (Result, error) {
	result := Result{Cached: true}
	for seen := map[string]bool{}; ; {
		canonical := dns.CanonicalName(name)
		if seen[canonical] {
			return result, fmt.Errorf("the alias %s leads back to itself", name)
		}
		seen[canonical] = true

		if found := r.zones.Lookup(name, qtype); found.Kind != zone.NotServed && found.Kind != zone.Referral {
			result.Authoritative = result.Authoritative || len(seen) == 1
			result.Cached = false
			if found.Kind == zone.Alias {
				result.Answer = append(result.Answer, found.Records...)
				name = found.Target
				continue
			}
			return result.local(found), nil
		}
		heard, ok := r.remembered(canonical, qtype)
		if !ok {
			var err error
			if heard, err = ask(name); err != nil {
				return result, err
			}
			result.Cached = false
		}
		for _, set := range heard.sets {
			result.Answer = append(result.Answer, set...)
		}
		if result.aliases() > maxAliases {
			return result, fmt.Errorf("more than %d aliases in a row, the last leads to %s", maxAliases, heard.target)
		}
		if heard.soa != nil {
			result.Authority = []dns.RR{heard.soa}
		}
		switch heard.kind {
		case alias:
			for _, set := range heard.sets[:len(heard.sets)-1] {
				seen[dns.CanonicalName(set[0].(*dns.CNAME).Target)] = true
			}
			name = heard.target
			continue
		case nxdomain:
			result.RCode = dns.RcodeNameError
		}
		return result, nil
	}
}

// aliases is how many the answer has so far.
func (result Result) aliases() int {
	n := 0
	for _, rr := range result.Answer {
		if rr.Header().Rrtype == dns.TypeCNAME {
			n++
		}
	}
	return n
}

// local ends the result with what an own zone has.
func (result Result) local(found zone.Found) Result {
	result.Answer = append(result.Answer, found.Records...)
	switch found.Kind {
	case zone.NXDomain:
		result.RCode = dns.RcodeNameError
	case zone.TooLong:
		result.RCode = dns.RcodeYXDomain
	}
	if found.SOA != nil {
		result.Authority = []dns.RR{found.SOA}
	}
	return result
}

// remembered looks for one name in the cache.
func (r *Recursor) remembered(name string, qtype uint16) (response, bool) {
	at := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.answers.get(key{name, dns.TypeNone}, at); ok {
		return response{kind: nxdomain, soa: e.soa, target: name}, true
	}
	if e, ok := r.answers.get(key{name, qtype}, at); ok {
		if len(e.records) == 0 {
			return response{kind: nodata, soa: e.soa, target: name}, true
		}
		return response{kind: positive, sets: [][]dns.RR{e.records}, target: name}, true
	}
	if e, ok := r.answers.get(key{name, dns.TypeCNAME}, at); ok && len(e.records) > 0 {
		return response{kind: alias, sets: [][]dns.RR{e.records}, target: e.records[0].(*dns.CNAME).Target}, true
	}
	return response{}, false
}

// remember keeps what a response says.
func (r *Recursor) remember(heard response, qtype uint16) {
	at := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, set := range heard.sets {
		h := set[0].Header()
		r.answers.put(key{dns.CanonicalName(h.Name), h.Rrtype}, entry{records: set}, at)
	}
	switch {
	case heard.kind == nxdomain && heard.soa != nil:
		r.answers.put(key{heard.target, dns.TypeNone}, entry{soa: heard.soa}, at)
	case heard.kind == nodata && heard.soa != nil:
		r.answers.put(key{heard.target, qtype}, entry{soa: heard.soa}, at)
	case heard.kind == referral:
		r.delegations.put(key{heard.cut, dns.TypeNS}, entry{records: heard.servers, glue: heard.glue}, at)
	}
}

// delegation is a zone and who serves it.
type delegation struct {
	zone    string // canonical
	servers []server
}

// server is a name server of a zone.
type server struct {
	name  string       // canonical
	addrs []netip.Addr // as far as they are known
}

// newDelegation reads the NS records of zone and the addresses of their servers.
func newDelegation(zone string, servers, addresses []dns.RR) delegation {
	d := delegation{zone: zone}
	for _, rr := range servers {
		ns, ok := rr.(*dns.NS)
		if !ok || dns.CanonicalName(ns.Hdr.Name) != zone {
			continue
		}
		s := server{name: dns.CanonicalName(ns.Ns)}
		for _, rr := range addresses {
			if addr := address(rr); addr.IsValid() && dns.CanonicalName(rr.Header().Name) == s.name {
				s.addrs = append(s.addrs, addr)
			}
		}
		d.servers = append(d.servers, s)
	}
	return d
}

// address is the address of an A or AAAA record; invalid for any other.
func address(rr dns.RR) netip.Addr {
	var addr netip.Addr
	switch rr := rr.(type) {
	case *dns.A:
		addr, _ = netip.AddrFromSlice(rr.A)
	case *dns.AAAA:
		addr, _ = netip.AddrFromSlice(rr.AAAA)
	}
	return addr.Unmap()
}

// closest is the closest zone at or above name whose servers are known: delegated by an own zone, or in the cache, or
// the root. DS records of a zone are asked of the zone above.
func (r *Recursor) closest(name string, qtype uint16) delegation {
	best := delegation{r.roots.zone, slices.Clone(r.roots.servers)}
	if own := r.zones.Lookup(name, qtype); own.Kind == zone.Referral {
		best = newDelegation(dns.CanonicalName(own.Records[0].Header().Name), own.Records, own.Glue)
	}
	name = dns.CanonicalName(name)
	starts := append(dns.Split(name), -1)
	if qtype == dns.TypeDS {
		starts = slices.Delete(starts, 0, min(1, len(starts)-1))
	}
	at := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, start := range starts {
		above := "."
		if start >= 0 {
			above = name[start:]
		}
		if above == best.zone {
			break
		}
		if e, ok := r.delegations.get(key{above, dns.TypeNS}, at); ok {
			return newDelegation(above, e.records, e.glue)
		}
	}
	return best
}
