package client

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"scenario/dnsd/stub"
	"scenario/dnsd/wire"
	"scenario/host"
	"scenario/nodes/client/sock"
)

// LookupArgs are the arguments of the action lookup.
type LookupArgs struct {
	Name string `json:"name" jsonschema_description:"the name; with the type PTR an IP address may stand for its name" jsonschema:"required"`
	Type string `json:"type,omitempty" jsonschema_description:"the type of record to ask for, such as MX or HTTPS, of the name as it is; default: the addresses, A and AAAA, as programs ask for them, with the search list"`
	// DNS is how the resolver is asked; empty: as the role's option says.
	DNS stub.Transport `json:"dns,omitempty" jsonschema_description:"how the resolver is asked: plain (UDP and TCP), tls (RFC 7858) or https (RFC 8484); default: as the role's option says" jsonschema:"enum=plain,enum=tls,enum=https"`
}

// LookupResult is what the action lookup saw.
type LookupResult struct {
	Name      string    `json:"name"`
	RCode     string    `json:"rcode" jsonschema_description:"NOERROR, NXDOMAIN, SERVFAIL …; empty where no response came"`
	Addresses []string  `json:"addresses"`
	CNAMEs    []string  `json:"cnames" jsonschema_description:"the names that the name is an alias of, in order"`
	Records   []string  `json:"records" jsonschema_description:"the records of the answer, where a type was asked for"`
	Services  []Service `json:"services,omitempty" jsonschema_description:"what HTTPS records say, best first"`
	TTL       float64   `json:"ttl_s" jsonschema_description:"the smallest TTL of the answer"`
	Cached    bool      `json:"cached" jsonschema_description:"answered from the node's own cache"`
	sock.Outcome
}

// Service is an HTTPS record (RFC 9460): a place where a web service is to be had.
type Service struct {
	Priority uint16   `json:"priority" jsonschema_description:"the lowest is best; 0: the name is an alias of the target"`
	Target   string   `json:"target"`
	Port     uint16   `json:"port" jsonschema_description:"0: the port of the URL"`
	ALPN     []string `json:"alpn" jsonschema_description:"the protocols that it speaks"`
	Hints    []string `json:"hints" jsonschema_description:"addresses to start with"`
}

func (c *client) lookup(ctx context.Context, h host.Host, args LookupArgs) (any, error) {
	if args.Name == "" {
		return nil, errors.New("no name is given")
	}
	result := LookupResult{Name: args.Name, Addresses: []string{}, CNAMEs: []string{}, Records: []string{}}
	names, err := c.resolverOver(h, args.DNS)
	if err != nil {
		return nil, err
	}
	if args.Type == "" {
		err = addresses(ctx, names, &result)
	} else {
		kind, ok := dns.StringToType[strings.ToUpper(args.Type)]
		if !ok {
			return nil, fmt.Errorf("there is no record type %s", args.Type)
		}
		err = records(ctx, names, kind, &result)
	}
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var failure *stub.Error
	if errors.As(err, &failure) {
		result.RCode = failure.RCode
	}
	result.Outcome = sock.OutcomeOf(sock.PhaseLookup, err)
	return result, nil
}

// addresses looks up what a program needs to connect.
func addresses(ctx context.Context, names resolver, result *LookupResult) error {
	answer, err := names.Lookup(ctx, result.Name)
	if err != nil {
		return err
	}
	for _, addr := range answer.Addrs {
		result.Addresses = append(result.Addresses, addr.String())
	}
	result.CNAMEs = append(result.CNAMEs, answer.CNAMEs...)
	result.RCode = dns.RcodeToString[dns.RcodeSuccess]
	result.TTL, result.Cached = answer.TTL.Seconds(), answer.Cached
	return nil
}

// records asks for one type of record.
func records(ctx context.Context, names resolver, kind uint16, result *LookupResult) error {
	name := result.Name
	if addr, err := netip.ParseAddr(name); err == nil && kind == dns.TypePTR {
		if name, err = dns.ReverseAddr(addr.String()); err != nil {
			return err
		}
	}
	response, err := names.Query(ctx, name, kind)
	if err != nil {
		return err
	}
	result.RCode = dns.RcodeToString[response.Rcode]
	result.Records = append(result.Records, wire.Texts(response.Answer)...)
	for _, s := range stub.Services(response) {
		result.Services = append(result.Services, describe(s))
	}
	found := false
	for i, rr := range response.Answer {
		found = found || rr.Header().Rrtype == kind || kind == dns.TypeANY
		if ttl := float64(rr.Header().Ttl); i == 0 || ttl < result.TTL {
			result.TTL = ttl
		}
		switch rr := rr.(type) {
		case *dns.CNAME:
			result.CNAMEs = append(result.CNAMEs, rr.Target)
		case *dns.A:
			result.Addresses = append(result.Addresses, rr.A.String())
		case *dns.AAAA:
			result.Addresses = append(result.Addresses, rr.AAAA.String())
		}
	}
	switch {
	case response.Rcode == dns.RcodeNameError:
		return fmt.Errorf("lookup %s: no such name (NXDOMAIN)", result.Name)
	case !found:
		return fmt.Errorf("lookup %s: the name has no %s record", result.Name, dns.TypeToString[kind])
	}
	return nil
}

// describe is a service as a result has it.
func describe(s stub.Service) Service {
	d := Service{Priority: s.Priority, Target: s.Target, Port: s.Port, ALPN: []string{}, Hints: []string{}}
	if s.Priority > 0 {
		d.ALPN = append(d.ALPN, s.Protocols()...)
	}
	for _, addr := range s.Hints {
		d.Hints = append(d.Hints, addr.String())
	}
	return d
}

// resolverOver is the resolver that asks over a transport; empty: the role's own.
func (c *client) resolverOver(h host.Host, transport stub.Transport) (resolver, error) {
	switch transport {
	case "", c.transport:
		return c.names, nil
	case stub.Plain, stub.TLS, stub.HTTPS:
	default:
		return nil, fmt.Errorf("dns is plain, tls or https, not %q", transport)
	}
	c.othersMu.Lock()
	defer c.othersMu.Unlock()
	if c.others == nil {
		c.others = make(map[stub.Transport]resolver)
	}
	if c.others[transport] == nil {
		c.others[transport] = c.resolver(h, transport)
	}
	return c.others[transport], nil
}

// endLookups closes what resolvers keep open.
func (c *client) endLookups() {
	c.othersMu.Lock()
	others := c.others
	c.others = nil
	c.othersMu.Unlock()
	c.names.Close()
	for _, r := range others {
		r.Close()
	}
}
