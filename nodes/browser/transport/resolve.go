package transport

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"scenario/dnsd/stub"
)

// Resolver finds the addresses of a name, best first. One that is a [ServiceResolver] too is asked as that.
type Resolver interface {
	Lookup(ctx context.Context, name string) (stub.Answer, error)
}

// ServiceResolver hands answers over as they come, and knows HTTPS records. [stub.Resolver] is one.
type ServiceResolver interface {
	Resolve(ctx context.Context, name string, want stub.Want) *stub.Lookup
}

var _ ServiceResolver = (*stub.Resolver)(nil)

// question is what is looked up.
type question struct {
	name string
	want stub.Want
}

// flight is a lookup under way, for all who ask the same meanwhile. It is under the transport's mutex.
type flight struct {
	parts   []stub.Part
	ended   bool
	changed chan struct{} // closed when there is news, and then another one
	readers int
	cancel  context.CancelFunc
}

// ask begins a lookup, or joins one; asked says that it was begun. The reader leaves it with done.
func (t *Transport) ask(ctx context.Context, q question) (r *reader, asked bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.flights[q]
	if f == nil {
		flying, cancel := context.WithCancel(context.WithoutCancel(ctx))
		f = &flight{changed: make(chan struct{}), cancel: cancel}
		t.flights[q] = f
		asked = true
		t.running.Go(func() { t.fly(flying, q, f) })
	}
	f.readers++
	return &reader{transport: t, flight: f}, asked
}

// fly asks, and tells the readers what comes.
func (t *Transport) fly(ctx context.Context, q question, f *flight) {
	defer f.cancel()
	news := func(ended bool, parts ...stub.Part) {
		t.mu.Lock()
		defer t.mu.Unlock()
		f.parts, f.ended = append(f.parts, parts...), ended
		if ended && t.flights[q] == f {
			delete(t.flights, q)
		}
		close(f.changed)
		f.changed = make(chan struct{})
	}
	if r, ok := t.resolver.(ServiceResolver); ok {
		for part := range r.Resolve(ctx, q.name, q.want).Parts {
			news(false, part)
		}
		news(true)
		return
	}
	answer, err := t.resolver.Lookup(ctx, q.name)
	if err == nil && len(answer.Addrs) == 0 {
		err = fmt.Errorf("lookup %s: the name has no address", q.name)
	}
	news(true, stub.Part{Name: answer.Name, Addrs: answer.Addrs, TTL: answer.TTL, Cached: answer.Cached, CNAMEs: answer.CNAMEs, Err: err})
}

// reader is one request's view of a lookup.
type reader struct {
	transport *Transport
	flight    *flight
	next      int
	left      bool
}

// take returns what has come since the last call, whether the lookup has ended, and what is closed when there is more.
func (r *reader) take() (parts []stub.Part, ended bool, changed <-chan struct{}) {
	r.transport.mu.Lock()
	defer r.transport.mu.Unlock()
	f := r.flight
	parts = f.parts[r.next:]
	r.next = len(f.parts)
	return parts, f.ended, f.changed
}

// done leaves the lookup. Where the reader gives up, and nobody else waits, it ends; else it goes on for its cache's sake.
func (r *reader) done(gaveUp bool) {
	r.transport.mu.Lock()
	defer r.transport.mu.Unlock()
	if r.left {
		return
	}
	r.left = true
	r.flight.readers--
	if gaveUp && r.flight.readers == 0 {
		r.flight.cancel()
	}
}

// abandon ends the lookups that nobody waits for.
func (t *Transport) abandon() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.flights {
		if f.readers == 0 {
			f.cancel()
		}
	}
}

// addresses is what is known of where a name is, while its lookup goes on.
type addresses struct {
	reader   *reader
	delay    time.Duration // that answers of the other kinds are waited for
	services bool          // HTTPS records are asked for
	asked    bool          // on this account

	list      []netip.Addr // not tried yet, best first
	found     []stub.Service
	ended     bool
	answered  map[uint16]bool
	have      time.Time // when the first addresses came
	complete  bool      // there is nothing that one would wait for
	cached    bool
	failure   error
	lastTried netip.Addr
}

// literal is the address of a host that is one.
func literal(host string) *addresses {
	if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return &addresses{list: []netip.Addr{addr}, ended: true, complete: true}
	}
	return nil
}

// read takes in what has come.
func (a *addresses) read() (changed <-chan struct{}) {
	if a.reader == nil || a.ended {
		return nil
	}
	parts, ended, changed := a.reader.take()
	for _, p := range parts {
		a.cached = a.cached && p.Cached
		a.answered[p.Type] = true
		a.found = append(a.found, p.Services...)
		if p.Err != nil && p.Type != dns.TypeHTTPS && (a.failure == nil || !notFound(p.Err)) {
			a.failure = p.Err
		}
		a.add(p.Addrs)
	}
	if len(a.list) > 0 && a.have.IsZero() {
		a.have = time.Now()
	}
	a.ended = ended
	a.complete = ended || a.answered[dns.TypeAAAA] && (!a.services || a.answered[dns.TypeHTTPS])
	return changed
}

// add takes in addresses that are not known yet.
func (a *addresses) add(addrs []netip.Addr) {
	for _, addr := range addrs {
		if !slices.Contains(a.list, addr) {
			a.list = append(a.list, addr)
		}
	}
	slices.SortStableFunc(a.list, func(x, y netip.Addr) int { return cmp.Compare(stub.Precedence(y), stub.Precedence(x)) })
}

// ready says that a connection may be tried now: what else may come has come, or was waited for long enough (RFC 8305,
// section 3); else how long that lasts.
func (a *addresses) ready() (yes bool, wait time.Duration) {
	if len(a.list) == 0 {
		return a.ended, -1
	}
	if a.complete {
		return true, 0
	}
	wait = a.delay - time.Since(a.have)
	return wait <= 0, wait
}

// await reads until a connection may be tried, or there is nothing to be had.
func (a *addresses) await(ctx context.Context) error {
	for {
		changed := a.read()
		yes, wait := a.ready()
		if yes {
			break
		}
		var timer <-chan time.Time
		if wait > 0 {
			timer = time.After(wait)
		}
		select {
		case <-changed:
		case <-timer:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if len(a.list) == 0 && len(a.found) == 0 {
		return cmp.Or(a.failure, errNoAddress)
	}
	return nil
}

// pick takes the address to try next: of the other family than the last one, where there is one (RFC 8305, section 4).
func (a *addresses) pick() netip.Addr {
	i := 0
	if a.lastTried.IsValid() {
		i = max(0, slices.IndexFunc(a.list, func(addr netip.Addr) bool { return addr.Is4() != a.lastTried.Is4() }))
	}
	addr := a.list[i]
	a.list = slices.Delete(a.list, i, i+1)
	a.lastTried = addr
	return addr
}
