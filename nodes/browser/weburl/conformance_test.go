package weburl

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scenario/internal/needs"
)

// read returns the cases of a file of the conformance data, in which strings are comments.
func read[T any](t *testing.T, name string) []T {
	t.Helper()
	data, err := os.ReadFile(needs.Conformance(t, name))
	if err != nil {
		t.Fatal(err)
	}
	var all []json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	var cases []T
	for _, text := range all {
		if text[0] == '"' {
			continue
		}
		var c T
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	return cases
}

// R1: addresses are read as the standard asks, and as other browsers do.
func TestURLs(t *testing.T) {
	cases := read[struct {
		Input, Href                                  string
		Base                                         *string
		Failure                                      bool
		Origin                                       *string
		Host, Hostname, Port, Pathname, Search, Hash string
	}](t, "url/urltestdata.json")
	passed := 0
	for _, c := range cases {
		u, err := parseAgainst(c.Base, c.Input)
		switch {
		case err != nil && !c.Failure:
			t.Errorf("%q: %v", c.Input, err)
		case err != nil:
			passed++
		case c.Failure:
			t.Errorf("%q is %s, and ought to be refused", c.Input, u)
		default:
			got := [...]string{u.String(), u.Host(), u.Hostname(), u.Port(), u.Path(), u.Query(), u.Fragment()}
			if want := [...]string{c.Href, c.Host, c.Hostname, c.Port, c.Pathname, c.Search, c.Hash}; got != want {
				t.Errorf("%q: %q, want %q", c.Input, got, want)
				continue
			}
			if c.Origin != nil && u.Web() && u.Origin() != *c.Origin {
				t.Errorf("%q: origin %q, want %q", c.Input, u.Origin(), *c.Origin)
				continue
			}
			passed++
		}
	}
	t.Logf("URLs: %d of %d", passed, len(cases))
	if passed < 885 {
		t.Errorf("passed %d cases, want at least 885", passed)
	}
}

func parseAgainst(base *string, input string) (*URL, error) {
	if base == nil {
		return Parse(input)
	}
	b, err := Parse(*base)
	if err != nil {
		return nil, err
	}
	return b.Parse(input)
}

// R1: hosts in other alphabets. What is missing is younger than the tables of x/net/idna (Unicode 15), such as the capital
// Georgian letters, or a label of more than 18 digits before a letter, which the library takes for a number.
func TestHosts(t *testing.T) {
	for name, floor := range map[string]int{"url/toascii.json": 74, "url/IdnaTestV2.json": 2467} {
		cases := read[struct {
			Input  string
			Output *string
		}](t, name)
		passed := 0
		for _, c := range cases {
			u, err := Parse("https://" + c.Input + "/x")
			if c.Output == nil && err != nil || c.Output != nil && err == nil && u.Hostname() == *c.Output {
				passed++
			}
		}
		t.Logf("%s: %d of %d", name, passed, len(cases))
		if passed < floor {
			t.Errorf("%s: passed %d cases, want at least %d", name, passed, floor)
		}
	}
}

func TestParts(t *testing.T) {
	u, err := Parse("HTTP://ann:secret@Shop.Example:80/a b?q=1#top")
	if err != nil {
		t.Fatal(err)
	}
	got := []string{u.String(), u.Bare(), u.Origin(), u.Target(), u.WithoutCredentials().String(), u.WithScheme("https").String()}
	want := []string{
		"http://ann:secret@shop.example/a%20b?q=1#top", "http://ann:secret@shop.example/a%20b?q=1", "http://shop.example",
		"/a%20b?q=1", "http://shop.example/a%20b?q=1", "https://ann:secret@shop.example/a%20b?q=1#top",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for text, port := range map[string]uint16{"https://shop.example/": 443, "http://shop.example:8080/": 8080, "data:,x": 0} {
		if u, err := Parse(text); err != nil || u.PortNumber() != port {
			t.Errorf("%s: port %d, %v", text, u.PortNumber(), err)
		}
	}
}

// What was parsed stays what it is when it is parsed again.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"http://a.b/", "https://xn--a~0.~1b/", "mailto:ann ?x", "//x", "http://[::1]:8/^", "http://%7e1/"} {
		f.Add(text, "../x y")
	}
	f.Fuzz(func(t *testing.T, text, reference string) {
		u, err := Parse(text)
		if err != nil {
			return
		}
		if again, err := Parse(u.String()); u.Web() && (err != nil || again.String() != u.String()) {
			t.Errorf("%q is %s, and then %v (%v)", text, u, again, err)
		}
		_, _ = u.Parse(reference)
	})
}
