package page

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// maxFamilies bounds the families of one font-family.
const maxFamilies = 32

// familyName is a font's family, in lower case and with single spaces where it is not quoted.
func familyName(p span) string {
	if p.first().kind == tokString {
		return strings.ToLower(p.first().text)
	}
	var words []string
	for _, t := range p.tokens() {
		switch t.kind {
		case tokIdent:
			words = append(words, t.text)
		case tokSpace:
		default:
			return ""
		}
	}
	return strings.ToLower(strings.Join(words, " "))
}

// families is the value of font-family.
func families(p span) []string {
	var list []string
	for _, part := range splitCommas(p) {
		if name := familyName(part); name != "" && len(list) < maxFamilies {
			list = append(list, name)
		}
	}
	return list
}

// fontShorthand takes the parts of a font shorthand that choose a face: the families stand behind the size.
func fontShorthand(p span) (list []string, weight float64, italic bool) {
	weight = 400
	for rest := p; !rest.empty(); rest = rest.skip().trim() {
		t := rest.first()
		switch {
		case t.kind == tokNumber || t.is("bold"):
			weight = fontWeight(rest, 400)
		case t.is("italic") || t.is("oblique"):
			italic = true
		case t.kind == tokDimension || t.kind == tokPercentage || fontSize(t.text):
			after := rest.skip().trim()
			if after.first().delim("/") {
				after = after.skip().trim().skip().trim()
			}
			return families(after), weight, italic
		}
	}
	return nil, weight, italic
}

func fontSize(word string) bool {
	switch strings.ToLower(word) {
	case "xx-small", "x-small", "small", "medium", "large", "x-large", "xx-large", "xxx-large", "smaller", "larger", "calc", "clamp", "min", "max", "var":
		return true
	}
	return false
}

// fontWeight is a weight from 1 to 1000; inherited is that of the element around.
func fontWeight(p span, inherited float64) float64 {
	switch t := p.first(); {
	case t.kind == tokNumber:
		return t.number
	case t.is("bold"):
		return 700
	case t.is("normal"):
		return 400
	case t.is("bolder"):
		return min(max(400, inherited+300), 900)
	case t.is("lighter"):
		return max(100, inherited-300)
	}
	return inherited
}

func weightRange(p span) [2]float64 {
	low := fontWeight(p, 400)
	high := low
	if rest := p.skip().trim(); !rest.empty() {
		high = fontWeight(rest, low)
	}
	return [2]float64{min(low, high), max(low, high)}
}

// unicodeRanges reads unicode-range. Its tokens are what U+… falls apart into, so they are put together again.
func unicodeRanges(p span) [][2]rune {
	var list [][2]rune
	for _, part := range splitCommas(p) {
		var b strings.Builder
		for _, t := range part.tokens() {
			switch t.kind {
			case tokDimension:
				b.WriteString(plus(t.number) + t.text)
			case tokNumber:
				b.WriteString(t.text)
			default:
				b.WriteString(t.text)
			}
		}
		text := strings.NewReplacer("+", "", "u", "", "U", "").Replace(b.String())
		low, high, ok := strings.Cut(text, "-")
		if !ok {
			high = strings.ReplaceAll(low, "?", "f")
			low = strings.ReplaceAll(low, "?", "0")
		}
		from, err1 := strconv.ParseUint(low, 16, 24)
		to, err2 := strconv.ParseUint(high, 16, 24)
		if err1 == nil && err2 == nil && len(list) < maxRules {
			list = append(list, [2]rune{rune(from), rune(to)})
		}
	}
	if list == nil {
		list = [][2]rune{{1, 0}} // what cannot be read covers nothing
	}
	return list
}

// plus is a whole number as it was written in a unicode-range.
func plus(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// covers says that a character of text is in the face's ranges.
func (f *fontFace) covers(text string) bool {
	return f.ranges == nil || strings.ContainsFunc(text, func(c rune) bool {
		return slices.ContainsFunc(f.ranges, func(r [2]rune) bool { return c >= r[0] && c <= r[1] })
	})
}

// far is how far a face is from what is asked for: first by its style, then by its weight (CSS Fonts 4, section 5.2,
// without the preference for lighter or heavier ones).
func (f *fontFace) far(weight float64, italic bool) float64 {
	distance := max(f.weights[0]-weight, weight-f.weights[1], 0)
	if f.italic != italic {
		distance += math.MaxInt16
	}
	return distance
}
