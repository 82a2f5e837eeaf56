// Package loads finds the page loads of a recording: each with its milestones, its fetches and what was sent and received
// for them.
//
// It reads http.fetch, which browsers emit once for each request of a page load, and joins it with the http.request that
// it names and the http.response to that. A recording without http.fetch has page loads without fetches.
package loads

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"scenario/event"
	"scenario/record"
	"scenario/topology"
)

// Load is one page load by one browser.
type Load struct {
	Step       string // id of the step that it belongs to; empty: of none
	Node       string
	Role       string // of the browser: browser, chromium; empty where the plan does not tell
	URL        string // as it was asked for
	Start      time.Time
	Milestones []Milestone
	Sum        *event.PageLoad // nil: the load did not end
	Fetches    []Fetch         // in the order in which they began; of those that began at one time the page itself first
}

// Milestone is a moment of a page load.
type Milestone struct {
	event.PageMilestone
	At time.Time
}

// Fetch is one request of a page load with what was sent and received for it.
type Fetch struct {
	event.HTTPFetch
	At       time.Time           // when it was over
	Request  *event.HTTPRequest  // nil: nothing was sent, or it is not recorded
	Response *event.HTTPResponse // nil: there was none, or it is not recorded
	Sent     time.Time           // when the request was
	Cache    []event.HTTPCache   // what the cache did for it, in order
}

// Total is how long the fetch took from where it was found, in seconds.
func (f Fetch) Total() float64 {
	return f.Queued + f.Lookup + f.Connect + f.TLS + f.Send + f.Wait + f.Receive
}

// Document is the fetch that got the page itself, after redirects; nil where there is none.
func (l Load) Document() *Fetch {
	for i, f := range slices.Backward(l.Fetches) {
		if f.Destination == "document" {
			return &l.Fetches[i]
		}
	}
	return nil
}

// Find returns the page loads of the recording in the order in which they began; what began at one time, by node.
func Find(rec *record.Recording) []Load {
	records := slices.Clone(rec.Records)
	slices.SortStableFunc(records, func(a, b event.Record) int { return a.Time.Compare(b.Time) })
	f := finder{plan: rec.Plan, byRoot: make(map[key]*Load), byTrace: make(map[key][]*Load), chain: newChain(records), fetches: make(map[*Load][]Fetch)}
	for _, r := range records {
		f.root(r)
	}
	exchanges := newExchanges(records)
	for _, r := range records {
		f.record(r, exchanges)
	}
	var all []Load
	for _, l := range f.order {
		l.Fetches = f.fetches[l]
		slices.SortStableFunc(l.Fetches, func(a, b Fetch) int {
			return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(rank(a), rank(b)))
		})
		all = append(all, *l)
	}
	slices.SortStableFunc(all, func(a, b Load) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.Node, b.Node))
	})
	return all
}

// rank is 0 of the page itself.
func rank(f Fetch) int {
	if f.Destination == "document" {
		return 0
	}
	return 1
}

// finder sorts records by the page load that they belong to.
type finder struct {
	plan    *topology.Plan
	chain   chain
	byRoot  map[key]*Load // by the milestone that begins it
	byTrace map[key][]*Load
	order   []*Load
	fetches map[*Load][]Fetch
}

// beginning is the milestone that a page load begins with.
const beginning = "url"

// root makes a load of the milestone that begins one.
func (f *finder) root(r event.Record) {
	if m, ok := event.As[event.PageMilestone](r); ok && m.Milestone == beginning && r.Trace() != "" {
		f.byRoot[key{r.Node, r.Trace(), r.ID()}] = f.begin(r, m.URL, r.Time)
	}
}

func (f *finder) begin(r event.Record, url string, at time.Time) *Load {
	l := &Load{Node: r.Node, URL: url, Start: at}
	if id, ok := strings.CutPrefix(r.Trace(), event.StepTrace); ok {
		l.Step = id
	}
	l.Role = role(f.plan, l.Step, l.Node)
	f.order = append(f.order, l)
	chain := key{r.Node, r.Trace(), ""}
	f.byTrace[chain] = append(f.byTrace[chain], l)
	return l
}

// role is the browser's, as the step names it, or the node has it.
func role(plan *topology.Plan, step, node string) string {
	if plan == nil {
		return ""
	}
	if s := findStep(plan.Steps, step); s != nil && s.Node == node && s.Role != "" {
		return s.Role
	}
	if n := plan.Node(node); n != nil {
		for _, r := range n.Roles {
			if r.Name == "browser" || r.Name == "chromium" {
				return r.Name
			}
		}
	}
	return ""
}

func findStep(steps []topology.Step, id string) *topology.Step {
	for i := range steps {
		if steps[i].ID == id {
			return &steps[i]
		}
		if s := findStep(steps[i].Parallel, id); s != nil {
			return s
		}
	}
	return nil
}

// record adds what belongs to a load.
func (f *finder) record(r event.Record, known exchanges) {
	switch r.Event {
	case event.PageMilestone{}.Word():
		if m, ok := event.As[event.PageMilestone](r); ok {
			if l := f.load(r); l != nil {
				l.Milestones = append(l.Milestones, Milestone{m, r.Time})
			}
		}
	case event.PageLoad{}.Word():
		if sum, ok := event.As[event.PageLoad](r); ok {
			if l := f.load(r); l != nil && l.Sum == nil {
				l.Sum = &sum
			}
		}
	case event.HTTPFetch{}.Word():
		fetch, ok := event.As[event.HTTPFetch](r)
		if !ok {
			return
		}
		l, one := f.load(r), known.join(fetch, r)
		if l == nil { // of a load whose beginning is not told
			begun := one.At.Add(-time.Duration(min(max(fetch.Start+one.Total(), 0), maxSeconds) * float64(time.Second)))
			l = f.begin(r, cmp.Or(fetch.Page, fetch.URL), begun)
		}
		f.fetches[l] = append(f.fetches[l], one)
	}
}

// load is what the record belongs to: the load that its causes lead to, or else the last one of its chain that had begun.
func (f *finder) load(r event.Record) *Load {
	at := key{r.Node, r.Trace(), cmp.Or(r.ID(), r.Parent())}
	for range maxDepth {
		if l := f.byRoot[at]; l != nil {
			return l
		}
		if at.id == "" {
			break
		}
		at.id = f.chain[at]
	}
	for _, l := range slices.Backward(f.byTrace[key{r.Node, r.Trace(), ""}]) {
		if !l.Start.After(r.Time) {
			return l
		}
	}
	return nil
}

// maxSeconds bounds how long a page load is believed to take.
const maxSeconds = 24 * 60 * 60

// maxDepth bounds how far causes are followed: frames in frames and their style sheets are far less deep.
const maxDepth = 64

// key names an event within its causal chain on one node.
type key struct{ node, trace, id string }

// chain tells the cause of each event that others name as theirs.
type chain map[key]string

func newChain(records []event.Record) chain {
	c := make(chain)
	for _, r := range records {
		if id := r.ID(); id != "" {
			c[key{r.Node, r.Trace(), id}] = r.Parent()
		}
	}
	return c
}

// exchanges are the requests that clients sent, with their responses, by the request's id; and what caches did, by cause.
type exchanges struct {
	requests  map[key]sent
	responses map[key]event.HTTPResponse
	cache     map[key][]event.HTTPCache
}

type sent struct {
	event.HTTPRequest
	at time.Time
}

func newExchanges(records []event.Record) exchanges {
	x := exchanges{make(map[key]sent), make(map[key]event.HTTPResponse), make(map[key][]event.HTTPCache)}
	for _, r := range records {
		switch r.Event {
		case event.HTTPRequest{}.Word():
			if q, ok := event.As[event.HTTPRequest](r); ok && q.Side == event.SideClient && r.ID() != "" {
				x.requests[key{r.Node, r.Trace(), r.ID()}] = sent{q, r.Time}
			}
		case event.HTTPResponse{}.Word():
			if a, ok := event.As[event.HTTPResponse](r); ok && a.Side == event.SideClient && r.Parent() != "" {
				x.responses[key{r.Node, r.Trace(), r.Parent()}] = a
			}
		case event.HTTPCache{}.Word():
			if c, ok := event.As[event.HTTPCache](r); ok && r.Parent() != "" {
				at := key{r.Node, r.Trace(), r.Parent()}
				x.cache[at] = append(x.cache[at], c)
			}
		}
	}
	return x
}

// join puts the fetch together with its request and response.
func (x exchanges) join(f event.HTTPFetch, r event.Record) Fetch {
	out := Fetch{HTTPFetch: f, At: r.Time}
	if f.Request != "" {
		at := key{r.Node, r.Trace(), f.Request}
		if q, ok := x.requests[at]; ok {
			out.Request, out.Sent = &q.HTTPRequest, q.at
		}
		if a, ok := x.responses[at]; ok {
			out.Response = &a
		}
	}
	causes := []string{r.Parent()}
	if f.Request != "" && f.Request != r.Parent() {
		causes = append(causes, f.Request)
	}
	for _, id := range causes {
		for _, c := range x.cache[key{r.Node, r.Trace(), id}] {
			if c.URL == f.URL {
				out.Cache = append(out.Cache, c)
			}
		}
	}
	return out
}

// Names gives each load a name for files: its step and its node, and a number from the second one of both on. Characters
// that mean something to a file system are replaced; no two names are the same, in no matter what letter case.
func Names(all []Load) []string {
	taken := make(map[string]bool)
	names := make([]string, len(all))
	for i, l := range all {
		base := strings.Trim(plainName(l.Step)+"-"+plainName(l.Node), "-")
		base = cmp.Or(base, "page")
		names[i] = base
		for n := 2; taken[strings.ToLower(names[i])]; n++ {
			names[i] = fmt.Sprintf("%s-%d", base, n)
		}
		taken[strings.ToLower(names[i])] = true
	}
	return names
}

// maxName bounds a part of a file's name, in bytes.
const maxName = 80

func plainName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '_'
	}, s)
	return strings.TrimLeft(s[:min(len(s), maxName)], ".")
}
