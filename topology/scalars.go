package topology

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/invopop/jsonschema"
	"github.com/miekg/dns"
)

// Text is a string with its place. The zero value stands for what was not written.
type Text struct {
	Value string
	At    Position
}

// JSONSchema of everything that embeds Text: it is written as a string.
func (Text) JSONSchema() *jsonschema.Schema { return &jsonschema.Schema{Type: "string"} }

func (t Text) given() bool { return t.At != Position{} }

func (t *Text) read(_ *decoder, v *value) {
	if v.kind == text {
		*t = Text{v.text, v.at}
	}
}

// Number is a whole number with its place.
type Number struct {
	Value int
	At    Position
}

// JSONSchema of a Number.
func (Number) JSONSchema() *jsonschema.Schema { return &jsonschema.Schema{Type: "integer"} }

func (n *Number) read(_ *decoder, v *value) {
	if i, err := strconv.Atoi(fmt.Sprint(v.json)); err == nil && v.kind == number {
		*n = Number{i, v.at}
	}
}

// Label is a name of one label (RFC 1123, section 2.1), lower case.
type Label struct{ Text }

func (l *Label) read(d *decoder, v *value) {
	l.Text.read(d, v)
	if l.given() {
		d.checkLabel("the name", l.Value, l.At)
	}
}

// Prefix is a subnet.
type Prefix struct {
	Text
	netip.Prefix
}

func (p *Prefix) read(d *decoder, v *value) {
	if p.Text.read(d, v); !p.given() {
		return
	}
	prefix, err := netip.ParsePrefix(p.Value)
	switch {
	case err != nil:
		d.errs.add(p.At, fmt.Sprintf("%q is no subnet", p.Value), "write it as 192.168.1.0/24 or fd00:1::/64")
	case prefix.Addr().Is4In6():
		d.errs.add(p.At, fmt.Sprintf("%q is an IPv4 subnet in IPv6 clothes", p.Value), "write the IPv4 subnet")
	case prefix != prefix.Masked():
		d.errs.add(p.At, fmt.Sprintf("%s is an address within a subnet", p.Value), "the subnet is "+prefix.Masked().String())
	default:
		p.Prefix = prefix
	}
}

// Address is an IP address.
type Address struct {
	Text
	netip.Addr
}

func (a *Address) read(d *decoder, v *value) {
	if a.Text.read(d, v); !a.given() {
		return
	}
	addr, err := netip.ParseAddr(a.Value)
	if prefix, prefixErr := netip.ParsePrefix(a.Value); prefixErr == nil {
		d.errs.add(a.At, fmt.Sprintf("%q is no address", a.Value), "leave the length away: "+prefix.Addr().String())
		return
	}
	if err != nil || addr.Zone() != "" || addr.Is4In6() {
		d.errs.add(a.At, fmt.Sprintf("%q is no address", a.Value), "write it as 192.168.1.10 or fd00:1::10")
		return
	}
	a.Addr = addr
}

// HardwareAddr is an Ethernet address.
type HardwareAddr struct {
	Text
	MAC MAC
}

func (h *HardwareAddr) read(d *decoder, v *value) {
	if h.Text.read(d, v); !h.given() {
		return
	}
	addr, err := net.ParseMAC(h.Value)
	switch {
	case err != nil || len(addr) != len(h.MAC):
		d.errs.add(h.At, fmt.Sprintf("%q is no MAC address", h.Value), "write six bytes: 02:00:00:00:00:01")
	case addr[0]&1 != 0:
		d.errs.add(h.At, fmt.Sprintf("%s is a multicast address", h.Value), "the first byte must be even, such as 02")
	default:
		h.MAC = MAC(addr)
	}
}

// Domain is a DNS name: absolute, lower case, with the final dot.
type Domain struct {
	Text
	Name string
}

func (n *Domain) read(d *decoder, v *value) {
	if n.Text.read(d, v); n.given() {
		n.Name = d.domain(n.Value, n.At)
	}
}

// domain returns a DNS name in the form of Domain; empty where it is none, which is noted.
func (d *decoder) domain(name string, at Position) string {
	_, ok := dns.IsDomainName(name)
	if !ok || name == "" || strings.ContainsFunc(name, notInDomain) {
		d.errs.add(at, fmt.Sprintf("%q is no domain name", name), "write labels of letters, digits and hyphens with dots between: shop.example")
		return ""
	}
	return strings.ToLower(dns.Fqdn(name))
}

// SearchDomain is a domain in which short names are searched for.
type SearchDomain struct{ Domain }

func (s *SearchDomain) read(d *decoder, v *value) {
	s.Domain.read(d, v)
	if strings.Contains(s.Name, "*") {
		d.errs.add(s.At, fmt.Sprintf("%q is no domain to search in", s.Value), "write a domain in full: corp.example")
	}
}

func notInDomain(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.*", r))
}

// read reads a filter: a protocol, or a protocol and a port.
func (f *Filter) read(d *decoder, v *value) {
	if v.kind != text {
		return
	}
	protocol, port, withPort := strings.Cut(v.text, "/")
	number, err := strconv.ParseUint(port, 10, 16)
	if protocol != "tcp" && protocol != "udp" && (protocol != "icmp" || withPort) || withPort && (err != nil || number == 0) {
		d.errs.add(v.at, fmt.Sprintf("%q names no packets", v.text), "write tcp, udp, icmp, or a port such as tcp/81")
		return
	}
	*f = Filter{Protocol: protocol, Port: uint16(number)}
}

// JSONSchema of a Filter as it is written.
func (Filter) JSONSchema() *jsonschema.Schema { return &jsonschema.Schema{Type: "string"} }

// Span is a length of time as written.
type Span struct {
	Text
	Duration time.Duration
}

// JSONSchema of a Span.
func (Span) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Examples: []any{"20s", "1m30s", "250ms"}}
}

func (t *Span) read(d *decoder, v *value) {
	if t.Text.read(d, v); !t.given() {
		return
	}
	duration, err := time.ParseDuration(t.Value)
	switch {
	case err != nil:
		d.errs.add(t.At, fmt.Sprintf("%q is no length of time", t.Value), "write it as 20s, 1m30s or 250ms")
	case duration <= 0:
		d.errs.add(t.At, fmt.Sprintf("%s is no time at all", t.Value), "write more than 0s")
	default:
		t.Duration = duration
	}
}

// Command is a program with its arguments: a list, or text that is split as a shell does.
type Command struct {
	At   Position
	Args []string
}

// JSONSchema of both forms.
func (Command) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
		{Type: "string"},
		{Type: "array", Items: &jsonschema.Schema{Type: "string"}},
	}}
}

func (c Command) given() bool { return c.At != Position{} }

func (c *Command) read(d *decoder, v *value) {
	c.At = v.at
	if v.kind == array {
		for _, item := range v.items {
			c.Args = append(c.Args, item.text)
		}
	} else if v.kind == text {
		args, err := splitWords(v.text)
		if err != nil {
			d.errs.add(v.at, err.Error(), "quote it, or have a shell run it: [sh, -c, \"…\"]")
			return
		}
		c.Args = args
	}
	if len(c.Args) == 0 || c.Args[0] == "" {
		d.errs.add(v.at, "this names no program", "write the program and its arguments: curl -s http://shop.example/")
	}
}

// Environment are environment variables: a map, or a list of NAME=VALUE.
type Environment struct {
	At   Position
	Vars map[string]string
}

// JSONSchema of both forms.
func (Environment) JSONSchema() *jsonschema.Schema {
	scalar := &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "number"}, {Type: "boolean"}, {Type: "null"}}}
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
		{Type: "object", AdditionalProperties: scalar},
		{Type: "array", Items: &jsonschema.Schema{Type: "string"}},
	}}
}

func (e *Environment) read(d *decoder, v *value) {
	e.At, e.Vars = v.at, make(map[string]string)
	set := func(at Position, name, value string) {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(value, "\x00") {
			d.errs.add(at, fmt.Sprintf("%q is no environment variable", name), "write NAME: value")
			return
		}
		e.Vars[name] = value
	}
	for _, k := range v.keys {
		set(k.at, k.name, k.value.text)
	}
	for _, item := range v.items {
		name, value, found := strings.Cut(item.text, "=")
		if !found {
			d.errs.add(item.at, fmt.Sprintf("%q sets nothing", item.text), "write NAME=value")
			continue
		}
		set(item.at, name, value)
	}
}

// VolumeSpec is a volume as written: SOURCE:TARGET, with :ro at the end or not.
type VolumeSpec struct {
	Text
	Source, Target string
}

func (f *VolumeSpec) read(d *decoder, v *value) {
	if f.Text.read(d, v); !f.given() {
		return
	}
	parts := strings.Split(f.Value, ":")
	if len(parts) == 3 && parts[2] == "rw" {
		d.errs.add(f.At, "volumes are copied into the node, so nothing that it writes comes back", "write :ro, or leave :rw away")
		return
	}
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || !path.IsAbs(parts[1]) || len(parts) == 3 && parts[2] != "ro" {
		d.errs.add(f.At, fmt.Sprintf("%q is no volume", f.Value), "write it as ./site:/usr/share/nginx/html:ro")
		return
	}
	f.Source, f.Target = parts[0], path.Clean(parts[1])
}

// rawJSON returns a value as JSON, with the keys of maps sorted.
func (v *value) rawJSON() json.RawMessage {
	text, err := json.Marshal(v.plain())
	if err != nil {
		panic("topology: a value of a file is no JSON: " + err.Error()) // readYAML makes only what JSON knows
	}
	return text
}
