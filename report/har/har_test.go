package har_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"scenario/event"
	"scenario/internal/harschema"
	"scenario/internal/needs"
	"scenario/record"
	"scenario/report/har"
	"scenario/report/loads"
	"scenario/topology"
)

var update = flag.Bool("update", false, "write the goldens of testdata anew")

// recording is what one of the report's fixtures holds.
func recording(t testing.TB, name string) *record.Recording {
	t.Helper()
	kept, err := txtar.ParseFile(filepath.Join("..", "testdata", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	rec := &record.Recording{Plan: new(topology.Plan)}
	for _, f := range kept.Files {
		switch f.Name {
		case record.PlanFile:
			err = json.Unmarshal(f.Data, rec.Plan)
		case record.EventsFile:
			rec.Records, err = event.Read(bytes.NewReader(f.Data))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return rec
}

// files are the HAR files of a recording, by name.
func files(t testing.TB, rec *record.Recording) map[string][]byte {
	t.Helper()
	all := loads.Find(rec)
	names := loads.Names(all)
	out := make(map[string][]byte)
	for i, f := range har.Make(all) {
		text, err := f.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		out[names[i]+".har"] = text
	}
	return out
}

// TestGolden makes the files of page loads behind https, from the network, from the cache and that failed. R36
func TestGolden(t *testing.T) {
	made := files(t, recording(t, "https"))
	const golden = "testdata/https.txtar"
	if *update {
		archive := &txtar.Archive{Comment: []byte("Made by go test ./report/har -update.\n")}
		for _, name := range slices.Sorted(maps.Keys(made)) {
			archive.Files = append(archive.Files, txtar.File{Name: name, Data: made[name]})
		}
		if err := os.WriteFile(golden, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := txtar.ParseFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string]string)
	for _, f := range kept.Files {
		want[f.Name] = string(f.Data)
	}
	got := make(map[string]string)
	for name, text := range made {
		got[name] = string(text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-golden +got:\n%s", diff)
	}
}

// TestSchema holds every file of every fixture to the schemas of HAR 1.2. R36
func TestSchema(t *testing.T) {
	schema := harSchema(t)
	n := 0
	for _, name := range []string{"browse", "errors", "https"} {
		for file, text := range files(t, recording(t, name)) {
			n++
			if err := schema.Check(text); err != nil {
				t.Errorf("%s, %s: %v", name, file, err)
			}
		}
	}
	t.Logf("%d HAR files are valid", n)
}

// TestSchemaRefuses shows that the schemas are in force, those of inner objects too.
func TestSchemaRefuses(t *testing.T) {
	schema := harSchema(t)
	text := files(t, recording(t, "https"))["dot-laptop.har"]
	for _, wrong := range [][2]string{
		{`"version": "1.2"`, `"version": 1.2`},
		{`"headersSize"`, `"headerSize"`},
		{`"serverIPAddress": "198.18.1.10"`, `"serverIPAddress": "shop"`},
		{`"lastAccess"`, `"access"`},
		{`"url": "https://shop.example/"`, `"url": "%zz"`},
	} {
		if bad := strings.Replace(string(text), wrong[0], wrong[1], 1); bad == string(text) || schema.Check([]byte(bad)) == nil {
			t.Errorf("%s in place of %s is taken", wrong[1], wrong[0])
		}
	}
}

func harSchema(t testing.TB) *harschema.Schema {
	t.Helper()
	schema, err := harschema.Compile(os.DirFS(needs.Conformance(t, "har", "schema")))
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// TestNetworkPanel reads files as Chromium's DevTools import them: what their importer takes for numbers, dates, objects
// and lists must be some, and a request's phases must lie one after the other within its time.
func TestNetworkPanel(t *testing.T) {
	for name, text := range files(t, recording(t, "https")) {
		var f har.File
		if err := json.Unmarshal(text, &f); err != nil {
			t.Fatal(err)
		}
		for _, e := range f.Log.Entries {
			if e.Page != f.Log.Pages[0].ID {
				t.Errorf("%s: %s belongs to no page", name, e.Request.URL)
			}
			if _, err := time.Parse(time.RFC3339Nano, e.Started); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			x := e.Timings
			sum := x.Blocked + max(x.DNS, 0) + max(x.Connect, 0) + x.Send + x.Wait + x.Receive
			if d := sum - e.Time; d > 1e-6 || d < -1e-6 {
				t.Errorf("%s: %s: phases of %v ms in %v ms", name, e.Request.URL, sum, e.Time)
			}
			if x.SSL > x.Connect {
				t.Errorf("%s: %s: TLS takes %v ms of the %v ms to connect", name, e.Request.URL, x.SSL, x.Connect)
			}
			if strings.HasPrefix(e.Request.URL, "https:") && e.Request.PostData != nil && e.Request.PostData.Text == "" {
				t.Errorf("%s: %s: a form without text", name, e.Request.URL)
			}
		}
		if bytes.ContainsRune(text, 0x1b) || bytes.ContainsRune(text, 0x202e) {
			t.Errorf("%s holds control characters", name)
		}
	}
}

// TestOldRecordings makes files without entries of runs whose browsers did not emit http.fetch.
func TestOldRecordings(t *testing.T) {
	for _, f := range har.Make(loads.Find(recording(t, "browse"))) {
		if len(f.Log.Pages) != 1 || len(f.Log.Entries) != 0 {
			t.Errorf("%d pages, %d entries; want 1 and 0", len(f.Log.Pages), len(f.Log.Entries))
		}
	}
}

// FuzzFile makes files of arbitrary logs and holds them to the schemas. R41
func FuzzFile(f *testing.F) {
	rec := recording(f, "https")
	kept, err := txtar.ParseFile("../testdata/https.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for lines := range slices.Chunk(bytes.SplitAfter(kept.Files[1].Data, []byte("\n")), 30) {
		f.Add(bytes.Join(lines, nil))
	}
	schema := harSchema(f)
	f.Fuzz(func(t *testing.T, log []byte) {
		got := &record.Recording{Plan: rec.Plan}
		for line := range bytes.Lines(log) {
			var r event.Record
			if json.Unmarshal(line, &r) == nil {
				got.Records = append(got.Records, r)
			}
		}
		for name, text := range files(t, got) {
			if err := schema.Check(text); err != nil {
				t.Errorf("%s: %v\n%s", name, err, text)
			}
		}
	})
}
