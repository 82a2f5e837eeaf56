package recursor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"scenario/dnsd/wire"
)

// port is where name servers are asked.
const port = 53

// search is the work for one question: it counts what was asked, and knows whose addresses it is looking for.
type search struct {
	recursor *Recursor
	queries  int
	sought   int
	seeking  []string // names of servers whose addresses are being looked up
}

// iterate asks for one name, from the closest zone known down the referrals. Each referral is strictly closer to the
// name, so the walk ends.
func (s *search) iterate(ctx context.Context, name string, qtype uint16, depth int) (response, error) {
	at := s.recursor.closest(name, qtype)
	for {
		heard, err := s.ask(ctx, &at, name, qtype, depth)
		if err != nil {
			return response{}, err
		}
		s.recursor.remember(heard, qtype)
		if heard.kind != referral {
			return heard, nil
		}
		at = newDelegation(heard.cut, heard.servers, heard.glue)
	}
}

// Failure is why no server of a zone gave an answer.
type Failure struct {
	Zone  string
	Tries []Try // the last one of each address
}

// Try is one server that gave no answer.
type Try struct {
	Server string // its name
	Addr   netip.Addr
	Err    error
	lame   bool // it answered, but to no use
}

func (f *Failure) Error() string {
	if len(f.Tries) == 0 {
		return "no server of the zone " + f.Zone + " is known"
	}
	var tries []string
	for _, t := range f.Tries {
		switch {
		case !t.Addr.IsValid():
			tries = append(tries, fmt.Sprintf("%s: %v", t.Server, t.Err))
		case t.lame:
			tries = append(tries, fmt.Sprintf("%s (%s) %v", t.Server, t.Addr, t.Err))
		case errors.Is(t.Err, os.ErrDeadlineExceeded), errors.Is(t.Err, context.DeadlineExceeded):
			tries = append(tries, fmt.Sprintf("%s (%s) did not answer", t.Server, t.Addr))
		default:
			tries = append(tries, fmt.Sprintf("%s (%s): %v", t.Server, t.Addr, t.Err))
		}
	}
	return fmt.Sprintf("no answer from the servers of %s: %s", f.Zone, strings.Join(tries, "; "))
}

// code is the extended error that fits: a network that says no (23), or servers that stay silent or do not serve (22).
func (f *Failure) code() uint16 {
	network := len(f.Tries) > 0
	for _, t := range f.Tries {
		late := errors.Is(t.Err, os.ErrDeadlineExceeded) || errors.Is(t.Err, context.DeadlineExceeded)
		network = network && t.Addr.IsValid() && !t.lame && !late
	}
	if network {
		return dns.ExtendedErrorCodeNetworkError
	}
	return dns.ExtendedErrorCodeNoReachableAuthority
}

// tried notes what came of asking a server.
func (f *Failure) tried(t Try) {
	i := slices.IndexFunc(f.Tries, func(known Try) bool { return known.Server == t.Server && known.Addr == t.Addr })
	if i < 0 {
		f.Tries = append(f.Tries, t)
	} else {
		f.Tries[i] = t
	}
}

// errGaveUp is the error of a search that has asked, or has to ask, too much.
var errGaveUp = fmt.Errorf("gave up after %d queries, or the addresses of %d servers", maxQueries, maxSought)

// over says whether an error ends the whole search.
func over(ctx context.Context, err error) bool {
	return err != nil && (ctx.Err() != nil || errors.Is(err, errGaveUp))
}

// ask puts a question to the servers of a zone, in random order but those first whose address is known, until one gives
// an answer of use. A server that is silent is asked again when the others have been asked.
func (s *search) ask(ctx context.Context, at *delegation, name string, qtype uint16, depth int) (response, error) {
	s.recursor.shuffle(at.servers)
	failure := &Failure{Zone: at.zone}
	useless := make(map[Try]bool) // by name, or by name and address
	for range maxRounds {
		for i := range at.servers {
			server := &at.servers[i]
			if useless[Try{Server: server.name}] {
				continue
			}
			addrs, err := s.addresses(ctx, server, depth)
			if over(ctx, err) {
				return response{}, failure.after(err)
			}
			if err != nil {
				failure.tried(Try{Server: server.name, Err: err})
				useless[Try{Server: server.name}] = true
			}
			for _, addr := range addrs {
				try := Try{Server: server.name, Addr: addr}
				if useless[try] {
					continue
				}
				if err := s.mayAsk(ctx); err != nil {
					return response{}, failure.after(err)
				}
				var heard response
				if heard, try.lame, try.Err = s.query(ctx, at.zone, addr, name, qtype); try.Err == nil {
					return heard, nil
				}
				failure.tried(try)
				useless[Try{Server: server.name, Addr: addr}] = try.lame
			}
		}
	}
	return response{}, failure
}

// after is err, and what had failed when it came up.
func (f *Failure) after(err error) error {
	if len(f.Tries) == 0 {
		return err
	}
	return fmt.Errorf("%w: %w", err, f)
}

// mayAsk counts a query; the error says why there may not be one more.
func (s *search) mayAsk(ctx context.Context) error {
	if s.queries++; s.queries > maxQueries {
		return errGaveUp
	}
	return context.Cause(ctx)
}

// query asks one server once. The error says what is wrong with the server; it is lame where it answered.
func (s *search) query(ctx context.Context, zone string, addr netip.Addr, name string, qtype uint16) (r response, lame bool, err error) {
	question := dns.Question{Name: name, Qtype: qtype, Qclass: dns.ClassINET}
	m, err := s.recursor.client.Exchange(ctx, netip.AddrPortFrom(addr, port), question, false)
	if err != nil {
		return response{}, false, err
	}
	r, err = read(m, zone, name, qtype)
	return r, err != nil, err
}

// addresses returns the addresses of a server that the host can reach, and looks them up where none is known.
func (s *search) addresses(ctx context.Context, of *server, depth int) ([]netip.Addr, error) {
	v4, v6, err := wire.Families(s.recursor.host)
	if err != nil {
		return nil, err
	}
	if len(of.addrs) == 0 {
		if of.addrs, err = s.find(ctx, of.name, v4, v6, depth); err != nil {
			return nil, err
		}
	}
	var usable []netip.Addr
	for _, addr := range of.addrs {
		if addr.Is4() && v4 || addr.Is6() && v6 {
			usable = append(usable, addr)
		}
	}
	if len(usable) == 0 {
		return nil, errors.New("has no address of a family that this node has")
	}
	return usable, nil
}

// find looks the addresses of a server up.
func (s *search) find(ctx context.Context, name string, v4, v6 bool, depth int) ([]netip.Addr, error) {
	if slices.Contains(s.seeking, name) {
		return nil, errors.New("its address is needed to find its address")
	}
	if s.sought++; s.sought > maxSought {
		return nil, errGaveUp // before a query is sent: zones named in each other make work without any (CVE-2020-8616)
	}
	if depth >= maxDepth {
		return nil, errors.New("its address is too far to seek")
	}
	s.seeking = append(s.seeking, name)
	defer func() { s.seeking = s.seeking[:len(s.seeking)-1] }()

	var addrs []netip.Addr
	var failure error
	for _, family := range []struct {
		qtype  uint16
		wanted bool
	}{{dns.TypeA, v4}, {dns.TypeAAAA, v6}} {
		if !family.wanted {
			continue
		}
		result, err := s.recursor.follow(name, family.qtype, func(name string) (response, error) {
			return s.iterate(ctx, name, family.qtype, depth+1)
		})
		if over(ctx, err) {
			return nil, err
		}
		if err != nil {
			failure = err
			continue
		}
		for _, rr := range result.Answer {
			if addr := address(rr); addr.IsValid() {
				addrs = append(addrs, addr)
			}
		}
	}
	switch {
	case len(addrs) > 0:
		return addrs, nil
	case failure == nil:
		failure = errors.New("the name of this server has no address")
	}
	return nil, failure
}

// shuffle puts servers in random order, those with a known address first.
func (r *Recursor) shuffle(servers []server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rand.Shuffle(len(servers), func(i, j int) { servers[i], servers[j] = servers[j], servers[i] })
	slices.SortStableFunc(servers, func(a, b server) int { return min(1, len(b.addrs)) - min(1, len(a.addrs)) })
}
