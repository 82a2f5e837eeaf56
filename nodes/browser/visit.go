package browser

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"scenario/nodes/browser/weburl"

	"scenario/dnsd/stub"
	"scenario/event"
	"scenario/host"
	"scenario/nodes/browser/cookie"
)

// Bounds of one page load.
const (
	maxRedirects = 20
	maxAssets    = 500
	maxFrames    = 32
	maxDepth     = 3        // of frames in frames
	maxPage      = 16 << 20 // bytes of the page
	maxFrame     = 1 << 20  // bytes of a frame's document
	maxSheet     = 1 << 20  // bytes of a style sheet that are searched
	maxAddress   = 8 << 10  // bytes of an address in a page
	maxDiscard   = 1 << 20  // bytes of a redirect's body
)

// visit is one page load.
type visit struct {
	host     host.Host
	log      *slog.Logger
	resolver Resolver
	jar      *cookie.Jar
	pool     *pool
	settings settings
	start    time.Time
	pending  sync.WaitGroup // requests for assets

	mu      sync.Mutex
	top     *weburl.URL // the page in the address bar, so far
	result  Result
	seen    map[string]bool
	frames  map[string]*document // by the URL that names them
	nFrames int
	lookups map[string]*lookup
}

// lookup is a question that is being asked for several requests.
type lookup struct {
	done   chan struct{}
	answer stub.Answer
	err    error
}

func newVisit(h host.Host, s *session, connections *pool, set settings) *visit {
	return &visit{
		host: h, log: h.Log(), resolver: s.resolver, jar: s.jar, pool: connections, settings: set, start: time.Now(),
		result:  Result{Requests: []*Fetch{}, CookiesSent: []string{}},
		seen:    make(map[string]bool),
		frames:  make(map[string]*document),
		lookups: make(map[string]*lookup),
	}
}

func (v *visit) since() float64 { return time.Since(v.start).Seconds() }

func (v *visit) milestone(name string, u *weburl.URL, detail string) event.PageMilestone {
	return event.PageMilestone{Milestone: name, URL: u.String(), Detail: detail, Since: v.since()}
}

// open loads the page at address, as far as ctx lets it.
func (v *visit) open(ctx context.Context, address string) *Result {
	u, err := typed(address)
	if err != nil {
		v.result.URL = address
		v.result.Error = &Failure{Phase: phaseURL, Message: err.Error(), Meaning: "the address does not say where to go"}
		ctx = event.Begin(ctx, v.log, event.PageMilestone{Milestone: "url", URL: address, Detail: err.Error()})
		v.finish(ctx)
		return &v.result
	}
	ctx = event.Begin(ctx, v.log, v.milestone("url", u, portDetail(u)))
	page := newDocument(v)
	v.navigate(ctx, u, page)
	v.pending.Wait()
	v.result.Duration = v.since()
	ending := "page complete"
	switch {
	case v.result.Error != nil:
		ending = "page load failed"
	case ctx.Err() != nil: // assets are missing
		ending = "page load stopped"
		event.Emit(ctx, v.log, v.milestone("load", page.url, fmt.Sprintf("stopped after %.3g s", v.result.Duration)))
	default:
		event.Emit(ctx, v.log, v.milestone("load", page.url, ""))
	}
	if !v.settings.keep {
		v.pool.close(ending)
	}
	if page.url != nil {
		v.result.Title, v.result.Text, v.result.DOM = page.shown(v.frames)
	}
	v.finish(ctx)
	return &v.result
}

// navigate requests the page, and where it was moved the next one, until one is read.
func (v *visit) navigate(ctx context.Context, u *weburl.URL, page *document) {
	for {
		v.mu.Lock()
		v.top = u
		v.seen[u.Bare()] = true
		v.mu.Unlock()
		r := v.request(u, destDocument, nil)
		r.ticket = v.pool.reserve(origin(u), r.rank())
		var next *weburl.URL
		v.fetch(ctx, r, func(resp *response) error {
			if next = resp.redirect(); next != nil {
				return resp.discard(maxDiscard)
			}
			page.url, page.base = u, u
			event.Emit(ctx, v.log, event.PageMilestone{
				Milestone: "first_byte", URL: u.String(), Detail: fmt.Sprintf("status %d", resp.status),
				Since: resp.first.Sub(v.start).Seconds(),
			})
			return page.read(ctx, resp, maxPage)
		})
		v.result.URL, v.result.Status, v.result.Error = u.String(), r.result.Status, r.result.Error
		for _, name := range r.result.Cookies {
			if !slices.Contains(v.result.CookiesSent, name) {
				v.result.CookiesSent = append(v.result.CookiesSent, name)
			}
		}
		if next == nil || r.result.Error != nil {
			return
		}
		if v.result.Redirects == maxRedirects {
			v.result.Error = errTooManyRedirects()
			return
		}
		v.result.Redirects++
		event.Emit(ctx, v.log, v.milestone("redirect", next, fmt.Sprintf("%d from %s", r.result.Status, u.Bare())))
		u = next
	}
}

func errTooManyRedirects() *Failure {
	return &Failure{
		Phase: phaseResponse, Message: fmt.Sprintf("more than %d redirects", maxRedirects),
		Meaning: "the servers send the browser from one address to the next without end",
	}
}

// want requests what a document or style sheet names, once for each address. ctx is that of the event that led to it;
// from is the document or style sheet, nil for what no one names.
func (v *visit) want(ctx context.Context, d *document, ref reference, base, from *weburl.URL) {
	if len(ref.address) > maxAddress {
		return
	}
	u, err := base.Parse(ref.address)
	if err != nil || !u.Web() || u.Hostname() == "" || !v.admit(u, ref.destination, d) {
		return
	}
	r := v.request(u, ref.destination, d)
	r.result.Initiator = browserItself
	if from != nil {
		r.result.Initiator = from.Bare()
	}
	r.optional = from == nil
	ctx = event.Begin(ctx, v.log, event.HTMLAsset{
		Page: d.url.Bare(), URL: r.result.URL, Destination: ref.destination, Initiator: r.result.Initiator,
		ThirdParty: r.result.ThirdParty, PageBytes: d.received.Load(), Complete: d.complete.Load(),
	})
	r.ticket = v.pool.reserve(origin(u), r.rank())
	style := ref.destination == destStyle
	if style {
		d.style(ctx, func() { d.open++ })
	}
	v.pending.Go(func() {
		v.turn(r)
		v.load(ctx, d, r)
		if style {
			d.style(ctx, func() { d.open-- })
		}
	})
}

// turn has requests that go on at the same instant do so one after the other, in the order in which they were made.
func (v *visit) turn(r *request) { host.Turn(v.host, fmt.Sprintf("load %06d", r.number)) }

// browserItself is the initiator of what no document names.
const browserItself = "browser"

// admit says that u is to be requested: not a second time, and not beyond the bounds.
func (v *visit) admit(u *weburl.URL, destination string, d *document) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	key := u.Bare()
	if v.seen[key] {
		return false
	}
	frame := destination == destFrame
	if len(v.result.Requests) >= maxAssets || frame && (d.depth >= maxDepth || v.nFrames >= maxFrames) {
		v.result.Skipped++
		return false
	}
	v.seen[key] = true
	if frame {
		v.nFrames++
	}
	return true
}

// load requests an asset and reads it as its destination asks, through redirects.
func (v *visit) load(ctx context.Context, d *document, r *request) {
	named := r.url
	for redirects := 0; ; redirects++ {
		var next *weburl.URL
		v.fetch(ctx, r, func(resp *response) error {
			if next = resp.redirect(); next != nil {
				return resp.discard(maxDiscard)
			}
			switch r.result.Destination {
			case destStyle:
				return v.readSheet(ctx, d, named, resp)
			case destFrame:
				return v.readFrame(ctx, d, named.Bare(), resp)
			}
			return resp.discard(-1)
		})
		if next == nil || r.result.Error != nil {
			return
		}
		if redirects == maxRedirects {
			r.result.Error = errTooManyRedirects()
			return
		}
		from := r
		r = v.request(next, from.result.Destination, d)
		r.result.Initiator, r.optional = from.result.Initiator, from.optional
		r.ticket = v.pool.reserve(origin(next), r.rank())
	}
}

// readSheet reads a style sheet, which d calls named, and requests what it imports.
func (v *visit) readSheet(ctx context.Context, d *document, named *weburl.URL, resp *response) error {
	text, err := resp.keep(maxSheet)
	if err != nil || resp.status >= 300 {
		return err
	}
	d.sheet(ctx, named, resp.url, string(text))
	return nil
}

// readFrame reads the document of a frame, which its parent calls named.
func (v *visit) readFrame(ctx context.Context, parent *document, named string, resp *response) error {
	frame := newDocument(v)
	frame.url, frame.base, frame.depth = resp.url, resp.url, parent.depth+1
	err := frame.read(ctx, resp, maxFrame)
	v.mu.Lock()
	v.frames[named] = frame
	v.mu.Unlock()
	return err
}

// finish sums the page load up when nothing runs any more.
func (v *visit) finish(ctx context.Context) {
	r := &v.result
	for _, f := range r.Requests {
		r.Bytes += f.Size
	}
	r.Cookies = v.jar.Cookies()
	sum := event.PageLoad{
		URL: r.URL, Status: r.Status, Title: r.Title, Requests: len(r.Requests), Failed: r.Failed,
		Connections: r.Connections, Lookups: r.Lookups, Bytes: r.Bytes, Duration: r.Duration,
	}
	if r.Error != nil {
		sum.Error = r.Error.Message
	}
	event.Emit(ctx, v.log, sum)
}

// resolve finds the addresses of a host; requests that ask for the same one at the same time share a lookup, which counts
// once.
func (v *visit) resolve(ctx context.Context, name string) (stub.Answer, error) {
	if addr, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return stub.Answer{Addrs: []netip.Addr{addr}}, nil
	}
	v.mu.Lock()
	l, asked := v.lookups[name]
	if !asked {
		l = &lookup{done: make(chan struct{})}
		v.lookups[name] = l
	}
	v.mu.Unlock()
	if asked {
		select {
		case <-l.done:
			return l.answer, l.err
		case <-ctx.Done():
			return stub.Answer{}, ctx.Err()
		}
	}
	l.answer, l.err = v.resolver.Lookup(ctx, name)
	if l.err == nil && len(l.answer.Addrs) == 0 {
		l.err = fmt.Errorf("lookup %s: the name has no address", name)
	}
	v.mu.Lock()
	delete(v.lookups, name)
	if !l.answer.Cached {
		v.result.Lookups++
	}
	v.mu.Unlock()
	close(l.done)
	return l.answer, l.err
}
