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
	"scenario/nodes/client/sock"
)

// LookupArgs are the arguments of the action lookup.
type LookupArgs struct {
	Name string `json:"name" jsonschema_description:"the name; with the type PTR an IP address may stand for its name" jsonschema:"required"`
	Type string `json:"type,omitempty" jsonschema_description:"the type of record to ask for, such as MX; default: the addresses, A and AAAA, as programs ask for them"`
}

// LookupResult is what the action lookup saw.
type LookupResult struct {
	Name      string   `json:"name"`
	RCode     string   `json:"rcode" jsonschema_description:"NOERROR, NXDOMAIN, SERVFAIL …; empty where no response came"`
	Addresses []string `json:"addresses"`
	CNAMEs    []string `json:"cnames" jsonschema_description:"the names that the name is an alias of, in order"`
	Records   []string `json:"records" jsonschema_description:"the records of the answer, where a type was asked for"`
	TTL       float64  `json:"ttl_s" jsonschema_description:"the smallest TTL of the answer"`
	Cached    bool     `json:"cached" jsonschema_description:"answered from the node's own cache"`
	sock.Outcome
}

func (c *client) lookup(ctx context.Context, args LookupArgs) (any, error) {
	if args.Name == "" {
		return nil, errors.New("no name is given")
	}
	result := LookupResult{Name: args.Name, Addresses: []string{}, CNAMEs: []string{}, Records: []string{}}
	var err error
	if args.Type == "" {
		err = c.addresses(ctx, &result)
	} else {
		kind, ok := dns.StringToType[strings.ToUpper(args.Type)]
		if !ok {
			return nil, fmt.Errorf("there is no record type %s", args.Type)
		}
		err = c.records(ctx, kind, &result)
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
func (c *client) addresses(ctx context.Context, result *LookupResult) error {
	answer, err := c.names.Lookup(ctx, result.Name)
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
func (c *client) records(ctx context.Context, kind uint16, result *LookupResult) error {
	name := result.Name
	if addr, err := netip.ParseAddr(name); err == nil && kind == dns.TypePTR {
		if name, err = dns.ReverseAddr(addr.String()); err != nil {
			return err
		}
	}
	response, err := c.names.Query(ctx, name, kind)
	if err != nil {
		return err
	}
	result.RCode = dns.RcodeToString[response.Rcode]
	result.Records = append(result.Records, wire.Texts(response.Answer)...)
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
