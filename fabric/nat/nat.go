// Package nat is connection tracking and network address translation as tables: pure, with the time as an argument.
//
// A [Table] belongs to one router. It is asked at the places where netfilter has its hooks, and does what Linux' conntrack
// and nftables do there; the caller parses and rewrites bytes, and the table translates flows. For each packet that comes in:
//
//	p := nat.Packet{In: …, Flow: …, Flags: …}
//	Prerouting(at, &p)          finds or begins the connection; p.Flow.Dst is then where the packet is to be routed
//	  to the router itself:     Input(at, &p)
//	  to another node:          time to live, MTU and route are the caller's; it sets p.Out and calls Forward(at, &p),
//	                            which filters; p.Flow is then what goes out
//
// and for each packet of the router's own, once it is routed, Output(at, &p). A verdict other than [Accept] ends a packet,
// without a word to its sender. A connection stands in the table as soon as its first packet has passed Forward, Input or
// Output: nothing is left behind by a packet that is dropped on the way, by the table or by the caller.
//
// ICMP errors (destination unreachable, packet too big, time exceeded, parameter problem) go the same way with
// [Packet.Kind] Error and the flow of the packet that they quote in [Packet.Inner]; both headers are translated.
//
// Fragments are put together before Prerouting. An error of the router's own quotes a packet as it came in; one about a
// packet that has left is translated back, with the connection, to what its sender knows.
//
// The zero [Behaviour] is Linux' masquerade. Others are the kinds that RFC 4787 has words for, of which [FullCone],
// [RestrictedCone], [PortRestrictedCone] and [Symmetric] are those that people know by name.
package nat

import (
	"net/netip"
	"time"
)

// Numbers of the protocols that the table knows more of than addresses.
const (
	ICMP   = 1
	TCP    = 6
	UDP    = 17
	ICMPv6 = 58
)

// Flow is what a packet's headers say of where it comes from and goes to.
type Flow struct {
	Protocol uint8 // of IANA's numbers: the transport header's, after any IPv6 extensions
	// Echo tells requests and replies of ICMP and ICMPv6 apart; it is NoEcho for everything else.
	Echo Echo
	// Src and Dst have the ports of TCP and UDP. An echo's identifier stands for the port on the side of whoever asks: a
	// request's in Src, a reply's in Dst; the other port is 0. Both are 0 for all other protocols.
	Src, Dst netip.AddrPort
}

// Echo says which half of an ICMP echo a packet is.
type Echo uint8

// The halves of an echo.
const (
	NoEcho Echo = iota
	EchoRequest
	EchoReply
)

// Reverse returns the flow of the answer.
func (f Flow) Reverse() Flow {
	f.Src, f.Dst = f.Dst, f.Src
	switch f.Echo {
	case EchoRequest:
		f.Echo = EchoReply
	case EchoReply:
		f.Echo = EchoRequest
	}
	return f
}

// Packet is what the table needs to know of a packet, and carries what it found out from one call to the next. The
// caller fills in a fresh one for each packet.
type Packet struct {
	In, Out int   // indexes of Config.Interfaces; In is not read by Output
	Flow    Flow  // of the packet; of an ICMP error its own addresses, with ports 0. Calls rewrite it
	Kind    Kind  // what there is to track
	Flags   Flags // of a TCP header
	Inner   Flow  // Kind Error: of the packet that is quoted, as it stands there. Calls rewrite it

	conn  *conn     // nil: untracked
	dir   direction // of the packet in its connection
	fresh bool      // conn is not in the table yet
}

// Kind is what there is to track in a packet.
type Kind uint8

// The kinds of packets.
const (
	Tracked   Kind = iota // TCP, UDP, ICMP echo, and protocols without ports
	Error                 // an ICMP error, which belongs to the connection of the packet it quotes
	Untracked             // other ICMP, neighbour discovery above all: passes as it is, where the filter lets it
)

// Flags are the flags of a TCP header, as they stand in its byte 13.
type Flags uint8

// The flags that connections are followed by.
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
)

// Verdict is what becomes of a packet.
type Verdict uint8

// Verdicts. All but Accept drop the packet.
const (
	Accept    Verdict = iota
	Isolated          // one of its interfaces is isolated
	Unasked           // it came in from the outside, and nobody inside asked for it
	Filtered          // it is for a mapping whose filter does not let its sender in
	Rejected          // Config.Drop names it
	Full              // the table holds as many connections as it may
	Exhausted         // no port is free that would tell its connection from others
	NoAddress         // the interface that it is to be masqueraded on has no address
)

// String is the verdict as a word or two.
func (v Verdict) String() string {
	words := [...]string{"accept", "isolated", "unasked", "filtered", "rejected", "table full", "ports exhausted", "no address"}
	if int(v) < len(words) {
		return words[v]
	}
	return "unknown verdict"
}

// Config is what a router does beside forwarding.
type Config struct {
	Interfaces []Interface
	Forwards   []Forward // the first that fits counts
	Drop       []Filter  // of what is for the router itself
	Behaviour  Behaviour
	Seed       uint64 // of the choice of ports: the same seed and calls have the same results
	// Max is the most connections at a time; 0: 65536. What would begin another one is dropped.
	Max int
}

// Interface is one of the router's.
type Interface struct {
	Addresses []netip.Prefix // the router's own, with the subnet's length
	// Masquerade rewrites the IPv4 source of what leaves to the first IPv4 address here, preferring one in the destination's
	// subnet (RFC 3022, section 4.1: NAPT). What comes in unasked is not forwarded, but for forwards and, with a Behaviour
	// that lets it in, what is for a mapping. IPv6 is not rewritten, and the same holds (RFC 6092, section 3.2.2).
	Masquerade bool
	Isolated   bool // nothing is forwarded from or to it
}

// Forward sends what arrives, from any side, for the router's addresses of an interface and a port to a node behind it.
// Where the node answers to its own subnet, the source is masqueraded too, so that answers come back this way (hairpin).
type Forward struct {
	Interface int   // index of Config.Interfaces: whose addresses, those of To's family
	Protocol  uint8 // TCP or UDP
	Port      uint16
	To        netip.AddrPort
}

// Filter names packets by protocol and destination port.
type Filter struct {
	Protocol uint8
	Port     uint16 // 0: all
}

// Behaviour is the kind of the NAT, in the terms of RFC 4787, sections 4 and 5. The zero value is Linux' masquerade. It
// concerns IPv4: IPv6 is always filtered by connection.
type Behaviour struct {
	// Mapping is what one outside port of an inside address and port serves (section 4.1).
	Mapping Dependence
	// Filtering is who may send to it (section 5).
	Filtering Dependence
	// Ports is how it is chosen (section 4.2).
	Ports Ports
	// Hairpin leads what inside nodes send to the outside address of a mapping to the node it belongs to, from the outside
	// address of the sender (section 6, REQ-9). Forwards hairpin without it.
	Hairpin bool
	// OutboundOnly keeps UDP that comes in from lengthening the life of a connection or mapping (section 4.3, REQ-6).
	OutboundOnly bool
	// Timeouts is how long connections last without packets; zero fields are Linux' defaults.
	Timeouts Timeouts
}

// Dependence is what mapping or filtering looks at, of the other end.
type Dependence uint8

// The three kinds of dependence.
const (
	ByConnection Dependence = iota // its address and port: "address and port-dependent"
	ByAddress                      // its address alone: "address-dependent"
	Independent                    // nothing: "endpoint-independent"
)

// Ports is how the outside port of a mapping is chosen. Where it cannot be kept, it is a random free one of the same
// class: 1–511, 600–1023 or 1024–65535, as in Linux; an echo's identifier is any.
type Ports uint8

// The ways to choose a port.
const (
	// Overload keeps the inside port unless another connection to the same destination has it: connections of several nodes
	// share it. Mapping and Filtering must both be ByConnection; with any other it means Preserve.
	Overload Ports = iota
	// Preserve keeps the inside port unless another mapping has it.
	Preserve
	// Random never tries to keep it.
	Random
)

// Timeouts is how long a connection lasts after its last packet.
type Timeouts struct {
	SynSent     time.Duration // TCP: 0 means 120 s
	SynReceived time.Duration // 60 s
	Established time.Duration // 5 days
	FinWait     time.Duration // 120 s
	CloseWait   time.Duration // 60 s
	LastAck     time.Duration // 30 s
	TimeWait    time.Duration // 120 s
	Close       time.Duration // 10 s
	Unanswered  time.Duration // 300 s: established, as far as one side's packets show
	UDP         time.Duration // 30 s
	UDPStream   time.Duration // 120 s: answered, and still in use after two seconds
	ICMP        time.Duration // 30 s
	Generic     time.Duration // 600 s: all other protocols
}

// Connection is a connection in the table.
type Connection struct {
	Original Flow // of the packets of whoever began it, as they come in
	Reply    Flow // of the answers, as they come in
	Expires  time.Time
}
