// Package dns is the role of a name server: authoritative for zones, recursive, or both, in the clear and encrypted (package dnsd does the work).
package dns

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/miekg/dns"

	"scenario/dnsd"
	"scenario/dnsd/zone"
	"scenario/host"
	"scenario/nodes/role"
)

// Name is the role's key under a node.
const Name = "dns"

// defaultTTL is that of records that name none.
const defaultTTL = 5 * time.Minute

// Kind describes the role.
func Kind() role.Kind {
	return role.Kind{
		Name:        Name,
		Doc:         "Answers DNS questions: for the zones that it serves, and where it is recursive for every name.",
		Options:     Options{},
		Certificate: certificate,
		New:         newServer,
	}
}

// Options are what a plan says of a name server.
type Options struct {
	Zones       map[string]Zone `json:"zones,omitempty" jsonschema_description:"The zones that it is authoritative for, by name."`
	Recursive   bool            `json:"recursive,omitempty" jsonschema_description:"Find answers for its clients by asking other servers, from the root down."`
	Hints       []string        `json:"hints,omitempty" jsonschema_description:"Where recursion starts: NS records of the root and the addresses of its servers, as master file lines with absolute names."`
	Listen      []string        `json:"listen,omitempty" jsonschema_description:"Where it listens, over UDP and TCP: IP:port, IP or :port. Default: every address of the node, port 53."`
	TLS         Encrypted       `json:"tls,omitempty" jsonschema_description:"Also answer over TLS (RFC 7858), on port 853: true, or {listen: …}."`
	HTTPS       Encrypted       `json:"https,omitempty" jsonschema_description:"Also answer over HTTPS (RFC 8484), on port 443 at /dns-query: true, or {listen: …}."`
	Certificate role.Flaw       `json:"certificate,omitempty" jsonschema_description:"What is wrong with the certificate of tls and https, on purpose." jsonschema:"enum=expired,enum=not-yet-valid,enum=wrong-name,enum=self-signed,enum=untrusted"`
	Ignore      []string        `json:"ignore,omitempty" jsonschema_description:"Names that it leaves without an answer, as if it were not there; names below them too."`
}

// Zone is the data of one zone.
type Zone struct {
	Records     []string       `json:"records,omitempty" jsonschema_description:"Master file lines (RFC 1035, section 5): names are relative to the zone, @ is the zone itself."`
	TTL         *role.Duration `json:"ttl,omitempty" jsonschema_description:"How long others may keep records that name no TTL. Default: 5m."`
	NegativeTTL *role.Duration `json:"negative_ttl,omitempty" jsonschema_description:"How long others may keep that a name or record does not exist (RFC 2308). Default: 1m, or what an SOA record says."`
}

type server struct {
	options dnsd.Options
}

var _ role.Role = (*server)(nil)

func newServer(text json.RawMessage) (role.Role, error) {
	var o Options
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&o); err != nil {
		return nil, fmt.Errorf("options: %w", err)
	}
	options, err := o.read()
	if err != nil {
		return nil, err
	}
	return &server{options}, nil
}

// read makes of the options what the server needs; the error joins all that is wrong.
func (o Options) read() (dnsd.Options, error) {
	var errs []error
	var zones []*zone.Zone
	for _, name := range slices.Sorted(maps.Keys(o.Zones)) {
		z, err := o.Zones[name].read(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		zones = append(zones, z)
	}
	set, err := zone.NewSet(zones...)
	if err != nil {
		errs = append(errs, err)
	}
	hints, err := readHints(o.Hints)
	if err != nil {
		errs = append(errs, err)
	}
	for _, text := range o.Listen {
		if _, err := dnsd.ParseListen(text, dnsd.Port); err != nil {
			errs = append(errs, err)
		}
	}
	overTLS, err := o.TLS.addresses(dnsd.TLSPort)
	if err != nil {
		errs = append(errs, fmt.Errorf("tls: %w", err))
	}
	overHTTPS, err := o.HTTPS.addresses(dnsd.HTTPSPort)
	if err != nil {
		errs = append(errs, fmt.Errorf("https: %w", err))
	}
	errs = append(errs, o.checkFlaw())
	for _, name := range o.Ignore {
		if _, ok := dns.IsDomainName(name); !ok {
			errs = append(errs, fmt.Errorf("ignore %q: not a domain name", name))
		}
	}
	return dnsd.Options{
		Zones: set, Recursive: o.Recursive, Hints: hints, Listen: o.Listen, Ignore: o.Ignore, TLS: overTLS, HTTPS: overHTTPS,
	}, errors.Join(errs...)
}

func (z Zone) read(name string) (*zone.Zone, error) {
	config := zone.Config{Origin: name, Records: z.Records, TTL: defaultTTL}
	if z.TTL != nil {
		config.TTL = time.Duration(*z.TTL)
	}
	if z.NegativeTTL != nil {
		config.NegativeTTL = new(time.Duration(*z.NegativeTTL))
	}
	return zone.Parse(config)
}

// readHints reads the records of the root's servers.
func readHints(lines []string) ([]dns.RR, error) {
	var hints []dns.RR
	var errs []error
	for _, line := range lines {
		rrs, err := zone.ParseRecord(line, ".", uint32(defaultTTL/time.Second))
		if err != nil {
			errs = append(errs, fmt.Errorf("hint %q: %w", line, err))
			continue
		}
		for _, rr := range rrs {
			switch rrtype := rr.Header().Rrtype; {
			case rrtype == dns.TypeNS && rr.Header().Name != ".":
				errs = append(errs, fmt.Errorf("hint %q: only servers of the root are hints", line))
			case rrtype != dns.TypeNS && rrtype != dns.TypeA && rrtype != dns.TypeAAAA:
				errs = append(errs, fmt.Errorf("hint %q: not an NS, A or AAAA record", line))
			}
		}
		hints = append(hints, rrs...)
	}
	return hints, errors.Join(errs...)
}

// Serve implements [role.Role].
func (s *server) Serve(ctx context.Context, h host.Host, ready func()) error {
	return dnsd.New(h, s.options).Serve(ctx, ready)
}
