package browser

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// raw is how an event shows bytes of the wire: as text as far as they are text, what follows in base64, and how many
// are left out.
func raw(head, body []byte, bodyTotal int64) (text, base string, truncated int64) {
	truncated = bodyTotal - int64(len(body))
	switch {
	case !utf8.Valid(head):
		return "", base64.StdEncoding.EncodeToString(append(bytes.Clone(head), body...)), truncated
	case isText(body, truncated > 0):
		var whole strings.Builder
		whole.Grow(len(head) + len(body))
		whole.Write(head)
		whole.Write(body)
		return whole.String(), "", truncated
	}
	return string(head), base64.StdEncoding.EncodeToString(body), truncated
}

// isText says that b is UTF-8 without NUL; where b was cut, its last character may be incomplete.
func isText(b []byte, cut bool) bool {
	if bytes.IndexByte(b, 0) >= 0 {
		return false
	}
	for drop := 0; cut && drop < utf8.UTFMax && drop < len(b); drop++ {
		if last := b[:len(b)-drop]; utf8.Valid(last) {
			return true
		}
	}
	return utf8.Valid(b)
}
