package cookie

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// stored puts fields into a new jar, as answers to the request from.
func stored(t *testing.T, policy Policy, from Request, fields ...string) *Jar {
	t.Helper()
	jar := NewJar(policy)
	for _, field := range fields {
		if got := jar.Store(noon, from, field); got.Kind != New {
			t.Fatalf("Store(%q) = %s: %s", field, got.Kind, got.Reason)
		}
	}
	return jar
}

// names of what goes along with to, half a minute later, and of what stays behind.
func names(jar *Jar, after time.Duration, to Request) (send, withheld string) {
	var s, w []string
	sent, held := jar.Send(noon.Add(after), to)
	for _, c := range sent {
		s = append(s, c.Name)
	}
	for _, c := range held {
		w = append(w, c.Cookie.Name)
	}
	return strings.Join(s, " "), strings.Join(w, " ")
}

const shop, ads, blog = "https://shop.example", "https://ads.example", "https://blog.example"

// R6: RFC 6265bis, sections 5.2 and 5.6.7.
func TestSameSite(t *testing.T) {
	part := func(url, top string, ancestors ...string) Request {
		r := to(url+"/", top)
		for _, a := range ancestors {
			r.Ancestors = append(r.Ancestors, origin(a))
		}
		return r
	}
	open := func(url, initiator, method string) Request {
		r := to(url+"/", "")
		r.Initiator, r.Method = origin(initiator), method
		return r
	}
	frame := func(url, top, initiator string) Request {
		r := part(url, top)
		r.Initiator = origin(initiator)
		return r
	}
	const all, lax, none = "strict lax unstated none", "lax unstated none", "none"
	for _, test := range []struct {
		name string
		to   Request
		sent string
	}{
		{"typed address", to(shop+"/", ""), all},
		{"part of its own page", part(shop, shop), all},
		{"part of a page of the same site", part(shop, "https://www.shop.example"), all},
		{"part of another site's page", part(shop, blog), none},
		{"part of a page with the other scheme", part(shop, "http://shop.example"), none},
		{"script socket in its own page", Request{Scheme: "wss", Host: "shop.example", Top: origin(shop)}, all},
		{"in a frame of its own site", part(shop, shop, "https://www.shop.example"), all},
		{"in a frame of another site", part(shop, shop, ads), none},
		{"in its own frame in a frame of another site", part(shop, shop, ads, shop), none},
		{"in its own frame in another site's page", part(shop, blog, shop), none},
		{"in an opaque frame", part(shop, shop, "data://"), none},
		{"frame that its own page opens", frame(shop, shop, shop), all},
		{"frame that another site's frame leads to", frame(shop, shop, ads), none},
		{"link of its own site", open(shop, "https://www.shop.example", "GET"), all},
		{"link of another site", open(shop, blog, "GET"), lax},
		{"link of another scheme", open(shop, "http://shop.example", "GET"), lax},
		{"opened from an opaque page", open(shop, "data://", "GET"), lax},
		{"HEAD of another site", open(shop, blog, "HEAD"), lax},
		{"form of its own site", open(shop, shop, "POST"), all},
		{"form of another site", open(shop, blog, "POST"), none},
		{"PUT of another site", open(shop, blog, "PUT"), none},
	} {
		t.Run(test.name, func(t *testing.T) {
			jar := stored(t, Policy{}, to(shop+"/", ""), "strict=1; SameSite=Strict", "lax=1; SameSite=lax", "unstated=1", "none=1; SameSite=NONE; Secure")
			if sent, _ := names(jar, recent+time.Second, test.to); sent != test.sent {
				t.Errorf("sent %q, want %q", sent, test.sent)
			}
			got := jar.Store(noon, test.to, "new=1; SameSite=Strict; Secure")
			if want := test.to.topLevel() || test.sent == all; (got.Kind == New) != want {
				t.Errorf("stored %s: %s, want it stored: %v", got.Kind, got.Reason, want)
			}
		})
	}
}

// R6: section 5.6.7.2: a form of another site opens a page two minutes after the cookie was made, and later.
func TestLaxAllowingUnsafe(t *testing.T) {
	form := to(shop+"/", "")
	form.Initiator, form.Method = origin(blog), "POST"
	for after, want := range map[time.Duration]string{0: "unstated unknown", recent: "unstated unknown", recent + 1: ""} {
		jar := stored(t, Policy{}, to(shop+"/", ""), "lax=1; SameSite=Lax", "unstated=1", "unknown=1; SameSite=Lax; SameSite=x")
		if sent, _ := names(jar, after, form); sent != want {
			t.Errorf("after %v: sent %q, want %q", after, sent, want)
		}
	}
}

// R6: what the names promise, in any case; the values of cookies without a name promise nothing.
func TestPrefixes(t *testing.T) {
	const root = "https://www.shop.example/"
	for _, test := range []struct {
		from, field string
		stored      bool
	}{
		{root, "__Secure-a=1; Secure", true},
		{root, "__Secure-a=1; Secure; Domain=shop.example; Path=/x", true},
		{root, "__Secure-a=1", false},
		{root, "__sEcUrE-a=1", false},
		{"http://www.shop.example/", "__Secure-a=1; Secure", false},
		{"http://localhost/", "__Secure-a=1; Secure", true},
		{root, "__Host-a=1; Secure; Path=/", true},
		{root, "__Host-a=1; Secure; Path=/; Domain=", true},
		{root, "__Host-a=1; Path=/", false},
		{root, "__Host-a=1; Secure", false},
		{root, "__Host-a=1; Secure; Path", false},
		{root, "__Host-a=1; Secure; Path=", false},
		{root, "__Host-a=1; Secure; Path=/x", false},
		{root, "__Host-a=1; Secure; Path=/; Domain=www.shop.example", false},
		{root, "__HOST-a=1; Secure; Path=/; Domain=shop.example", false},
		{"https://example/", "__Host-a=1; Secure; Path=/; Domain=example", false},
		{root, "__Http-a=1; Secure; HttpOnly; Path=/x", true},
		{root, "__Http-a=1; Secure", false},
		{root, "__http-a=1; HttpOnly", false},
		{root, "__Host-Http-a=1; Secure; HttpOnly; Path=/", true},
		{root, "__Host-Http-a=1; Secure; Path=/", false},
		{root, "__host-http-a=1; Secure; HttpOnly", false},
		{root, "__Host-Http-a=1; Secure; HttpOnly; Path=/; Domain=shop.example", false},
		{root, "__Secure-=1; Secure", true},
		{root, "__Secure-=1", false},
		{root, "__Secure=1", true},
		{root, "a__Secure-=1", true},
		{root, "=__Secure-a=1", false},
		{root, "__Secure-a", false},
		{root, "=__host-a=1; Secure; Path=/", false},
		{root, "__HTTP-a; Secure; HttpOnly", false},
		{root, "=__Host-Http-a; Secure; HttpOnly; Path=/", false},
	} {
		got := NewJar(Policy{Nameless: true}).Store(noon, to(test.from, ""), test.field)
		if (got.Kind == New) != test.stored {
			t.Errorf("%s: Store(%q) = %s: %s", test.from, test.field, got.Kind, got.Reason)
		}
	}
}

// R6: section 5.7, step 16: leave secure cookies alone.
func TestSecureCookieStays(t *testing.T) {
	for _, test := range []struct {
		from, field string
		want        Kind
	}{
		{"http://shop.example/login/", "a=2; Path=/login", Refused},
		{"http://shop.example/login/", "a=2; Path=/login/en", Refused},
		{"http://shop.example/login/", "a=2; Path=/login; Max-Age=0", Refused},
		{"http://shop.example/login/", "a=2; Path=/", New},
		{"http://shop.example/login/", "a=2; Path=/loginx", New},
		{"http://shop.example/login/", "A=2; Path=/login", New},
		{"http://shop.example/login/", "a=2; Path=/login; Domain=shop.example", Refused},
		{"http://www.shop.example/login/", "a=2; Path=/login; Domain=shop.example", Refused},
		{"http://www.shop.example/login/", "a=2; Path=/login", Refused},
		{"http://bank.example/login/", "a=2; Path=/login", New},
		{"https://shop.example/login/", "a=3; Path=/login", Replaced},
		{"https://shop.example/login/", "a=3; Path=/login; Max-Age=0", Deleted},
	} {
		jar := stored(t, Policy{}, to("https://shop.example/login/", ""), "a=1; Secure; Path=/login")
		if got := jar.Store(noon, to(test.from, ""), test.field); got.Kind != test.want {
			t.Errorf("%s: Store(%q) = %s: %s, want %s", test.from, test.field, got.Kind, got.Reason, test.want)
		}
	}
}

// R6: plain http to the machine itself is as good as https.
func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST": true, "shop.localhost": true, "localhost.": true, "127.0.0.1": true, "127.9.9.9": true, "[::1]": true,
		"shop.example": false, "localhost.example": false, "notlocalhost": false, "10.0.0.1": false, "[::2]": false,
	} {
		jar := NewJar(Policy{})
		got := jar.Store(noon, Request{Scheme: "http", Host: host}, "a=1; Secure")
		if send, _ := jar.Send(noon, Request{Scheme: "http", Host: host}); (got.Kind == New) != want || (len(send) == 1) != want {
			t.Errorf("%s: stored %s (%s), sent %v, want it secure: %v", host, got.Kind, got.Reason, send, want)
		}
	}
}

// R6: HttpOnly keeps scripts out.
func TestScripts(t *testing.T) {
	page := to(shop+"/", shop)
	jar := stored(t, Policy{}, page, "login=1; HttpOnly", "theme=dark")
	script := page
	script.Script = true
	if sent, withheld := names(jar, 0, script); sent != "theme" || withheld != "login" {
		t.Errorf("a script sees %q but not %q", sent, withheld)
	}
	for field, want := range map[string]Kind{"login=2": Refused, "login=; Max-Age=0": Refused, "x=1; HttpOnly": Refused, "theme=light": Replaced} {
		if got := jar.Store(noon, script, field); got.Kind != want {
			t.Errorf("a script's %q: %s: %s, want %s", field, got.Kind, got.Reason, want)
		}
	}
}

// R6: what each policy lets an ad host know, which two sites and its own page lead to.
func TestThirdParties(t *testing.T) {
	const field = "uid=1; Secure; SameSite=None"
	for _, test := range []struct {
		policy                     ThirdParty
		field                      string
		again, other, own, reverse string // what it gets: at the same site, at another, opened itself, at the site after it was opened
	}{
		{AllowThirdParty, field, "uid", "uid", "uid", "uid"},
		{BlockThirdParty, field, "", "", "", ""},
		{PartitionThirdParty, field, "uid", "", "", ""},
		{"", field + "; Partitioned", "uid", "", "", ""},
		{BlockThirdParty, field + "; Partitioned", "uid", "", "", ""},
		{PartitionThirdParty, field + "; Partitioned", "uid", "", "", ""},
	} {
		t.Run(string(test.policy)+" "+test.field, func(t *testing.T) {
			jar := NewJar(Policy{ThirdParty: test.policy})
			jar.Store(noon, to(ads+"/", shop), test.field)
			again, _ := names(jar, 0, to(ads+"/", shop))
			other, _ := names(jar, 0, to(ads+"/", blog))
			own, _ := names(jar, 0, to(ads+"/", ""))
			if again != test.again || other != test.other || own != test.own {
				t.Errorf("at the same site %q, another %q, its own %q", again, other, own)
			}
			jar = NewJar(Policy{ThirdParty: test.policy})
			jar.Store(noon, to(ads+"/", ""), test.field)
			reverse, withheld := names(jar, 0, to(ads+"/", shop))
			if reverse != test.reverse || (withheld == "") != (reverse != "") {
				t.Errorf("set by its own page, it gets %q and not %q", reverse, withheld)
			}
		})
	}
}

// R6: CHIPS: a partition's key is the site of the page and whether another site comes between.
func TestPartitions(t *testing.T) {
	in := func(ancestor string) Request {
		r := to(ads+"/", shop)
		r.Ancestors = []Origin{origin(ancestor)}
		return r
	}
	own := to(shop+"/", shop)
	within := own
	within.Ancestors = []Origin{origin(ads)}
	jar := NewJar(Policy{})
	const attributes = "; Secure; SameSite=None; Path=/; Partitioned"
	if got := jar.Store(noon, own, "a=1; Partitioned"); got.Reason != "Partitioned needs Secure" {
		t.Errorf("without Secure: %s: %s", got.Kind, got.Reason)
	}
	for _, step := range []struct {
		from  Request
		field string
		want  Partition
	}{
		{in(ads), "__Host-a=1" + attributes, Partition{shop, true}},
		{to(ads+"/", blog), "__Host-a=2" + attributes, Partition{blog, true}},
		{to(ads+"/", ""), "__Host-a=3" + attributes, Partition{ads, false}},
		{own, "b=4" + attributes, Partition{shop, false}},
		{within, "b=5" + attributes, Partition{shop, true}},
	} {
		if got := jar.Store(noon, step.from, step.field); got.Kind != New || got.Cookie.Partition != step.want {
			t.Errorf("%q: %s in %v: %s, want it new in %v", step.field, got.Kind, got.Cookie.Partition, got.Reason, step.want)
		}
	}
	for _, test := range []struct {
		to   Request
		want string
	}{
		{in("https://cdn.ads.example"), "__Host-a=1"},
		{to(ads+"/", "https://www.shop.example"), "__Host-a=1"},
		{to(ads+"/", "http://shop.example"), ""},
		{to(ads+"/", blog), "__Host-a=2"},
		{to(ads+"/", ""), "__Host-a=3"},
		{to(shop+"/", ""), "b=4"},
		{within, "b=5"},
	} {
		if send, _ := jar.Send(noon, test.to); Header(send) != test.want {
			t.Errorf("to %+v: sent %q, want %q", test.to, Header(send), test.want)
		}
	}
}

// R6: RFC 6265bis, section 5.7: who goes first when a site has too many cookies.
func TestEvict(t *testing.T) {
	jar := NewJar(Policy{})
	page := to(shop+"/", "")
	var gone []string
	put := func(after int, field string) {
		t.Helper()
		change := jar.Store(noon.Add(time.Duration(after)*time.Second), page, field)
		for _, e := range change.Evicted {
			if e.Reason == "" {
				t.Errorf("%s %s without a reason", e.Kind, e.Cookie.Name)
			}
			gone = append(gone, string(e.Kind)+" "+e.Cookie.Name)
		}
	}
	put(0, "brief=1; Max-Age=5")
	put(0, "safe=1; Secure")
	put(0, "old=1; Path=/old")
	put(1, "used=1; Path=/used")
	for i := range maxPerSite - 4 {
		put(4, fmt.Sprintf("c%d=1; Secure", i))
	}
	if len(jar.Cookies()) != maxPerSite {
		t.Fatalf("%d cookies", len(jar.Cookies()))
	}
	put(10, "x1=1; Secure") // takes the place of the one that expired
	jar.Send(noon.Add(11*time.Second), to(shop+"/old", ""))
	put(12, "x2=1; Secure")
	put(13, "x3=1; Secure")
	put(14, "x4=1; Secure")
	if got, want := strings.Join(gone, ", "), "expired brief, evicted used, evicted old, evicted safe"; got != want {
		t.Errorf("went: %s, want %s", got, want)
	}
	if got := len(jar.Cookies()); got != maxPerSite {
		t.Errorf("%d cookies, want %d", got, maxPerSite)
	}
	for i := range maxTotal {
		jar.Store(noon.Add(time.Minute), to(fmt.Sprintf("http://shop%d.example/", i), ""), "a=1")
	}
	if n := len(jar.Cookies()); n != maxTotal || jar.Cookies()[0].Domain != "shop0.example" {
		t.Errorf("%d cookies in all from %s, want %d", n, jar.Cookies()[0].Domain, maxTotal)
	}
}

// R6: CHIPS: ten kilobytes for a site in a partition.
func TestEvictInPartition(t *testing.T) {
	jar := NewJar(Policy{ThirdParty: PartitionThirdParty})
	for i := range 5 {
		for _, page := range []string{shop, blog} {
			field := fmt.Sprintf("c%d=%s; Secure; SameSite=None", i, strings.Repeat("x", 3000))
			change := jar.Store(noon.Add(time.Duration(i)*time.Second), to(ads+"/", page), field)
			if want := i >= 3; (len(change.Evicted) == 1) != want {
				t.Errorf("cookie %d at %s: evicted %v", i, page, change.Evicted)
			}
		}
	}
	if sent, _ := names(jar, time.Minute, to(ads+"/", shop)); sent != "c2 c3 c4" {
		t.Errorf("left: %s", sent)
	}
}

// R6: bytes that are not UTF-8, partitions and all attributes come back from the file; what no server could set does not.
func TestFileKeepsAll(t *testing.T) {
	jar := NewJar(Policy{Nameless: true})
	jar.Store(noon, to(shop+"/", ""), "a\xff=\xfe; Max-Age=60")
	jar.Store(noon, to(shop+"/", ""), "nameless; Max-Age=60; SameSite=Strict; HttpOnly; Secure")
	jar.Store(noon, to(ads+"/", shop), "p=1; Secure; SameSite=None; Partitioned; Max-Age=60")
	text, err := jar.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again := NewJar(Policy{})
	if err := again.Load(noon, text); err != nil {
		t.Fatal(err)
	}
	want, got := jar.Cookies(), again.Cookies()
	if len(got) != len(want) {
		t.Fatalf("%d of %d cookies came back", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("came back as %+v, want %+v", got[i], want[i])
		}
	}
	broken := strings.NewReplacer(`"path": "/"`, `"path": ""`).Replace(string(text))
	if err := again.Load(noon, []byte(broken)); err != nil || len(again.Cookies()) != 0 {
		t.Errorf("cookies without a path: %v, %v", again.Cookies(), err)
	}
}

// R6: whoever decides says why.
func TestReasons(t *testing.T) {
	jar := NewJar(Policy{ThirdParty: PartitionThirdParty})
	first := to(shop+"/", "")
	jar.Store(noon, first, "a=1; Secure; SameSite=None")
	jar.Store(noon, first, "lax=1")
	link := to(shop+"/", "")
	link.Initiator = origin(blog)
	for _, test := range []struct {
		to                Request
		reasons, withheld string
	}{
		{first, "a: the request opens a page of its site; lax: the request opens a page of its site", ""},
		{to(shop+"/", shop), "a: the page in the address bar is of its site; lax: the page in the address bar is of its site", ""},
		{link, "a: SameSite=none lets it go along wherever the request comes from; lax: a cookie that names no SameSite counts as lax and goes along when", ""},
		{to(shop+"/", blog), "", "a: third parties have a jar for each top-level site, and this cookie was not set in that of https://blog.example; lax: third parties"},
		{to("http://shop.example/", "http://shop.example"), "lax: the page in the address bar is of its site", "a: Secure needs https"},
	} {
		var sent, held []string
		send, withheld := jar.Send(noon, test.to)
		for _, s := range send {
			sent = append(sent, s.Name+": "+s.Reason)
		}
		for _, w := range withheld {
			held = append(held, w.Cookie.Name+": "+w.Reason)
		}
		if got := strings.Join(sent, "; "); !strings.HasPrefix(got, test.reasons) || test.reasons == "" && got != "" {
			t.Errorf("sent, because %s; want %s", got, test.reasons)
		}
		if got := strings.Join(held, "; "); !strings.HasPrefix(got, test.withheld) || test.withheld == "" && got != "" {
			t.Errorf("withheld, because %s; want %s", got, test.withheld)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"cookies":[{"name":"a","value":"b","domain":"shop.example","path":"/","same_site":"lax","expires":"2026-03-01T13:00:00Z"}]}`))
	f.Add([]byte(`{"cookies":[{"bytes":{"name":"YQ==","value":"Yg=="},"domain":"x","path":"/","same_site":"none","expires":"2026-03-01T13:00:00Z"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		jar := NewJar(Policy{Nameless: true})
		if err := jar.Load(noon, text); err != nil {
			return
		}
		send, _ := jar.Send(noon, to(shop+"/", ""))
		if strings.ContainsAny(Header(send), "\r\n\x00;") && len(send) == 1 {
			t.Fatalf("header %q", Header(send))
		}
		again, err := jar.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		other := NewJar(Policy{})
		if err := other.Load(noon, again); err != nil || len(other.Cookies()) != len(jar.Cookies()) {
			t.Fatalf("%d of %d cookies came back: %v", len(other.Cookies()), len(jar.Cookies()), err)
		}
	})
}
