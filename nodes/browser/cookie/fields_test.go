package cookie

import (
	"strings"
	"testing"
	"time"
)

// exchange is what a server sets at one address, and what a browser sends to another.
type exchange struct {
	name string
	set  []string
	to   string // empty: where it was set
	want string
}

// run has a jar take what is set at from, and compares the Cookie field that goes to each exchange's address.
func run(t *testing.T, policy Policy, from string, exchanges []exchange) {
	t.Helper()
	for _, x := range exchanges {
		t.Run(x.name, func(t *testing.T) {
			jar := NewJar(policy)
			for _, field := range x.set {
				jar.Store(noon, to(from, ""), field)
			}
			if x.to == "" {
				x.to = from
			}
			if send, _ := jar.Send(noon, to(x.to, "")); Header(send) != x.want {
				t.Errorf("%q sent %q, want %q", x.set, Header(send), x.want)
			}
		})
	}
}

func set(fields ...string) []string { return fields }

// R6: the cases are those that browsers test in web-platform-tests, cookies/value, attributes and encoding.
func TestFields(t *testing.T) {
	run(t, Policy{Nameless: true}, "http://home.example.org/cookies/attributes/page", []exchange{
		{"comma", set("test=1, baz=qux"), "", "test=1, baz=qux"},
		{"quoted comma", set(`test="2, baz=qux"`), "", `test="2, baz=qux"`},
		{"semicolon in quotes", set(`test="3zz;pp" ; ;`), "", `test="3zz`},
		{"space at the end", set(`test="4zz ;`), "", `test="4zz`},
		{"quotes and spaces", set(`test="5zzz "   "ppp"  ;`), "", `test="5zzz "   "ppp"`},
		{"no equals sign", set("test7"), "", "test7"},
		{"no equals sign, quoted", set(`"test8\"HHH"`), "", `"test8\"HHH"`},
		{"nothing before the equals sign", set("=test10"), "", "test10"},
		{"nothing before two", set("==a"), "", "=a"},
		{"space before the value", set("test=  16"), "", "test=16"},
		{"spaces in quotes", set(`test="  18 "`), "", `test="  18 "`},
		{"tabs around all", set("test\t=\t21\t \t;\tttt"), "", "test=21"},
		{"tab inside", set("te\tst=2\t2"), "", "te\tst=2\t2"},
		{"no value", set("testA=22", "test22=", "testB=22"), "", "testA=22; test22=; testB=22"},
		{"percent stays", set("test=%32%33"), "", "test=%32%33"},
		{"equals signs in the value", set("  test=== 13  ;foo;;;   bar"), "", "test=== 13"},
		{"two lines, one name", set("a=1", "b=2", "a=3"), "", "a=3; b=2"},
		{"nameless ones replace each other", set("a", "b", "=c"), "", "c"},
		{"name, and the same as value", set("a", "a="), "", "a; a="},
		{"neither name nor value", set("testA=20", "=", "testb=20"), "", "testA=20; testb=20"},
		{"empty field", set("test=21", ""), "", "test=21"},
		{"attribute alone", set("testA23", "; testB23"), "", "testA23"},
		{"spaces alone", set("test24", "   ", "\t"), "", "test24"},
		{"names differ by case", set("a=1", "A=2"), "", "a=1; A=2"},
		{"utf-8 value", set("test=春节回家路·春运完全手册"), "", "test=春节回家路·春运完全手册"},
		{"utf-8 name", set("тест=2"), "", "тест=2"},
		{"utf-8 attribute", set("春节回=6家路·春运; 完全手册"), "", "春节回=6家路·春运"},
		{"not utf-8", set("cookies\xff=\xfftest\xff"), "", "cookies\xff=\xfftest\xff"},

		{"unknown attribute first", set("test=1; lol; Path=/"), "", "test=1"},
		{"unknown attribute last", set(`test=7; Path=/; lol="aaa;bbb"`), "", "test=7"},
		{"Secure in quotes is none", set(`test=8; "Secure"`), "", "test=8"},
		{"Secure with more is none", set("test=9; Secure qux"), "", "test=9"},
		{"Secure with a value is Secure", set("test=9; secure=no"), "", ""},
		{"version", set("test=14; version=1;"), "", "test=14"},
		{"comma after max-age", set("test=19;max-age=3600, c=d;path=/"), "", "test=19"},
		{"HttpOnly with a value", set("test=1; httponly=false"), "", "test=1"},

		{"max-age not a number", set("test=1; Max-Age=50,399", "five; max-age=2.63,"), "", "test=1; five"},
		{"max-age 0", set("test=3; max-age=0"), "", ""},
		{"max-age negative", set("test=5; max-age=-20"), "", ""},
		{"max-age a minus", set("test=5; max-age=-"), "", "test=5"},
		{"max-age a plus", set("test=5; max-age=+0"), "", "test=5"},
		{"max-age empty", set("test=5; max-age="), "", "test=5"},
		{"max-age deletes", set("testA=7; max-age=60", "testB=7; max-age=60", "testA=x; max-age=0"), "", "testB=7"},
		{"max-age before expires", set("a=1; max-age=60; expires=Thu, 10 Apr 1980 16:33:12 GMT"), "", "a=1"},
		{"max-age after expires", set("a=1; expires=Thu, 10 Apr 1980 16:33:12 GMT; max-age=60"), "", "a=1"},
		{"the last max-age", set("a=1; max-age=60; max-age=0"), "", ""},
		{"a bad max-age after a good one", set("a=1; max-age=0; max-age=x"), "", ""},
		{"expires with a comma", set("test=1; Expires=Fri, 01 Jan 2038 00:00:00 GMT"), "", "test=1"},
		{"expires with more", set("test=2; Expires=Fri 01 Jan 2038 00:00:00 GMT, baz=qux"), "", "test=2"},
		{"expires over", set("test=5; expires=Thu, 10 Apr 1980 16:33:12 GMT"), "", ""},
		{"expires no date", set("test=5; expires=tomorrow"), "", "test=5"},
	})
}

// R6: as in web-platform-tests, cookies/value, name and attributes, with each control character.
func TestControlCharacters(t *testing.T) {
	for b := range byte(0x80) {
		if b >= ' ' && b != 0x7f {
			continue
		}
		for _, field := range []string{"te" + string(b) + "st=1", "test=a" + string(b) + "b", "test=1; pa" + string(b) + "th=/", "test=1; Domain=shop.example" + string(b)} {
			got := NewJar(Policy{}).Store(noon, to("http://shop.example/", ""), field)
			if want := b != '\t'; (got.Kind == Refused) != want {
				t.Errorf("Store(%q) = %s %s, refused is to be %v", field, got.Kind, got.Reason, want)
			}
		}
	}
}

// R6: as in web-platform-tests, cookies/size.
func TestSizes(t *testing.T) {
	pair := func(name, value int) string { return strings.Repeat("t", name) + "=" + strings.Repeat("1", value) }
	long := strings.Repeat("a", maxAttribute)
	run(t, Policy{Nameless: true}, "http://www.shop.example/cookies/size/page", []exchange{
		{"both half", set(pair(2048, 2048)), "", pair(2048, 2048)},
		{"name alone", set(pair(4096, 0)), "", pair(4096, 0)},
		{"name too long", set(pair(4097, 0)), "", ""},
		{"name and one byte", set(pair(4096, 1)), "", ""},
		{"value", set(pair(1, 4095)), "", pair(1, 4095)},
		{"value too long", set(pair(1, 4096)), "", ""},
		{"nameless", set(pair(0, 4096)), "", pair(0, 4096)[1:]},
		{"nameless too long", set(pair(0, 4097)), "", ""},
		{"nameless without equals sign too long", set(pair(0, 4097)[1:]), "", ""},
		{"long path after one", set("test=1; path=/cookies/size; path=/cookies/siz" + long), "", "test=1"},
		{"long path before one", set("test=2; path=/cookies/siz" + long + "; path=/cookies/size"), "", "test=2"},
		{"long domain after one", set("test=3; domain=shop.example; domain=" + long + ".com"), "", "test=3"},
		{"long domain before one", set("test=4; domain=" + long + ".com; domain=shop.example"), "", "test=4"},
		{"path as long as may be", set("test=5; path=/" + long[1:]), "http://www.shop.example/" + long[1:], "test=5"},
		{"long unknown attribute", set("test=6; x=" + long + long), "", "test=6"},
	})
}

// R6: as in web-platform-tests, cookies/attributes/resources/domain-child and cookies/domain.
func TestDomains(t *testing.T) {
	const sibling, below = "http://sibling.example.org/", "http://subdomain.home.example.org/"
	run(t, Policy{}, "http://home.example.org/", []exchange{
		{"the host", set("a=1; domain=home.example.org"), "", "a=1"},
		{"the host, to a name below", set("a=1; domain=home.example.org"), below, "a=1"},
		{"the host, to a sibling", set("a=1; domain=home.example.org"), sibling, ""},
		{"leading dot", set("a=1; domain=.home.example.org"), below, "a=1"},
		{"none, to a name below", set("a=1"), below, ""},
		{"above", set("a=1; domain=.example.org"), sibling, "a=1"},
		{"below", set("a=1; domain=subdomain.home.example.org"), below, ""},
		{"sibling", set("a=1; domain=.sibling.example.org"), sibling, ""},
		{"two dots first", set("a=1; domain=..home.example.org"), "", ""},
		{"two dots inside", set("a=1; domain=home..example.org"), "", ""},
		{"space before the dot", set("a=1; domain=  .home.example.org"), "", "a=1"},
		{"space after the dot", set("a=1; domain=  .  home.example.org"), "", ""},
		{"trailing dot", set("a=1; domain=home.example.org."), "", ""},
		{"trailing dots", set("a=1; domain=home.example.org.."), "", ""},
		{"trailing space and dot", set("a=1; domain=home.example.org ."), "", ""},
		{"public suffix", set("a=1; domain=org"), "", ""},
		{"public suffix, leading dot", set("a=1; domain=.org"), "", ""},
		{"public suffix, dots", set("a=1; domain=.org."), "", ""},
		{"quoted", set(`a=1; domain="home.example.org"`), "", ""},
		{"port", set("a=1; domain=home.example.org:80"), "", ""},
		{"scheme", set("a=1; domain=http://home.example.org"), "", ""},
		{"upper case", set("a=1; domain=home.eXaMpLe.org"), "", "a=1"},
		{"request in upper case", set("a=1; domain=home.example.org"), "http://hoMe.eXaMplE.org/", "a=1"},
		{"empty", set("a=1; domain="), "", "a=1"},
		{"empty, to a name below", set("a=1; domain="), below, ""},
		{"the last counts", set("a=1; domain=.example.org; domain=home.example.org"), sibling, ""},
		{"the last counts, wider", set("a=1; domain=home.example.org; domain=.example.org"), sibling, "a=1"},
		{"the last is another", set("a=1; domain=home.example.org; domain=home.example.com"), "", ""},
		{"the first is another", set("a=1; domain=home.example.com; domain=home.example.org"), "", "a=1"},
		{"an empty one does not count", set("a=1; domain=example.org; domain="), sibling, "a=1"},
		{"an empty one does not help", set("a=1; domain=sibling.example.org; domain="), "", ""},
		{"with and without a dot are one", set("a=1; domain=home.example.org", "a=2; domain=.home.example.org"), "", "a=2"},
		{"of the host alone and of the domain are two", set("a=1", "a=2; domain=home.example.org"), "", "a=1; a=2"},
		{"not ASCII", set("a=1; domain=élève.home.example.org"), "", ""},
		{"not ASCII, but as lower case", set("a=1; domain=home.eXample.or\u212a"), "", ""},
		{"a suffix that is no label", set("a=1; domain=e.example.org"), "", ""},
	})
	run(t, Policy{}, "http://xn--lve-6lad.example.org/", []exchange{
		{"punycode", set("a=1; domain=xn--lve-6lad.example.org"), "", "a=1"},
	})
	run(t, Policy{}, "http://192.0.2.7/", []exchange{
		{"address", set("a=1; domain=192.0.2.7"), "", "a=1"},
		{"part of an address", set("a=1; domain=2.7"), "", ""},
		{"address with a dot", set("a=1; domain=.192.0.2.7"), "", "a=1"},
		{"no name below an address", set("a=1; domain=192.0.2.7"), "http://x.192.0.2.7/", "a=1"},
	})
	run(t, Policy{}, "http://[2001:db8::1]/", []exchange{
		{"IPv6", set("a=1; domain=[2001:db8::1]", "b=2"), "", "a=1; b=2"},
		{"IPv6 without brackets", set("a=1; domain=2001:db8::1"), "", ""},
	})
	run(t, Policy{}, "http://pages.github.io/", []exchange{
		{"public suffix of a company", set("a=1; domain=github.io", "b=1; domain=pages.github.io"), "", "b=1"},
	})
	run(t, Policy{}, "http://github.io/", []exchange{
		{"the public suffix itself: for the host alone", set("a=1; domain=github.io"), "http://pages.github.io/", ""},
	})
	run(t, Policy{}, "http://shop.example./", []exchange{
		{"dot at the end of the host", set("a=1"), "", "a=1"},
		{"and without it", set("a=1"), "http://shop.example/", ""},
		{"dot at the end of both", set("a=1; domain=shop.example."), "http://www.shop.example./", "a=1"},
		{"public suffix with a dot", set("a=1; domain=example."), "", ""},
	})
}

// R6: as in web-platform-tests, cookies/path and attributes/path.
func TestPaths(t *testing.T) {
	const base = "http://shop.example"
	run(t, Policy{}, base+"/cookies/path/echo.html", []exchange{
		{"slash", set("a=1; path=/"), "", "a=1"},
		{"not absolute: the default", set("a=1; path=match.html"), base + "/cookies/path/x", "a=1"},
		{"folder above", set("a=1; path=/cookies"), "", "a=1"},
		{"folder above with a slash", set("a=1; path=/cookies/"), "", "a=1"},
		{"the page", set("a=1; path=/cookies/path/echo.html"), "", "a=1"},
		{"the page with a slash", set("a=1; path=/cookies/path/echo.html/"), "", ""},
		{"below the page", set("a=1; path=/cookies/path/echo.html/sub"), "", ""},
		{"part of a folder", set("a=1; path=/cook"), "", ""},
		{"part of the page", set("a=1; path=/cookies/path/echo"), "", ""},
		{"another folder", set("a=1; path=/w/"), "", ""},
		{"upper case", set("a=1; path=/COOKIES"), "", ""},
		{"quoted: not absolute", set(`a=1; path="/w"`), "", "a=1"},
		{"the last counts", set("a=1; path=/w; path=/cookies"), "", "a=1"},
		{"the last counts, though it matches no more", set("a=1; path=/cookies; path=/w"), "", ""},
		{"the last is empty: the default", set("a=1; path=/w; path="), "", "a=1"},
		{"the last is no path: the default", set("a=1; path=/w; path"), "", "a=1"},
		{"question mark", set("a=1; path=/cookies/path/echo.html?x"), base + "/cookies/path/echo.html", ""},
		{"tabs", set("a=1; \tpath\t=\t/cookies\t"), "", "a=1"},
		{"two slashes", set("a=1; path=/cookies/"), base + "/cookies//x", "a=1"},
		{"space is not its percent form", set("a=1; path=/zz a"), base + "/zz%20a", ""},
		{"percent form", set("a=1; path=/zz%20a"), base + "/zz%20a", "a=1"},
		{"percent form is not the letter", set("a=1; path=/c%6Fokies"), "", ""},
		{"not ASCII", set("a=1; path=/cookies/中"), "", ""},
		{"not ASCII, nor the default", set("a=1; path=/\xb8"), "", ""},
		{"not ASCII before a good one", set("a=1; path=/中; path=/cookies"), "", "a=1"},
		{"not ASCII after a good one", set("a=1; path=/cookies; path=/cookies/中"), "", ""},
		{"default path", set("a=1"), base + "/cookies/path/deeper/x", "a=1"},
		{"default path, not above", set("a=1"), base + "/cookies/x", ""},
		{"default path is the folder itself too", set("a=1"), base + "/cookies/path", "a=1"},
	})
	run(t, Policy{}, base+"/page", []exchange{
		{"default path of a page in the root", set("a=1"), base + "/x/y", "a=1"},
	})
	for _, path := range []string{"", "*", "x"} {
		jar := NewJar(Policy{})
		jar.Store(noon, Request{Scheme: "http", Host: "shop.example", Path: path}, "a=1")
		if got := jar.Cookies()[0].Path; got != "/" {
			t.Errorf("default path of %q = %q, want /", path, got)
		}
	}
}

// R6: as in web-platform-tests, cookies/ordering.
func TestOrder(t *testing.T) {
	run(t, Policy{}, "http://home.example.org/cookies/attributes/resources/path/one.html", []exchange{
		{"longer paths first", set("testA=1; path=/x", "testB=1; path=/cookies", "testC=1; path=/", "testD=1; path=/cooking",
			"testE=1; domain=.example.org; path=/", "testF=1; domain=.example.org; path=/cookies/attributes"), "", "testF=1; testB=1; testC=1; testE=1"},
		{"longest is the page", set("testA=3; path=/cookies/attributes/resources/path",
			"testB=3; path=/cookies/attributes/resources/path/one.html", "testC=3; path=/cookies/attributes"), "", "testB=3; testA=3; testC=3"},
		{"older first", set("testZ=4; path=/cookies", "testB=4; path=/cookies/attributes/resources/path", "testA=4; path=/cookies"),
			"", "testB=4; testZ=4; testA=4"},
		{"a new value keeps the place", set("a=1", "b=1", "a=2"), "", "a=2; b=1"},
		{"deleted and set again is new", set("a=1", "b=1", "a=; max-age=0", "a=2"), "", "b=1; a=2"},
	})
}

// R6: RFC 6265bis, section 5.1.1, and what browsers test of dates.
func TestDatesAtTheEdge(t *testing.T) {
	for text, want := range map[string]string{
		"Thu, 01 Jan 1970 00:00:00 GMT":  "1970-01-01T00:00:00Z",
		"Sun, 06-Nov-94 08:49:37 GMT":    "1994-11-06T08:49:37Z",
		"Sun Nov  6 08:49:37 1994":       "1994-11-06T08:49:37Z",
		"1 jan 69 0:0:0":                 "2069-01-01T00:00:00Z",
		"1 jan 70 0:0:0":                 "1970-01-01T00:00:00Z",
		"1 jan 99 0:0:0":                 "1999-01-01T00:00:00Z",
		"1 jan 1601 0:0:0":               "1601-01-01T00:00:00Z",
		"1 jan 1600 0:0:0":               "",
		"29 feb 2024 0:0:0":              "2024-02-29T00:00:00Z",
		"29 feb 2023 0:0:0":              "",
		"31 apr 2024 0:0:0":              "",
		"0 jan 2024 0:0:0":               "",
		"32 jan 2024 0:0:0":              "",
		"1 jan 2024 24:0:0":              "",
		"1 jan 2024 0:60:0":              "",
		"1 jan 2024 0:0:60":              "",
		"1 jan 2024 0:0":                 "",
		"1 jan 2024 1:2:3pm":             "2024-01-01T01:02:03Z",
		"1 jan 2024 001:2:3":             "",
		"1st january 2024ad 10:20:30":    "2024-01-01T10:20:30Z",
		"10:20:30 2024 january 1":        "2024-01-01T10:20:30Z",
		"1 janvier 2024 10:20:30":        "2024-01-01T10:20:30Z",
		"1 ja 2024 10:20:30":             "",
		"1 jan 20240 10:20:30":           "",
		"1 jan 202 10:20:30":             "",
		"1 jan 2024 10:20:30 GMT+0200":   "2024-01-01T10:20:30Z",
		"1\tjan\t2024\t10:20:30":         "2024-01-01T10:20:30Z",
		"1/jan/2024;10:20:30":            "2024-01-01T10:20:30Z",
		"":                               "",
		"Wed, 30 Feb 2000 00:00:00 GMT":  "",
		"Mon, 01 Jan 9999 23:59:59 GMT":  "9999-01-01T23:59:59Z",
		"Mon, 10-Dec-07 20:35:03 é":      "2007-12-10T20:35:03Z",
		"Mon, 10-Dec-2007\x0120:35:03":   "",
		"10:20:30 11:21:31 1 jan 2024":   "2024-01-11T10:20:30Z",
		"Tue, 18 Oct 2011 07:42:42.123 ": "2011-10-18T07:42:42Z",
	} {
		at, ok := ParseDate(text)
		got := ""
		if ok {
			got = at.Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("ParseDate(%q) = %q, want %q", text, got, want)
		}
	}
}
