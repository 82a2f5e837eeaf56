package browser

import "strings"

// scanCSS calls found for every resource that a style sheet names: what it imports, its images, and of each font the
// first file.
func scanCSS(text string, found func(reference)) {
	s := cssScanner{rest: text}
	// A font's block is remembered by its depth in braces, because its sources are alternatives.
	depth, font, fontNamed := 0, 0, false
	fontNext := false
	for s.rest != "" {
		switch c := s.rest[0]; {
		case strings.HasPrefix(s.rest, "/*"):
			s.skipComment()
		case c == '"' || c == '\'':
			s.quoted()
		case c == '{':
			s.rest = s.rest[1:]
			depth++
			if fontNext {
				font, fontNamed, fontNext = depth, false, false
			}
		case c == '}':
			s.rest = s.rest[1:]
			if depth == font {
				font = 0
			}
			depth = max(depth-1, 0)
		case s.word("@import"):
			if target, ok := s.importTarget(); ok {
				found(reference{target, destStyle})
			}
		case s.word("@font-face"):
			fontNext = true
		case s.prefix("url("):
			target := s.urlArgument()
			switch {
			case font == 0:
				found(reference{target, destImage})
			case !fontNamed:
				fontNamed = true
				found(reference{target, destFont})
			}
		case identByte(c):
			s.skipIdent()
		default:
			s.rest = s.rest[1:]
		}
	}
}

// cssScanner is a place in a style sheet.
type cssScanner struct{ rest string }

// prefix takes word where it comes next, in either case.
func (s *cssScanner) prefix(word string) bool {
	if len(s.rest) < len(word) || !strings.EqualFold(s.rest[:len(word)], word) {
		return false
	}
	s.rest = s.rest[len(word):]
	return true
}

// word takes word where it comes next and no longer word does.
func (s *cssScanner) word(word string) bool {
	if len(s.rest) > len(word) && identByte(s.rest[len(word)]) {
		return false
	}
	return s.prefix(word)
}

func (s *cssScanner) skipComment() {
	_, s.rest, _ = strings.Cut(s.rest[2:], "*/")
}

func (s *cssScanner) skipSpace() {
	for {
		s.rest = strings.TrimLeft(s.rest, " \t\r\n\f")
		if !strings.HasPrefix(s.rest, "/*") {
			return
		}
		s.skipComment()
	}
}

// skipIdent takes the rest of a word, so that "image-url(" is not mistaken for "url(".
func (s *cssScanner) skipIdent() {
	i := 0
	for i < len(s.rest) && identByte(s.rest[i]) {
		i++
	}
	s.rest = s.rest[i:]
}

func (s *cssScanner) importTarget() (string, bool) {
	s.skipSpace()
	switch {
	case s.rest == "":
		return "", false
	case s.rest[0] == '"' || s.rest[0] == '\'':
		return s.quoted(), true
	case s.prefix("url("):
		return s.urlArgument(), true
	}
	return "", false
}

// quoted takes a string with its quotes, or up to the end of the line where the second one is missing.
func (s *cssScanner) quoted() string {
	quote := s.rest[0]
	var b strings.Builder
	for i := 1; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == quote:
			s.rest = s.rest[i+1:]
			return b.String()
		case c == '\n':
			s.rest = s.rest[i:]
			return b.String()
		case c == '\\' && i+1 < len(s.rest):
			i++
			if s.rest[i] != '\n' {
				b.WriteByte(s.rest[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	s.rest = ""
	return b.String()
}

// urlArgument takes what stands between "url(" and the bracket that ends it.
func (s *cssScanner) urlArgument() string {
	s.rest = strings.TrimLeft(s.rest, " \t\r\n\f")
	if s.rest != "" && (s.rest[0] == '"' || s.rest[0] == '\'') {
		target := s.quoted()
		_, s.rest, _ = strings.Cut(s.rest, ")")
		return target
	}
	target, rest, _ := strings.Cut(s.rest, ")")
	s.rest = rest
	return strings.TrimRight(target, " \t\r\n\f")
}

func identByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c >= 0x80
}
