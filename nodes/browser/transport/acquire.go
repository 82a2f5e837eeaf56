package transport

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"scenario/dnsd/stub"
	"scenario/host"
)

// What a server may speak behind https (RFC 7301).
const (
	alpnHTTP2 = "h2"
	alpnHTTP1 = "http/1.1"
)

const (
	defaultConnectTimeout  = 30 * time.Second
	defaultAttemptDelay    = 250 * time.Millisecond
	defaultResolutionDelay = 50 * time.Millisecond
	// maxServices bounds how many places that HTTPS records name are tried.
	maxServices = 4
	// httpsPort is what https has in place of the port 80 of http.
	httpPort, httpsPort = 80, 443
)

func (o *Options) setDefaults() {
	o.ConnectTimeout = cmp.Or(o.ConnectTimeout, defaultConnectTimeout)
	o.AttemptDelay = cmp.Or(o.AttemptDelay, defaultAttemptDelay)
	o.ResolutionDelay = cmp.Or(o.ResolutionDelay, defaultResolutionDelay)
}

// Acquire waits for a free connection, or makes one: it looks the server up, connects and has TLS prove who it is. The
// events belong to the trace of ctx. An error is an [*Error] or an [*UpgradeError]; the place is given up with it.
func (t *Transport) Acquire(ctx context.Context, p *Place) (*Lease, error) {
	for {
		begun := time.Now()
		var g grant
		var gaveUp bool
		select {
		case g = <-p.granted:
		case <-ctx.Done():
			gaveUp = true
			t.Leave(p)
		}
		t.turn(p) // others had to wait too
		p.Timing.Queued += time.Since(begun)
		switch {
		case gaveUp:
			return nil, &Error{Phase: PhaseConnect, Err: ctx.Err()}
		case g.err != nil:
			return nil, g.err
		case g.two != nil:
			return t.lease2(p, g.two), nil
		case g.one != nil && g.one.unasked():
			g.one.close(byLocal, "data came that nobody asked for")
			t.drop(p.origin)
			t.again(p)
		case g.one != nil:
			return t.lease1(p, g.one), nil
		default:
			return t.connect(ctx, p)
		}
	}
}

// connect makes a connection, for which the place has the leave.
func (t *Transport) connect(ctx context.Context, p *Place) (*Lease, error) {
	lease, err := t.establish(ctx, p)
	var upgrade *UpgradeError
	switch {
	case err == nil:
		return lease, nil
	case ctx.Err() != nil || errors.As(err, &upgrade): // which says nothing to others
		t.drop(p.origin)
	default:
		t.fail(p.origin, err)
	}
	return nil, err
}

// establish looks the server up and connects to the first of the places that the DNS names which answers.
func (t *Transport) establish(ctx context.Context, p *Place) (*Lease, error) {
	begun := time.Now()
	a := t.lookup(ctx, p)
	defer func() { a.leave(ctx) }()
	err := a.await(ctx)
	t.turn(p) // others had to wait for the same answer
	p.Timing.Lookup = time.Since(begun)
	if err != nil {
		return nil, &Error{Phase: PhaseLookup, Err: err}
	}
	cached := a.cached
	if a.reader != nil && a.asked && !cached {
		p.Lookups = 1
	}
	if p.origin.scheme == "http" && len(a.found) > 0 {
		return nil, &UpgradeError{To: p.url.WithScheme("https")}
	}
	offers := t.offers()
	for _, s := range t.usable(a.found) {
		lease, err := t.service(ctx, p, a, s)
		if err == nil || ctx.Err() != nil {
			return finish(lease, cached, err)
		}
	}
	lease, err := t.reach(ctx, p, a, p.origin.port, offers)
	return finish(lease, cached, err)
}

func finish(lease *Lease, cached bool, err error) (*Lease, error) {
	if lease != nil {
		lease.CachedLookup = cached
	}
	return lease, err
}

// lookup begins to look the server of a place up.
func (t *Transport) lookup(ctx context.Context, p *Place) *addresses {
	if a := literal(p.origin.host); a != nil {
		return a
	}
	q := question{name: p.origin.host, want: stub.Want{Services: t.options.HTTPSRecords}}
	if q.want.Services && p.origin.port != httpsPort && (p.origin.scheme == "https" || p.origin.port != httpPort) {
		q.want.Port = p.origin.port
	}
	return t.begin(ctx, q)
}

func (t *Transport) begin(ctx context.Context, q question) *addresses {
	reader, asked := t.ask(ctx, q)
	return &addresses{
		reader: reader, asked: asked, delay: t.options.ResolutionDelay, services: q.want.Services,
		answered: make(map[uint16]bool), cached: true,
	}
}

// leave ends the interest in a lookup.
func (a *addresses) leave(ctx context.Context) {
	if a.reader != nil {
		a.reader.done(ctx.Err() != nil)
	}
}

// offers are the protocols that are offered to servers, best first.
func (t *Transport) offers() []string {
	if t.options.HTTP2 {
		return []string{alpnHTTP2, alpnHTTP1}
	}
	return []string{alpnHTTP1}
}

// usable are the services of which we speak a protocol.
func (t *Transport) usable(found []stub.Service) []stub.Service {
	var list []stub.Service
	for _, s := range found {
		speaks := slices.ContainsFunc(s.Protocols(), func(p string) bool { return slices.Contains(t.offers(), p) })
		if len(list) < maxServices && (speaks || s.Priority == 0) {
			list = append(list, s)
		}
	}
	return list
}

// service connects to one of the places that HTTPS records name (RFC 9460, section 3).
func (t *Transport) service(ctx context.Context, p *Place, own *addresses, s stub.Service) (*Lease, error) {
	offers := t.offers()
	if s.Priority != 0 {
		offers = slices.DeleteFunc(offers, func(o string) bool { return !slices.Contains(s.Protocols(), o) })
	}
	port := cmp.Or(s.Port, p.origin.port)
	target := strings.TrimSuffix(s.Target, ".")
	if strings.EqualFold(target, p.origin.host) {
		copied := *own // the name's own addresses can still be tried without the record
		copied.list, copied.answered = slices.Clone(own.list), nil
		copied.ended = true
		copied.add(s.Hints)
		return t.reach(ctx, p, &copied, port, offers)
	}
	begun := time.Now()
	a := t.begin(ctx, question{name: target})
	defer a.leave(ctx)
	a.hint(s.Hints)
	err := a.await(ctx)
	t.turn(p)
	p.Timing.Lookup += time.Since(begun)
	if err != nil {
		return nil, &Error{Phase: PhaseLookup, Err: err}
	}
	if a.asked && !a.cached {
		p.Lookups++
	}
	return t.reach(ctx, p, a, port, offers)
}

// hint takes in addresses that need no lookup.
func (a *addresses) hint(addrs []netip.Addr) {
	if len(addrs) > 0 {
		a.add(addrs)
		a.have, a.complete = time.Now(), true
	}
}

// reach connects to a server at one of its addresses, and has TLS prove who it is.
func (t *Transport) reach(ctx context.Context, p *Place, a *addresses, port uint16, offers []string) (*Lease, error) {
	if c := t.coalesce(p, a, port); c != nil {
		return t.lease2(p, c), nil
	}
	begun := time.Now()
	conn, err := t.race(ctx, p, a, port)
	p.Timing.Connect += time.Since(begun)
	if err != nil {
		return nil, &Error{Phase: PhaseConnect, Err: err}
	}
	return t.greet(ctx, p, conn, offers)
}

// greet makes a connection of the pool of one that is there.
func (t *Transport) greet(ctx context.Context, p *Place, conn net.Conn, offers []string) (*Lease, error) {
	p.Opened++
	counted := &wire{Conn: conn}
	b := &base{
		transport: t, wire: counted, nc: counted, origin: p.origin, serial: t.serial(), opened: context.WithoutCancel(ctx),
		local: conn.LocalAddr().String(), remote: conn.RemoteAddr().String(),
	}
	if p.origin.scheme != "https" {
		return t.lease1(p, newConn1(b)), nil
	}
	begun := time.Now()
	err := t.secure(ctx, b, offers)
	p.Timing.TLS += time.Since(begun)
	if err != nil {
		return nil, err
	}
	if b.state.NegotiatedProtocol != alpnHTTP2 {
		t.plural(p.origin)
		return t.lease1(p, newConn1(b)), nil
	}
	c := newConn2(b)
	c.reserve()
	c.begin() // others may send as soon as they share it
	t.share(p.origin, c, true)
	return t.lease2(p, c), nil
}

// coalesce finds an HTTP/2 connection, to one of these addresses, whose server has proved to be this one too (RFC 9113,
// section 9.1.1), and has the place use it.
func (t *Transport) coalesce(p *Place, a *addresses, port uint16) *conn2 {
	if p.origin.scheme != "https" || !t.options.HTTP2 {
		return nil
	}
	var known []*conn2
	t.mu.Lock()
	for o, l := range t.lines {
		if l.shared != nil && o.partition == p.origin.partition && l.shared.origin == o {
			known = append(known, l.shared)
		}
	}
	t.mu.Unlock()
	slices.SortFunc(known, func(a, b *conn2) int { return a.serial - b.serial })
	for _, c := range known {
		to, err := netip.ParseAddrPort(c.remote)
		if err != nil || to.Port() != port || !slices.Contains(a.list, to.Addr()) || !covers(c.state, p.origin.host) || !c.reserve() {
			continue
		}
		p.Remote = c.remote
		t.share(p.origin, c, false)
		return c
	}
	return nil
}

// covers says that a server's certificate is for a host too.
func covers(state *tls.ConnectionState, host string) bool {
	var leaf *x509.Certificate
	if len(state.PeerCertificates) > 0 {
		leaf = state.PeerCertificates[0]
	}
	return leaf != nil && leaf.VerifyHostname(host) == nil
}

// roots are the authorities that are trusted now.
func (t *Transport) roots() *x509.CertPool {
	if roots := t.options.Roots(); roots != nil {
		return roots
	}
	return host.Roots(t.host)
}
