package transport

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"sync"

	"scenario/host"
	"scenario/nodes/browser/weburl"
)

const (
	// maxPerOrigin is how many HTTP/1.1 connections a browser has to one origin at a time.
	maxPerOrigin = 6
	// maxLines bounds the origins that are remembered without a connection to them.
	maxLines = 1000
)

// Transport makes connections and keeps them. Its methods may be called from any goroutine.
type Transport struct {
	host     host.Host
	resolver Resolver
	options  Options
	random   io.Reader
	spare    *sync.Pool // of pieces of bodies
	views    *sync.Pool
	running  sync.WaitGroup // the goroutines of connections and lookups

	mu       sync.Mutex
	lines    map[origin]*line
	places   int // taken so far
	opened   int // connections so far
	flights  map[question]*flight
	sessions sessions
}

// origin is what connections are shared by.
type origin struct {
	scheme, host string
	port         uint16
	partition    string
}

// line is the connections to one origin and the places that wait for one, the most urgent first.
type line struct {
	open    int // connections that are there or being made
	idle    []*conn1
	shared  *conn2 // nil: none that takes more streams
	plural  bool   // the server speaks HTTP/1.1, so there may be several connections
	waiting []*Place
}

// Place is a request's place in line. What stands in its exported fields is filled by Acquire, also where that fails.
type Place struct {
	Timing  Timing
	Remote  string // the address that was connected to, or that failed
	Lookups int    // names that servers were asked for on its account, not on another request's
	Opened  int    // connections that were made for it

	url     *weburl.URL
	origin  origin
	urgency int
	serial  int
	granted chan grant
}

// grant is what a place in line comes to: a connection, the leave to make one, or the failure of somebody else who tried.
type grant struct {
	one *conn1
	two *conn2
	err error
}

// New returns the transport of a browser on h. It asks for the host's randomness here.
func New(h host.Host, r Resolver, o Options) *Transport {
	o.setDefaults()
	if o.Roots == nil {
		roots := host.Roots(h)
		o.Roots = func() *x509.CertPool { return roots }
	}
	return &Transport{
		host: h, resolver: r, options: o, random: newRandom(h.Rand()), spare: &sync.Pool{New: newPiece}, views: &sync.Pool{New: newViews},
		lines: make(map[origin]*line), flights: make(map[question]*flight),
	}
}

// line returns an origin's line.
func (t *Transport) line(o origin) *line {
	l := t.lines[o]
	if l == nil {
		if len(t.lines) >= maxLines {
			maps.DeleteFunc(t.lines, func(_ origin, l *line) bool { return l.open == 0 && l.shared == nil && len(l.waiting) == 0 })
		}
		l = &line{plural: o.scheme == "http" || !t.options.HTTP2}
		t.lines[o] = l
	}
	return l
}

// room says that one more connection may be made. Behind https it is one until it is known what the server speaks.
func (l *line) room() bool { return l.open == 0 || l.plural && l.open < maxPerOrigin }

// Reserve takes a request's place in line. The order of these calls decides within an urgency (RFC 9218, section 4.1: 0
// goes first, 7 last). Every place is acquired once, or left.
func (t *Transport) Reserve(u *weburl.URL, partition string, urgency int) *Place {
	p := &Place{
		url: u, urgency: urgency, granted: make(chan grant, 1),
		origin: origin{scheme: u.Scheme(), host: u.Hostname(), port: u.PortNumber(), partition: partition},
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.places++
	p.serial = t.places
	t.enter(p)
	return p
}

// again has a place stand in line once more.
func (t *Transport) again(p *Place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.enter(p)
}

func (t *Transport) enter(p *Place) {
	l := t.line(p.origin)
	switch {
	case l.shared != nil && l.shared.reserve():
		p.granted <- grant{two: l.shared}
	case len(l.idle) > 0:
		last := len(l.idle) - 1
		p.granted <- grant{one: l.idle[last]}
		l.idle = l.idle[:last]
	case l.room():
		l.open++
		p.granted <- grant{}
	default:
		i, _ := slices.BinarySearchFunc(l.waiting, p.urgency+1, func(w *Place, urgency int) int { return w.urgency - urgency })
		l.waiting = slices.Insert(l.waiting, i, p)
	}
}

// next takes the first place out of the line.
func (l *line) next() *Place {
	p := l.waiting[0]
	l.waiting = slices.Delete(l.waiting, 0, 1)
	return p
}

// serve lets places go on that there is room for now.
func (l *line) serve() {
	for len(l.waiting) > 0 {
		switch {
		case l.shared != nil:
			if !l.shared.reserve() {
				return
			}
			l.next().granted <- grant{two: l.shared}
		case len(l.idle) > 0:
			last := len(l.idle) - 1
			l.next().granted <- grant{one: l.idle[last]}
			l.idle = l.idle[:last]
		case l.room():
			l.open++
			l.next().granted <- grant{}
		default:
			return
		}
	}
}

// Leave gives a place up whose request does not go on, and which is not acquired.
func (t *Transport) Leave(p *Place) {
	t.mu.Lock()
	l := t.line(p.origin)
	l.waiting = slices.DeleteFunc(l.waiting, func(w *Place) bool { return w == p })
	t.mu.Unlock()
	select {
	case g := <-p.granted: // just now: it goes to the next one
		switch {
		case g.one != nil:
			t.put(g.one)
		case g.two != nil:
			g.two.unreserve()
		case g.err == nil:
			t.drop(p.origin)
		}
	default:
	}
}

// put gives back a connection that can take another request.
func (t *Transport) put(c *conn1) {
	t.mu.Lock()
	l := t.line(c.origin)
	ended := c.ended
	switch {
	case ended:
		l.open--
	case len(l.waiting) > 0:
		l.next().granted <- grant{one: c}
	default:
		l.idle = append(l.idle, c)
		c.watch(t)
	}
	l.serve()
	t.mu.Unlock()
	if ended {
		c.close(byRemote, serverClosed)
	}
}

// drop says that a connection is closed or could not be made.
func (t *Transport) drop(o origin) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.line(o)
	l.open--
	l.serve()
}

// fail says that a connection could not be made. Who waits to learn what the server speaks learns that instead: the
// others would fail alike, one after the other.
func (t *Transport) fail(o origin, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.line(o)
	l.open--
	if !l.plural && l.shared == nil {
		for len(l.waiting) > 0 {
			l.next().granted <- grant{err: err}
		}
	}
	l.serve()
}

// lost takes note that a connection ended; where nobody uses it, it is closed at once.
func (t *Transport) lost(c *conn1) {
	t.mu.Lock()
	c.ended = true
	l := t.line(c.origin)
	i := slices.Index(l.idle, c)
	if i >= 0 {
		l.idle = slices.Delete(l.idle, i, i+1)
		l.open--
		l.serve()
	}
	t.mu.Unlock()
	if i >= 0 {
		c.close(byRemote, serverClosed)
	}
}

// plural says that the server of an origin speaks HTTP/1.1: others need not wait for the first connection.
func (t *Transport) plural(o origin) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.line(o)
	l.plural = true
	l.serve()
}

// share has an origin's requests use an HTTP/2 connection that was made for it or, where made is false, for another one.
func (t *Transport) share(o origin, c *conn2, made bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.line(o)
	l.plural = false
	if !made {
		l.open-- // which was granted and is not needed
	} else {
		c.origin = o
	}
	if !slices.Contains(c.origins, o) {
		c.origins = append(c.origins, o)
	}
	switch {
	case !c.unshared:
		l.shared = c
	case made:
		l.open--
	}
	l.serve()
}

// unshare has no more requests use an HTTP/2 connection: those that come make another one.
func (t *Transport) unshare(c *conn2) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.unshared {
		return
	}
	c.unshared = true
	for _, o := range c.origins {
		l := t.line(o)
		if l.shared == c {
			l.shared = nil
		}
		if o == c.origin {
			l.open--
		}
		l.serve()
	}
}

// streams says that an HTTP/2 connection may have room for more streams.
func (t *Transport) streams(c *conn2) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range c.origins {
		if l := t.line(o); l.shared == c {
			l.serve()
		}
	}
}

// serial counts a new connection.
func (t *Transport) serial() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.opened++
	return t.opened
}

// turn has requests that go on at the same instant do so one after the other, in the order of their places.
func (t *Transport) turn(p *Place) {
	if h, ok := t.host.(host.Turner); ok {
		h.Turn(fmt.Sprintf("transport %06d", p.serial))
	}
}

// closer is a connection that can be closed.
type closer interface {
	number() int
	close(by, reason string)
}

// CloseIdle closes the connections that nobody uses, in the order in which they were opened.
func (t *Transport) CloseIdle(reason string) {
	t.mu.Lock()
	var idle []closer
	for _, l := range t.lines {
		for _, c := range l.idle {
			idle = append(idle, c)
		}
		l.open -= len(l.idle)
		l.idle = nil
	}
	for o, l := range t.lines {
		if c := l.shared; c != nil && c.origin == o && c.retire() {
			idle = append(idle, c)
		}
	}
	t.mu.Unlock()
	slices.SortFunc(idle, func(a, b closer) int { return a.number() - b.number() })
	for _, c := range idle {
		if c, ok := c.(*conn2); ok {
			t.unshare(c)
		}
		c.close(byLocal, reason)
	}
}

// Close is CloseIdle, and waits until the goroutines of all connections have ended: nobody may hold a lease. Connections
// can be made again afterwards.
func (t *Transport) Close(reason string) {
	t.CloseIdle(reason)
	t.abandon()
	t.running.Wait()
}

// Preconnect makes a connection that a request is going to need, unless there is one that can take it (rel=preconnect),
// and returns when it is there.
func (t *Transport) Preconnect(ctx context.Context, u *weburl.URL, partition string) error {
	t.mu.Lock()
	l := t.line(origin{scheme: u.Scheme(), host: u.Hostname(), port: u.PortNumber(), partition: partition})
	needed := l.shared == nil && len(l.idle) == 0 && l.room()
	t.mu.Unlock()
	if !needed {
		return nil
	}
	const last = 7
	lease, err := t.Acquire(ctx, t.Reserve(u, partition, last))
	if err != nil {
		return err
	}
	lease.Release()
	return nil
}

// Ends of a connection, as an event says which of them closed it, and why the server did so while it was free.
const (
	byLocal      = "local"
	byRemote     = "remote"
	serverClosed = "the server closed it"
)

func id(serial int) string { return strconv.Itoa(serial) }
