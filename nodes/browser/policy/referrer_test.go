package policy

import (
	"net/http"
	"strings"
	"testing"

	"scenario/nodes/browser/weburl"
)

func parse(t testing.TB, text string) *weburl.URL {
	t.Helper()
	u, err := weburl.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// R14
func TestReferrer(t *testing.T) {
	const page, origin = "https://ann:pw@shop.example/cart?a=1#top", "https://shop.example/"
	const full = "https://shop.example/cart?a=1"
	const same, other, plain = "https://shop.example/x", "https://cdn.example/x", "http://cdn.example/x"
	for _, test := range []struct {
		policy             ReferrerPolicy
		same, other, plain string
	}{
		{NoReferrer, "", "", ""},
		{NoReferrerWhenDowngrade, full, full, ""},
		{SameOriginReferrer, full, "", ""},
		{OriginReferrer, origin, origin, origin},
		{StrictOrigin, origin, origin, ""},
		{OriginWhenCrossOrigin, full, origin, origin},
		{StrictOriginWhenCrossOrigin, full, origin, ""},
		{UnsafeURL, full, full, full},
		{"", full, origin, ""},
	} {
		for to, want := range map[string]string{same: test.same, other: test.other, plain: test.plain} {
			if got := test.policy.Referrer(parse(t, page), parse(t, to)); got != want {
				t.Errorf("%q to %s: %q, want %q", test.policy, to, got, want)
			}
		}
	}
	long := parse(t, "http://shop.example/"+strings.Repeat("x", 5000))
	if got := UnsafeURL.Referrer(long, long); got != "http://shop.example/" {
		t.Errorf("a long address is told as %q", got)
	}
	if got := StrictOrigin.Referrer(parse(t, "https://shop.example/"), parse(t, "http://127.0.0.2/")); got != origin {
		t.Errorf("to loopback: %q", got)
	}
	if got := UnsafeURL.Referrer(parse(t, "data:text/html,x"), parse(t, same)); got != "" {
		t.Errorf("from data: %q", got)
	}
}

func TestReferrerPolicyWords(t *testing.T) {
	for value, want := range map[string]ReferrerPolicy{
		"origin": OriginReferrer, "no-referrer, ORIGIN": OriginReferrer, "origin, tomorrow's-policy": OriginReferrer, "": "", "never": "",
	} {
		if got := ReferrerPolicyHeader(http.Header{"Referrer-Policy": {value}}); got != want {
			t.Errorf("field %q: %q, want %q", value, got, want)
		}
	}
	for value, want := range map[string]ReferrerPolicy{"never": NoReferrer, "always": UnsafeURL, "default": StrictOriginWhenCrossOrigin, " Origin ": OriginReferrer, "x": ""} {
		if got := ReferrerPolicyMeta(value); got != want {
			t.Errorf("meta %q: %q, want %q", value, got, want)
		}
	}
	if got := ReferrerPolicyAttribute("never"); got != "" {
		t.Errorf("attribute: %q", got)
	}
}

func TestOriginField(t *testing.T) {
	shop, cdn := parse(t, "https://shop.example/"), parse(t, "https://cdn.example/")
	for _, test := range []struct {
		name      string
		shared    bool
		method    string
		to        *weburl.URL
		policy    ReferrerPolicy
		downgrade bool
		want      string
	}{
		{"a page opened", false, "GET", cdn, "", false, ""},
		{"a font", true, "GET", cdn, NoReferrer, false, "https://shop.example"},
		{"a form", false, "POST", shop, "", false, "https://shop.example"},
		{"a form that tells nothing", false, "POST", cdn, NoReferrer, false, "null"},
		{"a form for its own origin", false, "POST", cdn, SameOriginReferrer, false, "null"},
		{"a form that goes down to http", false, "POST", cdn, "", true, "null"},
		{"a form that tells all", false, "POST", cdn, UnsafeURL, true, "https://shop.example"},
	} {
		if got := OriginField(test.shared, test.method, shop.Origin(), test.to, test.policy, test.downgrade); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
