package browser

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/html"

	"scenario/event"
	"scenario/host"
	"scenario/nodes/browser/cache"
	"scenario/nodes/browser/page"
	"scenario/nodes/browser/policy"
	"scenario/nodes/browser/weburl"
	"scenario/nodes/role"
)

// Bounds of one page load.
const (
	maxAssets    = 500
	maxFrames    = 32
	maxDepth     = 3        // of frames in frames
	maxPage      = 16 << 20 // bytes of the page
	maxFrame     = 1 << 20  // bytes of a frame's document
	maxSheet     = 1 << 20  // bytes of a style sheet that are searched
	maxAddress   = 8 << 10  // bytes of an address in a page
	maxDiscard   = 1 << 20  // bytes of a redirect's body
	maxPlain     = 64 << 10 // bytes that are kept of a document that is not HTML
	maxHints     = 16       // connections that are made because a page hints at them
	maxRefreshes = 5
	maxHistory   = 50
	// maxDecoded is how many bytes any body may become when it is decompressed.
	maxDecoded = 256 << 20
	// longestRefresh is how long a page waits before it is replaced by another one, so that this counts to its load.
	longestRefresh = 10 * time.Second
)

// visit is one page load, or what else a person does with the browser.
type visit struct {
	session  *session
	host     host.Host
	log      *slog.Logger
	settings settings
	trace    string // tells visits apart that go on at the same time
	begun    time.Time
	pending  sync.WaitGroup // requests for assets
	spare    sync.WaitGroup // what nothing waits for: connections that may be needed
	sparing  context.Context
	hard     bool // everything is loaded anew

	mu      sync.Mutex
	page    *document // in the address bar; nil: none yet
	result  Result
	seen    map[string]*resource
	frames  map[string]*document // by the URL that names them
	srcdocs map[srcdocKey]*document
	nFrames int
	hints   int
	hinting map[string]bool   // origins that are prepared for, and whether by a connection
	hinted  bool              // there were early hints
	parties map[partyKey]bool // which hosts are third parties
	idle    []func()          // requests that wait until nothing else is requested
}

// srcdocKey names a frame whose document stands in an attribute.
type srcdocKey struct {
	parent *document
	text   string
}

// partyKey names a host that a document asks.
type partyKey struct {
	document *document
	host     string
}

// resource is what a page has asked for.
type resource struct {
	done    bool
	waiters []func() // are called when it is done
}

// tab is a page that is open.
type tab struct {
	page       *document
	navigation navigation // by which it was opened
	status     int
	filled     map[*html.Node][]page.Entry // what a person has written into its forms
}

// navigation is a page that is to be opened.
type navigation struct {
	url       *weburl.URL
	method    string
	body      []byte
	fields    []policy.Field
	from      *document // whose link or form it is; nil: a person typed the address
	referrers policy.ReferrerPolicy
	cacheMode cache.Mode
	form      bool
	hard      bool // what belongs to the page is loaded anew as well
	again     bool // it was open before
	unasked   bool // the page before goes there by itself
}

// begin starts a visit that may take so long; the caller ends it with end and cancel.
func (s *session) begin(ctx context.Context, timeout role.Duration) (*visit, context.Context, context.CancelFunc) {
	set := s.settings
	if timeout > 0 {
		set.timeout = time.Duration(timeout)
	}
	trace, _ := event.Cause(ctx)
	ctx, cancel := context.WithTimeout(ctx, set.timeout)
	return &visit{
		session: s, trace: trace, host: s.host, log: s.log, settings: set, begun: time.Now(),
		result: Result{Requests: []*Fetch{}, CookiesSent: []string{}},
		seen:   make(map[string]*resource), frames: make(map[string]*document), srcdocs: make(map[srcdocKey]*document),
		hinting: make(map[string]bool), parties: make(map[partyKey]bool),
	}, ctx, cancel
}

func (v *visit) since() float64 { return time.Since(v.begun).Seconds() }

// address is that of the page, as far as there is one.
func (v *visit) address() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.page != nil && v.page.url != nil {
		return v.page.url.Bare()
	}
	return v.result.URL
}

// shows says that d is the page in the address bar.
func (v *visit) shows(d *document) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.page == d
}

// reached tells of a milestone.
func (v *visit) reached(ctx context.Context, name string, u *weburl.URL, detail string) {
	m := v.milestone(name, u, detail)
	v.mu.Lock()
	switch name {
	case "first_byte":
		v.result.Milestones.FirstByte = m.Since
	case "parsed":
		v.result.Milestones.Parsed = m.Since
	case "dom_content_loaded":
		v.result.Milestones.DOMContentLoaded = m.Since
	case "load":
		v.result.Milestones.Load = m.Since
	}
	v.mu.Unlock()
	event.Emit(ctx, v.log, m)
}

// open loads a page, as far as ctx lets it.
func (v *visit) open(ctx context.Context, n navigation) *Result {
	var stop context.CancelFunc
	ctx = event.Begin(ctx, v.log, v.milestone("url", n.url, portDetail(n.url)))
	v.sparing, stop = context.WithCancel(ctx)
	var d *document
	for refreshes := 0; ; refreshes++ {
		v.hard = n.hard
		d = v.load(ctx, n)
		next := v.refresh(ctx, d, refreshes)
		if next == nil {
			break
		}
		n = navigation{url: next, method: http.MethodGet, from: d, referrers: d.referrers, cacheMode: cache.Default, unasked: true}
		v.mu.Lock()
		v.page, v.seen, v.result.Milestones = nil, make(map[string]*resource), Milestones{}
		v.result.Redirects++
		v.mu.Unlock()
	}
	stop()
	v.spare.Wait()
	v.result.Duration = v.since()
	ending := "page complete"
	switch {
	case v.result.Error != nil:
		ending = "page load failed"
	case ctx.Err() != nil: // assets are missing
		ending = "page load stopped"
		if !d.told.load {
			event.Emit(ctx, v.log, v.milestone("load", d.url, fmt.Sprintf("stopped after %.3g s", v.result.Duration)))
		}
	}
	if !v.settings.keep {
		v.session.transport.CloseIdle(ending)
	}
	v.show(d)
	v.finish(ctx)
	if d.url != nil {
		v.session.open(&tab{page: d, navigation: n, status: v.result.Status, filled: make(map[*html.Node][]page.Entry)}, n.cacheMode == cache.Default && !n.again)
	}
	return &v.result
}

// load asks for a page and all that belongs to it.
func (v *visit) load(ctx context.Context, n navigation) *document {
	d := v.newDocument(ctx, nil, nil)
	v.navigate(ctx, n, d)
	v.pending.Wait()
	v.mu.Lock()
	idle := v.idle
	v.idle = nil
	v.mu.Unlock()
	for _, begin := range idle {
		begin()
	}
	v.pending.Wait()
	return d
}

// refresh is where the page wants to be replaced by another one, after the time it says; nil: nowhere. A page that only
// loads itself anew, such as one with news, is left alone.
func (v *visit) refresh(ctx context.Context, d *document, before int) *weburl.URL {
	if d.refresh == nil || v.result.Error != nil || before == maxRefreshes || d.refresh.After > longestRefresh {
		return nil
	}
	next, err := d.base.Parse(d.refresh.Address)
	if err != nil || !next.Web() || next.Hostname() == "" || d.refresh.Address == "" || next.Bare() == d.url.Bare() {
		return nil
	}
	select {
	case <-time.After(d.refresh.After):
	case <-ctx.Done():
		return nil
	}
	event.Emit(ctx, v.log, v.milestone("redirect", next, fmt.Sprintf("the page asks for it after %v", d.refresh.After)))
	return next
}

// show puts the page into the result.
func (v *visit) show(d *document) {
	content := d.content()
	v.result.Text = content.Text()
	if d.tree != nil {
		v.result.Title = page.Title(d.tree)
		v.result.DOM = content.DOM()
	}
}

// navigate requests the page, and where it was moved the next one, until one is read.
func (v *visit) navigate(ctx context.Context, n navigation, d *document) {
	o := order{
		destination: policy.Document, mode: policy.Navigate, credentials: policy.IncludeCredentials, cacheMode: n.cacheMode,
		redirects: redirectFollow, referrers: n.referrers, form: n.form, unasked: n.unasked,
	}
	if n.from != nil && n.from.url != nil {
		o.from, o.upgrades, o.initiator = n.from.url, n.from.wantsHTTPS(), n.from.url.Bare()
	}
	if n.method == http.MethodPost && o.cacheMode == cache.Default {
		o.cacheMode = cache.NoCache // a form has changed something, so what it leads to is asked for, as in Chromium
	}
	r := v.request(n.url, o)
	r.method, r.body, r.fields, r.result.Method = n.method, n.body, n.fields, n.method
	v.start(ctx, r)
	for {
		v.mu.Lock()
		v.seen[r.url.Bare()] = &resource{done: true}
		v.mu.Unlock()
		v.fetch(ctx, r, func(ctx context.Context, resp *response) error {
			d.at(r.url)
			v.mu.Lock()
			v.page, v.result.Proto = d, resp.proto
			v.mu.Unlock()
			m := v.milestone("first_byte", r.url, fmt.Sprintf("status %d", resp.status))
			m.Since = resp.first.Sub(v.begun).Seconds()
			v.mu.Lock()
			v.result.Milestones.FirstByte = m.Since
			v.mu.Unlock()
			event.Emit(ctx, v.log, m)
			return d.read(ctx, resp, maxPage)
		})
		v.result.URL, v.result.Status, v.result.Error = r.url.String(), r.result.Status, r.result.Error
		for _, name := range r.result.Cookies {
			if !slices.Contains(v.result.CookiesSent, name) {
				v.result.CookiesSent = append(v.result.CookiesSent, name)
			}
		}
		if r.next == nil || r.result.Error != nil {
			return
		}
		v.result.Redirects++
		from := r
		r = v.follow(from)
		event.Emit(ctx, v.log, v.milestone("redirect", r.url, fmt.Sprintf("%d from %s", from.result.Status, from.url.Bare())))
		v.start(ctx, r)
	}
}

// want requests what a document or style sheet names, once for each address. ctx is that of the event that led to it;
// from is the document or style sheet, nil for what no one names.
func (v *visit) want(ctx context.Context, d *document, ref page.Reference, base, from *weburl.URL) {
	if ref.Far || len(ref.Address) > maxAddress {
		return
	}
	if ref.Srcdoc != nil {
		v.inline(ctx, d, ref)
		return
	}
	u, err := base.Parse(ref.Address)
	if err != nil || !u.Web() || u.Hostname() == "" {
		return
	}
	known, fresh := v.admit(u, ref, d)
	if known == nil {
		return
	}
	style := ref.Destination == page.DestStyle && !ref.Idle
	d.mu.Lock()
	id := d.marks.Add(ref.Delays)
	if style {
		d.styles++
	}
	d.mu.Unlock()
	v.await(known, func() {
		if style {
			d.styled()
		}
		d.done(id)
	})
	if !fresh {
		return
	}
	o := v.orderOf(d, ref, from)
	begin := func() {
		r := v.request(u, o)
		if o.destination == policy.Audio || o.destination == policy.Video {
			r.fields = []policy.Field{{Name: "Range", Value: "bytes=0-"}} // so that the server says whether it has ranges: a player jumps
		}
		ctx := event.Begin(ctx, v.log, event.HTMLAsset{
			Page: d.url.Bare(), URL: r.result.URL, Destination: r.result.Destination, Initiator: r.result.Initiator,
			ThirdParty: r.result.ThirdParty, PageBytes: d.received.Load(), Complete: d.complete.Load(),
		})
		v.start(ctx, r)
		v.pending.Go(func() {
			v.turn(r)
			v.asset(ctx, d, ref, r, u.Bare())
		})
	}
	if ref.Idle {
		v.mu.Lock()
		v.idle = append(v.idle, begin)
		v.mu.Unlock()
		return
	}
	begin()
}

// orderOf is what a reference asks for, and how.
func (v *visit) orderOf(d *document, ref page.Reference, from *weburl.URL) order {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := order{
		destination: policy.Destination(ref.Destination), mode: policy.NoCORS, credentials: policy.IncludeCredentials,
		cacheMode: cache.Default, redirects: redirectFollow, document: d, referrers: d.referrers,
		integrity: policy.ParseIntegrity(ref.Integrity), initiator: browserItself, module: ref.Module, quirks: !d.standards,
		optional: from == nil,
	}
	if v.hard {
		o.cacheMode = cache.Reload
	}
	if from != nil {
		o.initiator = from.Bare()
		if o.initiator != d.url.Bare() {
			o.sheet = from
		}
	}
	if p := policy.ReferrerPolicyAttribute(ref.ReferrerPolicy); p != "" {
		o.referrers = p
	}
	if ref.Destination == page.DestFrameOld {
		o.destination = policy.Frame
	}
	switch {
	case o.destination == policy.Frame, holdsDocument(ref):
		o.mode = policy.Navigate
	case ref.CrossOrigin == "use-credentials":
		o.mode = policy.CORS
	case ref.CrossOrigin != "", o.destination == policy.Font:
		o.mode, o.credentials = policy.CORS, policy.SameOriginOnly
	case o.destination == policy.Manifest:
		o.mode, o.credentials = policy.CORS, policy.Omit
	case o.destination == policy.Track:
		o.mode, o.credentials = policy.SameOrigin, policy.SameOriginOnly
	}
	o.hints = policy.Hints{
		Async: ref.Async || ref.Defer, Late: ref.InBody && d.shown > 0 && !d.unscanned,
		Lazy: ref.Lazy, Preload: ref.Preload, Prefetch: ref.Preload && ref.Idle, Unmatched: ref.Idle && !ref.Preload, Document: holdsDocument(ref), Wish: ref.FetchPriority,
	}
	if o.destination == policy.Image && !ref.Lazy && ref.Element == "img" {
		const inView = 5 // as many as Chromium takes to be seen at once
		d.shown++
		if o.hints.InView = !ref.Small && !d.unscanned && d.large < inView; o.hints.InView {
			d.large++
		}
	}
	return o
}

// holdsDocument says that an embed or object may hold a document, as Chromium has it for all but pictures: it is asked for as
// the document of a frame is.
func holdsDocument(ref page.Reference) bool {
	if ref.Destination != page.DestEmbed && ref.Destination != page.DestObject {
		return false
	}
	kind := strings.ToLower(strings.TrimSpace(ref.Type))
	return !strings.HasPrefix(kind, "image/") || strings.HasPrefix(kind, "image/svg+xml")
}

// chase starts r and fetches it, and what its redirects lead to, and returns the last request.
func (v *visit) chase(ctx context.Context, r *request, read func(context.Context, *request, *response) error) *request {
	v.start(ctx, r)
	return v.run(ctx, r, read)
}

// run fetches r, which was started, and what its redirects lead to, and returns the last request.
func (v *visit) run(ctx context.Context, r *request, read func(context.Context, *request, *response) error) *request {
	for {
		v.fetch(ctx, r, func(ctx context.Context, resp *response) error { return read(ctx, r, resp) })
		if r.next == nil || r.result.Error != nil {
			return r
		}
		r = v.follow(r)
		v.start(ctx, r)
	}
}

// turn has requests that go on at the same instant do so one after the other, in the order in which they were made.
func (v *visit) turn(r *request) {
	if h, ok := v.host.(host.Turner); ok {
		h.Turn(fmt.Sprintf("load %s %06d", v.trace, r.number))
	}
}

// browserItself is the initiator of what no document names.
const browserItself = "browser"

// admit says what d has to wait for that it names u: nil, nothing, because it is there already, or beyond the bounds. fresh
// says that it is to be requested, once.
func (v *visit) admit(u *weburl.URL, ref page.Reference, d *document) (known *resource, fresh bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	frame := ref.Destination == page.DestFrame || ref.Destination == page.DestFrameOld
	known = v.seen[u.Bare()]
	switch {
	case known != nil && (known.done || frame): // a frame in itself would wait for itself
		return nil, false
	case known != nil:
		return known, false
	case len(v.result.Requests)+len(v.idle) >= maxAssets || frame && (d.depth >= maxDepth || v.nFrames >= maxFrames):
		v.result.Skipped++
		return nil, false
	}
	if frame {
		v.nFrames++
	}
	known = &resource{}
	v.seen[u.Bare()] = known
	return known, true
}

// await has finish called when what was asked for is there.
func (v *visit) await(known *resource, finish func()) {
	v.mu.Lock()
	done := known.done
	if !done {
		known.waiters = append(known.waiters, finish)
	}
	v.mu.Unlock()
	if done {
		finish()
	}
}

// there says that what was asked for under an address is done.
func (v *visit) there(key string) {
	v.mu.Lock()
	known := v.seen[key]
	var waiters []func()
	if known != nil {
		known.done = true
		waiters, known.waiters = known.waiters, nil
	}
	v.mu.Unlock()
	for _, finish := range waiters {
		finish()
	}
}

// asset requests what a page needs and reads it as its destination asks. Where it does not come and there are others to
// choose from, they are tried.
func (v *visit) asset(ctx context.Context, d *document, ref page.Reference, r *request, key string) {
	var frame *document // where it is one, and it came
	last := v.run(ctx, r, func(ctx context.Context, last *request, resp *response) error {
		switch last.destination {
		case policy.Style:
			return v.readSheet(ctx, d, key, resp)
		case policy.Frame:
			frame = v.newDocument(ctx, nil, d)
			frame.at(last.url)
			frame.loaded = func() { v.there(key) }
			v.mu.Lock()
			v.frames[key] = frame
			v.mu.Unlock()
			return frame.read(ctx, resp, maxFrame)
		}
		return resp.discard(-1)
	})
	switch {
	case frame != nil:
		if last.result.Error != nil {
			frame.parsed() // what has come is all there is
		}
		return
	case len(ref.Alternatives) > 0 && (last.result.Error != nil || last.result.Status >= 400):
		ref.Address, ref.Alternatives = ref.Alternatives[0], ref.Alternatives[1:]
		base := d.relative()
		if u, err := weburl.Parse(ref.Base); err == nil {
			base = u
		}
		v.want(ctx, d, ref, base, r.namer())
	}
	v.there(key)
}

// readSheet reads a style sheet and requests what it imports; what else it names is known when the page is styled.
func (v *visit) readSheet(ctx context.Context, d *document, key string, resp *response) error {
	text, err := resp.keep(maxSheet)
	if err != nil || resp.status >= 300 {
		return err
	}
	decoded, _, err := page.Decode(strings.NewReader(string(text)), resp.header.Get("Content-Type"))
	if err != nil {
		return err
	}
	utf8, err := io.ReadAll(decoded)
	if err != nil {
		return err
	}
	sheet := page.ParseSheet(string(utf8), resp.url, page.DefaultScreen())
	d.mu.Lock()
	d.sheets[key] = sheet
	d.named[resp.url.Bare()] = ctx
	d.mu.Unlock()
	for _, ref := range sheet.Imports() {
		ref.Delays = page.Delays{Load: true}
		v.want(ctx, d, ref, resp.url, resp.url)
	}
	return nil
}

// inline reads the document of a frame that stands in an attribute.
func (v *visit) inline(ctx context.Context, d *document, ref page.Reference) {
	v.mu.Lock()
	k := srcdocKey{d, *ref.Srcdoc}
	over := d.depth >= maxDepth || v.nFrames >= maxFrames
	if over {
		v.result.Skipped++
	}
	known := v.srcdocs[k] != nil
	if over || known {
		v.mu.Unlock()
		return
	}
	v.nFrames++
	frame := v.newDocument(ctx, d.url, d)
	v.srcdocs[k] = frame
	v.mu.Unlock()
	frame.inline = true
	d.mu.Lock()
	frame.base, frame.referrers = d.base, d.referrers
	id := d.marks.Add(ref.Delays)
	d.mu.Unlock()
	frame.loaded = func() { d.done(id) }
	if err := frame.parse(ctx, strings.NewReader(*ref.Srcdoc)); err != nil {
		frame.parsed()
	}
}

// end waits for what a visit that opens no page has begun, and sums it up.
func (v *visit) end(ctx context.Context) {
	v.pending.Wait()
	v.result.Duration = v.since()
	if !v.settings.keep {
		v.session.transport.CloseIdle("the action is done")
	}
}

// finish sums the page load up when nothing runs any more.
func (v *visit) finish(ctx context.Context) {
	r := &v.result
	for _, f := range r.Requests {
		r.Bytes += f.Size
		if f.From != fromNetwork {
			r.Cached++
		}
	}
	r.Cookies = v.session.jar.Cookies()
	sum := event.PageLoad{
		URL: r.URL, Status: r.Status, Title: r.Title, Requests: len(r.Requests), Failed: r.Failed,
		Connections: r.Connections, Lookups: r.Lookups, Bytes: r.Bytes, Duration: r.Duration,
	}
	if r.Error != nil {
		sum.Error = r.Error.Message
	}
	event.Emit(ctx, v.log, sum)
}
