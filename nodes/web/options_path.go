package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/invopop/jsonschema"
	"golang.org/x/net/http/httpguts"

	"scenario/nodes/role"
)

// Path is what the server does for a path. What it leaves out is done as for any other: a path with only a delay serves
// its file, late.
type Path struct {
	Delay      role.Duration     `json:"delay,omitempty" jsonschema_description:"how long the server waits before it answers"`
	Status     int               `json:"status,omitempty" jsonschema_description:"the status code, in place of the file's" jsonschema:"minimum=200,maximum=599"`
	Headers    map[string]string `json:"headers,omitempty" jsonschema_description:"header fields of the response"`
	Body       string            `json:"body,omitempty" jsonschema_description:"the response's body, in place of the file"`
	Location   string            `json:"location,omitempty" jsonschema_description:"redirect to this URL (status 302 where none is given)"`
	Close      bool              `json:"close,omitempty" jsonschema_description:"close the connection after the response"`
	ChunkDelay role.Duration     `json:"chunk_delay,omitempty" jsonschema_description:"send the body in chunks and wait so long between them"`
	ChunkSize  int               `json:"chunk_size,omitempty" jsonschema_description:"bytes of a chunk where chunk_delay is given; default 512" jsonschema:"minimum=1"`
	Cookies    []Cookie          `json:"cookies,omitempty" jsonschema_description:"cookies that the response sets"`

	Echo     string   `json:"echo,omitempty" jsonschema_description:"answer what the server sees of the client: its address, its whole request, its header fields or its cookies" jsonschema:"enum=address,enum=request,enum=headers,enum=cookies"`
	Methods  []string `json:"methods,omitempty" jsonschema_description:"methods that the path has; others get 405"`
	Compress *Codings `json:"compress,omitempty" jsonschema_description:"codings that are offered, best first; false: none; default: br, zstd, gzip, deflate"`

	Stream     bool              `json:"stream,omitempty" jsonschema_description:"send a template's page while it is made: it can wait in between with .Pause"`
	Trailers   map[string]string `json:"trailers,omitempty" jsonschema_description:"fields behind the body, which is sent in chunks"`
	Rate       Rate              `json:"rate,omitempty" jsonschema_description:"send the body no faster than that"`
	EarlyHints []string          `json:"early_hints,omitempty" jsonschema_description:"Link fields that are sent ahead of the response, with status 103"`
	Size       Size              `json:"size,omitempty" jsonschema_description:"a body of so many bytes, made up, in place of the file"`

	Cache        string        `json:"cache,omitempty" jsonschema_description:"the Cache-Control field, such as max-age=60"`
	ETag         string        `json:"etag,omitempty" jsonschema_description:"the entity tag of files" jsonschema:"enum=strong,enum=weak,enum=none"`
	LastModified string        `json:"last_modified,omitempty" jsonschema_description:"when a file was changed: RFC 3339, or how long ago, such as 24h"`
	Vary         string        `json:"vary,omitempty" jsonschema_description:"the Vary field"`
	Age          role.Duration `json:"age,omitempty" jsonschema_description:"the Age field: how long ago the response was made"`
	Expires      role.Duration `json:"expires,omitempty" jsonschema_description:"the Expires field: so long from now"`
	Ranges       string        `json:"ranges,omitempty" jsonschema_description:"bytes: parts of files may be asked for; none: they may not" jsonschema:"enum=bytes,enum=none,default=bytes"`

	CORS *CORS `json:"cors,omitempty" jsonschema_description:"which other origins may see the response: * or an object"`

	Login    *Login   `json:"login,omitempty" jsonschema_description:"POST of user and password, as a form or JSON, begins a session"`
	Logout   *Login   `json:"logout,omitempty" jsonschema_description:"POST ends the session"`
	Require  string   `json:"require,omitempty" jsonschema_description:"who may see it: login: who has a session; basic: who sends a password with the request (RFC 7617)" jsonschema:"enum=login,enum=basic"`
	Settings []string `json:"settings,omitempty" jsonschema_description:"POST keeps these fields for the user, GET answers them as JSON"`
	Comments string   `json:"comments,omitempty" jsonschema_description:"POST adds a comment to the list of that name, GET answers the list as JSON"`

	ContentLength string        `json:"content_length,omitempty" jsonschema_description:"a wrong length on purpose: a number, or +100 or -100 of what would be right" jsonschema:"pattern=^[+-]?[0-9]+$"`
	CloseAfter    *int          `json:"close_after,omitempty" jsonschema_description:"end the connection after so many bytes of the body" jsonschema:"minimum=0"`
	Reset         bool          `json:"reset,omitempty" jsonschema_description:"end it with a reset, where close_after is given"`
	StatusLine    string        `json:"status_line,omitempty" jsonschema_description:"the first line of the response, whatever it is (HTTP/1 alone)"`
	Drip          role.Duration `json:"drip,omitempty" jsonschema_description:"send the response a byte at a time and wait so long between them (HTTP/1 alone)"`
	Endless       string        `json:"endless,omitempty" jsonschema_description:"never come to an end: header fields, a body, or redirects; bounded by a minute and 64 MiB" jsonschema:"enum=headers,enum=body,enum=redirects"`
}

// bad says that the response breaks the rules, so that net/http cannot write it.
func (p Path) bad() bool {
	return p.ContentLength != "" || p.CloseAfter != nil || p.StatusLine != "" || p.Drip > 0 || p.Endless == endlessHeaders
}

// What may be endless.
const (
	endlessHeaders   = "headers"
	endlessBody      = "body"
	endlessRedirects = "redirects"
)

// Login is where a browser is sent after a login or logout.
type Login struct {
	To string `json:"to,omitempty" jsonschema_description:"the path to go on to; default /"`
}

func (p Path) check(name string) error {
	var errs []error
	if !strings.HasPrefix(name, "/") || strings.Contains(strings.TrimSuffix(name, "*"), "*") {
		errs = append(errs, errors.New("a path begins with / and has a * at its end alone"))
	}
	if p.Status != 0 && (p.Status < 200 || p.Status > 599) {
		errs = append(errs, fmt.Errorf("status %d is not between 200 and 599", p.Status))
	}
	if p.Body != "" && (p.Status == http.StatusNoContent || p.Status == http.StatusNotModified) {
		errs = append(errs, fmt.Errorf("a response with status %d has no body", p.Status))
	}
	if p.Location != "" && p.Status != 0 && p.Status/100 != 3 && p.Status != http.StatusCreated {
		errs = append(errs, fmt.Errorf("location does not go with status %d: 301, 302, 303, 307 or 308 redirect", p.Status))
	}
	if p.ChunkSize < 0 || p.ChunkSize > 0 && p.ChunkDelay == 0 {
		errs = append(errs, errors.New("chunk_size is positive and goes with chunk_delay"))
	}
	errs = append(errs, checkFields("headers", p.Headers), checkFields("trailers", p.Trailers))
	errs = append(errs, checkFields("", map[string]string{"cache": p.Cache, "vary": p.Vary}))
	for _, cookie := range p.Cookies {
		errs = append(errs, cookie.check())
	}
	for _, method := range p.Methods {
		if !isToken([]byte(method)) || method == "" {
			errs = append(errs, fmt.Errorf("methods: %q is no method", method))
		}
	}
	if p.LastModified != "" {
		if _, err := modified(p.LastModified, time.Time{}); err != nil {
			errs = append(errs, err)
		}
	}
	if p.ContentLength != "" {
		if _, err := strconv.ParseInt(p.ContentLength, 10, 64); err != nil {
			errs = append(errs, fmt.Errorf("content_length: %q is no number", p.ContentLength))
		}
	}
	if p.Reset && p.CloseAfter == nil {
		errs = append(errs, errors.New("reset goes with close_after"))
	}
	if strings.ContainsAny(p.StatusLine, "\r\n") {
		errs = append(errs, errors.New("status_line is one line"))
	}
	for _, option := range []struct {
		key, value string
		choices    []string
	}{
		{"echo", p.Echo, []string{"address", "request", "headers", "cookies"}},
		{"etag", p.ETag, []string{"strong", "weak", "none"}},
		{"ranges", p.Ranges, []string{"bytes", "none"}},
		{"require", p.Require, []string{"login", "basic"}},
		{"endless", p.Endless, []string{endlessHeaders, endlessBody, endlessRedirects}},
	} {
		if option.value != "" && !slices.Contains(option.choices, option.value) {
			errs = append(errs, fmt.Errorf("%s is one of %s, not %q", option.key, strings.Join(option.choices, ", "), option.value))
		}
	}
	return errors.Join(errs...)
}

func checkFields(key string, fields map[string]string) error {
	var errs []error
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		if !httpguts.ValidHeaderFieldName(field) || !httpguts.ValidHeaderFieldValue(fields[field]) {
			text := fmt.Sprintf("%q is no header field", field+": "+fields[field])
			if key != "" {
				text = key + ": " + text
			}
			errs = append(errs, errors.New(text))
		}
	}
	return errors.Join(errs...)
}

// modified reads when something was changed: a time, or how long ago.
func modified(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("last_modified: %q is neither a time such as 2024-05-01T12:00:00Z nor a duration such as 24h", text)
	}
	return at, nil
}

// Amount is how many of something; "all" is no limit.
type Amount int

const all Amount = -1

// UnmarshalJSON reads a number or "all".
func (a *Amount) UnmarshalJSON(text []byte) error {
	if string(text) == `"all"` {
		*a = all
		return nil
	}
	var n uint32
	if err := json.Unmarshal(text, &n); err != nil {
		return fmt.Errorf("%s is neither a number nor all", text)
	}
	*a = Amount(n)
	return nil
}

// JSONSchema describes what UnmarshalJSON reads.
func (Amount) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "integer", Minimum: "0"}, {Const: "all"}}}
}

// Codings are names of content codings, or false for none.
type Codings []string

// UnmarshalJSON reads false, true or a list.
func (c *Codings) UnmarshalJSON(text []byte) error {
	var on bool
	if json.Unmarshal(text, &on) == nil {
		*c = Codings{}
		if on {
			*c = codings()
		}
		return nil
	}
	if err := json.Unmarshal(text, (*[]string)(c)); err != nil {
		return err
	}
	for _, coding := range *c {
		if !slices.Contains(codings(), coding) {
			return fmt.Errorf("compress: there is no coding %q: there are br, zstd, gzip and deflate", coding)
		}
	}
	return nil
}

// JSONSchema describes what UnmarshalJSON reads.
func (Codings) JSONSchema() *jsonschema.Schema {
	one := &jsonschema.Schema{Enum: []any{"br", "zstd", "gzip", "deflate"}}
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "boolean"}, {Type: "array", Items: one}}}
}

// Size is a number of bytes.
type Size int64

// UnmarshalJSON reads a number, or text such as 10MB.
func (s *Size) UnmarshalJSON(text []byte) error {
	var n uint32
	if json.Unmarshal(text, &n) == nil {
		*s = Size(n)
		return nil
	}
	var written string
	if err := json.Unmarshal(text, &written); err != nil {
		return err
	}
	v, err := parseSize(written)
	*s = Size(v)
	return err
}

// JSONSchema describes what UnmarshalJSON reads.
func (Size) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
		{Type: "integer", Minimum: "0"}, {Type: "string", Pattern: `^[0-9]+(\.[0-9]+)?(B|kB|MB|KiB|MiB)$`},
	}}
}

// Rate is bytes a second.
type Rate int64

// UnmarshalText reads a rate such as 10kB/s.
func (r *Rate) UnmarshalText(text []byte) error {
	size, found := strings.CutSuffix(string(text), "/s")
	n, err := parseSize(size)
	if err != nil || !found || n == 0 {
		return fmt.Errorf("%q is no rate such as 10kB/s", text)
	}
	*r = Rate(n)
	return nil
}

// JSONSchema describes what UnmarshalText reads.
func (Rate) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: `^[0-9]+(\.[0-9]+)?(B|kB|MB|KiB|MiB)/s$`, Description: "bytes a second, such as 10kB/s"}
}

// maxSize bounds what a size may be.
const maxSize = 1 << 31

func parseSize(text string) (int64, error) {
	digits := strings.TrimRight(text, "BkKMi")
	unit, found := map[string]float64{"B": 1, "kB": 1e3, "MB": 1e6, "KiB": 1 << 10, "MiB": 1 << 20}[text[len(digits):]]
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || !found || n < 0 || n*unit > maxSize {
		return 0, fmt.Errorf("%q is no size such as 500kB or 2MiB, up to 2 GiB", text)
	}
	return int64(n * unit), nil
}
