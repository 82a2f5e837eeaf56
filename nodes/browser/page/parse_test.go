package page

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scenario/nodes/browser/weburl"
)

// Cases of WPT html/semantics/embedded-content/the-img-element/srcset/parse-a-srcset-attribute.html.
func TestParseSrcset(t *testing.T) {
	for _, test := range []struct{ srcset, want string }{
		{"", ""}, {",", ""}, {",,,", ""}, {"  data:,a  1x  ", "data:,a"}, {"\t\tdata:,a\t\t1x\t\t", "data:,a"}, {"\u000b\u000bdata:,a\u000b\u000b1x\u000b\u000b", "\u000b\u000bdata:,a\u000b\u000b1x\u000b\u000b"},
		{"data:,a", "data:,a"}, {"data:,a ", "data:,a"}, {"data:,a ,", "data:,a"}, {"data:,a,", "data:,a"}, {"data:,a, ", "data:,a"}, {",data:,a", "data:,a"},
		{"data:,a 1x,data:,b 2x", "data:,a"}, {"data:,a (", ""}, {"data:,a 1x (", ""}, {"data:,a, data:,b (", "data:,a"}, {"data:,a 1x, data:,b (), data:,c", "data:,a"},
		{"data:,a ( , data:,b 1x, ), data:,c", "data:,c"}, {"data:,a 1w", "data:,a"}, {"data:,a 0w", ""}, {"data:,a -1w", ""}, {"data:,a 1w -1w", ""}, {"data:,a 1.0w", ""}, {"data:,a +1w", ""}, {"data:,a 1W", ""},
		{"data:,a 1w 1w", ""}, {"data:,a 1w 1x", ""}, {"data:,a 1w 1h", "data:,a"}, {"data:,a 1h", ""}, {"data:,a 1h 1w", "data:,a"}, {"data:,a 0h 1w", ""},
		{"data:,a 0x", "data:,a"}, {"data:,a -0x", "data:,a"}, {"data:,a 1x -0x", ""}, {"data:,a -1x", ""}, {"data:,a 1e0x", "data:,a"}, {"data:,a 1E0x", "data:,a"}, {"data:,a 1e-1x", "data:,a"}, {"data:,a 1.5e1x", "data:,a"},
		{"data:,a +1x", ""}, {"data:,a 1.x", ""}, {"data:,a .5x", "data:,a"}, {"data:,a 0x1x", ""}, {"data:,a 1X", ""}, {"data:,a Infinityx", ""}, {"data:,a NaNx", ""}, {"data:,a 1x 1x", ""}, {"data:,a xx", ""},
		{"data:,a foo", ""}, {"data:,a foo foo", ""}, {"data:,a foo 1x", ""}, {"data:,a (data:,b 1x), data:,c", "data:,c"},
	} {
		got := ""
		if list := ParseSrcset(test.srcset); len(list) > 0 {
			got = list[0].Address
		}
		if got != test.want {
			t.Errorf("ParseSrcset(%q) begins with %q, want %q", test.srcset, got, test.want)
		}
	}
}

// Cases of WPT html/semantics/embedded-content/the-img-element/sizes/parse-a-sizes-attribute.html, of 1 pixel where the
// size is valid.
func TestSourceSize(t *testing.T) {
	s := DefaultScreen()
	for _, test := range []struct {
		sizes string
		want  float64
	}{
		{"", 1280}, {",", 1280}, {"-1px", 1280}, {"1", 1280}, {"+0.11px", 0.11}, {"0", 0}, {"-0", 0}, {"1px", 1}, {"1px,", 1}, {" 1px ", 1}, {"1/* */px", 1280}, {"/* */1px/* */", 1}, {"calc(1px)", 1}, {"calc(1px*2 + 3px)", 5}, {"calc(-1px)", 1280},
		{"(min-width:0) 1px", 1}, {"not (min-width:9999px) 1px", 1}, {"(min-width:9999px) 1px, 2px", 2}, {"(min-width:0) and (min-width:0) 1px", 1}, {"(min-width:0) or (unknown) 1px", 1}, {"(()) 1px, 2px", 2},
		{"(min-width:0) 1px (", 1280}, {"all 2px, 1px", 1}, {"not all 2px, 1px", 1}, {"min(1px, 100px)", 1}, {"max(-100px, 1px)", 1}, {"clamp(1px, 0px, 2px)", 1}, {"50%", 1280}, {"100vw", 1280}, {"1foo, 2px", 2}, {"{1px}, 3px", 3},
	} {
		if got := s.SourceSize(test.sizes); got != test.want {
			t.Errorf("SourceSize(%q) = %v, want %v", test.sizes, got, test.want)
		}
	}
}

func TestMedia(t *testing.T) {
	s := DefaultScreen()
	for query, want := range map[string]bool{
		"": true, "all": true, "screen": true, "print": false, "SCREEN": true, "not print": true, "not screen": false, "only screen": true, "print, screen": true, "tty": false,
		"(min-width: 1280px)": true, "(min-width: 1281px)": false, "(max-width:80em)": true, "(width: 1280px)": true, "(width >= 1000px)": true, "(400px < width <= 1280px)": true, "(1280px > width)": false,
		"screen and (orientation: landscape)": true, "(orientation: portrait)": false, "(prefers-color-scheme: light)": true, "(prefers-color-scheme: dark)": false, "(min-resolution: 1dppx)": true, "(min-resolution: 2dppx)": false, "(resolution: 96dpi)": true,
		"not all and (min-width: 1281px)": true, "(min-width: 1px) and (max-width: 2px)": false, "(min-width: 1px) or (max-width: 2px)": true, "(min-width: 1px) and (max-width: 2px) or (color)": false,
		"not (min-width: 1px)": false, "not (unknown)": false, "(unknown)": false, "(unknown), screen": true, "((color) and (not (hover)))": true, "(min-aspect-ratio: 16/9)": true, "(hover: none)": true, "(color)": true, "(grid)": false,
		"screen and": false, "and": false, "screen (color)": false, "(": false, "screen and (min-width: 1)": false, "(-webkit-min-device-pixel-ratio: 2)": false, "(prefers-reduced-motion)": false, "(width: calc(1000px + 280px))": true,
		"screen or (color)": false, "(height: 45rem)": true,
	} {
		if got := s.Matches(query); got != want {
			t.Errorf("Matches(%q) = %v, want %v", query, got, want)
		}
	}
}

func TestSelect(t *testing.T) {
	tree := parsed(t, `<div id=a class="x y"><p>one</p><p lang=en-GB title="Big Title">two</p><p>three</p></div><ul><li><li class=x><li><li></ul><input type=CHECKBOX checked><fieldset disabled><legend><input id=in></legend><input id=off></fieldset>`)
	for selector, want := range map[string]int{
		"p": 3, "P": 3, "#a > p": 3, "#A > p": 0, "div p + p": 2, "p ~ p": 2, "p:first-child": 1, "p:nth-child(2n+1)": 2, "li:nth-child(odd)": 2, "li:nth-child(-n+2)": 2, "li:nth-last-child(1)": 1, "li:nth-child(1 of .x)": 1,
		".x": 2, ".x.y": 1, "[title]": 1, "[title='Big Title']": 1, "[title^=big]": 0, "[title^=big i]": 1, "[title~=Title]": 1, "[lang|=en]": 1, "[type=checkbox]": 1, ":lang(en)": 1, ":checked": 1, ":disabled": 2, "input:enabled": 2,
		":is(p, li)": 7, ":where(p):not(:first-child)": 2, "div:has(p)": 1, "div:has(> li)": 0, "p:has(+ p)": 2, "ul :not(.x)": 3, "*": 17, ":root": 1, "p:hover": 0, "p::before": 0, "svg|p": 0, "*|p": 3, ":nth-child(3)": 3, "p:only-of-type": 0, "p, li": 7,
	} {
		found, err := Select(tree, selector, 100)
		if err != nil || len(found) != want {
			t.Errorf("Select(%q): %d elements, %v; want %d", selector, len(found), err, want)
		}
	}
	for _, selector := range []string{"", "p >", "> p", "p,,p", "::nonsense", ":nonsense", "[", "p::before p", "#", ".", "[a!=b]", ":nth-child(x)", "p & q >", "1p", ":not()", "a b{c}"} {
		if found, err := Select(tree, selector, 1); err == nil {
			t.Errorf("Select(%q) found %v, want an error", selector, found)
		}
	}
}

// A selector that would take for ever is given up.
func TestSelectorsAreBounded(t *testing.T) {
	text := "<style>q " + strings.Repeat("div ", 40) + "i{background:url(no)}</style>" + strings.Repeat("<div>", 300) + "<i>x</i>"
	u, err := weburl.Parse("http://shop.example/")
	if err != nil {
		t.Fatal(err)
	}
	tree := parsed(t, text)
	if got := (Style{Root: tree, Base: u, Screen: DefaultScreen()}).Needed(); got != nil {
		t.Errorf("found %v", got)
	}
}

// R7: forms are filled in and submitted.
func TestForms(t *testing.T) {
	const text = `<form id=login action=/login method=post><label>User name: <input name=user></label><label for=pw>Password</label><input id=pw type=password name=password>
<input type=hidden name=token value="a&b=c"><input type=hidden name=_charset_><input type=checkbox name=keep><input type=radio name=r value=1 checked><input type=radio name=r value=2><select name=s><option>red<option value=b>blue</select>
<textarea name=note>
line</textarea><input disabled name=d value=x><fieldset disabled><input name=e value=x></fieldset><button name=go value=in>Log in</button><button formaction=/other formmethod=get name=go value=other>Other</button><input type=button name=no value=no></form><input form=login name=outside value=1><form name=search><input name=q><input type=image name=i></form>`
	document, err := weburl.Parse("http://shop.example/dir/page?x=1#f")
	if err != nil {
		t.Fatal(err)
	}
	tree := parsed(t, text)
	for key, want := range map[string]string{"login": "login", "Log in": "login", "User name": "login", "search": "", "q": ""} {
		if f, err := FindForm(tree, key); err != nil || f.ID != want {
			t.Errorf("FindForm(%q) = %+v, %v", key, f, err)
		}
	}
	if _, err := FindForm(tree, ""); err == nil {
		t.Error("the only form of two")
	}
	f, err := FindForm(tree, "login")
	if err != nil {
		t.Fatal(err)
	}
	for _, fill := range [][2]string{{"User name", "Ann Ä\n"}, {"pw", "s3&"}, {"keep", "true"}, {"r", "2"}, {"s", "blue"}, {"note", "a\nb"}} {
		if err := f.Fill(fill[0], fill[1]); err != nil {
			t.Error(err)
		}
	}
	for _, fill := range [][2]string{{"none", ""}, {"r", "9"}, {"s", "green"}, {"keep", "maybe"}, {"d", "x"}, {"note", strings.Repeat("x", maxValue+1)}} {
		if err := f.Fill(fill[0], fill[1]); err == nil {
			t.Errorf("%.20q was filled in", fill)
		}
	}
	const data = "user=Ann+%C3%84&password=s3%26&token=a%26b%3Dc&_charset_=UTF-8&keep=on&r=2&s=b&note=a%0D%0Ab&"
	for _, test := range []struct{ button, method, url, kind, body string }{
		{"", "POST", "http://shop.example/login", "application/x-www-form-urlencoded", data + "go=in&outside=1"},
		{"Other", "GET", "http://shop.example/other?" + data + "go=other&outside=1", "", ""},
	} {
		s, err := f.Submit(f.Button(test.button), document, document, rand.NewPCG(1, 2))
		if err != nil || s.Method != test.method || s.URL.String() != test.url || s.ContentType != test.kind || string(s.Body) != test.body {
			t.Errorf("%q: %v\n%+v\n%s\n%s", test.button, err, s, s.URL, s.Body)
		}
	}
	search, err := FindForm(tree, "search")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := search.Submit(search.Button(""), document, document, nil); err != nil || s.URL.String() != "http://shop.example/dir/page?q=&i.x=0&i.y=0" {
		t.Errorf("search: %+v %v", s, err)
	}
}

func TestEncodings(t *testing.T) {
	document, err := weburl.Parse("http://shop.example/")
	if err != nil {
		t.Fatal(err)
	}
	for enctype, want := range map[string][2]string{
		"multipart/form-data": {"multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name=\"a%22b\"\r\n\r\nx\r\ny\r\n--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"\"\r\nContent-Type: application/octet-stream\r\n\r\n\r\n--B--\r\n"},
		"text/plain":          {"text/plain", "a\"b=x\r\ny\r\nf=\r\n"},
		"nonsense":            {"application/x-www-form-urlencoded", "a%22b=x%0D%0Ay&f="},
	} {
		tree := parsed(t, fmt.Sprintf(`<form method=POST enctype="%s"><textarea name='a"b'>x&#10;y</textarea><input type=file name=f></form>`, enctype))
		f, err := FindForm(tree, "")
		if err != nil {
			t.Fatal(err)
		}
		s, err := f.Submit(nil, document, document, rand.NewPCG(1, 2))
		if err != nil {
			t.Fatal(err)
		}
		_, boundary, _ := strings.Cut(s.ContentType, "boundary=")
		got := [2]string{s.ContentType, string(s.Body)}
		if boundary != "" {
			for i := range got {
				got[i] = strings.ReplaceAll(got[i], boundary, "B")
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", enctype, diff)
		}
	}
	f, err := FindForm(parsed(t, `<form method=dialog></form>`), "")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := f.Submit(nil, document, document, nil); err != nil || s.Method != "" {
		t.Errorf("a dialog: %+v %v", s, err)
	}
}

func FuzzSrcset(f *testing.F) {
	for _, seed := range []string{"a 1x, b 2x", "a 100w 50h, b 200w", "a (,) 1x", ",,,", "a,"} {
		f.Add(seed, "(min-width: 1px) 10vw, calc(1px + 2em)")
	}
	f.Fuzz(func(t *testing.T, srcset, sizes string) {
		s := DefaultScreen()
		list := ParseSrcset(srcset)
		total := 0
		for _, c := range list {
			total += len(c.Address)
			if c.Address == "" || strings.HasPrefix(c.Address, ",") || c.Width < 0 || c.Density < 0 {
				t.Fatalf("candidate %+v", c)
			}
		}
		if total > len(srcset) || len(list) > maxCandidates {
			t.Fatalf("%d bytes of %d", total, len(srcset))
		}
		if chosen := s.Select(srcset, sizes, ""); (chosen == "") != (len(list) == 0) {
			t.Fatalf("%q chosen of %v", chosen, list)
		}
		if size := s.SourceSize(sizes); !(size >= 0) {
			t.Fatalf("a size of %v", size)
		}
	})
}

func FuzzMedia(f *testing.F) {
	for _, seed := range []string{"screen and (min-width: 1px)", "not ((color) or (1px < width < 2px))", "only print, all", "((((", "(width: calc(1px*(2 + 3)))"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		s := DefaultScreen()
		if got := s.Matches(query + ", screen"); !got && len(query) < 50 && !strings.ContainsAny(query, "([{\"'\\/*") {
			t.Fatalf("%q, screen does not match", query)
		}
	})
}

func FuzzParseRefresh(f *testing.F) {
	for _, seed := range []string{"0; url=a", "1", "9.9,'x'", ";"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		r, ok := ParseRefresh(content)
		if r.After < 0 || r.After > maxRefresh || len(r.Address) > len(content) || !ok && r != (Refresh{}) {
			t.Fatalf("%+v %v", r, ok)
		}
	})
}
