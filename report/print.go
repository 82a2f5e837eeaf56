package report

import (
	"io"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// line is one line of a telling; it is wrapped where it is too long.
type line struct {
	head  bool   // begins a phase: stands left of the column of times
	flush bool   // has no time, and the page's whole width
	at    string // when, for the column of times
	tree  string // what leads to the text: indentation and branches
	text  words
	right string // how long, at the right edge
	exact bool   // not to be wrapped: a table's row, raw bytes
}

// section is the telling of one step.
type section struct {
	title  words
	status words
	lines  []line
}

// Columns of the printed page.
const (
	defaultWidth = 100
	minWidth     = 60
	atWidth      = 10 // of the times
	gap          = 2  // between columns
)

// pageWidth is the page's width for that of the options.
func pageWidth(n int) int {
	if n == 0 {
		return defaultWidth
	}
	return max(n, minWidth)
}

// bodyWidth is what a page of n columns leaves for the text right of the column of times.
func bodyWidth(n int) int { return n - atWidth - gap }

// layout breaks lines into printed ones of at most n columns.
func layout(lines []line, n int) []words {
	var out []words
	for _, l := range lines {
		if l.head {
			for i, text := range l.text.wrap(n - len(headIndent[1])) {
				out = append(out, say(headIndent[min(i, 1)]).add(text))
			}
			continue
		}
		if l.flush {
			rows := []words{l.text}
			if !l.exact {
				rows = l.text.wrap(max(n-ansi.StringWidth(l.tree), minWidth/5))
			}
			for _, text := range rows {
				out = append(out, say(l.tree).add(text))
			}
			continue
		}
		room := bodyWidth(n) - ansi.StringWidth(l.tree)
		if l.right != "" {
			room -= ansi.StringWidth(l.right) + gap
		}
		rows := []words{l.text}
		if !l.exact {
			rows = l.text.wrap(max(room, minWidth/5))
		}
		for i, text := range rows {
			at, tree := "", continued(l.tree)
			if i == 0 {
				at, tree = l.at, l.tree
			}
			row := in(faint, padLeft(at, atWidth)+strings.Repeat(" ", gap)+tree).add(text)
			if i == 0 && l.right != "" {
				row = row.in(faint, padLeft(l.right, max(n-row.width(), ansi.StringWidth(l.right)+1)))
			}
			out = append(out, row)
		}
	}
	return out
}

// headIndent leads a phase's title, and the lines below where it is long.
var headIndent = [2]string{" ", "     "}

// continued is what stands below a branch where its text goes on.
func continued(tree string) string {
	return strings.NewReplacer("├", "│", "└", " ").Replace(tree)
}

// printer writes a page, in colour or not, until a write fails.
type printer struct {
	w     io.Writer
	color bool
	err   error
}

func (p *printer) line(w words) {
	text := strings.TrimRight(w.String(), " ")
	if p.color {
		var b strings.Builder
		for _, s := range w {
			b.WriteString(paint(s))
		}
		text = b.String()
	}
	if p.err == nil {
		_, p.err = io.WriteString(p.w, text+"\n")
	}
}

// paint is the span as a terminal shows it in colour.
func paint(s span) string {
	if strings.TrimSpace(s.text) == "" {
		return s.text
	}
	look := lipgloss.NewStyle()
	switch s.style {
	case plain:
		return s.text
	case strong:
		look = look.Bold(true)
	case faint:
		look = look.Faint(true)
	case good:
		look = look.Foreground(lipgloss.Green)
	case bad:
		look = look.Foreground(lipgloss.Red).Bold(true)
	case name:
		look = look.Foreground(lipgloss.Cyan)
	}
	return look.Render(s.text)
}

// section writes a section of n columns below a rule that carries its title and status.
func (p *printer) section(s section, n int) {
	title := s.title
	if room := n - s.status.width() - ansi.StringWidth("──  ─  ──"); title.width() > room {
		title = in(strong, clip(title.String(), room))
	}
	left := in(faint, "── ").add(title).say(" ")
	right := say(" ").add(s.status).in(faint, " ──")
	if len(s.status) == 0 {
		right = nil
	}
	p.line(left.in(faint, strings.Repeat("─", max(n-left.width()-right.width(), 1))).add(right))
	for _, l := range layout(s.lines, n) {
		p.line(l)
	}
	p.line(nil)
}
