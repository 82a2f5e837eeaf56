package topology

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Position is a place in a file: line and column count from 1, columns in characters.
type Position struct{ Line, Col int }

func (p Position) before(q Position) int {
	return cmp.Or(cmp.Compare(p.Line, q.Line), cmp.Compare(p.Col, q.Col))
}

// Error is one mistake in a scenario file.
type Error struct {
	File      string
	Line, Col int    // from 1; columns in characters
	Message   string // what is wrong
	Advice    string // what would be right; may be empty
	Source    string // the line of the file
}

// Error returns the mistake as one line: place, what is wrong, what would be right.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Message)
	if e.Advice != "" {
		text += ", " + e.Advice
	}
	return text
}

// maxSource bounds, in characters, how much of a line is shown.
const maxSource = 120

// Render returns the mistake in three lines: what Error says, the line of the file, and a caret below the column.
func (e *Error) Render() string {
	line := []rune(strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, e.Source))
	col := min(e.Col-1, len(line))
	if col > maxSource*2/3 {
		cut := col - maxSource/2
		line, col = append([]rune("…"), line[cut:]...), col-cut+1
	}
	if len(line) > maxSource {
		line = append(line[:maxSource:maxSource], '…')
	}
	const indent = "    "
	return e.Error() + "\n" + indent + string(line) + "\n" + indent + strings.Repeat(" ", col) + "^"
}

// Errors are all the mistakes of a file, sorted by place.
type Errors []*Error

// Error renders every mistake.
func (e Errors) Error() string {
	texts := make([]string, len(e))
	for i, mistake := range e {
		texts[i] = mistake.Render()
	}
	return strings.Join(texts, "\n")
}

// Unwrap returns each mistake as an error.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, mistake := range e {
		all[i] = mistake
	}
	return all
}

// mistakes collects the errors of one file.
type mistakes struct {
	source *source
	list   Errors
}

// add notes a mistake; advice says what would be right and may be empty. A value without a place is of the wrong type,
// which has been noted.
func (m *mistakes) add(at Position, message, advice string) {
	if at == (Position{}) {
		return
	}
	at = m.source.within(at)
	m.list = append(m.list, &Error{
		File: m.source.name, Line: at.Line, Col: at.Col, Message: message, Advice: advice, Source: m.source.line(at.Line),
	})
}

// err returns what was collected, sorted and each once; nil where there is nothing.
func (m *mistakes) err() error {
	if len(m.list) == 0 {
		return nil
	}
	slices.SortStableFunc(m.list, func(a, b *Error) int {
		return cmp.Or(Position{a.Line, a.Col}.before(Position{b.Line, b.Col}), cmp.Compare(a.Message, b.Message))
	})
	m.list = slices.CompactFunc(m.list, func(a, b *Error) bool {
		return a.Line == b.Line && a.Col == b.Col && a.Message == b.Message
	})
	return m.list
}

// source is a file's text.
type source struct {
	name  string
	lines []string // without line ends
}

// newSource splits a text into lines as YAML does (YAML 1.1, section 4.1.4), which positions go by.
func newSource(name string, text []byte) *source {
	breaks := strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")
	return &source{name: name, lines: strings.Split(breaks.Replace(string(text)), "\n")}
}

// line returns a line, from 1; empty where there is none.
func (s *source) line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	return s.lines[n-1]
}

// within returns a position, or the end of the file where it lies behind it, as that of a value that is not written can.
func (s *source) within(at Position) Position {
	at.Line = min(at.Line, len(s.lines))
	return Position{at.Line, min(at.Col, utf8.RuneCountInString(s.line(at.Line))+1)}
}

// place writes a position as plans have it: file:line:col.
func (s *source) place(at Position) string { return fmt.Sprintf("%s:%d:%d", s.name, at.Line, at.Col) }

// comment returns the comment that the file opens with, without its marks, and without lines that are for editors.
func (s *source) comment() string {
	var text []string
	for _, line := range s.lines {
		line, found := strings.CutPrefix(strings.TrimPrefix(line, "\ufeff"), "#")
		if !found {
			break
		}
		if line = strings.TrimPrefix(line, " "); !strings.HasPrefix(line, "yaml-language-server:") {
			text = append(text, strings.TrimRight(line, " \t"))
		}
	}
	return strings.TrimSpace(strings.Join(text, "\n"))
}
