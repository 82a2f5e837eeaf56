package topology

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the plans and errors of testdata anew")

// compileText parses and compiles a file and returns the plan, or what a person would see of the mistakes.
func compileText(src []byte) (*Plan, string, error) {
	spec, err := Parse("scenario.yaml", src, testKinds())
	var plan *Plan
	if err == nil {
		plan, err = Compile(spec, Options{Dir: "/scenarios"})
	}
	var mistakes Errors
	switch {
	case errors.As(err, &mistakes):
		return nil, mistakes.Error() + "\n", nil
	case err != nil:
		return nil, "", err
	}
	var text bytes.Buffer
	err = plan.WriteText(&text)
	return plan, text.String(), err
}

// golden compares what a fixture's file comes to with what the fixture says.
func golden(t *testing.T, fixture, result string) *Plan {
	t.Helper()
	archive, err := txtar.ParseFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	src, want := archive.Files[0], ""
	if src.Name != "scenario.yaml" {
		t.Fatalf("%s: the first file is %s", fixture, src.Name)
	}
	if len(archive.Files) > 1 {
		want = string(archive.Files[1].Data)
	}
	plan, got, err := compileText(src.Data)
	if err != nil {
		t.Fatal(err)
	}
	if plan != nil && result != "plan" || plan == nil && result != "errors" {
		t.Fatalf("%s: want %s, got\n%s", fixture, result, got)
	}
	if *update {
		archive.Files = []txtar.File{src, {Name: result, Data: []byte(got)}}
		if err := os.WriteFile(fixture, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return plan
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: -want +got:\n%s", fixture, diff)
	}
	return plan
}

func fixtures(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures %s: %v", pattern, err)
	}
	return files
}

func name(fixture string) string { return strings.TrimSuffix(filepath.Base(fixture), ".txtar") }

// R34, R35: internal networks and IPv6 are among the plans.
func TestPlans(t *testing.T) {
	for _, fixture := range fixtures(t, "testdata/plans/*.txtar") {
		t.Run(name(fixture), func(t *testing.T) {
			plan := golden(t, fixture, "plan")
			text, err := json.Marshal(plan)
			if err != nil {
				t.Fatal(err)
			}
			var again Plan
			if err := json.Unmarshal(text, &again); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(*plan, again,
				cmp.Comparer(equal[netip.Addr]), cmp.Comparer(equal[netip.Prefix]), cmp.Comparer(equal[netip.AddrPort])); diff != "" {
				t.Errorf("JSON and back: -before +after:\n%s", diff)
			}
		})
	}
}

func equal[T comparable](a, b T) bool { return a == b }

func TestMistakes(t *testing.T) {
	for _, fixture := range fixtures(t, "testdata/mistakes/*.txtar") {
		t.Run(name(fixture), func(t *testing.T) { golden(t, fixture, "errors") })
	}
}
