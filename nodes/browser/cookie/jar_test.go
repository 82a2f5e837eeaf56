package cookie

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// to is a request to url, from the page top; no top: the address was typed.
func to(url, top string) Request {
	scheme, rest, _ := strings.Cut(url, "://")
	host, path, _ := strings.Cut(rest, "/")
	r := Request{Scheme: scheme, Host: host, Path: "/" + path}
	if top != "" {
		r.Top = origin(top)
	}
	return r
}

func origin(url string) Origin {
	scheme, host, _ := strings.Cut(url, "://")
	return Origin{scheme, host}
}

// R6
func TestStore(t *testing.T) {
	const fresh = "the jar had none of this name, domain and path"
	const byDefault = "a cookie that names no SameSite counts as lax and is not set by a part of another site's page"
	for _, test := range []struct {
		name   string
		from   Request
		field  string
		policy Policy
		kind   Kind
		reason string
	}{
		{"plain", to("http://shop.example/", ""), "a=b", Policy{}, New, fresh},
		{"domain above", to("http://www.shop.example/", ""), "a=b; Domain=shop.example", Policy{}, New, fresh},
		{"public suffix", to("http://shop.example/", ""), "a=b; Domain=example", Policy{}, Refused, "its domain example is a public suffix"},
		{"suffix is the host", to("http://example/", ""), "a=b; Domain=example", Policy{}, New, fresh},
		{"other domain", to("http://shop.example/", ""), "a=b; Domain=bank.example", Policy{}, Refused, "its domain bank.example is not the server's"},
		{"part of an address", to("http://10.0.0.1/", ""), "a=b; Domain=0.0.1", Policy{}, Refused, "its domain 0.0.1 is not the server's"},
		{"an address", to("http://10.0.0.1/", ""), "a=b; Domain=10.0.0.1", Policy{}, New, fresh},
		{"secure", to("http://shop.example/", ""), "a=b; Secure", Policy{}, Refused, "Secure needs https"},
		{"secure over https", to("https://shop.example/", ""), "a=b; Secure", Policy{}, New, fresh},
		{"control", to("http://shop.example/", ""), "a=b\x01", Policy{}, Refused, "it has a control character"},
		{"nameless", to("http://shop.example/", ""), "b", Policy{}, Refused, "it has no name"},
		{"too long", to("http://shop.example/", ""), "a=" + strings.Repeat("b", maxPair), Policy{}, Refused, "name and value are longer than 4096 bytes"},
		{"as long as may be", to("http://shop.example/", ""), "a=" + strings.Repeat("b", maxPair-1), Policy{}, New, fresh},
		{"deleted without being there", to("http://shop.example/", ""), "a=b; Max-Age=0", Policy{}, Unchanged, "the server deletes it, but the jar has no such cookie"},

		{"prefix secure", to("https://shop.example/", ""), "__Secure-a=b; Secure", Policy{}, New, fresh},
		{"prefix secure, not so", to("https://shop.example/", ""), "__SECURE-a=b", Policy{}, Refused, "__Secure- needs Secure"},
		{"prefix host", to("https://shop.example/x", ""), "__Host-a=b; Secure; Path=/", Policy{}, New, fresh},
		{"prefix host, a domain", to("https://shop.example/", ""), "__Host-a=b; Secure; Path=/; Domain=shop.example", Policy{}, Refused, "__Host- needs Secure, Path=/ and no Domain"},
		{"prefix host, no path", to("https://shop.example/", ""), "__Host-a=b; Secure", Policy{}, Refused, "__Host- needs Secure, Path=/ and no Domain"},

		{"lax by default", to("http://ads.example/", "http://shop.example"), "a=b", Policy{}, Refused, byDefault},
		{"same site", to("http://img.shop.example/", "http://shop.example"), "a=b", Policy{}, New, fresh},
		{"other scheme", to("https://shop.example/", "http://shop.example"), "a=b", Policy{}, Refused, byDefault},
		{"strict", to("http://ads.example/", "http://shop.example"), "a=b; SameSite=Strict", Policy{LooseSameSite: true}, Refused, "SameSite=strict is not set by a part of another site's page"},
		{"none, not secure", to("http://ads.example/", "http://shop.example"), "a=b; SameSite=None", Policy{}, Refused, "SameSite=None needs Secure"},
		{"none", to("https://ads.example/", "http://shop.example"), "a=b; SameSite=None; Secure", Policy{}, New, fresh},
		{"loose", to("http://ads.example/", "http://shop.example"), "a=b", Policy{LooseSameSite: true}, New, fresh},
		{"loose, none", to("http://ads.example/", "http://shop.example"), "a=b; SameSite=None", Policy{LooseSameSite: true}, New, fresh},
		{"third party blocked", to("https://ads.example/", "http://shop.example"), "a=b; SameSite=None; Secure", Policy{ThirdParty: BlockThirdParty}, Refused, "third-party cookies are blocked"},
		{"first party, third blocked", to("http://www.shop.example/", "http://shop.example"), "a=b", Policy{ThirdParty: BlockThirdParty}, New, fresh},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := NewJar(test.policy).Store(noon, test.from, test.field)
			if got.Kind != test.kind || got.Reason != test.reason {
				t.Errorf("Store(%q) = %s %q, want %s %q", test.field, got.Kind, got.Reason, test.kind, test.reason)
			}
		})
	}
}

// R6
func TestSend(t *testing.T) {
	jar := NewJar(Policy{})
	shop := to("http://shop.example/cart/list", "")
	secure := to("https://shop.example/", "")
	for _, field := range []string{"folder=1", "root=2; Path=/", "wide=3; Path=/; Domain=shop.example", "open=6; Path=/; Max-Age=60"} {
		jar.Store(noon, shop, field)
	}
	jar.Store(noon, secure, "locked=4; Path=/; Secure")
	jar.Store(noon, secure, "everywhere=5; Path=/; Secure; SameSite=None")
	for _, test := range []struct {
		to       Request
		after    time.Duration
		sent     string
		withheld string
	}{
		{to("http://shop.example/", ""), 0, "root=2; wide=3; open=6", "locked everywhere"},
		{to("http://shop.example/cart/list", ""), 0, "folder=1; root=2; wide=3; open=6", "locked everywhere"},
		{to("http://shop.example/cartoon", ""), 0, "root=2; wide=3; open=6", "locked everywhere"},
		{to("http://shop.example/", ""), time.Minute, "root=2; wide=3", "locked everywhere"},
		{to("https://shop.example/", ""), 0, "root=2; wide=3; open=6; locked=4; everywhere=5", ""},
		{to("http://www.shop.example/", ""), 0, "wide=3", ""},
		{to("http://other.example/", ""), 0, "", ""},
		{to("http://myshop.example/", ""), 0, "", ""},
		{to("https://shop.example/", "https://blog.example"), 0, "everywhere=5", "root wide open locked"},
		{to("http://shop.example/", "http://www.shop.example"), 0, "root=2; wide=3; open=6", "locked everywhere"},
	} {
		send, withheld := jar.Send(noon.Add(test.after), test.to)
		var names []string
		for _, w := range withheld {
			names = append(names, w.Cookie.Name)
		}
		if got := Header(send); got != test.sent || strings.Join(names, " ") != test.withheld {
			t.Errorf("to %+v after %v: sent %q, withheld %q, want %q, %q", test.to, test.after, got, names, test.sent, test.withheld)
		}
	}
}

// R6
func TestReplaceDeleteExpire(t *testing.T) {
	jar := NewJar(Policy{})
	shop := to("http://shop.example/", "")
	steps := []struct {
		after time.Duration
		field string
		want  Kind
	}{
		{0, "a=1; Max-Age=60", New},
		{time.Second, "b=1", New},
		{2 * time.Second, "a=2; Max-Age=60", Replaced},
		{3 * time.Second, "b=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", Deleted},
		{4 * time.Second, "b=; Max-Age=-1", Unchanged},
	}
	for _, step := range steps {
		if got := jar.Store(noon.Add(step.after), shop, step.field); got.Kind != step.want {
			t.Errorf("Store(%q) = %s, want %s", step.field, got.Kind, step.want)
		}
	}
	if gone := jar.Expire(noon.Add(time.Minute)); len(gone) != 0 {
		t.Errorf("expired too early: %v", gone)
	}
	gone := jar.Expire(noon.Add(62 * time.Second))
	if len(gone) != 1 || gone[0].Cookie.Value != "2" || !gone[0].Cookie.Created.Equal(noon) {
		t.Errorf("expired %+v, want a=2 as created at noon", gone)
	}
	if left := jar.Cookies(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestLongestLife(t *testing.T) {
	jar := NewJar(Policy{})
	for _, field := range []string{"a=1; Max-Age=99999999999999999999", "b=1; Expires=Fri, 31 Dec 9999 00:00:00 GMT"} {
		got := jar.Store(noon, to("http://shop.example/", ""), field)
		if want := noon.Add(maxLifetime); !got.Cookie.Expires.Equal(want) {
			t.Errorf("%q expires %v, want %v", field, got.Cookie.Expires, want)
		}
	}
}

// R6
func TestFile(t *testing.T) {
	jar := NewJar(Policy{})
	shop := to("http://shop.example/", "")
	jar.Store(noon, shop, "visit=1; Max-Age=3600; HttpOnly")
	jar.Store(noon, shop, "short=1; Max-Age=60")
	jar.Store(noon, shop, "login=ann")
	text, err := jar.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"name": "login"`) || !strings.Contains(string(text), `"session": true`) {
		t.Errorf("the session cookie is not in the file:\n%s", text)
	}
	again := NewJar(Policy{})
	if err := again.Load(noon.Add(5*time.Minute), text); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(jar.Cookies()[:1], again.Cookies()); diff != "" {
		t.Errorf("loaded (-want +got):\n%s", diff)
	}
	if err := again.Load(noon, []byte("{")); err == nil {
		t.Error("a broken file is no error")
	}
	if len(again.Clear()) != 1 || len(again.Cookies()) != 0 {
		t.Error("Clear does not empty the jar")
	}
}

func FuzzStore(f *testing.F) {
	for _, seed := range []string{
		"a=b", "a=b; Path=/; Domain=.shop.example; Max-Age=60; Secure; HttpOnly; SameSite=None", "=", ";", "a=b; Expires=Wed, 09 Jun 2027 10:18:14 GMT",
		"__Host-a=b; Secure; Path=/", "a=\x00", "a=b; max-age=-99999999999999999999", "a=b; domain=", "a=b; domain=..", "a=b; path",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		jar := NewJar(Policy{Nameless: true})
		from := to("https://www.shop.example/a/b", "")
		change := jar.Store(noon, from, field)
		if change.Reason == "" {
			t.Fatalf("%s without a reason", change.Kind)
		}
		send, _ := jar.Send(noon, Request{Scheme: "https", Host: from.Host, Path: change.Cookie.Path})
		if change.Kind == New && len(send) != 1 {
			t.Fatalf("stored and not sent: %+v", change.Cookie)
		}
		if strings.ContainsAny(Header(send), "\r\n\x00;") {
			t.Fatalf("header %q", Header(send))
		}
	})
}

func FuzzParseDate(f *testing.F) {
	for _, seed := range []string{"Wed, 09 Jun 2027 10:18:14 GMT", "1:1:1 1 jan 70", "Sunday, 06-Nov-94 08:49:37 GMT", "::", "31 feb 2020 0:0:0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if at, ok := ParseDate(s); ok && (at.Year() < 1601 || at.Year() > 9999) {
			t.Fatalf("ParseDate(%q) = %v", s, at)
		}
	})
}
