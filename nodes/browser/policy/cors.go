package policy

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"scenario/nodes/browser/weburl"
)

// CORSRequest is a request of a script, or of an element that asks with CORS, to another origin.
type CORSRequest struct {
	URL         *weburl.URL
	Origin      string // of whoever asks, as the field Origin has it
	Method      string
	Fields      http.Header // that the script sets
	Credentials bool        // cookies go along
}

// Bounds of what may go to another origin without asking (Fetch, section 2.2.2).
const (
	maxSafeValue  = 128
	maxSafeValues = 1024
)

// NormalizeMethod writes the methods in upper case that are written in any case (Fetch, section 2.2.1). An error means
// that no script may use the method.
func NormalizeMethod(method string) (string, error) {
	upper := strings.ToUpper(method)
	switch upper {
	case "":
		return http.MethodGet, nil
	case http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost, http.MethodPut:
		return upper, nil
	case http.MethodConnect, http.MethodTrace, "TRACK":
		return "", fmt.Errorf("the method %s is not for scripts", upper)
	}
	if !token(method) {
		return "", fmt.Errorf("%q is no method", method)
	}
	return method, nil
}

func safeMethod(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodPost
}

// ForbiddenField says that a script may not set the field: the browser does (Fetch, section 2.2.2).
func ForbiddenField(name, value string) bool {
	switch name = strings.ToLower(name); name {
	case "accept-charset", "accept-encoding", "access-control-request-headers", "access-control-request-method",
		"access-control-request-private-network", "connection", "content-length", "cookie", "cookie2", "date", "dnt",
		"expect", "host", "keep-alive", "origin", "referer", "set-cookie", "te", "trailer", "transfer-encoding",
		"upgrade", "via":
		return true
	case "x-http-method", "x-http-method-override", "x-method-override":
		for method := range strings.SplitSeq(value, ",") {
			switch strings.ToUpper(strings.TrimSpace(method)) {
			case http.MethodConnect, http.MethodTrace, "TRACK":
				return true
			}
		}
	}
	return strings.HasPrefix(name, "proxy-") || strings.HasPrefix(name, "sec-")
}

// SafeField says that the field may go to another origin without asking (Fetch, section 2.2.2: CORS-safelisted).
func SafeField(name, value string) bool {
	if len(value) > maxSafeValue {
		return false
	}
	switch strings.ToLower(name) {
	case "accept":
		return !slices.ContainsFunc([]byte(value), unsafeByte)
	case "accept-language", "content-language":
		return !slices.ContainsFunc([]byte(value), func(c byte) bool {
			return !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte(" *,-.;=", c) >= 0)
		})
	case "content-type":
		if slices.ContainsFunc([]byte(value), unsafeByte) {
			return false
		}
		switch MIMEType(http.Header{"Content-Type": {value}}) {
		case "application/x-www-form-urlencoded", "multipart/form-data", "text/plain":
			return true
		}
		return false
	case "range":
		return simpleRange(value)
	}
	return false
}

func unsafeByte(c byte) bool {
	return c < 0x20 && c != '\t' || c == 0x7f || strings.IndexByte(`"():<>?@[\]{}`, c) >= 0
}

// simpleRange says that value is "bytes=0-" or "bytes=0-99" (Fetch, section 2.2.2: simple range header value).
func simpleRange(value string) bool {
	rest, found := strings.CutPrefix(value, "bytes=")
	first, last, dash := strings.Cut(rest, "-")
	from, fromOK := number(first)
	to, toOK := number(last)
	return found && dash && fromOK && (last == "" || toOK && to >= from)
}

// Unsafe are the names of the fields that need the other origin's consent, in lower case and sorted.
func (r *CORSRequest) Unsafe() []string {
	var unsafe, safe []string
	size := 0
	for name, values := range r.Fields {
		value := strings.Join(values, ", ")
		if name = strings.ToLower(name); SafeField(name, value) {
			safe = append(safe, name)
			size += len(value)
		} else {
			unsafe = append(unsafe, name)
		}
	}
	if size > maxSafeValues {
		unsafe = append(unsafe, safe...)
	}
	slices.Sort(unsafe)
	return unsafe
}

// NeedsPreflight says that the other origin is asked first, and why (Fetch, section 4.4, step on CORS-preflight).
func (r *CORSRequest) NeedsPreflight() (bool, string) {
	if !safeMethod(r.Method) {
		return true, "the method " + r.Method + " needs consent"
	}
	if unsafe := r.Unsafe(); len(unsafe) > 0 {
		return true, "the fields " + strings.Join(unsafe, ", ") + " need consent"
	}
	return false, "a simple request: no form could not have sent it"
}

// Field is a header field.
type Field struct{ Name, Value string }

// Preflight are the fields of the question (Fetch, section 4.8, steps 1 to 5), beside those of every request.
func (r *CORSRequest) Preflight() []Field {
	fields := []Field{{"Access-Control-Request-Method", r.Method}}
	if unsafe := r.Unsafe(); len(unsafe) > 0 {
		fields = append(fields, Field{"Access-Control-Request-Headers", strings.Join(unsafe, ",")})
	}
	return append(fields, Field{"Origin", r.Origin})
}

// CheckCORS says whether a response of another origin may be seen (Fetch, section 4.10: CORS check). The error says in a
// sentence what is missing.
func CheckCORS(origin string, credentials bool, h http.Header) error {
	values := h.Values("Access-Control-Allow-Origin")
	allowed := strings.Join(values, ", ")
	switch {
	case len(values) == 0:
		return fmt.Errorf("the response has no Access-Control-Allow-Origin, so it is for its own origin alone")
	case allowed == "*" && !credentials:
		return nil
	case allowed == "*":
		return fmt.Errorf("Access-Control-Allow-Origin is *, which does not hold for requests with cookies")
	case allowed != origin:
		return fmt.Errorf("Access-Control-Allow-Origin is %q, not %s", clip(allowed), origin)
	case credentials && strings.Join(h.Values("Access-Control-Allow-Credentials"), ", ") != "true":
		return fmt.Errorf("the request has cookies, and Access-Control-Allow-Credentials is not true")
	}
	return nil
}

// Grant is what another origin allows in answer to a preflight.
type Grant struct {
	Methods, Fields []string // in lower case the latter; "*" is any, where no cookies go along
	MaxAge          int64    // seconds
}

// Defaults and bounds of how long a preflight's answer is remembered, in seconds: five by Fetch, section 4.8, step 7.10;
// two hours at most, as Chromium does.
const (
	defaultMaxAge = 5
	mostMaxAge    = 7200
)

// CheckPreflight says what the answer to a preflight allows, or why it does not allow the request (Fetch, section 4.8,
// step 7).
func (r *CORSRequest) CheckPreflight(status int, h http.Header) (Grant, error) {
	if err := CheckCORS(r.Origin, r.Credentials, h); err != nil {
		return Grant{}, err
	}
	if status < 200 || status > 299 {
		return Grant{}, fmt.Errorf("the preflight's status is %d, which is no success", status)
	}
	g := Grant{Methods: list(h, "Access-Control-Allow-Methods"), MaxAge: defaultMaxAge}
	for _, name := range list(h, "Access-Control-Allow-Headers") {
		g.Fields = append(g.Fields, strings.ToLower(name))
	}
	for _, member := range slices.Concat(g.Methods, g.Fields) {
		if !token(member) {
			return Grant{}, fmt.Errorf("the preflight's answer names %q, which is neither method nor field", clip(member))
		}
	}
	if age, ok := number(strings.TrimSpace(h.Get("Access-Control-Max-Age"))); ok {
		g.MaxAge = min(age, mostMaxAge)
	}
	return g, r.granted(g)
}

func (r *CORSRequest) granted(g Grant) error {
	any := func(list []string) bool { return !r.Credentials && slices.Contains(list, "*") }
	if !safeMethod(r.Method) && !slices.Contains(g.Methods, r.Method) && !any(g.Methods) {
		return fmt.Errorf("Access-Control-Allow-Methods does not name %s", r.Method)
	}
	for _, name := range r.Unsafe() {
		wild := any(g.Fields) && name != "authorization" // which * does not stand for
		if !wild && !slices.Contains(g.Fields, name) {
			return fmt.Errorf("Access-Control-Allow-Headers does not name %s", name)
		}
	}
	return nil
}

// Expose is what whoever asked sees of a response's header (Fetch, section 2.2.6: filtered responses).
func Expose(t Tainting, credentials bool, h http.Header) http.Header {
	visible := make(http.Header)
	if t == Opaque {
		return visible
	}
	exposed := list(h, "Access-Control-Expose-Headers")
	for name, values := range h {
		lower := strings.ToLower(name)
		if lower == "set-cookie" || lower == "set-cookie2" {
			continue
		}
		named := slices.ContainsFunc(exposed, func(e string) bool { return strings.EqualFold(e, name) || e == "*" && !credentials })
		if t == Basic || named || safeResponseField(lower) {
			visible[name] = slices.Clone(values)
		}
	}
	return visible
}

func safeResponseField(name string) bool {
	switch name {
	case "cache-control", "content-language", "content-length", "content-type", "expires", "last-modified", "pragma":
		return true
	}
	return false
}

// clip bounds what an error quotes of a field.
func clip(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}

// number reads decimal digits; false where s is none, or larger than any size.
func number(s string) (int64, bool) {
	var n int64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' || n > (1<<62)/10 {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, s != ""
}

// compareFields orders fields by name, so that a map of them is written the same each time.
func compareFields(a, b Field) int { return cmp.Compare(a.Name, b.Name) }

// Sorted are the fields of a header in the order of their names.
func Sorted(h http.Header) []Field {
	var fields []Field
	for name, values := range h {
		for _, value := range values {
			fields = append(fields, Field{name, value})
		}
	}
	slices.SortStableFunc(fields, compareFields)
	return fields
}
