package topology

import (
	"fmt"
	"net/netip"
	"slices"
)

// nat reads which networks routers masquerade what leaves through them.
func (c *compiler) nat() {
	for _, n := range c.nodes {
		for _, item := range n.options[roleRouter].get("nat").list() {
			if item.kind != text {
				continue
			}
			network := c.named[item.text]
			switch {
			case network == nil:
				c.checkNetwork(item.text, item.at)
			case n.port(network) == nil:
				c.errs.add(item.at, fmt.Sprintf("router %s is not on the network %s", n.Name, item.text), "it is on "+list(n.Value.Networks.names()))
			default:
				n.outside[network] = true
			}
		}
	}
}

// markPrivate finds the private networks: internal ones, and those inside of a NAT router or joined to its inside by
// other routers.
func (c *compiler) markPrivate() {
	for _, n := range c.networks {
		n.private = n.Value.Internal
	}
	for _, n := range c.nodes {
		if len(n.outside) == 0 {
			continue
		}
		seen := make(map[*network]bool)
		var inside func(on *network)
		inside = func(on *network) {
			if seen[on] || n.outside[on] || on.Value.Internal {
				return
			}
			seen[on], on.private = true, true
			for _, p := range on.ports {
				if !p.node.router || p.node.outside[on] {
					continue
				}
				for _, next := range p.node.ports {
					if !p.node.outside[next.network] {
						inside(next.network)
					}
				}
			}
		}
		for _, p := range n.ports {
			inside(p.network)
		}
	}
}

// subnets gives every network its subnets.
func (c *compiler) subnets() {
	var taken []netip.Prefix
	for _, n := range c.networks {
		taken = c.givenSubnets(n, taken)
	}
	for _, n := range c.networks {
		for _, f := range families() {
			if !n.broken && !n.subnets[f].IsValid() && n.wants(f) {
				n.subnets[f] = c.allocate(n, f, taken)
				taken = append(taken, n.subnets[f])
			}
		}
		if !n.broken && !n.subnets[ipv4].IsValid() && !n.subnets[ipv6].IsValid() {
			n.broken = true
			c.errs.add(n.At, fmt.Sprintf("network %s has neither IPv4 nor IPv6", n.Name), "set enable_ipv6: true, or give it a subnet")
		}
		if mtu := n.Value.MTU; mtu.At != (Position{}) && mtu.Value < 1280 && n.subnets[ipv6].IsValid() {
			c.errs.add(mtu.At, fmt.Sprintf("an MTU of %d is too small for IPv6", mtu.Value), "the least is 1280 (RFC 8200, section 5)")
		}
	}
}

// wants says whether a subnet of a family is to be allocated where none is given.
func (n *network) wants(f family) bool {
	if f == ipv6 {
		return n.Value.EnableIPv6
	}
	if n.Value.EnableIPv4 != nil {
		return *n.Value.EnableIPv4
	}
	return len(n.Value.Subnets) == 0
}

// givenSubnets checks and takes over the subnets that the file gives. It returns the subnets taken so far.
func (c *compiler) givenSubnets(n *network, taken []netip.Prefix) []netip.Prefix {
	for _, given := range n.Value.Subnets {
		prefix := given.Prefix
		if !prefix.IsValid() { // which has been noted
			n.broken = true
			continue
		}
		f := familyOf(prefix.Addr())
		if message, advice := c.subnetProblem(n, given, taken); message != "" {
			c.errs.add(given.At, message, advice)
			n.broken = true
			continue
		}
		n.subnets[f] = prefix
		taken = append(taken, prefix)
	}
	return taken
}

// subnetProblem says what is wrong with a subnet that the file gives, and what would be right.
func (c *compiler) subnetProblem(n *network, given Prefix, taken []netip.Prefix) (message, advice string) {
	prefix := given.Prefix
	f := familyOf(prefix.Addr())
	if n.subnets[f].IsValid() {
		return fmt.Sprintf("network %s has two %s subnets", n.Name, f), "keep one, or make it two networks"
	}
	if f == ipv4 && n.Value.EnableIPv4 != nil && !*n.Value.EnableIPv4 {
		return fmt.Sprintf("network %s has an IPv4 subnet, and enable_ipv4 is false", n.Name), "take one of them away"
	}
	if prefix.Bits() < 8 || prefix.Bits() > prefix.Addr().BitLen()-2 {
		return fmt.Sprintf("%s is no size for a network", prefix), fmt.Sprintf("use a length from /8 to /%d", prefix.Addr().BitLen()-2)
	}
	for _, special := range specialSubnets() {
		if prefix.Overlaps(special.subnet) {
			return fmt.Sprintf("%s is %s", prefix, special.what), "use a private range such as 192.168.1.0/24 or fd00:1::/64"
		}
	}
	for _, other := range taken {
		if other.Overlaps(prefix) {
			return fmt.Sprintf("%s overlaps %s of network %s", prefix, other, c.ownerOf(other)), "give each network a range of its own"
		}
	}
	return "", ""
}

// ownerOf names the network that a subnet was given to.
func (c *compiler) ownerOf(subnet netip.Prefix) string {
	for _, n := range c.networks {
		if n.subnets[familyOf(subnet.Addr())] == subnet {
			return n.Name
		}
	}
	return ""
}

type specialSubnet struct {
	subnet netip.Prefix
	what   string
}

// specialSubnets are ranges that mean something else to every machine (RFC 6890).
func specialSubnets() []specialSubnet {
	return []specialSubnet{
		{netip.MustParsePrefix("0.0.0.0/8"), "the range of this network itself (RFC 791)"},
		{netip.MustParsePrefix("127.0.0.0/8"), "for loopback (RFC 1122)"},
		{netip.MustParsePrefix("224.0.0.0/4"), "for multicast (RFC 5771)"},
		{netip.MustParsePrefix("240.0.0.0/4"), "reserved (RFC 1112)"},
		{netip.MustParsePrefix("::/8"), "for loopback and embedded addresses (RFC 4291)"},
		{netip.MustParsePrefix("fe80::/10"), "for link-local addresses (RFC 4291)"},
		{netip.MustParsePrefix("ff00::/8"), "for multicast (RFC 4291)"},
	}
}

// allocate returns the first subnet of the pool that is free.
func (c *compiler) allocate(n *network, f family, taken []netip.Prefix) netip.Prefix {
	from := pool{f, n.private}
	for {
		candidate, ok := from.subnet(c.next[from])
		if !ok {
			n.broken = true
			c.errs.add(n.At, fmt.Sprintf("no %s subnet is left for network %s", f, n.Name), "give it a subnet of its own")
			return netip.Prefix{}
		}
		c.next[from]++
		if !slices.ContainsFunc(taken, candidate.Overlaps) {
			return candidate
		}
	}
}

// pool is a range that networks are given subnets from.
type pool struct {
	family  family
	private bool
}

// subnet returns the subnet of that number, from 0; false where there are no more:
//
//	private IPv4  192.168.1.0/24 …, then 10.0.0.0/16 …   (RFC 1918)
//	other IPv4    198.18.0.0/24 … of 198.18.0.0/15       (RFC 2544: networks for tests)
//	private IPv6  fd00:0:0:1::/64 …                      (RFC 4193)
//	other IPv6    2001:db8:1::/64 …                      (RFC 3849: documentation)
func (p pool) subnet(i int) (netip.Prefix, bool) {
	high, low := byte(i>>8), byte(i)
	switch {
	case p.family == ipv6 && p.private:
		high, low = byte((i+1)>>8), byte(i+1)
		return netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 6: high, 7: low}), 64), i < 0xffff
	case p.family == ipv6:
		high, low = byte((i+1)>>8), byte(i+1)
		return netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0x20, 1: 0x01, 2: 0x0d, 3: 0xb8, 4: high, 5: low}), 64), i < 0xffff
	case p.private && i < 255:
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, low + 1, 0}), 24), true
	case p.private:
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i - 255), 0, 0}), 16), i < 255+256
	}
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18 + high, low, 0}), 24), i < 512
}
