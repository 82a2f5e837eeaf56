package tests

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"scenario/engine/enginetest"
	"scenario/event"
	"scenario/internal/needs"
	"scenario/scenarios"
)

// R38, R40, and what each file names: every scenario of the library holds on every engine, and tells the same on each.
func TestLibrary(t *testing.T) {
	var found differences
	t.Run("scenarios", func(t *testing.T) {
		for _, name := range libraryFiles(t) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				told := make(map[string][]enginetest.Fact)
				for _, way := range ways {
					t.Run(way.name, func(t *testing.T) { told[way.name] = way.run(t, name) })
				}
				for i, one := range ways[1:] {
					found.compare(t, [2]string{ways[i].name, one.name}, told[ways[i].name], told[one.name])
				}
			})
		}
	})
	found.complete(t)
}

// way is an engine, and a time, in which the library is run. Each is compared with the one before it.
type way struct {
	name string
	args []string
	// docker says that it needs Docker. The others are run as where there is none, and without privileges.
	docker bool
}

var ways = []way{
	{name: "docker", args: []string{"--engine", "docker"}, docker: true},
	{name: "embedded"},
	{name: "virtual time", args: []string{"--time", "virtual"}},
}

// run runs a scenario of the library and returns what it told.
func (w way) run(t *testing.T, name string) []enginetest.Fact {
	args := append([]string{"test", name}, w.args...)
	var dir string
	program := programOf(t, name)
	if program != "" && !w.docker {
		t.Skipf("%s: the role %s is a program of the machine, and the embedded engine runs none", name, program)
	}
	if w.docker {
		needs.Docker(t)
		if program != "" {
			needs.Program(t, program)
		}
		dir = t.TempDir()
		scenario(t, dir, args...).expectCode(t, 0)
	} else {
		dir = openFolder(t)
		got := withoutDocker(t, dir, args...)
		got.expectCode(t, 0)
		want := ""
		if len(w.args) == 0 {
			want = "no Docker engine answers at unix:///nonexistent: using the embedded engine\n"
		}
		if got.stderr != want {
			t.Errorf("standard error %q, want %q", got.stderr, want)
		}
	}
	file, err := os.Open(filepath.Join(dir, ".scenario", strings.TrimSuffix(name, ".yaml"), "events.jsonl"))
	if err != nil {
		t.Fatalf("the run folder: %v", err)
	}
	defer file.Close()
	records, err := event.Read(file)
	if err != nil || len(records) == 0 {
		t.Fatalf("%d events: %v", len(records), err)
	}
	return enginetest.Facts(records)
}

// R38: an expectation that is turned round fails the run, and is told with what was found and where to look.
func TestExpectationTurnedRound(t *testing.T) {
	needs.Docker(t)
	text, err := fs.ReadFile(scenarios.Files(), "hello.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const holds, fails = "result.title == 'Hello'", "result.title != 'Hello'"
	turned := strings.Replace(string(text), holds, fails, 1)
	if turned == string(text) {
		t.Fatalf("hello.yaml does not expect %s", holds)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "turned.yaml"), []byte(turned), 0o644); err != nil {
		t.Fatal(err)
	}
	got := scenario(t, dir, "test", "turned.yaml", "--junit", "junit.xml")
	got.expectCode(t, 1)
	for _, want := range []string{fails, "turned.yaml:", "Hello", "logs/laptop.jsonl"} {
		if !strings.Contains(got.stdout+got.stderr, want) {
			t.Errorf("%q is not told:\n%s%s", want, got.stdout, got.stderr)
		}
	}
	junit, err := os.ReadFile(filepath.Join(dir, "junit.xml"))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`failures="1"`).Match(junit) {
		t.Errorf("junit.xml tells no failure:\n%s", junit)
	}
}

// Every file of the library opens with what a learner should know, and expects something.
func TestLibraryIsALesson(t *testing.T) {
	for _, name := range libraryFiles(t) {
		text, err := fs.ReadFile(scenarios.Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(text), "# ") {
			t.Errorf("%s does not open with a comment", name)
		}
		if !regexp.MustCompile(`(?m)^expect:`).Match(text) {
			t.Errorf("%s expects nothing of the whole run", name)
		}
	}
}

// programOf is the program of the machine that a node of a scenario of the library plays a role with; empty: none does.
func programOf(t testing.TB, name string) string {
	t.Helper()
	text, err := fs.ReadFile(scenarios.Files(), name)
	if err != nil {
		t.Fatal(err)
	}
	if regexp.MustCompile(`(?m)^\s+chromium:`).Match(text) {
		return "chromium"
	}
	return ""
}

func libraryFiles(t testing.TB) []string {
	t.Helper()
	names, err := fs.Glob(scenarios.Files(), "*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("the library is empty: %v", err)
	}
	return names
}
