package tests

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"scenario/internal/needs"
	"scenario/scenarios"
)

// R38, and what each file names: every scenario of the library holds on Docker.
func TestLibrary(t *testing.T) {
	needs.Docker(t)
	for _, name := range libraryFiles(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			scenario(t, dir, "test", name).expectCode(t, 0)
			if _, err := os.Stat(filepath.Join(dir, ".scenario", strings.TrimSuffix(name, ".yaml"), "events.jsonl")); err != nil {
				t.Errorf("the run folder: %v", err)
			}
		})
	}
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

func libraryFiles(t testing.TB) []string {
	t.Helper()
	names, err := fs.Glob(scenarios.Files(), "*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("the library is empty: %v", err)
	}
	return names
}
