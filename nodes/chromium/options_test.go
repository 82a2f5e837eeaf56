package chromium

import (
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"scenario/nodes/role"
)

func TestOptions(t *testing.T) {
	for _, c := range []struct{ text, want string }{ // want: part of the error; empty: none
		{``, ""},
		{`{"window":"800x600","args":["--lang=de","--dark"],"cookies":"block-third-party","http2":false}`, ""},
		{`{"window":"800"}`, `"800" is no size such as 1280x720`},
		{`{"window":"9999x9999"}`, "more than 4096 pixels"},
		{`{"window":"0x10"}`, "no size"},
		{`{"args":["lang"]}`, "is no flag"},
		{`{"args":["--ignore-certificate-errors"]}`, "cannot be set"},
		{`{"args":["--remote-debugging-port=9222"]}`, "cannot be set"},
		{`{"cookies":"some"}`, "cookies"},
		{`{"program":""}`, "program is empty"},
		{`{"log_body":-1}`, "negative"},
		{`{"browser":"firefox"}`, "unknown field"},
	} {
		_, err := newSettings(json.RawMessage(c.text))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.text, err, c.want)
		}
	}
}

// What the role runs is known before the run.
func TestPrograms(t *testing.T) {
	for text, want := range map[string][]role.Program{
		``:                        {{Name: "chromium", Package: "chromium"}},
		`{"program":"brave"}`:     {{Name: "brave"}},
		`{"window":"not a size"}`: {{Name: "chromium", Package: "chromium"}},
	} {
		if got := Kind().Programs(json.RawMessage(text)); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestStartError(t *testing.T) {
	missing := startError("chromium", &fs.PathError{Op: "exec", Path: "chromium", Err: fs.ErrNotExist}, "")
	if !strings.Contains(missing.Error(), "apt-get install chromium") {
		t.Errorf("a missing program: %v", missing)
	}
	broken := startError("chromium", errors.New("it ended"), "no usable sandbox\n")
	if !strings.Contains(broken.Error(), "it says: no usable sandbox") {
		t.Errorf("a program that ends: %v", broken)
	}
}

func TestPictureName(t *testing.T) {
	for name, want := range map[string]string{"": "screenshot.png", "page": "page.png", "a/b.png": "a/b.png", "../x": "", "/x": "", ".hidden": ""} {
		got, err := pictureName(name)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("pictureName(%q) = %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestTyped(t *testing.T) {
	for address, want := range map[string]string{
		"shop.example": "http://shop.example", " https://shop.example/ ": "https://shop.example/", "about:blank": "about:blank",
	} {
		if got := typed(address); got != want {
			t.Errorf("typed(%q) = %q, want %q", address, got, want)
		}
	}
}
