package browser

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"scenario/dnsd/stub"
	"scenario/event"
)

// R15, R16: a page over https, with HTTP/2 on one connection, and what distrust makes of it.
func TestHTTPS(t *testing.T) {
	w := newWorld(t)
	w.site("shop.example", files(map[string]string{
		"/": `<!doctype html><link rel=stylesheet href=/a.css><script src=/b.js></script><img src=/c.png>`, "/a.css": "h1 {}", "/b.js": "1", "/c.png": "x", "/favicon.ico": "x",
	}))
	w.run(`{}`, func(b *running) {
		got := b.browse("https://shop.example/")
		if got.Error != nil || got.Failed != 0 || got.Proto != "HTTP/2" || got.Connections != 1 || len(got.Requests) != 5 {
			t.Fatalf("got %+v", got)
		}
		for i, f := range got.Requests {
			if f.Connection != got.Requests[0].Connection || f.Proto != "HTTP/2" || f.Reused != (i > 0) || f.Type != "basic" {
				t.Errorf("%+v", f)
			}
		}
		if fetched(t, got, "https://shop.example/a.css").Priority != 0 || fetched(t, got, "https://shop.example/b.js").Priority != 1 {
			t.Error("priorities")
		}
		result[TrustResult](b, "distrust", `{}`)
		refused := b.browse("https://shop.example/")
		if refused.Error == nil || refused.Error.Phase != "tls" || refused.Error.Reason != "distrusted" || refused.Error.Meaning == "" {
			t.Errorf("distrusted: %+v", refused.Error)
		}
		result[TrustResult](b, "trust", `{}`)
		if again := b.browse("https://shop.example/"); again.Error != nil {
			t.Errorf("trusted again: %+v", again.Error)
		}
	})
	fetches := all[event.HTTPFetch](w)
	if len(fetches) < 5 || fetches[0].Page != "https://shop.example/" || fetches[0].Request == "" {
		t.Errorf("fetches %+v", fetches)
	}
	w.run(`{"http2": false}`, func(b *running) {
		if got := b.browse("https://shop.example/"); got.Proto != "HTTP/1.1" || got.Error != nil {
			t.Errorf("without HTTP/2: %+v", got)
		}
	})
}

// R15: a host that wants https is asked by it from then on, also by a browser that starts anew.
func TestHSTS(t *testing.T) {
	w := newWorld(t)
	w.site("shop.example", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Strict-Transport-Security", "max-age=3600; includeSubDomains")
		writePage(rw, "<link rel=icon href=data:,>"+r.Proto)
	})
	w.site("www.shop.example", files(map[string]string{"/": "<link rel=icon href=data:,>hello"}))
	w.run(`{}`, func(b *running) {
		if got := b.browse("http://shop.example/"); got.URL != "http://shop.example/" {
			t.Errorf("before: %s", got.URL) // what comes by http does not count
		}
		b.browse("https://shop.example/")
		for _, name := range []string{"shop.example", "www.shop.example"} {
			if got := b.browse(name); got.URL != "https://"+name+"/" || got.Error != nil {
				t.Errorf("%s: %s %+v", name, got.URL, got.Error)
			}
		}
	})
	upgrades := all[event.URLUpgrade](w)
	if len(upgrades) != 2 || upgrades[0] != (event.URLUpgrade{From: "http://shop.example/", To: "https://shop.example/", Reason: "hsts"}) {
		t.Errorf("upgrades %+v", upgrades)
	}
	w.run(`{}`, func(b *running) {
		if got := b.browse("shop.example"); got.URL != "https://shop.example/" {
			t.Errorf("a browser that starts anew: %s", got.URL)
		}
		time.Sleep(2 * time.Hour)
		if got := b.browse("www.shop.example"); got.URL != "http://www.shop.example/" {
			t.Errorf("later: %s", got.URL)
		}
	})
}

// R18
func TestMixedContentOfAPage(t *testing.T) {
	w := newWorld(t)
	w.site("shop.example", files(map[string]string{
		"/":        `<!doctype html><link rel=icon href=data:,><img src=http://cdn.example/a.png><script src=http://cdn.example/b.js></script><img srcset="http://cdn.example/c.png 1x">`,
		"/upgrade": `<!doctype html><meta http-equiv=Content-Security-Policy content="upgrade-insecure-requests"><link rel=icon href=data:,><script src=http://cdn.example/b.js></script>`,
	}))
	w.site("cdn.example", files(map[string]string{"/a.png": "x", "/b.js": "1", "/c.png": "x"}))
	w.run(`{}`, func(b *running) {
		got := b.browse("https://shop.example/")
		if f := fetched(t, got, "https://cdn.example/a.png"); f.Status != 200 {
			t.Errorf("the image: %+v", f)
		}
		if f := fetched(t, got, "http://cdn.example/b.js"); f.Blocked != "mixed-content" || f.Error.Phase != "blocked" || f.Status != 0 {
			t.Errorf("the script: %+v", f)
		}
		got = b.browse("https://shop.example/upgrade")
		if f := fetched(t, got, "https://cdn.example/b.js"); f.Status != 200 {
			t.Errorf("the script upgraded: %+v", f)
		}
	})
	blocks := all[event.PageBlock](w)
	if len(blocks) == 0 || blocks[0].Rule != "mixed-content" || blocks[0].URL != "http://cdn.example/b.js" || blocks[0].Reason == "" {
		t.Errorf("blocks %+v", blocks)
	}
}

// R14: compressed bodies are decoded, and a bomb is none for the rest of the page.
func TestCompression(t *testing.T) {
	w := newWorld(t)
	zip := func(rw http.ResponseWriter, kind string, write func(io.Writer)) {
		rw.Header().Set("Content-Type", kind)
		rw.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(rw)
		write(z)
		z.Close()
	}
	w.site("shop.example", func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			zip(rw, "text/html; charset=utf-8", func(z io.Writer) {
				io.WriteString(z, "<!doctype html><link rel=icon href=data:,><link rel=stylesheet href=/bomb.css><img src=/ok.png><p>"+strings.Repeat("hello ", 500))
			})
		case "/bomb.css":
			zip(rw, "text/css", func(z io.Writer) {
				zeros := make([]byte, 1<<20)
				for range 64 {
					z.Write(zeros)
				}
			})
		default:
			rw.Header().Set("Content-Type", "image/png")
			io.WriteString(rw, "x")
		}
	})
	w.run(`{}`, func(b *running) {
		got := b.browse("shop.example")
		page := got.Requests[0]
		if !strings.HasPrefix(got.Text, "hello hello") || page.Size >= page.Decoded || page.Decoded < 3000 {
			t.Errorf("the page: %q, %d bytes for %d", got.Text[:20], page.Size, page.Decoded)
		}
		if f := fetched(t, got, "http://shop.example/bomb.css"); f.Error == nil || !strings.Contains(f.Error.Message, "decompression bomb") || f.Error.Meaning == "" {
			t.Errorf("the bomb: %+v %+v", f, f.Error)
		}
		if f := fetched(t, got, "http://shop.example/ok.png"); f.Status != 200 || got.Failed != 1 {
			t.Errorf("the rest: %+v, %d failed", f, got.Failed)
		}
	})
}

// R14: the cache between visits, over a restart, with every decision told.
func TestCache(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	var asked []string
	w.site("shop.example", func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.URL.Path+" "+r.Header.Get("If-None-Match")+r.Header.Get("Cache-Control"))
		mu.Unlock()
		h := rw.Header()
		switch r.URL.Path {
		case "/":
			h.Set("Cache-Control", "no-store")
			writePage(rw, `<!doctype html><link rel=icon href=data:,><img src=/fresh.png><img src=/tagged.png><img src=/swr.png>`)
			return
		case "/fresh.png":
			h.Set("Cache-Control", "max-age=600")
		case "/tagged.png":
			h.Set("Cache-Control", "no-cache")
			h.Set("ETag", `"v1"`)
			if r.Header.Get("If-None-Match") == `"v1"` {
				rw.WriteHeader(http.StatusNotModified)
				return
			}
		case "/swr.png":
			h.Set("Cache-Control", "max-age=1, stale-while-revalidate=600")
			h.Set("ETag", `"v2"`)
		}
		h.Set("Content-Type", "image/png")
		io.WriteString(rw, "picture")
	})
	from := func(r *Result) string {
		var list []string
		for _, f := range r.Requests {
			list = append(list, f.URL[len("http://shop.example"):]+"="+f.From)
		}
		slices.Sort(list)
		return strings.Join(list, " ")
	}
	w.run(`{}`, func(b *running) {
		b.browse("shop.example")
		time.Sleep(10 * time.Second)
		asked = nil
		second := b.browse("shop.example")
		if got := from(second); got != "/=network /fresh.png=cache /swr.png=cache /swr.png=network /tagged.png=revalidated" || second.Cached != 3 || second.Failed != 0 {
			t.Errorf("second visit: %s, %d cached", got, second.Cached)
		}
		slices.Sort(asked)
		if got := strings.Join(asked, ", "); got != `/ , /swr.png "v2", /tagged.png "v1"` {
			t.Errorf("asked for %s", got)
		}
	})
	w.run(`{}`, func(b *running) {
		asked = nil
		if third := b.browse("shop.example"); third.Cached < 2 {
			t.Errorf("a browser that starts anew: %s", from(third))
		}
		asked = nil
		result[*Result](b, "browse", `{"url": "shop.example", "reload": "hard"}`)
		for _, a := range asked {
			if !strings.HasSuffix(a, " no-cache") {
				t.Errorf("a hard reload asks %q", a)
			}
		}
		if gone := result[CacheResult](b, "clear_cache", ``); gone.Removed != 3 {
			t.Errorf("removed %d", gone.Removed)
		}
		if got := b.browse("shop.example"); got.Cached != 0 {
			t.Errorf("after clear_cache: %s", from(got))
		}
	})
	results := map[string]int{}
	for _, e := range all[event.HTTPCache](w) {
		results[e.Result]++
		if e.Reason == "" {
			t.Errorf("no reason: %+v", e)
		}
	}
	for _, want := range []string{"hit", "stale", "revalidated", "miss", "stored", "not-stored"} {
		if results[want] == 0 {
			t.Errorf("no decision is %s: %v", want, results)
		}
	}
	w.run(`{"cache": false}`, func(b *running) {
		b.browse("shop.example")
		if got := b.browse("shop.example"); got.Cached != 0 {
			t.Errorf("without a cache: %s", from(got))
		}
	})
}

// R14: where the server fails, what it allowed to show in that case is shown.
func TestStaleIfError(t *testing.T) {
	w := newWorld(t)
	broken := false
	w.site("shop.example", func(rw http.ResponseWriter, r *http.Request) {
		if broken {
			http.Error(rw, "out of order", http.StatusServiceUnavailable)
			return
		}
		rw.Header().Set("Cache-Control", "max-age=1, stale-if-error=600")
		writePage(rw, "<link rel=icon href=data:,>hello")
	})
	w.run(`{}`, func(b *running) {
		b.browse("shop.example")
		broken = true
		time.Sleep(10 * time.Second)
		if got := b.browse("shop.example"); got.Text != "hello" || got.Status != 200 || got.Requests[0].From != "cache" {
			t.Errorf("got %q %d %+v", got.Text, got.Status, got.Requests[0])
		}
	})
}

// R1: what waits for what.
func TestMilestones(t *testing.T) {
	w := newWorld(t)
	w.site("shop.example", func(rw http.ResponseWriter, r *http.Request) {
		wait := map[string]time.Duration{"/async.js": 100, "/defer.js": 200, "/slow.png": 300, "/frame": 400, "/late.png": 500, "/icon.png": 900}
		time.Sleep(wait[r.URL.Path] * time.Millisecond)
		switch {
		case r.URL.Path == "/":
			writePage(rw, `<!doctype html><script async src=/async.js></script><script defer src=/defer.js></script><link rel=icon href=/icon.png>
				<img src=/slow.png><iframe src=/frame></iframe>`)
		case r.URL.Path == "/frame":
			writePage(rw, `<!doctype html><img src=/late.png>`)
		case strings.HasSuffix(r.URL.Path, ".js"):
			rw.Header().Set("Content-Type", "text/javascript")
		}
	})
	w.run(`{}`, func(b *running) {
		got := b.browse("shop.example").Milestones
		ms := func(s float64) int { return int(s*1000 + 0.5) }
		// The name takes 10 ms to look up.
		if ms(got.FirstByte) != 10 || ms(got.Parsed) != 10 || ms(got.DOMContentLoaded) != 210 || ms(got.Load) != 910 {
			t.Errorf("milestones %+v", got)
		}
	})
}

// R4: hints in early responses and in links.
func TestEarlyHints(t *testing.T) {
	w := newWorld(t)
	w.site("shop.example", func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			files(map[string]string{"/a.css": "h1 {}"})(rw, r)
			return
		}
		rw.Header().Add("Link", "</a.css>; rel=preload; as=style")
		rw.Header().Add("Link", "<https://cdn.example/>; rel=preconnect")
		rw.WriteHeader(http.StatusEarlyHints)
		time.Sleep(time.Second)
		writePage(rw, `<!doctype html><link rel=icon href=data:,><link rel=stylesheet href=/a.css><img src=https://cdn.example/a.png>`)
	})
	w.site("cdn.example", files(map[string]string{"/a.png": "x"}))
	w.run(`{}`, func(b *running) {
		got := b.browse("https://shop.example/")
		css := fetched(t, got, "https://shop.example/a.css")
		if len(got.Requests) != 3 || css.Start > 0.5 || css.Status != 200 {
			t.Errorf("%q, the style sheet at %v", urls(got), css.Start)
		}
		if f := fetched(t, got, "https://cdn.example/a.png"); !f.Reused && f.Connect > 0 {
			t.Errorf("the image had to connect: %+v", f)
		}
	})
	i := slices.IndexFunc(all[event.PageMilestone](w), func(m event.PageMilestone) bool { return m.Milestone == "early_hints" })
	if i < 0 {
		t.Error("no early hints are told")
	}
}

// R18: frames that must not be framed, types that are not what they should be.
func TestBlocked(t *testing.T) {
	w := newWorld(t)
	w.site("pay.example", func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/deny":
			rw.Header().Set("X-Frame-Options", "DENY")
		case "/csp":
			rw.Header().Set("Content-Security-Policy", "frame-ancestors https://other.example")
		case "/corp.png":
			rw.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
			rw.Header().Set("Content-Type", "image/png")
		}
		writePage(rw, "<p>pay here")
	})
	w.site("shop.example", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("X-Content-Type-Options", "nosniff")
		writePage(rw, `<!doctype html><link rel=icon href=data:,><iframe src=https://pay.example/deny></iframe><iframe src=https://pay.example/csp></iframe>
			<iframe src=https://pay.example/fine></iframe><script src=/script.html></script><img src=https://pay.example/corp.png>
			<script src=/wrong.js integrity=sha256-AAAA></script><iframe srcdoc="<p>inside</p><img src=/in.png>"></iframe>`)
	})
	w.run(`{}`, func(b *running) {
		got := b.browse("https://shop.example/")
		for url, rule := range map[string]string{
			"https://pay.example/deny": "x-frame-options", "https://pay.example/csp": "frame-ancestors", "https://pay.example/fine": "",
			"https://shop.example/script.html": "nosniff", "https://pay.example/corp.png": "cross-origin-resource-policy", "https://shop.example/wrong.js": "nosniff",
		} {
			if f := fetched(t, got, url); f.Blocked != rule {
				t.Errorf("%s: %q, want %q", url, f.Blocked, rule)
			}
		}
		if got.Text != "pay here\ninside" {
			t.Errorf("text %q", got.Text)
		}
		fetched(t, got, "https://shop.example/in.png")
	})
	if n := len(all[event.PageBlock](w)); n != 5 {
		t.Errorf("%d blocks are told", n)
	}
}

// R18: fonts and modules of another origin need its consent.
func TestCORSOfAPage(t *testing.T) {
	w := newWorld(t)
	w.site("shop.example", files(map[string]string{
		"/": `<!doctype html><link rel=icon href=data:,><style>@font-face { font-family: A; src: url(https://cdn.example/open.woff2) } @font-face { font-family: B; src: url(https://cdn.example/shut.woff2) }
			h1 { font-family: A } p { font-family: B }</style><h1>one</h1><p>two</p><script type=module src=https://cdn.example/open.js></script>
			<script src=https://cdn.example/plain.js></script>`,
	}))
	w.site("cdn.example", func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/open") {
			rw.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
		}
		files(map[string]string{"/open.woff2": "x", "/shut.woff2": "x", "/open.js": "1", "/plain.js": "1"})(rw, r)
	})
	w.run(`{}`, func(b *running) {
		got := b.browse("https://shop.example/")
		for path, want := range map[string]string{"open.woff2": "cors ", "shut.woff2": "cors cors", "open.js": "cors ", "plain.js": "opaque "} {
			if f := fetched(t, got, "https://cdn.example/"+path); f.Type+" "+f.Blocked != want {
				t.Errorf("%s: %s %q", path, f.Type, f.Blocked)
			}
		}
	})
	if checks := all[event.CORSCheck](w); len(checks) != 3 || checks[0].Origin != "https://shop.example" {
		t.Errorf("checks %+v", checks)
	}
}

// R1: a page that asks to be replaced.
func TestRefresh(t *testing.T) {
	w := newWorld(t)
	w.site("shop.example", func(rw http.ResponseWriter, r *http.Request) {
		var n int
		switch fmt.Sscanf(r.URL.Path, "/loop%d", &n); {
		case r.URL.Path == "/old":
			writePage(rw, `<link rel=icon href=data:,><meta http-equiv=refresh content="2; url=/new">moved`)
		case n > 0:
			writePage(rw, fmt.Sprintf(`<link rel=icon href=data:,><meta http-equiv=refresh content="0; url=/loop%d">%d`, n+1, n))
		default:
			writePage(rw, `<link rel=icon href=data:,><meta http-equiv=refresh content="1">new`)
		}
	})
	w.run(`{}`, func(b *running) {
		if got := b.browse("shop.example/old"); got.URL != "http://shop.example/new" || got.Text != "new" || got.Redirects != 1 || got.Duration < 2 {
			t.Errorf("got %s %q %v", got.URL, got.Text, got.Duration)
		}
		if got := b.browse("shop.example/loop1"); got.Text != "6" || got.Redirects != maxRefreshes {
			t.Errorf("a loop ends with %q", got.Text)
		}
	})
}

// services is a resolver that knows HTTPS records.
type services struct{ *world }

// Resolve hands over an address and, for shop.example, that it is to be had over https.
func (s services) Resolve(ctx context.Context, name string, want stub.Want) *stub.Lookup {
	parts := make(chan stub.Part, 2)
	if want.Services {
		part := stub.Part{Name: name + ".", Type: dns.TypeHTTPS, Err: &stub.Error{Name: name, NotFound: true}}
		if name == "shop.example" {
			part = stub.Part{Name: name + ".", Type: dns.TypeHTTPS, Services: []stub.Service{{Priority: 1, Target: name + ".", ALPN: []string{"h2"}}}}
		}
		parts <- part
	}
	answer, err := s.Lookup(ctx, name)
	parts <- stub.Part{Name: name + ".", Type: dns.TypeA, Addrs: answer.Addrs, Err: err}
	close(parts)
	return &stub.Lookup{Parts: parts}
}

// R2: where the DNS says that a host speaks https, a page that was asked for by http comes by https.
func TestHTTPSRecord(t *testing.T) {
	w := newWorld(t)
	w.site("shop.example", files(map[string]string{"/": `<link rel=icon href=data:,><img src=http://cdn.example/a.png>`}))
	w.site("cdn.example", files(map[string]string{"/a.png": "x"}))
	w.resolver = services{w}
	w.run(`{}`, func(b *running) {
		got := b.browse("shop.example")
		if got.URL != "https://shop.example/" || got.Status != 200 || got.Proto != "HTTP/2" || len(got.Requests) != 2 {
			t.Errorf("got %s %d %s %q", got.URL, got.Status, got.Proto, urls(got))
		}
	})
	if upgrades := all[event.URLUpgrade](w); len(upgrades) != 2 || upgrades[0].Reason != "https-record" || upgrades[1].Reason != "mixed-content" {
		t.Errorf("upgrades %+v", upgrades)
	}
	w.run(`{"https_records": false}`, func(b *running) {
		if got := b.browse("shop.example"); got.URL != "http://shop.example/" {
			t.Errorf("without HTTPS records: %s", got.URL)
		}
	})
}
