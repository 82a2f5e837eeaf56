package cookie

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/idna"

	"scenario/internal/needs"
)

// conformance reads a file of the conformance data.
func conformance(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(needs.Conformance(t, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// R6
func TestHTTPState(t *testing.T) {
	exceptions := map[string]string{
		"DISABLED_PATH0029":     "paths are compared as they are written, without decoding",
		"DISABLED_CHROMIUM0022": "RFC 6265bis: a field with a control character is dropped whole",
		"DISABLED_CHROMIUM0023": "RFC 6265bis: a field with a control character is dropped whole",
	}
	var cases []struct {
		Test     string   `json:"test"`
		Received []string `json:"received"`
		SentTo   string   `json:"sent-to"`
		Sent     []struct{ Name, Value string }
	}
	if err := json.Unmarshal(conformance(t, "cookies/http-state.json"), &cases); err != nil {
		t.Fatal(err)
	}
	base, err := url.Parse("http://home.example.org:8888/cookie-parser-result")
	if err != nil {
		t.Fatal(err)
	}
	passed := 0
	for _, test := range cases {
		at := time.Date(2012, 1, 1, 0, 0, 0, 0, time.UTC)
		jar := NewJar(Policy{})
		for _, field := range test.Received {
			jar.Store(at, Request{Scheme: "http", Host: "home.example.org", Path: "/cookie-parser"}, field)
		}
		to, err := base.Parse(test.SentTo)
		if err != nil {
			t.Fatal(err)
		}
		send, _ := jar.Send(at, Request{Scheme: "http", Host: to.Hostname(), Path: to.EscapedPath()})
		var pairs []string
		for _, c := range test.Sent {
			pairs = append(pairs, c.Name+"="+c.Value)
		}
		got, want := Header(send), strings.Join(pairs, "; ")
		reason, known := exceptions[test.Test]
		switch {
		case got == want && known:
			t.Errorf("%s passes: it is no exception", test.Test)
		case got == want:
			passed++
		case known:
			t.Logf("%s: %s (%q, not %q)", test.Test, reason, got, want)
		default:
			t.Errorf("%s: %q: sent %q, want %q", test.Test, test.Received, got, want)
		}
	}
	t.Logf("http-state: %d of %d", passed, len(cases))
	if passed < 219 {
		t.Errorf("passed %d cases, want at least 219", passed)
	}
}

// R6
func TestDates(t *testing.T) {
	for _, name := range []string{"cookies/dates-examples.json", "cookies/dates-bsd-examples.json"} {
		var cases []struct {
			Test     string
			Expected *string
		}
		if err := json.Unmarshal(withoutComments(conformance(t, name)), &cases); err != nil {
			t.Fatal(err)
		}
		for _, test := range cases {
			at, ok := ParseDate(test.Test)
			got, want := "", ""
			if ok {
				got = at.Format("Mon, 02 Jan 2006 15:04:05 GMT")
			}
			if test.Expected != nil {
				want = *test.Expected
			}
			if got != want {
				t.Errorf("%s: ParseDate(%q) = %q, want %q", name, test.Test, got, want)
			}
		}
		t.Logf("%s: %d cases", name, len(cases))
	}
}

func withoutComments(text []byte) []byte {
	var kept [][]byte
	for line := range bytes.Lines(text) {
		if !bytes.HasPrefix(line, []byte("//")) {
			kept = append(kept, line)
		}
	}
	return bytes.Join(kept, nil)
}

// R6
func TestPublicSuffixes(t *testing.T) {
	cases := 0
	lines := bufio.NewScanner(bytes.NewReader(conformance(t, "psl/tests.txt")))
	for lines.Scan() {
		input, want, found := strings.Cut(lines.Text(), " ")
		if !found || strings.HasPrefix(lines.Text(), "//") {
			continue
		}
		cases++
		if input == "null" {
			input = ""
		}
		got := "null"
		if ascii, err := idna.Lookup.ToASCII(input); err == nil {
			if domain, ok := RegistrableDomain(ascii); ok {
				got = domain
			}
		}
		if ascii, err := idna.Lookup.ToASCII(want); err != nil || got != ascii {
			t.Errorf("RegistrableDomain(%q) = %q, want %q", input, got, want)
		}
	}
	t.Logf("public suffixes: %d cases", cases)
}
