package cache

import (
	"net/http"
	"testing"
	"time"
)

// flow is a case of several steps.
type flow struct {
	name  string
	steps []step
}

func playAll(t *testing.T, flows []flow) {
	t.Helper()
	for _, f := range flows {
		t.Run(f.name, func(t *testing.T) { play(t, f.steps) })
	}
}

const (
	fresh  = "Cache-Control: max-age=100000"
	tagged = "Cache-Control: max-age=2\nETag: \"abc\""
)

// R14: cc-request, pragma, auth and the modes of Fetch.
func TestRequestDirectives(t *testing.T) {
	ask := func(answer, request string, after int, want string) []step {
		return []step{{answer: answer, body: "x", want: "miss/stored"}, {after: after, request: request, want: want}}
	}
	mode := func(answer string, m Mode, after int, want, sent string) []step {
		return []step{{answer: answer, body: "x", want: "miss/stored"}, {after: after, mode: m, want: want, sent: sent}}
	}
	playAll(t, []flow{
		{"ccreq-ma0", ask(fresh, "Cache-Control: max-age=0", 0, "miss")},
		{"ccreq-ma1", ask(fresh, "Cache-Control: max-age=1", 3, "miss")},
		{"ccreq-ma-enough", ask(fresh, "Cache-Control: max-age=3", 3, "hit")},
		{"ccreq-magreaterage", ask(fresh+"\nAge: 1800", "Cache-Control: max-age=600", 3, "miss")},
		{"ccreq-max-stale", ask("Cache-Control: max-age=2", "Cache-Control: max-stale=1000", 3, "hit")},
		{"ccreq-max-stale-any", ask("Cache-Control: max-age=2", "Cache-Control: max-stale", 5000, "hit")},
		{"ccreq-max-stale-age", ask("Cache-Control: max-age=1500\nAge: 2000", "Cache-Control: max-stale=1000", 0, "hit")},
		{"max-stale is not enough", ask(tagged, "Cache-Control: max-stale=1", 5, "validate")},
		{"max-stale and must-revalidate", ask("Cache-Control: max-age=2, must-revalidate\nETag: \"a\"", "Cache-Control: max-stale=1000", 3, "validate")},
		{"ccreq-min-fresh", ask("Cache-Control: max-age=1500", "Cache-Control: min-fresh=2000", 3, "miss")},
		{"ccreq-min-fresh-age", ask("Cache-Control: max-age=1500\nAge: 1000", "Cache-Control: min-fresh=1000", 0, "miss")},
		{"ccreq-no-cache", ask(fresh, "Cache-Control: no-cache", 0, "miss")},
		{"ccreq-no-cache-etag", ask(fresh+"\nETag: \"a\"", "Cache-Control: no-cache", 0, "validate")},
		{"ccreq-no-store", ask(fresh, "Cache-Control: no-store", 0, "miss/not-stored")},
		{"ccreq-oic", []step{{request: "Cache-Control: only-if-cached", want: "unavailable"}}},
		{"ccreq-oic, there", ask(fresh, "Cache-Control: only-if-cached", 0, "hit")},
		{"ccreq-oic, stale", ask(tagged, "Cache-Control: only-if-cached", 3, "unavailable")},
		{"pragma-request-no-cache", ask(fresh, "Pragma: no-cache", 0, "miss")},
		{"pragma-request-extension", ask(fresh, "Pragma: unrecognised-extension", 0, "hit")},
		{"Pragma beside Cache-Control", ask(fresh, "Pragma: no-cache\nCache-Control: x", 0, "hit")},
		{"conditional-etag-forward", ask(fresh, "If-None-Match: \"abcdef\"", 0, "miss/not-stored")},
		{"other-authorization: a private cache keeps it", []step{
			{request: "Authorization: FOO", answer: fresh, want: "miss/stored"}, {request: "Authorization: FOO", want: "hit"},
		}},

		{"mode no-store", mode(fresh, NoStore, 0, "miss/not-stored", "")},
		{"mode reload", mode(fresh, Reload, 0, "miss", "Cache-Control: no-cache")},
		{"mode no-cache", mode(fresh+"\nETag: \"a\"", NoCache, 0, "validate", "Cache-Control: max-age=0")},
		{"mode no-cache asks", mode(fresh+"\nETag: \"a\"", NoCache, 0, "validate", "If-None-Match: \"a\"")},
		{"mode no-cache with nothing to ask by", mode(fresh, NoCache, 0, "miss", "Cache-Control: max-age=0")},
		{"cc-resp-immutable-fresh", mode("Cache-Control: max-age=10000, immutable\nETag: \"a\"", NoCache, 3, "hit", "")},
		{"cc-resp-immutable-stale", mode("Cache-Control: max-age=2, immutable\nETag: \"a\"", NoCache, 3, "validate", "Cache-Control: max-age=0")},
		{"immutable and a forced reload", mode("Cache-Control: max-age=10000, immutable\nETag: \"a\"", Reload, 3, "miss", "Pragma: no-cache")},
		{"mode force-cache", mode(tagged, ForceCache, 3000, "hit", "")},
		{"mode only-if-cached", mode(tagged, OnlyIfCached, 3000, "hit", "")},
		{"mode only-if-cached, nothing there", []step{{mode: OnlyIfCached, want: "unavailable"}}},
		{"mode no-cache, nothing there", []step{{mode: NoCache, want: "miss", sent: "Cache-Control: max-age=0"}}},
		{"mode force-cache, nothing there", []step{{mode: ForceCache, want: "miss"}}},
		{"a reload is kept", []step{
			{answer: fresh, body: "1", want: "miss"}, {mode: Reload, answer: fresh, body: "2", want: "miss/stored"}, {want: "hit", content: "2"},
		}},
		{"no-store leaves what is stored", []step{
			{answer: fresh, body: "1", want: "miss"}, {mode: NoStore, answer: fresh, body: "2", want: "miss"}, {want: "hit", content: "1"},
		}},
		{"cc-resp-no-store-old-new: the newer one takes its place", []step{
			{answer: fresh, body: "1", want: "miss"}, {mode: Reload, answer: "Cache-Control: no-store", want: "miss/not-stored"}, {want: "miss"},
		}},
	})
}

// R14: conditional-etag, conditional-lm, update304 and cc-resp-no-cache in cache-tests.fyi.
func TestValidation(t *testing.T) {
	changed := noon.Add(-3000 * time.Second).Format(http.TimeFormat)
	playAll(t, []flow{
		{"conditional-etag-strong-generate", []step{
			{answer: tagged + "\nX: 1\nY: 1", body: "body", want: "miss/stored"},
			{after: 3, status: 304, answer: tagged + "\nX: 2", want: "validate/revalidated", sent: `If-None-Match: "abc"`, shown: "X: 2", content: "body"},
			{after: 4, want: "hit", shown: "Y: 1", content: "body"},
			{after: 6, want: "validate"},
		}},
		{"conditional-etag-weak-generate-weak", []step{
			{answer: "Cache-Control: max-age=2\nETag: W/\"abc\"", body: "x", want: "miss"},
			{after: 3, status: 304, answer: "ETag: W/\"abc\"", want: "validate/revalidated", sent: `If-None-Match: W/"abc"`, content: "x"},
		}},
		{"a weak tag is confirmed by its strong form's weak comparison", []step{
			{answer: "Cache-Control: max-age=2\nETag: \"abc\"", body: "x", want: "miss"},
			{after: 3, status: 304, answer: "ETag: W/\"abc\"", want: "validate/revalidated", content: "x"},
		}},
		// As nginx does it, which weakens the tag of what it compresses.
		{"a weak tag that is confirmed by its strong one", []step{
			{answer: "Cache-Control: max-age=2\nETag: W/\"abc\"", body: "x", want: "miss"},
			{after: 3, status: 304, answer: "ETag: \"abc\"\nX: 2", want: "validate/revalidated", sent: `If-None-Match: W/"abc"`, content: "x", shown: "ETag: W/\"abc\""},
			{after: 4, want: "validate", sent: `If-None-Match: W/"abc"`},
		}},
		{"304-lm-use-stored-Test-Header", []step{
			{answer: "Cache-Control: max-age=2\nLast-Modified: DATE-3000\nTest-Header: A", body: "x", want: "miss"},
			{after: 3, status: 304, answer: "Last-Modified: " + changed, want: "validate/revalidated", sent: "If-Modified-Since: " + changed, shown: "Test-Header: A"},
		}},
		{"a 304 without a validator", []step{
			{answer: tagged, body: "x", want: "miss"}, {after: 3, status: 304, want: "validate/revalidated", content: "x"},
		}},
		{"a 304 for another response", []step{
			{answer: tagged, body: "x", want: "miss"}, {after: 3, status: 304, answer: "ETag: \"other\"", want: "validate/not-stored"},
		}},
		{"304-etag-update-response-Content-Length, Content-Encoding", []step{
			{answer: tagged + "\nContent-Length: 4\nContent-Encoding: br", body: "body", want: "miss"},
			{after: 3, status: 304, answer: tagged + "\nContent-Length: 0\nContent-Encoding: gzip", want: "validate", shown: "Content-Length: 4"},
			{after: 4, want: "hit", shown: "Content-Encoding: br"},
		}},
		{"304-etag-update-response-Cache-Control", []step{
			{answer: tagged, body: "body", want: "miss"},
			{after: 3, status: 304, answer: "Cache-Control: max-age=3600\nETag: \"abc\"", want: "validate", shown: "Cache-Control: max-age=3600"},
			{after: 3000, want: "hit", shown: "Age: 2997"},
		}},
		{"the Age of before does not count after a 304", []step{
			{answer: "Cache-Control: max-age=10\nETag: \"a\"\nAge: 9", body: "body", want: "miss"},
			{after: 3, status: 304, answer: "ETag: \"a\"", want: "validate", shown: "Age: "}, {after: 12, want: "hit", shown: "Age: 9"},
		}},
		{"the server answers anew", []step{
			{answer: tagged, body: "old", want: "miss"}, {after: 3, answer: "Cache-Control: max-age=9\nETag: \"def\"", body: "new", want: "validate/stored", content: "new"},
			{after: 4, want: "hit", content: "new"},
		}},
		{"cc-resp-no-cache-revalidate-fresh", []step{
			{answer: "Cache-Control: max-age=10000, no-cache\nETag: \"a\"", body: "x", want: "miss/stored"}, {want: "validate", status: 304, content: "x"},
		}},
		{"headers-omit-headers-listed-in-Cache-Control-no-cache", []step{
			{answer: "Cache-Control: no-cache=\"a, b\", max-age=3600\na: 1\nb: 2\nc: 3", want: "miss/stored"},
			{want: "hit", shown: "A: "}, {want: "hit", shown: "B: "}, {want: "hit", shown: "C: 3"},
		}},
		{"headers-omit-headers-listed-in-Connection", []step{
			{answer: fresh + "\nConnection: a, b\na: 1\nb: 2\nc: 3\nKeep-Alive: x", want: "miss/stored"},
			{want: "hit", shown: "A: "}, {want: "hit", shown: "Connection: "}, {want: "hit", shown: "Keep-Alive: "}, {want: "hit", shown: "C: 3"},
		}},
		{"cc-resp-must-revalidate-stale", []step{
			{answer: "Cache-Control: max-age=2, must-revalidate\nETag: \"a\"", want: "miss/stored"}, {after: 1, want: "hit"}, {after: 3, want: "validate"},
		}},
		{"other-age-gen, other-age-update-max-age", []step{{answer: fresh + "\nAge: 30", want: "miss"}, {after: 3, want: "hit", shown: "Age: 33"}}},
		{"other-age-update-expires", []step{{answer: "Expires: DATE+99999\nAge: 30", want: "miss"}, {after: 3, want: "hit", shown: "Age: 33"}}},
		{"other-date-update", []step{
			{answer: fresh + "\nDate: DATE+0", want: "miss"}, {after: 3, want: "hit", shown: "Date: " + noon.Format(http.TimeFormat)},
		}},
	})
}

// R14: vary and vary-parse in cache-tests.fyi.
func TestVary(t *testing.T) {
	foo := fresh + "\nVary: Foo"
	tri := fresh + "\nVary: Foo, Bar, Baz"
	two := func(answer, first, second, want string) []step {
		return []step{{request: first, answer: answer, body: "x", want: "miss/stored"}, {after: 1, request: second, answer: answer, want: want}}
	}
	const language = fresh + "\nVary: Accept-Language"
	playAll(t, []flow{
		{"vary-match", two(foo, "Foo: 1", "Foo: 1", "hit")},
		{"vary-no-match", two(foo, "Foo: 1", "Foo: 2", "miss")},
		{"vary-omit-stored", two(foo, "", "Foo: 1", "miss")},
		{"vary-omit", two(foo, "Foo: 1", "", "miss")},
		{"vary-cache-key", two(foo, "Foo: 1\nOther: 2", "Foo: 1\nOther: 3", "hit")},
		{"vary-3-match", two(tri, "Foo: 1\nBar: abc\nBaz: 789", "Foo: 1\nBar: abc\nBaz: 789", "hit")},
		{"vary-3-no-match", two(tri, "Foo: 1\nBar: abc\nBaz: 789", "Foo: 2\nBar: abc\nBaz: 789", "miss")},
		{"vary-3-order", two(tri, "Foo: 1\nBar: abc\nBaz: 789", "Foo: 1\nBaz: 789\nBar: abcde", "miss")},
		{"vary-3-omit", two(tri, "Foo: 1\nBaz: 789", "Foo: 1\nBaz: 789", "hit")},
		{"vary on two lines, in any case", two(fresh+"\nVary: fOO\nVary: bar", "Foo: 1\nBar: 1", "Foo: 1\nBar: 2", "miss")},
		{"vary-normalise-combine", two(foo, "Foo: 1, 2", "Foo: 1\nFoo: 2", "hit")},
		{"vary-normalise-space", two(foo, "Foo: 1,2", "Foo:  1, 2 ", "hit")},
		{"other fields keep their order", two(foo, "Foo: 1, 2", "Foo: 2, 1", "miss")},
		{"vary-normalise-lang-order", two(language, "Accept-Language: en, de", "Accept-Language: de, en", "hit")},
		{"vary-normalise-lang-case", two(language, "Accept-Language: en, de", "Accept-Language: eN, De", "hit")},
		{"vary-normalise-lang-space", two(language, "Accept-Language: en, de", "Accept-Language: en ,   de", "hit")},
		{"vary-invalidate", []step{
			{request: "Foo: 1", answer: foo, body: "1", want: "miss/stored"}, {request: "Foo: 2", answer: foo, body: "2", want: "miss/stored"},
			{request: "Foo: 1", want: "hit", content: "1"}, {request: "Foo: 2", want: "hit", content: "2"},
		}},
		{"conditional-etag-vary-headers", []step{
			{request: "Abc: 123", answer: "Expires: DATE+1\nETag: \"a\"\nVary: Abc", body: "x", want: "miss"},
			{after: 3, request: "Abc: 123", status: 304, want: "validate/revalidated", sent: "Abc: 123", content: "x"},
		}},
		{"conditional-etag-vary-headers-mismatch", []step{
			{request: "Abc: 123", answer: fresh + "\nETag: \"a\"\nVary: Abc", body: "x", want: "miss"},
			{request: "Abc: 456", status: 304, answer: "ETag: \"a\"", want: "validate/revalidated", sent: `If-None-Match: "a"`, content: "x"},
			{request: "Abc: 456", want: "hit", content: "x"}, {request: "Abc: 123", want: "hit", content: "x"},
		}},
		{"the newest that fits", []step{
			{answer: fresh, body: "old", want: "miss"}, {mode: Reload, answer: foo, body: "new", want: "miss/stored", after: 1}, {after: 2, want: "hit", content: "new"},
		}},
	})
}

// R14: stale in cache-tests.fyi, and RFC 5861.
func TestStale(t *testing.T) {
	playAll(t, []flow{
		{"stale-while-revalidate", []step{
			{answer: "Cache-Control: max-age=1, stale-while-revalidate=3600\nETag: \"a\"", body: "x", want: "miss"},
			{after: 1, want: "stale", content: "x", shown: "Age: 1"}, {after: 3601, want: "stale"}, {after: 3602, want: "validate"},
		}},
		{"stale-while-revalidate and must-revalidate", []step{
			{answer: "Cache-Control: max-age=1, must-revalidate, stale-while-revalidate=3600\nETag: \"a\"", want: "miss"}, {after: 2, want: "validate"},
		}},
		{"stale-while-revalidate and no-cache", []step{
			{answer: "Cache-Control: no-cache, stale-while-revalidate=3600\nETag: \"a\"", want: "miss"}, {after: 2, want: "validate"},
		}},
		{"two stale-while-revalidate", []step{
			{answer: "Cache-Control: max-age=1, stale-while-revalidate=3600, stale-while-revalidate=1\nETag: \"a\"", want: "miss"}, {after: 4, want: "validate"},
		}},
	})
	for _, test := range []struct {
		name, answer, request string
		mode                  Mode
		after, status         int
		want                  Use
	}{
		{"stale-sie-close", "Cache-Control: max-age=2, stale-if-error=60", "", "", 3, 0, Stale},
		{"stale-sie-503", "Cache-Control: max-age=2, stale-if-error=60", "", "", 62, 503, Stale},
		{"stale-sie, too late", "Cache-Control: max-age=2, stale-if-error=60", "", "", 63, 503, Miss},
		{"stale-sie-404", "Cache-Control: max-age=2, stale-if-error=60", "", "", 3, 404, Miss},
		{"stale-sie of the request", "Cache-Control: max-age=2", "Cache-Control: stale-if-error=60", "", 3, 500, Stale},
		{"stale-close", "Cache-Control: max-age=2", "", "", 3, 0, Miss},
		{"stale-close-must-revalidate", "Cache-Control: max-age=2, must-revalidate, stale-if-error=60", "", "", 3, 0, Miss},
		{"stale-close-no-cache", "Cache-Control: no-cache, stale-if-error=60\nETag: \"a\"", "", "", 3, 0, Miss},
		{"a forced reload", "Cache-Control: max-age=2, stale-if-error=60", "", Reload, 3, 0, Miss},
	} {
		c := New(Limits{})
		c.Store(noon, Request{URL: page}, Response{Status: 200, Header: fields(noon, test.answer), Body: []byte("x")})
		at := noon.Add(time.Duration(test.after) * time.Second)
		got := c.Failed(at, Request{URL: page, Mode: test.mode, Header: fields(at, test.request)}, test.status)
		if got.Use != test.want || (got.Response != nil) != (test.want == Stale) || got.Reason == "" {
			t.Errorf("%s: %s: %s, want %s", test.name, got.Use, got.Reason, test.want)
		}
	}
	if got := New(Limits{}).Failed(noon, Request{URL: page}, 0); got.Use != Miss || got.Reason == "" {
		t.Errorf("nothing stored: %+v", got)
	}
}

// R14: updateHEAD, method and invalidation in cache-tests.fyi.
func TestMethods(t *testing.T) {
	playAll(t, []flow{
		{"HEAD from a stored GET", []step{{answer: fresh, body: "x", want: "miss"}, {method: "HEAD", want: "hit"}}},
		{"HEAD is stored for HEAD alone", []step{
			{method: "HEAD", answer: fresh + "\nContent-Length: 9", want: "miss/stored"},
			{method: "HEAD", want: "hit", shown: "Content-Length: 9"}, {want: "miss/stored", answer: fresh, body: "x"}, {want: "hit", content: "x"},
		}},
		{"head-200-freshness-update, head-200-update, head-200-retain", []step{
			{answer: "Cache-Control: max-age=2\nTemplate-A: 1\nB: 1", body: "x", want: "miss"},
			{after: 3, method: "HEAD", answer: "Cache-Control: max-age=1000\nTemplate-A: 2", want: "miss/revalidated"},
			{after: 4, want: "hit", shown: "Template-A: 2", content: "x"}, {after: 4, want: "hit", shown: "B: 1"},
		}},
		{"HEAD of something else", []step{
			{answer: tagged, body: "x", want: "miss"}, {after: 3, method: "HEAD", answer: "ETag: \"def\"", want: "validate/invalidated"},
			{after: 3, mode: ForceCache, want: "validate"},
		}},
		{"HEAD of another length", []step{
			{answer: fresh, body: "x", want: "miss"}, {mode: Reload, method: "HEAD", answer: "Content-Length: 7", want: "miss/invalidated"}, {want: "miss"},
		}},
		{"head-410-update: another status says nothing", []step{
			{answer: fresh, body: "x", want: "miss"}, {mode: Reload, method: "HEAD", status: 410, answer: fresh, want: "miss/not-stored"}, {want: "hit"},
		}},
		{"method-POST", []step{
			{method: "POST", answer: fresh + "\nContent-Location: /page", body: "x", want: "miss/stored"}, {want: "hit", content: "x"},
		}},
		{"an answer to POST without Content-Location", []step{{method: "POST", answer: fresh, want: "miss/not-stored"}, {want: "miss"}}},
		{"invalidate-POST", []step{{answer: fresh, want: "miss"}, {method: "POST", want: "miss"}, {want: "miss"}}},
		{"invalidate-PUT, with something to ask by", []step{
			{answer: fresh + "\nETag: \"a\"", body: "x", want: "miss"}, {method: "PUT", status: 204, want: "miss"},
			{status: 304, want: "validate/revalidated", content: "x"}, {want: "hit"},
		}},
		{"invalidate-M-SEARCH", []step{{answer: fresh, want: "miss"}, {method: "M-SEARCH", want: "miss"}, {want: "miss"}}},
		{"invalidate-DELETE-failed", []step{{answer: fresh, want: "miss"}, {method: "DELETE", status: 500, want: "miss"}, {want: "hit"}}},
		{"OPTIONS changes nothing", []step{{answer: fresh, want: "miss"}, {method: "OPTIONS", want: "miss"}, {want: "hit"}}},
	})
	c := New(Limits{})
	for _, address := range []string{page, "http://shop.example/a", "http://shop.example/b", "http://other.example/c"} {
		c.Store(noon, Request{URL: address}, Response{Status: 200, Header: fields(noon, fresh)})
	}
	c.Store(noon, Request{URL: page, Partition: "http://blog.example"}, Response{Status: 200, Header: fields(noon, fresh)})
	gone := c.Invalidate(Request{URL: page, Method: "POST"}, Response{Status: 303, Header: fields(noon, "Location: a#x\nContent-Location: http://other.example/c")})
	if len(gone) != 2 || gone[0].URL != page || gone[1].URL != "http://shop.example/a" || gone[1].Reason == "" {
		t.Errorf("invalidate-POST-location: %+v", gone)
	}
	gone = c.Invalidate(Request{URL: page, Method: "PATCH"}, Response{Status: 200, Header: fields(noon, "Content-Location: /b")})
	if len(gone) != 1 || gone[0].URL != "http://shop.example/b" {
		t.Errorf("invalidate-PATCH-cl: %+v", gone)
	}
	if d := c.Lookup(noon, Request{URL: page, Partition: "http://blog.example"}); d.Use != Hit {
		t.Errorf("a page of another site: %s: %s", d.Use, d.Reason)
	}
}
