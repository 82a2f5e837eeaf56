package devtools

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/chromedp/cdproto/network"

	"scenario/event"
	"scenario/nodes/browser/cookie"
)

// Page is what is known of the page when a load is over.
type Page struct {
	Asked   string // the address that was asked for; empty: what happened decides whether there was a page load
	Title   string
	Stopped bool   // its time was over
	Error   string // net::ERR_…; the page could not be had
}

// Tell tells of everything that happened, as children of what ctx names, and sums it up. now is when the load was over.
func (l *Load) Tell(ctx context.Context, log *slog.Logger, p Page, now time.Time) Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settle()
	t := &telling{load: l}
	result := t.page(p, now)
	t.emit(ctx, log)
	return result
}

// telling makes a tree of events of a load and emits it in the order of their times.
type telling struct {
	load *Load
	told []*told
	root *told // nil: there is no page load
}

// told is one event, and when it happened.
type told struct {
	at     time.Time
	below  *told
	is     event.Event
	causes bool               // others are below it
	fill   func() event.Event // makes it when its turn has come, where it names others
	ctx    context.Context
}

func (t *telling) add(at time.Time, below *told, e event.Event) *told {
	if below == nil {
		below = t.root
	}
	if below != nil {
		below.causes = true
		if at.Before(below.at) {
			at = below.at
		}
	}
	one := &told{at: at, below: below, is: e}
	t.told = append(t.told, one)
	return one
}

// emit emits the events, each with its own time.
func (t *telling) emit(ctx context.Context, log *slog.Logger) {
	log = slog.New(dated{log.Handler()})
	slices.SortStableFunc(t.told, func(a, b *told) int { return a.at.Compare(b.at) })
	for _, one := range t.told {
		one.ctx = ctx
		if one.below != nil {
			one.ctx = one.below.ctx
		}
		if one.fill != nil {
			one.is = one.fill()
		}
		at := context.WithValue(one.ctx, timeKey{}, one.at)
		if one.causes {
			one.ctx = event.Begin(at, log, one.is)
		} else {
			event.Emit(at, log, one.is)
		}
	}
}

// dated is a handler of what happened before it is told.
type dated struct{ slog.Handler }

type timeKey struct{}

// Handle has the record bear the time that ctx names.
func (d dated) Handle(ctx context.Context, r slog.Record) error {
	if at, ok := ctx.Value(timeKey{}).(time.Time); ok {
		r.Time = at
	}
	return d.Handler.Handle(ctx, r)
}

// page tells of the page and all its requests.
func (t *telling) page(p Page, now time.Time) Result {
	l := t.load
	result := Result{Requests: []*Fetch{}, CookiesSent: []string{}}
	document := t.document()
	if p.Asked == "" && document != nil {
		p.Asked = document.sent.Request.URL
	}
	if p.Asked == "" && len(l.moved) > 0 {
		p.Asked = l.moved[0]
	}
	if p.Asked != "" {
		t.root = t.add(l.start, nil, event.PageMilestone{Milestone: "url", URL: bounded(p.Asked)})
	}
	connections := make(map[int64]bool)
	for _, x := range l.exchange {
		if x.inner {
			t.upgrade(x)
			continue
		}
		f := t.exchange(x)
		result.Requests = append(result.Requests, f)
		result.Bytes += f.Size
		if f.From != "network" {
			result.Cached++
		}
		if f.Error != nil || f.Status >= 400 && f.Destination != destIcon {
			result.Failed++
		}
		if f.Lookup > 0 {
			result.Lookups++
		}
		if r := x.response; r != nil && f.Remote != "" && !f.Reused {
			connections[whole(r.ConnectionID)] = true
		}
		if f.Destination == destDocument {
			t.milestones(x, f, &result)
		}
	}
	result.Skipped, result.Connections = l.skipped, len(connections)
	if !p.Stopped {
		now = t.over(now)
	}
	result.Duration = now.Sub(l.start).Seconds()
	result.Title = p.Title
	t.end(p, &result, now)
	return result
}

// over is when the last thing of the load had happened; at the latest now.
func (t *telling) over(now time.Time) time.Time {
	l := t.load
	last := max(l.loaded, l.content)
	for _, x := range l.exchange {
		last = max(last, x.end)
	}
	if at := l.wall(last); last > 0 && at.Before(now) {
		return later(at, l.start)
	}
	return now
}

// document is the first request for the page itself; nil: there is none.
func (t *telling) document() *exchange {
	for _, x := range t.load.exchange {
		if t.destination(x) == destDocument {
			return x
		}
	}
	return nil
}

// milestones notes what a request for the page itself led to.
func (t *telling) milestones(x *exchange, f *Fetch, result *Result) {
	l := t.load
	result.URL, result.Status, result.Proto, result.Error = f.URL, f.Status, f.Proto, f.Error
	for _, name := range f.Cookies {
		if !slices.Contains(result.CookiesSent, name) {
			result.CookiesSent = append(result.CookiesSent, name)
		}
	}
	switch {
	case x.next != "":
		result.Redirects++
		t.add(l.wall(x.end), nil, event.PageMilestone{
			Milestone: "redirect", URL: bounded(x.next), Detail: fmt.Sprintf("%d from %s", f.Status, f.URL), Since: l.since(x.end),
		})
	case f.Status > 0:
		at := l.wall(x.first())
		result.Milestones.FirstByte = l.since(x.first())
		t.add(at, nil, event.PageMilestone{
			Milestone: "first_byte", URL: f.URL, Detail: fmt.Sprintf("status %d", f.Status), Since: l.since(x.first()),
		})
	}
}

// end tells of the end of the load and sums it up.
func (t *telling) end(p Page, result *Result, now time.Time) {
	l := t.load
	if result.Error == nil && p.Error != "" {
		result.Error = failure(p.Error)
	}
	if result.URL == "" {
		result.URL = bounded(p.Asked)
	}
	if t.root == nil {
		return
	}
	shown := result.URL
	milestone := func(name, detail string, at float64) {
		if at > 0 {
			t.add(l.wall(at), nil, event.PageMilestone{Milestone: name, URL: shown, Detail: detail, Since: l.since(at)})
		}
	}
	if result.Error == nil {
		result.Milestones.DOMContentLoaded, result.Milestones.Load = l.since(l.content), l.since(l.loaded)
		milestone("dom_content_loaded", "", l.content)
		milestone("load", "", l.loaded)
	}
	if l.loaded == 0 && result.Error == nil && p.Stopped {
		t.add(now, nil, event.PageMilestone{
			Milestone: "load", URL: shown, Detail: fmt.Sprintf("stopped after %.3g s", result.Duration), Since: result.Duration,
		})
	}
	sum := event.PageLoad{
		URL: shown, Status: result.Status, Title: bounded(p.Title), Requests: len(result.Requests), Failed: result.Failed,
		Connections: result.Connections, Lookups: result.Lookups, Bytes: result.Bytes, Duration: result.Duration,
	}
	if result.Error != nil {
		sum.Error = result.Error.Message
	}
	t.add(now, nil, sum)
}

// upgrade tells that the browser went to https by itself.
func (t *telling) upgrade(x *exchange) {
	reason := field(x.response.Headers, "Non-Authoritative-Reason")
	if reason == "HSTS" {
		reason = "hsts"
	}
	t.add(t.load.wall(x.sent.Timestamp.Float64()), nil, event.URLUpgrade{
		From: bounded(x.sent.Request.URL), To: bounded(x.next), Reason: bounded(reason),
	})
}

// exchange tells of one request.
func (t *telling) exchange(x *exchange) *Fetch {
	l := t.load
	f := t.fetch(x)
	begun := l.wall(x.sent.Timestamp.Float64())
	cause := t.root
	switch f.Destination {
	case destDocument, destFetch, destPreflight, destSocket, "ping", "report":
	default:
		cause = t.add(begun, nil, event.HTMLAsset{
			Page: t.owner(x), URL: f.URL, Destination: f.Destination, Initiator: f.Initiator, ThirdParty: f.ThirdParty,
			PageBytes: l.bytesAt(x.sent.Timestamp.Float64()), Complete: l.completeAt(x.sent.Timestamp.Float64()),
		})
	}
	t.connection(x, f, cause)
	var request *told
	if x.wired() {
		request = t.request(x, f, cause)
		t.response(x, f, request)
		t.cookies(x, f, request)
	}
	t.rules(x, f, cmp.Or(request, cause))
	sum := t.event(f, x)
	one := t.add(l.wall(max(x.end, x.sent.Timestamp.Float64())), cause, sum)
	if request != nil {
		one.at = later(one.at, request.at)
		request.causes = true
		one.fill = func() event.Event {
			_, sum.Request = event.Cause(request.ctx)
			return sum
		}
	}
	return f
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// wired says that the request went over the wire.
func (x *exchange) wired() bool {
	if x.question == nil {
		return x.response != nil && !x.cached && !x.response.FromDiskCache && x.response.RemoteIPAddress != ""
	}
	return x.response != nil || x.failed == nil || phase(x.failed.ErrorText) == phaseResponse || x.answer != nil
}

// bytesAt is how much of the page had arrived by then.
func (l *Load) bytesAt(at float64) int64 {
	var sum int64
	for _, a := range l.received {
		if a.at <= at {
			sum += a.bytes
		}
	}
	return sum
}

func (l *Load) isPage(x *exchange) bool {
	return x.sent.Type == network.ResourceTypeDocument && x.sent.FrameID == l.main
}

// completeAt says whether the page had arrived whole by then.
func (l *Load) completeAt(at float64) bool {
	for _, x := range l.exchange {
		if l.isPage(x) && x.next == "" && (x.end == 0 || x.end > at) {
			return false
		}
	}
	return true
}

// owner is the address of the document that the request is for.
func (t *telling) owner(x *exchange) string {
	if x.sent.Type == network.ResourceTypeDocument {
		return cmp.Or(initiator(x), t.top(x))
	}
	return bounded(cmp.Or(x.sent.DocumentURL, x.sent.Request.URL))
}

// first is when the first byte of the response came.
func (x *exchange) first() float64 {
	if r := x.response; r != nil && r.Timing != nil {
		t := r.Timing
		return t.RequestTime + max(cmp.Or(t.ReceiveHeadersStart, t.ReceiveHeadersEnd), 0)/1e3
	}
	return x.end
}

// connection tells of a connection that was made for the request.
func (t *telling) connection(x *exchange, f *Fetch, below *told) {
	l, r := t.load, x.response
	if r == nil || f.Remote == "" || r.FromDiskCache || x.cached {
		if f.Error != nil && f.Error.Phase == phaseTLS {
			t.add(l.wall(x.end), below, t.handshakeFailure(x, f))
		}
		return
	}
	id := whole(r.ConnectionID)
	if id == 0 || l.session.connections[id] || len(l.session.connections) > 100*maxRequests {
		return
	}
	l.session.connections[id] = true
	base, connected, secured := 0.0, 0.0, 0.0
	if m := r.Timing; m != nil {
		base = m.RequestTime
		secured = m.SslEnd
		if connected = m.ConnectEnd; m.SslStart > 0 {
			connected = m.SslStart
		}
	}
	at := base + max(connected, 0)/1e3
	made := t.add(l.wall(at), below, event.SocketConnect{Network: "tcp", Local: f.Local, Remote: f.Remote, Duration: f.Connect})
	if d := r.SecurityDetails; d != nil {
		t.add(l.wall(max(at, base+max(secured, 0)/1e3)), made, event.TLSHandshake{
			Side: event.SideClient, Local: f.Local, Remote: f.Remote, ServerName: serverName(f.URL),
			Version: d.Protocol, Cipher: d.Cipher, Group: cmp.Or(d.KeyExchangeGroup, d.KeyExchange), ALPN: alpn(r.Protocol),
			Subject: bounded(d.SubjectName), Issuer: bounded(d.Issuer), Names: names(d.SanList),
			NotBefore: date(float64(d.ValidFrom)), NotAfter: date(float64(d.ValidTo)), Duration: f.TLS,
		})
	}
}

// names are those of a certificate, bounded.
func names(all []string) []string {
	const most = 100
	out := make([]string, 0, min(len(all), most))
	for _, name := range all[:min(len(all), most)] {
		out = append(out, bounded(name))
	}
	return out
}

// date is a moment in seconds since 1970 as RFC 3339; empty: it is none.
func date(seconds float64) string {
	const most = 253402300799 // the end of the year 9999
	if !(seconds > 0) || seconds > most {
		return ""
	}
	return time.Unix(int64(seconds), 0).UTC().Format(time.RFC3339)
}

// serverName is the name that the client says it wants; none for an address (RFC 6066, section 3).
func serverName(address string) string {
	host := hostOf(address)
	if net.ParseIP(host) != nil {
		return ""
	}
	return host
}

func alpn(protocol string) string {
	if protocol == "h2" || protocol == "http/1.1" {
		return protocol
	}
	return ""
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// remote is the server's end of the exchange's connection; empty: not told.
func (x *exchange) remote() string {
	r := x.response
	if r == nil || r.RemoteIPAddress == "" || r.RemotePort <= 0 || r.RemotePort > 65535 {
		return ""
	}
	host := bounded(r.RemoteIPAddress)
	if len(host) > 2 && host[0] == '[' {
		host = host[1 : len(host)-1]
	}
	return net.JoinHostPort(host, strconv.FormatInt(r.RemotePort, 10))
}

// thirdParty says whether the request goes to another site than that of the page.
func (t *telling) thirdParty(x *exchange) bool {
	if t.load.isPage(x) {
		return false
	}
	return cookie.Site(hostOf(t.top(x))) != cookie.Site(hostOf(x.sent.Request.URL))
}

// top is the page in the address bar for which the request is made.
func (t *telling) top(x *exchange) string {
	if t.load.isPage(x) {
		return bounded(x.sent.Request.URL)
	}
	top := ""
	for _, other := range t.load.exchange {
		if other == x {
			break
		}
		if t.load.isPage(other) {
			top = other.sent.Request.URL
		}
	}
	return bounded(cmp.Or(top, x.sent.DocumentURL, x.sent.Request.URL))
}
