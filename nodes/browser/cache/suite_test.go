package cache

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const page = "http://shop.example/page"

// fields reads a header written as lines "Name: value". DATE+n and DATE-n are dates n seconds from at.
func fields(at time.Time, text string) http.Header {
	h := make(http.Header)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		if shift, ok := strings.CutPrefix(value, "DATE"); ok {
			d, _ := time.ParseDuration(shift + "s")
			value = at.Add(d).UTC().Format(http.TimeFormat)
		}
		if name != "" {
			h.Add(name, value)
		}
	}
	return h
}

// step is a request, and what the server answers where it is asked.
type step struct {
	after   int // seconds from noon
	method  string
	mode    Mode
	request string // its fields
	status  int    // of the server's answer; 0: 200
	answer  string // its fields; Date is the time of the step by default
	body    string
	want    string // use of the decision, or after a slash what came of the answer
	sent    string // field that the server must see, as "Name: value"
	shown   string // field that the browser must see
	content string // what the browser must see; empty: anything
}

// play has a browser with a new cache take the steps.
func play(t *testing.T, steps []step) {
	t.Helper()
	c := New(Limits{})
	for i, s := range steps {
		at := noon.Add(time.Duration(s.after) * time.Second)
		r := Request{URL: page, Method: s.method, Mode: s.mode, Header: fields(at, s.request)}
		d := c.Lookup(at, r)
		if d.Reason == "" {
			t.Errorf("step %d: %s without a reason", i, d.Use)
		}
		got, reason, shown := string(d.Use), d.Reason, d.Response
		if d.Use != Hit && d.Use != Stale && d.Use != Unavailable {
			sent := fields(at, s.request)
			for name, values := range d.Fields {
				sent[name] = values
			}
			var o Outcome
			shown, o = serve(c, at, r, s)
			got, reason = got+"/"+string(o.Result), d.Reason+"; "+o.Reason
			if name, value, found := strings.Cut(s.sent, ": "); found && strings.Join(sent.Values(name), ", ") != value {
				t.Errorf("step %d: sent %s: %q, want %q", i, name, sent.Values(name), value)
			}
			if o.Reason == "" {
				t.Errorf("step %d: %s without a reason", i, o.Result)
			}
		}
		if got != s.want && !strings.HasPrefix(got, s.want+"/") {
			t.Errorf("step %d: %s, want %s: %s", i, got, s.want, reason)
		}
		if shown == nil {
			continue
		}
		if name, value, found := strings.Cut(s.shown, ": "); found && strings.Join(shown.Header.Values(name), ", ") != value {
			t.Errorf("step %d: shows %s: %q, want %q", i, name, shown.Header.Values(name), value)
		}
		if s.content != "" && string(shown.Body) != s.content {
			t.Errorf("step %d: shows %q, want %q", i, shown.Body, s.content)
		}
	}
}

// serve has the cache take the server's answer.
func serve(c *Cache, at time.Time, r Request, s step) (*Response, Outcome) {
	resp := Response{Status: s.status, Header: fields(at, s.answer), Body: []byte(s.body)}
	if resp.Status == 0 {
		resp.Status = http.StatusOK
	}
	if resp.Header.Get("Date") == "" {
		resp.Header.Set("Date", at.Format(http.TimeFormat))
	}
	if resp.Status == http.StatusNotModified {
		o := c.Validated(at, r, resp)
		return o.Response, o
	}
	c.Invalidate(r, resp)
	o := c.Store(at, r, resp)
	if o.Response != nil {
		return o.Response, o
	}
	return &resp, o
}

// R14: freshness; the names are those of cc-freshness, cc-parse, age-parse, expires-freshness, expires-parse, heuristic,
// status and pragma in cache-tests.fyi.
func TestFreshness(t *testing.T) {
	const yes, no = "hit", "miss"
	for _, test := range []struct {
		name, answer string
		want         string // three seconds later
	}{
		{"freshness-none", "", no},
		{"freshness-max-age", "Cache-Control: max-age=3600", yes},
		{"freshness-max-age-stale", "Cache-Control: max-age=2", no},
		{"freshness-max-age-0", "Cache-Control: max-age=0", no},
		{"freshness-max-age-max", "Cache-Control: max-age=2147483648", yes},
		{"freshness-max-age-max-plus", "Cache-Control: max-age=99999999999999999999999", yes},
		{"freshness-max-age-age", "Cache-Control: max-age=3600\nAge: 7200", no},
		{"freshness-max-age-date", "Cache-Control: max-age=3600\nDate: DATE-7200", no},
		{"freshness-max-age-expires", "Cache-Control: max-age=3600\nExpires: DATE-7200", yes},
		{"freshness-max-age-expires-invalid", "Cache-Control: max-age=3600\nExpires: 0", yes},
		{"freshness-max-age-0-expires", "Cache-Control: max-age=0\nExpires: DATE+3600", no},
		{"freshness-max-age-extension", "Cache-Control: foobar, max-age=3600", yes},
		{"freshness-max-age-case-insenstive", "Cache-Control: MaX-aGe=3600", yes},
		{"freshness-max-age-negative", "Cache-Control: max-age=-3600", no},
		{"freshness-max-age-s-maxage-private", "Cache-Control: s-maxage=3600, max-age=1", no},
		{"freshness-max-age-s-maxage-private-multiple", "Cache-Control: s-maxage=3600\nCache-Control: max-age=1", no},
		{"freshness-max-age-two-fresh-stale-sameline: the smaller counts", "Cache-Control: max-age=1800, max-age=1", no},
		{"freshness-max-age-two-stale-fresh-sepline: the smaller counts", "Cache-Control: max-age=1\nCache-Control: max-age=1800", no},
		{"freshness-max-age-quoted", `Cache-Control: max-age="3600"`, yes},
		{"freshness-max-age-ignore-quoted", `Cache-Control: extension="max-age=3600", max-age=1`, no},
		{"freshness-max-age-ignore-quoted-rev", `Cache-Control: max-age=1, extension="max-age=3600"`, no},
		{"a quote in quotes", `Cache-Control: a="\", max-age=1", max-age=3600`, yes},
		{"a quote without an end", `Cache-Control: max-age=3600, a="b, no-store`, yes},
		{"freshness-max-age-space-before-equals", "Cache-Control: max-age =3600", no},
		{"freshness-max-age-space-after-equals", "Cache-Control: max-age= 3600", no},
		{"freshness-max-age-leading-zero", "Cache-Control: max-age=003600", yes},
		{"freshness-max-age-single-quoted", "Cache-Control: max-age='3600'", no},
		{"freshness-max-age-decimal-zero: no number is no time", "Cache-Control: max-age=3600.0", no},
		{"freshness-max-age-a100: no number is no time", "Cache-Control: max-age=a3600", no},
		{"empty elements", "Cache-Control: , ,max-age=3600,", yes},

		{"age-parse-nonnumeric", "Cache-Control: max-age=3600\nAge: abc", yes},
		{"age-parse-negative", "Cache-Control: max-age=3600\nAge: -7200", yes},
		{"age-parse-float", "Cache-Control: max-age=3600\nAge: 7200.0", yes},
		{"age-parse-large", "Cache-Control: max-age=3600\nAge: 2147483648", no},
		{"age-parse-larger", "Cache-Control: max-age=3600\nAge: 99999999999999999999", no},
		{"age-parse-suffix", "Cache-Control: max-age=3600\nAge: 7200, 0", no},
		{"age-parse-prefix", "Cache-Control: max-age=3600\nAge: 0, 7200", yes},
		{"age-parse-suffix-twoline", "Cache-Control: max-age=3600\nAge: 7200\nAge: 0", no},
		{"age-parse-prefix-twoline", "Cache-Control: max-age=3600\nAge: 0\nAge: 7200", yes},
		{"age-parse-dup-old", "Cache-Control: max-age=10000\nAge: 3600\nAge: 3600", yes},

		{"freshness-expires-future", "Expires: DATE+3600", yes},
		{"freshness-expires-past", "Expires: DATE-3600", no},
		{"freshness-expires-present", "Expires: DATE+0", no},
		{"freshness-expires-old-date", "Expires: DATE+1\nDate: DATE-7200", no},
		{"freshness-expires-invalid", "Expires: 0", no},
		{"freshness-expires-age-slow-date", "Expires: DATE+10\nAge: 25", no},
		{"freshness-expires-32bit", "Expires: Tue, 19 Jan 2038 14:14:08 GMT", yes},
		{"freshness-expires-far-future", "Expires: Sun, 21 Nov 2286 04:46:39 GMT", yes},
		{"freshness-expires-rfc850", "Expires: Thursday, 18-Aug-50 02:01:18 GMT", yes},
		{"an old year of two digits", "Expires: Thursday, 18-Aug-77 02:01:18 GMT", no},
		{"freshness-expires-ansi-c", "Expires: Thu Aug  8 02:01:18 2050", yes},
		{"freshness-expires-wrong-case-weekday", "Expires: THU, 18 Aug 2050 02:01:18 GMT", yes},
		{"freshness-expires-wrong-case-month", "Expires: Thu, 18 AUG 2050 02:01:18 GMT", yes},
		{"freshness-expires-wrong-case-tz", "Expires: Thu, 18 Aug 2050 02:01:18 gMT", yes},
		{"freshness-expires-invalid-utc", "Expires: Thu, 18 Aug 2050 02:01:18 UTC", no},
		{"freshness-expires-invalid-aest", "Expires: Thu, 18 Aug 2050 02:01:18 AEST", no},
		{"freshness-expires-invalid-2-digit-year", "Expires: Thu, 18 Aug 50 02:01:18 GMT", no},
		{"freshness-expires-invalid-no-comma", "Expires: Thu 18 Aug 2050 02:01:18 GMT", no},
		{"freshness-expires-invalid-multiple-spaces", "Expires: Thu, 18  Aug  2050 02:01:18 GMT", no},
		{"freshness-expires-invalid-date-dashes", "Expires: Thu, 18-Aug-2050 02:01:18 GMT", no},
		{"freshness-expires-invalid-time-periods", "Expires: Thu, 18 Aug 2050 02.01.18 GMT", no},
		{"freshness-expires-invalid-1-digit-hour", "Expires: Thu, 18 Aug 2050 2:01:18 GMT", no},
		{"freshness-expires-invalid-multiple-lines", "Expires: Thu, 18 Aug 2050 2:01:18 GMT\nExpires: DATE+3600", no},
		{"two Expires: the earlier counts", "Expires: DATE+3600\nExpires: DATE+1", no},

		{"pragma-response-no-cache: means nothing", "Cache-Control: max-age=3600\nPragma: no-cache", yes},
		{"cc-resp-private-private", "Cache-Control: private, max-age=3600", yes},
		{"cc-resp-no-store", "Cache-Control: no-store", no},
		{"cc-resp-no-store-case-insensitive", "Cache-Control: max-age=10, No-StOrE", no},
		{"cc-resp-no-store-fresh", "Cache-Control: max-age=10000, no-store\nExpires: DATE+10000", no},
		{"must-understand", "Cache-Control: max-age=10000, no-store, must-understand", yes},
		{"cc-resp-no-cache", "Cache-Control: max-age=10000, no-cache\nExpires: DATE+10000", no},
		{"cc-resp-must-revalidate-fresh", "Cache-Control: max-age=10000, must-revalidate", yes},
		{"other-fresh-content-disposition-attachment", "Cache-Control: max-age=10\nContent-Disposition: attachment", yes},
		{"other-set-cookie", "Cache-Control: max-age=10\nSet-Cookie: a=b", yes},
		{"vary-star", "Cache-Control: max-age=10\nVary: *", no},
		{"vary-syntax-empty-star", "Cache-Control: max-age=10\nVary: , *", no},
		{"vary-syntax-empty-star-lines", "Cache-Control: max-age=10\nVary: \nVary: *", no},
		{"vary-syntax-foo-star", "Cache-Control: max-age=10\nVary: Foo, *", no},
		{"vary-syntax-star-foo", "Cache-Control: max-age=10\nVary: *, Foo", no},
	} {
		t.Run(test.name, func(t *testing.T) {
			play(t, []step{{answer: test.answer, body: "x", want: "miss"}, {after: 3, want: test.want}})
		})
	}
}

// R14: heuristic-STATUS, status-STATUS-fresh and heuristic-delta in cache-tests.fyi.
func TestStatuses(t *testing.T) {
	heuristically := map[int]bool{200: true, 203: true, 204: true, 300: true, 301: true, 308: true, 404: true, 405: true, 410: true, 414: true, 501: true}
	for _, status := range []int{200, 201, 202, 203, 204, 299, 300, 301, 302, 303, 307, 308, 400, 403, 404, 405, 410, 414, 499, 500, 501, 502, 503, 504, 599} {
		use := func(answer string) string {
			c := New(Limits{})
			c.Store(noon, Request{URL: page}, Response{Status: status, Header: fields(noon, answer)})
			return string(c.Lookup(noon.Add(3*time.Second), Request{URL: page}).Use)
		}
		want := "miss"
		if heuristically[status] {
			want = "hit"
		}
		if got := use("Last-Modified: DATE-86400\nDate: DATE+0"); got != want {
			t.Errorf("heuristic-%d: %s, want %s", status, got, want)
		}
		if got := use("Last-Modified: DATE-86400\nDate: DATE+0\nCache-Control: public"); got != "hit" {
			t.Errorf("heuristic-%d with public: %s", status, got)
		}
		if got := use("Cache-Control: max-age=60"); got != "hit" {
			t.Errorf("status-%d-fresh: %s", status, got)
		}
		if got := use("Cache-Control: max-age=2"); got != "miss" {
			t.Errorf("status-%d-stale: %s", status, got)
		}
	}
	play(t, []step{
		{answer: "Last-Modified: DATE-600", want: "miss/stored"},
		{after: 59, want: "hit", shown: "Age: 59"},
		{after: 60, want: "validate", sent: "If-Modified-Since: " + noon.Add(-10*time.Minute).Format(http.TimeFormat)},
	})
}
