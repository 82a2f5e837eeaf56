package page

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scenario/nodes/browser/weburl"
)

// recorder notes what a scan finds, a line each.
type recorder struct{ lines []string }

func (r *recorder) Reference(ref Reference) {
	line := string(ref.Destination) + " " + ref.Address
	for _, flag := range []struct {
		on   bool
		name string
	}{
		{ref.Far, "far"}, {ref.Idle, "idle"}, {ref.Preload, "preload"}, {ref.Async, "async"}, {ref.Defer, "defer"}, {ref.Module, "module"},
		{ref.Srcdoc != nil, "srcdoc"}, {ref.Sandbox != nil, "sandbox"}, {ref.Hidden, "hidden"}, {ref.CrossOrigin != "", ref.CrossOrigin},
		{ref.FetchPriority != "", ref.FetchPriority}, {len(ref.Alternatives) > 0, "else " + strings.Join(ref.Alternatives, " ")},
	} {
		if flag.on {
			line += ", " + flag.name
		}
	}
	r.lines = append(r.lines, line)
}
func (r *recorder) Hint(h Hint) {
	r.lines = append(r.lines, fmt.Sprintf("hint %s %v %s", h.Address, h.Lookup, h.CrossOrigin))
}
func (r *recorder) Base(address string) { r.lines = append(r.lines, "base "+address) }
func (r *recorder) Meta(m Meta) {
	if m.Refresh != nil {
		r.lines = append(r.lines, fmt.Sprintf("refresh %v %s", m.Refresh.After, m.Refresh.Address))
	}
	if m.Referrer != "" {
		r.lines = append(r.lines, "referrer "+m.Referrer)
	}
	if m.Policy != "" {
		r.lines = append(r.lines, fmt.Sprintf("policy %v", m.Upgrade))
	}
}
func (r *recorder) Script() { r.lines = append(r.lines, "script") }

func scanned(t testing.TB, r io.Reader, scripting bool) []string {
	t.Helper()
	var found recorder
	if err := Scan(r, Options{Screen: DefaultScreen(), Scripting: scripting}, &found); err != nil {
		t.Fatal(err)
	}
	return found.lines
}

// R4
func TestScan(t *testing.T) {
	for _, test := range []struct {
		name, html string
		want       []string
	}{
		{"sheets", `<link rel="stylesheet" href=" a.css "><LINK REL=STYLESHEET HREF=b.css media=print>`, []string{"style a.css", "style b.css, idle"}},
		{"other links", `<link rel="alternate stylesheet" href=a><link rel=canonical href=b><link rel=stylesheet>`, nil},
		{"icons", `<link rel="shortcut icon" href=i.ico><link rel=icon href=j.png sizes=32x32><p>`, []string{"icon j.png"}},
		{"an icon behind a title", `<title>My shop</title><script type=x/y>{}</script><link rel=icon href=i.ico>text<link rel=icon href=j.ico>`, []string{"icon i.ico"}},
		{"scripts", `<script src=a.js async crossorigin></script><script type=module src=b.js></script><script defer src=c.js fetchpriority=high></script><script>x</script><script type=module>x</script>`,
			[]string{"script a.js, async, anonymous", "script b.js, module, anonymous", "script c.js, defer, high", "script"}},
		{"images", `<img src=a.png><img src="b.png?x=1&amp;y=2"/><img alt=none><svg><image href=c></svg>`, []string{"image a.png", "image b.png?x=1&y=2", "image c"}},
		{"frames", `<iframe src=a.html sandbox><img src=no></iframe><iframe hidden src=c></iframe><iframe srcdoc="<p>"></iframe><frameset><frame src=b.html></frameset>`,
			[]string{"iframe a.html, sandbox", "iframe c, hidden", "iframe , srcdoc", "frame b.html"}},
		{"media", `<video src=v.mp4 poster=p.png><source src=w.mp4></video><audio><source src=a.ogg><source src=b.mp3></audio>`,
			[]string{"image p.png", "video v.mp4", "audio a.ogg, else b.mp3"}},
		{"styles", `<style>@import "a.css"; p { background: url(no.png) }</style>url(no.png)`, []string{"style a.css"}},
		{"base", `<base href=/sub/><base href=no><img src=a>`, []string{"base /sub/", "image a"}},
		{"comments", `<!-- <img src=no> --><img src=yes>`, []string{"image yes"}},
		{"scripts are off", `<noscript><img src=pixel.gif></noscript>`, []string{"image pixel.gif"}},
		{"templates", `<template><img src=no><template></template><style>@import "no";</style></template><img src=yes>`, []string{"image yes"}},
		{"text fields", `<textarea><img src=no></textarea><title><img src=no></title>`, nil},
		{"hints", `<link rel=preconnect href=//a crossorigin><link rel=dns-prefetch href=//b><link rel=preload as=font href=f crossorigin><link rel=prefetch href=p>`,
			[]string{"hint //a false anonymous", "hint //b true ", "font f, preload, anonymous", "fetch p, idle, preload"}},
		{"meta", `<meta http-equiv=refresh content="3; url=next"><meta name=referrer content=never><meta http-equiv=content-security-policy content="img-src *; Upgrade-Insecure-Requests"><meta charset=utf-8>`,
			[]string{"refresh 3s next", "referrer no-referrer", "policy true"}},
		{"lazy", `<img loading=lazy src=a><div style="height: 3000px"></div><img loading=lazy src=b>`, []string{"image a", "image b, far"}},
		{"not complete", `<img src=a><img src=`, []string{"image a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(test.html), iotest.OneByteReader(strings.NewReader(test.html))} {
				if diff := cmp.Diff(test.want, scanned(t, r, false)); diff != "" {
					t.Errorf("found (-want +got):\n%s", diff)
				}
			}
		})
	}
	if got := scanned(t, strings.NewReader(`<noscript><img src=pixel.gif></noscript>`), true); got != nil {
		t.Errorf("where scripts are run, %q is found in noscript", got)
	}
}

// arrivals passes on the address of each reference.
type arrivals struct {
	recorder
	found chan string
}

func (a arrivals) Reference(r Reference) { a.found <- r.Address }

// R4: what has arrived is found, though what follows has not.
func TestScanFindsWhatHasArrived(t *testing.T) {
	r, w := io.Pipe()
	found := arrivals{found: make(chan string)}
	done := make(chan error, 1)
	go func() { done <- Scan(r, Options{Screen: DefaultScreen()}, &found) }()
	w.Write([]byte(`<html><head><link rel=stylesheet href=a.css>`)) // the reader never fails
	if got := <-found.found; got != "a.css" {
		t.Errorf("found %v", got)
	}
	w.CloseWithError(io.ErrUnexpectedEOF)
	if err := <-done; err != io.ErrUnexpectedEOF {
		t.Errorf("scan: %v", err)
	}
}

// delayed feeds milestones with what a scan finds.
type delayed struct {
	recorder
	m   Milestones
	ids map[string]int
}

func (d *delayed) Reference(r Reference) { d.ids[r.Address] = d.m.Add(r.Delays) }
func (d *delayed) Script()               { d.m.Script() }

// R1: DOMContentLoaded waits for scripts and the style sheets before them, load for the rest.
func TestMilestones(t *testing.T) {
	for _, test := range []struct{ html, want string }{
		{`<link rel=stylesheet href=a.css><img src=b.png>`, "content load:a.css b.png"},
		{`<link rel=stylesheet href=a.css><script>x</script><link rel=stylesheet href=c.css>`, "content:a.css load:c.css"},
		{`<link rel=stylesheet href=a.css media=print><script>x</script>`, "content load:a.css"},
		{`<script src=a.js></script><script async src=b.js></script><script defer src=c.js></script><script type=module src=d.js></script><script type=module async src=e.js></script>`, "blocked content:a.js c.js d.js load:b.js e.js"},
		{`<link rel=stylesheet href=a.css><script src=b.js defer></script>`, "content:a.css b.js load"},
		{`<iframe src=a></iframe><img src=b loading=lazy><link rel=icon href=c><link rel=manifest href=d><link rel=prefetch href=e>`, "content load:a"},
	} {
		d := &delayed{ids: make(map[string]int)}
		if err := Scan(strings.NewReader(test.html), Options{Screen: DefaultScreen()}, d); err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		if d.m.Blocked() {
			got.WriteString("blocked ")
		}
		if d.m.ContentLoaded() {
			t.Errorf("%s: loaded before it is parsed", test.html)
		}
		d.m.Parsed()
		var names []string
		for name := range d.ids {
			names = append(names, name)
		}
		slices.Sort(names)
		// A request is waited for where all others being there does not suffice.
		waits := func(reached func(*Milestones) bool) (list []string) {
			for _, name := range names {
				m := Milestones{waits: slices.Clone(d.m.waits), parsed: true}
				for other, id := range d.ids {
					if other != name {
						m.Done(id)
					}
				}
				if !reached(&m) {
					list = append(list, name)
				}
			}
			return list
		}
		content := waits((*Milestones).ContentLoaded)
		load := slices.DeleteFunc(waits((*Milestones).Loaded), func(n string) bool { return slices.Contains(content, n) })
		got.WriteString("content")
		if len(content) > 0 {
			got.WriteString(":" + strings.Join(content, " "))
		}
		got.WriteString(" load")
		if len(load) > 0 {
			got.WriteString(":" + strings.Join(load, " "))
		}
		if got.String() != test.want {
			t.Errorf("%s: %s, want %s", test.html, got.String(), test.want)
		}
	}
}

// The cases of WPT html/semantics/document-metadata/the-meta-element/pragma-directives/attr-meta-http-equiv-refresh.
func TestParseRefresh(t *testing.T) {
	for _, test := range []struct {
		content string
		after   time.Duration
		address string
		ok      bool
	}{
		{"0; url=a", 0, "a", true}, {"1;URL='a'", time.Second, "a", true}, {"1 url = \"a b\"x", time.Second, "a b", true}, {"1,a", time.Second, "a", true},
		{"1", time.Second, "", true}, {"1.9; a", time.Second, "a", true}, {".5; a", 0, "a", true}, {"; url=a", 0, "", false}, {"", 0, "", false}, {"x", 0, "", false},
		{"-1; a", 0, "", false}, {"+1; a", 0, "", false}, {"1x", 0, "", false}, {"1; urlx", time.Second, "urlx", true}, {"1; url", time.Second, "url", true},
		{"1; url=", time.Second, "", true}, {"1;", time.Second, "", true}, {"1; url='a", time.Second, "a", true}, {" 1 ; ; a", time.Second, "; a", true},
		{"99999999999999999999; a", maxRefresh, "a", true},
	} {
		got, ok := ParseRefresh(test.content)
		if ok != test.ok || ok && got != (Refresh{test.after, test.address}) {
			t.Errorf("ParseRefresh(%q) = %v, %v; want %v %q", test.content, got, ok, test.after, test.address)
		}
	}
}

func TestDecode(t *testing.T) {
	for _, test := range []struct{ text, kind, want, name string }{
		{"caf\xe9", "text/html; charset=iso-8859-1", "café", "windows-1252"},
		{"caf\xe9", "text/html", "café", "windows-1252"},
		{"caf\xc3\xa9s", "text/html", "cafés", "utf-8"},
		{"<meta charset=koi8-r>\xc1", "text/html", "<meta charset=koi8-r>а", "koi8-r"},
		{"<meta charset=koi8-r>\xc3\xa9", "text/html; charset=UTF-8", "<meta charset=koi8-r>é", "utf-8"},
		{"\xef\xbb\xbfcaf\xc3\xa9", "text/html; charset=koi8-r", "café", "utf-8"},
		{"\xff\xfea\x00", "text/html", "a", "utf-16le"},
		{"\xfe\xff\x00a", "", "a", "utf-16be"},
		{"a", "text/html; charset=nonsense", "a", "windows-1252"},
		{"", "", "", "windows-1252"},
	} {
		r, name, err := Decode(iotest.OneByteReader(strings.NewReader(test.text)), test.kind)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != test.want || name != test.name {
			t.Errorf("%q as %s: %q in %s, %v; want %q in %s", test.text, test.kind, got, name, err, test.want, test.name)
		}
	}
}

func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		`<link rel=stylesheet href=a><img src=b style="background:url(c)">`, `<style>@import 'a'</style>`, `<template><img src=x></template>`,
		`<noscript><img src=x>`, `<base href=x>`, `<script src=x></script>`, `<video poster=a><source src=b>`, `<!--`, "<img src=\x00>",
		`<svg><image href=a><foreignObject><svg></svg><img src=b></foreignObject></svg>`, `<picture><source srcset="a 1x, b 2x"><img>`,
		`<iframe loading=lazy srcdoc="<p>">`, `<meta http-equiv=refresh content="0;url=a">`, `<body><p style="height:9e9px"><img loading=lazy src=a>`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		whole := scanned(t, strings.NewReader(text), false)
		pieces := scanned(t, iotest.HalfReader(strings.NewReader(text)), false)
		single := scanned(t, iotest.OneByteReader(strings.NewReader(text)), false)
		if !slices.Equal(whole, pieces) || !slices.Equal(whole, single) {
			t.Fatalf("in one piece %q, in several %q, byte by byte %q", whole, pieces, single)
		}
	})
}

func FuzzStyle(f *testing.F) {
	for _, seed := range []string{`p{background:url(a)}`, `p{&:is(b,i)>u{background:image-set("a" 1x)}}`, `@media (min-width:1px){p::before{content:"x";font-family:F}}@font-face{font-family:F;src:url(f)}`,
		`@layer a,b;@layer a{p{background:var(--x,url(a))}}`, `p:has(>b:nth-child(2n+1 of i)){cursor:url(c)}`, `@supports not (a:b){p{}}`, `:not(:not(:not(p))){content:url(a)}`, `/*`, `"\`, `}{`, `url("`, `@import`, `p{--a:var(--a);fill:var(--a)}`,
	} {
		f.Add(seed)
	}
	u, err := weburl.Parse("http://shop.example/")
	if err != nil {
		f.Fatal(err)
	}
	tree := parsed(f, `<link rel=stylesheet href=s><p id=a class="b c">x<b>y</b><i lang=en>z</i><u></u></p><input placeholder=x checked><svg><rect/></svg>`)
	f.Fuzz(func(t *testing.T, text string) {
		sheet := ParseSheet(text, u, DefaultScreen())
		calls := 0
		s := Style{Root: tree, Base: u, Screen: DefaultScreen(), Sheet: func(*weburl.URL) *Sheet { calls++; return sheet }}
		first, second := s.Needed(), s.Needed()
		if diff := cmp.Diff(first, second); diff != "" {
			t.Fatalf("asked twice (-first +second):\n%s", diff)
		}
		if len(first) > maxNeeded || calls > 2*maxSheets*maxImports {
			t.Fatalf("%d addresses, %d sheets", len(first), calls)
		}
	})
}
