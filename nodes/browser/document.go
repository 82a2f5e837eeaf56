package browser

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/net/html"
	"golang.org/x/net/html/charset"
	"scenario/nodes/browser/weburl"

	"scenario/event"
	"scenario/host"
	"scenario/nodes/browser/page"
)

// document is an HTML document that is loaded: the page, or a frame in it.
type document struct {
	visit *visit
	url   *weburl.URL
	base  *weburl.URL // what its addresses are relative to
	depth int         // 0: the page

	received atomic.Int64 // bytes so far
	complete atomic.Bool

	mu     sync.Mutex
	tree   *html.Node             // nil: not HTML, or not read
	sheets map[string]*page.Sheet // that came, by the URLs that name them
	open   int                    // style sheets that are still to come

	plain string // the text of a document that is not HTML
}

// Destinations of requests (Fetch, section 2.2.5), and the page itself.
const (
	destDocument = string(page.DestDocument)
	destStyle    = string(page.DestStyle)
	destScript   = string(page.DestScript)
	destImage    = string(page.DestImage)
	destFont     = string(page.DestFont)
	destFrame    = string(page.DestFrame)
	destIcon     = string(page.DestFavicon)
)

// reference is an address that a document or style sheet names, as it is written there.
type reference struct {
	address     string
	destination string
}

func newDocument(v *visit) *document {
	return &document{visit: v, sheets: make(map[string]*page.Sheet)}
}

// shown is the document's title, its text as a person reads it, and its tree.
func (d *document) shown(frames map[string]*document) (title, text, dom string) {
	c := d.content(frames)
	if d.tree == nil {
		return "", c.Text(), ""
	}
	return page.Title(d.tree), c.Text(), c.DOM()
}

// read reads the document from its response, requests what it names while it arrives, and builds its tree. Assets are
// found in the very bytes that the tree is built from.
func (d *document) read(ctx context.Context, resp *response, limit int64) error {
	v := d.visit
	kind, parameters, _ := mime.ParseMediaType(resp.header.Get("Content-Type"))
	if coding := resp.header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return fmt.Errorf("the body is coded as %s, which was not offered", coding)
	}
	body, err := decode(&arriving{resp: resp, document: d, limit: limit}, parameters["charset"])
	if err != nil {
		return err
	}
	switch {
	case kind == "" || kind == "text/html" || kind == "application/xhtml+xml":
	case strings.HasPrefix(kind, "text/") || kind == "application/json":
		text, err := io.ReadAll(body)
		d.plain = string(text)
		return err
	default:
		_, err := io.Copy(io.Discard, body)
		return err
	}

	var text bytes.Buffer
	f := finder{document: d, ctx: ctx}
	err = page.Scan(io.TeeReader(body, &text), page.Options{Screen: page.DefaultScreen()}, &f)
	if d.depth == 0 && !f.icon && err == nil {
		v.want(ctx, d, reference{"/favicon.ico", destIcon}, d.url, nil)
	}
	tree, parseErr := page.Parse(text.Bytes(), false)
	if d.depth == 0 && err == nil && parseErr == nil {
		event.Emit(ctx, v.log, v.milestone("parsed", d.url, ""))
	}
	if parseErr == nil {
		d.style(ctx, func() { d.tree = tree })
	}
	return errors.Join(err, parseErr)
}

// finder requests what is found in a document.
type finder struct {
	document *document
	ctx      context.Context
	icon     bool
}

// Reference requests what a document names, unless it is far from the viewport.
func (f *finder) Reference(r page.Reference) {
	d := f.document
	destination := string(r.Destination)
	switch r.Destination {
	case page.DestFavicon:
		if d.depth > 0 {
			return
		}
		f.icon = true
	case page.DestFrameOld:
		destination = destFrame
	}
	if r.Far || r.Idle && r.Preload || r.Srcdoc != nil {
		return
	}
	d.visit.want(f.ctx, d, reference{r.Address, destination}, d.base, d.url)
}

// Base has the addresses that follow relative to another one.
func (f *finder) Base(address string) {
	if base, err := f.document.url.Parse(address); err == nil {
		f.document.base = base
	}
}

// Hint does nothing: connections are made when they are needed.
func (f *finder) Hint(page.Hint) {}

// Meta does nothing.
func (f *finder) Meta(page.Meta) {}

// Script does nothing: scripts are not run.
func (f *finder) Script() {}

// sheet notes a style sheet and requests what it imports.
func (d *document) sheet(ctx context.Context, named, url *weburl.URL, text string) {
	sheet := page.ParseSheet(text, url, page.DefaultScreen())
	d.mu.Lock()
	d.sheets[named.Bare()] = sheet
	d.mu.Unlock()
	for _, r := range sheet.Imports() {
		d.visit.want(ctx, d, reference{r.Address, destStyle}, url, url)
	}
}

// style notes what change does, and when the tree and all style sheets are there requests what the styles need.
func (d *document) style(ctx context.Context, change func()) {
	d.mu.Lock()
	change()
	tree, ready := d.tree, d.tree != nil && d.open == 0
	sheets := maps.Clone(d.sheets)
	d.mu.Unlock()
	if !ready {
		return
	}
	host.Turn(d.visit.host, "style "+d.url.Bare())
	s := page.Style{Root: tree, Base: d.base, Screen: page.DefaultScreen(), Sheet: func(u *weburl.URL) *page.Sheet { return sheets[u.Bare()] }}
	for _, r := range s.Needed() {
		from, err := weburl.Parse(r.Base)
		if err != nil {
			from = d.url
		}
		if from.Bare() == d.base.Bare() { // a style element or attribute
			from = d.url
		}
		d.visit.want(ctx, d, reference{r.Address, string(r.Destination)}, d.base, from)
	}
}

// content is the document as it is shown, with the documents of its frames, by the URLs that name them. A document
// within itself is not shown.
func (d *document) content(frames map[string]*document) *page.Content {
	c := &page.Content{URL: d.url.Bare(), Tree: d.tree, Plain: d.plain}
	c.Frame = func(n *html.Node) *page.Content {
		for _, a := range n.Attr {
			if a.Key != "src" {
				continue
			}
			u, err := d.base.Parse(strings.TrimSpace(a.Val))
			if err != nil {
				return nil
			}
			if inner := frames[u.Bare()]; inner != nil && inner.depth == d.depth+1 {
				return inner.content(frames)
			}
		}
		return nil
	}
	return c
}

// decode reads text in the charset that its response names, as UTF-8.
func decode(r io.Reader, label string) (io.Reader, error) {
	if label == "" || strings.EqualFold(label, "utf-8") {
		return r, nil
	}
	decoded, err := charset.NewReaderLabel(label, r)
	if err != nil {
		return nil, fmt.Errorf("charset %q: %w", label, err)
	}
	return decoded, nil
}

// arriving is the body of a document's response; it tells the document how much has come.
type arriving struct {
	resp     *response
	document *document
	limit    int64
}

func (a *arriving) Read(p []byte) (int, error) {
	n, err := a.resp.body.Read(p)
	a.document.received.Store(a.resp.body.n)
	a.document.complete.Store(a.resp.body.done)
	if a.resp.body.n > a.limit && err == nil {
		err = fmt.Errorf("the document is larger than %d MiB", a.limit>>20)
	}
	return n, err
}
