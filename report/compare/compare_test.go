package compare_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"scenario/event"
	"scenario/report/compare"
	"scenario/report/loads"
)

func load(role string, fetches ...loads.Fetch) loads.Load {
	return loads.Load{Role: role, URL: "http://shop.example/", Fetches: fetches}
}

func fetch(url, destination string, change func(f *loads.Fetch)) loads.Fetch {
	f := loads.Fetch{HTTPFetch: event.HTTPFetch{URL: url, Method: "GET", Destination: destination, Status: 200, Proto: "HTTP/1.1", From: "network"}}
	if change != nil {
		change(&f)
	}
	return f
}

func cookies(text string) func(f *loads.Fetch) {
	return func(f *loads.Fetch) { f.Request = &event.HTTPRequest{Cookie: text} }
}

// TestLoads lists what two browsers do differently, and nothing else. R36
func TestLoads(t *testing.T) {
	const page, sheet, logo = "http://shop.example/", "http://shop.example/style.css", "http://shop.example/logo.png"
	for name, c := range map[string]struct {
		a, b []loads.Fetch
		want []compare.Difference
	}{
		"same": {
			a: []loads.Fetch{fetch(page, "document", nil), fetch(sheet, "style", cookies("b=1; a=2"))},
			b: []loads.Fetch{fetch(sheet, "style", cookies("a=9; b=8")), fetch(page, "document", nil)},
		},
		"finer steps of urgency": {
			a: []loads.Fetch{fetch(sheet, "style", func(f *loads.Fetch) { f.Priority = 0 })},
			b: []loads.Fetch{fetch(sheet, "style", func(f *loads.Fetch) { f.Priority = 1 })},
		},
		"the cache speaks no protocol": {
			a: []loads.Fetch{fetch(sheet, "style", func(f *loads.Fetch) { f.From, f.Proto = "cache", "" })},
			b: []loads.Fetch{fetch(sheet, "style", func(f *loads.Fetch) { f.From, f.Proto = "cache", "HTTP/1.1" })},
		},
		"missing": {
			a:    []loads.Fetch{fetch(page, "document", nil)},
			b:    []loads.Fetch{fetch(page, "document", nil), fetch(logo, "image", nil)},
			want: []compare.Difference{{"GET", logo, compare.Request, "", "image"}},
		},
		"twice": {
			a:    []loads.Fetch{fetch(page, "document", nil), fetch(page+"#top", "document", nil)},
			b:    []loads.Fetch{fetch(page, "document", nil)},
			want: []compare.Difference{{"GET", page, compare.Request, "document", ""}},
		},
		"all": {
			a: []loads.Fetch{fetch(page, "document", cookies("visitor=1"))},
			b: []loads.Fetch{fetch(page, "iframe", func(f *loads.Fetch) { f.Priority, f.Proto, f.Status, f.From = 4, "HTTP/2", 304, "revalidated" })},
			want: []compare.Difference{
				{"GET", page, compare.Destination, "document", "iframe"}, {"GET", page, compare.Order, "first", "last"},
				{"GET", page, compare.Cookies, "visitor", ""}, {"GET", page, compare.Protocol, "HTTP/1.1", "HTTP/2"},
				{"GET", page, compare.Status, "200", "304"}, {"GET", page, compare.From, "network", "revalidated"},
			},
		},
	} {
		if diff := cmp.Diff(c.want, compare.Loads(load("browser", c.a...), load("chromium", c.b...))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestBrowsers pairs the last loads of one address by browsers of two kinds.
func TestBrowsers(t *testing.T) {
	one := fetch("http://shop.example/", "document", nil)
	first, last := load("browser", one), load("browser", one)
	first.Step, last.Step = "1", "2"
	other := load("chromium", one)
	elsewhere := load("chromium", one)
	elsewhere.URL = "http://books.example/"
	pairs := compare.Browsers([]loads.Load{first, other, last, elsewhere, load("chromium")})
	if len(pairs) != 1 || pairs[0][0].Step != "2" || pairs[0][1].Role != "chromium" {
		t.Errorf("%d pairs: %+v", len(pairs), pairs)
	}
}
