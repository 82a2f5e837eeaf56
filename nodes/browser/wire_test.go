package browser

import (
	"strings"
	"testing"
	"unicode/utf8"
)

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
