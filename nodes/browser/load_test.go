package browser

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scenario/event"
)

// R1: the whole procedure in its order.
func TestProcedure(t *testing.T) {
	w := newWorld(t)
	w.serve("shop.example", map[string]handler{
		"/":          slowly(100*time.Millisecond, `<link rel=stylesheet href=/style.css><title> My  shop</title>`, `<h1>Welcome</h1>`),
		"/style.css": asset("h1 {}"),
	})
	w.run(`{}`, func(b *running) {
		got := b.browse("shop.example")
		want := &Result{URL: "http://shop.example/", Status: 200, Title: "My shop", Text: "Welcome", Connections: 2, Lookups: 1, Duration: 0.11}
		if got.URL != want.URL || got.Status != want.Status || got.Title != want.Title || got.Text != want.Text ||
			got.Connections != want.Connections || got.Lookups != want.Lookups || !near(got.Duration, 110) || got.Failed != 0 || got.Error != nil {
			t.Errorf("got %+v", got)
		}
		if want := []string{"http://shop.example/", "http://shop.example/style.css", "http://shop.example/favicon.ico"}; !slices.Equal(urls(got), want) {
			t.Errorf("requests %q, want %q", urls(got), want)
		}
	})
	var milestones []string
	for _, m := range all[event.PageMilestone](w) {
		milestones = append(milestones, fmt.Sprintf("%s %.2f %s", m.Milestone, m.Since, m.Detail))
	}
	if diff := cmp.Diff([]string{"url 0.00 port 80, the default of http", "first_byte 0.01 status 200", "parsed 0.11 ", "dom_content_loaded 0.11 ", "load 0.11 "}, milestones); diff != "" {
		t.Errorf("milestones (-want +got):\n%s", diff)
	}
	// The tree: what the page's request and its style sheet's led to.
	var tree []string
	for _, r := range w.Records() {
		switch r.Event {
		case "page.milestone", "page.load", "socket.close", "http.cache":
			continue
		}
		if url, _ := r.Attrs["url"].(string); !strings.HasSuffix(url, "favicon.ico") {
			tree = append(tree, fmt.Sprintf("%s %s<%s", r.Event, r.ID(), r.Parent()))
		}
	}
	want := []string{
		"socket.connect <step/1.1",
		"http.request step/1.2<step/1.1",
		"html.asset step/1.3<step/1.1",
		"socket.connect <step/1.3",
		"http.request step/1.4<step/1.3",
		"http.response <step/1.4",
		"http.fetch <step/1.3",
		"http.response <step/1.2",
		"http.fetch <step/1.1",
	}
	if diff := cmp.Diff(want, tree); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	closes := all[event.SocketClose](w)
	if len(closes) != 2 || closes[0].Reason != "page complete" || closes[0].By != "local" || closes[0].Received == 0 {
		t.Errorf("closed: %+v", closes)
	}
	last := w.Records()[len(w.Records())-1]
	if sum, ok := event.As[event.PageLoad](last); !ok || sum.Requests != 3 || sum.Title != "My shop" || sum.Bytes == 0 {
		t.Errorf("the last event is %+v", last)
	}
}

// R1, R4: assets are requested while the page is still arriving.
func TestAssetsWhileThePageArrives(t *testing.T) {
	w := newWorld(t)
	first := `<link rel=stylesheet href=a.css><script src=b.js></script>` + strings.Repeat("<p>text</p>", 10)
	w.serve("shop.example", map[string]handler{
		"/":      slowly(time.Second, first, `<img src=c.png>`, `<p>end</p>`),
		"/a.css": asset(""), "/b.js": asset(""), "/c.png": asset("x"), "/favicon.ico": asset("x"),
	})
	var got *Result
	w.run(`{}`, func(b *running) { got = b.browse("http://shop.example/") })
	assets := all[event.HTMLAsset](w)
	if len(assets) != 4 {
		t.Fatalf("assets %+v", assets)
	}
	for i, want := range []struct {
		url         string
		destination string
		bytes       int64
		complete    bool
		start       int // ms
	}{
		{"http://shop.example/a.css", "style", int64(len(first)), false, 10},
		{"http://shop.example/b.js", "script", int64(len(first)), false, 10},
		{"http://shop.example/c.png", "image", int64(len(first)) + 15, false, 1010},
		{"http://shop.example/favicon.ico", "icon", int64(len(first)) + 25, true, 2010},
	} {
		a := assets[i]
		f := fetched(t, got, want.url)
		if a.URL != want.url || a.Destination != want.destination || a.PageBytes != want.bytes || a.Complete != want.complete || !near(f.Start, want.start) {
			t.Errorf("asset %d: %+v at %v, want %+v", i, a, f.Start, want)
		}
	}
	if f := fetched(t, got, "http://shop.example/b.js"); f.Duration > 0.5 {
		t.Errorf("the script took %v s: it waited for the page", f.Duration)
	}
}

// R4: six connections an origin, reused; style sheets and scripts before images.
func TestSixConnections(t *testing.T) {
	w := newWorld(t)
	pages := map[string]handler{}
	var body strings.Builder
	for i := range 20 {
		name := fmt.Sprintf("/%d.png", i)
		fmt.Fprintf(&body, "<img src=%s>", name)
		pages[name] = after(100*time.Millisecond, asset("x"))
	}
	body.WriteString("<link rel=stylesheet href=/late.css><script src=/late.js></script>")
	pages["/late.css"], pages["/late.js"], pages["/favicon.ico"] = asset("x"), asset("x"), asset("x")
	pages["/"] = markup(body.String())
	w.serve("shop.example", pages)
	var got *Result
	w.run(`{}`, func(b *running) { got = b.browse("shop.example") })
	if most := w.most["198.51.100.10:80"]; most != 6 || got.Connections != 6 || got.Lookups != 1 {
		t.Errorf("%d connections at a time, %d in all, %d lookups", most, got.Connections, got.Lookups)
	}
	reused := 0
	for _, f := range got.Requests {
		if f.Reused {
			reused++
		}
	}
	if reused != len(got.Requests)-6 {
		t.Errorf("%d of %d requests reused a connection", reused, len(got.Requests))
	}
	// The page's own connection takes the first of the queue at once, the others after 100 ms.
	for _, url := range []string{"http://shop.example/late.css", "http://shop.example/late.js"} {
		if f := fetched(t, got, url); f.Duration > 0.15 {
			t.Errorf("%s took %v s: it waited behind images", url, f.Duration)
		}
	}
	if f := fetched(t, got, "http://shop.example/19.png"); !near(f.Duration, 400) {
		t.Errorf("the last image took %v s", f.Duration)
	}
}

// R4: a slow asset and missing ones hold up nothing else.
func TestSlowAndMissingAssets(t *testing.T) {
	w := newWorld(t)
	w.serve("shop.example", map[string]handler{
		"/": markup(`<img src=slow.png><img src=gone.png><img src=http://refused.example/a.png>
			<img src=http://nowhere.example/b.png><img src=https://shop.example/c.png><img src=ok.png><p>Hello`),
		"/slow.png": after(5*time.Second, asset("x")),
		"/ok.png":   asset("x"),
	})
	w.names["refused.example"] = []netip.Addr{netip.MustParseAddr("198.51.100.99")}
	w.run(`{}`, func(b *running) {
		got := b.browse("shop.example")
		if got.Text != "Hello" || got.Error != nil || got.Failed != 4 || !near(got.Duration, 5010) {
			t.Errorf("got %+v", got)
		}
		if f := fetched(t, got, "http://shop.example/ok.png"); f.Status != 200 || f.Duration > 0.5 {
			t.Errorf("ok.png: %+v", f)
		}
		if f := fetched(t, got, "http://shop.example/gone.png"); f.Status != 404 || f.Error != nil {
			t.Errorf("gone.png: %+v", f)
		}
		for url, phase := range map[string]string{
			"http://refused.example/a.png": "connect", "http://nowhere.example/b.png": "lookup", "https://shop.example/c.png": "connect",
		} {
			if f := fetched(t, got, url); f.Error == nil || f.Error.Phase != phase {
				t.Errorf("%s: %+v", url, f.Error)
			}
		}
	})
}

// R4
func TestRedirects(t *testing.T) {
	w := newWorld(t)
	to := func(code int, location string) handler { return status(code, "Location: "+location, "moved") }
	w.serve("shop.example", map[string]handler{
		"/old":       to(301, "/older?a=1"),
		"/older?a=1": to(308, "http://www.shop.example/new#part"),
		"/loop":      to(302, "/loop"),
		"/half":      status(302, "", "<p>nowhere to go"),
	})
	w.serve("www.shop.example", map[string]handler{
		"/new": markup(`<img src=/moved.png>`), "/moved.png": to(307, "http://shop.example/gone.png"),
	})
	w.run(`{}`, func(b *running) {
		got := b.browse("shop.example/old")
		if got.URL != "http://www.shop.example/new#part" || got.Redirects != 2 || got.Status != 200 || got.Error != nil {
			t.Errorf("got %+v", got)
		}
		if f := fetched(t, got, "http://shop.example/gone.png"); f.Status != 404 || got.Failed != 1 {
			t.Errorf("the moved image: %+v, failed %d", f, got.Failed)
		}
		if n := len(all[event.PageMilestone](w)); n != 7 {
			t.Errorf("%d milestones, want url, redirect, redirect, first_byte, parsed, dom_content_loaded, load", n)
		}
		loop := b.browse("shop.example/loop")
		if loop.Error == nil || loop.Error.Message != "more than 20 redirects" || loop.Redirects != 20 || len(loop.Requests) != 21 || loop.Connections != 1 {
			t.Errorf("loop: %+v %+v", loop, loop.Error)
		}
		if half := b.browse("shop.example/half"); half.Status != 302 || half.Text != "nowhere to go" {
			t.Errorf("a redirect to nowhere: %+v", half)
		}
	})
}

// R2, R3: a page that cannot be loaded is a result.
func TestFailures(t *testing.T) {
	for _, test := range []struct {
		name, url string
		set       func(*world)
		want      Failure
		took      int // ms
	}{
		{
			"no such name", "nowhere.example", nil,
			Failure{Phase: "lookup", RCode: "NXDOMAIN", Meaning: "no such name exists, or it has no address"}, 10,
		}, {
			"refused", "shop.example:81", nil,
			Failure{Phase: "connect", Errno: "ECONNREFUSED", Meaning: "the machine answered that nothing listens on this port"}, 10,
		}, {
			"no route", "10.9.0.1", func(w *world) { w.net.NoRoute("10.9.0.1") },
			Failure{Phase: "connect", Errno: "ENETUNREACH", Meaning: "no route leads from here to this network"}, 0,
		}, {
			"no host", "shop.example", func(w *world) { clear(w.servers) },
			Failure{Phase: "connect", Errno: "EHOSTUNREACH"}, 10,
		}, {
			"silence", "shop.example", func(w *world) { w.net.Silence("198.51.100.10") },
			Failure{Phase: "connect", Errno: "ETIMEDOUT"}, 10010,
		}, {
			"no answer", "shop.example", func(w *world) {
				w.serve("shop.example", map[string]handler{"/": after(time.Minute, markup(""))})
			},
			Failure{Phase: "response", Errno: "ETIMEDOUT", Message: "not done within 25s"}, 25000,
		}, {
			"half an answer", "shop.example", func(w *world) {
				w.serve("shop.example", map[string]handler{"/": slowly(time.Minute, "<p>half", "<p>rest")})
			},
			Failure{Phase: "response", Errno: "ETIMEDOUT", Message: "not done within 25s"}, 25000,
		}, {
			"closed at once", "shop.example", func(w *world) {
				w.serve("shop.example", map[string]handler{"/": func(net.Conn, *http.Request) bool { return false }})
			},
			Failure{Phase: "response", Message: "no response from 198.51.100.10:80: EOF", Meaning: "the other end closed the connection"}, 10,
		}, {
			"cut short", "shop.example", func(w *world) {
				w.serve("shop.example", map[string]handler{"/": func(c net.Conn, _ *http.Request) bool {
					fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<p>start")
					return false
				}})
			},
			Failure{Phase: "response", Message: "response from 198.51.100.10:80: the response ended early: 8 of 100 bytes came: unexpected EOF"}, 10,
		}, {
			"no http", "shop.example", func(w *world) {
				w.serve("shop.example", map[string]handler{"/": func(c net.Conn, _ *http.Request) bool {
					fmt.Fprint(c, "220 mail.example\r\n\r\n")
					return true
				}})
			},
			Failure{Phase: "response"}, 10,
		}, {
			"endless head", "shop.example", func(w *world) {
				w.serve("shop.example", map[string]handler{"/": func(c net.Conn, _ *http.Request) bool {
					fmt.Fprint(c, "HTTP/1.1 200 OK\r\nX: ")
					for {
						if _, err := fmt.Fprint(c, strings.Repeat("x", 4096)); err != nil {
							return false
						}
					}
				}})
			},
			Failure{Phase: "response", Message: "response from 198.51.100.10:80: the head of the response is longer than 256 KiB"}, 10,
		}, {
			"endless page", "shop.example", func(w *world) {
				w.serve("shop.example", map[string]handler{"/": func(c net.Conn, _ *http.Request) bool {
					fmt.Fprint(c, "HTTP/1.1 200 OK\r\n\r\n")
					for {
						if _, err := fmt.Fprint(c, strings.Repeat("x", 1<<16)); err != nil {
							return false
						}
					}
				}})
			},
			Failure{Phase: "response", Message: "response from 198.51.100.10:80: the document is larger than 16 MiB"}, 10,
		}, {
			"coded in a way of its own", "shop.example", func(w *world) {
				w.serve("shop.example", map[string]handler{"/": status(200, "Content-Encoding: compress", "x")})
			},
			Failure{Phase: "response", Message: "response from 198.51.100.10:80: the body is coded as compress, which was not offered"}, 10,
		},
		{"https", "https://shop.example", nil, Failure{Phase: "connect", Errno: "ECONNREFUSED", Meaning: "the machine answered that nothing listens on this port"}, 10},
		{"no address", "two words", nil, Failure{Phase: "url", Message: `"two words" is no address: it has a space in it`}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.serve("shop.example", nil)
			if test.set != nil {
				test.set(w)
			}
			var got *Result
			w.run(`{}`, func(b *running) { got = b.browse(test.url) })
			if got.Error == nil {
				t.Fatalf("no error: %+v", got)
			}
			want, have := test.want, *got.Error
			if want.Message == "" {
				have.Message = ""
			}
			if want.Meaning == "" {
				have.Meaning = ""
			}
			if diff := cmp.Diff(want, have); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if !near(got.Duration, test.took) {
				t.Errorf("took %v s, want %d ms", got.Duration, test.took)
			}
			if want.Phase == "connect" && want.Errno != "" {
				if events := all[event.SocketError](w); len(events) != 1 || events[0].Errno != want.Errno || events[0].Meaning == "" {
					t.Errorf("socket errors: %+v", events)
				}
			}
			loads := all[event.PageLoad](w)
			if len(loads) != 1 || loads[0].Error == "" {
				t.Errorf("page loads: %+v", loads)
			}
		})
	}
}

// R3, R35: the addresses of a name are tried in order.
func TestNextAddress(t *testing.T) {
	w := newWorld(t)
	w.serve("shop.example", map[string]handler{"/": markup("<p>here")})
	w.names["shop.example"] = []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("198.51.100.98"), shopAddr}
	w.net.Host("empty", "198.51.100.98")
	w.run(`{}`, func(b *running) {
		if got := b.browse("shop.example"); got.Text != "here" || got.Error != nil {
			t.Errorf("got %+v", got)
		}
		w.shut("198.51.100.10:80")
		got := b.browse("shop.example")
		if got.Error == nil || got.Error.Errno != "ECONNREFUSED" || got.Requests[0].Remote != "198.51.100.98:80" {
			t.Errorf("the telling error is the first that is no missing route: %+v", got.Error)
		}
	})
}

// R2: the second visit asks fewer questions.
func TestSecondVisit(t *testing.T) {
	w := newWorld(t)
	w.serve("shop.example", map[string]handler{"/": markup("<img src=http://cdn.example/a.png>")})
	w.serve("cdn.example", map[string]handler{"/a.png": asset("x")})
	w.run(`{}`, func(b *running) {
		first, second := b.browse("shop.example"), b.browse("shop.example")
		if first.Lookups != 2 || second.Lookups != 0 || !second.Requests[0].CachedLookup {
			t.Errorf("%d lookups, then %d", first.Lookups, second.Lookups)
		}
		if !slices.Equal(w.asked, []string{"shop.example", "cdn.example"}) {
			t.Errorf("asked for %q", w.asked)
		}
	})
}

// R11: connections that are kept are used again, and a server's close in between does no harm.
func TestKeptConnections(t *testing.T) {
	w := newWorld(t)
	served := 0
	w.serve("shop.example", map[string]handler{"/": func(c net.Conn, r *http.Request) bool {
		served++
		markup("<link rel=icon href=data:,>hello")(c, r)
		return served != 2
	}})
	w.run(`{"keep_connections": true}`, func(b *running) {
		first, second := b.browse("shop.example"), b.browse("shop.example")
		synctest.Wait() // the server's end of the connection is known
		third := b.browse("shop.example")
		if first.Connections != 1 || second.Connections != 0 || !second.Requests[0].Reused {
			t.Errorf("first %+v, second %+v", first, second)
		}
		if third.Connections != 1 || third.Text != "hello" {
			t.Errorf("third %+v", third)
		}
	})
	closes := all[event.SocketClose](w)
	if len(closes) != 2 || closes[0].By != "remote" || closes[1].Reason != "the browser was closed" {
		t.Errorf("closed: %+v", closes)
	}
}

// R11: a connection that the server closes just when it is used again is replaced by another.
func TestStaleConnection(t *testing.T) {
	w := newWorld(t)
	served := 0
	w.serve("shop.example", map[string]handler{
		"/": markup("<link rel=icon href=data:,>hello"),
		"/again": func(c net.Conn, r *http.Request) bool {
			served++
			return served > 1 && markup("<link rel=icon href=data:,>again")(c, r)
		},
	})
	w.run(`{"keep_connections": true}`, func(b *running) {
		b.browse("shop.example")
		got := b.browse("shop.example/again")
		if got.Text != "again" || got.Error != nil || got.Connections != 1 || got.Failed != 0 {
			t.Errorf("got %+v", got)
		}
	})
}

// R11: a response may end its connection.
func TestShortConnections(t *testing.T) {
	w := newWorld(t)
	w.serve("shop.example", map[string]handler{
		"/": func(c net.Conn, _ *http.Request) bool {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/html\r\n\r\n<img src=a.png>until the end")
			return false
		},
		"/a.png":       status(200, "Connection: close", "x"),
		"/favicon.ico": func(c net.Conn, r *http.Request) bool { asset("")(c, r); return false },
	})
	w.run(`{}`, func(b *running) {
		got := b.browse("shop.example")
		if got.Text != "until the end" || got.Failed != 0 || got.Connections != 3 {
			t.Errorf("got %+v", got)
		}
	})
	if n := len(all[event.SocketClose](w)); n != 3 {
		t.Errorf("%d connections closed, want 3", n)
	}
}

// R9: the raw view is what was on the wire.
func TestRawView(t *testing.T) {
	w := newWorld(t)
	w.serve("shop.example", map[string]handler{
		"/": func(c net.Conn, _ *http.Request) bool {
			fmt.Fprint(c, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/html\r\n\r\n")
			fmt.Fprint(c, "2a\r\n<link rel=icon href=data:,><img src=i.png>\r\n0\r\n\r\n")
			return true
		},
		"/i.png": status(200, "Content-Type: image/png", "\x89PNG\x00\x01"),
	})
	w.run(`{"user_agent": "test", "log_body": 40}`, func(b *running) { b.browse("shop.example") })
	requests := all[event.HTTPRequest](w)
	responses := map[string]event.HTTPResponse{}
	for _, r := range all[event.HTTPResponse](w) {
		responses[r.URL] = r
	}
	want := "GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\nUser-Agent: test\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/jxl,image/avif,image/webp,image/apng,*/*;q=0.8," +
		"application/signed-exchange;v=b3;q=0.7\r\n" +
		"Accept-Encoding: gzip, deflate\r\nAccept-Language: en\r\n\r\n"
	if requests[0].Raw != want {
		t.Errorf("request %q", requests[0].Raw)
	}
	if !strings.Contains(requests[1].Raw, "Referer: http://shop.example/\r\n") {
		t.Errorf("image's request %q", requests[1].Raw)
	}
	head := "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/html\r\n\r\n"
	if r := responses["http://shop.example/"]; r.Raw != head+"2a\r\n<link rel=icon href=data:,><img src=" || r.Truncated != 13 || r.Size != 42 {
		t.Errorf("response %q, %d left out, size %d", r.Raw, r.Truncated, r.Size)
	}
	if r := responses["http://shop.example/i.png"]; !strings.HasSuffix(r.Raw, "\r\n\r\n") || r.RawBase64 != "iVBORwAB" {
		t.Errorf("image %q %q", r.Raw, r.RawBase64)
	}
}

// R5, R6
func TestCookies(t *testing.T) {
	for _, test := range []struct {
		name, options string
		tracked       string // Cookie field that the tracker gets on the second site
	}{
		{"strict", `{}`, ""},
		{"loose", `{"default_same_site": "none"}`, "id=7"},
		{"blocked", `{"default_same_site": "none", "cookies": "block-third-party"}`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			var tracked, login []string
			w.serve("ads.example", map[string]handler{"/ad.png": func(c net.Conn, r *http.Request) bool {
				tracked = append(tracked, r.Header.Get("Cookie"))
				return status(200, "Set-Cookie: id=7; Max-Age=3600", "ad")(c, r)
			}})
			shop := func(c net.Conn, r *http.Request) bool {
				login = append(login, r.Header.Get("Cookie"))
				return status(200, "Content-Type: text/html\nSet-Cookie: login=ann; Max-Age=60\nSet-Cookie: tab=1", "<img src=http://ads.example/ad.png>")(c, r)
			}
			w.serve("shop.example", map[string]handler{"/": shop})
			w.serve("books.example", map[string]handler{"/": shop})
			w.run(test.options, func(b *running) {
				first := b.browse("shop.example")
				if !fetched(t, first, "http://ads.example/ad.png").ThirdParty || first.Requests[0].ThirdParty {
					t.Error("third parties are not told from the first")
				}
				second := b.browse("books.example")
				if len(second.CookiesSent) != 0 {
					t.Errorf("books.example got %q", second.CookiesSent)
				}
				third := b.browse("shop.example")
				if !slices.Equal(third.CookiesSent, []string{"login", "tab"}) {
					t.Errorf("shop.example got %q", third.CookiesSent)
				}
				time.Sleep(2 * time.Minute)
				b.browse("shop.example")
			})
			if got := tracked[1]; got != test.tracked {
				t.Errorf("the tracker got %q, want %q", got, test.tracked)
			}
			if want := []string{"", "", "login=ann; tab=1", "tab=1"}; !slices.Equal(login, want) {
				t.Errorf("the shops got %q, want %q", login, want)
			}
			if blocks := all[event.CookieBlock](w); (len(blocks) > 0) == (test.tracked != "") {
				t.Errorf("blocked: %+v", blocks)
			}
			changes := map[string]int{}
			for _, c := range all[event.CookieStore](w) {
				changes[c.Domain+" "+c.Name+" "+c.Change]++
			}
			if changes["shop.example login new"] != 2 || changes["shop.example login replaced"] != 1 || changes["shop.example login expired"] != 1 {
				t.Errorf("changes: %v", changes)
			}
		})
	}
}

// R6: the jar is stored in a file between visits, without what ends with the browser.
func TestCookieFile(t *testing.T) {
	w := newWorld(t)
	w.serve("shop.example", map[string]handler{"/": status(200, "Set-Cookie: login=ann; Max-Age=600\nSet-Cookie: tab=1", "hello")})
	w.run(`{}`, func(b *running) { b.browse("shop.example") })
	if text := string(w.files["cookies.json"]); !strings.Contains(text, `"name": "login"`) || !strings.Contains(text, `"name": "tab"`) {
		t.Errorf("cookies.json:\n%s", text)
	}
	w.run(`{}`, func(b *running) {
		jar, err := b.do("cookies", `{}`)
		if err != nil {
			t.Fatal(err)
		}
		if list := jar.(CookiesResult).Cookies; len(list) != 1 || list[0].Name != "login" {
			t.Errorf("restored %+v", list)
		}
		gone, err := b.do("clear_cookies", ``)
		if err != nil {
			t.Fatal(err)
		}
		if list := gone.(CookiesResult).Cookies; len(list) != 1 {
			t.Errorf("cleared %+v", list)
		}
	})
	if text := string(w.files["cookies.json"]); strings.Contains(text, "login") {
		t.Errorf("cookies.json after clear_cookies:\n%s", text)
	}
	w.files["cookies.json"] = []byte("{")
	w.run(`{}`, func(b *running) { b.browse("shop.example") })
	if lines := all[event.LogLine](w); len(lines) != 1 || lines[0].Message != "the cookie jar was not read" {
		t.Errorf("a broken file is told by %+v", lines)
	}
}

// R4, R7: frames, style sheets that import others, fonts.
func TestNestedAssets(t *testing.T) {
	w := newWorld(t)
	w.serve("shop.example", map[string]handler{
		"/":           markup(`<base href=/sub/><link rel=stylesheet href=a.css><iframe src=frame.html></iframe><iframe src=/></iframe><p>after`),
		"/sub/a.css":  asset(`@import "b.css"; body { background: url(bg.png); font-family: F }`),
		"/sub/b.css":  asset(`@import url(a.css); @font-face { font-family: F; src: url(f.woff2), url(f.woff) }`),
		"/sub/bg.png": asset("x"), "/sub/f.woff2": asset("x"),
		"/sub/frame.html": markup(`<p>in the frame<img src=in.png><iframe src=frame.html></iframe>`),
		"/sub/in.png":     asset("x"),
	})
	var got *Result
	w.run(`{}`, func(b *running) { got = b.browse("shop.example") })
	if got.Failed != 0 || got.Text != "in the frame\nafter" {
		t.Errorf("text %q, requests %q", got.Text, urls(got))
	}
	for url, want := range map[string][2]string{
		"http://shop.example/sub/bg.png":  {"image", "http://shop.example/sub/a.css"},
		"http://shop.example/sub/b.css":   {"style", "http://shop.example/sub/a.css"},
		"http://shop.example/sub/f.woff2": {"font", "http://shop.example/sub/b.css"},
		"http://shop.example/sub/in.png":  {"image", "http://shop.example/sub/frame.html"},
	} {
		if f := fetched(t, got, url); f.Destination != want[0] || f.Initiator != want[1] {
			t.Errorf("%s: %s from %s", url, f.Destination, f.Initiator)
		}
	}
	if len(got.Requests) != 8 {
		t.Errorf("requests %q", urls(got))
	}
	if !strings.Contains(got.DOM, "#document http://shop.example/sub/frame.html") {
		t.Errorf("DOM:\n%s", got.DOM)
	}
}

func TestTooManyAssets(t *testing.T) {
	w := newWorld(t)
	var body strings.Builder
	for i := range 600 {
		fmt.Fprintf(&body, "<img src=%d.png>", i)
	}
	w.serve("shop.example", map[string]handler{"/": markup(body.String())})
	w.run(`{}`, func(b *running) {
		if got := b.browse("shop.example"); len(got.Requests) != maxAssets || got.Skipped != 102 {
			t.Errorf("%d requests, %d skipped", len(got.Requests), got.Skipped)
		}
	})
}

func TestOtherDocuments(t *testing.T) {
	w := newWorld(t)
	w.serve("shop.example", map[string]handler{
		"/text":   status(200, "Content-Type: text/plain; charset=iso-8859-1", "caf\xe9 <b>"),
		"/png":    status(200, "Content-Type: image/png", "\x89PNG"),
		"/latin":  status(200, "Content-Type: text/html; charset=windows-1252", "<p>caf\xe9"),
		"/empty":  func(c net.Conn, _ *http.Request) bool { fmt.Fprint(c, "HTTP/1.1 204 No Content\r\n\r\n"); return true },
		"/deeply": markup(strings.Repeat("<div>", 600)),
	})
	w.run(`{}`, func(b *running) {
		for path, want := range map[string]string{"text": "café <b>", "png": "", "latin": "café", "empty": ""} {
			if got := b.browse("shop.example/" + path); got.Text != want || got.Error != nil {
				t.Errorf("%s: %q %+v", path, got.Text, got.Error)
			}
		}
		if got := b.browse("shop.example/deeply"); got.Error != nil || !strings.Contains(got.DOM, "<div>") {
			t.Errorf("a page that is nested too deeply: %+v", got)
		}
	})
}

// An action that is called off, and the end of the browser, stop a page load.
func TestStopped(t *testing.T) {
	w := newWorld(t)
	w.serve("shop.example", map[string]handler{"/": after(time.Hour, markup(""))})
	outcome := make(chan error, 1)
	w.run(`{"timeout": "2h"}`, func(b *running) {
		go func() {
			_, err := b.do("browse", `{"url": "shop.example"}`)
			outcome <- err
		}()
		time.Sleep(time.Second)
	})
	if err := <-outcome; err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("browse: %v", err)
	}
}

func TestArguments(t *testing.T) {
	w := newWorld(t)
	w.run(`{}`, func(b *running) {
		for action, args := range map[string]string{"browse": `{"adress": "x"}`, "dance": `{}`} {
			if _, err := b.do(action, args); err == nil {
				t.Errorf("%s %s is no error", action, args)
			}
		}
		result, err := b.do("browse", `{"url": "shop.example", "timeout": "5ms"}`)
		if err != nil {
			t.Fatal(err)
		}
		if got := result.(*Result); got.Error == nil || got.Error.Message != "not done within 5ms" || got.Error.Phase != "lookup" {
			t.Errorf("got %+v", got.Error)
		}
	})
	for _, options := range []string{`{"cookies": "some"}`, `{"dns": "pigeon"}`, `{"http2": 1}`, `{"default_same_site": "strict"}`, `{"log_body": -1}`, `{"colour": 1}`} {
		if _, err := newBrowser([]byte(options), nil); err == nil {
			t.Errorf("options %s are no error", options)
		}
	}
}
