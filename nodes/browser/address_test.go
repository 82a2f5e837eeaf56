package browser

import (
	"strings"
	"testing"
)

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

func FuzzTyped(f *testing.F) {
	for _, seed := range []string{"shop.example", "http://a:b@c:1/d?e#f", "[::1]", "//", "a:b", "mailto:x", "1:2", "\x00", "http://%41"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := typed(text)
		if err != nil {
			return
		}
		if u.Hostname() == "" || u.PortNumber() == 0 {
			t.Fatalf("typed(%q) = %q", text, u.String())
		}
		if target := u.Path() + u.Query(); strings.ContainsAny(target+u.Host(), " \r\n") || !strings.HasPrefix(target, "/") {
			t.Fatalf("typed(%q) has the target %q", text, target)
		}
	})
}
