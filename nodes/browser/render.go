package browser

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Bounds of what a result shows of a page, in bytes.
const (
	maxText  = 64 << 10
	maxDOM   = 64 << 10
	maxShown = 200 // of one text in the tree
)

// clip cuts s to about limit bytes, at a character, and marks that it did.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}

// title is the text of the document's title, its white space collapsed.
func title(root *html.Node) string {
	for n := range root.Descendants() {
		if n.DataAtom == atom.Title && n.Namespace == "" {
			return strings.Join(strings.Fields(content(n)), " ")
		}
	}
	return ""
}

// content is all text below n.
func content(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

func nodeAttribute(n *html.Node, key string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == key && a.Namespace == "" {
			return a.Val, true
		}
	}
	return "", false
}

// renderText is the document as a person reads it: each block on a line of its own, hidden parts left out, images as
// [what they show], frames where they stand.
func renderText(d *document, frames map[string]*document) string {
	t := textWriter{frames: frames}
	t.document(d)
	return clip(strings.TrimRight(t.b.String(), "\n "), maxText)
}

type textWriter struct {
	b      strings.Builder
	frames map[string]*document
	space  bool // white space was passed over since the last text
	inLine bool // the line has text
	pre    int  // open preformatted elements
}

func (t *textWriter) document(d *document) {
	if d.tree == nil {
		t.line()
		t.text(d.plain)
		return
	}
	for n := range d.tree.ChildNodes() {
		t.node(d, n)
	}
}

// line ends the line that is being written, if it has text.
func (t *textWriter) line() {
	if t.inLine {
		t.b.WriteByte('\n')
	}
	t.inLine, t.space = false, false
}

// text writes s with its white space collapsed.
func (t *textWriter) text(s string) {
	if t.pre > 0 {
		t.b.WriteString(s)
		t.inLine = !strings.HasSuffix(s, "\n")
		return
	}
	for _, r := range s {
		if r != '\u00a0' && unicode.IsSpace(r) {
			t.space = true
			continue
		}
		if t.space && t.inLine {
			t.b.WriteByte(' ')
		}
		if r == '\u00a0' { // a space that is not collapsed
			r = ' '
		}
		t.b.WriteRune(r)
		t.inLine, t.space = true, false
	}
}

// mark writes what is no text of the page, with a space before it.
func (t *textWriter) mark(s string) {
	if t.inLine {
		t.space = true
	}
	t.text(s)
}

func (t *textWriter) children(d *document, n *html.Node) {
	for c := range n.ChildNodes() {
		t.node(d, c)
	}
}

func (t *textWriter) node(d *document, n *html.Node) {
	switch {
	case t.b.Len() > maxText:
		return
	case n.Type == html.TextNode:
		t.text(n.Data)
		return
	case n.Type != html.ElementNode || hidden(n):
		return
	}
	switch n.DataAtom {
	case atom.Br:
		t.b.WriteByte('\n')
		t.inLine, t.space = false, false
	case atom.Hr:
		t.line()
		t.text("---")
		t.line()
	case atom.Img:
		if alt, _ := nodeAttribute(n, "alt"); alt != "" {
			t.mark("[" + alt + "]")
			t.space = true
		}
	case atom.Iframe, atom.Frame:
		t.frame(d, n)
	case atom.Input, atom.Textarea, atom.Select, atom.Button:
		t.control(d, n)
	case atom.Pre:
		t.line()
		t.pre++
		t.children(d, n)
		t.pre--
		t.line()
	case atom.Li:
		t.line()
		t.b.WriteString(bullet(n) + " ") // a block that follows stays on the bullet's line
		t.children(d, n)
		t.inLine = !strings.HasSuffix(t.b.String(), "\n")
		t.line()
	case atom.Td, atom.Th:
		if t.inLine {
			t.mark("| ")
		}
		t.children(d, n)
	default:
		if block(n) {
			t.line()
			defer t.line()
		}
		t.children(d, n)
	}
}

// frame writes the document of a frame in its place.
func (t *textWriter) frame(d *document, n *html.Node) {
	t.line()
	if inner := d.frame(n, t.frames); inner != nil {
		t.document(inner)
		t.line()
	}
}

// frame is the document that the frame n of d shows; nil where none was loaded. A document within itself is not shown.
func (d *document) frame(n *html.Node, frames map[string]*document) *document {
	src, _ := nodeAttribute(n, "src")
	u, err := d.base.Parse(strings.TrimSpace(src))
	if err != nil {
		return nil
	}
	if inner := frames[u.Bare()]; inner != nil && inner.depth == d.depth+1 {
		return inner
	}
	return nil
}

// control writes a form's control with what stands in it.
func (t *textWriter) control(d *document, n *html.Node) {
	shown := ""
	kind, _ := nodeAttribute(n, "type")
	kind = strings.ToLower(kind)
	switch {
	case n.DataAtom == atom.Button || n.DataAtom == atom.Textarea:
		inner := textWriter{frames: t.frames}
		inner.children(d, n)
		shown = strings.TrimSpace(inner.b.String())
	case n.DataAtom == atom.Select:
		shown = selected(n)
	case kind == "checkbox" || kind == "radio":
		shown = " "
		if _, checked := nodeAttribute(n, "checked"); checked {
			shown = "x"
		}
	default:
		shown, _ = nodeAttribute(n, "value")
		if shown == "" {
			shown, _ = nodeAttribute(n, "placeholder")
		}
		if shown == "" && (kind == "submit" || kind == "reset") {
			shown = kind
		}
	}
	t.mark("[" + shown + "]")
	t.space = true
}

// selected is the text of the option that a select shows.
func selected(n *html.Node) string {
	first, found := "", false
	for o := range n.Descendants() {
		if o.DataAtom != atom.Option {
			continue
		}
		text := strings.Join(strings.Fields(content(o)), " ")
		if _, ok := nodeAttribute(o, "selected"); ok {
			return text
		}
		if !found {
			first, found = text, true
		}
	}
	return first
}

// bullet is what stands before an item of a list.
func bullet(n *html.Node) string {
	if n.Parent == nil || n.Parent.DataAtom != atom.Ol {
		return "-"
	}
	number := 1
	for before := n.PrevSibling; before != nil; before = before.PrevSibling {
		if before.DataAtom == atom.Li {
			number++
		}
	}
	return fmt.Sprintf("%d.", number)
}

// hidden says that a person does not see the element.
func hidden(n *html.Node) bool {
	switch n.DataAtom {
	case atom.Head, atom.Script, atom.Style, atom.Template, atom.Title, atom.Object, atom.Audio, atom.Video, atom.Canvas, atom.Svg, atom.Datalist:
		return true
	case atom.Dialog:
		if _, open := nodeAttribute(n, "open"); !open {
			return true
		}
	case atom.Input:
		if kind, _ := nodeAttribute(n, "type"); strings.EqualFold(kind, "hidden") {
			return true
		}
	}
	if _, ok := nodeAttribute(n, "hidden"); ok {
		return true
	}
	style, _ := nodeAttribute(n, "style")
	style = strings.ToLower(strings.Join(strings.Fields(style), ""))
	return strings.Contains(style, "display:none") || strings.Contains(style, "visibility:hidden")
}

// block says that the element begins and ends a line.
func block(n *html.Node) bool {
	switch n.DataAtom {
	case atom.Address, atom.Article, atom.Aside, atom.Blockquote, atom.Body, atom.Caption, atom.Center, atom.Dd, atom.Details, atom.Dialog, atom.Div,
		atom.Dl, atom.Dt, atom.Fieldset, atom.Figcaption, atom.Figure, atom.Footer, atom.Form, atom.H1, atom.H2,
		atom.H3, atom.H4, atom.H5, atom.H6, atom.Header, atom.Hgroup, atom.Html, atom.Legend, atom.Main, atom.Menu,
		atom.Nav, atom.Ol, atom.P, atom.Section, atom.Summary, atom.Table, atom.Tbody, atom.Tfoot, atom.Thead,
		atom.Tr, atom.Ul:
		return true
	}
	return false
}

// renderDOM is the document's tree, one node a line, two spaces a level.
func renderDOM(d *document, frames map[string]*document) string {
	w := domWriter{frames: frames}
	w.document(d, 0)
	return clip(w.b.String(), maxDOM)
}

type domWriter struct {
	b      strings.Builder
	frames map[string]*document
}

func (w *domWriter) line(depth int, format string, args ...any) {
	w.b.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(&w.b, format, args...)
	w.b.WriteByte('\n')
}

func (w *domWriter) document(d *document, depth int) {
	if d.tree == nil {
		return
	}
	for n := range d.tree.ChildNodes() {
		w.node(d, n, depth)
	}
}

func (w *domWriter) node(d *document, n *html.Node, depth int) {
	if w.b.Len() > maxDOM {
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
			if inner := d.frame(n, w.frames); inner != nil {
				w.line(depth+1, "#document %s", inner.url.Bare())
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
func shown(text string) string { return clip(strings.Join(strings.Fields(text), " "), maxShown) }
