package page

import (
	"math"
	"strings"
)

// Screen is what the page is shown on. The zero value has no size; a common one is DefaultScreen.
type Screen struct {
	Width, Height int     // of the viewport, in CSS pixels
	Density       float64 // device pixels a CSS pixel
	Dark          bool    // the person prefers dark colours
}

// DefaultScreen is a viewport of 1280×720 CSS pixels at one device pixel each, as the browser role has it.
func DefaultScreen() Screen { return Screen{Width: 1280, Height: 720, Density: 1} }

// maxMediaDepth bounds brackets in brackets of a media query.
const maxMediaDepth = 32

// Matches says that a media query list holds for the screen (Media Queries 4): an empty one always does, a query that
// cannot be read never does.
func (s Screen) Matches(query string) bool { return s.matches(tokenize(query)) }

// truth is a result of Kleene's logic, as section 3.1 wants it: what is not known stays so under not.
type truth int8

const (
	no truth = iota
	unknown
	yes
)

func (t truth) not() truth { return yes - t }

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

func (s Screen) matches(tokens []token) bool {
	queries := splitCommas(offset(tokens))
	if len(queries) == 1 && len(queries[0].tokens()) == 0 {
		return true
	}
	for _, q := range queries {
		if s.query(q) == yes {
			return true
		}
	}
	return false
}

// span is a part of tokens, which keeps the indexes of their brackets true.
type span struct {
	all      []token
	from, to int
}

// offset is all of tokens as a span; their brackets match within.
func offset(tokens []token) span {
	return span{tokens, 0, len(tokens)}.trim()
}

func (p span) tokens() []token { return p.all[p.from:p.to] }
func (p span) empty() bool     { return p.from >= p.to }

// first is the first token; one of kind tokEOF where there is none.
func (p span) first() token {
	if p.empty() {
		return token{}
	}
	return p.all[p.from]
}

func (p span) trim() span {
	for p.from < p.to && p.all[p.from].kind == tokSpace {
		p.from++
	}
	for p.from < p.to && p.all[p.to-1].kind == tokSpace {
		p.to--
	}
	return p
}

// skip is p without its first component value: a token, or a block with its brackets.
func (p span) skip() span {
	if p.empty() {
		return p
	}
	if closer(p.all[p.from].kind) != 0 {
		p.from = min(p.all[p.from].match+1, p.to)
	} else {
		p.from++
	}
	return p
}

// inner is what the bracket or function at the beginning of p holds.
func (p span) inner() span {
	return span{p.all, p.from + 1, max(min(p.all[p.from].match, p.to), p.from+1)}.trim()
}

// split cuts p at the tokens, outside of blocks, for which at holds.
func (p span) split(at func(token) bool) []span {
	var parts []span
	start := p.from
	for rest := p; !rest.empty(); {
		if at(rest.first()) {
			parts = append(parts, span{p.all, start, rest.from}.trim())
			start = rest.from + 1
		}
		rest = rest.skip()
	}
	return append(parts, span{p.all, start, p.to}.trim())
}

func splitCommas(p span) []span {
	return p.split(func(t token) bool { return t.kind == ',' })
}

// query evaluates one media query.
func (s Screen) query(p span) truth {
	negated := false
	rest := p
	if t := rest.first(); t.is("not") || t.is("only") {
		after := rest.skip().trim()
		if after.first().kind == tokIdent {
			negated = t.is("not")
			rest = after
		}
	}
	if t := rest.first(); t.kind != tokIdent || t.is("not") {
		return s.condition(rest, true, 0)
	}
	kind := strings.ToLower(rest.first().text)
	if kind == "and" || kind == "or" || kind == "only" || kind == "layer" {
		return unknown
	}
	result := truthOf(kind == "all" || kind == "screen")
	if rest = rest.skip().trim(); !rest.empty() {
		if !rest.first().is("and") {
			return unknown
		}
		further := s.condition(rest.skip().trim(), false, 0)
		result = min(result, further)
	}
	if negated {
		return result.not()
	}
	return result
}

// condition evaluates a media condition: features joined by and, by or, or one behind not.
func (s Screen) condition(p span, or bool, depth int) truth {
	if p.empty() || depth > maxMediaDepth {
		return unknown
	}
	if p.first().is("not") {
		rest := p.skip().trim()
		if !rest.skip().trim().empty() {
			return unknown
		}
		return s.inBrackets(rest, depth).not()
	}
	result := s.inBrackets(p, depth)
	joint := ""
	for rest := p.skip().trim(); !rest.empty(); rest = rest.skip().trim() {
		word := strings.ToLower(rest.first().text)
		if rest.first().kind != tokIdent || word != "and" && (word != "or" || !or) || joint != "" && word != joint {
			return unknown
		}
		joint = word
		if rest = rest.skip().trim(); rest.empty() {
			return unknown
		}
		if next := s.inBrackets(rest, depth); word == "and" {
			result = min(result, next)
		} else {
			result = max(result, next)
		}
	}
	return result
}

// inBrackets evaluates the bracket at the beginning of p: a feature, or a condition.
func (s Screen) inBrackets(p span, depth int) truth {
	if p.first().kind != '(' {
		return unknown
	}
	inner := p.inner()
	if t := inner.first(); t.kind == '(' || t.is("not") && inner.skip().trim().first().kind == '(' {
		return s.condition(inner, true, depth+1)
	}
	if parts := inner.split(func(t token) bool { return t.kind == ':' }); len(parts) == 2 {
		return s.plain(parts[0], parts[1])
	}
	return s.ranged(inner)
}

// plain evaluates (name: value).
func (s Screen) plain(left, value span) truth {
	if len(left.tokens()) != 1 || left.first().kind != tokIdent {
		return unknown
	}
	name := strings.ToLower(left.first().text)
	compare := func(have, want float64) bool { return have == want }
	if bare, ok := strings.CutPrefix(name, "min-"); ok {
		name, compare = bare, func(have, want float64) bool { return have >= want }
	} else if bare, ok := strings.CutPrefix(name, "max-"); ok {
		name, compare = bare, func(have, want float64) bool { return have <= want }
	}
	if have, ok := s.measure(name); ok {
		want, ok := s.value(value)
		sized := strings.HasSuffix(name, "width") || strings.HasSuffix(name, "height")
		if !ok || sized && value.first().kind == tokNumber && want != 0 { // a length has a unit
			return unknown
		}
		return truthOf(compare(have, want))
	}
	have, ok := s.keyword(name)
	if !ok || len(value.tokens()) != 1 {
		return unknown
	}
	return truthOf(strings.EqualFold(have, value.first().text))
}

// ranged evaluates (name), (name < value) and (value < name < value).
func (s Screen) ranged(p span) truth {
	if len(p.tokens()) == 1 {
		name := strings.ToLower(p.first().text)
		if have, ok := s.measure(name); ok {
			return truthOf(have != 0)
		}
		have, ok := s.keyword(name)
		if !ok {
			return unknown
		}
		return truthOf(have != "none" && have != "no-preference")
	}
	var sides []span
	var signs []string
	start := p.from
	for i := p.from; i < p.to; i++ {
		sign := p.all[i].text
		if p.all[i].kind != tokDelim || sign != "<" && sign != ">" && sign != "=" {
			continue
		}
		sides = append(sides, span{p.all, start, i}.trim())
		if i+1 < p.to && sign != "=" && p.all[i+1].delim("=") {
			sign += "="
			i++
		}
		signs = append(signs, sign)
		start = i + 1
	}
	sides = append(sides, span{p.all, start, p.to}.trim())
	if len(signs) == 0 || len(signs) > 2 {
		return unknown
	}
	result := yes
	for i, sign := range signs {
		left, ok1 := s.side(sides[i])
		right, ok2 := s.side(sides[i+1])
		if !ok1 || !ok2 {
			return unknown
		}
		holds := map[string]bool{"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right, "=": left == right}[sign]
		result = min(result, truthOf(holds))
	}
	return result
}

// side is the value of one side of a comparison: a feature or a number.
func (s Screen) side(p span) (float64, bool) {
	if len(p.tokens()) == 1 && p.first().kind == tokIdent {
		return s.measure(strings.ToLower(p.first().text))
	}
	return s.value(p)
}

// measure is the value of a feature that has a size, in CSS pixels, dots a pixel or as such.
func (s Screen) measure(name string) (float64, bool) {
	switch name {
	case "width", "device-width":
		return float64(s.Width), true
	case "height", "device-height":
		return float64(s.Height), true
	case "aspect-ratio", "device-aspect-ratio":
		return float64(s.Width) / float64(max(s.Height, 1)), true
	case "resolution", "-webkit-device-pixel-ratio":
		return s.Density, true
	case "color":
		return 8, true
	case "color-index", "monochrome", "grid":
		return 0, true
	}
	return 0, false
}

// keyword is the value of a feature that is a word. There is no pointer that hovers: nobody moves a mouse.
func (s Screen) keyword(name string) (string, bool) {
	switch name {
	case "orientation":
		if s.Height >= s.Width {
			return "portrait", true
		}
		return "landscape", true
	case "prefers-color-scheme":
		if s.Dark {
			return "dark", true
		}
		return "light", true
	case "prefers-reduced-motion", "prefers-reduced-data", "prefers-contrast", "prefers-reduced-transparency":
		return "no-preference", true
	case "hover", "any-hover", "pointer", "any-pointer", "inverted-colors", "forced-colors", "scripting":
		return "none", true
	case "display-mode":
		return "browser", true
	case "update":
		return "fast", true
	case "overflow-block", "overflow-inline":
		return "scroll", true
	case "color-gamut":
		return "srgb", true
	case "dynamic-range", "video-dynamic-range":
		return "standard", true
	case "scan":
		return "progressive", true
	}
	return "", false
}

// value is a number, ratio, length or resolution; lengths are CSS pixels, resolutions dots a pixel.
func (s Screen) value(p span) (float64, bool) {
	if parts := p.split(func(t token) bool { return t.delim("/") }); len(parts) == 2 {
		left, ok1 := s.value(parts[0])
		right, ok2 := s.value(parts[1])
		return left / right, ok1 && ok2 && right != 0
	}
	if p.skip().trim().empty() {
		return s.calc(p, 0)
	}
	return 0, false
}

// length is a dimension in CSS pixels, or a resolution in dots a pixel; percentages have nothing to refer to.
func (s Screen) length(t token) (float64, bool) {
	factor := math.NaN()
	switch strings.ToLower(t.text) {
	case "px", "dppx", "x":
		factor = 1
	case "em", "rem", "ic", "lh", "rlh":
		factor = 16
	case "ex", "ch":
		factor = 8
	case "vw", "svw", "lvw", "dvw", "vi":
		factor = float64(s.Width) / 100
	case "vh", "svh", "lvh", "dvh", "vb":
		factor = float64(s.Height) / 100
	case "vmin":
		factor = float64(min(s.Width, s.Height)) / 100
	case "vmax":
		factor = float64(max(s.Width, s.Height)) / 100
	case "in":
		factor = 96
	case "cm":
		factor = 96 / 2.54
	case "mm":
		factor = 96 / 25.4
	case "q":
		factor = 96 / 101.6
	case "pt":
		factor = 96.0 / 72
	case "pc":
		factor = 16
	case "dpi":
		factor = 1.0 / 96
	case "dpcm":
		factor = 2.54 / 96
	}
	return t.number * factor, !math.IsNaN(factor)
}

// calc is the value at the beginning of p: a number, a length, or a function of calculation (CSS Values 4, section 10).
func (s Screen) calc(p span, depth int) (float64, bool) {
	t := p.first()
	switch {
	case depth > maxMediaDepth:
		return 0, false
	case t.kind == tokNumber:
		return t.number, true
	case t.kind == tokDimension:
		return s.length(t)
	case t.kind == '(' || t.function("calc") || t.function("-webkit-calc"):
		return s.sum(p.inner(), depth+1)
	case t.function("min") || t.function("max") || t.function("clamp"):
		var values []float64
		for _, part := range splitCommas(p.inner()) {
			v, ok := s.sum(part, depth+1)
			if !ok {
				return 0, false
			}
			values = append(values, v)
		}
		switch {
		case t.function("clamp"):
			if len(values) != 3 {
				return 0, false
			}
			return max(values[0], min(values[1], values[2])), true
		case t.function("min"):
			return fold(values, math.Min), true
		}
		return fold(values, math.Max), true
	}
	return 0, false
}

func fold(values []float64, f func(a, b float64) float64) float64 {
	result := values[0]
	for _, v := range values[1:] {
		result = f(result, v)
	}
	return result
}

// sum is a calculation of sums and products.
func (s Screen) sum(p span, depth int) (float64, bool) {
	var total, product float64
	sign := 1.0
	operator := "+"
	for rest := p; ; {
		value, ok := s.calc(rest, depth)
		if !ok {
			return 0, false
		}
		switch operator {
		case "*":
			product *= value
		case "/":
			if value == 0 {
				return 0, false
			}
			product /= value
		default:
			total += sign * product
			product, sign = value, 1
			if operator == "-" {
				sign = -1
			}
		}
		rest = rest.skip().trim()
		if rest.empty() {
			return total + sign*product, true
		}
		operator = rest.first().text
		if rest.first().kind != tokDelim || strings.IndexByte("+-*/", operator[0]) < 0 {
			return 0, false
		}
		rest = rest.skip().trim()
	}
}
