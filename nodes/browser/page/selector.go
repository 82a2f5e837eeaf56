package page

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/net/html/atom"
)

// Bounds of selectors.
const (
	maxSelectors     = 256 // in one list
	maxCompounds     = 64  // joined by combinators
	maxSelectorDepth = 8   // of lists in functions
)

// selectorList is alternatives: an element matches it when it matches one of them.
type selectorList []*selector

// selector is a complex selector (Selectors 4, section 3.1), its compounds from the last to the first.
type selector struct {
	compounds []compound
	pseudo    string // pseudo-element that it selects, without colons; empty: the element itself
	weight    int    // its specificity: a·10⁶ + b·10³ + c
}

// compound is what must hold of one element, and how it stands to the compound before it.
type compound struct {
	tag        string // lower case; empty: any
	foreign    bool   // it asks for a namespace that was not declared
	id         []string
	class      []string
	attributes []attributeTest
	classes    []pseudoClass
	nested     []selectorList // of :is, :where, and of & in nested rules
	combinator byte           // to the compound on its left: ' ', '>', '+', '~'; 0: none
}

type attributeTest struct {
	name, operator, value string
	fold                  bool // case does not count
}

type pseudoClass struct {
	name string
	list selectorList // of :not, :has, "of" in :nth-child
	a, b int          // of :nth-…(an+b)
	text []string     // of :lang, :dir
}

// selectorParser reads selectors; parent is what & stands for, nil at the top.
type selectorParser struct {
	parent selectorList
	depth  int
}

// parseSelectors reads a list of selectors; one that is not valid makes the list so, unless it is forgiving.
func (sp selectorParser) list(p span, forgiving, relative bool) (selectorList, error) {
	if sp.depth > maxSelectorDepth {
		return nil, fmt.Errorf("selectors nested deeper than %d", maxSelectorDepth)
	}
	var list selectorList
	for _, part := range splitCommas(p) {
		if len(list) >= maxSelectors {
			return nil, fmt.Errorf("more than %d selectors", maxSelectors)
		}
		s, err := sp.complex(part, relative)
		switch {
		case err == nil:
			list = append(list, s)
		case !forgiving:
			return nil, err
		}
	}
	return list, nil
}

// complex reads one selector. A relative one may begin with a combinator; its first compound is then :scope.
func (sp selectorParser) complex(p span, relative bool) (*selector, error) {
	s := &selector{}
	rest := p
	if rest.empty() {
		return nil, fmt.Errorf("a selector is missing")
	}
	combinator := byte(0)
	if relative {
		s.compounds = append(s.compounds, compound{classes: []pseudoClass{{name: "scope"}}})
		combinator = ' '
		if c := combinatorOf(rest.first()); c != 0 && c != ' ' {
			combinator = c
			rest = rest.skip().trim()
		}
	}
	for {
		if len(s.compounds) >= maxCompounds {
			return nil, fmt.Errorf("a selector of more than %d parts", maxCompounds)
		}
		if s.pseudo != "" {
			return nil, fmt.Errorf("something stands behind ::%s", s.pseudo)
		}
		c := compound{combinator: combinator}
		var err error
		if rest, err = sp.compound(rest, &c, s); err != nil {
			return nil, err
		}
		s.compounds = append(s.compounds, c)
		if rest.trim().empty() {
			break
		}
		combinator = combinatorOf(rest.first())
		rest = rest.trim()
		if c := combinatorOf(rest.first()); c != 0 {
			combinator = c
			rest = rest.skip().trim()
		}
		if combinator == 0 {
			return nil, fmt.Errorf("%q in a selector", rest.first().text)
		}
	}
	for i, j := 0, len(s.compounds)-1; i < j; i, j = i+1, j-1 {
		s.compounds[i], s.compounds[j] = s.compounds[j], s.compounds[i]
	}
	return s, nil
}

func combinatorOf(t token) byte {
	switch {
	case t.kind == tokSpace:
		return ' '
	case t.delim(">"), t.delim("+"), t.delim("~"):
		return t.text[0]
	}
	return 0
}

// compound reads simple selectors up to a combinator.
func (sp selectorParser) compound(p span, c *compound, s *selector) (rest span, err error) {
	rest = p
	some := false
	for !rest.empty() && rest.first().kind != tokSpace && combinatorOf(rest.first()) == 0 {
		t := rest.first()
		switch {
		case (t.kind == tokIdent || t.delim("*") || t.delim("|")) && !some:
			rest = typeSelector(rest, c, s)
			some = true
			continue
		case t.kind == tokHash:
			c.id = append(c.id, t.text)
			s.weight += 1_000_000
		case t.delim(".") && rest.from+1 < rest.to && rest.all[rest.from+1].kind == tokIdent:
			c.class = append(c.class, rest.all[rest.from+1].text)
			s.weight += 1000
			rest = rest.skip()
		case t.delim("&"):
			if sp.parent == nil {
				c.classes = append(c.classes, pseudoClass{name: "root"})
			} else {
				c.nested = append(c.nested, sp.parent)
				s.weight += sp.parent.weight()
			}
		case t.kind == '[':
			test, err := parseAttributeTest(rest.inner())
			if err != nil {
				return rest, err
			}
			c.attributes = append(c.attributes, test)
			s.weight += 1000
		case t.kind == ':':
			if rest, err = sp.pseudo(rest.skip(), c, s); err != nil {
				return rest, err
			}
			some = true
			continue
		default:
			return rest, fmt.Errorf("%q in a selector", t.text)
		}
		some = true
		rest = rest.skip()
	}
	if !some {
		return rest, fmt.Errorf("a selector is missing beside a combinator")
	}
	return rest, nil
}

// typeSelector reads an element's name, perhaps with a namespace. Any namespace is as none; a name of one is taken for
// a namespace that no element is in.
func typeSelector(p span, c *compound, s *selector) span {
	name := func(t token) {
		if t.kind == tokIdent {
			c.tag = strings.ToLower(t.text)
			s.weight++
		}
	}
	t := p.first()
	rest := p
	if !t.delim("|") {
		rest = p.skip()
	}
	if rest.first().delim("|") && !rest.skip().empty() && (rest.skip().first().kind == tokIdent || rest.skip().first().delim("*")) {
		c.foreign = !t.delim("*")
		name(rest.skip().first())
		return rest.skip().skip()
	}
	if t.delim("|") {
		c.foreign = true
		return rest.skip()
	}
	name(t)
	return rest
}

// parseAttributeTest reads what stands in square brackets.
func parseAttributeTest(p span) (attributeTest, error) {
	var test attributeTest
	rest := p
	if rest.first().delim("*") || rest.first().delim("|") {
		for rest.first().kind == tokDelim {
			rest = rest.skip()
		}
	}
	if rest.first().kind != tokIdent {
		return test, fmt.Errorf("an attribute's name is missing")
	}
	test.name = strings.ToLower(rest.first().text)
	rest = rest.skip().trim()
	for rest.first().kind == tokDelim && len(test.operator) < 2 {
		test.operator += rest.first().text
		rest = rest.skip()
	}
	switch test.operator {
	case "":
		if !rest.empty() {
			return test, fmt.Errorf("%q behind an attribute's name", rest.first().text)
		}
		return test, nil
	case "=", "~=", "|=", "^=", "$=", "*=":
	default:
		return test, fmt.Errorf("attributes are not compared by %q", test.operator)
	}
	rest = rest.trim()
	if k := rest.first().kind; k != tokIdent && k != tokString {
		return test, fmt.Errorf("an attribute's value is missing")
	}
	test.value = rest.first().text
	rest = rest.skip().trim()
	switch {
	case rest.first().is("i"):
		test.fold = true
	case rest.empty() || rest.first().is("s"):
		test.fold = rest.empty() && foldedAttribute(test.name)
	default:
		return test, fmt.Errorf("%q behind an attribute's value", rest.first().text)
	}
	return test, nil
}

// foldedAttribute says that the values of an attribute are compared without case in HTML (HTML, section 4.16.2).
func foldedAttribute(name string) bool {
	if name == "language" || name == "http-equiv" {
		return true
	}
	switch atom.Lookup([]byte(name)) {
	case atom.Accept, atom.Align, atom.Charset, atom.Checked, atom.Color, atom.Cols, atom.Colspan, atom.Defer, atom.Dir,
		atom.Disabled, atom.Enctype, atom.Face, atom.Hreflang, atom.Lang, atom.Media,
		atom.Method, atom.Multiple, atom.Readonly, atom.Rel, atom.Rows, atom.Rowspan, atom.Scope, atom.Selected,
		atom.Shape, atom.Size, atom.Span, atom.Target, atom.Type:
		return true
	}
	return false
}

// weight is the specificity of a list: that of its most specific selector.
func (l selectorList) weight() int {
	most := 0
	for _, s := range l {
		most = max(most, s.weight)
	}
	return most
}

// pseudo reads what stands behind a colon.
func (sp selectorParser) pseudo(p span, c *compound, s *selector) (span, error) {
	t := p.first()
	if t.kind == ':' {
		return pseudoElement(p.skip(), s)
	}
	name := strings.ToLower(t.text)
	if t.kind == tokIdent {
		switch name {
		case "before", "after", "first-line", "first-letter":
			return pseudoElement(p, s)
		}
		if !plainPseudoClass(name) {
			return p, fmt.Errorf("there is no :%s", name)
		}
		c.classes = append(c.classes, pseudoClass{name: name})
		s.weight += 1000
		return p.skip(), nil
	}
	if t.kind != tokFunction {
		return p, fmt.Errorf("a name is missing behind a colon")
	}
	inner := p.inner()
	further := selectorParser{sp.parent, sp.depth + 1}
	switch name {
	case "is", "where", "-webkit-any", "matches":
		list, err := further.list(inner, true, false)
		if err != nil {
			return p, err
		}
		c.nested = append(c.nested, list)
		if name != "where" {
			s.weight += list.weight()
		}
	case "not", "has":
		list, err := further.list(inner, false, name == "has")
		if err != nil {
			return p, err
		}
		c.classes = append(c.classes, pseudoClass{name: name, list: list})
		s.weight += list.weight()
	case "nth-child", "nth-last-child", "nth-of-type", "nth-last-of-type":
		class, err := further.nth(name, inner)
		if err != nil {
			return p, err
		}
		c.classes = append(c.classes, class)
		s.weight += 1000 + class.list.weight()
	case "lang", "dir":
		class := pseudoClass{name: name}
		for _, part := range splitCommas(inner) {
			class.text = append(class.text, strings.ToLower(part.first().text))
		}
		c.classes = append(c.classes, class)
		s.weight += 1000
	case "host", "host-context", "state":
		c.classes = append(c.classes, pseudoClass{name: "never"})
	default:
		return p, fmt.Errorf("there is no :%s()", name)
	}
	return p.skip(), nil
}

// pseudoElement reads the name of a pseudo-element. Those of a browser are known by their prefix.
func pseudoElement(p span, s *selector) (span, error) {
	t := p.first()
	name := strings.ToLower(t.text)
	switch {
	case t.kind == tokFunction && (name == "part" || name == "slotted" || name == "highlight" || name == "cue" || strings.HasPrefix(name, "view-transition")):
	case t.kind != tokIdent:
		return p, fmt.Errorf("there is no ::%s", name)
	case strings.HasPrefix(name, "-webkit-"):
	default:
		switch name {
		case "before", "after", "first-line", "first-letter", "marker", "placeholder", "selection", "backdrop", "cue",
			"file-selector-button", "details-content", "target-text", "spelling-error", "grammar-error":
		default:
			return p, fmt.Errorf("there is no ::%s", name)
		}
	}
	if name == "-webkit-input-placeholder" {
		name = "placeholder"
	}
	s.pseudo = name
	s.weight++
	rest := p.skip()
	// User actions behind a pseudo-element are valid; nobody acts here.
	for rest.first().kind == ':' && rest.skip().first().kind == tokIdent {
		s.pseudo = "never"
		rest = rest.skip().skip()
	}
	return rest, nil
}

// plainPseudoClass says that there is a pseudo-class of this name without arguments.
func plainPseudoClass(name string) bool {
	switch name {
	case "root", "scope", "empty", "first-child", "last-child", "only-child", "first-of-type", "last-of-type", "only-of-type",
		"link", "any-link", "visited", "checked", "disabled", "enabled", "required", "optional", "read-only", "read-write",
		"placeholder-shown", "defined", "default", "open",
		"hover", "active", "focus", "focus-visible", "focus-within", "target", "target-within", "indeterminate", "valid",
		"invalid", "user-valid", "user-invalid", "in-range", "out-of-range", "autofill", "fullscreen", "modal", "popover-open",
		"playing", "paused", "muted", "host", "picture-in-picture", "local-link", "past", "future", "current":
		return true
	}
	return strings.HasPrefix(name, "-webkit-")
}

// nth reads an+b, perhaps with "of" and selectors (CSS Syntax 3, section 6).
func (sp selectorParser) nth(name string, p span) (pseudoClass, error) {
	class := pseudoClass{name: name}
	text := ""
	rest := p
	for ; !rest.empty() && !rest.first().is("of"); rest = rest.skip() {
		switch t := rest.first(); t.kind {
		case tokIdent, tokDelim:
			text += t.text
		case tokNumber:
			text += t.text
		case tokDimension:
			text += strconv.Itoa(int(t.number)) + t.text
		case tokSpace:
		default:
			return class, fmt.Errorf("%q where a position is wanted", t.text)
		}
	}
	if rest.first().is("of") {
		var err error
		if class.list, err = sp.list(rest.skip().trim(), false, false); err != nil {
			return class, err
		}
	}
	var ok bool
	class.a, class.b, ok = parseNth(strings.ToLower(text))
	if !ok {
		return class, fmt.Errorf("%q is no position", text)
	}
	return class, nil
}

func parseNth(text string) (a, b int, ok bool) {
	switch text {
	case "even":
		return 2, 0, true
	case "odd":
		return 2, 1, true
	}
	step, offset, stepped := strings.Cut(text, "n")
	if !stepped {
		b, err := strconv.Atoi(text)
		return 0, b, err == nil
	}
	var err error
	switch step {
	case "", "+":
		a = 1
	case "-":
		a = -1
	default:
		a, err = strconv.Atoi(step)
	}
	if offset != "" && err == nil {
		b, err = strconv.Atoi(offset)
	}
	return a, b, err == nil
}
