package browser

import (
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// references is what scan or scanCSS found, one "destination address" each.
func references(run func(found func(reference))) []string {
	var list []string
	run(func(r reference) { list = append(list, r.destination+" "+r.address) })
	return list
}

// R4
func TestScan(t *testing.T) {
	for _, test := range []struct {
		name, html string
		want       []string
	}{
		{"sheets", `<link rel="stylesheet" href=" a.css "><LINK REL=STYLESHEET HREF=b.css>`, []string{"style a.css", "style b.css"}},
		{"other links", `<link rel="alternate stylesheet" href=a><link rel=canonical href=b><link rel=stylesheet>`, nil},
		{"icons", `<link rel="shortcut icon" href=i.ico>`, []string{"icon i.ico"}},
		{"scripts", `<script src=a.js></script><script type=module src=b.js></script><script type="application/json" src=c></script><script>var x = "<img src=no>"</script>`, []string{"script a.js", "script b.js"}},
		{"images", `<img src=a.png><img src="b.png?x=1&amp;y=2"/><img alt=none><svg><image href=c></svg>`, []string{"image a.png", "image b.png?x=1&y=2"}},
		{"frames", `<iframe src=a.html><img src=no></iframe><frameset><frame src=b.html></frameset>`, []string{"iframe a.html", "iframe b.html"}},
		{"media", `<video src=v.mp4 poster=p.png><source src=w.mp4></video><audio><source src=a.ogg></audio><picture><source src=no></picture>`,
			[]string{"video v.mp4", "image p.png", "video w.mp4", "audio a.ogg"}},
		{"styles", `<style>@import "a.css"; p { background: url(b.png) }</style><p style="background: url('c.png')">url(no.png)`,
			[]string{"style a.css", "image b.png", "image c.png"}},
		{"base", `<base href=/sub/><img src=a>`, []string{"base /sub/", "image a"}},
		{"comments", `<!-- <img src=no> --><img src=yes>`, []string{"image yes"}},
		{"scripts are off", `<noscript><img src=pixel.gif></noscript>`, []string{"image pixel.gif"}},
		{"templates", `<template><img src=no><template></template><style>p{background:url(no)}</style></template><img src=yes>`, []string{"image yes"}},
		{"text fields", `<textarea><img src=no></textarea><title><img src=no></title>`, nil},
		{"not complete", `<img src=a><img src=`, []string{"image a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(test.html), iotest.OneByteReader(strings.NewReader(test.html))} {
				got := references(func(found func(reference)) {
					if err := scan(r, found); err != nil {
						t.Fatal(err)
					}
				})
				if !slices.Equal(got, test.want) {
					t.Errorf("found %q, want %q", got, test.want)
				}
			}
		})
	}
}

// R4: what has arrived is found, though what follows has not.
func TestScanFindsWhatHasArrived(t *testing.T) {
	r, w := io.Pipe()
	found := make(chan reference)
	done := make(chan error, 1)
	go func() {
		done <- scan(r, func(ref reference) { found <- ref })
	}()
	w.Write([]byte(`<html><head><link rel=stylesheet href=a.css>`)) // the reader never fails
	if got := <-found; got.address != "a.css" {
		t.Errorf("found %v", got)
	}
	w.CloseWithError(io.ErrUnexpectedEOF)
	if err := <-done; err != io.ErrUnexpectedEOF {
		t.Errorf("scan: %v", err)
	}
}

// R4
func TestScanCSS(t *testing.T) {
	for _, test := range []struct {
		name, css string
		want      []string
	}{
		{"imports", `@import "a.css"; @IMPORT url(b.css) print; @import/**/url( 'c.css' );`, []string{"style a.css", "style b.css", "style c.css"}},
		{"images", `a { background: URL( "a.png" ) , url(b\.png), url( c.png ) }`, []string{"image a.png", `image b\.png`, "image c.png"}},
		{"strings and comments", `/* url(no) */ a::after { content: "url(no)" } /* unclosed url(no)`, nil},
		{"other words", `a { x: my-url(no); y: @important "no"; z: image-set("no") }`, nil},
		{"fonts", `@font-face { src: url(a.woff2) format("woff2"), url(a.woff) } @font-face{src:url(b.ttf)} p { background: url(c.png) }`,
			[]string{"font a.woff2", "font b.ttf", "image c.png"}},
		{"nested", `@media print { @font-face { src: url(f) } p { background: url(i) } }`, []string{"font f", "image i"}},
		{"escapes", `@import "a\"b.css"; p { background: url("x\
y.png") }`, []string{`style a"b.css`, "image xy.png"}},
		{"not complete", `p { background: url(a.png`, []string{"image a.png"}},
		{"broken", `}}}} url("a` + "\n" + `b") } @import`, []string{"image a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := references(func(found func(reference)) { scanCSS(test.css, found) })
			if !slices.Equal(got, test.want) {
				t.Errorf("found %q, want %q", got, test.want)
			}
		})
	}
}

// R1
func TestTyped(t *testing.T) {
	for _, test := range []struct{ text, want, port string }{
		{"shop.example", "http://shop.example/", "port 80, the default of http"},
		{" http://shop.example ", "http://shop.example/", "port 80, the default of http"},
		{"https://shop.example/a", "https://shop.example/a", "port 443, the default of https"},
		{"shop.example:8080/cart?x=1#top", "http://shop.example:8080/cart?x=1#top", "port 8080, as written"},
		{"http://shop.example:80/", "http://shop.example/", "port 80, the default of http"},
		{"localhost:8080", "http://localhost:8080/", "port 8080, as written"},
		{"10.0.0.1", "http://10.0.0.1/", "port 80, the default of http"},
		{"[fd00::1]:81/x", "http://[fd00::1]:81/x", "port 81, as written"},
		{"//shop.example/x", "http://shop.example/x", "port 80, the default of http"},
		{"SHOP.Example", "http://shop.example/", "port 80, the default of http"},
		{"bücher.example", "http://xn--bcher-kva.example/", "port 80, the default of http"},
		{"", "", ""},
		{"two words", "", ""},
		{"mailto:ann@shop.example", "", ""},
		{"ftp://shop.example", "", ""},
		{"javascript:alert(1)", "", ""},
		{"http://", "", ""},
		{"shop.example:99999", "", ""},
	} {
		u, err := typed(test.text)
		switch {
		case test.want == "" && err == nil:
			t.Errorf("typed(%q) = %s, want an error", test.text, u)
		case test.want == "":
		case err != nil:
			t.Errorf("typed(%q): %v", test.text, err)
		case u.String() != test.want || portDetail(u) != test.port:
			t.Errorf("typed(%q) = %s, %s; want %s, %s", test.text, u, portDetail(u), test.want, test.port)
		}
	}
}

func TestReferrer(t *testing.T) {
	for _, test := range []struct{ document, url, want string }{
		{"http://shop.example/a?b#c", "http://shop.example/x", "http://shop.example/a?b"},
		{"http://ann:secret@shop.example/a", "http://shop.example/x", "http://shop.example/a"},
		{"http://shop.example:81/a", "http://shop.example/x", "http://shop.example:81/"},
		{"http://shop.example/a", "http://ads.example/x", "http://shop.example/"},
	} {
		document, err := typed(test.document)
		if err != nil {
			t.Fatal(err)
		}
		u, err := typed(test.url)
		if err != nil {
			t.Fatal(err)
		}
		if got := referrer(document, u); got != test.want {
			t.Errorf("from %s to %s: %s, want %s", test.document, test.url, got, test.want)
		}
	}
}

func FuzzTyped(f *testing.F) {
	for _, seed := range []string{"shop.example", "http://a:b@c:1/d?e#f", "[::1]", "//", "a:b", "mailto:x", "1:2", "\x00", "http://%41"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := typed(text)
		if err != nil {
			return
		}
		if u.Hostname() == "" || u.PortNumber() <= 0 || u.PortNumber() > 65535 {
			t.Fatalf("typed(%q) = %q", text, u.String())
		}
		if target := u.Path() + u.Query(); strings.ContainsAny(target+u.Host(), " \r\n") || !strings.HasPrefix(target, "/") {
			t.Fatalf("typed(%q) has the target %q", text, target)
		}
	})
}

func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		`<link rel=stylesheet href=a><img src=b style="background:url(c)">`, `<style>@import 'a'</style>`, `<template><img src=x></template>`,
		`<noscript><img src=x>`, `<base href=x>`, `<script src=x></script>`, `<video poster=a><source src=b>`, `<!--`, "<img src=\x00>",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		whole := references(func(found func(reference)) {
			if err := scan(strings.NewReader(text), found); err != nil {
				t.Fatal(err)
			}
		})
		pieces := references(func(found func(reference)) {
			if err := scan(iotest.HalfReader(strings.NewReader(text)), found); err != nil {
				t.Fatal(err)
			}
		})
		if !slices.Equal(whole, pieces) {
			t.Fatalf("in one piece %q, in several %q", whole, pieces)
		}
	})
}

func FuzzScanCSS(f *testing.F) {
	for _, seed := range []string{`@import "a";`, `url(a)`, `@font-face{src:url(a),url(b)}`, `/*`, `"\`, `}{`, `url("`, `@import`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		total := 0
		scanCSS(text, func(r reference) { total += len(r.address) })
		if total > len(text) {
			t.Fatalf("the addresses are longer than the style sheet: %d, %d", total, len(text))
		}
	})
}

func TestRaw(t *testing.T) {
	for _, test := range []struct {
		name       string
		head, body string
		total      int64
		text, base string
		left       int64
	}{
		{"text", "H\r\n\r\n", "body", 4, "H\r\n\r\nbody", "", 0},
		{"cut within a character", "H\r\n\r\n", "caf\xc3", 5, "H\r\n\r\ncaf\xc3", "", 1},
		{"binary", "H\r\n\r\n", "\x00\x01", 2, "H\r\n\r\n", "AAE=", 0},
		{"a head that is no text", "H\xff", "x", 1, "", "SP94", 0},
		{"nothing", "", "", 0, "", "", 0},
	} {
		text, base, left := raw([]byte(test.head), []byte(test.body), test.total)
		if text != test.text || base != test.base || left != test.left {
			t.Errorf("%s: %q %q %d, want %q %q %d", test.name, text, base, left, test.text, test.base, test.left)
		}
	}
}

func FuzzTap(f *testing.F) {
	f.Add("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody", 3)
	f.Add("HTTP/1.1 200 OK\n\nbody", 1)
	f.Add("\r\n\r\n", 2)
	f.Fuzz(func(t *testing.T, wire string, piece int) {
		t1, t2 := &tap{limit: 8}, &tap{limit: 8}
		t1.record([]byte(wire))
		for rest := wire; rest != ""; {
			n := min(max(piece, 1), len(rest))
			t2.record([]byte(rest[:n]))
			rest = rest[n:]
		}
		if string(t1.head) != string(t2.head) || string(t1.body) != string(t2.body) || t1.bodyTotal != t2.bodyTotal {
			t.Fatalf("in one piece %q %q, in several %q %q", t1.head, t1.body, t2.head, t2.body)
		}
		if len(t1.head)+int(t1.bodyTotal) != len(wire) {
			t.Fatalf("%d and %d of %d bytes", len(t1.head), t1.bodyTotal, len(wire))
		}
		if isText(t1.body, true) && utf8.ValidString(wire) && strings.Contains(string(t1.body), "\x00") {
			t.Fatal("NUL in text")
		}
	})
}
