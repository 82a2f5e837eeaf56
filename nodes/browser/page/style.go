package page

import (
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"scenario/nodes/browser/weburl"
)

// Bounds of what is styled.
const (
	maxSheets      = 200    // of a document, with imports
	maxImportDepth = 8      // of imports in imports
	maxStyled      = 100000 // elements
	maxNeeded      = 2000   // images and fonts
)

// Style finds the images and fonts that the style sheets of a document have a browser load: images that an element's
// computed style names, as Chromium does, not all that stand in the sheets; and the faces of fonts that text is in.
type Style struct {
	Root   *html.Node
	Base   *weburl.URL // of the document
	Screen Screen
	// Sheet is the style sheet that came for an address; nil: none did.
	Sheet func(*weburl.URL) *Sheet
}

// Needed is what the computed styles name, in document order, each address once. It is to be asked when the tree and the
// sheets are complete.
func (s Style) Needed() []Reference {
	c := &cascade{
		style: s, matcher: matcher{steps: maxSteps}, layers: make(map[string]int), byID: make(map[string][]int),
		byClass: make(map[string][]int), byTag: make(map[string][]int), frames: make(map[string][]declaration),
		fonts: make(map[string][]face), seen: make(map[string]bool),
	}
	c.collect()
	c.walk()
	return c.found
}

// cascade is the rules of all sheets of a document, and what was found with them.
type cascade struct {
	style   Style
	matcher matcher
	sheets  int
	layers  map[string]int // rank
	rules   []appliedRule
	byID    map[string][]int // rules by what their last compound asks for
	byClass map[string][]int
	byTag   map[string][]int
	others  []int
	frames  map[string][]declaration
	fonts   map[string][]face
	seen    map[string]bool
	found   []Reference
}

// appliedRule is one selector of a rule, with where it stands.
type appliedRule struct {
	selector *selector
	rule     *styleRule
	sheet    *Sheet
}

type face struct {
	fontFace
	sheet *Sheet
}

// collect gathers the sheets in the order in which they apply: as their elements stand, imports before what imports them.
func (c *cascade) collect() {
	for n := range c.style.Root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		media, _ := nodeAttribute(n, "media")
		switch {
		case n.Data == "style":
			kind, _ := nodeAttribute(n, "type")
			if (kind == "" || strings.EqualFold(kind, "text/css")) && c.style.Screen.Matches(media) {
				c.add(ParseSheet(content(n), c.style.Base, c.style.Screen), "", 0)
			}
		case n.DataAtom == atom.Link:
			rel, _ := nodeAttribute(n, "rel")
			kind, _ := nodeAttribute(n, "type")
			_, off := nodeAttribute(n, "disabled")
			words := strings.Fields(strings.ToLower(rel))
			if off || !slices.Contains(words, "stylesheet") || slices.Contains(words, "alternate") || !cssType(kind) || !c.style.Screen.Matches(media) {
				continue
			}
			if href, _ := nodeAttribute(n, "href"); strings.TrimFunc(href, isSpaceRune) != "" {
				c.addURL(c.style.Base, href, "", 0)
			}
		}
	}
}

func (c *cascade) addURL(base *weburl.URL, address, layer string, depth int) {
	u, err := base.Parse(address)
	if err != nil || c.style.Sheet == nil || depth > maxImportDepth || c.sheets >= maxSheets {
		return
	}
	if sheet := c.style.Sheet(u); sheet != nil {
		c.add(sheet, layer, depth)
	}
}

// add adds a sheet, all its rules in a layer where one is given.
func (c *cascade) add(sheet *Sheet, layer string, depth int) {
	c.sheets++
	full := func(name string) string {
		if layer != "" && name != "" {
			return layer + "." + name
		}
		return layer + name
	}
	for _, name := range sheet.layers {
		if name = full(name); c.layers[name] == 0 {
			c.layers[name] = len(c.layers) + 1
		}
	}
	for _, i := range sheet.imports {
		if i.matches {
			c.addURL(sheet.url, i.address, full(i.layer), depth+1)
		}
	}
	for r := range sheet.rules {
		rule := sheet.rules[r]
		rule.layer = full(rule.layer)
		for _, s := range rule.selectors {
			at := len(c.rules)
			c.rules = append(c.rules, appliedRule{s, &rule, sheet})
			last := &s.compounds[0]
			switch {
			case len(last.id) > 0:
				c.byID[last.id[0]] = append(c.byID[last.id[0]], at)
			case len(last.class) > 0:
				c.byClass[last.class[0]] = append(c.byClass[last.class[0]], at)
			case last.tag != "":
				c.byTag[last.tag] = append(c.byTag[last.tag], at)
			default:
				c.others = append(c.others, at)
			}
		}
	}
	for name, list := range sheet.frames {
		c.frames[name] = list
	}
	for _, f := range sheet.fonts {
		c.fonts[f.family] = append(c.fonts[f.family], face{f, sheet})
	}
}

// computed is what of an element's style its descendants inherit, and what it is not shown for.
type computed struct {
	families []string
	weight   float64
	italic   bool
	custom   map[string]span
}

// walk styles the elements in document order; what is not displayed has no style, nor has anything in it.
func (c *cascade) walk() {
	type level struct {
		node  *html.Node
		style computed
	}
	stack := []level{{c.style.Root.FirstChild, computed{weight: 400}}}
	for count := 0; len(stack) > 0 && count < maxStyled && c.matcher.steps > 0; count++ {
		top := &stack[len(stack)-1]
		n := top.node
		if n == nil {
			stack = stack[:len(stack)-1]
			continue
		}
		top.node = n.NextSibling
		if n.Type != html.ElementNode {
			continue
		}
		if style, shown := c.element(n, top.style); shown && n.FirstChild != nil {
			stack = append(stack, level{n.FirstChild, style})
		}
	}
}

// winner is the declaration that wins the cascade for a property, so far.
type winner struct {
	level, weight, order int
	value                span
	base                 *weburl.URL
}

type winners map[string]winner

// put sets a property where nothing stronger did.
func (w winners) put(name string, next winner) {
	if have, ok := w[name]; ok && (have.level > next.level || have.level == next.level && (have.weight > next.weight ||
		have.weight == next.weight && have.order > next.order)) {
		return
	}
	w[name] = next
}

// The levels of the cascade (CSS Cascade 5, section 6.1) below and above those of layers.
const (
	levelAgent     = -2
	levelHint      = -1
	levelPlain     = 1 << 20 // in no layer
	levelInline    = levelPlain + 1
	levelImportant = levelPlain + 2
)

func (c *cascade) level(layer string, important, inline bool) int {
	switch {
	case inline && important:
		return levelImportant + levelPlain
	case inline:
		return levelInline
	case layer == "" && important:
		return levelImportant
	case layer == "":
		return levelPlain
	case important:
		return levelImportant + levelPlain - c.layers[layer]
	}
	return c.layers[layer]
}

// declare adds declarations to w as longhands. Those of images that no browser reads are not valid.
func (c *cascade) declare(w winners, list []declaration, layer string, inline bool, at winner) {
	for _, d := range list {
		if !strings.HasPrefix(d.name, "--") && invalidImage(d.value) {
			continue
		}
		at.value = d.value
		at.level = c.level(layer, d.important, inline)
		for _, name := range longhands(d.name) {
			w.put(name, at)
		}
	}
}

// candidates is the rules that may apply to n, in their order.
func (c *cascade) candidates(n *html.Node) []int {
	list := slices.Clone(c.others)
	list = append(list, c.byTag[strings.ToLower(n.Data)]...)
	if id, ok := nodeAttribute(n, "id"); ok {
		list = append(list, c.byID[id]...)
	}
	class, _ := nodeAttribute(n, "class")
	words := strings.Fields(class)
	slices.Sort(words)
	for _, word := range slices.Compact(words) {
		list = append(list, c.byClass[word]...)
	}
	slices.Sort(list)
	return list
}

// element computes the style of n and finds what it names.
func (c *cascade) element(n *html.Node, around computed) (style computed, shown bool) {
	own := make(winners)
	pseudos := make(map[string]winners)
	c.agent(own, n)
	for _, at := range c.candidates(n) {
		r := c.rules[at]
		if !c.matcher.matches(r.selector, n, nil) {
			continue
		}
		w := own
		if p := r.selector.pseudo; p != "" {
			if pseudos[p] == nil {
				pseudos[p] = make(winners)
			}
			w = pseudos[p]
		}
		c.declare(w, r.rule.declarations, r.rule.layer, false, winner{weight: r.selector.weight, order: at, base: r.sheet.url})
	}
	if text, ok := nodeAttribute(n, "style"); ok {
		c.declare(own, declarations(offset(tokenize(clipBytes(text, maxSheet)))), "", true, winner{base: c.style.Base})
	}
	style = c.inherit(own, around)
	if w, ok := own["display"]; ok && c.resolve(w.value, style.custom).first().is("none") {
		return style, false
	}
	c.images(own, style.custom)
	c.faces(style, directText(n))
	for _, name := range []string{"marker", "before", "after", "first-line", "first-letter", "placeholder"} {
		if w := pseudos[name]; w != nil && c.generated(name, n, w, style) {
			inner := c.inherit(w, style)
			c.images(w, inner.custom)
			c.faces(inner, pseudoText(name, n, w))
		}
	}
	return style, true
}

// agent is what a browser's own sheet and a document's attributes say.
func (c *cascade) agent(w winners, n *html.Node) {
	put := func(name, value string, level int) {
		w.put(name, winner{level: level, order: -1, value: offset(tokenize(value)), base: c.style.Base})
	}
	if n.Namespace == "" && undisplayed(n) {
		put("display", "none", levelAgent)
	}
	switch n.DataAtom {
	case atom.B, atom.Strong, atom.Th, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		put("font-weight", "bold", levelAgent)
	case atom.I, atom.Em, atom.Cite, atom.Var, atom.Dfn, atom.Address:
		put("font-style", "italic", levelAgent)
	case atom.Code, atom.Pre, atom.Kbd, atom.Samp, atom.Tt, atom.Input, atom.Textarea, atom.Select, atom.Button:
		put("font-family", "monospace", levelAgent)
	}
	switch n.DataAtom {
	case atom.Body, atom.Table, atom.Thead, atom.Tbody, atom.Tfoot, atom.Tr, atom.Td, atom.Th:
		if address, _ := nodeAttribute(n, "background"); strings.TrimFunc(address, isSpaceRune) != "" {
			w.put("background-image", winner{level: levelHint, base: c.style.Base,
				value: offset([]token{{kind: tokURL, text: strings.TrimFunc(address, isSpaceRune)}})})
		}
	}
	if n.Namespace == "svg" {
		for _, a := range n.Attr {
			switch a.Key {
			case "fill", "stroke", "filter", "mask", "clip-path", "marker-start", "marker-mid", "marker-end", "cursor", "display":
				put(longhands(a.Key)[0], clipBytes(a.Val, maxSheet), levelHint)
			}
		}
	}
}

// generated says that a pseudo-element of n is there.
func (c *cascade) generated(name string, n *html.Node, w winners, style computed) bool {
	if d, ok := w["display"]; ok && d.value.first().is("none") {
		return false
	}
	switch name {
	case "before", "after":
		text, ok := w["content"]
		t := text.value.first()
		return ok && !t.is("none") && !t.is("normal") && !t.is("initial") && !t.is("unset")
	case "marker":
		return n.DataAtom == atom.Li || n.DataAtom == atom.Summary
	case "placeholder":
		hint, _ := nodeAttribute(n, "placeholder")
		return hint != "" && (n.DataAtom == atom.Input || n.DataAtom == atom.Textarea)
	}
	return block(n)
}

// inherit is the style that w makes of the one around it.
func (c *cascade) inherit(w winners, around computed) computed {
	style := around
	own := false
	for name, v := range w {
		if strings.HasPrefix(name, "--") {
			if !own {
				style.custom = make(map[string]span, len(around.custom)+1)
				for k, v := range around.custom {
					style.custom[k] = v
				}
				own = true
			}
			style.custom[name] = v.value
		}
	}
	for _, name := range []string{"font", "font-family", "font-weight", "font-style"} {
		v, ok := w[name]
		if !ok || v.value.first().is("inherit") {
			continue
		}
		value := c.resolve(v.value, style.custom)
		switch name {
		case "font":
			style.families, style.weight, style.italic = fontShorthand(value)
		case "font-family":
			if f, ok := w["font"]; !ok || !stronger(f, v) {
				style.families = families(value)
			}
		case "font-weight":
			if f, ok := w["font"]; !ok || !stronger(f, v) {
				style.weight = fontWeight(value, around.weight)
			}
		case "font-style":
			if f, ok := w["font"]; !ok || !stronger(f, v) {
				style.italic = value.first().is("italic") || value.first().is("oblique")
			}
		}
	}
	return style
}

func stronger(a, b winner) bool {
	if a.level != b.level {
		return a.level > b.level
	}
	return a.weight > b.weight || a.weight == b.weight && a.order > b.order
}

// images finds the images that won.
func (c *cascade) images(w winners, custom map[string]span) {
	for _, name := range imageProperties() {
		v, ok := w[name]
		if !ok {
			continue
		}
		for _, address := range c.style.Screen.imageAddresses(c.resolve(v.value, custom), 0) {
			c.need(Reference{Address: address, Destination: DestImage, Delays: Delays{Load: true}}, v.base)
		}
	}
	if v, ok := w["animation-name"]; ok {
		for _, t := range v.value.tokens() {
			for _, d := range c.frames[t.text] {
				for _, address := range c.style.Screen.imageAddresses(d.value, 0) {
					c.need(Reference{Address: address, Destination: DestImage, Delays: Delays{Load: true}}, v.base)
				}
			}
		}
	}
}

// faces finds the fonts that text is in: of each family of the list the nearest faces that have its characters.
func (c *cascade) faces(style computed, text string) {
	if text == "" {
		return
	}
	for _, family := range style.families {
		var best []face
		for _, f := range c.fonts[family] {
			if !f.covers(text) {
				continue
			}
			if len(best) > 0 {
				this, have := f.far(style.weight, style.italic), best[0].far(style.weight, style.italic)
				if this > have {
					continue
				}
				if this < have || f.ranges == nil { // of two faces alike the later one stands
					best = best[:0]
				}
			}
			best = append(best, f)
		}
		for _, f := range best {
			ref := Reference{Address: f.sources[0], Destination: DestFont, CrossOrigin: "anonymous", Delays: Delays{Load: true}}
			for _, source := range f.sources[1:] {
				if u, err := f.sheet.url.Parse(source); err == nil {
					ref.Alternatives = append(ref.Alternatives, u.String())
				}
			}
			c.need(ref, f.sheet.url)
		}
	}
}

// need notes what is to be loaded, once. An address of this very document's parts is not.
func (c *cascade) need(ref Reference, base *weburl.URL) {
	if ref.Address == "" || strings.HasPrefix(ref.Address, "#") || len(c.found) >= maxNeeded {
		return
	}
	u, err := base.Parse(ref.Address)
	if err != nil || c.seen[string(ref.Destination)+u.Bare()] {
		return
	}
	c.seen[string(ref.Destination)+u.Bare()] = true
	ref.Address, ref.Base = u.String(), base.String()
	c.found = append(c.found, ref)
}
