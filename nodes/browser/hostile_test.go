package browser

import (
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"scenario/event"
)

// bytesOf is a handler that writes bytes, and then more of them for ever where more is not empty.
func bytesOf(first, more string) handler {
	return func(c net.Conn, _ *http.Request) bool {
		if _, err := fmt.Fprint(c, first); err != nil {
			return false
		}
		for more != "" {
			if _, err := fmt.Fprint(c, more); err != nil {
				return false
			}
		}
		return false
	}
}

// A server that means harm spoils its own answer: it is told what was wrong, and the rest of the page loads.
func TestHostileAssets(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	drip := func(c net.Conn, _ *http.Request) bool {
		fmt.Fprint(c, ok+"Content-Length: 1000000\r\n\r\n")
		for {
			time.Sleep(time.Second)
			if _, err := c.Write([]byte("x")); err != nil {
				return false
			}
		}
	}
	for _, test := range []struct {
		name   string
		asset  handler
		phase  string
		wanted string // part of the message
	}{
		{"endless fields", bytesOf(ok, "X: "+strings.Repeat("x", 100)+"\r\n"), "response", "head"},
		{"one endless field", bytesOf(ok+"X: ", strings.Repeat("x", 4096)), "response", "head"},
		{"endless interim responses", bytesOf("", "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload; as=style\r\n\r\n"), "response", ""},
		{"a slow drip", drip, "response", "not done within"},
		{"silence", func(net.Conn, *http.Request) bool { time.Sleep(time.Hour); return false }, "response", "not done within"},
		{"a length that is too long", bytesOf(ok+"Content-Length: 100\r\n\r\nshort", ""), "response", "5 of 100"},
		{"two lengths", bytesOf(ok+"Content-Length: 5\r\nContent-Length: 6\r\n\r\nshort", ""), "response", ""},
		{"a chunk that makes no sense", bytesOf(ok+"Transfer-Encoding: chunked\r\n\r\nzz\r\nshort\r\n", ""), "response", ""},
		{"no HTTP", bytesOf("SSH-2.0-OpenSSH_9\r\n\r\n", ""), "response", ""},
		{"nothing", bytesOf("", ""), "response", "no response"},
		{"redirects without end", status(302, "Location: /asset", ""), "response", "more than 20 redirects"},
		{"a redirect with an endless body", bytesOf("HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", strings.Repeat("x", 4096)), "response", "redirect"},
		{"a redirect that makes no sense", status(302, "Location: http://[::1", ""), "response", "Location"},
		{"broken gzip", status(200, "Content-Encoding: gzip", "this is no gzip"), "response", "gzip"},
		{"four codings", status(200, "Content-Encoding: gzip, gzip, gzip, gzip", "x"), "response", "3 times"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.serve("bad.example", map[string]handler{"/asset": test.asset})
			w.serve("shop.example", map[string]handler{
				"/":       markup(`<!doctype html><link rel=icon href=data:,><img src=http://bad.example/asset><img src=/ok.png><p>Hello`),
				"/ok.png": status(200, "Content-Type: image/png", "x"),
			})
			w.run(`{}`, func(b *running) {
				got := b.browse("shop.example")
				if got.Error != nil || got.Text != "Hello" || got.Failed != 1 || fetched(t, got, "http://shop.example/ok.png").Status != 200 {
					t.Errorf("the page: %+v", got)
				}
				var failed *Failure
				for _, f := range got.Requests {
					if f.Error != nil {
						failed = f.Error
					}
				}
				if failed == nil || failed.Phase != test.phase || failed.Meaning == "" || !strings.Contains(failed.Message, test.wanted) {
					t.Errorf("told: %+v", failed)
				}
			})
			told := 0
			for _, f := range all[event.HTTPFetch](w) {
				if f.Failed != "" && f.Error != "" {
					told++
				}
			}
			if told != 1 {
				t.Errorf("%d failures are told", told)
			}
		})
	}
}

// A page of any size and nonsense ends within its bounds.
func TestHostilePages(t *testing.T) {
	deep := strings.Repeat("<div><table><b><a href=x>", 20_000)
	for _, test := range []struct {
		name string
		page handler
	}{
		{"deep", markup(deep)},
		{"attributes", markup("<p " + strings.Repeat("a=b ", 200_000) + ">text")},
		{"an endless tag", bytesOf("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p x=\"", strings.Repeat("x", 1<<16))},
		{"endless images", bytesOf("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", strings.Repeat("<img src=data:,x><img src=/a.png>", 1000))},
		{"frames in frames", markup(strings.Repeat("<iframe src=/>", 1000))},
		{"documents in attributes", markup(strings.Repeat("<iframe srcdoc='<p>x<iframe srcdoc=y></iframe>'></iframe>", 1000))},
		{"long addresses", markup("<img src=/" + strings.Repeat("x", 1<<20) + ">")},
		{"no text", markup("\x00\xff\xfe<\x00!--" + strings.Repeat("\x80", 10_000))},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.serve("shop.example", map[string]handler{"/": test.page})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			w.run(`{"timeout": "60s"}`, func(b *running) {
				got := b.browse("shop.example")
				if len(got.Requests) > maxAssets || len(got.Text) > 128<<10 || len(got.DOM) > 128<<10 {
					t.Errorf("%d requests, %d bytes of text, %d of the tree", len(got.Requests), len(got.Text), len(got.DOM))
				}
			})
			runtime.ReadMemStats(&after)
			if used := int64(after.HeapInuse) - int64(before.HeapInuse); used > 600<<20 {
				t.Errorf("%d MiB are in use afterwards", used>>20)
			}
		})
	}
}

func FuzzLinks(f *testing.F) {
	f.Add(`</a.css>; rel=preload; as="style", <https://cdn.example/>; rel=preconnect`)
	f.Add(`<a>; x="\"`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, l := range parseLinks([]string{text, text}) {
			l.reference()
			if len(l.address) > len(text) {
				t.Errorf("the address %q is longer than %q", l.address, text)
			}
		}
	})
}

func TestLinks(t *testing.T) {
	links := parseLinks([]string{`</a.css>; rel="preload stylesheet"; as=style; crossorigin, <b.js>;rel=modulepreload;integrity="sha256-x"`, `<x>`, `no link`})
	if len(links) != 3 {
		t.Fatalf("links %+v", links)
	}
	a, ok := links[0].reference()
	if !ok || a.Address != "/a.css" || a.Destination != "style" || a.CrossOrigin != "anonymous" || !a.Preload {
		t.Errorf("%v %+v", ok, a)
	}
	b, ok := links[1].reference()
	if !ok || !b.Module || b.Integrity != "sha256-x" || b.Destination != "script" {
		t.Errorf("%v %+v", ok, b)
	}
	if _, ok := links[2].reference(); ok {
		t.Error("a link without a relation is loaded")
	}
}
