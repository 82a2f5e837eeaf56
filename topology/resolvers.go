package topology

import (
	"fmt"
	"net/netip"
)

// nameServers gives every node its resolvers: those of the file, or the recursive server that is fewest routers away; of
// equals the first by name. A recursive server needs none.
func (c *compiler) nameServers() {
	for _, n := range c.nodes {
		if len(n.Value.Resolver) > 0 {
			c.givenResolvers(n)
			continue
		}
		if s := c.server(n); s != nil && s.recursive {
			continue
		}
		least := -1
		for _, s := range c.servers {
			if !s.recursive {
				continue
			}
			found, hops := c.nearestAddresses(n, s.node)
			if len(found) > 0 && (least < 0 || hops < least) {
				n.resolvers, least = found, hops
			}
		}
	}
}

// server returns the node's DNS server, or nil.
func (c *compiler) server(n *node) *dnsServer {
	for _, s := range c.servers {
		if s.node == n {
			return s
		}
	}
	return nil
}

// nearestAddresses returns the address of each family of another node that is fewest routers away, and how many that
// are.
func (c *compiler) nearestAddresses(from, to *node) (found []netip.Addr, hops int) {
	hops = maxHops
	for _, f := range families() {
		var best netip.Addr
		least := maxHops + 1
		for _, p := range to.ports {
			for _, a := range p.addresses {
				if familyOf(a.Addr()) != f {
					continue
				}
				if n, ok := c.hops(from, a.Addr()); ok && n < least {
					best, least = a.Addr(), n
				}
			}
		}
		if best.IsValid() {
			found, hops = append(found, best), min(hops, least)
		}
	}
	return found, hops
}

// givenResolvers takes over the resolvers that the file gives, as far as the node can reach them.
func (c *compiler) givenResolvers(n *node) {
	for _, given := range n.Value.Resolver {
		if given.Value == none {
			continue
		}
		addr, err := netip.ParseAddr(given.Value)
		if err != nil {
			found, _ := c.nearestAddresses(n, c.node(given.Value))
			if len(found) == 0 {
				c.errs.add(given.At, fmt.Sprintf("node %s cannot reach its resolver %s", n.Name, given.Value), "choose one that it has a route to, and that has one back")
			}
			n.resolvers = append(n.resolvers, found...)
			continue
		}
		if _, ok := c.hops(n, addr); !ok {
			c.errs.add(given.At, fmt.Sprintf("node %s cannot reach its resolver %s%s", n.Name, addr, c.whose(addr)), "choose one that it has a route to, and that has one back")
		}
		n.resolvers = append(n.resolvers, addr)
	}
}

// whose says which node has an address.
func (c *compiler) whose(addr netip.Addr) string {
	for _, network := range c.networks {
		if n := network.used[addr]; n != nil {
			return " (node " + n.Name + ")"
		}
	}
	return ", which no node has"
}

// rootHints tells recursive servers the root servers that they can reach (RFC 9609), unless they serve the root zone, or
// the file gives hints.
func (c *compiler) rootHints() {
	root := c.zones[rootName]
	for _, s := range c.servers {
		hints := s.node.options[roleDNS].get(optionHints)
		if !s.recursive || root == nil || hints != nil && len(hints.list()) > 0 {
			continue
		}
		own := false
		for _, r := range root.servers {
			own = own || r == s
			name := r.serverName(root)
			var lines []string
			for _, a := range r.node.published() {
				if _, ok := c.hops(s.node, a); ok {
					lines = append(lines, fmt.Sprintf("%s 3600000 IN %s %s", name, recordType(a), a))
				}
			}
			if len(lines) > 0 {
				s.hints = append(append(s.hints, ". 3600000 IN NS "+name), lines...)
			}
		}
		if own {
			s.hints = nil
		} else if len(s.hints) == 0 {
			c.errs.add(s.at, fmt.Sprintf("resolver %s reaches no server of the root zone", s.node.Name), "it needs a route there, and the server one back")
		}
	}
}

// recordType is the type of an address record.
func recordType(a netip.Addr) string {
	if a.Is4() {
		return "A"
	}
	return "AAAA"
}
