package expect_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"scenario/event"
	"scenario/expect"
	"scenario/topology"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares each file of the archive that ends in .out with what make says of the one before it.
func golden(t *testing.T, name string, run func(source string) string) {
	t.Helper()
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(archive.Files); i += 2 {
		in, out := archive.Files[i], &archive.Files[i+1]
		got := run(strings.TrimSpace(string(in.Data)))
		if *update {
			out.Data = []byte(got)
			continue
		}
		if diff := cmp.Diff(string(out.Data), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", in.Name, diff)
		}
	}
	if *update {
		if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// vars are what the expressions of the tests see: a page that was not found.
func vars(t testing.TB) expect.Vars {
	t.Helper()
	at := func(ms int) time.Time { return time.Date(2026, 1, 1, 10, 0, 0, ms*1e6, time.UTC) }
	records := []event.Record{
		{Time: at(1), Node: "laptop", Event: "dns.query", Attrs: map[string]any{
			"side": "client", "remote": "192.168.1.1:53", "name": "shop.example.", "type": "A", "query_id": 7.0}},
		{Time: at(2), Node: "laptop", Event: "dns.query", Attrs: map[string]any{
			"side": "client", "remote": "192.168.1.1:53", "name": "shop.example.", "type": "AAAA", "query_id": uint16(8)}},
		{Time: at(5), Node: "shop", Event: "http.response", Attrs: map[string]any{
			"side": "server", "remote": "198.51.100.2:40000", "url": "http://shop.example/", "status": 404.0,
			"size": 9.0, "duration_s": 0.0}},
		{Time: at(6), Node: "laptop", Event: "page.load", Attrs: map[string]any{
			"url": "http://shop.example/", "status": 404, "duration_s": 0.5, "trace": "step/1"}},
		{Time: at(7), Node: "cdn", Event: "node.ready", Attrs: map[string]any{"roles": []string{"web"}}},
	}
	converter := expect.NewConverter()
	v := expect.Vars{Steps: make(map[string]expect.Value)}
	for _, r := range records {
		v.Events = append(v.Events, converter.Event(r))
	}
	value := func(text string) expect.Value {
		value, err := expect.NewValue(json.RawMessage(text))
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	v.Result = value(`{"url": "http://shop.example/", "status": 404, "title": "Not found", "failed": false, "duration_s": 0.5,
		"requests": [{"url": "http://shop.example/", "status": 404}, {"url": "http://shop.example/style.css", "status": 200}],
		"cookies": [], "error": null}`)
	v.Steps["first"] = value(`{"status": 200, "cookies": [{"name": "id"}]}`)
	return v
}

// R38: a failed expectation says what was found.
func TestReasons(t *testing.T) {
	v := vars(t)
	golden(t, "testdata/reasons.txtar", func(source string) string {
		var out strings.Builder
		for that := range strings.Lines(source) {
			that = strings.TrimSpace(that)
			program, err := expect.Compile(that, expect.Step)
			if err != nil {
				t.Errorf("%s: %v", that, err)
				continue
			}
			verdict := program.Eval(t.Context(), v)
			if program.Holds(t.Context(), v) != verdict.Pass {
				t.Errorf("%s: Holds and Eval do not agree", that)
			}
			fmt.Fprintf(&out, "%s\n    %v %s\n", that, verdict.Pass, verdict.Reason)
		}
		return out.String()
	})
}

func TestCompileErrors(t *testing.T) {
	golden(t, "testdata/errors.txtar", func(source string) string {
		var out strings.Builder
		for line := range strings.Lines(source) {
			that, run := strings.CutPrefix(strings.TrimSpace(line), "run: ")
			scope := expect.Step
			if run {
				scope = expect.Run
			}
			_, err := expect.Compile(that, scope)
			if err == nil {
				t.Errorf("%s: no error", that)
				continue
			}
			fmt.Fprintln(&out, err)
		}
		return out.String()
	})
}

func TestCheck(t *testing.T) {
	plan := &topology.Plan{
		Nodes: []topology.Node{{Name: "laptop"}, {Name: "shop"}},
		Steps: []topology.Step{
			{ID: "first", Expect: []topology.Expectation{
				{Position: "browse.yaml:20:9", That: "result.status == 200 && steps.first.status == 200"},
				{Position: "browse.yaml:21:9", That: "steps.second.status == 200"},
				{Position: "browse.yaml:22:9", That: "events.exists(e, e.node == 'shopp')"},
			}},
			{ID: "2", Parallel: []topology.Step{
				{ID: "a"},
				{ID: "b", Expect: []topology.Expectation{
					{Position: "browse.yaml:30:9", That: "steps.first != null && steps.a != null"},
				}},
			}},
			{ID: "second", Expect: []topology.Expectation{
				{Position: "browse.yaml:40:9", That: "steps['2'] != null && steps.a != null && steps.b != null"},
			}},
		},
		Expect: []topology.Expectation{
			{Position: "browse.yaml:50:5", That: "events.exists(e, e.node in ['scenario', 'shop', 'labtop'])"},
			{Position: "browse.yaml:51:5", That: "steps.second.status == 200 &&\n  steps.secnd.statsu == 200"},
		},
	}
	const want = `browse.yaml:21:9: no step second has ended by then
    steps.second.status == 200
          ^
browse.yaml:22:9: there is no node shopp; did you mean shop?
    events.exists(e, e.node == 'shopp')
                               ^
browse.yaml:30:9: no step a has ended by then
    steps.first != null && steps.a != null
                                 ^
browse.yaml:50:5: there is no node labtop; did you mean laptop?
    events.exists(e, e.node in ['scenario', 'shop', 'labtop'])
                                                    ^
browse.yaml:51:5: no step secnd has ended by then; did you mean second?
      steps.secnd.statsu == 200
            ^`
	err := expect.Check(plan)
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if first, ok := errors.AsType[*expect.Error](err); !ok || first.Position != "browse.yaml:21:9" || first.Line != 1 || first.Column != 7 {
		t.Errorf("first error %#v, want its position and its place in the expression", first)
	}
}

func TestLiterals(t *testing.T) {
	program, err := expect.Compile("events.exists(e, e.node == 'shop' && e.remote.startsWith('10.'))", expect.Run)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"shop", "10."}, program.Literals()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSeesEvents(t *testing.T) {
	for that, want := range map[string]bool{
		"result.status == 200":                                       false,
		"steps.first.requests.exists(e, e.status == 404)":            false,
		"result.status == 200 || events.exists(e, e.node == 'shop')": true,
		"steps.all(s, events.exists(e, e.node == s))":                true,
	} {
		program, err := expect.Compile(that, expect.Step)
		if err != nil {
			t.Fatal(err)
		}
		if got := program.SeesEvents(); got != want {
			t.Errorf("%s: %v, want %v", that, got, want)
		}
	}
}

func TestEvaluationEndsWithItsContext(t *testing.T) {
	program, err := expect.Compile("lists.range(10000).all(a, lists.range(10000).all(b, lists.range(10000).all(c, a + b + c >= 0)))", expect.Run)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("somebody pressed Ctrl-C"))
	if program.Holds(ctx, expect.Vars{}) {
		t.Error("holds")
	}
	if v := program.Eval(ctx, expect.Vars{}); v.Pass || v.Reason != "not known: somebody pressed Ctrl-C" {
		t.Errorf("verdict %+v", v)
	}
}

func TestProgramIsForSeveralGoroutines(t *testing.T) {
	program, err := expect.Compile("events.exists(e, e.event == 'dns.query' && e.type == 'MX')", expect.Step)
	if err != nil {
		t.Fatal(err)
	}
	v := vars(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if verdict := program.Eval(t.Context(), v); verdict.Pass || !strings.Contains(verdict.Reason, "AAAA") {
				t.Errorf("verdict %+v", verdict)
			}
		})
	}
	all.Wait()
}

func TestNewValueErrors(t *testing.T) {
	for _, text := range []string{"{", "x"} {
		if _, err := expect.NewValue(json.RawMessage(text)); err == nil {
			t.Errorf("NewValue(%s): no error", text)
		}
	}
}

// FuzzCompile looks for expressions that break the compiler, or the search for a reason.
func FuzzCompile(f *testing.F) {
	for _, name := range []string{"testdata/reasons.txtar", "testdata/errors.txtar"} {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if strings.HasSuffix(file.Name, ".in") {
				for that := range strings.Lines(string(file.Data)) {
					f.Add(strings.TrimSpace(that))
				}
			}
		}
	}
	for _, that := range []string{
		"", "result.statuss == 200", "result['titel'] == result.Plain", "result.requests[0].hops.all(h, h.adress == '')",
		"steps['both.2'].exitt == steps.pause.waited", "result.requests.sortBy(r, r.urll)[0].url == ''",
	} {
		f.Add(that)
	}
	v := vars(f)
	f.Fuzz(func(t *testing.T, that string) {
		places(t, planOf(that))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, scope := range []expect.Scope{expect.Step, expect.Run} {
			program, err := expect.Compile(that, scope)
			if err != nil {
				if e, ok := errors.AsType[*expect.Error](err); !ok || e.Line < 1 || e.Column < 1 || e.Message == "" {
					t.Errorf("%q: error %+v has no place or message", that, e)
				}
				continue
			}
			if verdict := program.Eval(ctx, v); !verdict.Pass && verdict.Reason == "" {
				t.Error("failed without a reason")
			}
		}
	})
}
