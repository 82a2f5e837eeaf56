package report

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"scenario/report/loads"
)

// phase is a part of a request's time.
type phase int

const (
	queued phase = iota
	lookup
	connect
	encrypt
	wait
	receive
	fromCache
	phases // how many there are
)

// name is what a legend calls the phase.
func (p phase) name() string {
	return [phases]string{"queued", "lookup", "connect", "tls", "wait", "receive", "cache"}[p]
}

// mark is what a bar of text draws the phase with.
func (p phase) mark() rune { return [phases]rune{'·', '░', '▒', '▓', '─', '█', '◆'}[p] }

// chart is the waterfall of one page load. Times are seconds since its step began.
type chart struct {
	step  *step
	node  string
	url   string
	total float64
	bars  []bar
	marks []mark
	ranks bool // bars have priorities
}

// bar is one request.
type bar struct {
	url      string
	status   string
	proto    string // where the browser tells
	priority int    // urgency (RFC 9218): 0 goes first; where the chart has ranks
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
		if s.wanted(o) {
			all = append(all, r.stepCharts(s)...)
		}
	}
	return all
}

// stepCharts are the waterfalls of a step: of each page load whose browser sums its requests up, or else of all that the
// step's requests and their connections tell.
func (r *run) stepCharts(s *step) []chart {
	if !s.begun || !s.isPage() {
		return nil
	}
	var all []chart
	for _, l := range r.loads {
		if l.Step == s.ID && len(l.Fetches) > 0 {
			all = append(all, loadChart(s, l))
		}
	}
	if all == nil {
		all = append(all, newChart(r, s))
	}
	return all
}

// loadChart is the waterfall of a load as its browser tells it.
func loadChart(s *step, l loads.Load) chart {
	c := chart{step: s, node: l.Node, url: l.URL, ranks: true}
	begun := l.Start.Sub(s.start).Seconds()
	for _, f := range l.Fetches {
		b := bar{
			url: f.URL, proto: f.Proto, priority: f.Priority, size: f.Size,
			failed: f.Failed != "" || f.Error != "" || f.Status >= 400,
		}
		b.status = cmp.Or(strings.TrimPrefix(strconv.Itoa(f.Status), "0"), f.Failed, "failed")
		at := begun + max(f.Start, 0)
		add := func(p phase, took float64) {
			if took > 0 {
				b.phases = append(b.phases, stretch{p, at, at + took})
				at += took
			}
		}
		add(queued, f.Queued)
		add(lookup, f.Lookup)
		add(connect, f.Connect)
		add(encrypt, f.TLS)
		switch f.From {
		case "cache":
			b.status = "cache"
			b.phases = append(b.phases, stretch{fromCache, at, at + max(f.Wait+f.Receive, 0)})
		case "revalidated":
			b.status = "304"
			fallthrough
		default:
			add(wait, f.Send+f.Wait)
			add(receive, f.Receive)
		}
		if b.phases == nil { // it took no time at all
			b.phases = []stretch{{receive, at, at}}
		}
		c.add(b)
	}
	for _, m := range l.Milestones {
		if m.Milestone != "url" {
			c.marks = append(c.marks, mark{clean(m.Milestone), m.At.Sub(s.start).Seconds()})
		}
	}
	for _, m := range c.marks {
		c.total = max(c.total, m.at)
	}
	return c
}

func newChart(r *run, s *step) chart {
	sent := ofStep(s, r.sides.exchanges)
	v := r.visit(s, sent)
	c := chart{step: s, node: s.Node, url: v.url}
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

// used says which phases the chart's bars have.
func (c chart) used() [phases]bool {
	var used [phases]bool
	for _, b := range c.bars {
		for _, s := range b.phases {
			used[s.Phase] = true
		}
	}
	for _, p := range []phase{lookup, connect, wait, receive} { // which every page load has, or might have
		used[p] = true
	}
	return used
}
