package dns

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scenario/nodes/role"
)

func TestOptionErrors(t *testing.T) {
	tests := []struct{ name, options, want string }{
		{"unknown option", `{"zone": {}}`, `options: json: unknown field "zone"`},
		{"unknown option of a zone", `{"zones": {"a": {"record": []}}}`, `options: json: unknown field "record"`},
		{"duration", `{"zones": {"a": {"ttl": "5"}}}`, `options: time: missing unit in duration "5"`},
		{"negative duration", `{"zones": {"a": {"negative_ttl": "-1s"}}}`, `options: duration -1s is negative`},
		{"encrypted", `{"tls": {"on": 1}}`, `options: json: cannot unmarshal number into Go struct field Options.tls.on of type bool`},
		{"flaw of nothing", `{"certificate": "expired"}`, `certificate: there is none without tls or https`},
		{"twice", `{"zones": {"a": {}, "A.": {}}}`, `zone a. is there twice`},
		{"everything at once", `{
			"zones": {"a": {"records": ["www A 1.2.3"]}, "b..c": {}},
			"hints": ["a.example. NS b.", ". TXT x", "x"],
			"listen": ["all", ":99999", "10.0.0.1:53"],
			"tls": {"listen": "x"}, "https": {"listen": [":1", "y"]}, "certificate": "odd",
			"ignore": ["a..b"]}`, strings.Join([]string{
			`zone a.: record "www A 1.2.3": bad A A: "1.2.3" at line: 1:11`,
			`zone "b..c": not a domain name`,
			`hint "a.example. NS b.": only servers of the root are hints`,
			`hint ". TXT x": not an NS, A or AAAA record`,
			`hint "x": not a TTL: "x" at line: 1:1`,
			`listen "all": want IP:port, IP or :port`,
			`listen ":99999": not a port`,
			`tls: listen "x": want IP:port, IP or :port`,
			`https: listen "y": want IP:port, IP or :port`,
			`certificate is expired, not-yet-valid, wrong-name, self-signed or untrusted, not "odd"`,
			`ignore "a..b": not a domain name`,
		}, "\n")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Kind().New(json.RawMessage(test.options))
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// R15: a certificate is asked for where it is needed, with what is to be wrong with it.
func TestCertificate(t *testing.T) {
	for options, want := range map[string]*role.Certificate{
		`{}`:             nil,
		`{"tls": false}`: nil,
		`{"tls": true}`:  {},
		`{"https": {"listen": ":8443"}, "certificate": "expired"}`: {Flaw: role.Expired},
	} {
		if diff := cmp.Diff(want, Kind().Certificate(json.RawMessage(options))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", options, diff)
		}
	}
}

// The README names every option.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []any{Options{}, Zone{}} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(of)) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if !strings.Contains(string(readme), "| `"+name+"` |") {
				t.Errorf("the README has no row for %s", name)
			}
		}
	}
}

// FuzzOptions: whatever the options are, they make a role or an error.
func FuzzOptions(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `[`, `{"recursive": true, "hints": [". NS a.", "a. A 192.0.2.1"], "listen": [":53", "::1", "[::1]:5"]}`,
		`{"zones": {".": null, "a": {"records": ["* TXT x"], "ttl": "1s", "negative_ttl": "0s"}}, "ignore": ["a"]}`,
		`{"tls": true, "https": {"listen": [":443"]}, "certificate": "untrusted"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		made, err := Kind().New(text)
		if (made == nil) == (err == nil) {
			t.Errorf("%s: %v, %v", text, made, err)
		}
	})
}
