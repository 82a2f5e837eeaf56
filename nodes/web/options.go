package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

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
	LogRequests Amount            `json:"log_requests,omitempty" jsonschema_description:"how many requests, and connections, of each second are told of in full: a number, or all; those beyond are summed up in http.summary" jsonschema:"default=200"`
	TLS         TLS               `json:"tls,omitempty" jsonschema_description:"encrypt: true, or how; beside what listen says"`
	H2C         bool              `json:"h2c,omitempty" jsonschema_description:"speak HTTP/2 without TLS with clients that begin with it" jsonschema:"default=true"`
	Accounts    map[string]string `json:"accounts,omitempty" jsonschema_description:"who can log in: user and password"`
}

// File is a file written in the scenario: its text, or {body, content_type}.
type File struct {
	Body        string `json:"body,omitempty" jsonschema_description:"what the file holds"`
	ContentType string `json:"content_type,omitempty" jsonschema_description:"its media type; default: by the name's ending"`
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
		Server: "scenario", LogBody: 4096, LogRequests: 200, H2C: true,
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
	if o.TLS.On {
		errs = append(errs, o.TLS.check())
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
