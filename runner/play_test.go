package runner_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scenario/engine"
	"scenario/event"
	"scenario/runner"
	"scenario/topology"
)

// wantDiff compares what a test saw.
func wantDiff(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// R38: expectations over everything observed, and what is told of those that do not hold.
func TestPlay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		load := func(ctx context.Context, log nodeLog, call engine.Call) (string, error) {
			log(ctx, event.PageLoad{URL: "http://shop.example/", Status: 404})
			return `{"status": 404}`, nil
		}
		plan := planOf(
			browse("first", "load", "result.status == 200", "events.exists(e, e.event == 'page.load')"),
			browse("second", "read", "result.text == 'hello' && steps.first.status == 404",
				"!events.exists(e, e.event == 'page.load')"),
		)
		plan.Steps[0].Expect[0].Because = "the shop is open"
		plan.Expect = that("events.exists(e, e.node == 'laptop' && e.event == 'page.load')",
			"events.exists(e, e.node == 'shop' && e.event == 'http.request')", "size(steps) == 3")
		f := &fake{actions: map[string]action{"load": load, "read": answer(`{"text": "hello"}`)}}
		s := start(t, f, plan)
		outcome := s.play(t)
		if outcome.Passed() != 4 || outcome.Failed() != 3 || outcome.Skipped != 0 {
			t.Errorf("%d passed, %d failed, %d skipped", outcome.Passed(), outcome.Failed(), outcome.Skipped)
		}
		wantDiff(t, "failures", []runner.Failure{
			{Step: "first", Position: "test.yaml:expect:1", What: "result.status == 200", Because: "the shop is open",
				Reason: "result.status is 404", Look: "logs/laptop.jsonl"},
			{Position: "test.yaml:expect:2", What: "events.exists(e, e.node == 'shop' && e.event == 'http.request')",
				Reason: `of 5 events none meets e.node == "shop": e.node is "scenario", "laptop"`, Look: "logs/shop.jsonl"},
			{Position: "test.yaml:expect:3", What: "size(steps) == 3", Reason: "size(steps) is 2", Look: "events.jsonl"},
		}, outcome.Failures())
		wantDiff(t, "observed", []string{
			"start first", `end first 0s {"status": 404}`,
			`expect "first" events.exists(e, e.event == 'page.load'): true`,
			`expect "first" result.status == 200: false`,
			"start second", `end second 0s {"text": "hello"}`,
			`expect "second" result.text == 'hello' && steps.first.status == 404: true`,
			`expect "second" !events.exists(e, e.event == 'page.load'): true`,
			`expect "" events.exists(e, e.node == 'laptop' && e.event == 'page.load'): true`,
			`expect "" events.exists(e, e.node == 'shop' && e.event == 'http.request'): false`,
			`expect "" size(steps) == 3: false`,
		}, s.watcher.lines)
		wantDiff(t, "page loads", []string{"laptop step/first step/first.1"}, s.told("page.load", "trace", "parent"))
		wantDiff(t, "step starts", []string{
			"scenario first load http://shop.example/ step/first step/first.1",
			"scenario second read http://shop.example/ step/second step/second.1",
		}, s.told("step.start", "step", "action", "target", "trace", "id"))
		wantDiff(t, "step ends", []string{"scenario first 0 step/first.1", "scenario second 0 step/second.1"},
			s.told("step.end", "step", "duration_s", "parent"))
		wantDiff(t, "failed expectations", []string{
			"scenario first result.status == 200 result.status is 404 logs/laptop.jsonl",
		}, s.told("expect.fail", "step", "expression", "reason", "look")[:1])
		if got := len(s.told("expect.pass")); got != 4 {
			t.Errorf("%d expect.pass, want 4", got)
		}
	})
}

func TestStepTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := planOf(browse("first", "hang", "result.status == 200"), browse("second", "load", "true", "true"))
		plan.Steps[0].Timeout = topology.Duration(20 * time.Second)
		plan.Expect = that("true")
		f := &fake{actions: map[string]action{"hang": hang, "load": answer(`{}`)}}
		s := start(t, f, plan)
		began := time.Now()
		outcome := s.play(t)
		wantDiff(t, "time", 20*time.Second, time.Since(began))
		wantDiff(t, "failures", []runner.Failure{{Step: "first", Position: "test.yaml:first",
			What: "laptop hang http://shop.example/", Reason: "not done within 20s", Look: "logs/laptop.jsonl"}}, outcome.Failures())
		wantDiff(t, "error", "step first: laptop hang http://shop.example/: not done within 20s", outcome.Steps[0].Err.Error())
		wantDiff(t, "skipped", 1+3+1, outcome.Skipped)
		wantDiff(t, "ends", []string{"scenario first 20 not done within 20s"}, s.told("step.end", "step", "duration_s", "error"))
	})
}

func TestStepThatCannotBeDoneEndsThePlay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := planOf(browse("first", "refuse"), browse("second", "load"))
		s := start(t, &fake{actions: map[string]action{"refuse": refuse}}, plan)
		outcome := s.play(t)
		wantDiff(t, "failures", []runner.Failure{{Step: "first", Position: "test.yaml:first",
			What: "laptop refuse http://shop.example/", Reason: "no such site", Look: "logs/laptop.jsonl"}}, outcome.Failures())
		wantDiff(t, "skipped", 1, outcome.Skipped)
	})
}

func TestResultThatIsNoJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, &fake{actions: map[string]action{"load": answer("{")}}, planOf(browse("first", "load")))
		if err := s.play(t).Steps[0].Err; err == nil || !strings.Contains(err.Error(), "the result is no JSON") {
			t.Errorf("error %v", err)
		}
	})
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := planOf(topology.Step{ID: "1", Action: topology.ActionWait, Wait: topology.Duration(time.Hour),
			Timeout: topology.Duration(30 * time.Second), Expect: that("result == null")})
		s := start(t, &fake{}, plan)
		outcome := s.play(t)
		if outcome.Passed() != 1 || outcome.Failed() != 0 || outcome.Steps[0].Duration != time.Hour {
			t.Errorf("outcome %+v", outcome)
		}
	})
}

// An expectation holds as soon as the event comes that makes it true, and fails when the time to settle is over.
func TestExpectationsSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := func(ctx context.Context, log nodeLog, _ engine.Call) (string, error) {
			for _, after := range []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond, 3 * time.Second} {
				time.AfterFunc(after, func() { log(ctx, event.ChatMessage{Side: "client", Name: "ann", Text: after.String()}) })
			}
			return `{}`, nil
		}
		message := func(text string) string {
			return "events.exists(e, e.event == 'chat.message' && e.text == '" + text + "')"
		}
		f := &fake{actions: map[string]action{"chat": late}}
		s := start(t, f, planOf(browse("1", "chat", message("1.5s")), browse("2", "chat", message("3s"), message("500ms"),
			"events.exists(e, e.event == 'chat.message') && !events.exists(e, e.text == '1.5s')")))
		began := time.Now()
		outcome := s.play(t)
		var got []string
		for _, r := range s.folder.Records() {
			if strings.HasPrefix(r.Event, "expect.") {
				got = append(got, fmt.Sprintf("%v %s %v", r.Time.Sub(began), r.Event, r.Attrs["expression"]))
			}
		}
		wantDiff(t, "verdicts", []string{
			"1.5s expect.pass " + message("1.5s"),
			"2s expect.pass " + message("500ms"),
			"3s expect.pass " + message("3s"),
		}, got[:3])
		if outcome.Failed() != 1 {
			t.Errorf("failures %+v", outcome.Failures())
		}
		wantDiff(t, "time", 3500*time.Millisecond, time.Since(began))
		time.Sleep(time.Minute) // the fake's last messages
	})
}

// What results alone decide is decided at once.
func TestExpectationsOfResultsDoNotSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{actions: map[string]action{"load": answer(`{"n": 1}`)}}
		s := start(t, f, planOf(browse("1", "load", "result.n == 2", "events.size() >= 0"), browse("2", "load", "steps['1'].n == 1")))
		began := time.Now()
		outcome := s.play(t)
		if outcome.Failed() != 1 || outcome.Passed() != 2 {
			t.Errorf("outcome %+v", outcome)
		}
		wantDiff(t, "time", time.Duration(0), time.Since(began))
	})
}

func TestParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		side := topology.Step{ID: "1", Position: "test.yaml:1", Action: topology.ActionParallel,
			Parallel: []topology.Step{browse("1.1", "slow", "result.n == 1"), browse("1.2", "fast", "result.n == 2", "false")},
			Expect:   that("result['1.1'].n == 1", "steps['1.2'].n == 2")}
		f := &fake{actions: map[string]action{
			"slow": sleep(5*time.Second, `{"n": 1}`), "fast": sleep(time.Second, `{"n": 2}`),
		}}
		s := start(t, f, planOf(side))
		outcome := s.play(t)
		if outcome.Passed() != 4 || outcome.Failed() != 1 {
			t.Errorf("outcome %+v", outcome)
		}
		wantDiff(t, "step ends", []string{"scenario 1.2 1", "scenario 1.1 5", "scenario 1 5"}, s.told("step.end", "step", "duration_s"))
		var ids []string
		for _, step := range outcome.Steps {
			ids = append(ids, step.Step.ID)
		}
		wantDiff(t, "steps", []string{"1.1", "1.2", "1"}, ids)
		wantDiff(t, "result", `{"1.1":{"n":1},"1.2":{"n":2}}`, string(outcome.Steps[2].Result))
	})
}

func TestParallelGoesOnBesideAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		side := topology.Step{ID: "1", Action: topology.ActionParallel,
			Parallel: []topology.Step{browse("1.1", "refuse"), browse("1.2", "slow", "result.n == 1"), browse("1.3", "refuse")}}
		f := &fake{actions: map[string]action{"refuse": refuse, "slow": sleep(5*time.Second, `{"n": 1}`)}}
		s := start(t, f, planOf(side, browse("2", "slow")))
		outcome := s.play(t)
		if outcome.Passed() != 1 || outcome.Failed() != 2 || outcome.Skipped != 1 {
			t.Errorf("outcome %+v", outcome)
		}
		wantDiff(t, "error", "step 1: parallel: steps 1.1, 1.3 failed", outcome.Steps[3].Err.Error())
	})
}

func TestParallelTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		side := topology.Step{ID: "1", Action: topology.ActionParallel, Timeout: topology.Duration(3 * time.Second),
			Parallel: []topology.Step{browse("1.1", "hang"), browse("1.2", "fast")}}
		f := &fake{actions: map[string]action{"hang": hang, "fast": answer(`{}`)}}
		s := start(t, f, planOf(side))
		began := time.Now()
		outcome := s.play(t)
		wantDiff(t, "time", 3*time.Second, time.Since(began))
		if failures := outcome.Failures(); len(failures) != 1 || failures[0].Step != "1.1" || failures[0].Reason != "not done within 3s" {
			t.Errorf("failures %+v", failures)
		}
	})
}

// What ends a play at once, and what it says then.
func TestPlayEnds(t *testing.T) {
	crash := errors.New("node shop crashed: exit 2")
	for _, c := range []struct {
		name string
		end  func(f *fake, s stage, cancel context.CancelFunc)
		want string
	}{
		{"run lost", func(f *fake, _ stage, _ context.CancelFunc) { f.lost <- crash }, "the run was lost: node shop crashed: exit 2"},
		{"folder fails", func(_ *fake, s stage, _ context.CancelFunc) { s.folder.File("laptop", "../x", nil) },
			"the run can no longer be recorded: run folder"},
		{"ctx ends", func(_ *fake, _ stage, cancel context.CancelFunc) { cancel() }, "context canceled"},
		{"stopped", func(_ *fake, s stage, _ context.CancelFunc) { s.Stop(context.Background()) }, "the run was stopped"},
	} {
		for name, step := range map[string]topology.Step{
			"in an action":        browse("1", "hang"),
			"in a program":        {ID: "1", Node: "laptop", Action: topology.ActionRun, Command: []string{"cat"}},
			"while waiting":       {ID: "1", Action: topology.ActionWait, Wait: topology.Duration(time.Hour)},
			"while settling":      browse("1", "load", "true", "events.exists(e, e.event == 'chat.message')"),
			"in parallel":         {ID: "1", Action: topology.ActionParallel, Parallel: []topology.Step{browse("1.1", "hang"), browse("1.2", "load")}},
			"while synchronizing": browse("1", "sync"),
		} {
			t.Run(c.name+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := &fake{lost: make(chan error, 1), actions: map[string]action{"hang": hang, "load": answer(`{}`)}}
					f.actions["sync"] = func(context.Context, nodeLog, engine.Call) (string, error) {
						f.sync = func(ctx context.Context) error {
							<-ctx.Done()
							return ctx.Err()
						}
						return `{}`, nil
					}
					f.exec = func(ctx context.Context, _ engine.Command) (int, error) {
						<-ctx.Done()
						return 0, ctx.Err()
					}
					s := start(t, f, planOf(step, browse("2", "load")))
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					began := time.Now()
					time.AfterFunc(time.Second, func() { c.end(f, s, cancel) })
					outcome, err := s.Play(ctx)
					if err == nil || !strings.HasPrefix(err.Error(), c.want) {
						t.Errorf("error %v, want %s", err, c.want)
					}
					wantDiff(t, "time", time.Second, time.Since(began))
					for _, o := range outcome.Steps {
						if o.Step.ID == "2" {
							t.Error("the next step was played")
						}
					}
					if c.name == "run lost" && !errors.Is(err, crash) {
						t.Errorf("error %v does not wrap the cause", err)
					}
				})
			})
		}
	}
}

// A step that began has an end, also when the run is lost in it.
func TestLostRunEndsItsStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{lost: make(chan error, 1), actions: map[string]action{"hang": hang}}
		s := start(t, f, planOf(browse("1", "hang")))
		f.lost <- errors.New("the fabric went away")
		outcome, _ := s.Play(t.Context())
		if len(outcome.Steps) != 1 || outcome.Steps[0].Err == nil {
			t.Errorf("steps %+v", outcome.Steps)
		}
		wantDiff(t, "ends", []string{"scenario the run was lost: the fabric went away"}, s.told("step.end", "error"))
		wantDiff(t, "observed", []string{"start 1",
			"end 1 0s step 1: laptop hang http://shop.example/: the run was lost: the fabric went away"}, s.watcher.lines)
		if err := <-s.Lost(); err == nil || err.Error() != "the run was lost: the fabric went away" {
			t.Errorf("Lost yields %v", err)
		}
	})
}

func TestNodesThatTellNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{actions: map[string]action{"load": answer(`{}`)}, sync: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		_, err := start(t, f, planOf(browse("1", "load"))).Play(t.Context())
		if err == nil || err.Error() != "what the nodes told did not come in: not within 10s" {
			t.Errorf("error %v", err)
		}
	})
}
