package web

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// checkLine says what is wrong with the end of a line of a head or of the chunked framing, whose last byte is a line
// feed; empty: nothing. RFC 9112, section 2.2, lets a server take a line feed alone for the end of a line, and wants a bare
// carriage return refused: where two servers on one way see different ends, one of them is shown another request.
func checkLine(line []byte) string {
	switch {
	case len(line) < 2 || line[len(line)-2] != '\r':
		return "a line ends in a line feed alone"
	case bytes.IndexByte(line[:len(line)-2], '\r') >= 0:
		return "a carriage return stands alone"
	}
	return ""
}

// checkStart says what is wrong with a request line, without its end (RFC 9112, section 3): method, target and version,
// with one space between them. The version itself is net/http's to refuse, with status 505.
func checkStart(line []byte) string {
	method, rest, _ := bytes.Cut(line, []byte(" "))
	target, version, found := bytes.Cut(rest, []byte(" "))
	switch {
	case len(method) == 0 || !isToken(method):
		return "the method is no token"
	case !found || len(target) == 0:
		return "the request line is not made of a method, a target and a version"
	case len(version) != len("HTTP/1.1") || !bytes.HasPrefix(version, []byte("HTTP/")) || !isDigit(version[5]) || version[6] != '.' || !isDigit(version[7]):
		return "the version is not HTTP/ and two digits with a dot"
	}
	for _, b := range target {
		if b <= ' ' || b >= 0x7f {
			return "the target has a byte that no URI has (RFC 3986)"
		}
	}
	return ""
}

// checkField says what is wrong with a field line, without its end (RFC 9112, section 5).
func checkField(line []byte) string {
	if line[0] == ' ' || line[0] == '\t' {
		return "a field's value goes on in the next line (RFC 9112, section 5.2)"
	}
	name, value, found := bytes.Cut(line, []byte(":"))
	switch {
	case !found:
		return "a field has no colon"
	case len(name) > 0 && (name[len(name)-1] == ' ' || name[len(name)-1] == '\t'):
		return "white space stands between a field's name and its colon (RFC 9112, section 5.1)"
	case len(name) == 0 || !isToken(name):
		return "a field's name is no token"
	}
	for _, b := range value {
		if b < ' ' && b != '\t' || b == 0x7f {
			return "a field's value has a control character (RFC 9110, section 5.5)"
		}
	}
	return ""
}

// checkFraming says what is wrong with how a request says where its body ends (RFC 9112, section 6). A Content-Length beside
// a Transfer-Encoding is not: the latter overrides it, and the connection is closed behind the response.
func checkFraming(r *http.Request, fields http.Header) string {
	codings := fields.Values("Transfer-Encoding")
	if len(codings) == 0 {
		return ""
	}
	list := strings.Split(strings.Join(codings, ","), ",")
	for i, coding := range list {
		coding = strings.ToLower(strings.Trim(coding, " \t"))
		switch last := i == len(list)-1; {
		case coding == "chunked" && !last:
			return "chunked is not the last transfer coding"
		case coding != "chunked" && last:
			return "chunked is not the last transfer coding, so that nobody knows where the body ends (RFC 9112, section 6.3)"
		}
	}
	if !r.ProtoAtLeast(1, 1) {
		return "HTTP/1.0 has no transfer codings (RFC 9112, section 6.1)"
	}
	return ""
}

// checkChunkSize says what is wrong with a line that begins a chunk, without its end (RFC 9112, section 7.1): hexadecimal
// digits, then extensions, each a semicolon, a name, and a token or a quoted text as its value.
func checkChunkSize(line []byte) string {
	size := len(line) - len(bytes.TrimLeft(line, "0123456789abcdefABCDEF"))
	if size == 0 || size > 16 {
		return "the size of a chunk is no hexadecimal number"
	}
	for rest := line[size:]; len(rest) > 0; {
		if rest[0] != ';' {
			return "something stands behind the size of a chunk that is no extension"
		}
		var ok bool
		if rest, ok = chunkExtension(rest[1:]); !ok {
			return "an extension of a chunk is not a name, or a name and a value"
		}
	}
	return ""
}

// chunkExtension reads one extension and returns what follows it.
func chunkExtension(text []byte) (rest []byte, ok bool) {
	name := tokenLength(text)
	if name == 0 {
		return nil, false
	}
	rest = text[name:]
	if len(rest) == 0 || rest[0] != '=' {
		return rest, true
	}
	if rest = rest[1:]; len(rest) == 0 || rest[0] != '"' {
		value := tokenLength(rest)
		return rest[value:], value > 0
	}
	for i := 1; i < len(rest); i++ {
		switch b := rest[i]; {
		case b == '"':
			return rest[i+1:], true
		case b == '\\':
			i++
		case b < ' ' && b != '\t' || b == 0x7f:
			return nil, false
		}
	}
	return nil, false
}

func tokenLength(text []byte) int {
	n := 0
	for n < len(text) && httpguts.IsTokenRune(rune(text[n])) {
		n++
	}
	return n
}

func isToken(text []byte) bool { return tokenLength(text) == len(text) }

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// simple says that p is one whole request without a body that nothing is wrong with, by a look at its bytes alone. It is
// for servers that answer more requests than they tell of: of others it may say no.
func simple(p []byte) bool {
	if !bytes.HasPrefix(p, []byte("GET ")) || !bytes.HasSuffix(p, []byte("\r\n\r\n")) {
		return false
	}
	for rest, first := p[:len(p)-2], true; len(rest) > 0; first = false {
		end := bytes.IndexByte(rest, '\n') + 1
		line := rest[:end]
		if len(line) <= 2 || checkLine(line) != "" {
			return false
		}
		rest, line = rest[end:], line[:len(line)-2]
		switch {
		case first && checkStart(line) != "" || !first && checkField(line) != "":
			return false
		case !first && odd(line):
			return false
		}
	}
	return true
}

// odd says that a field may announce a body or another protocol.
func odd(line []byte) bool {
	switch line[0] | 0x20 {
	case 'c':
		return len(line) > 11 && bytes.EqualFold(line[:11], []byte("connection:")) || len(line) > 7 && bytes.EqualFold(line[:7], []byte("content"))
	case 't', 'u', 'e':
		name, _, _ := bytes.Cut(line, []byte(":"))
		return strings.EqualFold(string(name), "Transfer-Encoding") || strings.EqualFold(string(name), "Upgrade") || strings.EqualFold(string(name), "Expect")
	}
	return false
}

// refusal is a response to a request that breaks the rules of HTTP/1.1, as net/http writes those of its own.
func refusal(reason string) []byte {
	const text = "400 Bad Request"
	return fmt.Appendf(nil, "HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n%s: %s", text, text, reason)
}
