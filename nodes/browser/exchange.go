package browser

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"scenario/event"
	"scenario/host/errno"
	"scenario/nodes/browser/cookie"
	"scenario/nodes/browser/policy"
	"scenario/nodes/browser/transport"
	"scenario/nodes/browser/weburl"
)

// response is what a reader of a response's body gets.
type response struct {
	url    *weburl.URL
	status int
	header http.Header
	proto  string
	first  time.Time // when its first byte came
	wire   *counter  // the body as it came
	body   io.ReadCloser
	from   string // network, cache or revalidated

	decoded *int64  // bytes of the body behind its codings, so far
	coding  *string // the codings
}

// counter counts what is read and knows when it was all.
type counter struct {
	from io.Reader
	want int64 // -1: not known
	n    int64
	done bool
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	if err == io.EOF || c.want >= 0 && c.n >= c.want {
		c.done = true
	}
	return n, err
}

// discard reads the body without keeping it; more than limit bytes are an error, unless it is negative.
func (r *response) discard(limit int64) error {
	if limit < 0 {
		_, err := io.Copy(io.Discard, r.body)
		return err
	}
	n, err := io.Copy(io.Discard, io.LimitReader(r.body, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("the body is larger than %d bytes", limit)
	}
	return err
}

// keep reads the body and returns its first limit bytes.
func (r *response) keep(limit int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r.body, limit))
	if err != nil {
		return nil, err
	}
	return text, r.discard(-1)
}

// exchange is one request on a connection and its response.
type exchange struct {
	visit   *visit
	request *request
	lease   *transport.Lease
	cookies []cookie.Sent
	held    []cookie.Withheld
	begun   time.Time
	resp    *transport.Response
	body    *counter
	coding  string
	event   context.Context // of the http.request event
}

// exchange sends r over a connection, and over another one where the server had closed that meanwhile. take is given the
// response; what it returns ends the exchange.
func (v *visit) exchange(ctx context.Context, r *request, take func(context.Context, *exchange) error) (phase string, err error) {
	for {
		lease, err := v.acquire(ctx, r)
		if err != nil {
			return "", err
		}
		x := &exchange{visit: v, request: r, lease: lease, event: ctx}
		phase, err = x.run(ctx, take)
		stale := err != nil && x.resp == nil && ctx.Err() == nil && lease.Stale(err)
		lease.Release()
		if !stale {
			return phase, err
		}
		r.place = v.reserve(r)
	}
}

// reserve takes the place in line of r's address.
func (v *visit) reserve(r *request) *transport.Place {
	return v.session.transport.Reserve(r.url, v.partition(r), r.result.Priority)
}

// acquire waits for a connection and notes what that took.
func (v *visit) acquire(ctx context.Context, r *request) (*transport.Lease, error) {
	place := r.place
	r.place = nil
	lease, err := v.session.transport.Acquire(ctx, place)
	f := r.result
	f.Queued += place.Timing.Queued.Seconds()
	f.Lookup += place.Timing.Lookup.Seconds()
	f.Connect += place.Timing.Connect.Seconds()
	f.TLS += place.Timing.TLS.Seconds()
	if place.Remote != "" {
		f.Remote = place.Remote
	}
	v.mu.Lock()
	v.result.Lookups += place.Lookups
	v.result.Connections += place.Opened
	v.mu.Unlock()
	if err != nil {
		return nil, err
	}
	f.Local, f.Remote, f.Proto, f.Connection = lease.Local, lease.Remote, lease.Proto, lease.ID
	f.Reused, f.CachedLookup = lease.Reused, lease.CachedLookup
	return lease, nil
}

// run sends the request and has the response taken, and says both.
func (x *exchange) run(ctx context.Context, take func(context.Context, *exchange) error) (phase string, err error) {
	r := x.request
	phase = phaseRequest
	request := &transport.Request{
		Method: r.method, Fields: x.fields(ctx, r.conditions()), Body: r.body, Incremental: policy.Incremental(r.destination),
		Sending: func(head transport.Head) { x.sending(ctx, head) },
		Interim: func(status int, h http.Header) { x.visit.interim(x.event, r, status, h) },
	}
	x.begun = time.Now()
	x.resp, err = x.lease.Send(ctx, request)
	if err == nil {
		phase = phaseResponse
		r.result.Status, r.result.Proto = x.resp.Status, x.resp.Proto
		r.result.MIME = policy.MIMEType(x.resp.Header)
		r.result.TTFB = x.resp.First.Sub(x.begun).Seconds()
		x.body = &counter{from: x.resp.Body, want: x.resp.Length}
		x.storeCookies()
		if err = take(x.event, x); says(err) {
			err = fmt.Errorf("response from %s: %w", x.lease.Remote, err)
		}
		r.result.Size = x.body.n
		r.result.Receive = time.Since(x.resp.First).Seconds()
	}
	x.received(ctx, phase, err)
	return phase, err
}

// says that an error does not name the server yet, and is one of its making.
func says(err error) bool {
	known := errors.As(err, new(*policy.Refusal)) || errors.As(err, new(*transport.Error))
	return err != nil && !known && !errors.Is(err, errAgain) && !errors.Is(err, errEnough) && !errors.Is(err, errTooManyRedirects)
}

// drain reads what is left of the body, so that the connection can be used again; much of it is not worth it.
func (x *exchange) drain() error {
	_, err := io.CopyN(io.Discard, x.body, maxDrained)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// maxDrained is how much of a body that nobody wants is read, in bytes.
const maxDrained = 64 << 10

// fields are the fields of the request, in Chromium's order, after those of the connection.
func (x *exchange) fields(ctx context.Context, extra []policy.Field) []transport.Field {
	v, r := x.visit, x.request
	if r.own == nil {
		r.own = r.ownFields(v.settings)
	}
	fields := make([]transport.Field, 0, len(r.own)+len(extra)+1)
	for _, f := range extra {
		if f.Name == "Cache-Control" || f.Name == "Pragma" {
			fields = append(fields, transport.Field(f))
		}
	}
	fields = append(fields, r.own...)
	if r.withCookies() {
		for _, gone := range v.session.jar.Expire(time.Now()) {
			v.tellStored(ctx, r, gone)
		}
		x.cookies, x.held = v.session.jar.Send(time.Now(), v.cookieRequest(r))
		if field := cookie.Header(x.cookies); field != "" {
			fields = append(fields, transport.Field{Name: "Cookie", Value: field})
		}
	}
	for _, f := range extra {
		if f.Name != "Cache-Control" && f.Name != "Pragma" {
			fields = append(fields, transport.Field(f))
		}
	}
	return fields
}

// ownFields are the fields that depend on the request alone, and not on what the browser keeps.
func (r *request) ownFields(set settings) []transport.Field {
	fields := make([]transport.Field, 0, 12+len(r.fields))
	add := func(name, value string) {
		if value != "" {
			fields = append(fields, transport.Field{Name: name, Value: value})
		}
	}
	given := func(name string) bool { // what a script sets goes before what the browser would
		return slices.ContainsFunc(r.fields, func(f policy.Field) bool { return http.CanonicalHeaderKey(f.Name) == name })
	}
	add("Origin", r.origin())
	for _, f := range r.fields {
		add(f.Name, f.Value)
	}
	if r.mode == policy.Navigate {
		add("Upgrade-Insecure-Requests", "1")
	}
	if !given("User-Agent") {
		add("User-Agent", set.userAgent)
	}
	if !given("Accept") {
		add("Accept", r.accept())
	}
	if r.hints.Prefetch {
		add("Sec-Purpose", "prefetch")
	}
	for _, f := range r.secFetch(set.storageAccess()).Fields() {
		add(f.Name, f.Value)
	}
	add("Referer", r.referrer())
	switch {
	case given("Accept-Encoding"):
	case given("Range"): // a part of a coded body cannot be decoded
		add("Accept-Encoding", "identity")
	default:
		add("Accept-Encoding", policy.AcceptEncoding(r.url.Secure()))
	}
	if !given("Accept-Language") {
		add("Accept-Language", "en")
	}
	return fields
}

// sending says that the request goes on the wire, and the cookies with it.
func (x *exchange) sending(ctx context.Context, head transport.Head) {
	v, r := x.visit, x.request
	body := r.body[:min(len(r.body), v.settings.logBody)]
	shown, base, truncated := raw([]byte(head.Text), body, int64(len(r.body)))
	x.event = event.Begin(ctx, v.log, event.HTTPRequest{
		Side: event.SideClient, Local: x.lease.Local, Remote: x.lease.Remote, Method: r.method, URL: r.result.URL,
		Proto: x.lease.Proto, Host: r.url.Host(), UserAgent: v.settings.userAgent, Cookie: cookie.Header(x.cookies),
		Reused: x.lease.Reused, Stream: head.Stream, HeaderBytes: head.Bytes, HeaderPlain: head.Plain,
		Raw: shown, RawBase64: base, Truncated: truncated,
	})
	x.begun = time.Now()
	_, r.sent = event.Cause(x.event)
	r.result.Cookies = r.result.Cookies[:0]
	for _, sent := range x.cookies {
		r.result.Cookies = append(r.result.Cookies, sent.Name)
		event.Emit(x.event, v.log, event.CookieSend{
			URL: r.result.URL, Name: sent.Name, Value: sent.Value, Partition: sent.Cookie.Partition.TopSite, Reason: sent.Reason,
			ThirdParty: r.result.ThirdParty,
		})
	}
	for _, w := range x.held {
		event.Emit(x.event, v.log, event.CookieBlock{URL: r.result.URL, Name: w.Cookie.Name, Op: "send", Reason: w.Reason})
	}
}

// storeCookies puts what the response sets into the jar and says what became of it.
func (x *exchange) storeCookies() {
	v, r := x.visit, x.request
	if !r.withCookies() {
		return
	}
	from := v.cookieRequest(r)
	for _, field := range x.resp.Header.Values("Set-Cookie") {
		change := v.session.jar.Store(time.Now(), from, field)
		switch change.Kind {
		case cookie.Refused:
			event.Emit(x.event, v.log, event.CookieBlock{URL: r.result.URL, Name: change.Cookie.Name, Op: "store", Reason: change.Reason})
		case cookie.New, cookie.Replaced, cookie.Deleted:
			v.tellStored(x.event, r, change)
		}
		for _, gone := range change.Evicted {
			v.tellStored(x.event, r, gone)
		}
	}
}

func (v *visit) tellStored(ctx context.Context, r *request, change cookie.Change) {
	e := stored(change)
	e.URL, e.ThirdParty = r.result.URL, r.result.ThirdParty
	event.Emit(ctx, v.log, e)
}

// received says what came of the response, err being what ended it early.
func (x *exchange) received(ctx context.Context, phase string, err error) {
	r := x.request
	e := event.HTTPResponse{
		Side: event.SideClient, Local: x.lease.Local, Remote: x.lease.Remote, Method: r.method, URL: r.result.URL,
		TTFB: r.result.TTFB, Duration: time.Since(x.begun).Seconds(),
	}
	raws := x.lease.Raw()
	e.Raw, e.RawBase64, e.Truncated = raw(raws.Head, raws.Body, raws.Total)
	if x.resp != nil {
		e.Status, e.Proto, e.Stream = x.resp.Status, x.resp.Proto, x.resp.Stream
		e.HeaderBytes, e.HeaderPlain = x.resp.HeaderBytes, x.resp.HeaderPlain
		e.ContentType = x.resp.Header.Get("Content-Type")
		e.Location = x.resp.Header.Get("Location")
		e.Coding, e.Size = x.coding, x.body.n
		if x.coding != "" {
			e.Decoded = r.result.Decoded
		}
	}
	if err != nil {
		e.Error = err.Error()
	}
	if name := errno.Name(err); name != "" && ctx.Err() == nil {
		op := "read"
		if phase == phaseRequest {
			op = "write"
		}
		event.Emit(x.event, x.visit.log, event.SocketError{
			Network: "tcp", Op: op, Local: e.Local, Remote: e.Remote,
			Errno: name, Error: err.Error(), Meaning: errno.Meaning(err), Duration: e.Duration,
		})
	}
	event.Emit(x.event, x.visit.log, e)
}
