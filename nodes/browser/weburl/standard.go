package weburl

import (
	"strconv"
	"strings"

	"github.com/nlnwa/whatwg-url/url"
)

// parser is the library's parser, brought to the standard as it is since 2025: a ^ in a path is percent-encoded (section
// 1.3), and domains in ASCII are taken as they are, whatever their Punycode stands for (section 3.3).
func parser() url.Parser {
	return url.NewParser(
		url.WithPathPercentEncodeSet(url.PathPercentEncodeSet.Set('^')),
		url.WithPreParseHostFunc(hide),
		url.WithPostParseHostFunc(func(_ *url.Url, host string) string { return reveal(host) }),
	)
}

// Labels that look like Punycode are hidden from the library, which would decode and judge them. The tilde, which a host
// may have, is escaped too, so that each host has one hidden form and each hidden form one host.
const (
	punycode       = "xn--"
	hiddenPunycode = "~1"
	hiddenTilde    = "~0"
)

// hide prepares the host of a URL for the library. What it leaves alone the library refuses, or parses as something else
// than a domain.
func hide(u *url.Url, host string) string {
	if !special(u.Scheme()) || strings.HasPrefix(host, "[") {
		return host
	}
	plain := decoded(host)
	if strings.Contains(plain, "%") {
		return host
	}
	plain = strings.ReplaceAll(plain, "~", hiddenTilde)
	for i := range len(plain) {
		if plain[i] >= 0x80 {
			return plain
		}
	}
	labels := strings.Split(strings.ToLower(plain), ".")
	for i, label := range labels {
		if rest, found := strings.CutPrefix(label, punycode); found {
			labels[i] = hiddenPunycode + rest
		}
	}
	return strings.Join(labels, ".")
}

// reveal undoes hide in a domain that the library has parsed.
func reveal(domain string) string {
	return strings.NewReplacer(hiddenPunycode, punycode, hiddenTilde, "~").Replace(domain)
}

// special says that URLs of this scheme have hosts that are domains or addresses (section 4.2).
func special(scheme string) bool {
	switch scheme {
	case "ftp", "file", "http", "https", "ws", "wss":
		return true
	}
	return false
}

// decoded replaces each percent-encoded byte by the byte (section 1.3).
func decoded(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			if value, err := strconv.ParseUint(text[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(value))
				i += 2
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// spaced percent-encodes the last of the spaces before the query or fragment of a URL whose path is opaque, such as
// "mailto:ann ?subject=hello", as section 4.4 asks for since 2025 and the library does not do.
func spaced(text string) string {
	if !strings.ContainsAny(text, " \t\n\r") {
		return text
	}
	clean := strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(strings.TrimFunc(text, func(r rune) bool { return r <= ' ' }))
	scheme, rest, found := strings.Cut(clean, ":")
	if !found || strings.HasPrefix(rest, "/") || strings.ContainsAny(scheme, "/?#") || special(strings.ToLower(scheme)) {
		return text
	}
	end := strings.IndexAny(rest, "?#")
	if end < 1 || rest[end-1] != ' ' {
		return text
	}
	return scheme + ":" + rest[:end-1] + "%20" + rest[end:]
}
