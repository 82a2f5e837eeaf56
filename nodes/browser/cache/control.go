package cache

import (
	"net/http"
	"strings"
	"time"
)

// farthest is what any longer time counts as (RFC 9111, section 1.2.2).
const farthest = 1 << 31 * time.Second

// directives are those of Cache-Control: the arguments of each name in lower case, in order; "" for one without.
type directives map[string][]string

// parseControl reads the Cache-Control fields of a message (RFC 9111, section 5.2). What is no directive is passed over,
// but a directive that is known and written wrongly counts as its most careful reading: see [directives.seconds].
func parseControl(h http.Header) directives {
	d := make(directives)
	for _, line := range h.Values("Cache-Control") {
		for _, text := range list(line) {
			name, argument, found := strings.Cut(text, "=")
			name = strings.ToLower(name)
			// A space beside the equals sign is not in the grammar: the name counts, the argument does not.
			if bare := strings.TrimRight(name, " \t"); bare != name {
				name, argument = bare, " "+argument
			}
			if !token(name) {
				continue
			}
			if found {
				argument = unquote(argument)
			}
			d[name] = append(d[name], argument)
		}
	}
	return d
}

func (d directives) has(name string) bool { return len(d[name]) > 0 }

// seconds is the argument of a directive such as max-age: the smallest where there are several (section 4.2.1), and 0
// where it is no number, which is the careful reading.
func (d directives) seconds(name string) (length time.Duration, given bool) {
	for i, argument := range d[name] {
		n, ok := parseSeconds(argument)
		if !ok {
			n = 0
		}
		if i == 0 || n < length {
			length = n
		}
	}
	return length, d.has(name)
}

// fields are the field names that a directive such as no-cache="a, b" lists; whole says that it stands there without any
// at least once, and so is about the whole response.
func (d directives) fields(name string) (names []string, whole bool) {
	for _, argument := range d[name] {
		listed := list(argument)
		if len(listed) == 0 {
			whole = true
		}
		names = append(names, listed...)
	}
	return names, whole
}

// parseSeconds reads a delta-seconds (section 1.2.2).
func parseSeconds(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	var n time.Duration
	for _, digit := range []byte(s) {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		n = min(n*10+time.Duration(digit-'0'), farthest/time.Second)
	}
	return n * time.Second, true
}

// list splits a field's value at its commas outside of quoted strings (RFC 9110, section 5.6.1), without what is empty.
func list(s string) []string {
	var items []string
	quoted, start := false, 0
	add := func(end int) {
		if item := strings.Trim(s[start:end], " \t"); item != "" {
			items = append(items, item)
		}
		start = end + 1
	}
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '\\' && quoted:
			i++
		case s[i] == ',' && !quoted:
			add(i)
		}
	}
	if start < len(s) {
		add(len(s))
	}
	return items
}

// unquote is the text of a quoted string (RFC 9110, section 5.6.4); anything else is itself.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var b strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' && i+1 < len(s)-1 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// token says that s is one (RFC 9110, section 5.6.2).
func token(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		alphanumeric := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !alphanumeric && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}
