package page

import (
	"fmt"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// DOM is the document's tree, one node a line, two spaces a level.
func (c *Content) DOM() string {
	w := domWriter{}
	w.document(c, 0)
	return clip(w.b.String(), maxDOM)
}

type domWriter struct {
	b strings.Builder
}

func (w *domWriter) line(depth int, format string, args ...any) {
	w.b.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(&w.b, format, args...)
	w.b.WriteByte('\n')
}

func (w *domWriter) document(d *Content, depth int) {
	if d.Tree == nil {
		return
	}
	for n := range d.Tree.ChildNodes() {
		w.node(d, n, depth)
	}
}

func (w *domWriter) node(d *Content, n *html.Node, depth int) {
	if w.b.Len() > maxDOM || depth > maxNesting {
		return
	}
	switch n.Type {
	case html.DoctypeNode:
		w.line(depth, "<!doctype %s>", n.Data)
	case html.CommentNode:
		w.line(depth, "<!-- %s -->", shown(n.Data))
	case html.TextNode:
		if text := shown(n.Data); text != "" {
			w.line(depth, "%q", text)
		}
	case html.ElementNode:
		var tag strings.Builder
		tag.WriteString(n.Data)
		for _, a := range n.Attr {
			fmt.Fprintf(&tag, " %s=%q", a.Key, shown(a.Val))
		}
		w.line(depth, "<%s>", tag.String())
		if n.DataAtom == atom.Iframe || n.DataAtom == atom.Frame {
			if inner := d.frame(n); inner != nil {
				w.line(depth+1, "#document %s", inner.URL)
				w.document(inner, depth+2)
			}
			return
		}
		for c := range n.ChildNodes() {
			w.node(d, c, depth+1)
		}
	}
}

// shown is text with its white space collapsed, and not too long.
func shown(text string) string { return clip(collapse(text), maxShown) }
