package topology

import (
	"cmp"
	"net/netip"
	"slices"
)

// Routes are derived for each family by themselves:
//
//   - A router has a route to every network that it can reach, by the fewest routers; of equals by the first name.
//   - It has a default route too if all these routes go by one router: that is its upstream, and it is at the edge. Of a
//     NAT router only those count that lead outside. A router in the middle has no default route, so that packets for
//     nowhere end there; neither have routers whose default routes would lead in a ring, and one whose only neighbour is
//     a NAT router seen from outside.
//   - Any other node has a default route by the router on its networks that leads to most networks beyond them; of equals
//     by the first name. Where another router is nearer to a network, it has a route to that.
//   - A gateway that the file gives takes the place of all routes to networks that it leads to.
//   - Nothing leads to or from internal networks, nor to IPv4 networks inside of a masquerade from its outside.
//   - Routes that the file gives take the place of derived ones with the same destination.

// route gives every node its routes.
func (c *compiler) route() {
	for _, f := range families() {
		g := c.graph(f)
		tables := make(map[*node]*table)
		for _, n := range c.nodes {
			tables[n] = &table{node: n, family: f, routes: make(map[netip.Prefix]nextHop)}
			tables[n].gateway = c.gateway(n, f)
		}
		for _, to := range c.networks {
			if !to.routed(f) {
				continue
			}
			distance := g.distances(to)
			for _, n := range c.nodes {
				tables[n].add(c, g, to, distance)
			}
		}
		defaults(tables)
		for _, n := range c.nodes {
			n.routes = append(n.routes, tables[n].sorted()...)
		}
	}
}

// table is the routes of a node and family in the making.
type table struct {
	node    *node
	family  family
	gateway *nextHop // for everything that has no route
	routes  map[netip.Prefix]nextHop
}

// gateway returns the node's default gateway: the file's or, for a node that is no router, a derived one.
func (c *compiler) gateway(n *node, f family) *nextHop {
	if given := n.gateways.by[f]; given != nil || n.gateways.none || n.router {
		return given
	}
	own := make(map[*network]bool)
	for _, p := range n.ports {
		own[p.network] = true
	}
	var best *nextHop
	most := 0
	for _, out := range n.ports {
		for _, p := range out.network.ports {
			if !p.node.passes(out.network, f) {
				continue // most nodes: they lead nowhere
			}
			leads := 0
			for on := range c.beyond(side{p, f}) {
				if !own[on] {
					leads++
				}
			}
			if !p.addr(f).IsValid() || leads < max(most, 1) || leads == most && best.node.Name <= p.node.Name {
				continue
			}
			best, most = &nextHop{out, p.addr(f), p.node}, leads
		}
	}
	return best
}

// add adds the route to a network, unless the node is on it, cannot reach it, or its gateway serves as well.
func (t *table) add(c *compiler, g *graph, to *network, distance []int) {
	n, f := t.node, t.family
	if n.gateways.none || n.port(to) != nil {
		return
	}
	var best way
	g.ways(n, distance, func(w way) {
		if best.router == nil || t.prefers(w, best) {
			best = w
		}
	})
	if best.router == nil {
		return
	}
	hop := nextHop{best.out, best.router.addr(f), best.router.node}
	if t.gateway != nil && (hop.address == t.gateway.address || n.gateways.by[f] != nil && c.leads(t.gateway, f, to)) {
		return
	}
	t.routes[to.subnets[f]] = hop
}

// prefers says which of two ways is to be taken: that with fewer routers; of equals the gateway's; of equals by name.
func (t *table) prefers(w, than way) bool {
	if w.hops != than.hops {
		return w.hops < than.hops
	}
	byGateway := func(w way) bool { return t.gateway != nil && w.router.addr(t.family) == t.gateway.address }
	if byGateway(w) != byGateway(than) {
		return byGateway(w)
	}
	return w.router.node.Name < than.router.node.Name
}

// leads says whether a gateway of the file's leads to a network, as far as it can be known.
func (c *compiler) leads(hop *nextHop, f family, to *network) bool {
	if hop.node == nil || !hop.node.router {
		return true
	}
	return c.beyond(side{hop.node.port(hop.out.network), f})[to]
}

// defaults gives routers at the edge their default route.
func defaults(tables map[*node]*table) {
	upstream := make(map[*node]*nextHop)
	for n, t := range tables {
		if hop := t.only(); hop != nil && n.router && t.gateway == nil && !hop.node.outside[hop.out.network] {
			upstream[n] = hop
		}
	}
	for n, hop := range upstream {
		if !inRing(n, upstream) {
			tables[n].gateway = hop
		}
	}
}

// only returns the next hop of all routes, of a NAT router those that lead outside; nil where there is none, or more
// than one.
func (t *table) only() *nextHop {
	var only *nextHop
	for _, hop := range t.routes {
		if len(t.node.outside) > 0 && !t.node.outside[hop.out.network] {
			continue
		}
		if only != nil && only.address != hop.address {
			return nil
		}
		only = &hop
	}
	return only
}

// inRing says whether going upstream from a router leads back to it.
func inRing(n *node, upstream map[*node]*nextHop) bool {
	at := n
	for range len(upstream) {
		hop := upstream[at]
		if hop == nil {
			return false
		}
		if at = hop.node; at == n {
			return true
		}
	}
	return false
}

// sorted returns the table as a plan has it, with the file's own routes in it.
func (t *table) sorted() []Route {
	everything := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if t.family == ipv6 {
		everything = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	if t.gateway != nil {
		t.routes[everything] = *t.gateway
	}
	for _, s := range t.node.static {
		switch {
		case familyOf(s.to.Addr()) != t.family:
		case s.next == nil:
			delete(t.routes, s.to)
		default:
			t.routes[s.to] = *s.next
		}
	}
	var routes []Route
	for to, hop := range t.routes {
		routes = append(routes, Route{Destination: to, Gateway: hop.address, Interface: hop.out.name})
	}
	slices.SortFunc(routes, func(a, b Route) int {
		return cmp.Or(a.Destination.Addr().Compare(b.Destination.Addr()), cmp.Compare(a.Destination.Bits(), b.Destination.Bits()))
	})
	return routes
}
