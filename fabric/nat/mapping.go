package nat

import (
	"net/netip"
)

// mapping is an outside address and port that belongs to an inside one, for some or all destinations: what there is
// beside connections where ports are not overloaded.
type mapping struct {
	mappingKey
	outside netip.AddrPort
	conns   int                    // that use it
	holds   int                    // of these, those it lasts by
	peers   map[netip.AddrPort]int // that the inside has sent to, as far as the filter tells them apart: how many connections
}

type mappingKey struct {
	protocol uint8
	inside   netip.AddrPort
	scope    netip.AddrPort // of destinations
}

// byMapping reports whether the connection's source is translated by a mapping.
func (t *Table) byMapping(c *conn) bool {
	return t.behaviour.Ports != Overload && c.flows[original].hasPorts()
}

// scope is the part of an address and port that the dependence looks at.
func (d Dependence) scope(a netip.AddrPort) netip.AddrPort {
	switch d {
	case Independent:
		return netip.AddrPort{}
	case ByAddress:
		return netip.AddrPortFrom(a.Addr(), 0)
	}
	return a
}

// lets reports whether a peer may send to the mapping.
func (m *mapping) lets(peer netip.AddrPort) bool { return !peer.IsValid() || m.peers[peer] > 0 }

func (m *mapping) forget(peer netip.AddrPort) {
	if m.peers[peer]--; m.peers[peer] <= 0 {
		delete(m.peers, peer)
	}
}

// peer is the other end that the sender of a direction addresses, as its mapping's filter knows it.
func (t *Table) peer(c *conn, d direction) netip.AddrPort {
	return t.behaviour.Filtering.scope(c.flows[d].Dst)
}

// ask notes that the inside end of a direction has sent something, so that the other end may answer and the mapping lasts.
func (t *Table) ask(c *conn, d direction) {
	m := c.by[d]
	if m == nil || c.asked[d] || c.place < 0 {
		return
	}
	c.asked[d] = true
	if m.peers == nil {
		m.peers = make(map[netip.AddrPort]int)
	}
	m.peers[t.peer(c, d)]++
	if !c.holds[d] {
		c.holds[d] = true
		m.holds++
	}
}

// mapSource gives the connection the outside address and port of its source's mapping, which is made if there is none.
func (t *Table) mapSource(c *conn, address netip.Addr) Verdict {
	flow := c.flows[original]
	k := mappingKey{flow.Protocol, flow.Src, t.behaviour.Mapping.scope(flow.Dst)}
	m := t.mappings[k]
	if m == nil {
		outside, ok := t.outsidePort(c, address)
		if !ok {
			return Exhausted
		}
		m = &mapping{mappingKey: k, outside: outside}
		t.mappings[k] = m
		t.outside[endpoint{k.protocol, outside}] = m
	}
	switch target := c.by[reply]; {
	case target != nil && !target.lets(t.behaviour.Filtering.scope(m.outside)):
		t.release(m)
		return Filtered
	case !t.free(c, m.outside):
		t.release(m)
		return Exhausted
	}
	c.by[original] = m
	c.flows[reply].Dst = m.outside
	return Accept
}

// pool is the outside ports of one class, which mappings are made of.
type pool struct {
	protocol uint8
	address  netip.Addr
	first    int
}

func (t *Table) pool(flow Flow, address netip.Addr) pool {
	first, _ := flow.class(flow.Src.Port())
	return pool{flow.Protocol, address, first}
}

// outsidePort returns an address and port that no mapping, no forward and no answer to the router itself needs.
func (t *Table) outsidePort(c *conn, address netip.Addr) (netip.AddrPort, bool) {
	flow := c.flows[original]
	from := t.pool(flow, address)
	spent := true
	free := func(a netip.AddrPort) bool {
		at := endpoint{flow.Protocol, a}
		if _, forwarded := t.forwards[at]; forwarded || t.outside[at] != nil {
			return false
		}
		spent = false // for another destination it may be free
		return t.free(c, a)
	}
	kept := netip.AddrPortFrom(address, flow.Src.Port())
	if t.behaviour.Ports == Preserve && free(kept) {
		return kept, true
	}
	if t.spent[from] {
		return kept, false
	}
	chosen, ok := t.choose(c, kept, free)
	if !ok && spent {
		t.spent[from] = true
	}
	return chosen, ok
}

// release removes a mapping that no connection uses.
func (t *Table) release(m *mapping) {
	if m.conns > 0 {
		return
	}
	delete(t.mappings, m.mappingKey)
	delete(t.outside, endpoint{m.protocol, m.outside})
	clear(t.spent)
}
