// Package router is the role of a node that passes packets on between its networks.
//
// The role itself does nothing: an engine lets the node forward, and sets up its NAT, from the plan, where the compiler
// has put what the options say.
package router

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/invopop/jsonschema"

	"scenario/host"
	"scenario/nodes/role"
)

// Name is the role's key under a node.
const Name = "router"

// Kind describes the role.
func Kind() role.Kind {
	return role.Kind{
		Name:    Name,
		Doc:     "Passes packets on between the node's networks.",
		Options: Options{},
		New:     newRole,
	}
}

// Options are what a file can say of a router.
type Options struct {
	NAT      Names    `json:"nat,omitempty" jsonschema_description:"Networks that are outside: what leaves through them gets the router's own address there (masquerade)."`
	Forwards Forwards `json:"forwards,omitempty" jsonschema_description:"Ports of the outside address that lead to a node inside."`
}

// Names is a list of names; a lone name is a list of one.
type Names []string

// JSONSchema describes both forms.
func (Names) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
		{Type: "string"},
		{Type: "array", Items: &jsonschema.Schema{Type: "string"}},
	}}
}

// UnmarshalJSON reads both forms.
func (n *Names) UnmarshalJSON(text []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte{'"'}) {
		*n = make(Names, 1)
		return json.Unmarshal(text, &(*n)[0])
	}
	return json.Unmarshal(text, (*[]string)(n))
}

// Forwards is a list of port forwards; a lone one is a list of one.
type Forwards []Forward

// JSONSchema describes both forms.
func (Forwards) JSONSchema() *jsonschema.Schema {
	reflector := jsonschema.Reflector{Anonymous: true, DoNotReference: true, RequiredFromJSONSchemaTags: true}
	one := reflector.Reflect(Forward{})
	one.Version = ""
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{one, {Type: "array", Items: one}}}
}

// UnmarshalJSON reads both forms.
func (f *Forwards) UnmarshalJSON(text []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte{'['}) {
		return json.Unmarshal(text, (*[]Forward)(f))
	}
	*f = make(Forwards, 1)
	return json.Unmarshal(text, &(*f)[0])
}

// Forward leads a port of the router's outside address to a node inside.
type Forward struct {
	Port     uint16 `json:"port" jsonschema:"required,minimum=1,maximum=65535" jsonschema_description:"Port of the router's outside address."`
	To       string `json:"to" jsonschema:"required" jsonschema_description:"Node, or address, on a network of the router."`
	ToPort   uint16 `json:"to_port,omitempty" jsonschema:"minimum=1,maximum=65535" jsonschema_description:"Port there; the same one where it is left out."`
	Protocol string `json:"protocol,omitempty" jsonschema:"enum=tcp,enum=udp,default=tcp" jsonschema_description:"Transport protocol."`
}

// JSONSchemaExtend adds the short form to the schema.
func (Forward) JSONSchemaExtend(s *jsonschema.Schema) {
	long := *s
	*s = jsonschema.Schema{AnyOf: []*jsonschema.Schema{
		{Type: "string", Description: "outside port:node or address[:port][/protocol]"},
		&long,
	}}
}

// UnmarshalJSON reads both forms and fills in what was left out.
func (f *Forward) UnmarshalJSON(text []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte{'"'}) {
		var short string
		if err := json.Unmarshal(text, &short); err != nil {
			return err
		}
		var err error
		*f, err = ParseForward(short)
		return err
	}
	type plain Forward
	if err := json.Unmarshal(text, (*plain)(f)); err != nil {
		return err
	}
	if f.ToPort == 0 {
		f.ToPort = f.Port
	}
	if f.Protocol == "" {
		f.Protocol = "tcp"
	}
	return nil
}

// ParseForward reads the short form: PORT:NODE, PORT:NODE:PORT or either with /tcp or /udp. In the place of NODE may
// stand an IPv4 address, or an IPv6 address in brackets.
func ParseForward(text string) (Forward, error) {
	rest, protocol, given := strings.Cut(text, "/")
	if !given {
		protocol = "tcp"
	}
	if protocol != "tcp" && protocol != "udp" {
		return Forward{}, fmt.Errorf("protocol %q is neither tcp nor udp", protocol)
	}
	outside, to, _ := strings.Cut(rest, ":")
	port, err := parsePort(outside)
	if err != nil {
		return Forward{}, err
	}
	f := Forward{Port: port, ToPort: port, Protocol: protocol}
	if address, after, bracketed := strings.Cut(strings.TrimPrefix(to, "["), "]"); strings.HasPrefix(to, "[") {
		a, err := netip.ParseAddr(address)
		if !bracketed || err != nil || !a.Is6() {
			return Forward{}, fmt.Errorf("%q is no IPv6 address in brackets", to)
		}
		f.To, to = address, after
	} else if f.To, to, _ = strings.Cut(to, ":"); to != "" {
		to = ":" + to
	}
	if f.To == "" {
		return Forward{}, errors.New("it names no node")
	}
	if to == "" {
		return f, nil
	}
	if to[0] != ':' {
		return Forward{}, fmt.Errorf("%q stands where :PORT should", to)
	}
	f.ToPort, err = parsePort(to[1:])
	return f, err
}

func parsePort(text string) (uint16, error) {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("%q is no port", text)
	}
	return uint16(port), nil
}

// router is the role.
type router struct{}

var _ role.Role = router{}

func newRole(options json.RawMessage) (role.Role, error) {
	var o Options
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, err
	}
	return router{}, nil
}

// Serve is ready at once and waits: the engine forwards.
func (router) Serve(ctx context.Context, _ host.Host, ready func()) error {
	ready()
	<-ctx.Done()
	return nil
}
