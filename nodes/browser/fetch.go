package browser

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"scenario/nodes/browser/weburl"

	"scenario/event"
	"scenario/host/errno"
	"scenario/nodes/browser/cookie"
	"scenario/nodes/client/sock"
)

// request is one request of a page load. Only the goroutine that fetches it writes its result.
type request struct {
	number   int // among those of the visit
	url      *weburl.URL
	document *document // that needs it; nil: the page itself
	ticket   *ticket   // its place in the pool
	found    time.Time
	optional bool // nobody named it, so it may be missing
	result   *Fetch
}

// request makes a request and notes it in the result of the visit.
func (v *visit) request(u *weburl.URL, destination string, d *document) *request {
	r := &request{url: u, document: d, found: time.Now(), result: &Fetch{
		URL: u.Bare(), Destination: destination, Start: v.since(), Cookies: []string{},
	}}
	r.result.ThirdParty = v.cookieRequest(r).ThirdParty()
	v.mu.Lock()
	r.number = len(v.result.Requests)
	v.result.Requests = append(v.result.Requests, r.result)
	v.mu.Unlock()
	return r
}

// rank orders the requests that wait for a connection: what decides how the page looks goes first.
func (r *request) rank() int {
	switch r.result.Destination {
	case destDocument, destStyle:
		return 0
	case destScript, destFont:
		return 1
	case destFrame:
		return 2
	case destImage:
		return 3
	case destIcon:
		return 5
	}
	return 4
}

// cookieRequest is r as the cookie jar sees it.
func (v *visit) cookieRequest(r *request) cookie.Request {
	c := cookie.Request{Scheme: r.url.Scheme(), Host: r.url.Hostname(), Path: r.url.Path()}
	if r.document != nil {
		v.mu.Lock()
		c.Top = cookie.Origin{Scheme: v.top.Scheme(), Host: v.top.Hostname()}
		v.mu.Unlock()
	}
	return c
}

// response is what a reader of a response's body gets.
type response struct {
	url    *weburl.URL
	status int
	header http.Header
	first  time.Time // when its first byte came
	body   *counter
}

// redirect is where the response sends the browser; nil: nowhere.
func (r *response) redirect() *weburl.URL {
	switch r.status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil
	}
	location := r.header.Get("Location")
	if location == "" {
		return nil
	}
	u, err := r.url.Parse(location)
	if err != nil || !u.Web() || u.Hostname() == "" {
		return nil
	}
	return u
}

// discard reads the body without keeping it; more than limit bytes are an error, unless it is negative.
func (r *response) discard(limit int64) error {
	if limit < 0 {
		_, err := io.Copy(io.Discard, r.body)
		return err
	}
	n, err := io.Copy(io.Discard, io.LimitReader(r.body, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("the body of a redirect is larger than %d bytes", limit)
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

// fetch sends r and has its response's body read. Whatever goes wrong stands in the result.
func (v *visit) fetch(ctx context.Context, r *request, read func(*response) error) {
	phase, err := v.attempt(ctx, r, read)
	if err != nil {
		r.result.Error = failure(ctx, phase, err, v.settings.timeout)
	}
	r.result.Duration = time.Since(r.found).Seconds()
	if !r.optional && (err != nil || r.result.Status >= 400) {
		v.mu.Lock()
		v.result.Failed++
		v.mu.Unlock()
	}
}

// attempt sends r on a connection of the pool, and on another one where the server had closed that meanwhile.
func (v *visit) attempt(ctx context.Context, r *request, read func(*response) error) (phase string, err error) {
	for {
		c, phase, err := v.connection(ctx, r)
		if err != nil {
			return phase, err
		}
		x := &exchange{visit: v, request: r, conn: c, reused: c.uses > 0}
		c.uses++
		if phase, err = x.run(ctx, read); !x.stale(ctx, err) {
			return phase, err
		}
		r.ticket = v.pool.reserve(c.origin, r.rank())
	}
}

// connection waits for a connection that is free, or makes one.
func (v *visit) connection(ctx context.Context, r *request) (c *conn, phase string, err error) {
	begun := time.Now()
	c, err = v.pool.wait(ctx, r.ticket)
	for err == nil && c != nil && c.unasked() {
		c.close(byLocal, "data came that nobody asked for")
		v.pool.drop(c.origin)
		r.ticket = v.pool.reserve(c.origin, r.rank())
		c, err = v.pool.wait(ctx, r.ticket)
	}
	v.turn(r) // others had to wait too
	r.result.Queued += time.Since(begun).Seconds()
	if err != nil {
		return nil, phaseConnect, err
	}
	if c == nil {
		if c, phase, err = v.connect(ctx, r); err != nil {
			v.pool.drop(r.ticket.origin)
			return nil, phase, err
		}
	}
	r.result.Reused = c.uses > 0
	r.result.Local, r.result.Remote = c.local, c.remote
	return c, "", nil
}

// connect looks the host up and connects to its addresses in order until one answers.
func (v *visit) connect(ctx context.Context, r *request) (c *conn, phase string, err error) {
	if r.url.Scheme() == "https" {
		return nil, phaseConnect, errHTTPS
	}
	begun := time.Now()
	answer, err := v.resolve(ctx, r.url.Hostname())
	v.turn(r) // others had to wait for the same answer
	r.result.Lookup = time.Since(begun).Seconds()
	if err != nil {
		return nil, phaseLookup, err
	}
	r.result.CachedLookup = answer.Cached

	begun = time.Now()
	defer func() { r.result.Connect = time.Since(begun).Seconds() }()
	var telling error
	for _, addr := range answer.Addrs {
		to := netip.AddrPortFrom(addr, r.url.PortNumber())
		nc, err := v.dial(ctx, to)
		if err == nil {
			v.mu.Lock()
			v.result.Connections++
			v.mu.Unlock()
			return v.pool.adopt(ctx, nc, r.ticket.origin, v.log, v.settings.logBody), "", nil
		}
		// An address of a family that this machine does not have says little about the server.
		if telling == nil || errno.Name(telling) == "ENETUNREACH" {
			telling = err
			r.result.Remote = to.String()
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, phaseConnect, telling
}

// dial makes one connection and says so, or why it could not.
func (v *visit) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	dialCtx, cancel := context.WithTimeout(ctx, v.settings.connectTimeout)
	defer cancel()
	begun := time.Now()
	nc, err := v.host.Dial(dialCtx, "tcp", to.String())
	took := time.Since(begun).Seconds()
	if err != nil {
		event.Emit(ctx, v.log, event.SocketError{
			Network: "tcp", Op: "connect", Remote: to.String(),
			Errno: errno.Name(err), Error: err.Error(), Meaning: errno.Meaning(err), Duration: took,
		})
		return nil, err // which names the address
	}
	event.Emit(ctx, v.log, sock.Connected(v.host, nc, took))
	return nc, nil
}

// exchange is one request on a connection and its response.
type exchange struct {
	visit   *visit
	request *request
	conn    *conn
	reused  bool
	begun   time.Time
	first   time.Time // byte of the response; zero: none came
	resp    *http.Response
	size    int64
}

// stale says that the server closed the connection before it saw the request, so that it can be sent again.
func (x *exchange) stale(ctx context.Context, err error) bool {
	return err != nil && x.reused && x.first.IsZero() && ctx.Err() == nil
}

// run sends the request, has the response read and gives the connection back.
func (x *exchange) run(ctx context.Context, read func(*response) error) (phase string, err error) {
	v, r, c := x.visit, x.request, x.conn
	interrupts := context.AfterFunc(ctx, c.interrupt)
	ctx, text := x.send(ctx)
	x.begun = time.Now()
	x.resp, x.first, phase, err = c.roundTrip(text)
	if err == nil {
		r.result.Status = x.resp.StatusCode
		r.result.TTFB = x.first.Sub(x.begun).Seconds()
		x.storeCookies(ctx)
		body := &counter{from: x.resp.Body, want: x.resp.ContentLength}
		err = read(&response{url: r.url, status: x.resp.StatusCode, header: x.resp.Header, first: x.first, body: body})
		if err != nil {
			err = fmt.Errorf("response from %s: %w", c.remote, err)
		}
		x.size, r.result.Size = body.n, body.n
	}
	x.received(ctx, phase, err)
	whole := interrupts() && err == nil
	switch {
	case whole && !x.resp.Close && !c.tap.eof:
		c.again()
		v.pool.put(c)
		return "", nil
	case c.tap.eof || errno.Name(err) == "ECONNRESET":
		c.close(byRemote, "")
	case whole:
		c.close(byLocal, "the response says that the connection ends with it")
	case err != nil:
		c.close(byLocal, "the exchange failed")
	default:
		c.close(byLocal, "the page load was stopped")
	}
	v.pool.drop(c.origin)
	return phase, err
}

// send writes the request down and says so, together with its cookies. The bytes are those that go on the wire next.
func (x *exchange) send(ctx context.Context) (context.Context, []byte) {
	v, r, c := x.visit, x.request, x.conn
	for _, gone := range v.jar.Expire(time.Now()) {
		v.tellStored(ctx, r, string(gone.Kind), gone.Cookie)
	}
	cookies, withheld := v.jar.Send(time.Now(), v.cookieRequest(r))
	field := cookie.Header(cookies)
	text := x.head(field)
	shown, base, _ := raw(text, nil, 0)
	ctx = event.Begin(ctx, v.log, event.HTTPRequest{
		Side: event.SideClient, Local: c.local, Remote: c.remote, Method: http.MethodGet, URL: r.result.URL, Proto: "HTTP/1.1",
		Host: r.url.Host(), UserAgent: v.settings.userAgent, Cookie: field, Reused: x.reused, Raw: shown, RawBase64: base,
	})
	r.result.Cookies = r.result.Cookies[:0]
	for _, sent := range cookies {
		r.result.Cookies = append(r.result.Cookies, sent.Name)
		event.Emit(ctx, v.log, event.CookieSend{URL: r.result.URL, Name: sent.Name, Value: sent.Value, ThirdParty: r.result.ThirdParty})
	}
	for _, w := range withheld {
		event.Emit(ctx, v.log, event.CookieBlock{URL: r.result.URL, Name: w.Cookie.Name, Op: "send", Reason: w.Reason})
	}
	return ctx, text
}

// head is the request as it goes on the wire, with the fields that browsers send, in a fixed order.
func (x *exchange) head(cookies string) []byte {
	v, r := x.visit, x.request
	target := r.url.Target()
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\n", target)
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	field("Host", r.url.Host())
	field("User-Agent", v.settings.userAgent)
	field("Accept", accept(r.result.Destination))
	field("Accept-Language", "en")
	field("Connection", "keep-alive")
	field("Cookie", cookies)
	if r.document != nil {
		field("Referer", referrer(r.document.url, r.url))
	}
	if r.result.Destination == destDocument || r.result.Destination == destFrame {
		field("Upgrade-Insecure-Requests", "1")
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}

func accept(destination string) string {
	switch destination {
	case destDocument, destFrame:
		return "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	case destStyle:
		return "text/css,*/*;q=0.1"
	case destImage, destIcon:
		return "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
	}
	return "*/*"
}

// storeCookies puts what the response sets into the jar and says what became of it.
func (x *exchange) storeCookies(ctx context.Context) {
	v, r := x.visit, x.request
	from := v.cookieRequest(r)
	for _, field := range x.resp.Header.Values("Set-Cookie") {
		change := v.jar.Store(time.Now(), from, field)
		switch change.Kind {
		case cookie.Refused:
			event.Emit(ctx, v.log, event.CookieBlock{URL: r.result.URL, Name: change.Cookie.Name, Op: "store", Reason: change.Reason})
		case cookie.New, cookie.Replaced, cookie.Deleted:
			v.tellStored(ctx, r, string(change.Kind), change.Cookie)
		}
	}
}

func (v *visit) tellStored(ctx context.Context, r *request, change string, c cookie.Cookie) {
	e := stored(change, c)
	e.URL, e.ThirdParty = r.result.URL, r.result.ThirdParty
	event.Emit(ctx, v.log, e)
}

// received says what came of the response, err being what ended it early.
func (x *exchange) received(ctx context.Context, phase string, err error) {
	r, c := x.request, x.conn
	e := event.HTTPResponse{
		Side: event.SideClient, Local: c.local, Remote: c.remote, Method: http.MethodGet, URL: r.result.URL,
		Size: x.size, TTFB: r.result.TTFB, Duration: time.Since(x.begun).Seconds(),
	}
	e.Raw, e.RawBase64, e.Truncated = raw(c.tap.head, c.tap.body, c.tap.bodyTotal)
	if x.resp != nil {
		e.Status = x.resp.StatusCode
		e.ContentType = x.resp.Header.Get("Content-Type")
		e.Location = x.resp.Header.Get("Location")
	}
	if err != nil {
		e.Error = err.Error()
	}
	if name := errno.Name(err); name != "" && ctx.Err() == nil {
		op := "read"
		if phase == phaseRequest {
			op = "write"
		}
		event.Emit(ctx, x.visit.log, event.SocketError{
			Network: "tcp", Op: op, Local: c.local, Remote: c.remote,
			Errno: name, Error: err.Error(), Meaning: errno.Meaning(err), Duration: e.Duration,
		})
	}
	event.Emit(ctx, x.visit.log, e)
}
