package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"scenario/event"
	"scenario/record"
	"scenario/topology"
)

var update = flag.Bool("update", false, "write the fixtures and goldens of testdata anew")

// views are all the reports that there are, by the name of their golden.
func views() map[string]func(io.Writer, *record.Recording) error {
	return map[string]func(io.Writer, *record.Recording) error{
		"walkthrough.txt": func(w io.Writer, r *record.Recording) error { return Walkthrough(w, r, Options{}) },
		"waterfall.txt":   func(w io.Writer, r *record.Recording) error { return Waterfall(w, r, Options{}) },
		"beside.txt":      func(w io.Writer, r *record.Recording) error { return Beside(w, r, Options{}) },
		"summary.txt":     func(w io.Writer, r *record.Recording) error { return Summary(w, r, Options{}) },
		"junit.xml":       func(w io.Writer, r *record.Recording) error { return JUnit(w, r) },
		"report.html":     HTML,
	}
}

// TestGolden makes every report from what a run folder holds, the plan and the events, and nothing else. R36, R38
func TestGolden(t *testing.T) {
	for name, script := range fixtures(t) {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", name+".txtar")
			made := archive(t, script)
			if *update {
				if err := os.WriteFile(file, txtar.Format(made), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			kept, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range made.Files {
				i := slices.IndexFunc(kept.Files, func(k txtar.File) bool { return k.Name == f.Name })
				if i < 0 {
					t.Fatalf("%s lacks %s: run the tests with -update", file, f.Name)
				}
				if diff := cmp.Diff(string(kept.Files[i].Data), string(f.Data)); diff != "" {
					t.Errorf("%s (-golden +got):\n%s", f.Name, diff)
				}
			}
		})
	}
}

// archive is the script's recording with everything that is made from it.
func archive(t *testing.T, s *script) *txtar.Archive {
	t.Helper()
	var events bytes.Buffer
	out := event.NewWriter(&events)
	for _, r := range s.records {
		out.Record(r)
	}
	files := []txtar.File{{Name: record.PlanFile, Data: s.planText()}, {Name: record.EventsFile, Data: events.Bytes()}}
	rec := read(t, s.planText(), events.Bytes())
	all := views()
	for _, view := range slices.Sorted(maps.Keys(all)) {
		files = append(files, txtar.File{Name: view, Data: render(t, all[view], rec)})
	}
	return &txtar.Archive{Comment: []byte("Made by go test ./report -update.\n"), Files: files}
}

func read(t *testing.T, plan, events []byte) *record.Recording {
	t.Helper()
	var p topology.Plan
	if err := json.Unmarshal(plan, &p); err != nil {
		t.Fatal(err)
	}
	records, err := event.Read(bytes.NewReader(events))
	if err != nil {
		t.Fatal(err)
	}
	return &record.Recording{Plan: &p, Records: records}
}

func render(t *testing.T, view func(io.Writer, *record.Recording) error, rec *record.Recording) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := view(&out, rec); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestWidth holds the printed pages to their width and to characters that leave a terminal as it is.
func TestWidth(t *testing.T) {
	for name, script := range fixtures(t) {
		rec := script.recording()
		for _, width := range []int{60, 80, 100, 160} {
			o := Options{Width: width, Raw: true}
			for view, print := range map[string]func(io.Writer, *record.Recording, Options) error{
				"walkthrough": Walkthrough, "waterfall": Waterfall, "beside": Beside, "summary": Summary,
			} {
				var out bytes.Buffer
				if err := print(&out, rec, o); err != nil {
					t.Fatal(err)
				}
				for line := range strings.Lines(out.String()) {
					line = strings.TrimSuffix(line, "\n")
					if n := ansi.StringWidth(line); n > width {
						t.Errorf("%s, %s, %d columns wide, not %d: %s", name, view, n, width, line)
					}
					if line != clip(strings.Map(keep, line), 1000) {
						t.Errorf("%s, %s: control characters in %q", name, view, line)
					}
				}
			}
		}
	}
}

func keep(r rune) rune {
	if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e {
		return -1
	}
	return r
}

// TestColor shows that colour changes nothing but the colour.
func TestColor(t *testing.T) {
	rec := browse(t).recording()
	var plain, colored bytes.Buffer
	if err := Walkthrough(&plain, rec, Options{}); err != nil {
		t.Fatal(err)
	}
	if err := Walkthrough(&colored, rec, Options{Color: true}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(colored.String(), "\x1b[") {
		t.Error("no colour")
	}
	if diff := cmp.Diff(plain.String(), trimLines(ansi.Strip(colored.String()))); diff != "" {
		t.Error(diff)
	}
}

func trimLines(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return b.String()
}

// TestSteps shows one step alone.
func TestSteps(t *testing.T) {
	var out bytes.Buffer
	if err := Walkthrough(&out, browse(t).recording(), Options{Steps: []string{"again"}}); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); !strings.HasPrefix(s, "── again · laptop · ") || strings.Contains(s, "── first") {
		t.Errorf("not the step again alone:\n%s", s)
	}
}

// TestRaw shows the bytes of a request and its response. R9
func TestRaw(t *testing.T) {
	var out bytes.Buffer
	if err := Walkthrough(&out, browse(t).recording(), Options{Raw: true}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"> GET / HTTP/1.1\n", "> Cookie: visitor=7f3a\n", "< HTTP/1.1 200\n", "more, not kept"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q", want)
		}
	}
}

// TestBrokenRecordings renders recordings with events missing, out of order and cut off. R41
func TestBrokenRecordings(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, script := range fixtures(t) {
		whole := script.recording()
		for i := range 40 {
			rec := &record.Recording{Plan: whole.Plan, Records: slices.Clone(whole.Records)}
			switch i % 4 {
			case 0:
				rec.Records = rec.Records[:random.IntN(len(rec.Records))]
			case 1:
				random.Shuffle(len(rec.Records), func(a, b int) { rec.Records[a], rec.Records[b] = rec.Records[b], rec.Records[a] })
			case 2:
				rec.Records = slices.DeleteFunc(rec.Records, func(event.Record) bool { return random.IntN(3) == 0 })
			case 3:
				rec.Plan = nil
			}
			for _, view := range views() {
				if err := view(io.Discard, rec); err != nil {
					t.Errorf("%s, %d: %v", name, i, err)
				}
			}
		}
	}
}

// TestOrder shows that the order of the lines in a log does not matter where their times differ.
func TestOrder(t *testing.T) {
	rec := conversations(t).recording()
	whole := render(t, views()["walkthrough.txt"], rec)
	slices.SortStableFunc(rec.Records, func(a, b event.Record) int { return strings.Compare(a.Node, b.Node) })
	if diff := cmp.Diff(string(whole), string(render(t, views()["walkthrough.txt"], rec))); diff != "" {
		t.Error(diff)
	}
}

// TestJUnitIsXML reads a file with forbidden characters back. R38
func TestJUnitIsXML(t *testing.T) {
	var suites junitSuites
	var out bytes.Buffer
	if err := JUnit(&out, verdicts(t).recording(), browse(t).recording()); err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(out.Bytes(), &suites); err != nil {
		t.Fatal(err)
	}
	if len(suites.Suites) != 2 {
		t.Fatalf("%d suites, want one for each run", len(suites.Suites))
	}
	if s := suites.Suites[0]; s.Tests != len(s.Cases) || s.Failures != 1 || s.Skipped != 1 {
		t.Errorf("%d tests of %d, %d failures, %d skipped; want 1 and 1", s.Tests, len(s.Cases), s.Failures, s.Skipped)
	}
}

// FuzzWalkthrough makes every report of arbitrary logs. A line that is no event is passed over, so that one change to a
// log leaves the rest of it.
func FuzzWalkthrough(f *testing.F) {
	const seedLines = 40
	var plan *topology.Plan
	for _, name := range []string{"browse", "errors", "hops", "chat", "expect", "https"} {
		kept, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
		if err != nil {
			f.Fatal(err)
		}
		if name == "browse" {
			plan = new(topology.Plan)
			if err := json.Unmarshal(kept.Files[0].Data, plan); err != nil {
				f.Fatal(err)
			}
		}
		for lines := range slices.Chunk(bytes.SplitAfter(kept.Files[1].Data, []byte("\n")), seedLines) {
			f.Add(bytes.Join(lines, nil))
		}
	}
	f.Add([]byte(`{"time":"2026-03-14T09:26:53Z","node":"a","event":"step.end","step":"\u007f\u202e","duration_s":1e308}` + "\n" +
		`{"time":"0001-01-01T00:00:00Z","node":"\u001b[2J","event":"http.response","trace":"step/x","url":"%zz","ttfb_s":-1e300}`))
	f.Fuzz(func(t *testing.T, log []byte) {
		rec := &record.Recording{Plan: plan}
		for line := range bytes.Lines(log) {
			var r event.Record
			if json.Unmarshal(line, &r) == nil {
				rec.Records = append(rec.Records, r)
			}
		}
		for name, view := range views() {
			var out bytes.Buffer
			if err := view(&out, rec); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if i := bytes.IndexFunc(out.Bytes(), func(r rune) bool { return r != '\n' && keep(r) < 0 }); i >= 0 {
				t.Fatalf("%s: control characters in %q", name, out.Bytes()[i:][:min(out.Len()-i, 80)])
			}
		}
	})
}
