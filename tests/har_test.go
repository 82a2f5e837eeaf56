package tests

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scenario/internal/harschema"
	"scenario/internal/needs"
	"scenario/record"
	"scenario/report/loads"
	"scenario/scenarios"
)

// Every page load of the library is a HAR file that the schemas take, and which the run folder alone gives again, byte for
// byte. R36
func TestHAR(t *testing.T) {
	schema, err := harschema.Compile(os.DirFS(needs.Conformance(t, "har", "schema")))
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	for _, name := range libraryFiles(t) {
		text, err := fs.ReadFile(scenarios.Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("browse: ")) {
			t.Run(name, func(t *testing.T) { files += checkHAR(t, schema, name) })
		}
	}
	if files == 0 {
		t.Error("no page load of the library has a HAR file")
	}
	t.Logf("%d HAR files of real page loads are valid", files)
}

// checkHAR runs a scenario and returns how many HAR files it left.
func checkHAR(t *testing.T, schema *harschema.Schema, name string) int {
	t.Helper()
	dir := openFolder(t)
	if program := programOf(t, name); program != "" {
		needs.Docker(t)
		needs.Program(t, program)
		scenario(t, dir, "test", name, "--engine", "docker").expectCode(t, 0)
	} else {
		withoutDocker(t, dir, "test", name, "--time", "virtual").expectCode(t, 0)
	}
	run := filepath.Join(".scenario", strings.TrimSuffix(name, ".yaml"))
	withoutDocker(t, dir, "report", run, "--out", "again").expectCode(t, 0)
	rec, err := record.Open(filepath.Join(dir, run))
	if err != nil {
		t.Fatal(err)
	}
	all := loads.Find(rec)
	n := 0
	for i, file := range loads.Names(all) {
		if len(all[i].Fetches) == 0 {
			continue
		}
		n++
		text, err := os.ReadFile(filepath.Join(dir, run, "har", file+".har"))
		if err != nil {
			t.Error(err)
			continue
		}
		if err := schema.Check(text); err != nil {
			t.Errorf("%s, %s: %v", name, file, err)
		}
		if again, err := os.ReadFile(filepath.Join(dir, "again", "har", file+".har")); err != nil || !bytes.Equal(text, again) {
			t.Errorf("%s, %s: the run folder gives another file (error %v)", name, file, err)
		}
	}
	return n
}
