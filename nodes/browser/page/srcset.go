package page

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// maxCandidates bounds the candidates of one srcset attribute.
const maxCandidates = 256

// Candidate is one image that a srcset attribute offers.
type Candidate struct {
	Address string
	Width   int     // of a w descriptor, in pixels; 0: none
	Density float64 // of an x descriptor; NaN: none
}

// ParseSrcset reads a srcset attribute (HTML, section 4.8.4.2.2, "parse a srcset attribute"); candidates with descriptors
// that are not valid are left out.
func ParseSrcset(text string) []Candidate {
	var list []Candidate
	for len(list) < maxCandidates {
		text = strings.TrimLeft(text, " \t\n\f\r,")
		if text == "" {
			break
		}
		end := strings.IndexAny(text, " \t\n\f\r")
		if end < 0 {
			end = len(text)
		}
		address := text[:end]
		text = text[end:]
		var descriptors []string
		if strings.HasSuffix(address, ",") {
			address = strings.TrimRight(address, ",")
		} else {
			descriptors, text = cutDescriptors(text)
		}
		if c, ok := describe(descriptors); ok {
			c.Address = address
			list = append(list, c)
		}
	}
	return list
}

// cutDescriptors takes descriptors up to the comma that ends them; commas in brackets do not.
func cutDescriptors(text string) (descriptors []string, rest string) {
	start, bracket := -1, false
	end := func(i int) {
		if start >= 0 {
			descriptors = append(descriptors, text[start:i])
		}
		start = -1
	}
	for i := range len(text) {
		switch c := text[i]; {
		case bracket:
			bracket = c != ')'
		case isSpace(c):
			end(i)
		case c == ',':
			end(i)
			return descriptors, text[i+1:]
		default:
			bracket = c == '('
			if start < 0 {
				start = i
			}
		}
	}
	end(len(text))
	return descriptors, ""
}

// describe reads the descriptors of a candidate: nothing, a density, or a width and perhaps a height.
func describe(descriptors []string) (c Candidate, ok bool) {
	c.Density = math.NaN()
	height := 0
	for _, d := range descriptors {
		value, unit := d[:len(d)-1], d[len(d)-1]
		switch {
		case unit == 'w' && c.Width == 0 && math.IsNaN(c.Density):
			if c.Width = natural(value); c.Width == 0 {
				return c, false
			}
		case unit == 'h' && height == 0 && math.IsNaN(c.Density):
			if height = natural(value); height == 0 {
				return c, false
			}
		case unit == 'x' && c.Width == 0 && height == 0 && math.IsNaN(c.Density):
			if c.Density, ok = validFloat(value); !ok || c.Density < 0 {
				return c, false
			}
		default:
			return c, false
		}
	}
	return c, height == 0 || c.Width > 0
}

// natural is a valid non-negative integer greater than zero; 0 where it is none.
func natural(text string) int {
	for i := range len(text) {
		if !isDigit(text[i]) {
			return 0
		}
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0
	}
	return int(n)
}

// validFloat is a valid floating-point number (HTML, section 2.3.4.3): no plus sign, no lonely points, no hexadecimals.
func validFloat(text string) (float64, bool) {
	body := strings.TrimPrefix(text, "-")
	mantissa, exponent, exponential := strings.Cut(strings.ToLower(body), "e")
	whole, fraction, pointed := strings.Cut(mantissa, ".")
	if whole == "" && fraction == "" || pointed && fraction == "" || !digitsOnly(whole) || !digitsOnly(fraction) {
		return 0, false
	}
	if exponential {
		exponent = strings.TrimLeft(exponent, "+-")
		if exponent == "" || !digitsOnly(exponent) {
			return 0, false
		}
	}
	value, err := strconv.ParseFloat(text, 64)
	return value, err == nil
}

func digitsOnly(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

// SourceSize is the width in CSS pixels at which an image is shown by its sizes attribute (HTML, section 4.8.4.2.2,
// "parse a sizes attribute"): the first size whose media condition holds, and without one the width of the viewport.
// Sizes "auto" need layout and count as not given.
func (s Screen) SourceSize(sizes string) float64 {
	for _, part := range splitCommas(offset(tokenize(sizes))) {
		value := part
		for rest := part; !rest.empty(); rest = rest.skip().trim() {
			value = rest // the last component value
		}
		width, ok := s.calc(value, 0)
		if value.first().kind == tokNumber && width != 0 {
			ok = false
		}
		if !ok || width < 0 {
			continue
		}
		if condition := (span{part.all, part.from, value.from}).trim(); condition.empty() || s.condition(condition, true, 0) == yes {
			return width
		}
	}
	return float64(s.Width)
}

// Select is the address of the image that a browser takes of a source set, as Chromium does: the least dense that is
// dense enough for the screen, by a small margin also a less dense one, else the densest. src is the address that stands
// for density 1 where no candidate does. It is empty where there is none.
func (s Screen) Select(srcset, sizes, src string) string {
	candidates := ParseSrcset(srcset)
	widths, single := false, false
	for _, c := range candidates {
		widths = widths || c.Width > 0
		single = single || c.Width == 0 && (math.IsNaN(c.Density) || c.Density == 1)
	}
	if src = strings.TrimFunc(src, isSpaceRune); src != "" && !widths && !single {
		candidates = append(candidates, Candidate{Address: src, Density: 1})
	}
	size := 0.0
	if widths {
		size = max(s.SourceSize(sizes), 1e-9)
	}
	for i := range candidates {
		switch c := &candidates[i]; {
		case c.Width > 0:
			c.Density = float64(c.Width) / size
		case math.IsNaN(c.Density):
			c.Density = 1
		}
	}
	if len(candidates) == 0 {
		return ""
	}
	return candidates[nearest(candidates, s.Density)].Address
}

// nearest sorts the candidates by density and is the index of the one to take (in Chromium, html_srcset_parser.cc).
func nearest(candidates []Candidate, density float64) int {
	slices.SortStableFunc(candidates, func(a, b Candidate) int { return cmp.Compare(a.Density, b.Density) })
	i := 0
	for i+1 < len(candidates) {
		this, next := candidates[i].Density, candidates[i+1].Density
		if next == this { // the first of equals stands
			candidates = slices.Delete(candidates, i+1, i+2)
			continue
		}
		if next >= density && (density > 1 || density <= this) && density < math.Sqrt(this*next) {
			break
		}
		i++
		if next >= density {
			break
		}
	}
	return i
}

func isSpaceRune(r rune) bool { return r < 0x80 && isSpace(byte(r)) }
