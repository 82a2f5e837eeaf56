package report

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"scenario/event"
	"scenario/record"
	"scenario/report/loads"
	"scenario/topology"
)

// run is a recording made ready to be told: its records by time, its steps, both sides of every exchange joined.
type run struct {
	plan    *topology.Plan
	who     who
	records []event.Record
	steps   []*step // in the plan's order; steps side by side follow the one that holds them
	expects []expected
	sides   sides
	loads   []loads.Load     // page loads, in the order in which they began
	talks   map[*step][]part // sockets whose calls are told
	drawn   map[callKey]bool // errors of theirs
	lastEnd int              // where among the records the last step ends
}

// step is one step with what the run tells of it.
type step struct {
	topology.Step // all but the ID empty where the plan does not know it

	inner    bool // runs beside others within a parallel step
	begun    bool
	ended    bool
	start    time.Time
	end      time.Time
	duration float64 // seconds
	err      string
	result   json.RawMessage
	records  []event.Record // of its causal chain, without its start and end
}

// seen is an event of one type, with who told it and when.
type seen[E event.Event] struct {
	event.Record
	is E
}

// pick returns the records that are events of type E.
func pick[E event.Event](records []event.Record) []seen[E] {
	var all []seen[E]
	for _, r := range records {
		if e, ok := event.As[E](r); ok {
			all = append(all, seen[E]{r, e})
		}
	}
	return all
}

func newRun(rec *record.Recording) *run {
	r := &run{plan: rec.Plan, records: slices.Clone(rec.Records)}
	if r.plan == nil {
		r.plan = &topology.Plan{}
	}
	slices.SortStableFunc(r.records, func(a, b event.Record) int { return a.Time.Compare(b.Time) })
	r.who = newWho(r.plan)
	r.findSteps()
	r.expects = expectations(r)
	r.sides = join(r.who, r.records)
	r.loads = loads.Find(&record.Recording{Plan: r.plan, Records: r.records})
	r.talks, r.drawn = r.parts(talks(r.who, r.sides, r.records))
	return r
}

// findSteps lists the plan's steps, then those that only the records know, and gives each its records.
func (r *run) findSteps() {
	byID := make(map[string]*step)
	add := func(s topology.Step, inner bool) *step {
		known := &step{Step: s, inner: inner}
		r.steps = append(r.steps, known)
		byID[s.ID] = known
		return known
	}
	var planned func(steps []topology.Step, inner bool)
	planned = func(steps []topology.Step, inner bool) {
		for _, s := range steps {
			add(s, inner)
			planned(s.Parallel, true)
		}
	}
	planned(r.plan.Steps, false)
	known := func(id string) *step {
		if s := byID[id]; s != nil {
			return s
		}
		return add(topology.Step{ID: id}, false)
	}
	r.lastEnd = len(r.records)
	for i, rec := range r.records {
		if s, ok := event.As[event.StepStart](rec); ok {
			known(s.Step).begin(rec.Time, s)
		} else if e, ok := event.As[event.StepEnd](rec); ok {
			known(e.Step).finish(rec.Time, e)
			r.lastEnd = i
		} else if id, ok := strings.CutPrefix(rec.Trace(), event.StepTrace); ok {
			s := known(id)
			s.records = append(s.records, rec)
		}
	}
	for _, s := range r.steps {
		s.complete()
	}
}

func (s *step) begin(at time.Time, e event.StepStart) {
	s.begun, s.start = true, at
	s.Action = cmp.Or(s.Action, e.Action)
	s.Target = cmp.Or(s.Target, e.Target)
}

func (s *step) finish(at time.Time, e event.StepEnd) {
	s.ended, s.end, s.duration, s.err = true, at, e.Duration, e.Error
	s.result = e.Result
}

// exitCode is how the step's program ended; 0 where it ran none.
func (s *step) exitCode() int {
	var result struct {
		Exit int `json:"exit"`
	}
	if s.Action != topology.ActionRun || json.Unmarshal(s.result, &result) != nil {
		return 0
	}
	return result.Exit
}

// complete fills in what a recording without the step's start or end does not say itself.
func (s *step) complete() {
	if len(s.records) > 0 && !s.begun {
		s.begun, s.start = true, s.records[0].Time
	}
	if s.Node == "" && len(s.records) > 0 {
		s.Node = s.records[0].Node
	}
	if s.ended {
		return
	}
	s.end = s.start
	if n := len(s.records); n > 0 {
		s.end = s.records[n-1].Time
	}
	s.duration = s.end.Sub(s.start).Seconds()
}

// wanted says whether the options ask for the step.
func (s *step) wanted(o Options) bool { return len(o.Steps) == 0 || slices.Contains(o.Steps, s.ID) }
