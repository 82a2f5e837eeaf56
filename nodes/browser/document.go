package browser

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"
	"sync/atomic"

	"golang.org/x/net/html"
	"golang.org/x/net/html/charset"
	"scenario/nodes/browser/weburl"

	"scenario/event"
)

// document is an HTML document that is loaded: the page, or a frame in it.
type document struct {
	visit *visit
	url   *weburl.URL
	base  *weburl.URL // what its addresses are relative to
	depth int         // 0: the page

	received atomic.Int64 // bytes so far
	complete atomic.Bool

	tree  *html.Node // nil: not HTML, or not read
	plain string     // the text of a document that is not HTML
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
		d.plain = clip(string(text), maxText)
		return err
	default:
		_, err := io.Copy(io.Discard, body)
		return err
	}

	var text bytes.Buffer
	icon, based := false, false
	err = scan(io.TeeReader(body, &text), func(ref reference) {
		switch {
		case ref.destination == destBase:
			if base, err := d.url.Parse(ref.address); err == nil && !based {
				d.base, based = base, true
			}
			return
		case ref.destination == destIcon:
			if icon || d.depth > 0 {
				return
			}
			icon = true
		}
		v.want(ctx, d, ref, d.base, d.url)
	})
	if d.depth == 0 && !icon && err == nil {
		v.want(ctx, d, reference{"/favicon.ico", destIcon}, d.url, nil)
	}
	tree, parseErr := html.ParseWithOptions(&text, html.ParseOptionEnableScripting(false))
	if parseErr == nil {
		d.tree = tree
	}
	if d.depth == 0 && err == nil && parseErr == nil {
		event.Emit(ctx, v.log, v.milestone("parsed", d.url, ""))
	}
	return errors.Join(err, parseErr)
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
