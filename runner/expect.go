package runner

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"scenario/event"
	"scenario/expect"
	"scenario/record"
	"scenario/topology"
)

// check is what is needed to look at some expectations.
type check struct {
	step         *topology.Step // nil: those of the run
	expectations []topology.Expectation
	scope        expect.Scope
	since        int // the first of the events that they see
	result       expect.Value
}

// expect looks at expectations whenever there is a new event, until all hold, or those that do not will not with more
// events either, or the time to settle has passed. With an
// error it returns only those that held until then.
func (s *Session) expect(ctx context.Context, c *check) ([]ExpectOutcome, error) {
	outcomes := make([]ExpectOutcome, len(c.expectations))
	err := s.await(ctx, c, outcomes)
	if err != nil {
		outcomes = slices.DeleteFunc(outcomes, func(o ExpectOutcome) bool { return !o.Pass })
	}
	return outcomes, err
}

// await fills in the outcomes, each as soon as it is certain.
func (s *Session) await(ctx context.Context, c *check, outcomes []ExpectOutcome) error {
	settled := time.NewTimer(s.options.Settle)
	defer settled.Stop()
	pending := len(outcomes)
	for {
		open := false // an answer may still change
		vars, more := s.vars(c)
		for i, e := range c.expectations {
			program := s.program(c, e)
			switch {
			case outcomes[i].Pass:
			case program.Holds(ctx, vars):
				outcomes[i] = s.conclude(c, e, expect.Verdict{Pass: true})
				pending--
			default:
				open = open || program.SeesEvents()
			}
		}
		switch {
		case pending == 0:
			return nil
		case !open:
			return s.settle(ctx, c, outcomes)
		}
		select {
		case <-more:
		case <-settled.C:
			return s.settle(ctx, c, outcomes)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// settle gives the expectations that do not hold yet their verdict.
func (s *Session) settle(ctx context.Context, c *check, outcomes []ExpectOutcome) error {
	vars, _ := s.vars(c)
	for i, e := range c.expectations {
		if outcomes[i].Pass {
			continue
		}
		verdict := s.program(c, e).Eval(ctx, vars)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		outcomes[i] = s.conclude(c, e, verdict)
	}
	return nil
}

func (s *Session) program(c *check, e topology.Expectation) *expect.Program {
	return s.programs[programKey{e.That, c.scope}]
}

// vars are what expectations see now; the channel is closed when they would see more.
func (s *Session) vars(c *check) (expect.Vars, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	more := s.catchUp()
	return expect.Vars{
		Result: c.result,
		Events: s.seen[c.since:len(s.seen):len(s.seen)],
		Steps:  maps.Clone(s.results),
	}, more
}

// mark is where the events begin that come from now on.
func (s *Session) mark() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catchUp()
	return len(s.seen)
}

// catchUp takes in the folder's new records; the channel is closed when there are more. What became of other
// expectations is no event of the network, and not for expectations to see. s.mu is held.
func (s *Session) catchUp() <-chan struct{} {
	records, more := s.folder.Since(s.read)
	s.read += len(records)
	for _, r := range records {
		if r.Event != (event.ExpectPass{}).Word() && r.Event != (event.ExpectFail{}).Word() {
			s.seen = append(s.seen, s.converter.Event(r))
		}
	}
	return more
}

// conclude records the verdict and tells the observer.
func (s *Session) conclude(c *check, e topology.Expectation, verdict expect.Verdict) ExpectOutcome {
	outcome := ExpectOutcome{Expectation: e, Pass: verdict.Pass, Reason: verdict.Reason}
	ctx := context.Background()
	if c.step != nil {
		outcome.Step = c.step.ID
	}
	if verdict.Pass {
		event.Emit(ctx, s.log, event.ExpectPass{Step: outcome.Step, Expression: e.That})
	} else {
		outcome.Look = s.look(s.program(c, e).Literals(), c.step)
		event.Emit(ctx, s.log, event.ExpectFail{
			Step: outcome.Step, Expression: e.That, Reason: outcome.Reason, Look: outcome.Look,
		})
	}
	s.tell(func(o Observer) { o.Expected(outcome) })
	return outcome
}

// look says where to look: in the logs of the nodes that are named, or in that of the step's, or in the log of all.
func (s *Session) look(named []string, step *topology.Step) string {
	var files []string
	for _, name := range named {
		if file := record.LogFile(name); s.plan.Node(name) != nil && !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	switch {
	case len(files) > 0:
		return strings.Join(files, ", ")
	case step != nil && step.Node != "":
		return record.LogFile(step.Node)
	}
	return record.EventsFile
}
