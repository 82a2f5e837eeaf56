package stub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Want is what [Resolver.Resolve] is to find out beside a name's addresses.
type Want struct {
	// Services asks for the HTTPS records (RFC 9460) of the name too.
	Services bool
	// Port is that of the https origin for which Services are; 0: 443. With another the records are those of
	// _PORT._https.NAME (section 9.1). For an http URL it is the port of the https URL in its place (section 9.5).
	Port uint16
}

// Lookup is the resolution of one name while it is under way.
type Lookup struct {
	// Parts has one part for each question, as the answers come, and is closed behind the last one. Nobody waits for a
	// reader: it may be left at any time, and what is still under way then ends within the time that servers have.
	Parts <-chan Part

	cancel context.CancelFunc
}

// Close gives up what is still under way and waits for its end. It may be called more than once.
func (l *Lookup) Close() {
	l.cancel()
	for range l.Parts {
		continue
	}
}

// Part is the answer to one question of a [Lookup].
type Part struct {
	Name     string        // absolute: the one of the search list that was asked for
	Type     uint16        // dns.TypeAAAA, dns.TypeA or dns.TypeHTTPS
	Addrs    []netip.Addr  // of AAAA and A, as the server put them in order
	Services []Service     // of HTTPS, best first
	CNAMEs   []string      // the names that Name led through, in order
	TTL      time.Duration // the shortest of the records'
	Cached   bool          // nobody was asked
	// Err is why there is neither address nor service: an [*Error] (with NotFound where there is none to be had), or ctx's.
	Err error
}

// Answer is what a name stands for.
type Answer struct {
	Name   string        // absolute: the one of the search list that was found; empty: the name was an address, or localhost
	Addrs  []netip.Addr  // best first (RFC 6724, section 6, rule 6): IPv6, IPv4, IPv6 that is private
	TTL    time.Duration // the shortest of the records'
	Cached bool          // nobody was asked
	CNAMEs []string      // the names that the name led through, in order
}

// Lookup returns the addresses of a name, of the families that the node has addresses of itself, asked for side by side.
// An IP address stands for itself, localhost for the loopback (RFC 6761, section 6.3). An error is an [*Error], or
// ctx's.
func (r *Resolver) Lookup(ctx context.Context, name string) (Answer, error) {
	answer := Answer{Cached: true}
	var failure error
	for p := range r.Resolve(ctx, name, Want{}).Parts {
		if p.Err != nil {
			failure = worse(failure, p.Err)
			if !isNoData(p.Err) {
				continue
			}
		}
		answer.add(p)
	}
	if len(answer.Addrs) == 0 {
		return Answer{}, failure
	}
	slices.SortStableFunc(answer.Addrs, func(a, b netip.Addr) int {
		return cmp.Or(Precedence(b)-Precedence(a), cmp.Compare(b.BitLen(), a.BitLen()))
	})
	return answer, nil
}

// add takes over what a part has.
func (a *Answer) add(p Part) {
	if len(p.Addrs) > 0 {
		if len(a.Addrs) == 0 || p.TTL < a.TTL {
			a.TTL = p.TTL
		}
		a.Name = p.Name
	}
	a.Addrs = append(a.Addrs, p.Addrs...)
	a.Cached = a.Cached && p.Cached
	for _, alias := range p.CNAMEs {
		if !slices.Contains(a.CNAMEs, alias) {
			a.CNAMEs = append(a.CNAMEs, alias)
		}
	}
}

// Resolve asks for the addresses of a name, as [Resolver.Lookup] does, and for what else is wanted, and hands over each
// answer as it comes: who connects need not wait for all of them (RFC 8305, section 3). That a name has no address is said
// once all questions for addresses have been answered, because the search list may know another name. What is asked ends
// with ctx.
func (r *Resolver) Resolve(ctx context.Context, name string, want Want) *Lookup {
	ctx, cancel := context.WithCancel(ctx)
	parts := make(chan Part, 3) // one a type: nobody waits to hand a part over
	go func() {
		defer close(parts)
		defer cancel()
		r.resolve(ctx, name, want, func(p Part) { parts <- p })
	}()
	return &Lookup{Parts: parts, cancel: cancel}
}

// resolve goes through the names that a name may stand for.
func (r *Resolver) resolve(ctx context.Context, name string, want Want, deliver func(Part)) {
	if addr, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		deliver(known(addr))
		return
	}
	kinds, err := r.kinds()
	switch {
	case err != nil:
		deliver(Part{Err: fmt.Errorf("lookup %s: %w", name, err)})
		return
	case len(kinds) == 0:
		deliver(Part{Err: &Error{Name: name, Err: errors.New("the node has no address of its own to ask from")}})
		return
	}
	if absolute := strings.ToLower(dns.Fqdn(name)); absolute == "localhost." || strings.HasSuffix(absolute, ".localhost.") {
		for _, kind := range kinds {
			deliver(known(loopback(kind)))
		}
		return
	}
	names := candidates(name, r.search)
	var failed []Part
	for _, candidate := range names {
		one := round{resolver: r, given: name, name: candidate, want: want, only: len(names) == 1, deliver: deliver}
		parts, found := one.run(ctx, kinds)
		if found {
			return
		}
		if failed == nil || telling(parts, name) > telling(failed, name) {
			failed = parts
		}
		if !answered(parts) {
			break
		}
	}
	for _, p := range failed {
		deliver(p)
	}
}

// known is the part of an address that nobody was asked for.
func known(addr netip.Addr) Part {
	kind := dns.TypeAAAA
	if addr.Is4() {
		kind = dns.TypeA
	}
	return Part{Type: kind, Addrs: []netip.Addr{addr}, Cached: true}
}

func loopback(kind uint16) netip.Addr {
	if kind == dns.TypeAAAA {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}
