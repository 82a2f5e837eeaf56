package page

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Parse builds the tree of a document from UTF-8 text (HTML, section 13.2). Where elements are nested deeper than the
// parser goes, which is 512 as in Chromium, the deepest are left out and what they hold moves up. scripting says that
// scripts would be run: what stands in noscript is then text.
func Parse(text []byte, scripting bool) (*html.Node, error) {
	tree, err := html.ParseWithOptions(bytes.NewReader(text), html.ParseOptionEnableScripting(scripting))
	// Depths that a count of tags allows, and whatever the parser adds to them besides.
	for _, depth := range []int{400, 100, 20, 0} {
		if err == nil {
			return tree, nil
		}
		tree, err = html.ParseWithOptions(bytes.NewReader(flatten(text, depth)), html.ParseOptionEnableScripting(scripting))
	}
	if err != nil {
		return nil, fmt.Errorf("the document has no tree: %w", err)
	}
	return tree, nil
}

// flatten is text without the tags of elements that are nested deeper than depth.
func flatten(text []byte, depth int) []byte {
	var out bytes.Buffer
	var open []string
	tokens := html.NewTokenizer(bytes.NewReader(text))
	for {
		kind := tokens.Next()
		raw := tokens.Raw()
		switch kind {
		case html.ErrorToken:
			if tokens.Err() == io.EOF {
				out.Write(raw)
			}
			return out.Bytes()
		case html.StartTagToken:
			name, _ := tokens.TagName()
			if !void(atom.Lookup(name)) {
				open = append(open, string(name))
				if len(open) > depth {
					continue
				}
			}
		case html.EndTagToken:
			name, _ := tokens.TagName()
			at := len(open) - 1
			for at >= 0 && open[at] != string(name) && len(open)-at < 64 {
				at--
			}
			if at < 0 || open[at] != string(name) {
				continue
			}
			open = open[:at]
			if at >= depth {
				continue
			}
		}
		out.Write(raw)
	}
}

// void says that an element has no content (HTML, section 13.1.2).
func void(a atom.Atom) bool {
	switch a {
	case atom.Area, atom.Base, atom.Br, atom.Col, atom.Embed, atom.Hr, atom.Img, atom.Input, atom.Link, atom.Meta,
		atom.Param, atom.Source, atom.Track, atom.Wbr, atom.Frame, atom.Keygen, atom.Basefont, atom.Bgsound:
		return true
	}
	return false
}

// Title is the text of the document's title, its white space collapsed.
func Title(root *html.Node) string {
	for n := range root.Descendants() {
		if n.DataAtom == atom.Title && n.Namespace == "" {
			return collapse(content(n))
		}
	}
	return ""
}

// maxLinks bounds how many links are listed of a page.
const maxLinks = 5000

// Link is a link that a person can follow.
type Link struct {
	Text    string // as a person reads it; of an image its alternative text
	Address string // as it is written
	Target  string // frame or tab that it opens in; empty: here
	Rel     string
	Policy  string // referrer policy of its own
	Node    *html.Node
}

// Links is the links that a person sees, in document order.
func Links(root *html.Node) []Link {
	var list []Link
	visible(root, func(n *html.Node) bool {
		if l, ok := linkOf(n); ok {
			list = append(list, l)
		}
		return len(list) < maxLinks
	})
	return list
}

func linkOf(n *html.Node) (Link, bool) {
	address, ok := nodeAttribute(n, "href")
	if !ok || n.DataAtom != atom.A && n.DataAtom != atom.Area {
		return Link{}, false
	}
	l := Link{Text: label(n), Address: strings.TrimFunc(address, isSpaceRune), Node: n}
	l.Target, _ = nodeAttribute(n, "target")
	l.Rel, _ = nodeAttribute(n, "rel")
	l.Policy, _ = nodeAttribute(n, "referrerpolicy")
	return l, true
}

// label is what an element is called by: its text with the alternative texts of images, else its label or title.
func label(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		switch {
		case b.Len() > maxShown*4:
		case d.Type == html.TextNode && !unseen(d, n):
			b.WriteString(d.Data)
		case d.DataAtom == atom.Img:
			alt, _ := nodeAttribute(d, "alt")
			b.WriteString(alt)
		}
	}
	if text := clip(collapse(b.String()), maxShown); text != "" {
		return text
	}
	for _, key := range []string{"aria-label", "alt", "title"} {
		if text, _ := nodeAttribute(n, key); text != "" {
			return clip(collapse(text), maxShown)
		}
	}
	return ""
}

// unseen says that n, which is within top, is in something there that is not seen.
func unseen(n, top *html.Node) bool {
	for p := n.Parent; p != nil && p != top; p = p.Parent {
		if hidden(p) {
			return true
		}
	}
	return false
}

// visible calls each for every element below root that is not hidden, until it says no.
func visible(root *html.Node, each func(*html.Node) bool) {
	for n := root.FirstChild; n != nil; {
		skip := n.Type != html.ElementNode || hidden(n)
		if !skip && !each(n) {
			return
		}
		if !skip && n.FirstChild != nil {
			n = n.FirstChild
			continue
		}
		for n != nil && n.NextSibling == nil {
			if n = n.Parent; n == root {
				n = nil
			}
		}
		if n != nil {
			n = n.NextSibling
		}
	}
}

// Select is the elements that a CSS selector matches, in document order, at most limit.
func Select(root *html.Node, text string, limit int) ([]*html.Node, error) {
	list, err := selectorParser{}.list(offset(tokenize(text)), false, false)
	if err != nil {
		return nil, fmt.Errorf("selector %q: %w", text, err)
	}
	m := matcher{steps: maxSteps}
	var found []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && m.list(list, n, nil) {
			if found = append(found, n); len(found) >= limit {
				break
			}
		}
	}
	return found, nil
}

// FindLink is the link that a person would click: the first of this text exactly, else the first that contains it; where
// text is no link's, it is tried as a CSS selector.
func FindLink(root *html.Node, text string) (Link, error) {
	links := Links(root)
	want := strings.ToLower(collapse(text))
	for _, l := range links {
		if want != "" && strings.ToLower(l.Text) == want {
			return l, nil
		}
	}
	for _, l := range links {
		if want != "" && strings.Contains(strings.ToLower(l.Text), want) {
			return l, nil
		}
	}
	found, err := Select(root, text, 1)
	if err != nil || len(found) == 0 {
		return Link{}, fmt.Errorf("the page has no link %q", text)
	}
	for n := found[0]; n != nil; n = n.Parent {
		if l, ok := linkOf(n); ok {
			return l, nil
		}
	}
	return Link{}, fmt.Errorf("what %q selects is no link", text)
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

// collapse is text with its white space collapsed.
func collapse(text string) string { return strings.Join(strings.Fields(text), " ") }
