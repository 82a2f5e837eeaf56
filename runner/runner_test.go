package runner_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"scenario/engine"
	"scenario/expect"
	"scenario/record"
	"scenario/runner"
	"scenario/topology"
)

func TestStartRefuses(t *testing.T) {
	unsupported := &engine.Unsupported{Engine: "fake", Node: "shop", What: "image: nginx", Why: "has none"}
	wrong := planOf()
	wrong.Expect = that("events.size( == 1")
	for _, c := range []struct {
		name string
		fake *fake
		plan *topology.Plan
		want any
	}{
		{"what the engine cannot do", &fake{check: errors.Join(unsupported)}, planOf(), new(*engine.Unsupported)},
		{"an expression that is none", &fake{}, wrong, new(*expect.Error)},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := runner.Start(t.Context(), c.plan, c.fake, newFolder(t, c.plan), nil, runner.Options{})
			if !errors.As(err, c.want) {
				t.Errorf("error %v, want %T", err, c.want)
			}
			if c.fake.started {
				t.Error("the engine was started")
			}
		})
	}
}

func TestStartFails(t *testing.T) {
	refusal := errors.New("no permission")
	f := &fake{start: func(context.Context, engine.Output) error { return refusal }}
	var progress []string
	_, err := runner.Start(t.Context(), planOf(), f, newFolder(t, planOf()), func(node, state string) {
		progress = append(progress, node+" "+state)
	}, runner.Options{})
	if !errors.Is(err, refusal) {
		t.Errorf("error %v, want the engine's", err)
	}
	wantDiff(t, "progress", []string{"laptop ready"}, progress)
}

func TestFolderFailsDuringStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{start: func(ctx context.Context, out engine.Output) error {
			out.File("laptop", "../x", nil)
			<-ctx.Done()
			return ctx.Err()
		}}
		_, err := runner.Start(t.Context(), planOf(), f, newFolder(t, planOf()), nil, runner.Options{})
		if err == nil || !strings.HasPrefix(err.Error(), "the run cannot be recorded: run folder") {
			t.Errorf("error %v", err)
		}
	})
}

func TestUseWhileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{lost: make(chan error, 1), exec: writes("hi", "", 3), actions: map[string]action{"load": answer(`{"status":200}`), "hang": hang}}
		s := start(t, f, planOf())
		result, err := s.Do(t.Context(), "laptop", engine.Call{Role: "browser", Action: "load"})
		if err != nil || string(result) != `{"status":200}` {
			t.Errorf("Do: %s, %v", result, err)
		}
		var out strings.Builder
		code, err := s.Exec(t.Context(), "laptop", engine.Command{Args: []string{"echo"}, Stdout: &out, Stderr: &out})
		if err != nil || code != 3 || out.String() != "hi" {
			t.Errorf("Exec: %d %q, %v", code, out.String(), err)
		}
		time.AfterFunc(time.Second, func() { f.lost <- errors.New("gone") })
		if _, err := s.Do(t.Context(), "laptop", engine.Call{Action: "hang"}); err == nil || err.Error() != "the run was lost: gone" {
			t.Errorf("Do in a run that is lost: %v", err)
		}
		if err := <-s.Lost(); err == nil || err.Error() != "the run was lost: gone" {
			t.Errorf("Lost yields %v", err)
		}
	})
}

func TestStopTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failure := errors.New("a container would not go")
		f := &fake{stop: func(context.Context) error {
			time.Sleep(time.Second)
			return failure
		}}
		folder := newFolder(t, planOf())
		s, err := runner.Start(t.Context(), planOf(), f, folder, nil, runner.Options{})
		if err != nil {
			t.Fatal(err)
		}
		errs := make(chan error)
		for range 3 {
			go func() { errs <- s.Stop(context.Background()) }()
		}
		for range 3 {
			if err := <-errs; !errors.Is(err, failure) {
				t.Errorf("Stop: %v", err)
			}
		}
		wantDiff(t, "stops of the engine", 1, f.stops)
		if _, err := s.Play(t.Context()); !errors.Is(err, runner.ErrStopped) {
			t.Errorf("Play after Stop: %v, want ErrStopped", err)
		}
	})
}

func TestStopImpatiently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{stop: func(context.Context) error {
			time.Sleep(time.Minute)
			return nil
		}}
		s := start(t, f, planOf())
		go s.Stop(context.Background())
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := s.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Stop: %v, want that its context ended", err)
		}
		wantDiff(t, "time", time.Second, time.Since(began))
	})
}

func TestProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{exec: writes("one\ntwo\r\nthree", "oops\n", 7)}
		step := topology.Step{ID: "1", Node: "laptop", Action: topology.ActionRun, Command: []string{"curl", "-s"},
			Timeout: topology.Duration(time.Minute), Expect: that("result.exit == 7", "result.stdout.contains('two')", "result.left_out == 0")}
		s := start(t, f, planOf(step))
		outcome := s.play(t)
		if outcome.Passed() != 3 {
			t.Errorf("failures %+v", outcome.Failures())
		}
		wantDiff(t, "result", `{"exit":7,"stdout":"one\ntwo\r\nthree","stderr":"oops\n","left_out":0}`, string(outcome.Steps[0].Result))
		wantDiff(t, "log", []string{
			"laptop stdout one step/1 step/1.1", "laptop stdout two step/1 step/1.1", "laptop stderr oops step/1 step/1.1",
			"laptop stdout three step/1 step/1.1",
		}, s.told("log", "stream", "msg", "trace", "parent"))
	})
}

func TestProgramOutputIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 1 << 20
		line := strings.Repeat("y", 1023) + "\n"
		f := &fake{exec: writes(strings.Repeat("x", limit+5), strings.Repeat(line, 2*limit/len(line)), 0)}
		s := start(t, f, planOf(topology.Step{ID: "1", Node: "laptop", Action: topology.ActionRun,
			Expect: that("size(result.stdout) == 1048576 && size(result.stderr) == 1048576 && result.left_out == 1048576 + 5")}))
		if outcome := s.play(t); outcome.Failed() != 0 {
			t.Errorf("failures %+v", outcome.Failures())
		}
		wantDiff(t, "last line", "laptop stderr … and 1048576 bytes more", last(s.told("log", "stream", "msg")))
		wantDiff(t, "lines", 16+1+limit/1024+1, len(s.told("log")))
	})
}

func last(lines []string) string { return lines[len(lines)-1] }

func TestProgramThatCannotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, &fake{}, planOf(topology.Step{ID: "1", Node: "laptop", Action: topology.ActionRun}))
		outcome := s.play(t)
		if !errors.Is(outcome.Steps[0].Err, engine.ErrNoPrograms) {
			t.Errorf("error %v", outcome.Steps[0].Err)
		}
	})
}

// R38, R41: the folder tells the whole run, for reports that are made later.
func TestFolderTellsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, &fake{actions: map[string]action{"load": answer(`{"status": 200}`)}},
			planOf(browse("1", "load", "result.status == 404")))
		s.play(t)
		recording, err := record.Open(s.folder.Dir())
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for _, r := range recording.Records {
			words = append(words, r.Event)
		}
		wantDiff(t, "events", []string{"step.start", "step.end", "expect.fail"}, words)
	})
}
