package nat

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Table is the connections and the rules of one router. Its methods may be called from any goroutine.
type Table struct {
	interfaces []Interface
	forwards   map[endpoint]netip.AddrPort
	hairpins   []hairpin
	drop       []Filter
	behaviour  Behaviour
	timeouts   Timeouts
	lives      [closed + 1]time.Duration // by TCP state
	max        int

	mu       sync.Mutex
	random   *rand.Rand
	conns    map[key]*conn // each twice: by the flows of both directions
	ends     ends          // each once
	sources  map[sourceKey]*source
	mappings map[mappingKey]*mapping
	outside  map[endpoint]*mapping
	spent    map[pool]bool // of which no port is free until a mapping ends
}

// hairpin is the masquerade of connections from a subnet to a node in it that a forward leads to.
type hairpin struct {
	out    int
	subnet netip.Prefix
	to     endpoint
}

// DefaultMax is how many connections a table holds unless it is told otherwise.
const DefaultMax = 65536

// New returns an empty table. The error names all that cannot be in the configuration.
func New(c Config) (*Table, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	t := &Table{
		forwards:  make(map[endpoint]netip.AddrPort),
		drop:      slices.Clone(c.Drop),
		behaviour: c.Behaviour,
		timeouts:  c.Behaviour.Timeouts.defaults(),
		max:       c.Max,
		random:    rand.New(rand.NewPCG(c.Seed, 0)),
		conns:     make(map[key]*conn),
		sources:   make(map[sourceKey]*source),
		mappings:  make(map[mappingKey]*mapping),
		outside:   make(map[endpoint]*mapping),
		spent:     make(map[pool]bool),
	}
	if t.max == 0 {
		t.max = DefaultMax
	}
	if b := &t.behaviour; b.Ports == Overload && (b.Mapping != ByConnection || b.Filtering != ByConnection) {
		b.Ports = Preserve
	}
	t.lives = [...]time.Duration{
		synSent: t.timeouts.SynSent, synSent2: t.timeouts.SynSent, synReceived: t.timeouts.SynReceived,
		established: t.timeouts.Established, finWait: t.timeouts.FinWait, closeWait: t.timeouts.CloseWait,
		lastAck: t.timeouts.LastAck, timeWait: t.timeouts.TimeWait, closed: t.timeouts.Close,
	}
	for _, itf := range c.Interfaces {
		itf.Addresses = slices.Clone(itf.Addresses)
		t.interfaces = append(t.interfaces, itf)
	}
	for _, f := range c.Forwards {
		t.addForward(f)
	}
	return t, nil
}

func (c *Config) check() error {
	var errs []error
	for i, f := range c.Forwards {
		switch {
		case f.Interface < 0 || f.Interface >= len(c.Interfaces):
			errs = append(errs, fmt.Errorf("forward %d: there is no interface %d", i, f.Interface))
		case f.Protocol != TCP && f.Protocol != UDP:
			errs = append(errs, fmt.Errorf("forward %d: protocol %d has no ports to forward", i, f.Protocol))
		case f.Port == 0 || f.To.Port() == 0 || !f.To.IsValid():
			errs = append(errs, fmt.Errorf("forward %d: from port %d to %s: needs ports and an address", i, f.Port, f.To))
		}
	}
	if b := c.Behaviour; b.Mapping > Independent || b.Filtering > Independent || b.Ports > Random {
		errs = append(errs, fmt.Errorf("no such behaviour: mapping %d, filtering %d, ports %d", b.Mapping, b.Filtering, b.Ports))
	}
	if c.Max < 0 {
		errs = append(errs, fmt.Errorf("a table cannot hold %d connections", c.Max))
	}
	return errors.Join(errs...)
}

func (t *Table) addForward(f Forward) {
	for _, p := range t.interfaces[f.Interface].Addresses {
		at := endpoint{f.Protocol, netip.AddrPortFrom(p.Addr(), f.Port)}
		if _, taken := t.forwards[at]; !taken && p.Addr().Is4() == f.To.Addr().Is4() {
			t.forwards[at] = f.To
		}
	}
	for i, itf := range t.interfaces {
		for _, p := range itf.Addresses {
			if p.Contains(f.To.Addr()) {
				t.hairpins = append(t.hairpins, hairpin{i, p.Masked(), endpoint{f.Protocol, f.To}})
			}
		}
	}
}

// itf returns an interface; one without a name in the configuration is plain.
func (t *Table) itf(index int) *Interface {
	if index < 0 || index >= len(t.interfaces) {
		return &Interface{}
	}
	return &t.interfaces[index]
}

// Prerouting takes a packet that came in at p.In, before it is routed: p.Flow.Dst, and of an error p.Inner.Src, become what
// they are to be on the other side.
func (t *Table) Prerouting(at time.Time, p *Packet) Verdict {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := at.UnixNano()
	if v := t.track(p, !t.itf(p.In).Masquerade, now); v != Accept {
		return v
	}
	if p.fresh {
		if v := t.destination(p); v != Accept {
			return v
		}
	}
	t.translateDestination(p)
	return Accept
}

// Forward takes a packet that has passed Prerouting and is about to leave at p.Out: it is filtered, and p.Flow.Src, and of
// an error p.Inner.Dst, become what they are to be there. Its connection is then in the table.
func (t *Table) Forward(at time.Time, p *Packet) Verdict {
	in, out := t.itf(p.In), t.itf(p.Out)
	if in.Isolated || out.Isolated {
		return Isolated
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if in.Masquerade && !p.asked() {
		return Unasked
	}
	return t.leave(p, !out.Masquerade, at.UnixNano())
}

// Input takes a packet that has passed Prerouting and is for the router itself. Its connection is then in the table.
func (t *Table) Input(at time.Time, p *Packet) Verdict {
	for _, f := range t.drop {
		if f.Protocol == p.Flow.Protocol && (f.Port == 0 || f.Port == p.Flow.Dst.Port() && p.Flow.Echo == NoEcho) {
			return Rejected
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p.Out = -1
	return t.leave(p, true, at.UnixNano())
}

// Output takes a packet of the router's own that is about to leave at p.Out. Where p.Flow.Dst has another address after
// it, which happens to errors about packets that were translated already, the packet is to be routed again.
func (t *Table) Output(at time.Time, p *Packet) Verdict {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.In = -1
	now := at.UnixNano()
	if v := t.track(p, true, now); v != Accept {
		return v
	}
	t.translateDestination(p)
	return t.leave(p, !t.itf(p.Out).Masquerade, now)
}

// asked reports whether a packet from the outside is an answer, about a connection, or sent to where a rule leads inside.
func (p *Packet) asked() bool {
	c := p.conn
	return c != nil && (p.Kind == Error || p.dir == reply || c.replied || c.destinationTranslated())
}

// track finds the packet's connection, or begins one.
func (t *Table) track(p *Packet, inside bool, now int64) Verdict {
	p.conn, p.dir, p.fresh = nil, original, false
	switch {
	case p.Kind == Error:
		t.relate(p, now)
		return Accept
	case p.Kind != Tracked || !p.Flow.valid():
		return Accept
	}
	if c, d := t.find(p.Flow, now); c != nil {
		due := c.due
		switch t.see(c, d, p.Flags, now) {
		case stray:
			return Accept
		case refused:
			t.remove(c)
		case reopens:
			t.remove(c)
			return t.begin(p, inside, now)
		}
		p.conn, p.dir = c, d
		if c.expires < due && c.place >= 0 {
			t.moved(c)
		}
		if !c.asked[d] && c.by[d] != nil {
			t.ask(c, d)
		}
		return Accept
	}
	return t.begin(p, inside, now)
}

// find returns the connection that a flow belongs to, if it is not over.
func (t *Table) find(f Flow, now int64) (*conn, direction) {
	k := f.key()
	c := t.conns[k]
	switch {
	case c == nil:
		return nil, original
	case c.expires <= now:
		t.remove(c)
		return nil, original
	case c.flows[original].Src == f.Src && c.flows[original].Dst == f.Dst && c.flows[original].Echo == f.Echo:
		return c, original
	}
	return c, reply
}

// begin makes the connection of a packet that has none. It is not in the table yet.
func (t *Table) begin(p *Packet, inside bool, now int64) Verdict {
	if p.Flow.Echo == EchoReply {
		return Accept // to no request: untracked
	}
	t.expire(now)
	c := &conn{place: -1, steady: now + int64(streamAfter)}
	c.flows = [2]Flow{p.Flow, p.Flow.Reverse()}
	c.inside[original] = inside
	if t.see(c, original, p.Flags, now) != follows {
		return Accept // does not begin a connection: untracked
	}
	if len(t.ends) >= t.max {
		return Full
	}
	p.conn, p.fresh = c, true
	return Accept
}

// relate finds the connection that an ICMP error is about. The error goes the way of the answers to what it quotes.
func (t *Table) relate(p *Packet, now int64) {
	if !p.Inner.valid() || p.Inner.Src.Addr() != p.Flow.Dst.Addr() {
		return // sent to somebody else than the sender of what it quotes
	}
	p.conn, p.dir = t.find(p.Inner.Reverse(), now)
}

// translateDestination makes the packet's destination what it is on the other side.
func (t *Table) translateDestination(p *Packet) {
	if p.conn == nil {
		return
	}
	to := p.conn.flows[p.dir.other()]
	if p.Kind == Error {
		p.Flow.Dst = netip.AddrPortFrom(to.Src.Addr(), p.Flow.Dst.Port())
		p.Inner.Src = to.Src
		return
	}
	p.Flow.Dst = to.Src
}

// enter puts the new connection of a packet into the table, once it is known where it leads.
func (t *Table) enter(p *Packet, inside bool, now int64) Verdict {
	c := p.conn
	t.expire(now)
	if other, d := t.find(c.flows[original], now); other != nil { // another packet of the same flow was faster
		p.conn, p.dir, p.fresh = other, d, false
		t.translateDestination(p)
		return Accept
	}
	if m := c.by[reply]; m != nil && t.outside[endpoint{m.protocol, m.outside}] != m {
		return Filtered // the mapping has ended since Prerouting
	}
	if len(t.ends) >= t.max {
		return Full
	}
	c.inside[reply] = inside
	if v := t.source(p); v != Accept {
		return v
	}
	t.insert(c)
	p.fresh = false
	return Accept
}

// leave makes the packet's source what it is on the other side, and puts a new connection into the table.
func (t *Table) leave(p *Packet, inside bool, now int64) Verdict {
	c := p.conn
	if c == nil {
		return Accept
	}
	if p.fresh {
		if v := t.enter(p, inside, now); v != Accept {
			return v
		}
		c = p.conn
	}
	from, to := c.flows[p.dir], c.flows[p.dir.other()]
	switch {
	case p.Kind != Error:
		p.Flow.Src = to.Dst
	case to.Dst != from.Src:
		p.Flow.Src = netip.AddrPortFrom(to.Dst.Addr(), p.Flow.Src.Port())
		p.Inner.Dst = to.Dst
	}
	return Accept
}
