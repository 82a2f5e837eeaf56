package report

import (
	"io"
	"math"
	"strconv"
	"strings"

	"scenario/record"
)

// Waterfall draws each page load: a line for each request, a bar for its time. The only errors are those of w.
func Waterfall(w io.Writer, rec *record.Recording, o Options) error {
	return newRun(rec).writeWaterfall(w, o)
}

func (r *run) writeWaterfall(w io.Writer, o Options) error {
	n := pageWidth(o.Width)
	p := &printer{w: w, color: o.Color}
	for _, c := range r.charts(o) {
		title := in(strong, clean(c.step.ID)).say(" · ").in(name, clean(c.url))
		p.section(section{title: title, status: say(seconds(c.total))}, n)
		for _, l := range c.draw(n) {
			p.line(l)
		}
		p.line(nil)
	}
	return p.err
}

// draw is the chart on a page of n columns.
func (c chart) draw(n int) []words {
	urlWidth, statusColumn, rankWidth := n/3, statusWidth, 0
	if c.ranks {
		rankWidth = 2
	}
	for _, b := range c.bars {
		statusColumn = max(statusColumn, len(clean(b.status))+1)
	}
	room := n - urlWidth - statusColumn - sizeWidth - timeWidth - 3
	var lines []words
	for _, b := range c.bars {
		style := plain
		if b.failed {
			style = bad
		}
		url := strings.TrimPrefix(strings.TrimPrefix(clean(b.url), "http://"), "https://")
		rank := ""
		if c.ranks {
			rank = pad(strconv.Itoa(max(0, min(b.priority, 9))), rankWidth)
		}
		lines = append(lines, in(faint, rank).in(style, pad(middle(url, urlWidth-rankWidth), urlWidth-rankWidth)).say(" ").in(name, c.bar(b, room)).
			in(style, " "+pad(clean(b.status), statusColumn)).
			say(padLeft(size(b.size), sizeWidth)+padLeft(seconds(b.duration), timeWidth+1)))
	}
	cells := []rune(strings.Repeat(" ", room))
	var legend words
	for i, m := range c.marks {
		cells[c.column(m.at, room)] = 'a' + rune(i%26)
	}
	if len(c.marks) > 0 {
		lines = append(lines, in(faint, pad("milestones", urlWidth+1)+string(cells)))
	}
	for p, used := range c.used() {
		if used {
			legend = legend.in(name, string(phase(p).mark())+" ").say(phase(p).name() + "  ")
		}
	}
	under := func(w words) {
		for _, l := range w.wrap(n - urlWidth - 1) {
			lines = append(lines, say(strings.Repeat(" ", urlWidth+1)).add(l))
		}
	}
	under(legend)
	if c.ranks {
		under(say("the digit before a URL: its urgency, 0 goes first"))
	}
	var milestones words
	for i, m := range c.marks {
		milestones = milestones.say(string('a'+rune(i%26)) + " " + m.name + " " + seconds(m.at) + "  ")
	}
	if len(c.marks) > 0 {
		under(milestones)
	}
	return lines
}

// bar draws a bar of room columns, with the milestones behind it.
func (c chart) bar(b bar, room int) string {
	cells := []rune(strings.Repeat(" ", room))
	for _, m := range c.marks {
		cells[c.column(m.at, room)] = '┊'
	}
	for _, s := range b.phases {
		from, to := c.column(s.From, room), c.column(s.To, room)
		for i := from; i <= to; i++ {
			cells[i] = s.Phase.mark()
		}
	}
	return string(cells)
}

// column is where a moment stands on a bar of room columns.
func (c chart) column(at float64, room int) int {
	if !(c.total > 0) || math.IsNaN(at) {
		return 0
	}
	return max(0, min(int(at/c.total*float64(room)), room-1))
}
