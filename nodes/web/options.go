package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/invopop/jsonschema"
	"golang.org/x/net/http/httpguts"

	"scenario/nodes/role"
)

// Options are what a scenario says under a node's "web" key.
type Options struct {
	Site        string            `json:"site,omitempty" jsonschema_description:"the built-in site that is served"`
	Files       map[string]File   `json:"files,omitempty" jsonschema_description:"files written in the scenario, by path; they stand before the site's"`
	Hosts       map[string]string `json:"hosts,omitempty" jsonschema_description:"virtual hosts: the built-in site that is served for each name"`
	Listen      Listen            `json:"listen,omitempty" jsonschema_description:"where the server listens: IP:port, or :port for every address of the node; one or a list; default: :80"`
	KeepAlive   bool              `json:"keep_alive,omitempty" jsonschema_description:"keep connections open for further requests" jsonschema:"default=true"`
	IdleTimeout role.Duration     `json:"idle_timeout,omitempty" jsonschema_description:"close a kept connection on which no request comes for so long; 0: never" jsonschema:"default=65s"`
	Deny        []Range           `json:"deny,omitempty" jsonschema_description:"clients that are turned away, as by the action ban"`
	Cookies     []Cookie          `json:"cookies,omitempty" jsonschema_description:"cookies that every response sets"`
	Paths       map[string]Path   `json:"paths,omitempty" jsonschema_description:"what the server does for a path, or for all that begin like one that ends in *"`
	Server      string            `json:"server,omitempty" jsonschema_description:"the Server field of every response" jsonschema:"default=scenario"`
	LogBody     int               `json:"log_body,omitempty" jsonschema_description:"how many bytes of a body the log keeps" jsonschema:"default=4096,minimum=0"`
}

// File is a file written in the scenario: its text, or {body, content_type}.
type File struct {
	Body        string `json:"body,omitempty" jsonschema_description:"what the file holds"`
	ContentType string `json:"content_type,omitempty" jsonschema_description:"its media type; default: by the name's ending"`
}

// Path is what the server does for a path. What it leaves out is done as for any other: a path with only a delay serves
// its file, late.
type Path struct {
	Delay       role.Duration     `json:"delay,omitempty" jsonschema_description:"how long the server waits before it answers"`
	Status      int               `json:"status,omitempty" jsonschema_description:"the status code, in place of the file's" jsonschema:"minimum=200,maximum=599"`
	Headers     map[string]string `json:"headers,omitempty" jsonschema_description:"header fields of the response"`
	Body        string            `json:"body,omitempty" jsonschema_description:"the response's body, in place of the file"`
	Location    string            `json:"location,omitempty" jsonschema_description:"redirect to this URL (status 302 where none is given)"`
	Close       bool              `json:"close,omitempty" jsonschema_description:"close the connection after the response"`
	ChunkDelay  role.Duration     `json:"chunk_delay,omitempty" jsonschema_description:"send the body in chunks and wait so long between them"`
	ChunkSize   int               `json:"chunk_size,omitempty" jsonschema_description:"bytes of a chunk where chunk_delay is given; default 512" jsonschema:"minimum=1"`
	EchoAddress bool              `json:"echo_address,omitempty" jsonschema_description:"answer the address that the client has for this server, as text"`
	Cookies     []Cookie          `json:"cookies,omitempty" jsonschema_description:"cookies that the response sets"`
}

// Cookie is a cookie that a response sets (RFC 6265, section 4.1) where the request did not bring one of that name.
type Cookie struct {
	Name     string        `json:"name" jsonschema_description:"its name"`
	Value    string        `json:"value,omitempty" jsonschema_description:"its value"`
	Random   bool          `json:"random,omitempty" jsonschema_description:"a new random value for every client, in place of value"`
	Path     string        `json:"path,omitempty" jsonschema_description:"the paths it is for" jsonschema:"default=/"`
	Domain   string        `json:"domain,omitempty" jsonschema_description:"the domain it is for, with all below it; default: the host alone"`
	MaxAge   role.Duration `json:"max_age,omitempty" jsonschema_description:"how long it lives; default: until the browser is closed"`
	HTTPOnly bool          `json:"http_only,omitempty" jsonschema_description:"hidden from scripts"`
	Secure   bool          `json:"secure,omitempty" jsonschema_description:"sent over https alone"`
	SameSite string        `json:"same_site,omitempty" jsonschema_description:"which requests of other sites bring it" jsonschema:"enum=lax,enum=strict,enum=none"`
	Always   bool          `json:"always,omitempty" jsonschema_description:"set it again where the request brought it"`
	Delete   bool          `json:"delete,omitempty" jsonschema_description:"delete it where the request brought it"`
}

// Listen is where a server listens. In a file one address may stand alone.
type Listen []string

// UnmarshalJSON reads an address or a list of them.
func (l *Listen) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*l = Listen{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(l))
}

// JSONSchema describes what UnmarshalJSON reads.
func (Listen) JSONSchema() *jsonschema.Schema {
	one := &jsonschema.Schema{Type: "string", Pattern: `^(\[[0-9A-Fa-f:.]+\]|[0-9.]*):[0-9]+$`, Description: "IP:port or :port"}
	some := uint64(1)
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{one, {Type: "array", Items: one, MinItems: &some}}}
}

// UnmarshalJSON reads the file's text, or an object.
func (f *File) UnmarshalJSON(text []byte) error {
	if json.Unmarshal(text, &f.Body) == nil {
		return nil
	}
	type object File
	return strict(text, (*object)(f))
}

// JSONSchemaExtend adds the short form to the schema of the object.
func (File) JSONSchemaExtend(schema *jsonschema.Schema) {
	object := *schema
	*schema = jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "string"}, &object}}
}

// parseOptions reads options over their defaults and checks what the schema cannot say, all of it.
func parseOptions(text json.RawMessage) (Options, error) {
	o := Options{
		Listen: Listen{":80"}, KeepAlive: true, IdleTimeout: role.Duration(65 * time.Second),
		Server: "scenario", LogBody: 4096,
	}
	if err := strict(text, &o); err != nil {
		return o, fmt.Errorf("options: %w", err)
	}
	var errs []error
	for _, address := range o.Listen {
		if err := checkListen(address); err != nil {
			errs = append(errs, err)
		}
	}
	if o.LogBody < 0 {
		errs = append(errs, errors.New("log_body is negative"))
	}
	for _, path := range slices.Sorted(maps.Keys(o.Files)) {
		if !strings.HasPrefix(path, "/") {
			errs = append(errs, fmt.Errorf("files: %q does not begin with /", path))
		}
	}
	errs = append(errs, settings{o.Paths, o.Cookies}.check())
	return o, errors.Join(errs...)
}

// settings are what a site may say of itself, and a scenario of every site of a server.
type settings struct {
	Paths   map[string]Path `json:"paths"`
	Cookies []Cookie        `json:"cookies"`
}

// check returns everything that is wrong.
func (s settings) check() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.Paths)) {
		if err := s.Paths[name].check(name); err != nil {
			errs = append(errs, fmt.Errorf("paths: %q: %w", name, err))
		}
	}
	for _, cookie := range s.Cookies {
		errs = append(errs, cookie.check())
	}
	return errors.Join(errs...)
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
	for _, field := range slices.Sorted(maps.Keys(p.Headers)) {
		if !httpguts.ValidHeaderFieldName(field) || !httpguts.ValidHeaderFieldValue(p.Headers[field]) {
			errs = append(errs, fmt.Errorf("headers: %q is no header field", field+": "+p.Headers[field]))
		}
	}
	for _, cookie := range p.Cookies {
		errs = append(errs, cookie.check())
	}
	return errors.Join(errs...)
}

func (c Cookie) check() error {
	if err := c.header("").Valid(); err != nil {
		return fmt.Errorf("cookie %q: %w", c.Name, err)
	}
	if age := time.Duration(c.MaxAge); age > 0 && age < time.Second {
		return fmt.Errorf("cookie %q: max_age is at least 1s", c.Name)
	}
	if _, known := sameSites()[c.SameSite]; !known {
		return fmt.Errorf("cookie %q: same_site is lax, strict or none, not %q", c.Name, c.SameSite)
	}
	return nil
}

// header is the cookie as net/http writes it; random is its value where it has no fixed one.
func (c Cookie) header(random string) *http.Cookie {
	h := &http.Cookie{
		Name: c.Name, Value: c.Value, Path: c.Path, Domain: c.Domain, MaxAge: int(time.Duration(c.MaxAge).Seconds()),
		HttpOnly: c.HTTPOnly, Secure: c.Secure, SameSite: sameSites()[c.SameSite],
	}
	if c.Random {
		h.Value = random
	}
	if h.Path == "" {
		h.Path = "/"
	}
	if c.Delete {
		h.Value, h.MaxAge = "", -1
	}
	return h
}

func sameSites() map[string]http.SameSite {
	return map[string]http.SameSite{
		"": 0, "lax": http.SameSiteLaxMode, "strict": http.SameSiteStrictMode, "none": http.SameSiteNoneMode,
	}
}

func checkListen(address string) error {
	full := address
	if strings.HasPrefix(address, ":") {
		full = "0.0.0.0" + address
	}
	if _, err := netip.ParseAddrPort(full); err != nil {
		return fmt.Errorf("listen: %q is no IP:port and no :port", address)
	}
	return nil
}

// strict reads JSON and refuses members that the target does not have.
func strict(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
