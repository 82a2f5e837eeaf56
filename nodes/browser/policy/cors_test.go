package policy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func header(pairs ...string) http.Header {
	h := make(http.Header)
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// R18
func TestSafeFields(t *testing.T) {
	for _, test := range []struct {
		name, value string
		want        bool
	}{
		{"Accept", "text/html,*/*;q=0.8", true},
		{"Accept", "text/(html)", false},
		{"Accept", strings.Repeat("x", 129), false},
		{"accept-language", "de-CH, en;q=0.5", true},
		{"Accept-Language", "de\"", false},
		{"Content-Language", "en_US", false},
		{"Content-Type", "text/plain; charset=utf-8", true},
		{"Content-Type", "multipart/form-data; boundary=x", true},
		{"Content-Type", "application/json", false},
		{"Content-Type", "text/plain; a=\"b\"", false},
		{"Range", "bytes=0-", true},
		{"Range", "bytes=5-9", true},
		{"Range", "bytes=9-5", false},
		{"Range", "bytes=-5", false},
		{"Range", "bytes=0-1,3-4", false},
		{"X-Token", "1", false},
		{"Authorization", "Basic eA==", false},
	} {
		if got := SafeField(test.name, test.value); got != test.want {
			t.Errorf("%s: %s is safe: %v", test.name, test.value, got)
		}
	}
	r := CORSRequest{Method: "GET", Fields: header("Accept", "*/*", "X-B", "1", "Content-Type", "text/html", "X-A", "1")}
	if got := r.Unsafe(); !slices.Equal(got, []string{"content-type", "x-a", "x-b"}) {
		t.Errorf("unsafe: %q", got)
	}
}

func TestForbidden(t *testing.T) {
	for _, test := range []struct {
		name, value string
		want        bool
	}{
		{"Cookie", "", true}, {"HOST", "", true}, {"Sec-Fetch-Site", "", true}, {"proxy-x", "", true}, {"Origin", "", true},
		{"X-HTTP-Method-Override", "get, TRACE", true}, {"X-HTTP-Method", "PUT", false}, {"Authorization", "", false}, {"User-Agent", "", false},
	} {
		if got := ForbiddenField(test.name, test.value); got != test.want {
			t.Errorf("%s is forbidden: %v", test.name, got)
		}
	}
	for method, want := range map[string]string{"get": "GET", "patch": "patch", "": "GET", "Post": "POST"} {
		if got, err := NormalizeMethod(method); got != want || err != nil {
			t.Errorf("method %q: %q, %v", method, got, err)
		}
	}
	for _, method := range []string{"trace", "CONNECT", "TRACK", "A B"} {
		if _, err := NormalizeMethod(method); err == nil {
			t.Errorf("method %q may be used", method)
		}
	}
}

// R18
func TestCheckCORS(t *testing.T) {
	const shop = "https://shop.example"
	allow, credentials := "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"
	for _, test := range []struct {
		name        string
		credentials bool
		fields      []string
		want        bool
	}{
		{"nothing", false, nil, false},
		{"any", false, []string{allow, "*"}, true},
		{"any, with cookies", true, []string{allow, "*", credentials, "true"}, false},
		{"this one", false, []string{allow, shop}, true},
		{"another one", false, []string{allow, "https://books.example"}, false},
		{"with a slash", false, []string{allow, shop + "/"}, false},
		{"null", false, []string{allow, "null"}, false},
		{"two", false, []string{allow, shop, allow, shop}, false},
		{"cookies forbidden", true, []string{allow, shop}, false},
		{"cookies allowed", true, []string{allow, shop, credentials, "true"}, true},
		{"cookies allowed in upper case", true, []string{allow, shop, credentials, "TRUE"}, false},
	} {
		if err := CheckCORS(shop, test.credentials, header(test.fields...)); (err == nil) != test.want {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if err := CheckCORS("null", false, header(allow, "null")); err != nil {
		t.Errorf("null for null: %v", err)
	}
}

// R18
func TestPreflight(t *testing.T) {
	request := func(method string, credentials bool, fields ...string) *CORSRequest {
		return &CORSRequest{URL: parse(t, "https://api.example/a"), Origin: "https://shop.example", Method: method, Credentials: credentials, Fields: header(fields...)}
	}
	origin := []string{"Access-Control-Allow-Origin", "https://shop.example", "Access-Control-Allow-Credentials", "true"}
	for _, test := range []struct {
		name    string
		request *CORSRequest
		status  int
		fields  []string
		want    string // part of the error
	}{
		{"a method", request("PUT", false), 200, []string{"Access-Control-Allow-Methods", "GET, PUT"}, ""},
		{"any method", request("PUT", false), 204, []string{"Access-Control-Allow-Methods", "*"}, ""},
		{"any method with cookies", request("PUT", true), 204, []string{"Access-Control-Allow-Methods", "*"}, "does not name PUT"},
		{"a method in lower case", request("PUT", false), 204, []string{"Access-Control-Allow-Methods", "put"}, "does not name PUT"},
		{"a field", request("POST", false, "X-Token", "1"), 204, []string{"Access-Control-Allow-Headers", "x-TOKEN"}, ""},
		{"another field", request("POST", false, "X-Token", "1"), 204, []string{"Access-Control-Allow-Headers", "x-other"}, "does not name x-token"},
		{"any field", request("POST", false, "X-Token", "1"), 204, []string{"Access-Control-Allow-Headers", "*"}, ""},
		{"authorization is not any", request("POST", false, "Authorization", "x"), 204, []string{"Access-Control-Allow-Headers", "*"}, "does not name authorization"},
		{"no success", request("PUT", false), 403, []string{"Access-Control-Allow-Methods", "PUT"}, "status is 403"},
		{"a redirect", request("PUT", false), 301, []string{"Access-Control-Allow-Methods", "PUT"}, "status is 301"},
		{"nonsense", request("PUT", false), 200, []string{"Access-Control-Allow-Methods", "PUT GET"}, "neither method nor field"},
	} {
		_, err := test.request.CheckPreflight(test.status, header(append(slices.Clone(origin), test.fields...)...))
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	r := request("PUT", false, "X-Token", "1", "Content-Type", "application/json", "Accept", "*/*")
	want := []Field{{"Access-Control-Request-Method", "PUT"}, {"Access-Control-Request-Headers", "content-type,x-token"}, {"Origin", "https://shop.example"}}
	if diff := cmp.Diff(want, r.Preflight()); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	for _, test := range []struct {
		r    *CORSRequest
		want bool
	}{
		{request("GET", true), false}, {request("POST", false, "Content-Type", "text/plain"), false}, {request("DELETE", false), true},
		{request("POST", false, "Content-Type", "application/json"), true},
	} {
		if got, why := test.r.NeedsPreflight(); got != test.want || why == "" {
			t.Errorf("%s %v needs a preflight: %v %s", test.r.Method, test.r.Fields, got, why)
		}
	}
}

func TestPreflights(t *testing.T) {
	at := time.Unix(1000, 0)
	request := func(method string, fields ...string) *CORSRequest {
		return &CORSRequest{URL: parse(t, "https://api.example/a"), Origin: "https://shop.example", Method: method, Fields: header(fields...)}
	}
	p := NewPreflights()
	put := request("PUT", "X-Token", "1")
	grant, err := put.CheckPreflight(204, header("Access-Control-Allow-Origin", "*", "Access-Control-Allow-Methods", "PUT", "Access-Control-Allow-Headers", "x-token", "Access-Control-Max-Age", "60"))
	if err != nil {
		t.Fatal(err)
	}
	p.Add(at, "site", put, grant)
	for _, test := range []struct {
		name string
		at   time.Time
		site string
		r    *CORSRequest
		want bool
	}{
		{"the same", at, "site", put, true},
		{"less", at.Add(59 * time.Second), "site", request("PUT"), true},
		{"later", at.Add(time.Minute), "site", put, false},
		{"another page", at, "other", put, false},
		{"another method", at, "site", request("DELETE"), false},
		{"another field", at, "site", request("PUT", "X-Other", "1"), false},
		{"with cookies", at, "site", &CORSRequest{URL: put.URL, Origin: put.Origin, Method: "PUT", Credentials: true}, false},
	} {
		if got := p.Allows(test.at, test.site, test.r); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
	p.Forget("site", put)
	if p.Allows(at, "site", put) {
		t.Error("what was forgotten is allowed")
	}
	for i := range 3 * maxPreflights {
		r := request("PUT")
		r.URL = parse(t, fmt.Sprintf("https://api.example/%d", i))
		p.Add(at, "site", r, grant)
	}
	if n := len(p.granted); n > maxPreflights {
		t.Errorf("%d permissions are kept", n)
	}
}

// R18
func TestExpose(t *testing.T) {
	h := header("Content-Type", "text/plain", "X-A", "1", "X-B", "2", "Set-Cookie", "a=1", "Access-Control-Expose-Headers", "x-a")
	for _, test := range []struct {
		t           Tainting
		credentials bool
		expose      string
		want        []string
	}{
		{Basic, false, "x-a", []string{"Access-Control-Expose-Headers", "Content-Type", "X-A", "X-B"}},
		{Shared, false, "x-a", []string{"Content-Type", "X-A"}},
		{Shared, false, "*", []string{"Access-Control-Expose-Headers", "Content-Type", "X-A", "X-B"}},
		{Shared, true, "*", []string{"Content-Type"}},
		{Opaque, false, "*", nil},
	} {
		h.Set("Access-Control-Expose-Headers", test.expose)
		var got []string
		for _, f := range Sorted(Expose(test.t, test.credentials, h)) {
			got = append(got, f.Name)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.t, got, test.want)
		}
	}
}

func TestTaint(t *testing.T) {
	shop, cdn := parse(t, "https://shop.example/"), parse(t, "https://cdn.example/")
	for _, test := range []struct {
		mode   Mode
		cross  bool
		before Tainting
		want   Tainting
		ok     bool
	}{
		{NoCORS, false, "", Basic, true}, {NoCORS, true, "", Opaque, true}, {CORS, true, Basic, Shared, true}, {SameOrigin, true, "", Opaque, false},
		{CORS, false, Shared, Shared, true}, {NoCORS, false, Opaque, Opaque, true}, {Navigate, true, "", Basic, true},
	} {
		u := shop
		if test.cross {
			u = cdn
		}
		if got, ok := Taint(test.mode, shop.Origin(), u, test.before); got != test.want || ok != test.ok {
			t.Errorf("%+v: %s %v", test, got, ok)
		}
	}
}

func FuzzCORS(f *testing.F) {
	f.Add("content-type", "text/plain", "GET, PUT", "x-a, *", "600")
	f.Add("range", "bytes=0-", `"a,b", c`, "", "-1")
	f.Fuzz(func(t *testing.T, name, value, methods, fields, age string) {
		r := &CORSRequest{URL: parse(t, "https://api.example/"), Origin: "null", Method: "PUT", Fields: http.Header{name: {value}}}
		g, err := r.CheckPreflight(200, header("Access-Control-Allow-Origin", "*", "Access-Control-Allow-Methods", methods, "Access-Control-Allow-Headers", fields, "Access-Control-Max-Age", age))
		if err != nil {
			return
		}
		if g.MaxAge < 0 || g.MaxAge > mostMaxAge {
			t.Errorf("max-age %q is %d", age, g.MaxAge)
		}
		p := NewPreflights()
		p.Add(time.Unix(0, 0), "", r, g)
		if g.MaxAge > 0 && !p.Allows(time.Unix(0, 0), "", r) {
			t.Errorf("what %+v grants of %q is not remembered", g, name)
		}
	})
}
