package report

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/charmbracelet/x/ansi"
)

// style is what a piece of text is, for whoever shows it in colour.
type style int

const (
	plain style = iota
	strong
	faint
	good
	bad
	name // of a node, a page, a cookie
)

// span is text of one style.
type span struct {
	text  string
	style style
}

// words is text of several styles.
type words []span

// say begins words with plain text.
func say(text string) words { return words(nil).say(text) }

// in begins words with text of a style.
func in(s style, text string) words { return words(nil).in(s, text) }

func (w words) say(text string) words { return w.in(plain, text) }

// in adds text of a style. All text passes here, so here it is made safe.
func (w words) in(s style, text string) words {
	if text == "" {
		return w
	}
	return append(w[:len(w):len(w)], span{safe(text), s})
}

func (w words) add(more words) words { return append(w[:len(w):len(w)], more...) }

// width is the number of columns.
func (w words) width() int {
	n := 0
	for _, s := range w {
		n += ansi.StringWidth(s.text)
	}
	return n
}

// String is the text without its styles.
func (w words) String() string {
	var b strings.Builder
	for _, s := range w {
		b.WriteString(s.text)
	}
	return b.String()
}

// maxText bounds one piece of untrusted text within a telling, in columns.
const maxText = 300

// clean makes untrusted text safe to print and bounds it.
func clean(s string) string { return clip(safe(s), maxText) }

// briefly says what an error says in fewer words: addresses that are told anyway, and what only programmers know, are left
// out.
func briefly(err string) string {
	text := clean(err)
	for _, r := range causes() {
		text = r.long.ReplaceAllString(text, r.short)
	}
	return text
}

type shorter struct {
	long  *regexp.Regexp
	short string
}

// causes are the wordings of package net, of contexts and of the browser.
func causes() []shorter {
	return []shorter{
		{regexp.MustCompile(`^(?:no )?response from \S+: `), ""}, // the row says from where
		{regexp.MustCompile(`\b(read|write) (?:tcp|udp|unix)\d? \S+->\S+: (?:(?:read|write|recvfrom|sendto): )?`), "$1: "},
		{regexp.MustCompile(`\bdial (?:tcp|udp)\d? (\S+): (?:connect: )?`), "connect to $1: "},
		{regexp.MustCompile(`\bcontext deadline exceeded\b`), "not done in time"},
		{regexp.MustCompile(`\bcontext canceled\b`), "interrupted"},
		{regexp.MustCompile(`\bunexpected EOF\b`), "the other end closed the connection in the middle"},
	}
}

// safe makes untrusted text safe to print on one line: escape sequences, control and formatting characters, which could
// move the cursor or turn the writing round, are left out; white space becomes a space.
func safe(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Noncharacter_Code_Point):
			return -1
		}
		return r
	}, ansi.Strip(strings.ToValidUTF8(s, "\uFFFD")))
}

// clip cuts s to n columns at its end.
func clip(s string, n int) string { return ansi.Truncate(s, max(n, 0), "…") }

// middle shortens s to n columns by leaving out its middle, where a URL tells least.
func middle(s string, n int) string {
	width := ansi.StringWidth(s)
	if width <= n {
		return s
	}
	tail := max(n/2, 0)
	end := ansi.TruncateLeft(s, width-tail, "")
	if ansi.StringWidth(end) > tail { // the cut went through a wide character
		end = ansi.TruncateLeft(s, width-tail+1, "")
	}
	return ansi.Truncate(s, max(n-tail-1, 0), "") + "…" + end
}

// pad fills s with spaces to n columns.
func pad(s string, n int) string { return s + strings.Repeat(" ", max(n-ansi.StringWidth(s), 0)) }

// padLeft fills s with spaces before it to n columns.
func padLeft(s string, n int) string { return strings.Repeat(" ", max(n-ansi.StringWidth(s), 0)) + s }

// wrap breaks w into lines of at most n columns, between words where it can.
func (w words) wrap(n int) []words {
	n = max(n, 1)
	var lines []words
	var line words
	used := 0
	put := func(text string, s style) {
		if last := len(line) - 1; last >= 0 && line[last].style == s {
			line[last].text += text
		} else {
			line = append(line, span{text, s})
		}
		used += ansi.StringWidth(text)
	}
	end := func() {
		if last := len(line) - 1; last >= 0 {
			line[last].text = strings.TrimRight(line[last].text, " ")
		}
		lines = append(lines, line)
		line, used = nil, 0
	}
	for _, s := range w {
		for rest := s.text; rest != ""; {
			var word string
			word, rest = firstWord(rest)
			if used > 0 && used+ansi.StringWidth(word) > n {
				end()
				word = strings.TrimLeft(word, " ")
			}
			for ansi.StringWidth(word) > n {
				part := ansi.Truncate(word, n, "")
				if part == "" { // a character wider than the line
					break
				}
				put(part, s.style)
				end()
				word = word[len(part):]
			}
			if word != "" {
				put(word, s.style)
			}
		}
	}
	if line != nil || lines == nil {
		end()
	}
	return lines
}

// firstWord cuts the first word from s, with the spaces before it.
func firstWord(s string) (word, rest string) {
	spaces := len(s) - len(strings.TrimLeft(s, " "))
	if i := strings.IndexByte(s[spaces:], ' '); i >= 0 {
		return s[:spaces+i], s[spaces+i:]
	}
	return s, ""
}
