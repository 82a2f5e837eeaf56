package devtools

import (
	"cmp"
	"strings"

	"github.com/chromedp/cdproto/network"

	"scenario/event"
)

// Result is what came of an action on a page. A page that cannot be loaded is a Result with an Error.
type Result struct {
	URL         string   `json:"url"`    // of the page shown, after redirects
	Status      int      `json:"status"` // 0: no response
	Title       string   `json:"title"`
	Text        string   `json:"text"`         // as a person reads it
	DOM         string   `json:"dom"`          // the tree of elements, indented
	Requests    []*Fetch `json:"requests"`     // in the order they were made
	CookiesSent []string `json:"cookies_sent"` // names of the cookies sent with the requests for the page itself
	Cookies     []Cookie `json:"cookies"`      // the jar afterwards
	Redirects   int      `json:"redirects"`    // on the way to the page
	Connections int      `json:"connections"`  // opened
	Lookups     int      `json:"lookups"`      // requests that waited for one
	Failed      int      `json:"failed"`       // requests without a response, or with a status from 400; a favicon does not count
	Skipped     int      `json:"skipped"`      // requests beyond the most that are told
	Cached      int      `json:"cached"`       // requests that the cache answered, asking the server or not
	Bytes       int64    `json:"bytes"`        // of all bodies that came over the network
	Proto       string   `json:"proto"`        // of the page: HTTP/1.1 or HTTP/2
	Milestones  Moments  `json:"milestones"`
	Duration    float64  `json:"duration_s"`
	Error       *Failure `json:"error,omitempty"` // why there is no page
}

// Moments are those of a page load, in seconds since its start; 0: it did not come to that.
type Moments struct {
	FirstByte        float64 `json:"first_byte_s"`
	DOMContentLoaded float64 `json:"dom_content_loaded_s"`
	Load             float64 `json:"load_s"`
}

// Fetch is one request and what came of it. Times are seconds; Start counts from the start of the action, the others are
// lengths.
type Fetch struct {
	URL         string   `json:"url"`
	Method      string   `json:"method"`
	Destination string   `json:"destination"` // document, style, script, image, font, iframe, icon, fetch, preflight …
	Initiator   string   `json:"initiator"`   // URL of the document, style sheet or script that led to it; empty: none did
	Priority    int      `json:"priority"`    // urgency (RFC 9218): 0 goes first
	Status      int      `json:"status"`
	Proto       string   `json:"proto"`
	MIME        string   `json:"mime"`               // of the body, as Chromium takes it
	Redirect    string   `json:"redirect,omitempty"` // where the response sends the browser
	Connection  string   `json:"connection"`         // tells the connections of a browser apart
	From        string   `json:"from"`               // network, cache, revalidated
	Size        int64    `json:"size"`               // of the body on the wire
	Decoded     int64    `json:"decoded_size"`
	Remote      string   `json:"remote"`
	Local       string   `json:"local"`
	Reused      bool     `json:"reused"` // went over a connection that was there
	ThirdParty  bool     `json:"third_party"`
	Cookies     []string `json:"cookies"` // names sent
	Start       float64  `json:"start_s"`
	Queued      float64  `json:"queued_s"` // waited for its turn
	Lookup      float64  `json:"lookup_s"`
	Connect     float64  `json:"connect_s"`
	TLS         float64  `json:"tls_s"`
	TTFB        float64  `json:"ttfb_s"`    // sent → first byte
	Receive     float64  `json:"receive_s"` // first byte → last byte
	Duration    float64  `json:"duration_s"`
	Error       *Failure `json:"error,omitempty"`
}

// Destinations of requests (Fetch, section 2.2.5), and what has none there.
const (
	destDocument  = "document"
	destFrame     = "iframe"
	destIcon      = "icon"
	destFetch     = "fetch"
	destPreflight = "preflight"
	destSocket    = "websocket"
)

// destination is what the request is for.
func (t *telling) destination(x *exchange) string {
	if i := x.sent.Initiator; i != nil && i.Type == network.InitiatorTypePreflight {
		return destPreflight
	}
	said := t.load.said(x, "Sec-Fetch-Dest")
	switch x.sent.Type {
	case network.ResourceTypeDocument, network.ResourceTypeImage:
		if said == "embed" || said == "object" || said == "frame" {
			return said
		}
		if x.sent.Type == network.ResourceTypeImage {
			return "image"
		}
		if x.sent.FrameID != t.load.main {
			return destFrame
		}
		return destDocument
	case network.ResourceTypeStylesheet:
		return "style"
	case network.ResourceTypeTextTrack:
		return "track"
	case network.ResourceTypeXHR, network.ResourceTypeFetch, network.ResourceTypeEventSource:
		return destFetch
	case network.ResourceTypeCSPViolationReport:
		return "report"
	case network.ResourceTypeFont, network.ResourceTypeScript, network.ResourceTypeManifest,
		network.ResourceTypePing, network.ResourceTypePreflight, network.ResourceTypeWebSocket:
		return strings.ToLower(string(x.sent.Type))
	case network.ResourceTypeMedia:
		if said == "audio" || said == "video" {
			return said
		}
		return "video"
	}
	if t.load.said(x, "Sec-Purpose") == "prefetch" {
		return destFetch
	}
	if path, _, _ := strings.Cut(x.sent.Request.URL, "?"); strings.HasSuffix(path, "/favicon.ico") || strings.HasPrefix(t.load.said(x, "Accept"), "image/") {
		return destIcon
	}
	return "other"
}

// said is a field of the request, as it went over the wire or else as the page meant it.
func (l *Load) said(x *exchange, name string) string {
	if x.question != nil {
		if v := field(x.question.Headers, name); v != "" {
			return v
		}
	}
	return field(x.sent.Request.Headers, name)
}

// fetch sums an exchange up.
func (t *telling) fetch(x *exchange) *Fetch {
	l := t.load
	f := &Fetch{
		URL: bounded(x.sent.Request.URL), Method: bounded(x.sent.Request.Method), Destination: t.destination(x), Initiator: initiator(x),
		From: "network", Remote: x.remote(), ThirdParty: t.thirdParty(x), Cookies: []string{},
		Size: max(x.size, 0), Decoded: x.decoded, Start: l.since(x.sent.Timestamp.Float64()),
		Priority: urgency(x.sent.Request.InitialPriority), Redirect: bounded(x.next),
	}
	if x.end > 0 {
		f.Duration = micro(max(x.end-x.sent.Timestamp.Float64(), 0))
	}
	if r := x.response; r != nil {
		f.Status, f.Proto = status(x), proto(r.Protocol)
		// A connection that was made ahead counts as reused for DevTools, but not for who counts requests.
		f.Reused, f.MIME = r.ConnectionReused && l.session.connections[whole(r.ConnectionID)], bounded(r.MimeType)
		f.From = from(x)
		if f.From == "cache" {
			f.Remote, f.Reused, f.Size = "", false, 0
		}
		if f.Remote != "" {
			f.Connection = connectionName(r)
		}
		if l.options.Ends != nil && f.Remote != "" {
			if e := l.options.Ends(whole(r.ConnectionID)); e.Remote == f.Remote {
				f.Local = e.Local
			}
		}
		f.timings(x)
	} else if x.answer != nil {
		f.Status = int(x.answer.StatusCode)
	}
	switch {
	case x.failed != nil:
		f.Error = failureOf(x)
	case !x.ended():
		f.Error = &Failure{Phase: phaseResponse, Message: "not done in time", Meaning: "the action was over before the response was"}
	}
	if x.question != nil {
		for _, c := range x.question.AssociatedCookies {
			if c != nil && c.Cookie != nil && len(c.BlockedReasons) == 0 && len(f.Cookies) < maxCookies {
				f.Cookies = append(f.Cookies, bounded(c.Cookie.Name))
			}
		}
	}
	return f
}

// timings fills in the phases, which DevTools give in milliseconds from the moment of the request; -1: there was none.
func (f *Fetch) timings(x *exchange) {
	t := x.response.Timing
	if t == nil || x.cached { // the times of a response in memory are those of its first coming
		return
	}
	length := func(from, to float64) float64 {
		if from < 0 || to < from {
			return 0
		}
		return micro((to - from) / 1e3)
	}
	first := t.SendStart
	for _, at := range []float64{t.DNSStart, t.ConnectStart} {
		if at >= 0 && at < first {
			first = at
		}
	}
	f.Queued = micro(max(t.RequestTime-x.sent.Timestamp.Float64()+max(first, 0)/1e3, 0))
	f.Lookup = length(t.DNSStart, t.DNSEnd)
	f.TLS = length(t.SslStart, t.SslEnd)
	f.Connect = micro(max(length(t.ConnectStart, t.ConnectEnd)-f.TLS, 0))
	if x.end > 0 {
		f.Receive = micro(max(x.end-x.first(), 0))
	}
	f.TTFB = length(t.SendEnd, cmp.Or(t.ReceiveHeadersStart, t.ReceiveHeadersEnd))
}

// status is that of the response as the page has it.
func status(x *exchange) int {
	if x.response.Status == 304 && from(x) == "revalidated" {
		return 200 // the page's memory had it, and has asked the server itself
	}
	if x.response.Status < 0 || x.response.Status > 999 {
		return 0
	}
	return int(x.response.Status)
}

// from says where the response's body came from.
func from(x *exchange) string {
	switch {
	case (x.response.Status == 304 || x.answer != nil && x.answer.StatusCode == 304) && !scripted(x):
		return "revalidated"
	case x.cached || x.response.FromDiskCache || x.response.FromPrefetchCache:
		return "cache"
	}
	return "network"
}

// scripted says that a script makes the request, which may have fields of its own and then sees a 304 itself.
func scripted(x *exchange) bool {
	return x.response.Status == 304 && (x.sent.Type == network.ResourceTypeXHR || x.sent.Type == network.ResourceTypeFetch)
}

// proto is a protocol's name as events have it.
func proto(name string) string {
	switch name {
	case "http/1.0", "http/1.1":
		return strings.ToUpper(name)
	case "h2":
		return protoTwo
	case "h3":
		return "HTTP/3.0"
	}
	return bounded(name)
}

const protoTwo = "HTTP/2"

// initiator is the document, style sheet or script that led to a request; empty: nothing did, or it is not told.
func initiator(x *exchange) string {
	i := x.sent.Initiator
	switch {
	case i == nil:
		return ""
	case i.URL != "":
		return bounded(i.URL)
	case i.Stack != nil && len(i.Stack.CallFrames) > 0 && i.Stack.CallFrames[0] != nil:
		return bounded(i.Stack.CallFrames[0].URL)
	}
	return ""
}

// urgency is a priority of Chromium's as RFC 9218 counts: that which a request begins with. Chromium
// may raise it while the request waits, when it has seen that the answer is shown at the top of the page: its field Priority tells.
func urgency(p network.ResourcePriority) int {
	switch p {
	case network.ResourcePriorityVeryHigh:
		return 0
	case network.ResourcePriorityHigh:
		return 1
	case network.ResourcePriorityMedium:
		return 2
	case network.ResourcePriorityVeryLow:
		return 4
	}
	return 3
}

// event is the fetch as an event.
func (t *telling) event(f *Fetch, x *exchange) event.HTTPFetch {
	e := event.HTTPFetch{
		Page: t.top(x), URL: f.URL, Method: f.Method, Destination: f.Destination, Initiator: f.Initiator, Priority: f.Priority,
		Status: f.Status, Proto: f.Proto, MIME: f.MIME, Redirect: f.Redirect, From: f.From, Local: f.Local, Remote: f.Remote,
		Connection: f.Connection, Reused: f.Reused, ThirdParty: f.ThirdParty, Start: f.Start, Queued: f.Queued, Lookup: f.Lookup,
		Connect: f.Connect, TLS: f.TLS, Wait: f.TTFB, Receive: f.Receive, Size: f.Size, Decoded: f.Decoded,
	}
	if x.response != nil && x.response.Timing != nil {
		e.Send = micro(max(x.response.Timing.SendEnd-x.response.Timing.SendStart, 0) / 1e3)
	}
	if f.Error != nil {
		e.Failed, e.Error = f.Error.Phase, f.Error.Message
	}
	return e
}
