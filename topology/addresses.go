package topology

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// firstHost is where the addresses of nodes that are no routers start, if they all fit from there: .10, ::10.
func firstHost(f family) uint64 {
	if f == ipv6 {
		return 0x10
	}
	return 10
}

// addresses gives every port its addresses: those of the file first, then to routers from the lowest on, best gateway
// first, then to other nodes by name.
func (c *compiler) addresses() {
	for _, n := range c.networks {
		for _, p := range n.ports {
			c.givenAddresses(p)
		}
	}
	for _, n := range c.networks {
		for _, f := range families() {
			if n.subnets[f].IsValid() && !n.broken {
				c.allocateAddresses(n, f)
			}
		}
		for _, p := range n.ports {
			slices.SortStableFunc(p.addresses, func(a, b netip.Prefix) int { return cmp.Compare(familyOf(a.Addr()), familyOf(b.Addr())) })
		}
	}
}

// givenAddresses checks and takes over the addresses that the file gives.
func (c *compiler) givenAddresses(p *port) {
	n := p.network
	for _, given := range p.spec.Value.Addresses {
		addr := given.Addr
		if !addr.IsValid() || n.broken { // which has been noted
			continue
		}
		subnet := n.subnets[familyOf(addr)]
		switch other := n.used[addr]; {
		case !subnet.IsValid():
			c.errs.add(given.At, fmt.Sprintf("network %s has no %s subnet for %s", n.Name, familyOf(addr), addr), "its subnets are "+n.subnetList())
		case !subnet.Contains(addr):
			c.errs.add(given.At, fmt.Sprintf("%s is outside of network %s", addr, n.Name), "choose one of "+subnet.String())
		case addr == subnet.Addr():
			c.errs.add(given.At, fmt.Sprintf("%s is the address of the network %s itself", addr, n.Name), "choose another one of "+subnet.String())
		case addr == broadcast(subnet):
			c.errs.add(given.At, fmt.Sprintf("%s is the broadcast address of network %s", addr, n.Name), "choose another one of "+subnet.String())
		case other != nil:
			c.errs.add(given.At, fmt.Sprintf("%s is the address of node %s", addr, other.Name), "give each node an address of its own")
		default:
			n.used[addr] = p.node
			p.addresses = append(p.addresses, netip.PrefixFrom(addr, subnet.Bits()))
		}
	}
}

func (n *network) subnetList() string {
	var texts []string
	for _, subnet := range n.subnets {
		if subnet.IsValid() {
			texts = append(texts, subnet.String())
		}
	}
	return strings.Join(texts, ", ")
}

// broadcast returns the last address of an IPv4 subnet; IPv6 has no broadcast.
func broadcast(subnet netip.Prefix) netip.Addr {
	if !subnet.Addr().Is4() {
		return netip.Addr{}
	}
	return offset(subnet, size(subnet)-1)
}

// size returns how many addresses a subnet has, as far as anybody could use them.
func size(subnet netip.Prefix) uint64 {
	return 1 << min(subnet.Addr().BitLen()-subnet.Bits(), 32)
}

// offset returns the address that far into a subnet; by must be below size.
func offset(subnet netip.Prefix, by uint64) netip.Addr {
	bytes := subnet.Addr().AsSlice()
	for i := len(bytes) - 1; by > 0; i-- {
		bytes[i] |= byte(by)
		by >>= 8
	}
	addr, _ := netip.AddrFromSlice(bytes) // a slice of the right length
	return addr
}

// allocateAddresses gives an address of a family to every port of a network that has none.
func (c *compiler) allocateAddresses(n *network, f family) {
	var routers, hosts []*port
	for _, p := range n.ports {
		switch {
		case p.addr(f).IsValid() || !p.wellGiven(f):
		case p.node.router && !n.Value.Internal:
			routers = append(routers, p)
		default:
			hosts = append(hosts, p)
		}
	}
	reach := make(map[*port]int)
	for _, p := range routers {
		reach[p] = len(c.beyond(side{p, f}))
	}
	slices.SortStableFunc(routers, func(a, b *port) int { return cmp.Compare(reach[b], reach[a]) })
	c.hand(n, f, routers, 1)
	start := firstHost(f)
	if !n.fit(f, start, len(hosts)) {
		start = 1
	}
	c.hand(n, f, hosts, start)
}

// wellGiven says whether no address of a family was given that turned out wrong: that is not to be replaced silently.
func (p *port) wellGiven(f family) bool {
	return !slices.ContainsFunc(p.spec.Value.Addresses, func(a Address) bool {
		return !a.IsValid() || familyOf(a.Addr) == f
	})
}

// last is the offset of the last address that a node can have.
func last(subnet netip.Prefix) uint64 {
	if subnet.Addr().Is4() {
		return size(subnet) - 2
	}
	return size(subnet) - 1
}

// fit says whether count addresses are free from an offset on.
func (n *network) fit(f family, start uint64, count int) bool {
	subnet := n.subnets[f]
	for by := start; by <= last(subnet) && count > 0; by++ {
		if n.used[offset(subnet, by)] == nil {
			count--
		}
	}
	return count == 0
}

// hand gives each port the next free address from an offset on.
func (c *compiler) hand(n *network, f family, ports []*port, start uint64) {
	subnet := n.subnets[f]
	by := start
	for _, p := range ports {
		for by <= last(subnet) && n.used[offset(subnet, by)] != nil {
			by++
		}
		if by > last(subnet) {
			c.errs.add(p.spec.At, fmt.Sprintf("network %s has no address left for node %s", n.Name, p.node.Name),
				fmt.Sprintf("give the network a larger subnet than %s", subnet))
			return
		}
		addr := offset(subnet, by)
		n.used[addr] = p.node
		p.addresses = append(p.addresses, netip.PrefixFrom(addr, subnet.Bits()))
	}
}

// macs gives every port its Ethernet address: the file's, or one made from the seed and the names.
func (c *compiler) macs() {
	used := make(map[MAC]*port)
	var open []*port
	for _, n := range c.nodes {
		for _, p := range n.ports {
			given := p.spec.Value.MAC
			if given.MAC == (MAC{}) {
				open = append(open, p)
				continue
			}
			if other := used[given.MAC]; other != nil {
				c.errs.add(given.At, fmt.Sprintf("%s is the MAC address of node %s", given.MAC, other.node.Name), "give each interface one of its own")
			}
			p.mac, used[given.MAC] = given.MAC, p
		}
	}
	for _, p := range open {
		for again := 0; p.mac == (MAC{}); again++ {
			bytes := c.random("mac", p.node.Name, p.network.Name, strings.Repeat("again", again))
			mac := MAC{0x02} // locally administered, one machine's (IEEE 802, section 8.4)
			copy(mac[1:], bytes[:])
			if used[mac] == nil {
				p.mac, used[mac] = mac, p
			}
		}
	}
}
