package report

import (
	"cmp"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"scenario/record"
)

// phase is a part of a request's time.
type phase int

const (
	lookup phase = iota
	connect
	wait
	receive
)

// phaseNames and phaseMarks are what a legend calls the phases, and what a bar draws them with.
var (
	phaseNames = [...]string{"lookup", "connect", "wait", "receive"}
	phaseMarks = [...]rune{'░', '▒', '─', '█'}
)

// chart is the waterfall of one page load. Times are seconds since its step began.
type chart struct {
	step  *step
	url   string
	total float64
	bars  []bar
	marks []mark
}

// bar is one request.
type bar struct {
	url      string
	status   string
	failed   bool
	size     int64
	duration float64 // from the lookup that it waited for to the last byte
	phases   []stretch
}

// stretch is one phase of a bar.
type stretch struct {
	Phase    phase
	From, To float64
}

// mark is a milestone.
type mark struct {
	name string
	at   float64
}

// charts are the waterfalls of the page loads that the options ask for.
func (r *run) charts(o Options) []chart {
	var all []chart
	for _, s := range r.steps {
		if s.wanted(o) && s.begun && s.isPage() {
			all = append(all, newChart(r, s))
		}
	}
	return all
}

func newChart(r *run, s *step) chart {
	sent := ofStep(s, r.sides.exchanges)
	v := newVisit(s, sent)
	c := chart{step: s, url: v.url}
	at := func(t time.Time) float64 { return t.Sub(s.start).Seconds() }
	asked, used := ofStep(s, r.sides.questions), make(map[*conn]bool)
	// takeLookups gives the request the lookups for its host that no earlier one waited for.
	takeLookups := func(host string, before time.Time) (stretches []stretch) {
		asked = slices.DeleteFunc(slices.Clone(asked), func(q *question) bool {
			if !sameHost(q.ask.Name, host) || q.Time.After(before) || q.answer == nil {
				return false
			}
			stretches = append(stretches, stretch{lookup, at(q.Time), at(q.answer.Time)})
			return true
		})
		return stretches
	}
	for _, x := range sent {
		b := bar{url: x.request.URL, failed: x.failed(), phases: takeLookups(hostOf(x.request.URL), x.Time)}
		if x.conn != nil && !used[x.conn] {
			used[x.conn] = true
			b.phases = append(b.phases, stretch{connect, at(x.conn.begun()), at(x.conn.Time)})
		}
		first := at(x.Time)
		b.status = "-"
		if a := x.response; a != nil {
			b.size = a.is.Size
			b.status = cmp.Or(strings.TrimPrefix(strconv.Itoa(a.is.Status), "0"), "failed")
			if first += a.is.TTFB; a.is.TTFB == 0 {
				first = at(x.ended())
			}
		}
		b.phases = append(b.phases, stretch{wait, at(x.Time), first}, stretch{receive, first, at(x.ended())})
		c.add(b)
	}
	for _, q := range asked {
		if q.answer != nil && q.answer.is.RCode != "NOERROR" {
			status := cmp.Or(q.answer.is.RCode, "failed")
			c.add(bar{url: hostName(q.ask.Name), status: status, failed: true, phases: []stretch{{lookup, at(q.Time), at(q.answer.Time)}}})
		}
	}
	for _, f := range ofStep(s, r.sides.conns) {
		if f.failed != nil {
			c.add(bar{url: f.remote, status: cmp.Or(f.failed.Errno, "failed"), failed: true, phases: []stretch{{connect, at(f.begun()), at(f.Time)}}})
		}
	}
	slices.SortStableFunc(c.bars, func(a, b bar) int { return cmp.Compare(a.begun(), b.begun()) })
	for _, m := range v.milestones {
		if m.is.Milestone != "url" {
			c.marks = append(c.marks, mark{clean(m.is.Milestone), at(m.Time)})
		}
	}
	if v.load != nil {
		c.total = max(c.total, at(v.load.Time))
	}
	return c
}

// add puts a bar on the chart.
func (c *chart) add(b bar) {
	end := 0.0
	for _, s := range b.phases {
		end = max(end, s.To)
	}
	b.duration = end - b.begun()
	c.total = max(c.total, end)
	c.bars = append(c.bars, b)
}

// begun is when the bar's first phase began.
func (b bar) begun() float64 {
	least := math.Inf(1)
	for _, s := range b.phases {
		least = min(least, s.From)
	}
	return least
}

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
	urlWidth, statusColumn := n/3, statusWidth
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
		url := strings.TrimPrefix(clean(b.url), "http://")
		lines = append(lines, in(style, pad(middle(url, urlWidth), urlWidth)).say(" ").in(name, c.bar(b, room)).
			in(style, " "+pad(clean(b.status), statusColumn)).
			say(padLeft(size(b.size), sizeWidth)+padLeft(seconds(b.duration), timeWidth+1)))
	}
	cells := []rune(strings.Repeat(" ", room))
	legend := in(faint, strings.Repeat(" ", urlWidth+1))
	for i, m := range c.marks {
		cells[c.column(m.at, room)] = 'a' + rune(i%26)
	}
	if len(c.marks) > 0 {
		lines = append(lines, in(faint, pad("milestones", urlWidth+1)+string(cells)))
	}
	for i, phase := range phaseNames {
		legend = legend.in(name, string(phaseMarks[i])+" ").say(phase + "  ")
	}
	lines = append(lines, legend)
	var milestones words
	for i, m := range c.marks {
		milestones = milestones.say(string('a'+rune(i%26)) + " " + m.name + " " + seconds(m.at) + "  ")
	}
	for _, l := range milestones.wrap(n - urlWidth - 1) {
		if len(c.marks) > 0 {
			lines = append(lines, say(strings.Repeat(" ", urlWidth+1)).add(l))
		}
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
			cells[i] = phaseMarks[s.Phase]
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
