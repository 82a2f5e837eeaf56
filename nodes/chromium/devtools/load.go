// Package devtools makes events of ours of what Chromium's DevTools tell (https://chromedevtools.github.io/devtools-protocol/).
//
// A [Load] takes the events of a page from the start of an action to its end ([Load.Take]). Then [Load.Tell] tells all of it
// in the order in which it happened: DevTools tell parts of a request before and after others, and some only at the end.
// It is pure: no browser, no network, no clock.
package devtools

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/security"
)

// Bounds of one load. What goes beyond is not told.
const (
	maxRequests = 2000
	maxFields   = 64 << 10 // bytes of header fields that are shown
	maxText     = 4 << 10  // bytes of an address
	maxCookies  = 500      // of one message
	maxPieces   = 10_000   // of the page's body that are told apart
)

// Ends are the two ends of a connection, as "IP:port".
type Ends struct{ Local, Remote string }

// Options say how a load is told.
type Options struct {
	LogBody int                             // bytes of a body that its http.response shows
	Ends    func(connection int64) (e Ends) // of a connection, by DevTools' id; nil or no Local: not known
}

// Session is what is known of a browser beyond one load.
type Session struct {
	connections map[int64]bool // that have been told of
	cookies     map[cookieKey]string
	offset      float64 // wall clock in seconds − DevTools' monotonic clock; 0: not known yet
}

// NewSession returns that of a browser that has just been started.
func NewSession() *Session {
	return &Session{connections: make(map[int64]bool), cookies: make(map[cookieKey]string)}
}

// Load is what happens on a page from the start of an action on.
type Load struct {
	session *Session
	options Options
	start   time.Time

	mu       sync.Mutex
	main     cdp.FrameID // the page itself; empty: not known yet
	exchange []*exchange // in the order in which they were made
	byID     map[network.RequestID][]*exchange
	early    map[network.RequestID]*early
	skipped  int
	seen     int // events, of any kind
	content  float64
	loaded   float64
	moved    []string // addresses that the page went to
	loading  bool     // Chromium loads the page, or a frame of it
	restored bool     // the page came back as it was left: it does not load
	received []arrival
	// certificate is that of the site that the page is of, or that the browser warns of; nil: none is told.
	certificate *security.CertificateSecurityState
}

// early is what DevTools told of a request before they told of the request.
type early struct {
	requests  []*network.EventRequestWillBeSentExtraInfo
	responses []*network.EventResponseReceivedExtraInfo
}

// arrival is a piece of the page's body.
type arrival struct {
	at    float64
	bytes int64
}

// NewLoad begins a load at that moment. main is the page's frame; empty where it is not known.
func NewLoad(session *Session, main cdp.FrameID, start time.Time, options Options) *Load {
	return &Load{
		session: session, options: options, start: start, main: main,
		byID:  make(map[network.RequestID][]*exchange),
		early: make(map[network.RequestID]*early),
	}
}

// exchange is one request and what came of it; each redirect has one of its own.
type exchange struct {
	sent     *network.EventRequestWillBeSent
	question *network.EventRequestWillBeSentExtraInfo // nil: nothing went over the wire, or it is not told
	answer   *network.EventResponseReceivedExtraInfo
	response *network.Response // nil: none
	next     string            // where the response sends the browser
	inner    bool              // the response is the browser's own: it went to https by itself
	cached   bool              // from the memory cache
	failed   *network.EventLoadingFailed
	end      float64 // monotonic; 0: it has not ended
	size     int64   // of the body on the wire; -1: not told
	decoded  int64   // of the body behind its coding
	body     []byte  // what is shown of it
	hasBody  bool
	extra    bool // there are, or will be, question and answer
	extras   bool // extra is known
}

func (x *exchange) ended() bool { return x.end > 0 }

// Take notes an event, of the types of package cdproto; others are passed over.
func (l *Load) Take(ev any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen++
	switch e := ev.(type) {
	case *network.EventRequestWillBeSent:
		l.takeRequest(e)
	case *network.EventRequestWillBeSentExtraInfo:
		l.extras(e.RequestID).add(e, nil)
	case *network.EventResponseReceivedExtraInfo:
		l.extras(e.RequestID).add(nil, e)
	case *network.EventRequestServedFromCache:
		if x := l.current(e.RequestID); x != nil {
			x.cached = true
		}
	case *network.EventResponseReceived:
		if x := l.current(e.RequestID); x != nil && e.Response != nil {
			// What the page's memory has is told with what was true when it came over the wire.
			x.response, x.extra, x.extras = e.Response, e.HasExtraInfo && !x.cached, true
		}
	case *network.EventDataReceived:
		if x := l.current(e.RequestID); x != nil && e.DataLength > 0 {
			x.decoded += e.DataLength
			if len(l.received) >= maxPieces || !l.isPage(x) {
				return
			}
			l.received = append(l.received, arrival{e.Timestamp.Float64(), e.DataLength})
		}
	case *network.EventLoadingFinished:
		if x := l.current(e.RequestID); x != nil && !x.ended() {
			x.end = e.Timestamp.Float64()
			x.size = bodySize(e, x.response, x.decoded)
		}
	case *network.EventLoadingFailed:
		if x := l.current(e.RequestID); x != nil && !x.ended() {
			x.failed, x.end = e, e.Timestamp.Float64()
		}
	case *page.EventDomContentEventFired:
		l.content = cmp.Or(l.content, e.Timestamp.Float64())
	case *page.EventLoadEventFired:
		l.loaded = cmp.Or(l.loaded, e.Timestamp.Float64())
	case *security.EventVisibleSecurityStateChanged:
		if s := e.VisibleSecurityState; s != nil && s.CertificateSecurityState != nil {
			l.certificate = s.CertificateSecurityState
		}
	case *page.EventFrameStartedLoading:
		l.loading = l.loading || e.FrameID == l.main
	case *page.EventFrameStoppedLoading:
		l.loading = l.loading && e.FrameID != l.main
	case *page.EventFrameNavigated:
		l.restored = l.restored || e.Type == page.NavigationTypeBackForwardCacheRestore
		l.takeFrame(e.Frame)
	}
}

// bodySize is that of a body on the wire: as DevTools tell it, or what is left of all bytes without the head.
func bodySize(e *network.EventLoadingFinished, r *network.Response, decoded int64) int64 {
	switch {
	case r == nil || r.FromDiskCache:
		return 0
	case coding(r) == "":
		return decoded
	case e.EncodedBodyLength > 0:
		return whole(e.EncodedBodyLength)
	}
	return max(whole(e.EncodedDataLength)-whole(r.EncodedDataLength), 0)
}

// whole is a number of bytes as DevTools give it; what is none counts as none.
func whole(f float64) int64 {
	const most = 1 << 50
	if !(f > 0) || f > most {
		return 0
	}
	return int64(f)
}

func (l *Load) takeFrame(f *cdp.Frame) {
	if f == nil || f.ParentID != "" {
		return
	}
	l.main = f.ID
	if len(l.moved) < maxRequests && ofWeb(f.URL) {
		l.moved = append(l.moved, bounded(f.URL))
	}
}

// takeRequest notes a request, and the end of the one that was redirected to it.
func (l *Load) takeRequest(e *network.EventRequestWillBeSent) {
	if e.Request == nil || !ofWeb(e.Request.URL) {
		return
	}
	if l.session.offset == 0 && e.WallTime > 0 && e.Timestamp > 0 {
		l.session.offset = float64(e.WallTime) - e.Timestamp.Float64()
	}
	if x := l.current(e.RequestID); x != nil && !x.ended() {
		x.response, x.next, x.end = e.RedirectResponse, e.Request.URL, e.Timestamp.Float64()
		x.extra, x.extras, x.size = e.RedirectHasExtraInfo, true, 0 // its body is not read
		if r := x.response; r != nil {
			x.inner = field(r.Headers, "Non-Authoritative-Reason") != ""
		}
	}
	if l.main == "" && e.Type == network.ResourceTypeDocument {
		l.main = e.FrameID
	}
	if len(l.exchange) >= maxRequests {
		l.skipped++
		l.byID[e.RequestID] = append(l.byID[e.RequestID], nil)
		return
	}
	x := &exchange{sent: e, size: -1}
	l.exchange = append(l.exchange, x)
	l.byID[e.RequestID] = append(l.byID[e.RequestID], x)
}

// current is the request of that id, after redirects; nil: it began before this load, or beyond its bounds.
func (l *Load) current(id network.RequestID) *exchange {
	all := l.byID[id]
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

func (l *Load) extras(id network.RequestID) *early {
	if l.early[id] == nil {
		l.early[id] = new(early)
		if len(l.early) > 2*maxRequests {
			delete(l.early, id)
			return new(early)
		}
	}
	return l.early[id]
}

// maxHops bounds how often one request is redirected.
const maxHops = 50

func (e *early) add(q *network.EventRequestWillBeSentExtraInfo, a *network.EventResponseReceivedExtraInfo) {
	if q != nil && len(e.requests) < maxHops {
		e.requests = append(e.requests, q)
	}
	if a != nil && len(e.responses) < maxHops {
		e.responses = append(e.responses, a)
	}
}

// settle gives each exchange what went over the wire for it: DevTools number neither, but keep their order.
func (l *Load) settle() {
	for id, all := range l.byID {
		extra := l.early[id]
		if extra == nil {
			continue
		}
		requests, responses := extra.requests, extra.responses
		for _, x := range all {
			if x == nil || x.inner || x.extras && !x.extra {
				continue
			}
			if len(requests) > 0 {
				x.question, requests = requests[0], requests[1:]
			}
			if len(responses) > 0 {
				x.answer, responses = responses[0], responses[1:]
			}
		}
	}
}

// State is how far a load has come.
type State struct {
	Seen   int  // events so far: it grows while something happens
	Open   int  // requests that have not ended; streams of events and WebSockets do not count
	Loaded bool // the page's load event has fired, or the page was there already
	Busy   bool // the page is being loaded
	Moved  bool // the page has gone to another address
}

// State tells how far the load has come.
func (l *Load) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := State{Seen: l.seen, Loaded: l.loaded > 0 || l.restored, Busy: l.loading, Moved: len(l.moved) > 0}
	for _, x := range l.exchange {
		waits := !x.ended() || x.extra && x.failed == nil && !l.told(x)
		switch x.sent.Type {
		case network.ResourceTypeEventSource, network.ResourceTypeWebSocket, network.ResourceTypePing:
		default:
			if waits {
				s.Open++
			}
		}
	}
	return s
}

// told says that what went over the wire for the request has been told.
func (l *Load) told(x *exchange) bool {
	extra, expected := l.early[x.sent.RequestID], 0
	for _, hop := range l.byID[x.sent.RequestID] {
		if hop != nil && !hop.inner && hop.extra {
			expected++
		}
	}
	return extra != nil && len(extra.responses) >= min(expected, maxHops)
}

// Body is a body that DevTools can still be asked for.
type Body struct {
	ID   network.RequestID
	Size int64 // behind its coding
	to   *exchange
}

// Bodies lists the bodies that are to be shown: of whole responses from the network that have no content coding, and are
// not larger than most bytes.
func (l *Load) Bodies(most int64) []Body {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []Body
	for _, x := range l.exchange {
		r := x.response
		if l.options.LogBody <= 0 || r == nil || x.next != "" || x.failed != nil || !x.ended() || x.decoded == 0 || x.decoded > most {
			continue
		}
		if x.cached || r.FromDiskCache || coding(r) != "" {
			continue
		}
		all = append(all, Body{x.sent.RequestID, x.decoded, x})
	}
	return all
}

// SetBody notes a body, of which as much is kept as is shown.
func (l *Load) SetBody(b Body, body []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.to.body, b.to.hasBody = slices.Clone(body[:min(len(body), l.options.LogBody)]), true
}

// coding is the response's content coding; empty: none.
func coding(r *network.Response) string {
	c := strings.ToLower(strings.TrimSpace(field(r.Headers, "Content-Encoding")))
	if c == "identity" {
		return ""
	}
	return c
}

// wall is a moment of DevTools' monotonic clock.
func (l *Load) wall(at float64) time.Time {
	const most = 1 << 40 // seconds
	if !(at > 0) || l.session.offset == 0 || at+l.session.offset > most {
		return l.start
	}
	seconds := at + l.session.offset
	return time.Unix(0, 0).Add(time.Duration(seconds*1e6) * time.Microsecond)
}

// since is how long after the load's start that moment is, in seconds.
func (l *Load) since(at float64) float64 {
	if !(at > 0) {
		return 0
	}
	return micro(max(l.wall(at).Sub(l.start).Seconds(), 0))
}

// micro rounds seconds to the microsecond, beyond which clocks that are set against each other tell nothing.
func micro(seconds float64) float64 { return math.Round(seconds*1e6) / 1e6 }

// ofWeb says whether an address is one that requests are made for.
func ofWeb(url string) bool {
	return strings.HasPrefix(url, "http://") || strings.HasPrefix(url, "https://") || strings.HasPrefix(url, "ws://") || strings.HasPrefix(url, "wss://")
}

func bounded(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxText)], "\uFFFD")
}

// field is a header field's value, by its name in any case.
func field(h network.Headers, name string) string {
	if v, ok := h[name].(string); ok {
		return v
	}
	for key, value := range h {
		if v, ok := value.(string); ok && strings.EqualFold(key, name) {
			return v
		}
	}
	return ""
}
