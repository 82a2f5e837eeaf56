package tests

import (
	"bytes"
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scenario/internal/needs"
)

// R8: Chromium as a node opens pages, in plain and encrypted, clicks, fills forms in, keeps cookies, and refuses what it should;
// and its run folder has a picture, and a HAR of each page.
func TestChromiumNode(t *testing.T) {
	needs.Docker(t)
	needs.Program(t, "chromium")
	dir := t.TempDir()
	scenario(t, dir, "test", "--trust", testdata(t, "chromium.yaml")).expectCode(t, 0)
	folder := filepath.Join(dir, ".scenario", "chromium")
	picture, err := os.ReadFile(filepath.Join(folder, "files", "chrome", "page.png"))
	if err != nil {
		t.Fatal(err)
	}
	size, err := png.DecodeConfig(bytes.NewReader(picture))
	if err != nil || size.Width != 800 || size.Height != 600 {
		t.Errorf("the picture has %dx%d pixels (%v), want 800x600", size.Width, size.Height, err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "har", "plain-chrome.har"))
	if err != nil {
		t.Fatal(err)
	}
	var har struct {
		Log struct {
			Browser struct{ Name string }
			Entries []struct {
				Request  struct{ URL string }
				Response struct{ Status int }
			}
		}
	}
	if err := json.Unmarshal(text, &har); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(har.Log.Browser.Name, "Chrome") || len(har.Log.Entries) < 4 || har.Log.Entries[0].Response.Status != 302 {
		t.Errorf("the HAR tells %+v", har.Log)
	}
}

// A role that runs a program which is not there is told before anything starts, with what to install; on the embedded engine it
// is told that there are no programs.
func TestChromiumCannotBe(t *testing.T) {
	dir := t.TempDir()
	const text = "networks: {lan: 192.168.1.0/24}\nnodes:\n  chrome: {networks: [lan], chromium: {program: PROGRAM}}\n"
	file := func(name, program string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(text, "PROGRAM", program)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file("missing.yaml", "no-such-browser")
	file("chromium.yaml", "chromium")
	got := scenario(t, dir, "test", "--trust", "--engine", "embedded", "chromium.yaml")
	got.expectCode(t, 2)
	if want := "node chrome: role chromium: the embedded engine runs no programs"; !strings.Contains(got.stdout+got.stderr, want) {
		t.Errorf("it is not told that %q:\n%s%s", want, got.stdout, got.stderr)
	}
	got = scenario(t, dir, "test", "chromium.yaml")
	got.expectCode(t, 2)
	if want := "chrome runs programs of this machine (role chromium)"; !strings.Contains(got.stdout+got.stderr, want) && !strings.Contains(got.stdout+got.stderr, "no programs") {
		t.Errorf("it is not told that %q:\n%s%s", want, got.stdout, got.stderr)
	}
	needs.Docker(t)
	got = scenario(t, dir, "test", "--trust", "--engine", "docker", "missing.yaml")
	got.expectCode(t, 2)
	if want := `finds no program "no-such-browser" below /usr`; !strings.Contains(got.stdout+got.stderr, want) {
		t.Errorf("it is not told that it %s:\n%s%s", want, got.stdout, got.stderr)
	}
}
