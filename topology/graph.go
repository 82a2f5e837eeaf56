package topology

// passes says whether the node forwards packets of a family that come in from a network: internal networks are cut off,
// and what comes in from the outside of a masquerade unasked goes no further. IPv6 is not rewritten, so routes lead
// there; only answers come through.
func (n *node) passes(from *network, f family) bool {
	return n.router && !from.Value.Internal && from.subnets[f].IsValid() && (f == ipv6 || !n.outside[from])
}

// routed says whether routes of a family can lead to a network.
func (n *network) routed(f family) bool { return n.subnets[f].IsValid() && !n.Value.Internal }

// entrances returns the ports by which routers take in packets of a family from a network to pass them on.
func (n *network) entrances(f family) []*port {
	var ports []*port
	for _, p := range n.ports {
		if p.node.passes(n, f) && p.addr(f).IsValid() {
			ports = append(ports, p)
		}
	}
	return ports
}

// graph is the network as packets of one family see it.
type graph struct {
	family    family
	nodes     int
	entrances map[*network][]*port
}

func (c *compiler) graph(f family) *graph {
	g := &graph{family: f, nodes: len(c.nodes), entrances: make(map[*network][]*port)}
	for _, n := range c.networks {
		g.entrances[n] = n.entrances(f)
	}
	return g
}

// distances returns how many routers a packet passes from each router, itself included, to a network: by the node's
// index; 0 where there is no way.
func (g *graph) distances(to *network) []int {
	distance := make([]int, g.nodes)
	crossed := make(map[*network]bool)
	var edge []*node
	for _, p := range to.ports {
		if p.node.router {
			distance[p.node.index] = 1
			edge = append(edge, p.node)
		}
	}
	for len(edge) > 0 {
		var next []*node
		for _, r := range edge {
			for _, p := range r.ports {
				if crossed[p.network] || !r.passes(p.network, g.family) {
					continue
				}
				crossed[p.network] = true
				for _, before := range p.network.ports {
					if before.node.router && distance[before.node.index] == 0 {
						distance[before.node.index] = distance[r.index] + 1
						next = append(next, before.node)
					}
				}
			}
		}
		edge = next
	}
	return distance
}

// way is a first step to a network: out of a port to a router on the same network.
type way struct {
	out    *port
	router *port
	hops   int // routers on the way
}

// ways visits every first step from a node to a network, given the routers' distances to it.
func (g *graph) ways(from *node, distance []int, visit func(way)) {
	for _, out := range from.ports {
		for _, p := range g.entrances[out.network] {
			if hops := distance[p.node.index]; p.node != from && hops > 0 {
				visit(way{out, p, hops})
			}
		}
	}
}

// side is what a router sees of a family from one of its ports.
type side struct {
	port   *port
	family family
}

// beyond returns the networks that a router leads to for what comes in at a port, that port's own left out.
func (c *compiler) beyond(from side) map[*network]bool {
	if networks, done := c.reached[from]; done {
		return networks
	}
	networks := make(map[*network]bool)
	visited := make(map[*node]bool)
	var enter func(r *node)
	enter = func(r *node) {
		if visited[r] {
			return
		}
		visited[r] = true
		for _, out := range r.ports {
			on := out.network
			if networks[on] || on == from.port.network || !on.routed(from.family) {
				continue
			}
			networks[on] = true
			for _, next := range on.ports {
				if next.node.passes(on, from.family) {
					enter(next.node)
				}
			}
		}
	}
	if from.port.node.passes(from.port.network, from.family) {
		enter(from.port.node)
	}
	c.reached[from] = networks
	return networks
}
