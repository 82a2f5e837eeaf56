package nat

import (
	"net/netip"
)

// destination decides where a new connection leads.
func (t *Table) destination(p *Packet) Verdict {
	c := p.conn
	at := endpoint{p.Flow.Protocol, p.Flow.Dst}
	if to, ok := t.forwards[at]; ok && p.Flow.Echo == NoEcho {
		c.flows[reply].Src = to
		return Accept
	}
	m := t.outside[at]
	if m == nil || m.holds == 0 || p.Flow.Echo != NoEcho || t.own(m.inside.Addr()) {
		return Accept
	}
	switch {
	case !c.inside[original] && !m.lets(t.behaviour.Filtering.scope(p.Flow.Src)):
		return Filtered
	case c.inside[original] && !t.behaviour.Hairpin:
		return Accept
	}
	c.by[reply] = m
	c.flows[reply].Src = m.inside
	return Accept
}

// own reports whether an address is the router's.
func (t *Table) own(a netip.Addr) bool {
	for i := range t.interfaces {
		for _, p := range t.interfaces[i].Addresses {
			if p.Addr() == a {
				return true
			}
		}
	}
	return false
}

// source decides from where a new connection is seen to come on the other side.
func (t *Table) source(p *Packet) Verdict {
	c := p.conn
	out := t.itf(p.Out)
	src, dst := c.flows[original].Src, c.flows[reply].Src
	if out.Masquerade && src.Addr().Is4() {
		address := out.address(dst.Addr())
		switch {
		case !address.IsValid():
			return NoAddress
		case t.byMapping(c):
			return t.mapSource(c, address)
		}
		return t.masquerade(c, address)
	}
	for _, h := range t.hairpins {
		if h.out == p.Out && h.subnet.Contains(src.Addr()) && h.to == (endpoint{c.flows[original].Protocol, dst}) {
			return t.masquerade(c, out.address(dst.Addr()))
		}
	}
	if m := c.by[reply]; m != nil && c.inside[original] {
		return t.mapSource(c, m.outside.Addr())
	}
	// Only where two connections would look alike on the other side does a source change that no rule rewrites.
	return t.unique(c, src)
}

// address returns the interface's address to masquerade with towards dst; the zero Addr: it has none.
func (i *Interface) address(dst netip.Addr) netip.Addr {
	var first netip.Addr
	for _, p := range i.Addresses {
		switch {
		case p.Contains(dst):
			return p.Addr()
		case !first.IsValid() && p.Addr().Is4() == dst.Is4():
			first = p.Addr()
		}
	}
	return first
}

// source is an inside address and port and its outside one in the connection that was last given one. It is used again
// for further connections where it can be: a mapping as independent of the endpoint as overloaded ports allow.
type source struct {
	sourceKey
	outside netip.AddrPort
	conns   int
}

type sourceKey struct {
	inside  endpoint
	address netip.Addr // outside
}

// masquerade translates by connection: any source will do that makes it unique.
func (t *Table) masquerade(c *conn, address netip.Addr) Verdict {
	src := c.flows[original].Src
	k := sourceKey{endpoint{c.flows[original].Protocol, src}, address}
	s := t.sources[k]
	if s == nil || src.Addr() == address || !t.free(c, s.outside) {
		if v := t.unique(c, netip.AddrPortFrom(address, src.Port())); v != Accept {
			return v
		}
	} else {
		c.flows[reply].Dst = s.outside
	}
	if s == nil {
		s = &source{sourceKey: k}
		t.sources[k] = s
	}
	s.outside = c.flows[reply].Dst
	s.conns++
	c.source = s
	return Accept
}

// free reports whether no connection has answers that look like those to c would if it came from src.
func (t *Table) free(c *conn, src netip.AddrPort) bool {
	f := c.flows[reply]
	f.Dst = src
	return t.conns[f.key()] == nil
}

// unique gives the connection the source, or one with another port.
func (t *Table) unique(c *conn, src netip.AddrPort) Verdict {
	if !t.free(c, src) {
		var ok bool
		src, ok = t.choose(c, src, func(a netip.AddrPort) bool { return t.free(c, a) })
		if !ok {
			return Exhausted
		}
	}
	c.flows[reply].Dst = src
	return Accept
}

// Of a large range, Linux tries so many ports from a random one on, then half as many from another, down to the fewest.
const (
	mostTries   = 128
	fewestTries = 8
)

// choose returns src with a random port of the same class that is free.
func (t *Table) choose(c *conn, src netip.AddrPort, free func(netip.AddrPort) bool) (netip.AddrPort, bool) {
	if !c.flows[original].hasPorts() {
		return src, false
	}
	first, count := c.flows[original].class(src.Port())
	tries := min(mostTries, count)
	if t.behaviour.Ports != Overload {
		tries = count // a mapping is worth a look at all of them
	}
	for ; tries >= fewestTries; tries /= 2 {
		offset := t.random.IntN(count)
		for i := range tries {
			a := netip.AddrPortFrom(src.Addr(), uint16(first+(offset+i)%count))
			if free(a) {
				return a, true
			}
		}
		if tries == count {
			break
		}
	}
	return src, false
}

// class returns the first of the ports that may stand for a port, and how many there are.
func (f Flow) class(port uint16) (first, count int) {
	switch {
	case f.Echo != NoEcho:
		return 0, 65536
	case port < 512:
		return 1, 511
	case port < 1024:
		return 600, 1024 - 600
	}
	return 1024, 65536 - 1024
}
