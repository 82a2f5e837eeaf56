package cache

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// R13: partial in cache-tests.fyi; parts joined as RFC 9111, sections 3.3 and 3.4, ask for.
func TestRanges(t *testing.T) {
	const digits = "0123456789A"
	strong := fresh + "\nETag: \"a\"\nContent-Length: 10"
	whole := step{answer: fresh, body: digits, want: "miss/stored"}
	want := func(set, use, content, shown string) []step {
		return []step{whole, {request: "Range: " + set, want: use, content: content, shown: shown}}
	}
	piece := func(set, of, body, tag, result string) step {
		return step{request: "Range: bytes=" + set, status: 206, answer: fresh + "\nContent-Range: bytes " + of + "\n" + tag, body: body, want: result}
	}
	playAll(t, []flow{
		{"partial-store-complete-reuse-partial", want("bytes=0-1", "hit", "01", "Content-Range: bytes 0-1/11")},
		{"partial-store-complete-reuse-partial-no-last", want("bytes=1-", "hit", digits[1:], "Content-Length: 10")},
		{"partial-store-complete-reuse-partial-suffix", want("bytes=-1", "hit", "A", "")},
		{"more than there is", want("bytes=9-99", "hit", "9A", "Content-Range: bytes 9-10/11")},
		{"suffix of more than there is", want("bytes=-99", "hit", digits, "Content-Range: bytes 0-10/11")},
		{"after the end", want("bytes=11-", "hit", "", "Content-Range: bytes */11")},
		{"no bytes", want("bytes=-0", "hit", "", "Content-Range: bytes */11")},
		{"several ranges", want("bytes=0-1,3-4", "miss", "", "")},
		{"another unit", want("lines=0-1", "miss", "", "")},
		{"backwards", want("bytes=5-2", "miss", "", "")},
		{"partial-use-stored-headers", []step{
			{answer: fresh + "\nA: 1", body: digits, want: "miss"}, {request: "Range: bytes=0-1", want: "hit", shown: "A: 1"},
		}},
		{"Range of a stale response", []step{
			{answer: tagged, body: digits, want: "miss"},
			{after: 3, request: "Range: bytes=2-3", status: 304, want: "validate/revalidated", sent: `If-None-Match: "abc"`, content: "23", shown: "Content-Range: bytes 2-3/11"},
		}},
		{"Range of a stored 404", []step{
			{status: 404, answer: fresh, body: "no", want: "miss/stored"}, {request: "Range: bytes=0-0", want: "hit", content: "no"},
		}},
		{"HEAD with Range", []step{whole, {method: "HEAD", request: "Range: bytes=0-1", want: "hit"}}},

		{"partial-store-partial-reuse-partial", []step{
			piece("-5", "5-9/10", "56789", "", "miss/stored"), {request: "Range: bytes=-5", want: "hit", content: "56789"},
			{request: "Range: bytes=6-8", want: "hit", content: "678"}, {request: "Range: bytes=6-", want: "hit", content: "6789"},
			{request: "Range: bytes=-1", want: "hit", content: "9"}, {request: "Range: bytes=4-5", want: "miss"},
		}},
		{"a part does not answer the whole", []step{
			piece("0-4", "0-4/10", "01234", "", "miss/stored"), {want: "miss"},
		}},
		{"partial-store-partial-complete, which needs a strong validator", []step{
			piece("0-4", "0-4/10", "01234", "ETag: \"a\"", "miss/stored"),
			{after: 5, status: 206, answer: fresh + "\nContent-Range: bytes 5-9/10\nETag: \"a\"\nA: 2", body: "56789",
				want: "complete/stored", sent: "Range: bytes=5-", content: "0123456789", shown: "A: 2"},
			{after: 6, want: "hit", content: "0123456789"},
		}},
		{"If-Range goes along", []step{
			piece("0-4", "0-4/10", "01234", "ETag: \"a\"", "miss/stored"),
			{answer: strong, body: "abcdefghij", want: "complete/stored", sent: `If-Range: "a"`, content: "abcdefghij"},
			{want: "hit", content: "abcdefghij"},
		}},
		{"three parts, out of order and overlapping", []step{
			piece("6-7", "6-7/10", "67", "ETag: \"a\"", "miss/stored"), piece("0-2", "0-2/10", "012", "ETag: \"a\"", "miss/stored"),
			piece("2-6", "2-6/*", "23456", "ETag: \"a\"", "miss/stored"),
			{request: "Range: bytes=0-7", want: "hit", content: "01234567"}, piece("8-9", "8-9/10", "89", "ETag: \"a\"", "miss/stored"),
			{want: "hit", content: "0123456789"},
		}},
		{"parts of another content", []step{
			piece("0-4", "0-4/10", "01234", "ETag: \"a\"", "miss/stored"), piece("5-9", "5-9/10", "56789", "ETag: \"b\"", "miss/stored"),
			{request: "Range: bytes=5-9", want: "hit", content: "56789"}, {request: "Range: bytes=0-4", want: "miss"},
		}},
		{"parts with a weak validator", []step{
			piece("0-4", "0-4/10", "01234", "ETag: W/\"a\"", "miss/stored"), piece("5-9", "5-9/10", "56789", "ETag: W/\"a\"", "miss/stored"),
			{request: "Range: bytes=0-4", want: "miss"},
		}},
		{"parts with an old enough date", []step{
			piece("0-4", "0-4/10", "01234", "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT", "miss/stored"),
			piece("5-9", "5-9/10", "56789", "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT", "miss/stored"), {want: "hit", content: "0123456789"},
		}},
		{"a 206 of several parts", []step{
			{request: "Range: bytes=0-1,3-4", status: 206, answer: fresh + "\nContent-Type: multipart/byteranges; boundary=x", want: "miss/not-stored"},
		}},
		{"a 206 that does not say what it is", []step{piece("0-4", "0-4/3", "01234", "", "miss/not-stored")}},
		{"a 206 with another length", []step{piece("0-4", "0-4/10", "0123", "", "miss/not-stored")}},
		{"a 206 with more", []step{piece("0-4", "0-4/10", "012345", "", "miss/not-stored")}},
		{"no rest", []step{
			piece("0-4", "0-4/10", "01234", "ETag: \"a\"", "miss/stored"), {status: 416, want: "complete/not-stored"}, {want: "miss"},
		}},
		{"stale parts are asked for anew", []step{
			{request: "Range: bytes=0-1", status: 206, answer: tagged + "\nContent-Range: bytes 0-1/4", body: "01", want: "miss/stored"},
			{after: 3, request: "Range: bytes=0-1", status: 304, want: "validate/revalidated", content: "01"},
			{after: 9, request: "Range: bytes=2-3", want: "miss"},
		}},
	})
}

// R13: a body that ended early is completed.
func TestIncomplete(t *testing.T) {
	for _, test := range []struct {
		name, answer string
		body         string
		want         Result
	}{
		{"strong", fresh + "\nETag: \"a\"\nContent-Length: 10", "01234", Stored},
		{"chunked", fresh + "\nETag: \"a\"", "01234", Stored},
		{"weak", fresh + "\nETag: W/\"a\"\nContent-Length: 10", "01234", NotStored},
		{"none", fresh, "01234", NotStored},
		{"nothing came", fresh + "\nETag: \"a\"", "", NotStored},
	} {
		c := New(Limits{})
		r := Request{URL: page}
		o := c.Store(noon, r, Response{Status: 200, Header: fields(noon, test.answer), Body: []byte(test.body), Incomplete: true})
		if o.Result != test.want || o.Reason == "" {
			t.Errorf("%s: %s: %s, want %s", test.name, o.Result, o.Reason, test.want)
		}
		if test.want == NotStored {
			continue
		}
		d := c.Lookup(noon, r)
		if d.Use != Complete || d.Response == nil || string(d.Response.Body) != "01234" || !d.Response.Incomplete || d.Fields.Get("Range") != "bytes=5-" {
			t.Fatalf("%s: %+v", test.name, d)
		}
		// A proxy on the way gives less than was asked for: what came is kept, and the rest is asked for.
		part := Response{Status: 206, Header: fields(noon, test.answer+"\nContent-Range: bytes 5-6/10"), Body: []byte("56")}
		if o = c.Store(noon, r, part); !o.Again || o.Response != nil {
			t.Errorf("%s: part of the rest: %+v", test.name, o)
		}
		if d = c.Lookup(noon, r); d.Fields.Get("Range") != "bytes=7-" {
			t.Errorf("%s: asks for %v", test.name, d.Fields)
		}
		part = Response{Status: 206, Header: fields(noon, test.answer+"\nContent-Range: bytes 7-9/10"), Body: []byte("789")}
		if o = c.Store(noon, r, part); o.Response == nil || string(o.Response.Body) != "0123456789" || o.Response.Status != 200 || o.Response.Incomplete {
			t.Errorf("%s: completed: %+v", test.name, o)
		}
	}
}

// R14: pages of one site do not learn what was loaded for another's.
func TestPartition(t *testing.T) {
	c := New(Limits{})
	c.Store(noon, Request{Partition: "https://shop.example", URL: page}, Response{Status: 200, Header: fields(noon, fresh)})
	for partition, want := range map[string]Use{"https://shop.example": Hit, "https://blog.example": Miss, "": Miss} {
		d := c.Lookup(noon, Request{Partition: partition, URL: page})
		if d.Use != want || want == Miss && d.Reason != "it is stored for pages of another site alone" {
			t.Errorf("%q: %s: %s", partition, d.Use, d.Reason)
		}
	}
	if d := c.Lookup(noon, Request{Partition: "https://shop.example", URL: page + "?x"}); d.Use != Miss {
		t.Errorf("another query: %s", d.Use)
	}
}

// R14: what was used the longest ago goes first, in the same order at the same instant.
func TestLimits(t *testing.T) {
	c := New(Limits{Total: 10 << 10, Response: 4 << 10})
	address := func(i int) Request { return Request{URL: fmt.Sprint("http://shop.example/", i)} }
	put := func(i, size int) Outcome {
		return c.Store(noon, address(i), Response{Status: 200, Header: fields(noon, fresh), Body: make([]byte, size)})
	}
	for i := range 3 {
		put(i, 2500)
	}
	c.Lookup(noon, address(0))
	o := put(3, 2500)
	if len(o.Gone) != 1 || o.Gone[0].URL != "http://shop.example/1" || o.Gone[0].Reason == "" {
		t.Errorf("gone: %+v", o.Gone)
	}
	if o = put(4, 4<<10+1); o.Result != NotStored || !strings.Contains(o.Reason, "4097 bytes") {
		t.Errorf("too large: %+v", o)
	}
	if o = put(0, 4<<10+1); o.Result != NotStored || c.Lookup(noon, address(0)).Use != Miss {
		t.Errorf("a newer one that is too large: %+v", o)
	}
	if n, size := c.Len(); n != 2 || size > 10<<10 || size < 5000 {
		t.Errorf("%d responses of %d bytes", n, size)
	}
	for i := range maxVariants + 1 {
		r := Request{URL: page, Header: http.Header{"Foo": {fmt.Sprint(i)}}}
		o = c.Store(noon, r, Response{Status: 200, Header: fields(noon, fresh+"\nVary: Foo")})
	}
	if len(o.Gone) != 1 {
		t.Errorf("variants: gone %+v", o.Gone)
	}
	c.Clear()
	if n, size := c.Len(); n != 0 || size != 0 {
		t.Errorf("after Clear: %d responses of %d bytes", n, size)
	}
}

// R14: between visits.
func TestFile(t *testing.T) {
	c := New(Limits{})
	store := func(r Request, status int, answer, body string) {
		c.Store(noon, r, Response{Status: status, Header: fields(noon, answer), Body: []byte(body)})
	}
	store(Request{URL: page}, 200, fresh, "text <b>")
	store(Request{URL: page + "/image", Partition: "https://shop.example"}, 200, fresh+"\nETag: \"a\"", "\x00\xff\xfe")
	store(Request{URL: page + "/part"}, 206, fresh+"\nETag: \"a\"\nContent-Range: bytes 2-3/9", "23")
	store(Request{URL: page + "/vary", Header: http.Header{"Foo": {"1"}}}, 404, fresh+"\nVary: Foo", "")
	store(Request{URL: page + "/head", Method: "HEAD"}, 200, fresh, "")
	c.Invalidate(Request{URL: page, Method: "POST"}, Response{Status: 200})
	data, err := c.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte(`"text":"text <b>"`)) {
		t.Errorf("the text cannot be read:\n%s", data)
	}
	other := New(Limits{})
	if err := other.Load(data); err != nil {
		t.Fatal(err)
	}
	again, err := other.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(data), string(again)); diff != "" {
		t.Errorf("loaded and written again (-want +got):\n%s", diff)
	}
	d := other.Lookup(noon.Add(time.Hour), Request{URL: page + "/part", Header: http.Header{"Range": {"bytes=2-3"}}})
	if d.Use != Hit || string(d.Response.Body) != "23" || d.Age != time.Hour {
		t.Errorf("the part: %+v", d)
	}
	small := New(Limits{Total: 1200, Response: 1200})
	if err := small.Load(data); err != nil {
		t.Fatal(err)
	}
	if n, size := small.Len(); n == 0 || n > 4 || size > 1200 {
		t.Errorf("%d responses of %d bytes in a small cache", n, size)
	}
	for _, bad := range []string{
		`{"responses":[{"url":"","status":200}]}`, `{"responses":[{"url":"x","status":206}]}`, `{"responses":[{"url":"x","status":200,"total":1,"parts":[{"start":0,"text":"ab"}]}]}`,
		`{"responses":[{"url":"x","status":200,"header":{"A":["\r\n"]}}]}`, `{"responses":[{"url":"x","status":200,"header":{"A b":["c"]}}]}`,
		`{"responses":[{"url":"x","status":200,"total":9,"parts":[{"start":2,"text":"ab"},{"start":0,"text":"c"}]}]}`,
	} {
		if err := other.Load([]byte(bad)); err != nil {
			t.Errorf("%s: %v", bad, err)
		}
		if n, _ := other.Len(); n != 0 {
			t.Errorf("%s: %d responses", bad, n)
		}
	}
	if err := other.Load([]byte("{")); err == nil {
		t.Error("a broken file is no error")
	}
}

// R14: RFC 9110, section 5.6.7.
func TestParseDate(t *testing.T) {
	for text, want := range map[string]string{
		"Sun, 06 Nov 1994 08:49:37 GMT":    "1994-11-06T08:49:37Z",
		"Sunday, 06-Nov-94 08:49:37 GMT":   "1994-11-06T08:49:37Z",
		"Sun Nov  6 08:49:37 1994":         "1994-11-06T08:49:37Z",
		"Sun Nov 16 08:49:37 1994":         "1994-11-16T08:49:37Z",
		"Sunday, 06-Nov-76 08:49:37 GMT":   "2076-11-06T08:49:37Z",
		"Sunday, 06-Nov-77 08:49:37 GMT":   "1977-11-06T08:49:37Z",
		"Thursday, 29-Feb-96 00:00:00 GMT": "1996-02-29T00:00:00Z",
		"Wed, 06 Nov 1994 08:49:37 GMT":    "1994-11-06T08:49:37Z",
		"Sun, 31 Nov 1994 08:49:37 GMT":    "",
		"Sun, 06 Nov 1994 08:49:60 GMT":    "",
		"Sun, 06 Nov 1994 24:00:00 GMT":    "",
		"Sun, 6 Nov 1994 08:49:37 GMT":     "",
		"Sun, 06 Nov 1994 08:49:37":        "",
		"Sun, 06 Nov 1994 08:49:37 +0000":  "",
		"Sun, 06 Nov 1994 08:49:37.5 GMT":  "",
		"Sun Nov 6 08:49:37 1994":          "",
		"Sun Nov 06 08:49:37 1994":         "",
		"Foo, 06 Nov 1994 08:49:37 GMT":    "",
		"0":                                "",
		"":                                 "",
	} {
		at, ok := ParseDate(noon, text)
		got := ""
		if ok {
			got = at.Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("ParseDate(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzParseDate(f *testing.F) {
	for _, seed := range []string{"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, ok := ParseDate(noon, s)
		if !ok {
			return
		}
		if again, ok := ParseDate(noon, at.Format(http.TimeFormat)); !ok || !again.Equal(at) {
			t.Fatalf("ParseDate(%q) = %v, which does not come back", s, at)
		}
	})
}

// FuzzCache has a hostile server answer three times.
func FuzzCache(f *testing.F) {
	f.Add("max-age=60", `"a"`, "Accept", "bytes 0-1/4", "bytes=0-1", uint16(206), []byte("ab"))
	f.Add(`no-cache="a", max-age="1"`, `W/"a"`, "*", "bytes 2-3/*", "bytes=-1", uint16(200), []byte("abcd"))
	f.Add("max-age=0, stale-while-revalidate=9", "x", ",", "", "bytes=1-", uint16(304), []byte(""))
	f.Fuzz(func(t *testing.T, control, tag, vary, contentRange, wanted string, status uint16, body []byte) {
		c := New(Limits{Total: 4096, Response: 2048})
		answer := http.Header{"Cache-Control": {control}, "Etag": {tag}, "Vary": {vary}, "Content-Range": {contentRange}}
		for i, r := range []Request{
			{URL: page, Header: http.Header{"Range": {wanted}}}, {URL: page}, {URL: page, Method: "HEAD"}, {URL: page, Header: http.Header{"Range": {wanted}}},
		} {
			at := noon.Add(time.Duration(i) * time.Second)
			d := c.Lookup(at, r)
			if d.Reason == "" || (d.Use == Hit || d.Use == Stale) && d.Response == nil {
				t.Fatalf("%+v", d)
			}
			resp := Response{Status: int(status), Header: answer, Body: body, Incomplete: i == 1}
			var o Outcome
			if status == http.StatusNotModified {
				o = c.Validated(at, r, resp)
			} else {
				o = c.Store(at, r, resp)
			}
			if _, size := c.Len(); o.Reason == "" || size > 4096 || size < 0 {
				t.Fatalf("%+v, %d bytes", o, size)
			}
		}
		data, err := c.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		other := New(Limits{Total: 4096, Response: 2048})
		if err := other.Load(data); err != nil {
			t.Fatal(err)
		}
		for _, variants := range other.entries {
			for _, e := range variants {
				e.answer(noon, Request{Header: http.Header{"Range": {wanted}}})
			}
		}
	})
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"responses":[{"url":"x","status":200,"total":4,"parts":[{"start":0,"text":"ab"}],"header":{"A":["b"]}}]}`), "bytes=0-1")
	f.Fuzz(func(t *testing.T, data []byte, wanted string) {
		c := New(Limits{Total: 4096})
		if c.Load(data) != nil {
			return
		}
		for k := range c.entries {
			for _, mode := range []Mode{Default, ForceCache, NoCache} {
				c.Lookup(noon, Request{Partition: k.partition, URL: k.url, Mode: mode, Header: http.Header{"Range": {wanted}}})
				c.Lookup(noon, Request{Partition: k.partition, URL: k.url, Mode: mode})
			}
		}
		if _, err := c.Marshal(); err != nil {
			t.Fatal(err)
		}
	})
}
