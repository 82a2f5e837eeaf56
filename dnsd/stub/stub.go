// Package stub is the resolver of a client: it asks the node's name servers, which do the work, and remembers what they
// said (RFC 1034, section 5.3.1).
package stub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"scenario/dnsd/wire"
	"scenario/event"
	"scenario/host"
)

// Defaults of [Options], as those of resolv.conf(5).
const (
	DefaultTimeout  = 5 * time.Second
	DefaultAttempts = 2
)

const (
	// cacheSize bounds the answers that are remembered.
	cacheSize = 1000
	// maxNegativeTTL bounds how long the absence of a name is remembered (RFC 2308, section 5).
	maxNegativeTTL = 3 * time.Hour
)

// Options configure a [Resolver].
type Options struct {
	Timeout  time.Duration // for each server, each time it is asked; 0: DefaultTimeout
	Attempts int           // how often a server that is silent is asked; 0: DefaultAttempts
}

// Resolver resolves names for one node. Its methods may be called from any goroutine.
type Resolver struct {
	host     host.Host
	client   *wire.Client
	client6  *wire.Client // for AAAA: questions side by side draw their ids from two sources, so each run has the same
	servers  []netip.AddrPort
	attempts int

	mu      sync.Mutex
	cache   map[key]entry
	flights map[key]*flight
}

type key struct {
	name string // absolute, lower case
	kind uint16
}

type entry struct {
	server          netip.AddrPort
	response        *dns.Msg
	stored, expires time.Time
}

// flight is a question under way; those who ask the same meanwhile wait for it.
type flight struct {
	done     chan struct{}
	response *dns.Msg
	err      error
	kept     bool // the response is in the cache
}

// Answer is what a name stands for.
type Answer struct {
	Addrs  []netip.Addr  // best first (RFC 6724, section 6, rule 6): IPv6, IPv4, IPv6 that is private
	TTL    time.Duration // the shortest of the records'
	Cached bool          // nobody was asked
	CNAMEs []string      // the names that the name led through, in order
}

// Error is why a name has no address. It wraps the last server's failure, where there is one.
type Error struct {
	Name          string
	Server        netip.AddrPort // the last one asked
	RCode         string         // its response code: NXDOMAIN, SERVFAIL …; empty: no response
	ExtendedError string         // RFC 8914: the server's reason
	NotFound      bool           // the name does not exist, or has no address
	Timeout       bool           // no server answered in time
	Err           error
}

func (e *Error) Error() string {
	switch {
	case e.RCode == wire.RCode(dns.RcodeNameError):
		return fmt.Sprintf("lookup %s: no such name (NXDOMAIN from %s)", e.Name, e.Server)
	case e.NotFound:
		return fmt.Sprintf("lookup %s: the name has no address (asked %s)", e.Name, e.Server)
	case e.RCode != "" && e.ExtendedError != "":
		return fmt.Sprintf("lookup %s: %s from %s: %s", e.Name, e.RCode, e.Server, e.ExtendedError)
	case e.RCode != "":
		return fmt.Sprintf("lookup %s: %s from %s", e.Name, e.RCode, e.Server)
	case e.Timeout:
		return fmt.Sprintf("lookup %s: the name server %s did not answer in time", e.Name, e.Server)
	case errors.Is(e.Err, syscall.ECONNREFUSED):
		return fmt.Sprintf("lookup %s: no name server listens on %s (ECONNREFUSED)", e.Name, e.Server)
	}
	return fmt.Sprintf("lookup %s: %v", e.Name, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// ErrNoServers is the error of a node that has no resolver.
var ErrNoServers = errors.New("this node has no name server: give it a resolver, or add a node with dns: {recursive: true}")

// New returns the resolver of h, which asks the host's name servers.
func New(h host.Host) *Resolver { return NewWith(h, Options{}) }

// NewWith is New with options.
func NewWith(h host.Host, o Options) *Resolver {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	return &Resolver{
		host:     h,
		client:   wire.New(h, wire.Options{Timeout: o.Timeout}),
		client6:  wire.New(h, wire.Options{Timeout: o.Timeout}),
		servers:  host.NameServers(h),
		attempts: cmp.Or(o.Attempts, DefaultAttempts),
		cache:    make(map[key]entry),
		flights:  make(map[key]*flight),
	}
}

// Lookup returns the addresses of a name, of the families that the node has addresses of itself, asked for side by side.
// An IP address stands for itself, localhost for the loopback (RFC 6761, section 6.3). An error is an [*Error], or
// ctx's.
func (r *Resolver) Lookup(ctx context.Context, name string) (Answer, error) {
	if addr, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return Answer{Addrs: []netip.Addr{addr}, Cached: true}, nil
	}
	kinds, err := r.kinds()
	if err != nil {
		return Answer{}, fmt.Errorf("lookup %s: %w", name, err)
	}
	if absolute := strings.ToLower(dns.Fqdn(name)); absolute == "localhost." || strings.HasSuffix(absolute, ".localhost.") {
		return loopback(kinds), nil
	}
	type part struct {
		response *dns.Msg
		cached   bool
		err      error
	}
	parts := make([]part, len(kinds))
	var group sync.WaitGroup
	for i, kind := range kinds {
		group.Go(func() {
			host.Turn(r.host, fmt.Sprintf("query %s %d", name, kind))
			parts[i].response, parts[i].cached, parts[i].err = r.query(ctx, name, kind)
		})
	}
	group.Wait()

	answer := Answer{Cached: true}
	var failure error
	for i, p := range parts {
		if p.err != nil {
			failure = worse(failure, p.err)
			continue
		}
		answer.add(p.response, kinds[i])
		answer.Cached = answer.Cached && p.cached
	}
	switch {
	case len(answer.Addrs) > 0:
		slices.SortStableFunc(answer.Addrs, func(a, b netip.Addr) int { return precedence(b) - precedence(a) })
		return answer, nil
	case failure == nil:
		failure = &Error{Name: name, NotFound: true, RCode: dns.RcodeToString[dns.RcodeSuccess], Server: r.servers[0]}
	}
	return Answer{}, failure
}

// worse keeps the error that says more: that there is no such name holds for addresses of either family.
func worse(a, b error) error {
	var known *Error
	if a == nil || errors.As(b, &known) && known.NotFound {
		return b
	}
	return a
}

// precedence is that of the policy table in RFC 6724, section 2.1, without the rows of transition mechanisms.
func precedence(addr netip.Addr) int {
	switch {
	case addr.Is6() && addr.IsPrivate():
		return 3
	case addr.Is4():
		return 35
	case addr.IsLoopback():
		return 50
	}
	return 40
}

// kinds are the types of address records that are of use to the node.
func (r *Resolver) kinds() ([]uint16, error) {
	v4, v6, err := wire.Families(r.host)
	var kinds []uint16
	if v6 {
		kinds = append(kinds, dns.TypeAAAA)
	}
	if v4 {
		kinds = append(kinds, dns.TypeA)
	}
	return kinds, err
}

func loopback(kinds []uint16) Answer {
	answer := Answer{Cached: true}
	for _, kind := range kinds {
		if kind == dns.TypeAAAA {
			answer.Addrs = append(answer.Addrs, netip.IPv6Loopback())
		} else {
			answer.Addrs = append(answer.Addrs, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
		}
	}
	return answer
}

// add takes over the addresses of a response, and the names that lead to them.
func (a *Answer) add(response *dns.Msg, kind uint16) {
	first := len(a.Addrs)+len(a.CNAMEs) == 0
	for i, rr := range response.Answer {
		ttl := time.Duration(rr.Header().Ttl) * time.Second
		if first && i == 0 || ttl < a.TTL {
			a.TTL = ttl
		}
		var addr netip.Addr
		switch rr := rr.(type) {
		case *dns.CNAME:
			if !slices.Contains(a.CNAMEs, rr.Target) {
				a.CNAMEs = append(a.CNAMEs, rr.Target)
			}
		case *dns.A:
			addr, _ = netip.AddrFromSlice(rr.A.To4())
		case *dns.AAAA:
			addr, _ = netip.AddrFromSlice(rr.AAAA.To16())
		}
		if addr.IsValid() && rr.Header().Rrtype == kind {
			a.Addrs = append(a.Addrs, addr)
		}
	}
}

// Query asks for any type of record. A response with code NXDOMAIN, or without the record, is a response here. Do not
// change it: others may have it too. With any other code the response comes beside the error.
func (r *Resolver) Query(ctx context.Context, name string, kind uint16) (*dns.Msg, error) {
	response, _, err := r.query(ctx, name, kind)
	var known *Error
	if errors.As(err, &known) && known.NotFound && response != nil {
		return response, nil
	}
	return response, err
}

// query returns the response from the cache, or from somebody who asks already, or asks.
func (r *Resolver) query(ctx context.Context, name string, kind uint16) (response *dns.Msg, cached bool, err error) {
	if len(r.servers) == 0 {
		return nil, false, &Error{Name: name, Err: ErrNoServers}
	}
	if _, ok := dns.IsDomainName(name); !ok {
		return nil, false, &Error{Name: name, Err: errors.New("this is no domain name")}
	}
	k := key{strings.ToLower(dns.Fqdn(name)), kind}
	for {
		r.mu.Lock()
		if e, ok := r.cache[k]; ok && time.Now().Before(e.expires) {
			r.mu.Unlock()
			response := aged(e)
			r.tellCached(ctx, k, response)
			return response, true, notFound(name, e.server, response)
		}
		under, ok := r.flights[k]
		if !ok {
			under = &flight{done: make(chan struct{})}
			r.flights[k] = under
		}
		r.mu.Unlock()
		if !ok {
			r.fly(ctx, name, k, under)
			return under.response, false, under.err
		}
		select {
		case <-under.done:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
		// A flight that ended because its own asker gave up says nothing to others.
		gaveUp := errors.Is(under.err, context.Canceled) || errors.Is(under.err, context.DeadlineExceeded)
		if !under.kept && !gaveUp {
			return under.response, false, under.err
		}
		if ctx.Err() != nil {
			return nil, false, ctx.Err()
		}
	}
}

// fly asks the servers and ends the flight.
func (r *Resolver) fly(ctx context.Context, name string, k key, f *flight) {
	server, response, err := r.ask(ctx, dns.Question{Name: k.name, Qtype: k.kind, Qclass: dns.ClassINET})
	if err == nil {
		err = notFound(name, server, response)
	} else if ctx.Err() == nil {
		err = explain(name, server, response, err)
	}
	f.response, f.err = response, err
	r.mu.Lock()
	defer r.mu.Unlock()
	if ttl := lifetime(response); ttl > 0 {
		now := time.Now()
		r.remember(k, entry{server, response, now, now.Add(ttl)})
		f.kept = true
	}
	delete(r.flights, k)
	close(f.done)
}

// errNoUse is the error of a response whose code says that the server could not or would not find out.
var errNoUse = errors.New("the server could not answer")

// ask puts the question to the servers in turn until one knows. A server that is silent is asked again after the others,
// one that said why it does not know, or that nothing listens there, is not.
func (r *Resolver) ask(ctx context.Context, q dns.Question) (server netip.AddrPort, response *dns.Msg, err error) {
	client := r.client
	if q.Qtype == dns.TypeAAAA {
		client = r.client6
	}
	left := slices.Clone(r.servers)
	for range r.attempts {
		var silent []netip.AddrPort
		for _, s := range left {
			got, failure := client.Exchange(ctx, s, q, true)
			switch {
			case ctx.Err() != nil:
				return s, nil, ctx.Err()
			case errors.Is(failure, os.ErrDeadlineExceeded):
				silent = append(silent, s)
			case failure != nil:
			case got.Rcode == dns.RcodeSuccess, got.Rcode == dns.RcodeNameError:
				return s, got, nil
			default:
				server, response, err = s, got, errNoUse
			}
			if response == nil { // what a server said tells more than that another said nothing
				server, err = s, failure
			}
		}
		left = silent
	}
	return server, response, err
}

// explain makes an error of a lookup that no server could answer.
func explain(name string, server netip.AddrPort, response *dns.Msg, err error) error {
	e := &Error{Name: name, Server: server, Err: err, Timeout: errors.Is(err, os.ErrDeadlineExceeded)}
	if response != nil && errors.Is(err, errNoUse) {
		var described event.DNSAnswer
		wire.Describe(&described, response)
		e.RCode, e.ExtendedError = described.RCode, described.ExtendedError
	}
	return e
}

// notFound is the error of a response that says that there is no such name; nil for any other.
func notFound(name string, server netip.AddrPort, response *dns.Msg) error {
	if response == nil || response.Rcode != dns.RcodeNameError {
		return nil
	}
	return &Error{Name: name, Server: server, RCode: dns.RcodeToString[response.Rcode], NotFound: true}
}

// tellCached says that the cache answered.
func (r *Resolver) tellCached(ctx context.Context, k key, response *dns.Msg) {
	answer := event.DNSAnswer{Side: event.SideClient, Name: k.name, Type: dns.Type(k.kind).String()}
	wire.Describe(&answer, response)
	answer.Cached = true
	event.Emit(ctx, r.host.Log(), answer)
}

// remember keeps an answer; the lock is held. Where the cache is full, what has expired goes first, then anything.
func (r *Resolver) remember(k key, e entry) {
	if len(r.cache) >= cacheSize {
		now := time.Now()
		for old, known := range r.cache {
			if !now.Before(known.expires) {
				delete(r.cache, old)
			}
		}
	}
	for old := range r.cache {
		if len(r.cache) < cacheSize {
			break
		}
		delete(r.cache, old)
	}
	r.cache[k] = e
}

// lifetime is how long a response may be kept: the shortest TTL of its records, or of the absence that it states.
func lifetime(response *dns.Msg) time.Duration {
	if response == nil || response.Rcode != dns.RcodeSuccess && response.Rcode != dns.RcodeNameError {
		return 0
	}
	seconds := ^uint32(0)
	for _, rr := range response.Answer {
		seconds = min(seconds, rr.Header().Ttl)
	}
	if kind := wire.Kind(response); kind == wire.KindAnswer {
		return time.Duration(seconds) * time.Second
	}
	for _, rr := range response.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			seconds = min(seconds, soa.Hdr.Ttl, soa.Minttl)
			return min(time.Duration(seconds)*time.Second, maxNegativeTTL)
		}
	}
	return 0
}

// aged is the response with the TTLs that are left.
func aged(e entry) *dns.Msg {
	response := e.response.Copy()
	age := uint32(time.Since(e.stored) / time.Second)
	for _, rr := range slices.Concat(response.Answer, response.Ns) {
		rr.Header().Ttl -= min(age, rr.Header().Ttl)
	}
	return response
}
