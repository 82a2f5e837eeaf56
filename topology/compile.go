package topology

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"scenario/nodes/role"
	"scenario/nodes/router"
)

// Roles that the compiler knows: their options say how the network is made, or it completes them.
const (
	roleRouter = router.Name
	roleDNS    = "dns"
	roleClient = "client"
)

// none stands, as a gateway, resolver or next router, for there being none.
const none = "none"

// Options are what the caller decides about a plan.
type Options struct {
	Seed *uint64 // what all randomness starts from; nil: the file's, or 1
	Name string  // of the run; empty: the file's, or the file's own name
	Dir  string  // absolute path of the folder that relative paths of volumes start from
}

// Compile works out everything that the file leaves open. The same spec and options make the same plan. What cannot be
// worked out makes an [Errors]; any other error is of the options.
func Compile(spec *Spec, opts Options) (*Plan, error) {
	errs := &mistakes{source: spec.source}
	c := newCompiler(spec, opts, errs)
	name, err := c.name()
	if err != nil {
		return nil, err
	}
	c.layout()
	c.route()
	c.dns()
	if len(errs.list) == 0 { // a mistake above may be why something is not reached
		c.nameServers()
		c.rootHints()
	}
	for _, s := range c.servers {
		s.complete(c.zones)
	}
	plan := &Plan{
		Name: name, Doc: spec.doc, Seed: c.seed,
		Networks: c.planNetworks(), Nodes: c.planNodes(),
		Steps: spec.steps(errs), Expect: spec.expectations(spec.Expect),
	}
	c.checkRoles(plan)
	if err := errs.err(); err != nil {
		return nil, err
	}
	return plan, c.certify(plan)
}

// family is IPv4 or IPv6.
type family int

const (
	ipv4 family = iota
	ipv6
)

// families are both, in the order of plans.
func families() []family { return []family{ipv4, ipv6} }

func (f family) String() string { return [...]string{"IPv4", "IPv6"}[f] }

// familyOf returns the family of an address.
func familyOf(a netip.Addr) family {
	if a.Is4() {
		return ipv4
	}
	return ipv6
}

// compiler is a plan in the making.
type compiler struct {
	spec     *Spec
	options  Options
	errs     *mistakes
	seed     uint64
	networks []*network // in the order of the file
	named    map[string]*network
	nodes    []*node      // by name
	next     map[pool]int // number of the subnet to try next
	reached  map[side]map[*network]bool
	zones    map[string]*zone // that the scenario serves, by name
	servers  []*dnsServer     // nodes with the role dns, by name
}

// network is a network in the making.
type network struct {
	*Entry[NetworkSpec]
	subnets [2]netip.Prefix // by family; the zero value: none
	private bool            // internal, or behind a NAT
	broken  bool            // its subnets are wrong, which has been noted
	ports   []*port         // by node
	used    map[netip.Addr]*node
}

// node is a node in the making.
type node struct {
	*Entry[NodeSpec]
	index     int     // among the nodes by name
	ports     []*port // in the order of the file
	router    bool
	outside   map[*network]bool // networks that it masquerades what leaves through them
	forwards  []forward
	gateways  gateways
	static    []staticRoute
	routes    []Route
	resolvers []netip.Addr
	options   map[string]*value // of its roles, in the long form
}

// port is a node's interface in the making.
type port struct {
	node      *node
	network   *network
	spec      *Entry[AttachmentSpec]
	name      string
	mac       MAC
	addresses []netip.Prefix
	up, down  *Link
}

// addr returns the port's first address of a family; the zero value where it has none.
func (p *port) addr(f family) netip.Addr {
	for _, a := range p.addresses {
		if familyOf(a.Addr()) == f {
			return a.Addr()
		}
	}
	return netip.Addr{}
}

// newCompiler takes stock of networks, nodes and ports. References to what is not there are left out: checkReferences
// notes them.
func newCompiler(spec *Spec, opts Options, errs *mistakes) *compiler {
	c := &compiler{spec: spec, options: opts, errs: errs, seed: 1, named: make(map[string]*network), next: make(map[pool]int),
		reached: make(map[side]map[*network]bool)}
	if spec.Seed != nil {
		c.seed = *spec.Seed
	}
	if opts.Seed != nil {
		c.seed = *opts.Seed
	}
	for i := range spec.Networks {
		n := &network{Entry: &spec.Networks[i], used: make(map[netip.Addr]*node)}
		c.networks = append(c.networks, n)
		c.named[n.Name] = n
	}
	for i := range spec.Nodes {
		e := &spec.Nodes[i]
		c.nodes = append(c.nodes, &node{
			Entry: e, router: e.Value.role(roleRouter) != nil,
			outside: make(map[*network]bool), options: make(map[string]*value),
		})
	}
	slices.SortFunc(c.nodes, func(a, b *node) int { return strings.Compare(a.Name, b.Name) })
	for index, n := range c.nodes {
		n.index = index
		for i := range n.Value.Networks {
			attachment := &n.Value.Networks[i]
			if network := c.named[attachment.Name]; network != nil {
				p := &port{node: n, network: network, spec: attachment, name: fmt.Sprintf("eth%d", len(n.ports))}
				n.ports = append(n.ports, p)
				network.ports = append(network.ports, p)
			}
		}
		for _, r := range n.Value.Roles {
			if i := slices.IndexFunc(spec.kinds, func(k role.Kind) bool { return k.Name == r.name }); i >= 0 {
				n.options[r.name] = r.value.long(spec.kinds[i].Short)
			}
		}
	}
	return c
}

// layout makes what needs no routes: subnets, addresses, NAT, the zones as written; and checks references.
func (c *compiler) layout() {
	c.checkReferences()
	c.nat()
	c.markPrivate()
	c.subnets()
	c.addresses()
	c.macs()
	c.links()
	c.forwards()
	c.checkRoutes()
	c.readServers()
}

// node returns the node of that name, or nil.
func (c *compiler) node(name string) *node {
	i, found := slices.BinarySearchFunc(c.nodes, name, func(n *node, name string) int { return strings.Compare(n.Name, name) })
	if !found {
		return nil
	}
	return c.nodes[i]
}

// port returns the node's port on a network, or nil.
func (n *node) port(on *network) *port {
	for _, p := range n.ports {
		if p.network == on {
			return p
		}
	}
	return nil
}

// checkReferences notes names of networks and nodes that are not there.
func (c *compiler) checkReferences() {
	for _, n := range c.nodes {
		for _, attachment := range n.Value.Networks {
			c.checkNetwork(attachment.Name, attachment.At)
		}
		for _, t := range n.Value.Resolver {
			c.checkHost(t)
			if server := c.node(t.Value); server != nil && !server.Value.plays(roleDNS) && !server.Value.hasProgram() {
				c.errs.add(t.At, fmt.Sprintf("node %s is no name server", server.Name), "give it the role dns: below it")
			}
		}
		for _, t := range n.Value.Gateway {
			c.checkHost(t)
		}
		for _, r := range n.Value.Routes {
			c.checkHost(r.Via)
		}
	}
}

func (c *compiler) checkNetwork(name string, at Position) {
	if c.named[name] == nil {
		c.errs.add(at, fmt.Sprintf("no such network: %q", name), suggest(name, c.spec.Networks.names()))
	}
}

// checkHost notes what is no node, no address and not none.
func (c *compiler) checkHost(t Text) {
	if t.Value == none {
		return
	}
	if addr, err := netip.ParseAddr(t.Value); err != nil {
		c.spec.checkNode(t, c.errs)
	} else if addr.Zone() != "" || addr.Is4In6() {
		c.errs.add(t.At, fmt.Sprintf("%q is no address of a scenario", t.Value), "write it as 192.168.1.1 or fd00:1::1")
	}
}

// name returns the plan's name.
func (c *compiler) name() (string, error) {
	if c.options.Name != "" {
		if !label.MatchString(c.options.Name) {
			return "", fmt.Errorf("%q is no name for a run: use at most 63 lower-case letters, digits and hyphens", c.options.Name)
		}
		return c.options.Name, nil
	}
	if c.spec.Name.given() {
		return c.spec.Name.Value, nil
	}
	return nameOfFile(c.spec.source.name), nil
}

// nameOfFile makes a name of a run from a path.
func nameOfFile(path string) string {
	base := strings.ToLower(filepath.Base(path))
	base = strings.TrimSuffix(base, filepath.Ext(base))
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, base)
	name = strings.Trim(name[:min(len(name), 63)], "-")
	if name == "" {
		return "scenario"
	}
	return name
}

// random returns bytes that depend on the seed and the words alone.
func (c *compiler) random(words ...string) [sha256.Size]byte {
	text := binary.BigEndian.AppendUint64(nil, c.seed)
	for _, word := range words {
		text = binary.BigEndian.AppendUint64(text, uint64(len(word)))
		text = append(text, word...)
	}
	return sha256.Sum256(text)
}
