package topology

import (
	"fmt"
	"net/netip"
)

// gateways is what the file says of a node's default gateways.
type gateways struct {
	none bool // it has none
	by   [2]*nextHop
}

// nextHop is where a node sends packets to that are not for its own networks.
type nextHop struct {
	out     *port
	address netip.Addr
	node    *node // nil: an address that no node has
}

// staticRoute is a route that the file gives, or takes away.
type staticRoute struct {
	to   netip.Prefix
	next *nextHop // nil: taken away
}

// checkRoutes reads the gateways and routes that the file gives.
func (c *compiler) checkRoutes() {
	for _, n := range c.nodes {
		for _, given := range n.Value.Gateway {
			c.readGateway(n, given)
		}
		for i := range n.Value.Routes {
			c.readRoute(n, &n.Value.Routes[i])
		}
	}
}

func (c *compiler) readGateway(n *node, given Text) {
	if given.Value == none {
		n.gateways.none = true
		if len(n.Value.Gateway) > 1 {
			c.errs.add(given.At, "none stands beside other gateways", "keep none, or the others")
		}
		return
	}
	for f, hop := range c.nextHops(n, given) {
		if hop == nil {
			continue
		}
		if n.gateways.by[f] != nil {
			c.errs.add(given.At, fmt.Sprintf("node %s has two %s gateways", n.Name, family(f)), "keep one, and reach the other by routes")
		}
		n.gateways.by[f] = hop
	}
}

// nextHops returns, by family, how a node reaches another, or an address, that is on one of its networks. What cannot be
// a next hop is noted.
func (c *compiler) nextHops(n *node, to Text) [2]*nextHop {
	var hops [2]*nextHop
	if addr, err := netip.ParseAddr(to.Value); err == nil {
		if addr.Zone() != "" || addr.Is4In6() { // which has been noted
			return hops
		}
		for _, p := range n.ports {
			if subnet := p.network.subnets[familyOf(addr)]; subnet.IsValid() && subnet.Contains(addr) {
				hops[familyOf(addr)] = &nextHop{p, addr, p.network.used[addr]}
				return hops
			}
		}
		if !n.onBroken() {
			c.errs.add(to.At, fmt.Sprintf("%s is on none of the networks of node %s", addr, n.Name), "the next router must share a network with it")
		}
		return hops
	}
	next := c.node(to.Value)
	if next == nil { // which has been noted
		return hops
	}
	if !next.router && !next.Value.hasProgram() {
		c.errs.add(to.At, fmt.Sprintf("node %s does not pass packets on", next.Name), "give it the role router: below it")
		return hops
	}
	shared := false
	for _, p := range n.ports {
		other := next.port(p.network)
		if other == nil || next == n {
			continue
		}
		shared = true
		for _, f := range families() {
			if addr := other.addr(f); addr.IsValid() && hops[f] == nil {
				hops[f] = &nextHop{p, addr, next}
			}
		}
	}
	if !shared {
		c.errs.add(to.At, fmt.Sprintf("nodes %s and %s share no network", n.Name, next.Name), "the next router must be on a network of the node: "+list(n.Value.Networks.names()))
	}
	return hops
}

// onBroken says whether one of the node's networks is wrong, so that nothing can be said of its addresses.
func (n *node) onBroken() bool {
	for _, p := range n.ports {
		if p.network.broken {
			return true
		}
	}
	return len(n.ports) < len(n.Value.Networks)
}

func (c *compiler) readRoute(n *node, r *RouteSpec) {
	if !r.To.given() || !r.Via.given() {
		return
	}
	destinations := c.destinations(r.To)
	var hops [2]*nextHop
	if r.Via.Value != none {
		if hops = c.nextHops(n, r.Via); hops == ([2]*nextHop{}) {
			return // which has been noted
		}
	}
	added := 0
	for _, to := range destinations {
		next := hops[familyOf(to.Addr())]
		if next == nil && r.Via.Value != none {
			continue
		}
		added++
		for _, p := range n.ports {
			if p.network.subnets[familyOf(to.Addr())] == to {
				c.errs.add(r.To.At, fmt.Sprintf("node %s is on %s itself", n.Name, to), "take the route away")
			}
		}
		for _, other := range n.static {
			if other.to == to {
				c.errs.add(r.To.At, fmt.Sprintf("node %s has another route to %s", n.Name, to), "keep one of them")
			}
		}
		n.static = append(n.static, staticRoute{to, next})
	}
	if added == 0 && len(destinations) > 0 {
		c.errs.add(r.Via.At, fmt.Sprintf("%s has no address of the family of %s", r.Via.Value, r.To.Value), "choose a next router that has")
	}
}

// destinations returns what a route leads to: a subnet, an address, or the subnets of a network.
func (c *compiler) destinations(to Text) []netip.Prefix {
	if prefix, err := netip.ParsePrefix(to.Value); err == nil && !prefix.Addr().Is4In6() {
		if prefix != prefix.Masked() {
			c.errs.add(to.At, fmt.Sprintf("%s is an address within a subnet", prefix), "the subnet is "+prefix.Masked().String())
		}
		return []netip.Prefix{prefix.Masked()}
	}
	if addr, err := netip.ParseAddr(to.Value); err == nil && addr.Zone() == "" && !addr.Is4In6() {
		return []netip.Prefix{netip.PrefixFrom(addr, addr.BitLen())}
	}
	network := c.named[to.Value]
	if network == nil {
		advice := suggest(to.Value, c.spec.Networks.names())
		c.errs.add(to.At, fmt.Sprintf("%q is no subnet and no network", to.Value), advice)
		return nil
	}
	var subnets []netip.Prefix
	for _, subnet := range network.subnets {
		if subnet.IsValid() {
			subnets = append(subnets, subnet)
		}
	}
	return subnets
}
