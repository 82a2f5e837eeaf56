package page

import (
	"fmt"
	"strings"

	"scenario/nodes/browser/weburl"
)

// Bounds of style sheets.
const (
	maxSheet     = 1 << 20 // bytes of one that are read
	maxRules     = 20_000  // in one
	maxRuleDepth = 16      // of rules in rules
	maxImports   = 100     // of one sheet
)

// Sheet is a style sheet that has been read for a screen.
type Sheet struct {
	url     *weburl.URL
	imports []sheetImport
	rules   []styleRule
	fonts   []fontFace
	frames  map[string][]declaration // of animations, by name
	layers  []string                 // in the order in which they are named
}

type sheetImport struct {
	address string
	layer   string
	matches bool // its media and supports conditions hold
}

// styleRule is declarations and what they apply to.
type styleRule struct {
	selectors    selectorList
	declarations []declaration
	layer        string // empty: in none
}

// declaration is one property's value.
type declaration struct {
	name      string // lower case, but of custom properties as written
	value     span
	important bool
}

// fontFace is one face that can be loaded.
type fontFace struct {
	family  string // lower case
	sources []string
	local   bool // the first source that could be used is a font of the system
	weights [2]float64
	italic  bool
	ranges  [][2]rune // of characters; none: all
}

// ParseSheet reads a style sheet, or the text of a style element; url is what its addresses are relative to. Of rules
// behind media conditions those are kept that hold for the screen.
func ParseSheet(text string, url *weburl.URL, screen Screen) *Sheet {
	s := &Sheet{url: url, frames: make(map[string][]declaration)}
	p := sheetParser{sheet: s, screen: screen}
	p.rules(offset(tokenize(clipBytes(text, maxSheet))), ruleContext{}, true)
	return s
}

// Imports is the sheets that this one imports, in order. Chromium loads them whether their media match or not, but not
// those whose supports() condition does not hold.
func (s *Sheet) Imports() []Reference {
	var list []Reference
	for _, i := range s.imports {
		list = append(list, Reference{Address: i.address, Destination: DestStyle, Idle: !i.matches})
	}
	return list
}

type sheetParser struct {
	sheet  *Sheet
	screen Screen
	seen   int // rules
	unique int // anonymous layers
}

// ruleContext is what rules stand in.
type ruleContext struct {
	parent selectorList // of nested rules
	layer  string
	depth  int
}

// rules reads the rules of a sheet, or of a block that holds rules (CSS Syntax 3, section 5.4.1).
func (p *sheetParser) rules(rest span, in ruleContext, top bool) {
	importing := top
	for rest = rest.trim(); !rest.empty() && p.seen < maxRules; rest = rest.trim() {
		t := rest.first()
		switch {
		case t.kind == tokCDO || t.kind == tokCDC:
			rest = rest.skip()
			continue
		case t.kind == tokAt:
			prelude, block, after := cutRule(rest.skip(), true)
			rest = after
			switch {
			case t.text == "import":
				if importing {
					p.importRule(prelude.trim())
				}
				continue
			case t.text == "charset", t.text == "layer" && block == nil:
			default:
				importing = false
			}
			p.atRule(t.text, prelude.trim(), block, in)
			continue
		}
		prelude, block, after := cutRule(rest, false)
		rest = after
		importing = false
		if block != nil {
			p.styleRule(prelude.trim(), *block, in)
		}
	}
}

// cutRule takes what stands before a block, and the block; an at-rule may end with a semicolon instead. block is nil
// where there is none.
func cutRule(p span, at bool) (prelude span, block *span, rest span) {
	for rest = p; !rest.empty(); rest = rest.skip() {
		switch k := rest.first().kind; {
		case k == ';' && at:
			return span{p.all, p.from, rest.from}, nil, rest.skip()
		case k == '{':
			inner := rest.inner()
			return span{p.all, p.from, rest.from}, &inner, rest.skip()
		}
	}
	return p, nil, rest
}

// importRule reads @import: an address, then layer, supports() and media (CSS Cascade 5, section 2).
func (p *sheetParser) importRule(prelude span) {
	address, ok := urlOf(prelude)
	if !ok || len(p.sheet.imports) >= maxImports {
		return
	}
	i := sheetImport{address: address, matches: true}
	rest := prelude.skip().trim()
	switch t := rest.first(); {
	case t.is("layer"):
		i.layer = p.anonymous()
		rest = rest.skip().trim()
	case t.function("layer"):
		i.layer = layerName(rest.inner())
		rest = rest.skip().trim()
	}
	if i.layer != "" {
		p.sheet.layers = append(p.sheet.layers, i.layer)
	}
	if rest.first().function("supports") {
		inner := rest.inner()
		if !supports(inner, 0) && !declares(inner) {
			return
		}
		rest = rest.skip().trim()
	}
	i.matches = rest.empty() || p.screen.matchesSpan(rest)
	if address != "" {
		p.sheet.imports = append(p.sheet.imports, i)
	}
}

func (s Screen) matchesSpan(p span) bool {
	for _, q := range splitCommas(p) {
		if s.query(q) == yes {
			return true
		}
	}
	return false
}

func (p *sheetParser) anonymous() string {
	p.unique++
	return fmt.Sprintf("(%p %d)", p.sheet, p.unique)
}

func layerName(s span) string {
	var b strings.Builder
	for _, t := range s.tokens() {
		b.WriteString(t.text)
	}
	return b.String()
}

// urlOf is the address at the beginning of p: a string, or url().
func urlOf(p span) (string, bool) {
	switch t := p.first(); {
	case t.kind == tokURL || t.kind == tokString:
		return strings.TrimFunc(t.text, isSpaceRune), true
	case t.function("url"):
		if inner := p.inner(); inner.first().kind == tokString {
			return strings.TrimFunc(inner.first().text, isSpaceRune), true
		}
	}
	return "", false
}

// atRule reads an at-rule. Rules of a container are left out, because containers have sizes only in a layout.
func (p *sheetParser) atRule(name string, prelude span, block *span, in ruleContext) {
	p.seen++
	if name == "layer" {
		p.layer(prelude, block, in)
		return
	}
	if block == nil || in.depth >= maxRuleDepth {
		return
	}
	deeper := in
	deeper.depth++
	switch name {
	case "media":
		if prelude.empty() || p.screen.matchesSpan(prelude) {
			p.block(*block, deeper)
		}
	case "supports":
		if supports(prelude, 0) {
			p.block(*block, deeper)
		}
	case "scope":
		if prelude.first().kind == '(' {
			list, err := selectorParser{parent: in.parent}.list(prelude.inner(), true, false)
			if err != nil {
				return
			}
			deeper.parent = list
		}
		p.block(*block, deeper)
	case "font-face":
		if face, ok := p.fontFace(declarations(*block)); ok {
			p.sheet.fonts = append(p.sheet.fonts, face)
		}
	case "keyframes", "-webkit-keyframes":
		var all []declaration
		for rest := *block; !rest.empty(); {
			_, inner, after := cutRule(rest, false)
			if inner != nil {
				all = append(all, declarations(*inner)...)
			}
			rest = after
		}
		p.sheet.frames[prelude.first().text] = all
	}
}

// layer reads @layer, with a block or without (CSS Cascade 5, section 6.4.4).
func (p *sheetParser) layer(prelude span, block *span, in ruleContext) {
	prefix := ""
	if in.layer != "" {
		prefix = in.layer + "."
	}
	if block == nil {
		for _, part := range splitCommas(prelude) {
			p.sheet.layers = append(p.sheet.layers, prefix+layerName(part))
		}
		return
	}
	name := p.anonymous()
	if !prelude.empty() {
		name = prefix + layerName(prelude)
	}
	p.sheet.layers = append(p.sheet.layers, name)
	if in.depth < maxRuleDepth {
		in.layer = name
		in.depth++
		p.block(*block, in)
	}
}

// block reads what is in a conditional rule: rules, and where it is nested declarations as well.
func (p *sheetParser) block(block span, in ruleContext) {
	if in.parent == nil {
		p.rules(block, in, false)
		return
	}
	p.nested(block, in)
}

func (p *sheetParser) styleRule(prelude, block span, in ruleContext) {
	p.seen++
	if in.depth >= maxRuleDepth {
		return
	}
	list, err := parseNested(prelude, in.parent)
	if err != nil {
		return
	}
	in.parent = list
	in.depth++
	p.nested(block, in)
}

// parseNested reads the selectors of a rule; in another rule they are relative to its own (CSS Nesting).
func parseNested(prelude span, parent selectorList) (selectorList, error) {
	if parent == nil {
		return selectorParser{}.list(prelude, false, false)
	}
	var list selectorList
	for _, part := range splitCommas(prelude) {
		explicit := false
		for _, t := range part.tokens() {
			explicit = explicit || t.delim("&")
		}
		s, err := selectorParser{parent: parent}.complex(part, !explicit || combinatorOf(part.first()) != 0)
		if err != nil {
			return nil, err
		}
		if !explicit { // the parent stands where :scope does
			last := &s.compounds[len(s.compounds)-1]
			last.classes, last.nested = nil, []selectorList{parent}
			s.weight += parent.weight()
		}
		list = append(list, s)
	}
	if len(list) > maxSelectors {
		return nil, fmt.Errorf("more than %d selectors", maxSelectors)
	}
	return list, nil
}

// nested reads a block of declarations with rules in it (CSS Syntax 3, section 5.4.4).
func (p *sheetParser) nested(block span, in ruleContext) {
	var own []declaration
	flush := func() {
		if len(own) > 0 {
			p.sheet.rules = append(p.sheet.rules, styleRule{in.parent, own, in.layer})
		}
		own = nil
	}
	for rest := block.trim(); !rest.empty() && p.seen < maxRules; rest = rest.trim() {
		t := rest.first()
		if t.kind == ';' {
			rest = rest.skip()
			continue
		}
		if t.kind == tokAt {
			prelude, inner, after := cutRule(rest.skip(), true)
			flush()
			p.atRule(t.text, prelude.trim(), inner, in)
			rest = after
			continue
		}
		item, after, braced := cutItem(rest)
		if d, ok := parseDeclaration(item); ok && (!braced || strings.HasPrefix(d.name, "--")) {
			own = append(own, d)
			rest = after
			continue
		}
		prelude, inner, behind := cutRule(rest, true)
		rest = behind
		if inner != nil {
			flush()
			p.styleRule(prelude.trim(), *inner, in)
		}
	}
	flush()
}

// cutItem takes a declaration up to its semicolon. braced says that a block in braces stands in it.
func cutItem(p span) (item, rest span, braced bool) {
	for rest = p; !rest.empty(); rest = rest.skip() {
		switch rest.first().kind {
		case ';':
			return span{p.all, p.from, rest.from}, rest.skip(), braced
		case '{':
			braced = true
		}
	}
	return p, rest, braced
}

// declarations reads a block of declarations, such as a style attribute.
func declarations(block span) []declaration {
	var list []declaration
	for rest := block.trim(); !rest.empty() && len(list) < maxRules; {
		item, after, _ := cutItem(rest)
		if d, ok := parseDeclaration(item); ok {
			list = append(list, d)
		}
		rest = after.trim()
	}
	return list
}

// parseDeclaration reads "name: value".
func parseDeclaration(p span) (declaration, bool) {
	p = p.trim()
	if p.first().kind != tokIdent {
		return declaration{}, false
	}
	d := declaration{name: p.first().text}
	custom := strings.HasPrefix(d.name, "--")
	if !custom {
		d.name = strings.ToLower(d.name)
	}
	rest := p.skip().trim()
	if rest.first().kind != ':' {
		return declaration{}, false
	}
	d.value = rest.skip().trim()
	if n := d.value.to; n-d.value.from >= 2 && p.all[n-1].is("important") {
		bare := span{p.all, d.value.from, n - 1}.trim()
		if !bare.empty() && p.all[bare.to-1].delim("!") {
			d.important = true
			d.value = span{p.all, bare.from, bare.to - 1}.trim()
		}
	}
	for _, t := range d.value.tokens() {
		if t.kind == tokBadString || t.kind == tokBadURL {
			return declaration{}, false
		}
	}
	return d, true
}

// supports evaluates a condition of @supports (CSS Conditional 3, section 6.1): whatever is asked for is taken as
// supported, but selectors are tried.
func supports(p span, depth int) bool {
	if depth > maxRuleDepth {
		return false
	}
	if p.first().is("not") {
		return !supports(p.skip().trim(), depth+1)
	}
	result, joint := true, "and"
	for rest := p; !rest.empty(); rest = rest.skip().trim() {
		t := rest.first()
		this := true
		switch {
		case t.is("and") || t.is("or"):
			joint = strings.ToLower(t.text)
			continue
		case t.function("selector"):
			_, err := selectorParser{}.list(rest.inner(), false, false)
			this = err == nil
		case t.kind == '(':
			inner := rest.inner()
			if k := inner.first(); k.kind == '(' || k.is("not") || k.kind == tokFunction {
				this = supports(inner, depth+1)
			} else {
				this = declares(inner)
			}
		case t.kind == tokIdent:
			return declares(p)
		}
		if joint == "or" {
			result = result || this
		} else {
			result = result && this
		}
	}
	return result
}

// declares says that p is a declaration that a browser could know: with a value, and not a made-up one, which is one
// that no browser has as a name of its own.
func declares(p span) bool {
	d, ok := parseDeclaration(p)
	return ok && !d.value.empty()
}

// fontFace reads the descriptors of @font-face (CSS Fonts 4, section 4). Sources in formats that a browser does not read
// are left out.
func (p *sheetParser) fontFace(list []declaration) (fontFace, bool) {
	face := fontFace{weights: [2]float64{400, 400}}
	for _, d := range list {
		switch d.name {
		case "font-family":
			face.family = familyName(d.value)
		case "font-weight":
			face.weights = weightRange(d.value)
		case "font-style":
			face.italic = d.value.first().is("italic") || d.value.first().is("oblique")
		case "unicode-range":
			face.ranges = unicodeRanges(d.value)
		case "src":
			face.sources, face.local = nil, false
			for _, source := range splitCommas(d.value) {
				if source.first().function("local") {
					continue // no font of the system is known here
				}
				if address, ok := urlOf(source); ok && address != "" && readableFont(source.skip().trim()) {
					face.sources = append(face.sources, address)
				}
			}
		}
	}
	return face, face.family != "" && len(face.sources) > 0
}

// readableFont says that a browser reads a source with these format() and tech() hints.
func readableFont(p span) bool {
	for ; !p.empty(); p = p.skip().trim() {
		t := p.first()
		if !t.function("format") && !t.function("tech") {
			continue
		}
		for _, part := range splitCommas(p.inner()) {
			switch strings.ToLower(part.first().text) {
			case "woff2", "woff", "truetype", "opentype", "collection", "woff2-variations", "woff-variations",
				"truetype-variations", "opentype-variations", "variations", "color-colrv0", "color-colrv1", "color-sbix",
				"color-cbdt", "features-opentype", "features-aat", "palettes":
			default:
				return false
			}
		}
	}
	return true
}
