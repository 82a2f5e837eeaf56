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

func FuzzRaw(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\n\r\n", "body", int64(4))
	f.Add("\xff", "\x00", int64(9))
	f.Fuzz(func(t *testing.T, head, body string, total int64) {
		text, base, left := raw([]byte(head), []byte(body), total)
		if left != total-int64(len(body)) || !utf8.ValidString(head) && text != "" || strings.HasPrefix(body, "\x00") && base == "" && utf8.ValidString(head) {
			t.Errorf("%q %q %d", text, base, left)
		}
	})
}
