package topology

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Options of the role dns that the compiler reads and completes.
const (
	optionZones     = "zones"
	optionRecursive = "recursive"
	optionHints     = "hints"
	optionRecords   = "records" // of a zone
)

// rootName is the zone above all.
const rootName = "."

// dnsServer is a node with the role dns.
type dnsServer struct {
	node      *node
	at        Position
	recursive bool
	zones     []string // that it serves, in the order of the file
	hints     []string // derived
}

// zone is a zone that the scenario serves.
type zone struct {
	name    string
	at      Position
	servers []*dnsServer
	written []record // by the file
	derived []record
}

// dns makes the zones: what the file says of them, the names that nodes declare, name servers, delegations and glue.
//
// A name goes into the most specific zone that is served. Each zone has NS records of all its servers, and so has the
// closest zone around it that is served, with glue. A server is called as the first of its names, or NODE.ZONE; in the
// root zone NODE.root-servers.net. Names lead to the addresses of their nodes as they are, no NAT considered; where a node
// has addresses on networks that are not private, those alone.
func (c *compiler) dns() {
	for _, n := range c.nodes {
		for _, name := range n.Value.Names {
			if name.Name != "" {
				c.addName(n, name)
			}
		}
	}
	for _, s := range c.servers {
		for _, name := range s.zones {
			c.addServer(s, c.zones[name])
		}
	}
	for _, s := range c.servers {
		c.checkRoot(s)
	}
	for _, z := range c.zones {
		z.derived = sortedRecords(z.derived)
	}
}

// readServers takes stock of the servers and of what the file says of their zones.
func (c *compiler) readServers() {
	c.zones = make(map[string]*zone)
	for _, n := range c.nodes {
		if v := n.options[roleDNS]; v != nil {
			c.readServer(n, v)
		}
	}
}

// readServer takes stock of a node's zones. A server of which nothing is said is a small network's only one: recursive,
// and authoritative for every name there is.
func (c *compiler) readServer(n *node, v *value) {
	s := &dnsServer{node: n, at: n.Value.role(roleDNS).at}
	c.servers = append(c.servers, s)
	zones, recursive := v.get(optionZones), v.get(optionRecursive)
	if recursive != nil {
		s.recursive, _ = recursive.json.(bool)
	}
	if zones == nil && recursive == nil && v.get(optionHints) == nil {
		s.recursive = true
		c.serve(s, rootName, s.at)
		return
	}
	for _, k := range zoneKeys(zones) {
		name := (&decoder{errs: c.errs}).domain(k.name, k.at)
		if name == "" {
			continue
		}
		if z := c.serve(s, name, k.at); z != nil {
			c.readRecords(z, k.value.get(optionRecords))
		}
	}
}

// zoneKeys returns the zones of a server in the form of a map: they may be a name or a list of names too.
func zoneKeys(zones *value) []key {
	if zones == nil || zones.kind == object {
		if zones == nil {
			return nil
		}
		return zones.keys
	}
	var keys []key
	for _, item := range zones.list() {
		if item.kind == text {
			keys = append(keys, key{name: item.text, at: item.at, value: &value{kind: null, at: item.at}})
		}
	}
	return keys
}

// serve makes a zone one of the server's; it returns nil where it is already.
func (c *compiler) serve(s *dnsServer, name string, at Position) *zone {
	for _, other := range s.zones {
		if other == name {
			c.errs.add(at, fmt.Sprintf("node %s serves the zone %s twice", s.node.Name, name), "keep one of them")
			return nil
		}
	}
	s.zones = append(s.zones, name)
	z := c.zones[name]
	if z == nil {
		z = &zone{name: name, at: at}
		c.zones[name] = z
	}
	z.servers = append(z.servers, s)
	return z
}

// zoneOf returns the most specific zone that a name belongs to, at or above it; nil where none is served.
func (c *compiler) zoneOf(name string) *zone {
	for {
		if z := c.zones[name]; z != nil || name == rootName {
			return z
		}
		name = parentName(name)
	}
}

// parentName takes the first label away.
func parentName(name string) string {
	if _, parent, found := strings.Cut(name, "."); found && parent != "" {
		return parent
	}
	return rootName
}

// addName adds a name that a node declares.
func (c *compiler) addName(n *node, name Domain) {
	z := c.zoneOf(name.Name)
	switch {
	case z == nil && len(c.servers) == 0:
		c.errs.add(name.At, fmt.Sprintf("no node serves the name %q", name.Value), "add a node with dns: below it")
	case z == nil:
		c.errs.add(name.At, fmt.Sprintf("no zone of the scenario covers the name %q", name.Value),
			fmt.Sprintf("add one, such as %s, to the zones of a node with dns", strings.TrimSuffix(apex(name.Name), ".")))
	case z.has(name.Name, dns.TypeCNAME):
		c.errs.add(name.At, fmt.Sprintf("the zone %s has a CNAME record for %q, beside which there can be no address", z.name, name.Value),
			"take the record or the name away")
	default:
		z.addAddresses(name.Name, n.published())
	}
}

// apex returns the last two labels of a name.
func apex(name string) string {
	labels := dns.SplitDomainName(name)
	return dns.Fqdn(strings.Join(labels[max(0, len(labels)-2):], "."))
}

// published returns the addresses that the node's names lead to: of each family those on networks that are not private,
// or else those behind a NAT, or else those on internal networks.
func (n *node) published() []netip.Addr {
	var all []netip.Addr
	for _, f := range families() {
		var tiers [3][]netip.Addr
		for _, p := range n.ports {
			tier := 0
			if p.network.Value.Internal {
				tier = 2
			} else if p.network.private {
				tier = 1
			}
			for _, a := range p.addresses {
				if familyOf(a.Addr()) == f {
					tiers[tier] = append(tiers[tier], a.Addr())
				}
			}
		}
		for _, tier := range tiers {
			if len(tier) > 0 {
				all = append(all, tier...)
				break
			}
		}
	}
	return all
}

// serverName is what a server is called in the NS records of a zone.
func (s *dnsServer) serverName(z *zone) string {
	if names := s.node.Value.Names; len(names) > 0 && names[0].Name != "" {
		return names[0].Name
	}
	if z.name == rootName {
		return s.node.Name + ".root-servers.net."
	}
	return s.node.Name + "." + z.name
}

// addServer adds a server of a zone: NS and address in the zone, delegation and glue in the one around it.
func (c *compiler) addServer(s *dnsServer, z *zone) {
	c.addNS(z, z, s)
	if z.name == rootName {
		return
	}
	parent := c.zoneOf(parentName(z.name))
	switch {
	case parent == nil:
	case parent.has(z.name, dns.TypeCNAME):
		c.errs.add(z.at, fmt.Sprintf("the zone %s cannot be delegated: the zone %s has a CNAME record there", z.name, parent.name), "take that record away")
	default:
		c.addNS(parent, z, s)
	}
}

// addNS adds to a zone that s is a server of the zone of, itself or one below, unless the file says who is. The server's
// address goes where its name belongs, and where it is needed as glue.
func (c *compiler) addNS(in, of *zone, s *dnsServer) {
	if in.has(of.name, dns.TypeNS) {
		return
	}
	name := s.serverName(of)
	in.add(of.name, dns.TypeNS, name)
	home := c.zoneOf(name)
	if home != nil && len(s.node.Value.Names) == 0 {
		home.addAddresses(name, s.node.published())
	}
	if home != in && dns.IsSubDomain(in.name, name) {
		in.addAddresses(name, s.node.published())
	}
}

// checkRoot notes a recursive server that has nowhere to start: no root zone in the scenario, and not every zone its own.
func (c *compiler) checkRoot(s *dnsServer) {
	hints := s.node.options[roleDNS].get(optionHints)
	if !s.recursive || c.zones[rootName] != nil || hints != nil && len(hints.list()) > 0 {
		return
	}
	const advice = `add a node with dns: {zones: ["."]}`
	if len(c.zones) == 0 {
		c.errs.add(s.at, fmt.Sprintf("resolver %s has nowhere to start: no node serves the root zone", s.node.Name), advice)
		return
	}
	var others []string
	for name, z := range c.zones {
		if !slices.Contains(z.servers, s) {
			others = append(others, name)
		}
	}
	if len(others) > 0 {
		c.errs.add(s.at, fmt.Sprintf("resolver %s cannot find %s: no node serves the root zone", s.node.Name, list(others)), advice)
	}
}
