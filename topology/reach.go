package topology

import (
	"net/netip"
)

// maxHops bounds how many routers a packet passes: the usual hop limit (RFC 8200, section 8.2, and IANA's).
const maxHops = 64

// packet is on its way through the compiled network.
type packet struct {
	from, to netip.Addr
	answer   bool // to what went out before: NAT lets it in
}

// hops returns how many routers lie between a node and an address; false where packets do not get there, or answers do
// not come back.
func (c *compiler) hops(from *node, to netip.Addr) (int, bool) {
	there := packet{to: to}
	end, hops := c.send(from, &there)
	if end == nil {
		return 0, false
	}
	if end == from {
		return 0, true
	}
	back := packet{to: there.from, answer: true}
	home, _ := c.send(end, &back)
	return hops, home != nil
}

// send follows a packet by the routes of each node. It returns where the packet arrives, nil for nowhere, and the routers
// on the way. The packet's source becomes what the end sees of it.
func (c *compiler) send(from *node, p *packet) (*node, int) {
	at, in := from, (*port)(nil)
	for hops := 0; hops <= maxHops; hops++ {
		if at.owns(p.to) {
			return at, max(hops-1, 0)
		}
		out, next := at.nextHop(p.to)
		if out == nil || in != nil && !at.lets(in, out, p) {
			return nil, 0
		}
		switch {
		case in == nil:
			p.from = out.addr(familyOf(p.to))
		case at.outside[out.network] && p.to.Is4() && !p.answer:
			p.from = out.addr(ipv4)
		}
		owner := out.network.used[next]
		if owner == nil {
			return nil, 0
		}
		at, in = owner, owner.port(out.network)
	}
	return nil, 0
}

// owns says whether an address is the node's.
func (n *node) owns(addr netip.Addr) bool {
	for _, p := range n.ports {
		if p.network.used[addr] == n {
			return true
		}
	}
	return false
}

// nextHop returns the port and the address that packets to an address leave by: the longest prefix counts.
func (n *node) nextHop(to netip.Addr) (*port, netip.Addr) {
	for _, p := range n.ports {
		if subnet := p.network.subnets[familyOf(to)]; subnet.IsValid() && subnet.Contains(to) {
			return p, to
		}
	}
	best := -1
	for i, r := range n.routes {
		if r.Destination.Contains(to) && (best < 0 || r.Destination.Bits() > n.routes[best].Destination.Bits()) {
			best = i
		}
	}
	if best < 0 {
		return nil, netip.Addr{}
	}
	for _, p := range n.ports {
		if p.name == n.routes[best].Interface {
			return p, n.routes[best].Gateway
		}
	}
	return nil, netip.Addr{}
}

// lets says whether the node passes a packet on from one port to another.
func (n *node) lets(in, out *port, p *packet) bool {
	return n.router && !in.network.Value.Internal && !out.network.Value.Internal && (p.answer || !n.outside[in.network])
}
