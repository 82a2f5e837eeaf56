package transport

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2/hpack"

	"scenario/nodes/browser/weburl"
)

// urgencyDefault is the urgency of requests that say none (RFC 9218, section 4.1).
const urgencyDefault = 3

// check says why a request must not go on the wire: what is in it would be read as something else there.
func (r *Request) check() error {
	if !httpguts.ValidHeaderFieldName(r.Method) { // it is a token as well
		return fmt.Errorf("%q is no method", r.Method)
	}
	for _, f := range r.Fields {
		if !httpguts.ValidHeaderFieldName(f.Name) || !httpguts.ValidHeaderFieldValue(f.Value) {
			return fmt.Errorf("the field %q has characters that no field may have", f.Name)
		}
	}
	return nil
}

// sized says that a request tells the length of its body: where it has one, or its method usually does.
func (r *Request) sized() bool {
	return r.Body != nil || r.Method == "POST" || r.Method == "PUT" || r.Method == "PATCH"
}

// head1 is the head as HTTP/1.1 writes it.
func (r *Request) head1(u *weburl.URL) []byte {
	b := make([]byte, 0, 512)
	b = append(append(append(append(b, r.Method...), ' '), u.Target()...), " HTTP/1.1\r\nHost: "...)
	b = append(append(b, u.Host()...), "\r\nConnection: keep-alive\r\n"...)
	if r.sized() {
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), int64(len(r.Body)), 10), "\r\n"...)
	}
	for _, f := range r.Fields {
		b = append(append(append(append(b, f.Name...), ": "...), f.Value...), "\r\n"...)
	}
	return append(b, "\r\n"...)
}

// head2 is the head as HTTP/2 has it (RFC 9113, section 8.3.1), with its priority (RFC 9218, section 4).
func (r *Request) head2(u *weburl.URL, urgency int) []hpack.HeaderField {
	fields := make([]hpack.HeaderField, 0, len(r.Fields)+7)
	add := func(name, value string) { fields = append(fields, hpack.HeaderField{Name: name, Value: value}) }
	add(":method", r.Method)
	add(":authority", u.Host())
	add(":scheme", u.Scheme())
	add(":path", u.Target())
	if r.sized() {
		add("content-length", strconv.Itoa(len(r.Body)))
	}
	for _, f := range r.Fields {
		name := strings.ToLower(f.Name)
		if name == "cookie" { // crumbs compress better (RFC 9113, section 8.2.3)
			for crumb := range strings.SplitSeq(f.Value, "; ") {
				add(name, crumb)
			}
			continue
		}
		add(name, f.Value)
	}
	var priority []string
	if urgency != urgencyDefault {
		priority = append(priority, "u="+strconv.Itoa(urgency))
	}
	if r.Incremental {
		priority = append(priority, "i")
	}
	if len(priority) > 0 {
		add("priority", strings.Join(priority, ", "))
	}
	return fields
}
