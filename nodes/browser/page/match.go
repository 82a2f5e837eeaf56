package page

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxSteps bounds the elements that are compared with compounds of selectors for one document.
const maxSteps = 30_000_000

// matcher compares elements with selectors. When its steps are used up, nothing matches any more.
type matcher struct {
	steps int
}

func (m *matcher) list(l selectorList, n, scope *html.Node) bool {
	for _, s := range l {
		if s.pseudo == "" && m.matches(s, n, scope) {
			return true
		}
	}
	return false
}

// matches says that n matches s, its pseudo-element aside. scope is what :scope stands for; nil: the root.
func (m *matcher) matches(s *selector, n, scope *html.Node) bool { return m.from(s, 0, n, scope) }

// from says that n matches the compound i, and what stands around it those on its left.
func (m *matcher) from(s *selector, i int, n, scope *html.Node) bool {
	if !m.compound(&s.compounds[i], n, scope) {
		return false
	}
	if i+1 == len(s.compounds) {
		return true
	}
	switch s.compounds[i].combinator {
	case '>':
		p := parent(n)
		return p != nil && m.from(s, i+1, p, scope)
	case '+':
		p := previous(n)
		return p != nil && m.from(s, i+1, p, scope)
	case '~':
		for p := previous(n); p != nil && m.steps > 0; p = previous(p) {
			if m.from(s, i+1, p, scope) {
				return true
			}
		}
	default:
		for p := parent(n); p != nil && m.steps > 0; p = parent(p) {
			if m.from(s, i+1, p, scope) {
				return true
			}
		}
	}
	return false
}

// parent is the element that n is in; nil for the root. A shadow root is passed over.
func parent(n *html.Node) *html.Node {
	if n.Parent == nil || n.Parent.Type != html.ElementNode {
		return nil
	}
	return n.Parent
}

func previous(n *html.Node) *html.Node {
	for n = n.PrevSibling; n != nil && n.Type != html.ElementNode; n = n.PrevSibling {
	}
	return n
}

func next(n *html.Node) *html.Node {
	for n = n.NextSibling; n != nil && n.Type != html.ElementNode; n = n.NextSibling {
	}
	return n
}

func (m *matcher) compound(c *compound, n, scope *html.Node) bool {
	if m.steps--; m.steps < 0 {
		return false
	}
	if c.foreign || c.tag != "" && !strings.EqualFold(c.tag, n.Data) {
		return false
	}
	for _, id := range c.id {
		if have, ok := nodeAttribute(n, "id"); !ok || have != id {
			return false
		}
	}
	for _, class := range c.class {
		if have, _ := nodeAttribute(n, "class"); !hasWord(have, class) {
			return false
		}
	}
	for i := range c.attributes {
		if !c.attributes[i].matches(n) {
			return false
		}
	}
	for i := range c.classes {
		if !m.pseudoClass(&c.classes[i], n, scope) {
			return false
		}
	}
	for _, list := range c.nested {
		if !m.list(list, n, scope) {
			return false
		}
	}
	return true
}

// hasWord says that text, cut at white space, has word.
func hasWord(text, word string) bool {
	for text != "" {
		text = strings.TrimLeft(text, " \t\n\f\r")
		end := strings.IndexAny(text, " \t\n\f\r")
		if end < 0 {
			end = len(text)
		}
		if end > 0 && text[:end] == word {
			return true
		}
		text = text[end:]
	}
	return false
}

func (t *attributeTest) matches(n *html.Node) bool {
	have, ok := "", false
	for _, a := range n.Attr {
		if strings.EqualFold(a.Key, t.name) {
			have, ok = a.Val, true
			break
		}
	}
	if !ok {
		return false
	}
	want := t.value
	if t.fold {
		have, want = strings.ToLower(have), strings.ToLower(want)
	}
	switch t.operator {
	case "=":
		return have == want
	case "~=":
		return want != "" && hasWord(have, want)
	case "|=":
		return have == want || strings.HasPrefix(have, want+"-")
	case "^=":
		return want != "" && strings.HasPrefix(have, want)
	case "$=":
		return want != "" && strings.HasSuffix(have, want)
	case "*=":
		return want != "" && strings.Contains(have, want)
	}
	return true
}

func (m *matcher) pseudoClass(c *pseudoClass, n, scope *html.Node) bool {
	switch c.name {
	case "not":
		return !m.list(c.list, n, scope)
	case "has":
		return m.has(c.list, n)
	case "root":
		return parent(n) == nil
	case "scope":
		if scope == nil {
			return parent(n) == nil
		}
		return n == scope
	case "empty":
		for child := range n.ChildNodes() {
			if child.Type == html.ElementNode || child.Type == html.TextNode && child.Data != "" {
				return false
			}
		}
		return true
	case "first-child":
		return previous(n) == nil
	case "last-child":
		return next(n) == nil
	case "only-child":
		return previous(n) == nil && next(n) == nil
	case "first-of-type":
		return m.position(n, false, true, nil) == 1
	case "last-of-type":
		return m.position(n, true, true, nil) == 1
	case "only-of-type":
		return m.position(n, false, true, nil) == 1 && m.position(n, true, true, nil) == 1
	case "nth-child", "nth-last-child", "nth-of-type", "nth-last-of-type":
		if c.list != nil && !m.list(c.list, n, scope) {
			return false
		}
		at := m.position(n, strings.Contains(c.name, "last"), strings.HasSuffix(c.name, "type"), c.list) - c.b
		if c.a == 0 {
			return at == 0
		}
		return at%c.a == 0 && at/c.a >= 0
	case "lang":
		return matchesLanguage(n, c.text)
	case "dir":
		return len(c.text) == 1 && c.text[0] == inherited(n, "dir", "ltr")
	}
	return formState(c.name, n)
}

// has says that something in n, or beside it where a selector asks so, matches the list relative to n.
func (m *matcher) has(list selectorList, n *html.Node) bool {
	for _, s := range list {
		// The combinator behind the first compound, :scope, says where to look.
		nearest := byte(' ')
		if len(s.compounds) > 1 {
			nearest = s.compounds[len(s.compounds)-2].combinator
		}
		if nearest == ' ' || nearest == '>' {
			for d := range n.Descendants() {
				if m.steps < 0 {
					return false
				}
				if d.Type == html.ElementNode && m.matches(s, d, n) {
					return true
				}
			}
			continue
		}
		for b := next(n); b != nil; b = next(b) {
			if m.steps < 0 {
				return false
			}
			if m.matches(s, b, n) {
				return true
			}
			for d := range b.Descendants() {
				if d.Type == html.ElementNode && m.steps > 0 && m.matches(s, d, n) {
					return true
				}
			}
		}
	}
	return false
}

// position is the place of n among its siblings, from 1: from the last where last, among those of its type, or among
// those that match list.
func (m *matcher) position(n *html.Node, last, ofType bool, list selectorList) int {
	place := 1
	step := previous
	if last {
		step = next
	}
	for b := step(n); b != nil && m.steps > 0; b = step(b) {
		m.steps--
		if (!ofType || b.Data == n.Data) && (list == nil || m.list(list, b, nil)) {
			place++
		}
	}
	return place
}

// inherited is the value of an attribute of n or of the nearest element around it that has one, in lower case.
func inherited(n *html.Node, key, otherwise string) string {
	for ; n != nil; n = n.Parent {
		if value, ok := nodeAttribute(n, key); ok {
			return strings.ToLower(value)
		}
	}
	return otherwise
}

func matchesLanguage(n *html.Node, ranges []string) bool {
	have := inherited(n, "lang", "")
	for _, want := range ranges {
		if have != "" && (want == "*" || have == want || strings.HasPrefix(have, want+"-")) {
			return true
		}
	}
	return false
}

// formState is what pseudo-classes about links and controls say; those that tell what a person did never match.
func formState(name string, n *html.Node) bool {
	kind, _ := nodeAttribute(n, "type")
	kind = strings.ToLower(kind)
	_, disabledHere := nodeAttribute(n, "disabled")
	switch name {
	case "link", "any-link", "-webkit-any-link":
		_, ok := nodeAttribute(n, "href")
		return ok && (n.DataAtom == atom.A || n.DataAtom == atom.Area)
	case "checked":
		switch n.DataAtom {
		case atom.Option:
			_, ok := nodeAttribute(n, "selected")
			return ok
		case atom.Input:
			_, ok := nodeAttribute(n, "checked")
			return ok && (kind == "checkbox" || kind == "radio")
		}
		return false
	case "disabled", "enabled":
		switch n.DataAtom {
		case atom.Button, atom.Input, atom.Select, atom.Textarea, atom.Optgroup, atom.Option, atom.Fieldset:
			return (disabledHere || disabled(n)) == (name == "disabled")
		}
		return false
	case "required", "optional":
		switch n.DataAtom {
		case atom.Input, atom.Select, atom.Textarea:
			_, ok := nodeAttribute(n, "required")
			return ok == (name == "required")
		}
		return false
	case "read-only", "read-write":
		return writable(n, kind) == (name == "read-write")
	case "placeholder-shown":
		hint, ok := nodeAttribute(n, "placeholder")
		value, _ := nodeAttribute(n, "value")
		return ok && hint != "" && value == "" && (n.DataAtom == atom.Input || n.DataAtom == atom.Textarea && content(n) == "")
	case "defined":
		return !strings.Contains(n.Data, "-") || n.Namespace != ""
	case "open":
		_, ok := nodeAttribute(n, "open")
		return ok && (n.DataAtom == atom.Details || n.DataAtom == atom.Dialog)
	}
	return false
}

// writable says that a person can write into n.
func writable(n *html.Node, kind string) bool {
	_, fixed := nodeAttribute(n, "readonly")
	editable, ok := nodeAttribute(n, "contenteditable")
	switch {
	case n.DataAtom == atom.Textarea:
		return !fixed && !disabled(n)
	case n.DataAtom == atom.Input:
		switch kind {
		case "checkbox", "radio", "button", "submit", "reset", "image", "hidden", "file", "range", "color":
			return false
		}
		return !fixed && !disabled(n)
	}
	return ok && !strings.EqualFold(editable, "false")
}
