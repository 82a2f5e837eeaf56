package browser

import (
	"net/http"
	"sync"
	"testing"

	"scenario/nodes/browser/policy"
)

// asked keeps the fields of requests, by method and address, each as the last request had it.
type asked struct {
	mu     sync.Mutex
	fields map[string]http.Header
}

func (a *asked) of(next http.HandlerFunc) http.HandlerFunc {
	a.fields = make(map[string]http.Header)
	return func(rw http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.fields[r.Method+" "+r.Host+r.URL.Path] = r.Header.Clone()
		a.mu.Unlock()
		next(rw, r)
	}
}

// R16, R18: the fields that tell a server why it is asked are those of Chromium.
func TestFieldsOfRequests(t *testing.T) {
	w := newWorld(t)
	pages := files(map[string]string{
		"/": `<!doctype html><link rel=icon href=/icon.png><link rel=stylesheet href=/a.css>
			<link rel=modulepreload href=/early.js><link rel=prefetch href=/next><script type=module src=/m.js></script><h1>x</h1>
			<img src=/dot.png width=1 height=1><img src=/hero.png width=300 height=200><img src="https://ads.example/ad.png">
			<object data=/o></object><embed type=image/png src=/e.png><img crossorigin src="https://ads.example/open.png">`,
		"/a.css": `@font-face { font-family: F; src: url(/f.woff2) } h1 { font-family: F; background: url(/b.png) }`, "/f.woff2": "f", "/m.js": "1",
		"/early.js": "1", "/next": "x", "/o": "x", "/e.png": "x",
		"/b.png": "x", "/dot.png": "x", "/hero.png": "x", "/icon.png": "x", "/ad.png": "x", "/open.png": "x",
	})
	var shop, ads asked
	w.site("shop.example", shop.of(pages))
	w.site("ads.example", ads.of(pages))
	w.run(`{}`, func(b *running) { b.browse("https://shop.example/") })
	for _, c := range []struct{ request, field, want string }{
		{"GET shop.example/f.woff2", "Origin", "https://shop.example"},
		{"GET shop.example/f.woff2", "Referer", "https://shop.example/a.css"},
		{"GET shop.example/b.png", "Origin", ""},
		{"GET shop.example/b.png", "Referer", "https://shop.example/a.css"},
		{"GET shop.example/m.js", "Origin", "https://shop.example"},
		{"GET shop.example/m.js", "Referer", "https://shop.example/"},
		{"GET shop.example/m.js", "Priority", "u=1"},
		{"GET shop.example/early.js", "Priority", "u=1"},
		{"GET shop.example/next", "Sec-Purpose", "prefetch"},
		{"GET shop.example/next", "Accept", policy.Accept(policy.Document)},
		{"GET shop.example/o", "Accept", policy.Accept(policy.Document)},
		{"GET shop.example/o", "Sec-Fetch-Mode", "navigate"},
		{"GET shop.example/o", "Sec-Fetch-Dest", "object"},
		{"GET shop.example/e.png", "Sec-Fetch-Mode", "no-cors"},
		{"GET shop.example/dot.png", "Priority", "i"},
		{"GET shop.example/hero.png", "Priority", "u=2, i"},
		{"GET shop.example/icon.png", "Priority", "u=1, i"},
		{"GET shop.example/hero.png", "Sec-Fetch-Storage-Access", ""},
		{"GET ads.example/ad.png", "Sec-Fetch-Storage-Access", "active"},
		{"GET ads.example/open.png", "Sec-Fetch-Storage-Access", ""},
	} {
		if got := append(shop.fields[c.request].Values(c.field), ads.fields[c.request].Values(c.field)...); len(got) > 1 || len(got) == 1 && got[0] != c.want || len(got) == 0 && c.want != "" {
			t.Errorf("%s: %s: %q, want %q", c.request, c.field, got, c.want)
		}
	}
	for _, options := range []string{`{"cookies": "block-third-party"}`, `{"cookies": "partition"}`} {
		w.run(options, func(b *running) { b.browse("https://shop.example/") })
		if got := ads.fields["GET ads.example/ad.png"].Get("Sec-Fetch-Storage-Access"); got != "none" {
			t.Errorf("%s: Sec-Fetch-Storage-Access: %q", options, got)
		}
	}
}

// R13, R14: what a form leads to is asked for anew, and a browser without a cache says so too; a cookie without a name is kept.
func TestFieldsOfForms(t *testing.T) {
	for _, options := range []string{`{}`, `{"cache": false}`} {
		w := newWorld(t)
		var shop asked
		w.site("shop.example", shop.of(func(rw http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				http.Redirect(rw, r, "/done", http.StatusSeeOther)
				return
			}
			rw.Header().Set("Set-Cookie", "nameless")
			writePage(rw, `<link rel=icon href=data:,><form method=post><button>Go</button></form>`)
		}))
		w.run(options, func(b *running) {
			b.browse("https://shop.example/")
			result[*Result](b, "submit", `{}`)
			if got := result[*Result](b, "back", `{}`); got.URL != "https://shop.example/" {
				t.Errorf("%s: back leads to %s", options, got.URL)
			}
		})
		for request, want := range map[string]string{"POST shop.example/": "max-age=0", "GET shop.example/done": "max-age=0", "GET shop.example/": ""} {
			if got := shop.fields[request].Get("Cache-Control"); got != want {
				t.Errorf("%s, %s: Cache-Control: %q, want %q", options, request, got, want)
			}
		}
		if got := shop.fields["POST shop.example/"].Get("Cookie"); got != "nameless" {
			t.Errorf("%s: Cookie: %q", options, got)
		}
	}
}

// R16: where a page goes by itself no person has done anything; a player asks for a range; a page with a policy of its own is not looked
// through ahead.
func TestFieldsWithoutAPerson(t *testing.T) {
	w := newWorld(t)
	var shop asked
	w.site("shop.example", shop.of(files(map[string]string{
		"/": `<!doctype html><link rel=icon href=data:,><meta http-equiv=refresh content="0; url=/next">`,
		"/next": `<!doctype html><link rel=icon href=data:,><meta http-equiv=Content-Security-Policy content="img-src *"><body>
			<img src=/a.png><script src=/b.js></script><video src=/c.webm></video>`, "/a.png": "x", "/b.js": "1", "/c.webm": "x",
	})))
	w.run(`{}`, func(b *running) { b.browse("https://shop.example/") })
	for _, c := range []struct{ request, field, want string }{
		{"GET shop.example/", "Sec-Fetch-User", "?1"},
		{"GET shop.example/next", "Sec-Fetch-User", ""},
		{"GET shop.example/next", "Sec-Fetch-Site", "same-origin"},
		{"GET shop.example/a.png", "Priority", "i"},
		{"GET shop.example/b.js", "Priority", "u=1"},
		{"GET shop.example/c.webm", "Range", "bytes=0-"},
		{"GET shop.example/c.webm", "Accept-Encoding", "identity"},
	} {
		if got := shop.fields[c.request].Get(c.field); shop.fields[c.request] == nil || got != c.want {
			t.Errorf("%s: %s: %q, want %q", c.request, c.field, got, c.want)
		}
	}
}
