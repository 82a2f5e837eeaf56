package page

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Bounds of what is shown of a page.
const (
	maxText      = 64 << 10 // bytes
	maxDOM       = 64 << 10 // bytes
	maxShown     = 200      // bytes of one text in the tree
	maxNesting   = 1000     // elements in one another
	maxTables    = 4        // in one another that have columns
	maxTableSize = 100_000  // elements of a table that are looked at
	maxColumns   = 64       // of a table
	maxColumn    = 60       // characters to which a column is filled up
)

// Content is a document that is shown.
type Content struct {
	URL   string
	Tree  *html.Node                // nil: it is not HTML
	Plain string                    // the text of one that is not HTML
	Frame func(*html.Node) *Content // the document in a frame of it; nil: no frames, and a nil result: none was loaded
}

// clip cuts s to about limit bytes, at a character, and marks that it did.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return clipBytes(s, limit) + "…"
}

// clipBytes cuts s to about limit bytes, at a character.
func clipBytes(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// Text is the document as a person reads it: each block on a line of its own, hidden parts left out, images as
// [what they show], tables in columns, frames where they stand.
func (c *Content) Text() string {
	t := textWriter{}
	t.document(c)
	return clip(strings.TrimRight(t.b.String(), "\n "), maxText)
}

type textWriter struct {
	b      strings.Builder
	depth  int  // of elements and frames in one another
	tables int  // in one another
	space  bool // white space was passed over since the last text
	inLine bool // the line has text
	pre    int  // open preformatted elements
}

func (t *textWriter) document(d *Content) {
	if d.Tree == nil {
		t.line()
		t.text(d.Plain)
		return
	}
	for n := range d.Tree.ChildNodes() {
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

func (t *textWriter) children(d *Content, n *html.Node) {
	for c := range n.ChildNodes() {
		t.node(d, c)
	}
}

func (t *textWriter) node(d *Content, n *html.Node) {
	t.depth++
	defer func() { t.depth-- }()
	switch {
	case t.b.Len() > maxText || t.depth > maxNesting:
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
	case atom.Table:
		t.line()
		if t.tables < maxTables {
			t.table(d, n)
		} else {
			t.children(d, n)
		}
		t.line()
	case atom.Dd:
		t.line()
		t.b.WriteString("  ")
		t.children(d, n)
		t.inLine = !strings.HasSuffix(t.b.String(), "\n")
		t.line()
	case atom.Summary:
		t.line()
		t.summary(n)
		t.children(d, n)
		t.line()
	default:
		if block(n) {
			t.line()
			defer t.line()
		}
		t.children(d, n)
	}
}

// frame writes the document of a frame in its place.
func (t *textWriter) frame(d *Content, n *html.Node) {
	t.line()
	if inner := d.frame(n); inner != nil {
		t.document(inner)
		t.line()
	}
}

// frame is the document that the frame n of d shows; nil where none was loaded.
func (d *Content) frame(n *html.Node) *Content {
	if d.Frame == nil {
		return nil
	}
	return d.Frame(n)
}

// control writes a form's control with what stands in it.
func (t *textWriter) control(d *Content, n *html.Node) {
	shown := ""
	kind, _ := nodeAttribute(n, "type")
	kind = strings.ToLower(kind)
	switch {
	case n.DataAtom == atom.Button || n.DataAtom == atom.Textarea:
		inner := textWriter{depth: t.depth}
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
		text := collapse(content(o))
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

// hidden says that a person does not see the element, as far as its name and attributes say so.
func hidden(n *html.Node) bool {
	switch n.DataAtom {
	case atom.Object, atom.Audio, atom.Video, atom.Canvas, atom.Svg:
		return true
	}
	if undisplayed(n) {
		return true
	}
	style, ok := nodeAttribute(n, "style")
	return ok && (strings.EqualFold(styleValue(style, "display"), "none") || strings.EqualFold(styleValue(style, "visibility"), "hidden"))
}

// block says that the element begins and ends a line.
func block(n *html.Node) bool { return blockAtom(n.DataAtom) }

func blockAtom(a atom.Atom) bool {
	switch a {
	case atom.Address, atom.Article, atom.Aside, atom.Blockquote, atom.Body, atom.Caption, atom.Center, atom.Dd, atom.Details, atom.Dialog, atom.Div,
		atom.Dl, atom.Dt, atom.Fieldset, atom.Figcaption, atom.Figure, atom.Footer, atom.Form, atom.H1, atom.H2,
		atom.H3, atom.H4, atom.H5, atom.H6, atom.Header, atom.Hgroup, atom.Html, atom.Legend, atom.Li, atom.Main, atom.Menu,
		atom.Nav, atom.Ol, atom.P, atom.Pre, atom.Section, atom.Summary, atom.Table, atom.Tbody, atom.Tfoot, atom.Thead,
		atom.Tr, atom.Ul:
		return true
	}
	return false
}

// summary writes the mark of a details element before what it is called.
func (t *textWriter) summary(n *html.Node) {
	mark := "▸ "
	if n.Parent != nil {
		if _, open := nodeAttribute(n.Parent, "open"); open {
			mark = "▾ "
		}
	}
	t.b.WriteString(mark)
}

// table writes a table's rows with their cells in columns, its caption before them. A table in a table is one cell.
func (t *textWriter) table(d *Content, n *html.Node) {
	var rows [][]string
	size, steps := 0, 0
	visible(n, func(e *html.Node) bool {
		switch {
		case closestTable(e) != n:
		case e.DataAtom == atom.Caption:
			t.children(d, e)
			t.line()
		case e.DataAtom == atom.Tr:
			rows = append(rows, nil)
		case (e.DataAtom == atom.Td || e.DataAtom == atom.Th) && len(rows) > 0:
			inner := textWriter{depth: t.depth, tables: t.tables + 1}
			inner.children(d, e)
			text := strings.TrimSpace(inner.b.String())
			size += len(text)
			if last := len(rows) - 1; len(rows[last]) < maxColumns {
				rows[last] = append(rows[last], strings.ReplaceAll(text, "\n", " / "))
			}
		}
		steps++
		return size < maxText && steps < maxTableSize
	})
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], min(utf8.RuneCountInString(cell), maxColumn))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			if i > 0 {
				line.WriteString(" | ")
			}
			line.WriteString(cell)
			line.WriteString(strings.Repeat(" ", max(widths[i]-utf8.RuneCountInString(cell), 0)))
		}
		if text := strings.TrimRight(line.String(), " "); text != "" {
			t.b.WriteString(text + "\n")
		}
	}
	t.inLine, t.space = false, false
}

// closestTable is the table that e stands in.
func closestTable(e *html.Node) *html.Node {
	for p := e.Parent; p != nil; p = p.Parent {
		if p.DataAtom == atom.Table {
			return p
		}
	}
	return nil
}
