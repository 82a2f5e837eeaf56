package report

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// Measures of a drawn waterfall, in its own units: a CSS pixel where the drawing is as wide as it likes to be.
const (
	svgWidth  = 1000
	rowHeight = 20
	barsLeft  = 330
	barsRight = 760
	svgLabel  = 46 // columns of a bar's URL
	svgNote   = 35 // columns of what stands right of it
)

// svgStyle makes waterfalls readable on light and dark ground. Its classes begin with wf, so that it may stand in a page.
const svgStyle = `.wf { font: 11px ui-monospace, monospace; color: #1f2328; }
.wf text { fill: currentColor; } .wf .wf-bad { fill: #cf222e; font-weight: bold; } .wf .wf-faint { fill: #6a737d; }
.wf line { stroke: #d0d7de; } .wf line.wf-mark { stroke: #6a737d; stroke-dasharray: 2 3; }
.wf-queued { fill: none; stroke: #6a737d; } .wf-lookup { fill: #8250df; } .wf-connect { fill: #bf8700; } .wf-tls { fill: #bc4c00; }
.wf-wait { fill: #8c959f; } .wf-receive { fill: #2da44e; } .wf-cache { fill: #0969da; }
@media (prefers-color-scheme: dark) {
  .wf { color: #e6edf3; } .wf .wf-bad { fill: #ff7b72; } .wf .wf-faint { fill: #8b949e; } .wf line { stroke: #30363d; }
}
`

// svg draws the chart. id tells it from other drawings in one page. All text is made safe here.
func (c chart) svg(id string) string {
	var b strings.Builder
	marks := max(1, len(c.marks))
	top := 16 * (marks + 1)
	bottom := top + rowHeight*len(c.bars)
	height := bottom + 40
	id = "wf-" + plainID(id)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" class="wf" viewBox="0 0 %d %d" width="100%%" role="img" aria-labelledby="%s-title %s-desc">`+"\n",
		svgWidth, height, id, id)
	fmt.Fprintf(&b, "<title id=\"%s-title\">Waterfall of %s, loaded by %s</title>\n", id, svgText(c.url), svgText(c.node))
	fmt.Fprintf(&b, "<desc id=\"%s-desc\">%s</desc>\n", id, svgText(c.description()))
	c.svgScale(&b, top, bottom)
	for i, bar := range c.bars {
		c.svgBar(&b, bar, top+i*rowHeight)
	}
	c.svgMarks(&b, top, bottom)
	c.svgLegend(&b, bottom+26)
	b.WriteString("</svg>\n")
	return b.String()
}

// writeSVG writes the chart as a file of its own.
func (c chart) writeSVG(w io.Writer) error {
	drawn := c.svg("chart")
	head, rest, _ := strings.Cut(drawn, "\n")
	_, err := fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n%s\n<style>\n%s@media (prefers-color-scheme: dark) { .wf { background: #0d1117; } }\n</style>\n%s", head, svgStyle, rest)
	return err
}

// description says in a sentence or two what the drawing shows.
func (c chart) description() string {
	failed, slowest := 0, -1
	for i, b := range c.bars {
		if b.failed {
			failed++
		}
		if slowest < 0 || b.duration > c.bars[slowest].duration {
			slowest = i
		}
	}
	text := count(len(c.bars), "request") + " in " + seconds(c.total)
	if failed > 0 {
		text += fmt.Sprintf(", %d failed", failed)
	}
	text += "."
	if slowest >= 0 {
		text += " The longest is " + clean(c.bars[slowest].url) + " with " + seconds(c.bars[slowest].duration) + "."
	}
	for _, m := range c.marks {
		text += " " + m.name + " after " + seconds(m.at) + "."
	}
	return text
}

// x is where a moment stands.
func (c chart) x(at float64) float64 {
	part := at / c.total
	if math.IsNaN(part) {
		part = 0
	}
	return barsLeft + (barsRight-barsLeft)*max(0, min(part, 1))
}

// svgScale draws lines for quarters of the time.
func (c chart) svgScale(b *strings.Builder, top, bottom int) {
	const parts = 4
	for i := range parts + 1 {
		at := c.total * float64(i) / parts
		x := barsLeft + (barsRight-barsLeft)*i/parts
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%d" y2="%d"/>`, x, x, top, bottom)
		fmt.Fprintf(b, `<text class="wf-faint" x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", x, bottom+12, svgText(seconds(at)))
	}
}

// svgBar draws one request: its URL, a box for each phase, what came of it.
func (c chart) svgBar(b *strings.Builder, r bar, y int) {
	class := ""
	if r.failed {
		class = ` class="wf-bad"`
	}
	label := clean(r.url)
	if c.ranks {
		label = fmt.Sprintf("%d %s", max(0, min(r.priority, 9)), label)
	}
	fmt.Fprintf(b, `<g><text x="0" y="%d"%s><title>%s</title>%s</text>`, y+14, class, svgText(r.url), svgText(middle(label, svgLabel)))
	for _, s := range r.phases {
		from, to := c.x(s.From), c.x(s.To)
		top, height := 3, 14
		if s.Phase == queued || s.Phase == wait { // that something waits is seen without colour too
			top, height = 7, 6
		}
		fmt.Fprintf(b, `<rect class="wf-%s" x="%.1f" y="%d" width="%.1f" height="%d"><title>%s %s</title></rect>`,
			s.Phase.name(), from, y+top, max(to-from, 1), height, s.Phase.name(), svgText(seconds(s.To-s.From)))
	}
	note := clean(r.status)
	if r.proto != "" {
		note += " · " + clean(r.proto)
	}
	note += " · " + size(r.size) + " · " + seconds(r.duration)
	fmt.Fprintf(b, `<text x="%d" y="%d"%s>%s</text></g>`+"\n", barsRight+8, y+14, class, svgText(clip(note, svgNote)))
}

// svgMarks draws the milestones, each with its name on a line of its own.
func (c chart) svgMarks(b *strings.Builder, top, bottom int) {
	for i, m := range c.marks {
		x, y := c.x(m.at), 12+16*i
		fmt.Fprintf(b, `<line class="wf-mark" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`, x, x, y+3, bottom)
		anchor := "start"
		if x > (barsLeft+barsRight)/2 {
			anchor = "end"
		}
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="%s">%s</text>`+"\n", x, y, anchor, svgText(m.name+" "+seconds(m.at)))
	}
	fmt.Fprintf(b, `<text class="wf-faint" x="0" y="%d">%s</text>`+"\n", top-6, svgText(c.caption()))
}

// caption heads the column of URLs.
func (c chart) caption() string {
	if c.ranks {
		return "urgency (0 goes first) and URL"
	}
	return "URL"
}

// svgLegend names the phases that the bars have.
func (c chart) svgLegend(b *strings.Builder, y int) {
	x := barsLeft
	for p, used := range c.used() {
		if !used {
			continue
		}
		word := phase(p).name()
		fmt.Fprintf(b, `<rect class="wf-%s" x="%d" y="%d" width="10" height="10"/><text x="%d" y="%d">%s</text>`, word, x, y, x+14, y+9, word)
		x += 30 + 7*len(word)
	}
	b.WriteString("\n")
}

// svgText makes text safe for XML.
func svgText(s string) string { return html.EscapeString(clean(s)) }

// plainID keeps of a name what may stand in an id that others refer to.
func plainID(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '_'
	}, s)
}
