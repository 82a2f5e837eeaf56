package stub

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"scenario/dnsd/wire"
	"scenario/host"
)

// candidates are the absolute names that a name may stand for, in the order in which they are asked for (resolv.conf(5):
// search, with ndots 1): one with a final dot is absolute; one with another dot stands first for itself, one without last.
func candidates(name string, search []string) []string {
	own := dns.Fqdn(name)
	if strings.HasSuffix(name, ".") {
		return []string{own}
	}
	var names []string
	for _, domain := range search {
		longer := own + strings.TrimPrefix(dns.Fqdn(domain), ".")
		if _, ok := dns.IsDomainName(longer); ok && longer != own && !slices.Contains(names, longer) {
			names = append(names, longer)
		}
	}
	if strings.Contains(name, ".") {
		return slices.Insert(names, 0, own)
	}
	return append(names, own)
}

// round asks for one of the names that a name may stand for.
type round struct {
	resolver *Resolver
	given    string // the name as it was given
	name     string // absolute
	want     Want
	only     bool // there is no other name to ask for
	deliver  func(Part)
}

// run asks everything side by side. As soon as something is found it delivers that, and what comes then. Where nothing is it
// returns the parts, but of the only name, for which they are delivered too.
func (r round) run(ctx context.Context, kinds []uint16) (failed []Part, found bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	left, total := len(kinds), len(kinds)
	if r.want.Services {
		total++
	}
	parts := make(chan Part, total)
	// The keys have the questions in the order of RFC 8305, section 3: AAAA, A, and then what is not waited for.
	for i, kind := range kinds {
		go func() {
			host.Turn(r.resolver.host, fmt.Sprintf("query %s %d", r.name, i))
			parts <- r.addresses(ctx, kind)
		}()
	}
	if r.want.Services {
		go func() {
			host.Turn(r.resolver.host, fmt.Sprintf("query %s %d", r.name, len(kinds)))
			parts <- r.services(ctx)
		}()
	}
	for range total {
		p := <-parts
		if p.Type != dns.TypeHTTPS {
			left--
		}
		found = found || p.Err == nil
		failed = append(failed, p)
		switch {
		case found || left == 0 && r.only:
			for _, p := range failed {
				r.deliver(p)
			}
			failed = nil
		case left == 0:
			cancel() // a service without addresses is not waited for: another name may have them
		}
	}
	return slices.DeleteFunc(failed, func(p Part) bool { return p.Type == dns.TypeHTTPS }), found
}

// addresses asks for one type of address.
func (r round) addresses(ctx context.Context, kind uint16) Part {
	part := Part{Name: r.name, Type: kind}
	response, cached, err := r.resolver.query(ctx, r.called(), r.name, kind)
	part.Cached, part.Err = cached, err
	if err != nil {
		return part
	}
	part.take(response)
	if len(part.Addrs) == 0 {
		part.Err = r.resolver.noData(r.called())
	}
	return part
}

// called is the name of errors: as it was given, or where it was searched for with its domain.
func (r round) called() string {
	if r.name == dns.Fqdn(r.given) {
		return r.given
	}
	return strings.TrimSuffix(r.name, ".")
}

// take takes over the addresses of a response, and the names that lead to them.
func (p *Part) take(response *dns.Msg) {
	first := p.TTL == 0 && len(p.CNAMEs) == 0
	for i, rr := range response.Answer {
		ttl := time.Duration(rr.Header().Ttl) * time.Second
		if first && i == 0 || ttl < p.TTL {
			p.TTL = ttl
		}
		var addr netip.Addr
		switch rr := rr.(type) {
		case *dns.CNAME:
			if !slices.Contains(p.CNAMEs, rr.Target) {
				p.CNAMEs = append(p.CNAMEs, rr.Target)
			}
		case *dns.A:
			addr, _ = netip.AddrFromSlice(rr.A.To4())
		case *dns.AAAA:
			addr, _ = netip.AddrFromSlice(rr.AAAA.To16())
		}
		if addr.IsValid() && rr.Header().Rrtype == p.Type {
			p.Addrs = append(p.Addrs, addr)
		}
	}
}

// noData is the error of a name that exists and has no record of the type.
func (r *Resolver) noData(name string) error {
	return &Error{Name: name, NotFound: true, RCode: dns.RcodeToString[dns.RcodeSuccess], Server: r.servers[0]}
}

// isNoData says whether err is that of noData.
func isNoData(err error) bool {
	var known *Error
	return errors.As(err, &known) && known.NotFound && known.RCode == dns.RcodeToString[dns.RcodeSuccess]
}

// answered says whether a server answered every question, so that the next name is worth a try.
func answered(failed []Part) bool {
	return !slices.ContainsFunc(failed, func(p Part) bool {
		var known *Error
		return !errors.As(p.Err, &known) || known.RCode == ""
	})
}

// telling orders the failures of the names that a name may stand for by how much they say: that there is no such name, the
// same of the name as it was given, anything else.
func telling(failed []Part, given string) int {
	most := 0
	for _, p := range failed {
		var known *Error
		switch {
		case !errors.As(p.Err, &known) || !known.NotFound:
			return 2
		case p.Name == dns.Fqdn(given):
			most = 1
		}
	}
	return most
}

// worse keeps the error that says more: that there is no such name holds for addresses of either family, that there is no
// address for its own alone.
func worse(a, b error) error {
	if a == nil || isNoData(a) {
		return b
	}
	var known *Error
	if errors.As(b, &known) && known.NotFound && !isNoData(b) {
		return b
	}
	return a
}

// Precedence is that of the policy table in RFC 6724, section 2.1, without the rows of transition mechanisms: the greater,
// the better.
func Precedence(addr netip.Addr) int {
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
