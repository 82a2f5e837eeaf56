package policy

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"scenario/nodes/browser/weburl"
)

// R18
func TestMixedContent(t *testing.T) {
	for _, test := range []struct {
		secure bool
		url    string
		d      Destination
		srcset bool
		want   Verdict
	}{
		{false, "http://cdn.example/a.js", Script, false, Allow},
		{true, "https://cdn.example/a.js", Script, false, Allow},
		{true, "http://cdn.example/a.js", Script, false, Refuse},
		{true, "http://cdn.example/a.css", Style, false, Refuse},
		{true, "http://cdn.example/", Frame, false, Refuse},
		{true, "http://cdn.example/", Document, false, Allow},
		{true, "http://cdn.example/a.png", Image, false, Upgrade},
		{true, "http://cdn.example/a.mp4", Video, false, Upgrade},
		{true, "http://cdn.example/a.png", Image, true, Refuse},
		{true, "http://10.0.0.1/a.png", Image, false, Refuse},
		{true, "http://127.0.0.1/a.js", Script, false, Allow},
		{true, "http://api.localhost/a.js", Script, false, Allow},
	} {
		got, why := MixedContent(test.secure, parse(t, test.url), test.d, test.srcset)
		if got != test.want || (got != Allow) != (why != "") {
			t.Errorf("%+v: %v %q", test, got, why)
		}
	}
	for from, want := range map[string]string{
		"http://shop.example/a": "https://shop.example/a", "http://shop.example:8080/": "https://shop.example:8080/", "https://shop.example/": "https://shop.example/",
	} {
		if got := Upgraded(parse(t, from)).String(); got != want {
			t.Errorf("%s upgraded is %s", from, got)
		}
	}
}

func TestUpgradeInsecureRequests(t *testing.T) {
	policies := ContentSecurity(header("Content-Security-Policy", "default-src *, img-src 'self'; Upgrade-Insecure-Requests"))
	if !UpgradeInsecure(policies) || len(policies) != 2 {
		t.Errorf("policies %v", policies)
	}
	if UpgradeInsecure(ContentSecurity(header("Content-Security-Policy-Report-Only", "upgrade-insecure-requests"))) {
		t.Error("a policy that reports is in force")
	}
	page := parse(t, "https://shop.example/")
	for _, test := range []struct {
		url  string
		d    Destination
		form bool
		want bool
	}{
		{"http://cdn.example/a.js", Script, false, true}, {"http://shop.example/b", Document, false, true}, {"http://books.example/", Document, false, false},
		{"http://books.example/", Document, true, true}, {"https://cdn.example/", Image, false, false},
	} {
		if got := UpgradeRequest(page, parse(t, test.url), test.d, test.form); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

// R18
func TestFrames(t *testing.T) {
	const self, same, other, deep = "https://pay.example/", "https://pay.example/shop", "https://shop.example/", "https://a.b.shop.example:8443/"
	for _, test := range []struct {
		xfo, csp  string
		ancestors []string
		want      string // the rule
	}{
		{"", "", []string{other}, ""},
		{"DENY", "", []string{same}, "x-frame-options"},
		{"SameOrigin", "", []string{same}, ""},
		{"SAMEORIGIN", "", []string{other}, "x-frame-options"},
		{"SAMEORIGIN", "", []string{same, other}, "x-frame-options"}, // the whole chain
		{"sameorigin, deny", "", []string{same}, "x-frame-options"},
		{"sameorigin, SAMEORIGIN", "", []string{same}, ""},
		{"allow-from https://shop.example", "", []string{other}, ""},
		{"nonsense, other", "", []string{other}, ""},
		{"DENY", "frame-ancestors *", []string{other}, ""},
		{"DENY", "default-src 'none'", []string{other}, "x-frame-options"},
		{"", "frame-ancestors 'none'", []string{same}, "frame-ancestors"},
		{"", "frame-ancestors", []string{same}, "frame-ancestors"},
		{"", "frame-ancestors 'self'", []string{same}, ""},
		{"", "frame-ancestors 'self'", []string{other}, "frame-ancestors"},
		{"", "frame-ancestors 'self' https://shop.example", []string{same, other}, ""},
		{"", "frame-ancestors https://shop.example", []string{same, other}, "frame-ancestors"},
		{"", "frame-ancestors shop.example", []string{other}, ""},
		{"", "frame-ancestors http://shop.example", []string{other}, ""},
		{"", "frame-ancestors *.shop.example:8443", []string{deep}, ""},
		{"", "frame-ancestors *.shop.example:*", []string{deep}, ""},
		{"", "frame-ancestors *.shop.example", []string{deep}, "frame-ancestors"},
		{"", "frame-ancestors *.shop.example", []string{other}, "frame-ancestors"},
		{"", "frame-ancestors https:", []string{other}, ""},
		{"", "frame-ancestors https:", []string{"http://shop.example/"}, "frame-ancestors"},
		{"", "frame-ancestors https://shop.example/path", []string{other}, ""},
		{"", "frame-ancestors *, frame-ancestors 'self'", []string{other}, "frame-ancestors"},
	} {
		h := http.Header{}
		if test.xfo != "" {
			h.Set("X-Frame-Options", test.xfo)
		}
		if test.csp != "" {
			h.Set("Content-Security-Policy", test.csp)
		}
		got := ""
		if r := FrameRefused(parse(t, self), h, urls(t, test.ancestors)); r != nil {
			got = r.Rule
			if r.Reason == "" {
				t.Errorf("%+v: no reason", test)
			}
		}
		if got != test.want {
			t.Errorf("%q %q in %q: %q, want %q", test.xfo, test.csp, test.ancestors, got, test.want)
		}
	}
}

func urls(t *testing.T, texts []string) (list []*weburl.URL) {
	for _, text := range texts {
		list = append(list, parse(t, text))
	}
	return list
}

func FuzzFrames(f *testing.F) {
	f.Add("sameorigin", "frame-ancestors 'self' *.shop.example:* [::1]:80")
	f.Fuzz(func(t *testing.T, xfo, csp string) {
		u := parse(t, "https://pay.example/")
		FrameRefused(u, header("X-Frame-Options", xfo, "Content-Security-Policy", csp), []*weburl.URL{u})
		FrameRefused(u, header("X-Frame-Options", xfo), []*weburl.URL{u})
	})
}

func TestTypes(t *testing.T) {
	const nosniff = "nosniff"
	for _, test := range []struct {
		d              Destination
		module, quirks bool
		mime, option   string
		want           string
	}{
		{Script, false, false, "text/javascript", nosniff, ""},
		{Script, false, false, "text/html", nosniff, "nosniff"},
		{Script, false, false, "", nosniff, "nosniff"},
		{Script, false, false, "text/html", "", ""},
		{Script, false, false, "image/png", "", "mime-type"},
		{Script, false, false, "text/csv; charset=utf-8", "", "mime-type"},
		{Script, true, false, "text/plain", "", "mime-type"},
		{Script, true, false, "Application/JavaScript; charset=x", "", ""},
		{Style, false, false, "text/css", nosniff, ""},
		{Style, false, false, "text/html", nosniff, "nosniff"},
		{Style, false, false, "text/html", "", "mime-type"},
		{Style, false, true, "text/html", "", ""},
		{Style, false, false, "", "", ""},
		{Image, false, false, "text/html", nosniff, ""},
		{Script, false, false, "text/html", "other, nosniff", ""},
	} {
		h := http.Header{}
		if test.mime != "" {
			h.Set("Content-Type", test.mime)
		}
		if test.option != "" {
			h.Set("X-Content-Type-Options", test.option)
		}
		got := ""
		if r := TypeRefused(test.d, test.module, test.quirks, Basic, h); r != nil {
			got = r.Rule
		}
		if got != test.want {
			t.Errorf("%+v: %q", test, got)
		}
	}
}

func TestResourcePolicy(t *testing.T) {
	for _, test := range []struct {
		page, url, value string
		want             bool
	}{
		{"https://shop.example/", "https://cdn.example/", "same-origin", true},
		{"https://shop.example/", "https://shop.example/", "same-origin", false},
		{"https://shop.example/", "https://img.shop.example/", "same-origin", true},
		{"https://shop.example/", "https://img.shop.example/", "same-site", false},
		{"http://shop.example/", "https://img.shop.example/", "same-site", true},
		{"https://shop.example/", "https://cdn.example/", "same-site", true},
		{"https://shop.example/", "https://cdn.example/", "cross-origin", false},
		{"https://shop.example/", "https://cdn.example/", "other", false},
	} {
		got := ResourcePolicyRefused(parse(t, test.page), parse(t, test.url), header("Cross-Origin-Resource-Policy", test.value))
		if (got != nil) != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

func TestIntegrity(t *testing.T) {
	sum := sha256.Sum256([]byte("body"))
	right := "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
	for _, test := range []struct {
		text string
		t    Tainting
		want bool
	}{
		{"", Opaque, true}, {"md5-x", Basic, true}, {right, Basic, true}, {right + "?opt", Shared, true}, {"sha256-AAAA", Basic, false},
		{"sha256-AAAA " + right, Basic, true}, {right + " sha512-AAAA", Basic, false}, {right, Opaque, false}, {"sha384-%%", Basic, false},
	} {
		i := ParseIntegrity(test.text)
		h := i.Hash()
		if h != nil {
			h.Write([]byte("body"))
		}
		if refused := i.Refused(h, test.t); (refused == nil) != test.want {
			t.Errorf("%q: %v", test.text, refused)
		}
	}
}

// R15
func TestHSTS(t *testing.T) {
	at := time.Unix(1000, 0)
	l := NewHSTS()
	note := func(url, value string) error {
		_, err := l.Note(at, parse(t, url), []string{value})
		return err
	}
	for url, value := range map[string]string{
		"https://shop.example/": "max-age=60", "https://bank.example/": `Max-Age="3600" ; includeSubDomains ; preload`,
		"http://plain.example/": "max-age=60", "https://10.0.0.1/": "max-age=60", "https://old.example/": "max-age=99999999999999999999",
	} {
		if err := note(url, value); (err != nil) != strings.Contains(url, "old.") {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, value := range []string{"", "includeSubDomains", "max-age", "max-age=x", "max-age=1; max-age=2", "max-age=1; a b", "max-age=1; includeSubDomains=1"} {
		if err := note("https://bad.example/", value); err == nil {
			t.Errorf("%q is no error", value)
		}
	}
	secure := func(at time.Time, url string) bool { got, _ := l.Secure(at, parse(t, url)); return got }
	for url, want := range map[string]bool{
		"http://shop.example/": true, "http://shop.example./": true, "http://www.shop.example/": false, "http://a.b.bank.example/": true,
		"http://plain.example/": false, "http://10.0.0.1/": false, "http://bad.example/": false, "https://shop.example/": false,
	} {
		if got := secure(at, url); got != want {
			t.Errorf("%s: %v", url, got)
		}
	}
	text, err := l.Marshal(at)
	if err != nil {
		t.Fatal(err)
	}
	later := NewHSTS()
	if err := later.Load(at.Add(time.Minute), text); err != nil {
		t.Fatal(err)
	}
	if got := later.Hosts(at); len(got) != 1 || got[0].Host != "bank.example" || !got[0].Subdomains {
		t.Errorf("kept: %+v", got)
	}
	if secure(at.Add(time.Minute), "http://shop.example/") {
		t.Error("it does not expire")
	}
	if err := note("https://bank.example/", "max-age=0"); err != nil || secure(at, "http://bank.example/") {
		t.Errorf("it is not taken back: %v", err)
	}
	if err := later.Load(at, []byte("{")); err == nil {
		t.Error("a broken file is no error")
	}
}

func FuzzHSTS(f *testing.F) {
	f.Add(`max-age="31536000"; includeSubDomains; preload`)
	f.Fuzz(func(t *testing.T, value string) {
		age, _, err := ParseHSTS(value)
		if err == nil && (age < 0 || age > maxHSTS) {
			t.Errorf("%q: %v", value, age)
		}
	})
}

// R4
func TestRedirect(t *testing.T) {
	const from = "https://shop.example/a?b#part"
	for _, test := range []struct {
		method   string
		status   int
		location string
		url      string // empty: an error
		want     string
		body     bool
		foreign  bool
	}{
		{"GET", 301, "/b", "https://shop.example/b#part", "GET", true, false},
		{"GET", 302, "/b#other", "https://shop.example/b#other", "GET", true, false},
		{"POST", 301, "/b", "https://shop.example/b#part", "GET", false, false},
		{"POST", 302, "//books.example/", "https://books.example/#part", "GET", false, true},
		{"PUT", 302, "/b", "https://shop.example/b#part", "PUT", true, false},
		{"PUT", 303, "/b", "https://shop.example/b#part", "GET", false, false},
		{"HEAD", 303, "/b", "https://shop.example/b#part", "HEAD", true, false},
		{"POST", 307, "http://shop.example/b", "http://shop.example/b#part", "POST", true, true},
		{"POST", 308, "/b", "https://shop.example/b#part", "POST", true, false},
		{"GET", 301, "javascript:alert(1)", "", "", false, false},
		{"GET", 301, "http://[::1", "", "", false, false},
		{"GET", 301, "", "https://shop.example/a?b#part", "GET", true, false},
	} {
		got, err := Redirect(parse(t, from), test.method, test.status, http.Header{"Location": {test.location}})
		if (err != nil) != (test.url == "") {
			t.Errorf("%+v: %v", test, err)
		}
		if err == nil && (got.URL.String() != test.url || got.Method != test.want || got.KeepBody != test.body || got.Foreign != test.foreign) {
			t.Errorf("%+v: %s %+v", test, got.URL, got)
		}
	}
	if _, err := Redirect(parse(t, from), "GET", 301, http.Header{}); err != ErrNoLocation {
		t.Errorf("without Location: %v", err)
	}
}

func FuzzRedirect(f *testing.F) {
	f.Add("//books.example/#x")
	f.Fuzz(func(t *testing.T, location string) {
		got, err := Redirect(parse(t, "https://shop.example/#f"), "GET", 301, http.Header{"Location": {location}})
		if err == nil && (!got.URL.Web() || got.URL.Hostname() == "") {
			t.Errorf("%q leads to %s", location, got.URL)
		}
	})
}

func TestSecFetch(t *testing.T) {
	names := func(from string, mode Mode, d Destination, user bool, chain ...string) string {
		s := SecFetch{Mode: mode, Dest: d, User: user, Chain: urls(t, chain)}
		if from != "" {
			s.From = parse(t, from)
		}
		var values []string
		for _, f := range s.Fields() {
			values = append(values, f.Value)
		}
		return strings.Join(values, " ")
	}
	for _, test := range [][2]string{
		{names("", Navigate, Document, true, "https://shop.example/"), "none navigate ?1 document"},
		{names("https://shop.example/", NoCORS, Image, false, "https://shop.example/a"), "same-origin no-cors image"},
		{names("https://shop.example/", NoCORS, Icon, false, "https://img.shop.example/a"), "same-site no-cors image"},
		{names("http://shop.example/", CORS, Fetch, false, "https://shop.example/a"), "cross-site cors empty"},
		{names("https://shop.example/", NoCORS, Image, false, "https://cdn.example/a", "https://shop.example/b"), "cross-site no-cors image"},
		{names("https://shop.example/", NoCORS, Image, false, "http://shop.example/a"), ""},
	} {
		if test[0] != test[1] {
			t.Errorf("got %q, want %q", test[0], test[1])
		}
	}
}

// R16
func TestUrgency(t *testing.T) {
	type of struct {
		d Destination
		h Hints
	}
	order := []of{
		{Document, Hints{}}, {Object, Hints{Document: true}}, {Style, Hints{}}, {Icon, Hints{}}, {Script, Hints{}}, {Script, Hints{Late: true}}, {Image, Hints{InView: true}},
		{Image, Hints{}}, {Embed, Hints{}}, {Script, Hints{Async: true}}, {Image, Hints{Lazy: true}}, {Style, Hints{Unmatched: true}}, {Script, Hints{Prefetch: true}},
	}
	if !slices.IsSortedFunc(order, func(a, b of) int { return Urgency(a.d, a.h) - Urgency(b.d, b.h) }) {
		t.Error("the order is another one")
	}
	if Urgency(Image, Hints{Wish: "high"}) != 1 || Urgency(Script, Hints{Wish: "low"}) != 3 || Urgency(Style, Hints{Wish: "high"}) != 0 {
		t.Error("fetchpriority is not heard")
	}
	if !Incremental(Image) || Incremental(Style) {
		t.Error("incremental")
	}
}
