package router

import (
	"net/netip"
	"slices"

	"scenario/topology"
)

// route says what becomes of packets for a prefix.
type route struct {
	kind    routeKind
	port    *port
	gateway *neighbour // the next router; nil: the destination itself is a neighbour
}

type routeKind int

const (
	toNeighbour routeKind = iota
	toSelf                // one of the router's own addresses
	toAll                 // a subnet's broadcast address
)

// table finds the route of the longest prefix: a map for each length in use, of which a network has few.
type table struct {
	levels4, levels6 []level // longest first
}

type level struct {
	bits   int
	mask   address
	routes map[address]*route
}

func (t *table) lookup(to address) *route {
	levels := t.levels6
	if to.is4() {
		levels = t.levels4
	}
	for i := range levels {
		l := &levels[i]
		if route := l.routes[address{to.hi & l.mask.hi, to.lo & l.mask.lo}]; route != nil {
			return route
		}
	}
	return nil
}

// add adds a route unless there is one for the same prefix.
func (t *table) add(prefix netip.Prefix, r *route) {
	levels, bits := &t.levels6, prefix.Bits()
	if prefix.Addr().Is4() {
		levels, bits = &t.levels4, bits+96
	}
	at, found := slices.BinarySearchFunc(*levels, bits, func(l level, bits int) int { return bits - l.bits })
	if !found {
		*levels = slices.Insert(*levels, at, level{bits: bits, mask: mask(bits), routes: make(map[address]*route)})
	}
	routes := (*levels)[at].routes
	if key := addressOf(prefix.Masked().Addr()); routes[key] == nil {
		routes[key] = r
	}
}

func mask(bits int) address {
	if bits <= 64 {
		return address{hi: ^uint64(0) << (64 - bits)}
	}
	return address{hi: ^uint64(0), lo: ^uint64(0) << (128 - bits)}
}

// addRoutes adds the router's own addresses, its subnets, and then the routes of the plan.
func (r *Router) addRoutes(routes []topology.Route) {
	for _, p := range r.ports {
		for _, prefix := range p.prefixes {
			own := prefix.Addr()
			r.table.add(netip.PrefixFrom(own, own.BitLen()), &route{kind: toSelf, port: p})
		}
	}
	for _, p := range r.ports {
		for _, prefix := range p.prefixes {
			if all, ok := broadcastOf(prefix); ok {
				r.table.add(netip.PrefixFrom(all, all.BitLen()), &route{kind: toAll, port: p})
			}
			r.table.add(prefix, &route{port: p})
		}
	}
	for _, planned := range routes {
		if p := r.port(planned.Interface); p != nil {
			r.table.add(planned.Destination, &route{port: p, gateway: p.gateway(addressOf(planned.Gateway))})
		}
	}
}

// broadcastOf is the last address of an IPv4 subnet; those of one or two addresses have none (RFC 3021).
func broadcastOf(prefix netip.Prefix) (netip.Addr, bool) {
	if !prefix.Addr().Is4() || prefix.Bits() > 30 {
		return netip.Addr{}, false
	}
	a, m := addressOf(prefix.Addr()), mask(96+prefix.Bits())
	return address{a.hi, a.lo | ^m.lo}.netip(), true
}
