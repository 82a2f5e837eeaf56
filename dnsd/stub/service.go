package stub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/miekg/dns"
)

// maxAliases bounds how many alias records are followed for a service (RFC 9460, section 3).
const maxAliases = 8

// Service is one of the places where a web service is to be had, and how (RFC 9460, sections 2.4 and 7).
type Service struct {
	Priority uint16 // the lowest is best; 0: an alias led to Target, which says no more of itself
	Target   string // absolute: the name whose addresses serve it
	Port     uint16 // 0: that of the origin
	// ALPN are the protocols that it lists; see [Service.Protocols] for those that it speaks.
	ALPN          []string
	NoDefaultALPN bool         // it does not speak http/1.1 unless ALPN says so
	Hints         []netip.Addr // that Target has, to start with until it has been looked up: IPv6 first
}

// Protocols are the protocols that the service speaks (section 7.1.2): those that it lists and, unless it says otherwise,
// the default of HTTPS.
func (s Service) Protocols() []string {
	const usual = "http/1.1" // section 9.2
	if s.NoDefaultALPN || slices.Contains(s.ALPN, usual) {
		return s.ALPN
	}
	return append(slices.Clip(s.ALPN), usual)
}

// Services are the HTTPS records of a response that can be used here, best first; an alias has the priority 0.
func Services(response *dns.Msg) []Service {
	var services []Service
	for _, rr := range httpsRecords(response) {
		if s, ok := service(rr); ok {
			services = append(services, s)
		}
	}
	slices.SortStableFunc(services, func(a, b Service) int { return cmp.Compare(a.Priority, b.Priority) })
	return services
}

// services asks for the name's HTTPS records, and follows those that are aliases.
func (r round) services(ctx context.Context) Part {
	part := Part{Name: r.name, Type: dns.TypeHTTPS, Cached: true}
	name := r.name
	if port := cmp.Or(r.want.Port, 443); port != 443 {
		name = fmt.Sprintf("_%d._https.%s", port, r.name)
	}
	for followed := range maxAliases {
		response, cached, err := r.resolver.query(ctx, r.called(), name, dns.TypeHTTPS)
		part.Cached = part.Cached && cached
		if err != nil && followed == 0 {
			part.Err = err
			return part
		}
		var records []*dns.SVCB
		if err == nil {
			part.take(response)
			records = httpsRecords(response)
		}
		alias := slices.IndexFunc(records, func(rr *dns.SVCB) bool { return rr.Priority == 0 })
		switch {
		case len(records) == 0 && followed == 0:
			part.Err = r.resolver.noData(r.called())
			return part
		case len(records) == 0:
			part.Services = []Service{{Target: name}}
			return part
		case alias < 0:
			if part.Services = Services(response); len(part.Services) == 0 {
				part.Err = &Error{Name: r.called(), Err: errors.New("its HTTPS records ask for what is not known here")}
			}
			return part
		case records[alias].Target == ".":
			part.Err = r.resolver.noData(r.called()) // section 2.5.1: the service does not exist
			return part
		}
		name = records[alias].Target
		part.CNAMEs = append(part.CNAMEs, name)
	}
	part.Err = &Error{Name: r.called(), Err: errors.New("its HTTPS records are aliases that lead on and on")}
	return part
}

// httpsRecords are the HTTPS records of a response, but for those that end before their target.
func httpsRecords(response *dns.Msg) []*dns.SVCB {
	var records []*dns.SVCB
	for _, rr := range response.Answer {
		if https, ok := rr.(*dns.HTTPS); ok && https.Target != "" {
			records = append(records, &https.SVCB)
		}
	}
	return records
}

// service reads a record; false where it makes something mandatory that is not known here, or contradicts
// itself (section 8).
func service(rr *dns.SVCB) (Service, bool) {
	s := Service{Priority: rr.Priority, Target: rr.Target}
	if s.Priority == 0 {
		return s, true // section 2.4.2: parameters are ignored
	}
	if s.Target == "." {
		s.Target = rr.Hdr.Name // section 2.5.2
	}
	var mandatory []dns.SVCBKey
	has := make(map[dns.SVCBKey]bool)
	for _, value := range rr.Value {
		has[value.Key()] = true
		switch v := value.(type) {
		case *dns.SVCBMandatory:
			mandatory = v.Code
		case *dns.SVCBAlpn:
			s.ALPN = v.Alpn
		case *dns.SVCBNoDefaultAlpn:
			s.NoDefaultALPN = true
		case *dns.SVCBPort:
			s.Port = v.Port
		case *dns.SVCBIPv4Hint:
			for _, ip := range v.Hint {
				if addr, ok := netip.AddrFromSlice(ip.To4()); ok {
					s.Hints = append(s.Hints, addr)
				}
			}
		case *dns.SVCBIPv6Hint:
			for _, ip := range v.Hint {
				if addr, ok := netip.AddrFromSlice(ip.To16()); ok {
					s.Hints = append(s.Hints, addr)
				}
			}
		}
	}
	slices.SortStableFunc(s.Hints, func(a, b netip.Addr) int { return cmp.Compare(b.BitLen(), a.BitLen()) })
	for _, key := range mandatory {
		switch key {
		case dns.SVCB_ALPN, dns.SVCB_NO_DEFAULT_ALPN, dns.SVCB_PORT, dns.SVCB_IPV4HINT, dns.SVCB_IPV6HINT:
			if !has[key] {
				return Service{}, false
			}
		default:
			return Service{}, false
		}
	}
	return s, !s.NoDefaultALPN || len(s.ALPN) > 0
}
