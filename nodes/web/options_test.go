package web

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/invopop/jsonschema"
	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"scenario/nodes/role"
)

func TestOptionErrors(t *testing.T) {
	tests := []struct{ name, options, want string }{
		{"unknown option", `{"sites": "shop"}`, `options: json: unknown field "sites"`},
		{"unknown option of a file", `{"files": {"/": {"text": "x"}}}`, `options: json: unknown field "text"`},
		{"duration", `{"idle_timeout": "1 minute"}`, `options: time: unknown unit " minute" in duration "1 minute"`},
		{"negative duration", `{"idle_timeout": "-1s"}`, `options: duration -1s is negative`},
		{"address to deny", `{"deny": ["shop"]}`, `options: "shop" is no IP address and no prefix such as 203.0.113.0/24`},
		{"site", `{"site": "bank"}`, `no such site: "bank"; there are address, other, shop, wrong, wrong-page`},
		{"site of a host", `{"hosts": {"a.example": "../shop"}}`, `no such site: "../shop"; there are address, other, shop, wrong, wrong-page`},
		{"listen", `{"listen": ["80", "shop:80", ":99999"]}`, strings.Join([]string{
			`listen: "80" is no IP:port and no :port`, `listen: "shop:80" is no IP:port and no :port`, `listen: ":99999" is no IP:port and no :port`,
		}, "\n")},
		{"everything at once", `{"log_body": -1, "files": {"x": ""}, "cookies": [{"name": "a b"}], "paths": {
			"x*y": {}, "/1": {"status": 700}, "/2": {"status": 204, "body": "x"}, "/3": {"status": 200, "location": "/"},
			"/4": {"chunk_size": 1}, "/5": {"headers": {"a b": "c"}}, "/6": {"cookies": [{"name": "c", "same_site": "some"}, {"name": "d", "max_age": "1ms"}]}}}`,
			strings.Join([]string{
				`log_body is negative`,
				`files: "x" does not begin with /`,
				`paths: "/1": status 700 is not between 200 and 599`,
				`paths: "/2": a response with status 204 has no body`,
				`paths: "/3": location does not go with status 200: 301, 302, 303, 307 or 308 redirect`,
				`paths: "/4": chunk_size is positive and goes with chunk_delay`,
				`paths: "/5": headers: "a b: c" is no header field`,
				`paths: "/6": cookie "c": same_site is lax, strict or none, not "some"`,
				`cookie "d": max_age is at least 1s`,
				`paths: "x*y": a path begins with / and has a * at its end alone`,
				`cookie "a b": http: invalid Cookie.Name`,
			}, "\n")},
		{"choices", `{"paths": {"/": {"echo": "all", "etag": "no", "ranges": "some", "require": "luck", "endless": "love"}}}`, strings.Join([]string{
			`paths: "/": echo is one of address, request, headers, cookies, not "all"`,
			`etag is one of strong, weak, none, not "no"`,
			`ranges is one of bytes, none, not "some"`,
			`require is one of login, basic, not "luck"`,
			`endless is one of headers, body, redirects, not "love"`,
		}, "\n")},
		{"site's own settings", `{"site": "wrong"}`, `site wrong: site.json: paths: "no-slash": a path begins with / and has a * at its end alone`},
		{"site's template", `{"site": "wrong-page"}`, `site wrong-page: /a.tmpl.html: template: a.tmpl.html:1: unclosed action`},
		{"template of the scenario", `{"files": {"/a.tmpl.html": "{{end}}"}}`, `files: /a.tmpl.html: template: a.tmpl.html:1: unexpected {{end}}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Kind(testSites()).New(json.RawMessage(test.options))
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOptionDefaults(t *testing.T) {
	got, err := parseOptions([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	want := Options{
		Listen: Listen{":80"}, KeepAlive: true, IdleTimeout: role.Duration(65 * time.Second), Server: "scenario", LogBody: 4096,
		LogRequests: 200, H2C: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
}

// optionsSchema is the schema of the options as the file format uses it.
func optionsSchema(t testing.TB) *validator.Schema {
	t.Helper()
	text, err := json.Marshal((&jsonschema.Reflector{}).Reflect(Options{}))
	if err != nil {
		t.Fatal(err)
	}
	document, err := validator.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := validator.NewCompiler()
	if err := compiler.AddResource("web.json", document); err != nil {
		t.Fatal(err)
	}
	return compiler.MustCompile("web.json")
}

func TestSchemaRefuses(t *testing.T) {
	schema := optionsSchema(t)
	for _, options := range []string{
		`{"listen": []}`, `{"listen": "everywhere"}`, `{"files": {"/": 1}}`, `{"files": {"/": {"text": ""}}}`, `{"idle_timeout": 65}`,
		`{"idle_timeout": "65"}`, `{"deny": ["shop"]}`, `{"paths": {"/": {"status": 99}}}`, `{"cookies": [{"value": "x"}]}`, `{"sites": "shop"}`,
	} {
		value, err := validator.UnmarshalJSON(strings.NewReader(options))
		if err != nil {
			t.Fatal(err)
		}
		if schema.Validate(value) == nil {
			t.Errorf("%s fits", options)
		}
	}
}

// FuzzOptions: whatever the options are, they make a role or an error, and what makes a role is made again alike.
func FuzzOptions(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"site": "shop", "listen": ":80"}`, `{"files": {"/": "x", "/a.tmpl.html": {"body": "{{.URL}}"}}}`,
		`{"deny": ["::ffff:10.0.0.1", "10.0.0.0/8"], "hosts": {"A.example.": "other"}}`,
		`{"paths": {"/*": {"delay": "1s", "cookies": [{"name": "a", "delete": true}]}}, "log_body": 1}`, `[`, `{"listen": null}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		_, err := newServer(testSites(), text)
		_, again := newServer(testSites(), text)
		if (err == nil) != (again == nil) {
			t.Errorf("%s: %v, then %v", text, err, again)
		}
	})
}

// FuzzRange: what is read as a range is written so that it is read as the same.
func FuzzRange(f *testing.F) {
	for _, seed := range []string{"10.0.0.1", "10.0.0.0/8", "::1", "2001:db8::/32", "::ffff:1.2.3.4", "fe80::1%eth0", "10.0.0.1/32", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var r, again Range
		if r.UnmarshalText([]byte(text)) != nil {
			return
		}
		if err := again.UnmarshalText([]byte(r.String())); err != nil || again != r {
			t.Errorf("%q is %s, and that is %s, %v", text, r, again, err)
		}
	})
}
