package topology

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"scenario/nodes/role"
)

// scenarioOf returns the file of a fixture.
func scenarioOf(t testing.TB, fixture string) []byte {
	t.Helper()
	archive, err := txtar.ParseFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	return archive.Files[0].Data
}

func TestSamePlanEveryTime(t *testing.T) {
	schema, err := newSchema(testKinds())
	if err != nil {
		t.Fatal(err)
	}
	for _, fixture := range fixtures(t, "testdata/plans/*.txtar") {
		src, first := scenarioOf(t, fixture), ""
		for range 100 {
			spec, err := parse("scenario.yaml", src, testKinds(), schema)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := Compile(spec, Options{})
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(plan)
			if err != nil {
				t.Fatal(err)
			}
			if first == "" {
				first = string(text)
			}
			if string(text) != first {
				t.Fatalf("%s: compiled again:\n%s", fixture, cmp.Diff(first, string(text)))
			}
		}
	}
}

func TestSeed(t *testing.T) {
	spec, err := Parse("x.yaml", []byte("seed: 5\nnetworks: [n]\nnodes: {a: {networks: [n]}}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	compile := func(opts Options) *Plan {
		t.Helper()
		plan, err := Compile(spec, opts)
		if err != nil {
			t.Fatal(err)
		}
		return plan
	}
	six := uint64(6)
	own, other := compile(Options{}), compile(Options{Seed: &six, Name: "other"})
	if own.Seed != 5 || own.Name != "x" || other.Seed != 6 || other.Name != "other" {
		t.Errorf("got %s with %d and %s with %d", own.Name, own.Seed, other.Name, other.Seed)
	}
	if a, b := own.Nodes[0], other.Nodes[0]; a.Seed == b.Seed || a.Interfaces[0].MAC == b.Interfaces[0].MAC {
		t.Error("another seed made the same node")
	}
	if mac := own.Nodes[0].Interfaces[0].MAC; mac[0] != 2 {
		t.Errorf("MAC %s is not locally administered", mac)
	}
	if _, err := Compile(spec, Options{Name: "No Name"}); err == nil {
		t.Error("a name with a blank passed")
	}
}

func TestErrors(t *testing.T) {
	_, err := Parse("dir/x.yaml", []byte("networks: [n]\nnodes:\n  a:\t{networks: [m], réseau: 1}\n"), nil)
	var all Errors
	if !errors.As(err, &all) || len(all) != 2 {
		t.Fatalf("got %v", err)
	}
	want := `dir/x.yaml:3:18: no such network: "m", there is n
    ` + `  a: {networks: [m], réseau: 1}
                     ^`
	if diff := cmp.Diff(want, all[0].Render()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if all[1].Col != 22 || !strings.HasSuffix(all[1].Render(), "\n    "+strings.Repeat(" ", 21)+"^") {
		t.Errorf("columns are not characters:\n%s", all[1].Render())
	}
	var one *Error
	if !errors.As(err, &one) || one != all[0] || len(all.Unwrap()) != 2 {
		t.Error("the errors are not to be had one by one")
	}
}

func TestRenderLongLine(t *testing.T) {
	e := &Error{File: "f", Line: 1, Col: 500, Message: "m", Source: strings.Repeat("a", 499) + "X" + strings.Repeat("b", 500)}
	lines := strings.Split(e.Render(), "\n")
	if at := strings.Index(lines[2], "^"); len(lines[1]) > 2*maxSource || []rune(lines[1])[at] != 'X' {
		t.Errorf("got\n%s", e.Render())
	}
}

func TestSchemaIsValid(t *testing.T) {
	text, err := Schema(testKinds())
	if err != nil {
		t.Fatal(err)
	}
	document, err := validator.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if version := document.(map[string]any)["$schema"]; version != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("the schema is of %v", version)
	}
	compiler := validator.NewCompiler()
	compiler.DefaultDraft(validator.Draft2020)
	if err := compiler.AddResource("s.json", document); err != nil {
		t.Fatal(err)
	}
	if _, err := compiler.Compile("s.json"); err != nil {
		t.Error(err)
	}
}

func TestKindsThatDoNotFit(t *testing.T) {
	for name, kind := range map[string]role.Kind{
		"a key of nodes": {Name: "image"},
		"a key of steps": {Name: "x", Actions: []role.Action{{Name: "wait"}}},
	} {
		if _, err := Parse("f", nil, []role.Kind{kind}); err == nil || errors.As(err, new(Errors)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTooLarge(t *testing.T) {
	repeat := func(format string, n int) string {
		var text strings.Builder
		for i := range n {
			fmt.Fprintf(&text, format, i)
		}
		return text.String()
	}
	for want, src := range map[string]string{
		"1003:3: the scenario has more than 1000 networks":    "nodes: {a: {networks: [n0]}}\nnetworks:\n" + repeat("  n%d:\n", 1001),
		"5003:3: the scenario has more than 5000 nodes":       "networks: [n]\nnodes:\n" + repeat("  a%d: {networks: [n]}\n", 5001),
		"503:25: the scenario has more than 500 name servers": "networks: [n]\nnodes:\n" + repeat("  a%03d: {networks: [n], dns: }\n", 501),
		"1:1: the file is larger than 1 MiB":                  strings.Repeat("#\n", 1<<19) + "#",
	} {
		_, err := Parse("f", []byte(src), testKinds())
		if err == nil || !strings.HasPrefix(err.Error(), "f:"+want) || len(err.(Errors)) != 1 {
			t.Errorf("want %s, got %.300v", want, err)
		}
	}
}

func TestActionsOfOneName(t *testing.T) {
	kinds := append(testKinds(), role.Kind{Name: "radio", Actions: []role.Action{{Name: "say", Args: toArgs{}, Short: "to"}}})
	src := "networks: [n]\nnodes: {a: {networks: [n], radio: }, b: {networks: [n], chat: }}\n" +
		"steps: [{node: a, say: x}, {node: b, say: x}]"
	spec, err := Parse("f.yaml", []byte(src), kinds)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := Compile(spec, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := plan.Steps[0].Role + string(plan.Steps[0].Args) + plan.Steps[1].Role + string(plan.Steps[1].Args); got != `radio{"to":"x"}chat{"text":"x"}` {
		t.Errorf("got %s", got)
	}
}

func TestNameOfFile(t *testing.T) {
	for path, want := range map[string]string{
		"dir/Browse Me.yaml":                "browse-me",
		"stdin":                             "stdin",
		"--.yaml":                           "scenario",
		"":                                  "scenario",
		strings.Repeat("é", 80) + "x.y.yml": "scenario",
		strings.Repeat("a", 80):             strings.Repeat("a", 63),
	} {
		if got := nameOfFile(path); got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
}

func TestSplitWords(t *testing.T) {
	for line, want := range map[string][]string{
		"":                         nil,
		" a  b\tc\n":               {"a", "b", "c"},
		`a 'b c' "d e"f`:           {"a", "b c", "d ef"},
		`'' ""`:                    {"", ""},
		`a\ b \' "\"\x\\" '\'`:     {"a b", "'", `"\x\`, `\`},
		"\"a\\\nb\"":               {"ab"},
		`curl 'http://x/?a=1&b=2'`: {"curl", "http://x/?a=1&b=2"},
		`echo 'é|$x'`:              {"echo", "é|$x"},
	} {
		got, err := splitWords(line)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v, -want +got:\n%s", line, err, diff)
		}
	}
	for _, line := range []string{"a | b", "a > b", "a & b", "$HOME", `"$HOME"`, "`a`", "a;b", "'a", `"a`, `a\`} {
		if got, err := splitWords(line); err == nil {
			t.Errorf("%q: %q", line, got)
		}
	}
}

func FuzzSplitWords(f *testing.F) {
	f.Add(`a 'b c' "d\"e" f\ g`)
	f.Fuzz(func(t *testing.T, line string) {
		words, err := splitWords(line)
		if err != nil {
			return
		}
		again, err := splitWords(commandLine(words))
		if err != nil || !cmp.Equal(words, again) {
			t.Errorf("%q: %q is written as %q and read as %q: %v", line, words, commandLine(words), again, err)
		}
	})
}

// FuzzParse looks for files on which parsing or compiling panics, hangs, or complains of places outside of the file.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/plans/*.txtar", "testdata/mistakes/*.txtar"} {
		for _, fixture := range fixtures(f, pattern) {
			if src := scenarioOf(f, fixture); len(src) < 4096 {
				f.Add(src)
			}
		}
	}
	kinds := testKinds()
	schema, err := newSchema(kinds)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		spec, err := parse("f.yaml", src, kinds, schema)
		var plan *Plan
		if err == nil {
			plan, err = Compile(spec, Options{Dir: "/"})
		}
		var mistakes Errors
		switch {
		case errors.As(err, &mistakes):
			checkPlaces(t, src, mistakes)
		case err != nil:
			t.Fatalf("an error that is no mistake of the file: %v", err)
		default:
			if err := plan.WriteText(io.Discard); err != nil {
				t.Error(err)
			}
			checkLinks(t, plan)
		}
	})
}

func checkPlaces(t *testing.T, src []byte, mistakes Errors) {
	t.Helper()
	lines := newSource("", src).lines
	for _, e := range mistakes {
		if e.Line < 1 || e.Line > len(lines) || e.Col < 1 || e.Col > len([]rune(lines[e.Line-1]))+1 {
			t.Errorf("outside of the file: %v", e)
		}
		_ = e.Render()
	}
}

// Of two roles with one action nobody knows which is meant; client, which every node plays, stands back.
func TestWhoActs(t *testing.T) {
	open := []role.Action{{Name: "open", Args: urlArgs{}, Short: "url"}}
	kinds := []role.Kind{
		{Name: "browser", Options: struct{}{}, Actions: open}, {Name: "client", Options: struct{}{}, Actions: open},
		{Name: "kiosk", Options: struct{}{}, Actions: open},
	}
	for roles, want := range map[string]string{
		"browser: ": "browser", "kiosk: ": "kiosk", "": "client",
		"browser: , kiosk: ": `x.yaml:4:15: node a can open as browser and as kiosk, give each role a node of its own`,
	} {
		spec, err := Parse("x.yaml", []byte("networks: [n]\nnodes: {a: {networks: [n], "+roles+"}}\nsteps:\n  - {node: a, open: x}\n"), kinds)
		var got string
		if err == nil {
			plan, failed := Compile(spec, Options{})
			if failed != nil {
				t.Fatal(failed)
			}
			got = plan.Steps[0].Role
		} else {
			got, _, _ = strings.Cut(err.Error(), "\n")
		}
		if got != want {
			t.Errorf("%q: %s, want %s", roles, got, want)
		}
	}
}
