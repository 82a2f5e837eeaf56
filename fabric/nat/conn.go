package nat

import (
	"net/netip"
	"time"
)

// direction is that of a packet in its connection.
type direction uint8

const (
	original direction = iota // from whoever began it
	reply
)

func (d direction) other() direction { return d ^ 1 }

// key is a flow in the form that hashes fastest: forty bytes without holes.
type key struct {
	src, dst         [16]byte
	srcPort, dstPort uint16
	protocol         uint8
	echo             Echo
	four             bool
	_                uint8
}

func (f Flow) key() key {
	return key{
		src: f.Src.Addr().As16(), dst: f.Dst.Addr().As16(),
		srcPort: f.Src.Port(), dstPort: f.Dst.Port(),
		protocol: f.Protocol, echo: f.Echo, four: f.Src.Addr().Is4(),
	}
}

// valid reports whether there are two addresses of one family.
func (f Flow) valid() bool {
	src, dst := f.Src.Addr(), f.Dst.Addr()
	return src.IsValid() && dst.IsValid() && src.Is4() == dst.Is4()
}

// hasPorts reports whether there is a port, or an identifier, by which connections between two addresses differ.
func (f Flow) hasPorts() bool { return f.Protocol == TCP || f.Protocol == UDP || f.Echo != NoEcho }

// conn is a connection. Before it is in the table it is its packet's alone.
type conn struct {
	// flows are those of packets as they come in, by direction: what goes out in one direction is the reverse of the
	// other's. They are fixed once the connection is in the table.
	flows [2]Flow
	// inside says which directions come from the inside of the masquerade, or from the router itself.
	inside [2]bool

	expires int64 // Unix time in nanoseconds; at this time it is over
	due     int64 // when to look at it again: when it expired as seen then
	place   int   // in Table.ends; -1: not in the table

	tcp     tcpState
	replied bool  // a reply was seen
	steady  int64 // UDP: since when a reply makes it a stream

	source *source     // of its masquerade by connection
	by     [2]*mapping // that translate the sender of each direction
	holds  [2]bool     // by[d] lasts because of this connection
	asked  [2]bool     // by[d].peers counts the other end
}

// destinationTranslated is what netfilter calls the status DNAT.
func (c *conn) destinationTranslated() bool { return c.flows[original].Dst != c.flows[reply].Src }

// outcome is what a packet means to its connection.
type outcome uint8

const (
	follows outcome = iota // belongs to it
	stray                  // does not belong to any: untracked
	reopens                // begins another one with the same flow
	refused                // belongs to it, and ends it at once
)

// see takes notice of a packet.
func (t *Table) see(c *conn, d direction, flags Flags, now int64) outcome {
	result := follows
	switch protocol := c.flows[original].Protocol; protocol {
	case TCP:
		result = t.seeTCP(c, d, flags, now)
	case UDP:
		if t.behaviour.OutboundOnly && !c.inside[d] && c.expires != 0 {
			break
		}
		life := t.timeouts.UDP
		if c.replied && now >= c.steady {
			life = t.timeouts.UDPStream
		}
		c.expires = now + int64(life)
	case ICMP, ICMPv6:
		c.expires = now + int64(t.timeouts.ICMP)
	default:
		c.expires = now + int64(t.timeouts.Generic)
	}
	if result == follows && d == reply {
		c.replied = true
	}
	return result
}

// streamAfter is how long a UDP connection has to be in use, and answered, before it is a stream.
const streamAfter = 2 * time.Second

// defaults fills in Linux' time-outs.
func (t Timeouts) defaults() Timeouts {
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&t.SynSent, 120 * time.Second},
		{&t.SynReceived, 60 * time.Second},
		{&t.Established, 5 * 24 * time.Hour},
		{&t.FinWait, 120 * time.Second},
		{&t.CloseWait, 60 * time.Second},
		{&t.LastAck, 30 * time.Second},
		{&t.TimeWait, 120 * time.Second},
		{&t.Close, 10 * time.Second},
		{&t.Unanswered, 300 * time.Second},
		{&t.UDP, 30 * time.Second},
		{&t.UDPStream, 120 * time.Second},
		{&t.ICMP, 30 * time.Second},
		{&t.Generic, 600 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	return t
}

// endpoint is one end of connections.
type endpoint struct {
	protocol uint8
	addr     netip.AddrPort
}
