package page

import (
	"math"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxSubstituted bounds the tokens of a value whose variables are put in, and the depth of variables in variables.
const (
	maxSubstituted   = 4096
	maxVariableDepth = 8
)

// imageProperties is the properties whose images are loaded, in the order in which they are asked for.
func imageProperties() []string {
	return []string{"content", "background-image", "border-image-source", "list-style-image", "mask-image", "-webkit-mask-box-image-source",
		"cursor", "filter", "backdrop-filter", "clip-path", "shape-outside", "fill", "stroke", "marker-start", "marker-mid", "marker-end"}
}

// longhands is the properties that a declaration sets, as far as they matter here.
func longhands(name string) []string {
	switch name {
	case "background":
		return []string{"background-image"}
	case "border-image", "-webkit-border-image":
		return []string{"border-image-source"}
	case "list-style":
		return []string{"list-style-image"}
	case "mask", "-webkit-mask", "-webkit-mask-image":
		return []string{"mask-image"}
	case "-webkit-mask-box-image":
		return []string{"-webkit-mask-box-image-source"}
	case "-webkit-filter":
		return []string{"filter"}
	case "-webkit-clip-path":
		return []string{"clip-path"}
	case "marker":
		return []string{"marker-start", "marker-mid", "marker-end"}
	case "animation", "-webkit-animation", "-webkit-animation-name":
		return []string{"animation-name"}
	case "all":
		return append(imageProperties(), "font", "font-family", "font-weight", "font-style", "display", "animation-name")
	case "font", "font-family", "font-weight", "font-style", "display", "animation-name":
		return []string{name}
	}
	for _, p := range imageProperties() {
		if p == name {
			return []string{name}
		}
	}
	if strings.HasPrefix(name, "--") {
		return []string{name}
	}
	return nil
}

// invalidImage says that a value has a function that Chromium does not know where images stand, which makes the
// declaration invalid: the one before it stays.
func invalidImage(p span) bool {
	for _, t := range p.tokens() {
		if t.kind != tokFunction {
			continue
		}
		name := strings.ToLower(t.text)
		switch name {
		case "url", "image-set", "-webkit-image-set", "-webkit-cross-fade", "paint", "var", "env", "attr", "if", "type",
			"rgb", "rgba", "hsl", "hsla", "hwb", "lab", "lch", "oklab", "oklch", "color", "color-mix", "light-dark",
			"contrast-color", "calc", "min", "max", "clamp", "round", "mod", "rem", "abs", "sign", "sin", "cos", "tan", "asin",
			"acos", "atan", "atan2", "pow", "sqrt", "hypot", "log", "exp", "calc-size", "anchor", "anchor-size", "counter",
			"counters", "blur", "brightness", "contrast", "drop-shadow", "grayscale", "hue-rotate", "invert", "opacity",
			"saturate", "sepia", "polygon", "circle", "ellipse", "inset", "path", "rect", "xywh", "shape", "steps",
			"cubic-bezier", "linear", "scroll", "view":
		default:
			if !strings.HasSuffix(name, "-gradient") && name != "-webkit-gradient" {
				return true
			}
		}
	}
	return false
}

// imageAddresses is the images in a value, of a set that which fits the screen.
func (s Screen) imageAddresses(p span, depth int) []string {
	var list []string
	for rest := p; !rest.empty() && depth <= maxVariableDepth; rest = rest.skip() {
		t := rest.first()
		if address, ok := urlOf(rest); ok && t.kind != tokString {
			list = append(list, address)
			continue
		}
		if t.kind != tokFunction {
			continue
		}
		switch name := strings.ToLower(t.text); name {
		case "image-set", "-webkit-image-set":
			if address := s.imageSet(rest.inner()); address != "" {
				list = append(list, address)
			}
		default:
			list = append(list, s.imageAddresses(rest.inner(), depth+1)...)
		}
	}
	return list
}

// imageSet chooses of image-set() (CSS Images 4, section 2.4), as of a srcset attribute.
func (s Screen) imageSet(p span) string {
	var candidates []Candidate
	for _, part := range splitCommas(p) {
		c := Candidate{Density: 1}
		var ok bool
		if c.Address, ok = urlOf(part); !ok || len(candidates) >= maxCandidates {
			continue
		}
		for rest := part.skip().trim(); !rest.empty(); rest = rest.skip().trim() {
			switch t := rest.first(); {
			case t.kind == tokDimension:
				c.Density, _ = s.length(t)
			case t.function("type"):
				ok = readableImage(rest.inner().first().text)
			}
		}
		if ok && !math.IsNaN(c.Density) {
			candidates = append(candidates, c)
		}
	}
	if len(candidates) == 0 {
		return ""
	}
	return candidates[nearest(candidates, s.Density)].Address
}

// resolve puts variables into a value (CSS Variables, section 3); without what it names it is empty.
func (c *cascade) resolve(p span, custom map[string]span) span {
	for _, t := range p.tokens() {
		if t.function("var") {
			out, ok := substitute(nil, p, custom, 0)
			if !ok {
				return span{}
			}
			return offset(matchBrackets(out))
		}
	}
	return p
}

func substitute(out []token, p span, custom map[string]span, depth int) ([]token, bool) {
	if depth > maxVariableDepth {
		return nil, false
	}
	for rest := p; !rest.empty(); {
		t := rest.first()
		if len(out) > maxSubstituted {
			return nil, false
		}
		if !t.function("var") {
			out = append(out, t)
			rest.from++
			continue
		}
		inner := rest.inner()
		name := inner.first().text
		value, ok := custom[name]
		if !ok {
			fallback := inner.skip().trim()
			if fallback.first().kind != ',' {
				return nil, false
			}
			value = fallback.skip().trim()
		}
		if out, ok = substitute(out, value, custom, depth+1); !ok {
			return nil, false
		}
		rest = rest.skip()
	}
	return out, true
}

// undisplayed says that a browser's own style sheet does not display n.
func undisplayed(n *html.Node) bool {
	switch n.DataAtom {
	case atom.Head, atom.Script, atom.Style, atom.Title, atom.Meta, atom.Link, atom.Base, atom.Datalist, atom.Noembed,
		atom.Noframes, atom.Param, atom.Rp, atom.Area:
		return true
	case atom.Template:
		_, shadow := nodeAttribute(n, "shadowrootmode")
		return !shadow
	case atom.Dialog:
		_, open := nodeAttribute(n, "open")
		return !open
	case atom.Input:
		kind, _ := nodeAttribute(n, "type")
		return strings.EqualFold(kind, "hidden")
	}
	if _, ok := nodeAttribute(n, "hidden"); ok {
		return true
	}
	return folded(n)
}

// folded says that n is in a details element that is closed.
func folded(n *html.Node) bool {
	if n.Parent == nil || n.Parent.DataAtom != atom.Details || n.DataAtom == atom.Summary {
		return false
	}
	_, open := nodeAttribute(n.Parent, "open")
	return !open
}

// directText is the text that stands in n itself, with what a control shows.
func directText(n *html.Node) string {
	var b strings.Builder
	for child := range n.ChildNodes() {
		if child.Type == html.TextNode && b.Len() < maxText {
			b.WriteString(child.Data)
		}
	}
	if n.DataAtom == atom.Input {
		for _, key := range []string{"value", "placeholder"} {
			text, _ := nodeAttribute(n, key)
			b.WriteString(text)
		}
	}
	return strings.TrimSpace(b.String())
}

// pseudoText is the text that a pseudo-element shows.
func pseudoText(name string, n *html.Node, w winners) string {
	switch name {
	case "before", "after":
		text := ""
		for _, t := range w["content"].value.tokens() {
			if t.kind == tokString {
				text += t.text
			}
		}
		return text
	case "placeholder":
		text, _ := nodeAttribute(n, "placeholder")
		return text
	case "marker":
		return ""
	}
	return directText(n)
}
