package topology

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"scenario/nodes/router"
)

// forward is a port forward that the file gives, with its addresses.
type forward struct {
	router.Forward
	at Position
	to []netip.Addr // by family, as many as it has
}

// forwards reads the port forwards of the routers.
func (c *compiler) forwards() {
	for _, n := range c.nodes {
		type port struct {
			number   uint16
			protocol string
		}
		first := make(map[port]Position)
		for _, item := range n.options[roleRouter].get("forwards").list() {
			var f forward
			if err := json.Unmarshal(item.rawJSON(), &f.Forward); err != nil {
				if item.kind == text {
					c.errs.add(item.at, fmt.Sprintf("%q is no port forward: %v", item.text, err), "write it as 8080:server:80/tcp")
				}
				continue
			}
			if f.Port == 0 || f.To == "" { // which has been noted
				continue
			}
			if len(n.outside) == 0 {
				c.errs.add(item.at, fmt.Sprintf("router %s forwards ports and has no outside", n.Name), "name the outside network: nat: NETWORK")
				continue
			}
			p := port{f.Port, f.Protocol}
			if earlier, taken := first[p]; taken {
				c.errs.add(item.at, fmt.Sprintf("port %d/%s is forwarded twice, first in line %d", f.Port, f.Protocol, earlier.Line), "keep one of them")
				continue
			}
			first[p] = item.at
			f.at = item.at
			if to := item.get("to"); to != nil {
				f.at = to.at
			}
			f.to = c.insideAddresses(n, &f)
			n.forwards = append(n.forwards, f)
		}
	}
}

// insideAddresses returns the addresses, one of each family at most, that a forward leads to.
func (c *compiler) insideAddresses(n *node, f *forward) []netip.Addr {
	var inside []*port
	for _, p := range n.ports {
		if !n.outside[p.network] {
			inside = append(inside, p)
		}
	}
	if addr, err := netip.ParseAddr(f.To); err == nil {
		for _, p := range inside {
			if subnet := p.network.subnets[familyOf(addr)]; subnet.IsValid() && subnet.Contains(addr) {
				return []netip.Addr{addr}
			}
		}
		if !n.onBroken() {
			c.errs.add(f.at, fmt.Sprintf("%s is on no inside network of router %s", addr, n.Name), "forward to a node beside the router")
		}
		return nil
	}
	to := c.node(f.To)
	if to == nil {
		c.spec.checkNode(Text{f.To, f.at}, c.errs)
		return nil
	}
	var addresses [2]netip.Addr
	shared := false
	for _, p := range inside {
		other := to.port(p.network)
		if other == nil {
			continue
		}
		shared = true
		for _, family := range families() {
			if !addresses[family].IsValid() {
				addresses[family] = other.addr(family)
			}
		}
	}
	if !shared {
		c.errs.add(f.at, fmt.Sprintf("node %s is on no inside network of router %s", to.Name, n.Name), "forward to a node beside the router")
	}
	var found []netip.Addr
	for _, addr := range addresses {
		if addr.IsValid() {
			found = append(found, addr)
		}
	}
	return found
}

// planRouter makes what a forwarding node does beside following its routes; nil for any other node.
func (n *node) planRouter() *Router {
	if !n.router {
		return nil
	}
	r := &Router{}
	for _, p := range n.ports {
		if p.network.Value.Internal {
			r.Isolated = append(r.Isolated, p.name)
		}
		if !n.outside[p.network] {
			continue
		}
		r.Masquerade = append(r.Masquerade, Masquerade{Interface: p.name})
		for _, f := range n.forwards {
			for _, to := range f.to {
				if p.addr(familyOf(to)).IsValid() {
					r.Forwards = append(r.Forwards, PortForward{
						Interface: p.name, Protocol: f.Protocol, Port: f.Port, To: netip.AddrPortFrom(to, f.ToPort),
					})
				}
			}
		}
	}
	return r
}
