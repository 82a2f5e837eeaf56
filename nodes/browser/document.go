package browser

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/net/html"

	"scenario/event"
	"scenario/nodes/browser/page"
	"scenario/nodes/browser/policy"
	"scenario/nodes/browser/weburl"
)

// document is an HTML document that is loaded: the page, or a frame in it.
type document struct {
	visit   *visit
	ctx     context.Context // of the event that led to it
	parent  *document       // that it is a frame of; nil: it is the page
	url     *weburl.URL     // whose origin it has
	depth   int             // 0: the page
	inline  bool            // it stands in an attribute of its parent
	refresh *page.Refresh

	received atomic.Int64 // bytes so far
	complete atomic.Bool

	plain string       // the text of a document that is not HTML
	text  bytes.Buffer // of HTML, as far as it has come
	icon  bool         // it names one

	mu        sync.Mutex
	base      *weburl.URL // what its addresses are relative to
	site      string      // that it belongs to; empty: not known yet
	referrers policy.ReferrerPolicy
	upgrades  bool       // it asks for https for all that it names
	unscanned bool       // since it has a policy of its own, Chromium does not look ahead in it for what it needs
	tree      *html.Node // nil: not HTML, or not read
	standards bool       // it begins with the doctype of HTML
	shown     int        // images so far
	large     int        // of them, those that are likely to be seen at once
	marks     page.Milestones
	ended     bool // it has been parsed, as far as it came
	told      struct{ parsed, content, load bool }
	styles    int                        // style sheets that are awaited, and the tree
	sheets    map[string]*page.Sheet     // by the address that names them
	named     map[string]context.Context // of the events that led to them, by their own address
	loaded    func()                     // to be called once, when all is there
}

// newDocument makes a document that came from u.
func (v *visit) newDocument(ctx context.Context, u *weburl.URL, parent *document) *document {
	d := &document{
		visit: v, ctx: ctx, url: u, base: u, parent: parent, styles: 1,
		sheets: make(map[string]*page.Sheet), named: make(map[string]context.Context),
	}
	if parent != nil {
		d.depth = parent.depth + 1
	}
	return d
}

// at says where the document comes from.
func (d *document) at(u *weburl.URL) {
	d.mu.Lock()
	d.url, d.base, d.site = u, u, ""
	d.mu.Unlock()
}

// top is the page that the document is part of.
func (d *document) top() *document {
	for d.parent != nil {
		d = d.parent
	}
	return d
}

// chain is the addresses of the document and those around it.
func (d *document) chain() []*weburl.URL {
	var list []*weburl.URL
	for ; d != nil; d = d.parent {
		list = append(list, d.url)
	}
	return list
}

// Write takes a piece of its HTML, as it arrives.
func (d *document) Write(p []byte) (int, error) {
	const start = 1024
	if before := d.text.Len(); before < start {
		d.text.Write(p)
		text := d.text.Bytes()
		d.mu.Lock()
		d.standards = bytes.Contains(bytes.ToLower(text[:min(len(text), start)]), []byte("<!doctype html"))
		d.mu.Unlock()
		return len(p), nil
	}
	return d.text.Write(p)
}

// relative is what the document's addresses are relative to, so far.
func (d *document) relative() *weburl.URL {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.base
}

// wantsHTTPS says that the document asks for https for all that it names.
func (d *document) wantsHTTPS() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.upgrades
}

// read reads the document from its response, requests what it names while it arrives, and builds its tree. Assets are
// found in the very bytes that the tree is built from.
func (d *document) read(ctx context.Context, resp *response, limit int64) error {
	d.mu.Lock()
	d.ctx = ctx
	d.referrers = policy.ReferrerPolicyHeader(resp.header)
	d.upgrades = policy.UpgradeInsecure(policy.ContentSecurity(resp.header))
	d.mu.Unlock()
	d.follow(ctx, resp.header)
	if r, ok := page.ParseRefresh(resp.header.Get("Refresh")); ok {
		d.refresh = &r
	}
	kind := policy.MIMEType(resp.header)
	body, _, err := page.Decode(&arriving{resp: resp, document: d, limit: limit}, resp.header.Get("Content-Type"))
	if err != nil {
		return err
	}
	switch {
	case kind == "" || kind == "text/html" || kind == "application/xhtml+xml":
		return d.parse(ctx, body)
	case strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "json"):
		text, err := io.ReadAll(body)
		d.plain = string(text[:min(len(text), maxPlain)])
		if err != nil {
			return err
		}
	default:
		if _, err := io.Copy(io.Discard, body); err != nil {
			return err
		}
	}
	d.parsed()
	return nil
}

// parse reads HTML.
func (d *document) parse(ctx context.Context, body io.Reader) error {
	err := page.Scan(io.TeeReader(body, d), page.Options{Screen: page.DefaultScreen()}, &finder{d, ctx})
	if err != nil {
		// What has come is shown all the same.
		tree, _ := page.Parse(d.text.Bytes(), false)
		d.grown(tree)
		return err
	}
	if d.parent == nil && !d.icon {
		d.visit.want(ctx, d, page.Reference{Address: "/favicon.ico", Destination: page.DestFavicon}, d.url, nil)
	}
	tree, err := page.Parse(d.text.Bytes(), false)
	if err != nil {
		return err
	}
	d.grown(tree)
	d.parsed()
	return nil
}

// grown takes the document's tree.
func (d *document) grown(tree *html.Node) {
	d.mu.Lock()
	d.tree = tree
	d.mu.Unlock()
	d.text = bytes.Buffer{} // it has served
}

// finder hands what a scan finds to the visit.
type finder struct {
	*document
	found context.Context
}

// Reference implements [page.Handler].
func (f *finder) Reference(ref page.Reference) {
	if ref.Destination == page.DestFavicon {
		if f.parent != nil {
			return
		}
		f.icon = true
	}
	f.visit.want(f.found, f.document, ref, f.relative(), f.url)
}

// Hint implements [page.Handler].
func (f *finder) Hint(h page.Hint) { f.visit.hint(f.found, f.document, h) }

// Base implements [page.Handler].
func (f *finder) Base(address string) {
	if base, err := f.url.Parse(address); err == nil && base.Web() {
		f.mu.Lock()
		f.base = base
		f.mu.Unlock()
	}
}

// Meta implements [page.Handler].
func (f *finder) Meta(m page.Meta) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m.Referrer != "" {
		f.referrers = policy.ReferrerPolicyMeta(m.Referrer)
	}
	f.upgrades = f.upgrades || m.Upgrade
	f.unscanned = f.unscanned || m.Policy != ""
	if m.Refresh != nil && f.refresh == nil {
		f.refresh = m.Refresh
	}
}

// Script implements [page.Handler].
func (f *finder) Script() {
	f.mu.Lock()
	f.marks.Script()
	f.mu.Unlock()
}

// parsed says that the document has come to its end. The images and fonts that its styles name are known when the style
// sheets are there too.
func (d *document) parsed() {
	d.mu.Lock()
	styling := d.marks.Add(page.Delays{Load: true})
	d.marks.Parsed()
	d.ended = true
	d.mu.Unlock()
	d.tell()
	d.mu.Lock()
	d.styles--
	now := d.styles == 0
	d.mu.Unlock()
	if now {
		d.style()
	}
	d.done(styling)
}

// styled says that a style sheet that was asked for is there, or did not come.
func (d *document) styled() {
	d.mu.Lock()
	d.styles--
	now := d.styles == 0
	d.mu.Unlock()
	if now {
		d.style()
	}
}

// style requests the images and fonts that what is shown is styled with.
func (d *document) style() {
	if d.tree == nil || d.base == nil {
		return
	}
	sheet := func(u *weburl.URL) *page.Sheet {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.sheets[u.Bare()]
	}
	for _, ref := range (page.Style{Root: d.tree, Base: d.base, Screen: page.DefaultScreen(), Sheet: sheet}).Needed() {
		ctx, base, from := d.ctx, d.base, d.url
		if ref.Base != "" {
			if u, err := weburl.Parse(ref.Base); err == nil {
				base, from = u, u
			}
			d.mu.Lock()
			if named := d.named[from.Bare()]; named != nil {
				ctx = named
			}
			d.mu.Unlock()
		}
		ref.Delays.Load = true
		d.visit.want(ctx, d, ref, base, from)
	}
}

// done says that what the milestones count as id is there, or failed.
func (d *document) done(id int) {
	d.mu.Lock()
	d.marks.Done(id)
	d.mu.Unlock()
	d.tell()
}

// tell says which milestones have been reached.
func (d *document) tell() {
	v := d.visit
	d.mu.Lock()
	var reached []string
	reach := func(name string, is bool, told *bool) {
		if is && !*told {
			*told = true
			reached = append(reached, name)
		}
	}
	reach("dom_content_loaded", d.marks.ContentLoaded(), &d.told.content)
	reach("load", d.marks.Loaded(), &d.told.load)
	loaded := d.loaded
	if !d.told.load {
		loaded = nil
	} else {
		d.loaded = nil
	}
	parsed := d.tree != nil && d.ended && !d.marks.Blocked() && !d.told.parsed
	d.told.parsed = d.told.parsed || parsed
	d.mu.Unlock()
	if parsed {
		reached = append([]string{"parsed"}, reached...)
	}
	if d.parent == nil && v.shows(d) {
		for _, name := range reached {
			v.reached(d.ctx, name, d.url, "")
		}
	}
	if loaded != nil {
		loaded()
	}
}

// arriving is the body of a document's response; it tells the document how much has come.
type arriving struct {
	resp     *response
	document *document
	limit    int64
	n        int64
}

func (a *arriving) Read(p []byte) (int, error) {
	n, err := a.resp.body.Read(p)
	a.n += int64(n)
	a.document.received.Store(a.resp.wire.n)
	a.document.complete.Store(a.resp.wire.done)
	if a.n > a.limit && err == nil {
		err = fmt.Errorf("the document is larger than %d MiB", a.limit>>20)
	}
	return n, err
}

// content is the document as package page shows it.
func (d *document) content() *page.Content {
	c := &page.Content{Tree: d.tree, Plain: d.plain}
	switch {
	case d.inline:
		c.URL = "about:srcdoc"
	case d.url != nil:
		c.URL = d.url.String()
	}
	c.Frame = func(n *html.Node) *page.Content {
		if inner := d.frame(n); inner != nil {
			return inner.content()
		}
		return nil
	}
	return c
}

// frame is the document that the frame n of d shows; nil where none was loaded. A document within itself is not shown.
func (d *document) frame(n *html.Node) *document {
	v := d.visit
	v.mu.Lock()
	defer v.mu.Unlock()
	src := ""
	for _, a := range n.Attr {
		switch {
		case a.Namespace != "":
		case a.Key == "srcdoc":
			return v.srcdocs[srcdocKey{d, a.Val}]
		case a.Key == "src":
			src = strings.TrimSpace(a.Val)
		}
	}
	u, err := d.base.Parse(src)
	if err != nil {
		return nil
	}
	if inner := v.frames[u.Bare()]; inner != nil && inner.depth == d.depth+1 {
		return inner
	}
	return nil
}

// milestone names the moment that name is.
func (v *visit) milestone(name string, u *weburl.URL, detail string) event.PageMilestone {
	return event.PageMilestone{Milestone: name, URL: u.String(), Detail: detail, Since: v.since()}
}
