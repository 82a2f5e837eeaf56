package report

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"scenario/event"
	"scenario/topology"
)

// secure is a run behind https: encrypted lookups, TLS, HTTP/2, caches, other origins, a tracker, two browsers.
func secure(t *testing.T) *script {
	s := newScript(t, "https", "A laptop and a real browser open a shop's page over https, a desk opens it in plain.\n")
	s.plan.Nodes = make([]topology.Node, 0, 20)
	for node, a := range map[string]string{
		"laptop": "192.0.2.10", "desk": "192.0.2.11", "chrome": "192.0.2.12", "isp-dns": "198.18.0.53",
		"shop": "198.18.1.10", "books": "198.18.1.20", "ads": "198.18.1.30",
	} {
		n := s.node(node, a)
		switch node {
		case "laptop", "desk":
			n.Roles = []topology.Role{{Name: "browser"}}
		case "chrome":
			n.Roles = []topology.Role{{Name: "chromium"}}
		}
	}
	sortNodes(s)
	s.after(5)
	const shop = "https://shop.example/"
	open := func(id, node, role, url string, do func(v *view)) {
		s.step(topology.Step{ID: id, Node: node, Role: role, Action: "browse", Target: url}, func(outer context.Context) string {
			v := &view{s: s, node: node, url: url, start: s.now, sum: event.PageLoad{URL: url, Status: 200}}
			v.ctx = s.begin(outer, node, event.PageMilestone{Milestone: "url", URL: url})
			do(v)
			v.milestone("load")
			v.sum.Duration = v.since()
			s.emit(v.ctx, node, v.sum)
			return ""
		})
	}
	open("dot", "laptop", "browser", shop, func(v *view) { openSecureShop(v) })
	open("again", "laptop", "browser", "http://shop.example/", func(v *view) { openFromCache(v) })
	open("books", "laptop", "browser", "https://books.example/", func(v *view) { openBooks(v) })
	open("plain", "desk", "browser", "http://shop.example/", func(v *view) { openPlainShop(v) })
	open("chrome", "chrome", "chromium", shop, func(v *view) { openInChromium(v) })
	open("expired", "laptop", "browser", "https://old.example/", func(v *view) { openExpired(v) })
	open("parts", "laptop", "browser", "https://shop.example/film.mp4", func(v *view) { downloadParts(v) })
	return s
}

// view is a page load that the script plays.
type view struct {
	s         *script
	ctx       context.Context
	node, url string
	start     time.Time
	sum       event.PageLoad
}

func (v *view) since() float64 { return v.s.now.Sub(v.start).Seconds() }

func (v *view) milestone(name string) {
	v.s.emit(v.ctx, v.node, event.PageMilestone{Milestone: name, URL: v.url, Since: v.since()})
}

// lookup asks the resolver over a transport; the resolver has the answer in its cache.
func (v *view) lookup(name, kind, transport, answer string) {
	s := v.s
	v.sum.Lookups++
	port := map[string]int{"udp": 53, "tls": 853, "https": 443}[transport]
	q := event.DNSQuery{
		Side: event.SideClient, Local: s.address(v.node, 50100), Remote: s.address("isp-dns", port), Transport: transport,
		QueryID: 7, Name: name + ".", Type: kind, Recursion: true,
	}
	begun := s.now
	below := s.begin(v.ctx, v.node, q)
	s.after(0.4)
	got := q
	got.Side, got.Local, got.Remote = event.SideServer, q.Remote, q.Local
	serve := s.begin(s.server("dns"), "isp-dns", got)
	a := event.DNSAnswer{RCode: "NOERROR", Kind: "answer", TTL: 300, Cached: true, Size: 61}
	if answer != "" {
		a.Answer = []string{name + ". 300 IN " + kind + " " + answer}
	}
	s.answer(serve, "isp-dns", got, a, begun)
	s.after(0.4)
	s.answer(below, v.node, q, a, begun)
}

// secured makes a connection and the handshake on it.
func (v *view) secured(server, name string, change func(h *event.TLSHandshake)) *wire {
	s := v.s
	w := s.connect(v.ctx, v.node, server, 443)
	v.sum.Connections++
	h := event.TLSHandshake{
		Side: event.SideClient, Local: w.local, Remote: w.remote, ServerName: name, Version: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256",
		Group: "X25519", ALPN: "h2", Subject: name, Issuer: "scenario https CA", Names: []string{name, "www." + name},
		NotBefore: "2026-03-01T00:00:00Z", NotAfter: "2027-03-01T00:00:00Z", Duration: 0.0012,
	}
	if change != nil {
		change(&h)
	}
	s.after(1.2)
	s.emit(w.ctx, v.node, h)
	h.Side, h.Local, h.Remote, h.Meaning = event.SideServer, w.remote, w.local, ""
	h.Subject, h.Issuer, h.Names = "", "", nil
	if h.Error != "" {
		h.Error, h.Reason = "remote error: tls: expired certificate", "refused"
	}
	s.emit(w.serve, server, h)
	return w
}

// frame tells of frames of an HTTP/2 connection.
func (v *view) frame(w *wire, direction, kind string, stream uint32, bytes int, detail string) {
	v.s.emit(w.ctx, v.node, event.HTTP2Frame{
		Side: event.SideClient, Local: w.local, Remote: w.remote, Direction: direction, Type: kind, Stream: stream, Bytes: bytes, Detail: detail,
	})
}

// got is one fetch that the script plays.
type got struct {
	url, destination, kind string
	wire                   *wire // nil: from the cache
	method                 string
	priority, status       int
	cookie, set, header    string // header: more fields of the response, a line each
	referer                string
	body                   string
	size, decoded          int64
	coding                 string
	redirect               string
	third                  bool
	queued, dial, tls      float64 // ms
	from                   string
	cache                  []event.HTTPCache
}

// fetch plays one request with everything that both ends tell of it.
func (v *view) fetch(g got) {
	s := v.s
	v.sum.Requests++
	v.sum.Bytes += g.size
	parent := v.ctx
	if g.destination != "document" {
		parent = s.begin(v.ctx, v.node, event.HTMLAsset{
			Page: v.url, URL: g.url, Destination: g.destination, Initiator: v.url, ThirdParty: g.third, PageBytes: 1024,
		})
	}
	g.method, g.from, g.status = cmp.Or(g.method, "GET"), cmp.Or(g.from, "network"), cmp.Or(g.status, 200)
	f := event.HTTPFetch{
		Page: v.url, URL: g.url, Method: g.method, Destination: g.destination, Initiator: v.url, Priority: g.priority, Status: g.status,
		MIME: g.kind, Redirect: g.redirect, From: g.from, ThirdParty: g.third, Start: max(v.since()-(g.dial+g.tls)/1000, 0), Queued: g.queued / 1000,
		Connect: g.dial / 1000, TLS: g.tls / 1000, Size: g.size, Decoded: cmp.Or(g.decoded, g.size),
	}
	s.after(g.queued)
	if g.wire != nil {
		v.exchange(parent, g, &f)
	}
	for _, c := range g.cache {
		c.URL = g.url
		s.emit(parent, v.node, c)
	}
	s.emit(parent, v.node, f)
}

func (v *view) exchange(parent context.Context, g got, f *event.HTTPFetch) {
	s, w := v.s, g.wire
	f.Local, f.Remote, f.Connection, f.Reused = w.local, w.remote, port(w.local), w.requests > 0
	w.requests++
	host, target := hostOf(g.url), path(g.url)
	q := event.HTTPRequest{
		Side: event.SideClient, Local: w.local, Remote: w.remote, Method: g.method, URL: g.url, Proto: "HTTP/1.1", Host: host,
		UserAgent: "scenario/1", Cookie: g.cookie, Reused: f.Reused,
		Raw: fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n", g.method, target, host),
	}
	if f.Local != "" && g.wire.h2 {
		q.Proto, q.Stream, q.HeaderBytes, q.HeaderPlain = "HTTP/2", uint32(2*w.requests-1), 40, 310
		q.Raw = fmt.Sprintf(":method: %s\r\n:scheme: https\r\n:authority: %s\r\n:path: %s\r\n", g.method, host, target)
	}
	if g.referer != "" {
		q.Raw += "Referer: " + g.referer + "\r\n"
	}
	if g.cookie != "" {
		q.Raw += "Cookie: " + g.cookie + "\r\n"
		key, value, _ := strings.Cut(g.cookie, "=")
		s.emit(parent, v.node, event.CookieSend{URL: g.url, Name: key, Value: value, ThirdParty: g.third, Reason: "its site is the page's"})
	}
	q.Raw += "\r\n"
	f.Proto = q.Proto
	begun := s.now
	sent := s.begin(parent, v.node, q)
	_, f.Request = event.Cause(sent)
	s.after(0.4)
	heard := q
	heard.Side, heard.Local, heard.Remote = event.SideServer, w.remote, w.seen
	serve := s.begin(w.serve, w.server, heard)
	a := event.HTTPResponse{
		Side: event.SideServer, Local: w.remote, Remote: w.seen, Method: g.method, URL: g.url, Status: g.status, ContentType: g.kind,
		Location: g.redirect, Proto: q.Proto, Stream: q.Stream, Coding: g.coding, Size: g.size, Decoded: g.decoded, Duration: 0.0005,
		Raw: "HTTP/1.1 " + statusText(g.status) + "\r\n",
	}
	if q.Stream > 0 {
		a.HeaderBytes, a.HeaderPlain, a.Raw = 25, 140, fmt.Sprintf(":status: %d\r\n", g.status)
	}
	if g.kind != "" {
		a.Raw += "Content-Type: " + g.kind + "\r\n"
	}
	if g.set != "" {
		a.Raw += "Set-Cookie: " + g.set + "\r\n"
	}
	a.Raw += g.header + "\r\n" + g.body
	if a.Truncated = g.size - int64(len(g.body)); a.Truncated < 0 {
		a.Truncated = 0
	}
	s.after(0.5)
	s.emit(serve, w.server, a)
	f.Wait = s.now.Sub(begun).Seconds()
	s.after(0.3 + float64(g.size)/5000)
	f.Receive = s.now.Sub(begun).Seconds() - f.Wait
	a.Side, a.Local, a.Remote = event.SideClient, w.local, w.remote
	a.TTFB, a.Duration = f.Wait, s.now.Sub(begun).Seconds()
	s.emit(sent, v.node, a)
	w.sent += 180
	w.received += g.size + 160
}

func openSecureShop(v *view) {
	s := v.s
	v.lookup("shop.example", "AAAA", "tls", "2001:db8::10")
	v.lookup("shop.example", "A", "tls", "198.18.1.10")
	s.after(250)
	w := v.secured("shop", "shop.example", func(*event.TLSHandshake) {
		s.emit(v.ctx, v.node, event.SocketClose{
			Network: "tcp", Remote: "[2001:db8::10]:443", Socket: event.SocketConnection, By: "local", Reason: "another address answered first",
		})
	})
	w.h2 = true
	v.frame(w, "sent", "SETTINGS", 0, 18, "ENABLE_PUSH=0")
	v.frame(w, "received", "SETTINGS", 0, 6, "MAX_CONCURRENT_STREAMS=250")
	v.frame(w, "sent", "HEADERS", 1, 40, "")
	v.frame(w, "received", "HEADERS", 1, 25, "")
	v.frame(w, "received", "DATA", 1, 1200, "")
	const page = `<link rel=stylesheet href=style.css>`
	v.fetch(got{
		url: v.url, destination: "document", kind: "text/html; charset=utf-8", wire: w, size: int64(len(page)), body: page,
		dial: 250.6, tls: 1.2, set: "visitor=7f3a; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=3600",
		header: "Cache-Control: no-cache\r\nETag: \"v1\"\r\n",
		cache:  []event.HTTPCache{{Result: "stored", Reason: "it has a validator"}},
	})
	s.emit(v.ctx, v.node, event.CookieStore{
		URL: v.url, Name: "visitor", Value: "7f3a", Domain: "shop.example", HostOnly: true, Path: "/", Secure: true, HTTPOnly: true,
		SameSite: "Lax", Expires: "2026-03-14T10:26:53Z", Change: "new",
	})
	v.fetch(got{
		url: v.url + "style.css?v=2&theme=%64ark", destination: "style", kind: "text/css", wire: w, size: 900, decoded: 5210, coding: "br",
		cookie: "visitor=7f3a", header: "Content-Encoding: br\r\nCache-Control: max-age=3600\r\n",
		cache: []event.HTTPCache{{Result: "stored", Reason: "max-age says that it is fresh for an hour", Fresh: 3600}},
	})
	v.fetch(got{url: v.url + "logo.png", destination: "image", kind: "image/png", wire: w, size: 9000, priority: 3, queued: 2})
	ads := v.secured("ads", "ads.example", nil)
	ads.h2 = true
	v.fetch(got{
		url: "https://ads.example/banner.js", destination: "script", kind: "text/javascript", wire: ads, size: 500, priority: 1, third: true,
		referer: v.url, set: "id=u42; Secure; SameSite=None; Partitioned; Expires=Sun, 14 Mar 2027 09:26:53 GMT", dial: 0.6, tls: 1.2,
	})
	s.emit(v.ctx, v.node, event.CookieStore{
		URL: "https://ads.example/banner.js", Name: "id", Value: "u42", Domain: "ads.example", HostOnly: true, Path: "/", Secure: true,
		SameSite: "None", Partition: "https://shop.example", Change: "new", ThirdParty: true, Reason: "the jar of https://shop.example holds it",
	})
	s.emit(v.ctx, v.node, event.CORSCheck{URL: "https://api.example/basket", Origin: "https://shop.example", Mode: "preflight", Allowed: true, Reason: "the server allows PUT for this origin", Preflight: true})
	s.emit(v.ctx, v.node, event.CORSCheck{URL: "https://api.example/secret", Origin: "https://shop.example", Mode: "cors", Reason: "the response has no Access-Control-Allow-Origin"})
	s.emit(v.ctx, v.node, event.PageBlock{Page: v.url, URL: "http://shop.example/old.js\x1b[2J", Rule: "mixed-content", Reason: "a script over http could change a page over https"})
	v.milestone("dom_content_loaded")
	v.frame(w, "received", "GOAWAY", 0, 8, "NO_ERROR, last stream 5")
	s.close(w)
	s.close(ads)
}

func openFromCache(v *view) {
	const shop = "https://shop.example/"
	v.s.emit(v.ctx, v.node, event.URLUpgrade{From: v.url, To: shop, Reason: "hsts"})
	v.lookup("shop.example", "A", "https", "198.18.1.10")
	w := v.secured("shop", "shop.example", func(h *event.TLSHandshake) { h.Resumed = true })
	w.h2 = true
	v.fetch(got{
		url: shop, destination: "document", wire: w, status: 304, from: "revalidated", decoded: 1200, cookie: "visitor=7f3a",
		dial: 0.6, tls: 0.7, cache: []event.HTTPCache{{Result: "revalidated", Reason: "the server confirmed it: 304 Not Modified", Age: 8}},
	})
	v.fetch(got{
		url: shop + "style.css?v=2&theme=%64ark", destination: "style", kind: "text/css", from: "cache", decoded: 5210,
		cache: []event.HTTPCache{{Result: "hit", Reason: "it is fresh", Age: 8, Fresh: 3600}},
	})
	v.s.close(w)
}

func openBooks(v *view) {
	v.lookup("books.example", "A", "tls", "198.18.1.20")
	w := v.secured("books", "books.example", nil)
	v.fetch(got{url: v.url, destination: "document", kind: "text/html", wire: w, size: 700})
	ads := v.secured("ads", "ads.example", nil)
	v.fetch(got{url: "https://ads.example/banner.js", destination: "script", kind: "text/javascript", wire: ads, size: 500, third: true, referer: v.url, cookie: "id=u42"})
	v.s.emit(v.ctx, v.node, event.CookieBlock{URL: v.url, Name: "__Host-a", Op: "store", Reason: "a __Host- cookie must have Path=/"})
	v.s.close(w)
}

func openPlainShop(v *view) {
	v.lookup("shop.example", "A", "udp", "198.18.1.10")
	w := v.s.connect(v.ctx, v.node, "shop", 80)
	second := v.s.connect(v.ctx, v.node, "shop", 80)
	v.sum.Connections += 2
	v.fetch(got{url: v.url, destination: "document", kind: "text/html", wire: w, size: 1200, dial: 0.6, set: "visitor=9c1d"})
	v.fetch(got{url: v.url + "style.css?v=2&theme=%64ark", destination: "style", kind: "text/css", wire: w, size: 5210, cookie: "visitor=9c1d"})
	v.fetch(got{url: v.url + "logo.png", destination: "image", kind: "image/png", wire: second, size: 9000, priority: 3, queued: 3, cookie: "visitor=9c1d"})
	v.fetch(got{url: "http://ads.example/banner.js", destination: "script", kind: "text/javascript", wire: v.s.connect(v.ctx, v.node, "ads", 80), size: 500, third: true, referer: v.url})
	v.s.close(w)
	v.s.close(second)
}

func openInChromium(v *view) {
	v.lookup("shop.example", "A", "udp", "198.18.1.10")
	w := v.secured("shop", "shop.example", nil)
	w.h2 = true
	v.fetch(got{url: v.url, destination: "document", kind: "text/html; charset=utf-8", wire: w, size: 1200, dial: 0.6, tls: 1.2})
	v.fetch(got{url: v.url + "style.css?v=2&theme=%64ark", destination: "style", kind: "text/css", wire: w, size: 900, decoded: 5210, coding: "br", cookie: "visitor=aa"})
	v.fetch(got{url: v.url + "logo.png", destination: "image", kind: "image/png", wire: w, size: 9000, priority: 3, cookie: "visitor=aa"})
	v.fetch(got{url: v.url + "favicon.ico", destination: "icon", wire: w, status: 404, size: 9, priority: 4})
	v.s.close(w)
}

func openExpired(v *view) {
	v.lookup("old.example", "A", "tls", "198.18.1.20")
	w := v.secured("books", "old.example", func(h *event.TLSHandshake) {
		h.Cipher, h.Group, h.ALPN, h.NotAfter = "", "", "", "2026-03-10T00:00:00Z"
		h.Reason, h.Error = "expired", "tls: failed to verify certificate: x509: certificate has expired"
		h.Meaning = "the certificate was valid until 2026-03-10: nobody vouches for the server any more"
	})
	v.sum.Status, v.sum.Failed, v.sum.Error = 0, 1, "tls: certificate expired"
	v.s.emit(v.ctx, v.node, event.HTTPFetch{
		Page: v.url, URL: v.url, Method: "GET", Destination: "document", From: "network", Local: w.local, Remote: w.remote,
		Start: 0.001, Lookup: 0.0008, Connect: 0.0006, TLS: 0.0012, Failed: "tls", Error: "certificate expired",
	})
	v.s.close(w)
}

func downloadParts(v *view) {
	first, second := v.secured("shop", "shop.example", nil), v.secured("shop", "shop.example", nil)
	for i, w := range []*wire{first, second, first} {
		from := int64(i) * 4000
		v.fetch(got{
			url: v.url, destination: "document", kind: "video/mp4", wire: w, status: 206, size: 4000,
			header: fmt.Sprintf("Content-Range: bytes %d-%d/12000\r\n", from, from+3999),
		})
	}
	v.s.close(first)
	v.s.close(second)
}
