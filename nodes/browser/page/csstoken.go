package page

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxTokens bounds the tokens of one style sheet; what follows them is not read.
const maxTokens = 300_000

// tokenKind is a kind of token of CSS Syntax 3, section 4. Brackets, colon, semicolon and comma are their own kinds, as
// their characters.
type tokenKind byte

const (
	tokEOF        tokenKind = 0
	tokIdent      tokenKind = 'i'
	tokFunction   tokenKind = 'f'
	tokAt         tokenKind = '@'
	tokHash       tokenKind = '#'
	tokString     tokenKind = '"'
	tokBadString  tokenKind = '!'
	tokURL        tokenKind = 'u'
	tokBadURL     tokenKind = 'b'
	tokDelim      tokenKind = 'd'
	tokNumber     tokenKind = 'n'
	tokPercentage tokenKind = '%'
	tokDimension  tokenKind = 'm'
	tokSpace      tokenKind = ' '
	tokCDO        tokenKind = '<'
	tokCDC        tokenKind = '>'
)

// token is a token of CSS. text is its value with escapes resolved: the name of an ident, function, at-keyword or hash,
// the content of a string or URL, the unit of a dimension, the character of a delimiter.
type token struct {
	kind   tokenKind
	text   string
	number float64
	match  int // of an opening bracket or function: index of the token that closes it, or the number of tokens
}

// is says that t is an ident of this name, in either case.
func (t token) is(name string) bool { return t.kind == tokIdent && strings.EqualFold(t.text, name) }

// delim says that t is this delimiter.
func (t token) delim(c string) bool { return t.kind == tokDelim && t.text == c }

// function says that t opens a function of this name.
func (t token) function(name string) bool {
	return t.kind == tokFunction && strings.EqualFold(t.text, name)
}

// tokenize cuts a style sheet into tokens (CSS Syntax 3, section 4.3), comments left out, and matches its brackets as
// section 5.4.8 does: a block ends at its own closing bracket only, other ones in it mean nothing.
func tokenize(text string) []token {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\f", "\n", "\x00", "\uFFFD").Replace(text)
	l := lexer{text: text}
	var tokens []token
	for len(tokens) < maxTokens {
		t := l.next()
		if t.kind == tokEOF {
			break
		}
		tokens = append(tokens, t)
	}
	return matchBrackets(tokens)
}

func matchBrackets(tokens []token) []token {
	var open []int
	for i, t := range tokens {
		switch t.kind {
		case '(', '[', '{', tokFunction:
			open = append(open, i)
		case ')', ']', '}':
			if n := len(open); n > 0 && closer(tokens[open[n-1]].kind) == t.kind {
				tokens[open[n-1]].match = i
				open = open[:n-1]
			}
		}
	}
	for _, i := range open {
		tokens[i].match = len(tokens)
	}
	return tokens
}

// closer is the kind that closes a bracket; 0 where kind is none.
func closer(kind tokenKind) tokenKind {
	switch kind {
	case '(', tokFunction:
		return ')'
	case '[':
		return ']'
	case '{':
		return '}'
	}
	return 0
}

// lexer is a place in a style sheet.
type lexer struct {
	text string
	at   int
}

// peek is the byte at i bytes from here; 0 behind the end (NUL itself cannot be in the text).
func (l *lexer) peek(i int) byte {
	if l.at+i < len(l.text) {
		return l.text[l.at+i]
	}
	return 0
}

func (l *lexer) next() token {
	for l.peek(0) == '/' && l.peek(1) == '*' {
		end := strings.Index(l.text[l.at+2:], "*/")
		if end < 0 {
			l.at = len(l.text)
			break
		}
		l.at += 2 + end + 2
	}
	if l.at >= len(l.text) {
		return token{}
	}
	switch c := l.peek(0); {
	case isSpace(c):
		for isSpace(l.peek(0)) {
			l.at++
		}
		return token{kind: tokSpace}
	case c == '"' || c == '\'':
		return l.quoted(c)
	case c == '#' && (isName(l.peek(1)) || l.escape(1)):
		l.at++
		return token{kind: tokHash, text: l.name()}
	case strings.IndexByte("()[]{},:;", c) >= 0:
		l.at++
		return token{kind: tokenKind(c)}
	case l.number():
		return l.numeric()
	case c == '-' && l.peek(1) == '-' && l.peek(2) == '>':
		l.at += 3
		return token{kind: tokCDC}
	case c == '<' && strings.HasPrefix(l.text[l.at:], "<!--"):
		l.at += 4
		return token{kind: tokCDO}
	case c == '@' && l.ident(1):
		l.at++
		return token{kind: tokAt, text: strings.ToLower(l.name())}
	case l.ident(0):
		return l.identLike()
	default:
		_, size := utf8.DecodeRuneInString(l.text[l.at:])
		t := token{kind: tokDelim, text: l.text[l.at : l.at+size]}
		l.at += size
		return t
	}
}

// escape says that a valid escape begins at i bytes from here (section 4.3.8).
func (l *lexer) escape(i int) bool { return l.peek(i) == '\\' && l.peek(i+1) != '\n' }

// ident says that an ident begins at i bytes from here (section 4.3.9).
func (l *lexer) ident(i int) bool {
	if l.peek(i) == '-' {
		return isNameStart(l.peek(i+1)) || l.peek(i+1) == '-' || l.escape(i+1)
	}
	return isNameStart(l.peek(i)) || l.escape(i)
}

// number says that a number begins here (section 4.3.10).
func (l *lexer) number() bool {
	i := 0
	if c := l.peek(0); c == '+' || c == '-' {
		i = 1
	}
	if l.peek(i) == '.' {
		i++
	}
	return isDigit(l.peek(i))
}

func (l *lexer) numeric() token {
	start := l.at
	if c := l.peek(0); c == '+' || c == '-' {
		l.at++
	}
	digits := func() {
		for isDigit(l.peek(0)) {
			l.at++
		}
	}
	digits()
	if l.peek(0) == '.' && isDigit(l.peek(1)) {
		l.at++
		digits()
	}
	if c := l.peek(0); c == 'e' || c == 'E' {
		sign := 1
		if c := l.peek(1); c == '+' || c == '-' {
			sign = 2
		}
		if isDigit(l.peek(sign)) {
			l.at += sign
			digits()
		}
	}
	value, _ := strconv.ParseFloat(strings.TrimPrefix(l.text[start:l.at], "+"), 64)
	if math.IsInf(value, 0) {
		value = math.Copysign(math.MaxFloat32, value)
	}
	switch {
	case l.ident(0):
		return token{kind: tokDimension, number: value, text: l.name()}
	case l.peek(0) == '%':
		l.at++
		return token{kind: tokPercentage, number: value}
	}
	return token{kind: tokNumber, number: value, text: l.text[start:l.at]}
}

func (l *lexer) identLike() token {
	name := l.name()
	if l.peek(0) != '(' {
		return token{kind: tokIdent, text: name}
	}
	l.at++
	if strings.EqualFold(name, "url") {
		i := 0
		for isSpace(l.peek(i)) {
			i++
		}
		if c := l.peek(i); c != '"' && c != '\'' {
			l.at += i
			return l.url()
		}
	}
	return token{kind: tokFunction, text: name}
}

// url takes an unquoted URL (section 4.3.6).
func (l *lexer) url() token {
	var b strings.Builder
	for {
		c := l.peek(0)
		switch {
		case l.at >= len(l.text):
			return token{kind: tokURL, text: b.String()}
		case c == ')':
			l.at++
			return token{kind: tokURL, text: b.String()}
		case isSpace(c):
			for isSpace(l.peek(0)) {
				l.at++
			}
			if l.at < len(l.text) && l.peek(0) != ')' {
				return l.badURL()
			}
		case c == '"' || c == '\'' || c == '(' || c < 0x20 || c == 0x7f:
			return l.badURL()
		case c == '\\':
			if !l.escape(0) {
				return l.badURL()
			}
			l.at++
			b.WriteString(l.escaped())
		default:
			b.WriteByte(c)
			l.at++
		}
	}
}

// badURL takes the remnants of a URL that is none (section 4.3.14).
func (l *lexer) badURL() token {
	for l.at < len(l.text) {
		if l.escape(0) {
			l.at++
			l.escaped()
			continue
		}
		l.at++
		if l.text[l.at-1] == ')' {
			break
		}
	}
	return token{kind: tokBadURL}
}

// quoted takes a string (section 4.3.5).
func (l *lexer) quoted(quote byte) token {
	l.at++
	var b strings.Builder
	for l.at < len(l.text) {
		switch c := l.peek(0); {
		case c == quote:
			l.at++
			return token{kind: tokString, text: b.String()}
		case c == '\n':
			return token{kind: tokBadString}
		case c == '\\':
			l.at++
			switch {
			case l.at >= len(l.text):
			case l.peek(0) == '\n':
				l.at++
			default:
				b.WriteString(l.escaped())
			}
		default:
			b.WriteByte(c)
			l.at++
		}
	}
	return token{kind: tokString, text: b.String()}
}

// name takes a name (section 4.3.11).
func (l *lexer) name() string {
	start := l.at
	for isName(l.peek(0)) {
		l.at++
	}
	if !l.escape(0) {
		return l.text[start:l.at]
	}
	var b strings.Builder
	b.WriteString(l.text[start:l.at])
	for {
		switch {
		case isName(l.peek(0)):
			b.WriteByte(l.peek(0))
			l.at++
		case l.escape(0):
			l.at++
			b.WriteString(l.escaped())
		default:
			return b.String()
		}
	}
}

// escaped takes what follows the backslash of an escape (section 4.3.7).
func (l *lexer) escaped() string {
	digits := 0
	for digits < 6 && isHex(l.peek(digits)) {
		digits++
	}
	switch {
	case l.at >= len(l.text):
		return "\uFFFD"
	case digits == 0:
		_, size := utf8.DecodeRuneInString(l.text[l.at:])
		l.at += size
		return l.text[l.at-size : l.at]
	}
	value, _ := strconv.ParseUint(l.text[l.at:l.at+digits], 16, 32)
	l.at += digits
	if isSpace(l.peek(0)) {
		l.at++
	}
	if value == 0 || value > utf8.MaxRune || value >= 0xd800 && value <= 0xdfff {
		return "\uFFFD"
	}
	return string(rune(value))
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isHex(c byte) bool   { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }
func isNameStart(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80
}
func isName(c byte) bool { return isNameStart(c) || isDigit(c) || c == '-' }
