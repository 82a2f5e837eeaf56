// Package fabrictest is the conformance suite of what lies between nodes: switches, routers, NAT and firewalls.
//
// Each case is a small scenario with hosts at its ends, and says what they may see of each other. A fabric passes when
// they see what they see between Linux machines: fabric/kernel, which is made of them, is the measure. [Run] puts a
// fabric through all of them; [Cases] is for one that needs something around each case, such as a bubble of
// testing/synctest. No case starts subtests or reads a clock but for deadlines, and silence is the only thing that one
// waits for.
package fabrictest

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"scenario/host"
	"scenario/nodes/role"
	"scenario/nodes/router"
	"scenario/topology"
)

// Open brings up the plan's networks and nodes and returns a Host for each node by name. It cleans up by t.Cleanup.
type Open func(t *testing.T, plan *topology.Plan) map[string]host.Host

// Case is one case for one address family.
type Case struct {
	Name string // IPv4/NAT/Hairpin
	Run  func(t *testing.T, open Open)
}

// limit ends a case that hangs; nothing waits for it in a run that passes.
const limit = 30 * time.Second

// silence is how long a case waits for what must not come.
const silence = 300 * time.Millisecond

// Run puts the fabric that open makes through the suite.
func Run(t *testing.T, open Open) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) { c.Run(t, open) })
	}
}

// Cases returns the suite. What only one family has (addresses that are rewritten) is left out for the other.
func Cases() []Case {
	var all []Case
	for _, six := range []bool{false, true} {
		for _, s := range scenarios() {
			if six && s.only4 {
				continue
			}
			prefix := "IPv4/"
			if six {
				prefix = "IPv6/"
			}
			all = append(all, Case{prefix + s.name, func(t *testing.T, open Open) { s.start(t, open, six) }})
		}
	}
	return all
}

// scenario is a case for either family.
type scenario struct {
	name  string
	file  string
	run   func(l *lab)
	only4 bool
}

func scenarios() []scenario {
	return []scenario{
		{name: "Switch/TwoNodes", file: oneNetwork, run: twoNodes},
		{name: "Switch/Nobody", file: oneNetwork, run: nobody},
		{name: "Switch/TwoNetworks", file: twoNetworks, run: onTwoNetworks},
		{name: "Switch/NoRouter", file: twoNetworks, run: noRouter},
		{name: "Switch/Internal", file: internalNetwork, run: internal},
		{name: "Switch/Drop", file: firewall, run: drop},

		{name: "Routers/ThereAndBack", file: fiveRouters, run: thereAndBack},
		{name: "Routers/Hops", file: fiveRouters, run: hops},
		{name: "Routers/Itself", file: fiveRouters, run: routerItself},
		{name: "Routers/Loop", file: fiveRouters, run: loop},
		{name: "Routers/NoRoute", file: fiveRouters, run: noRoute},
		{name: "Routers/NetworkUnreachable", file: fiveRouters, run: networkUnreachable},
		{name: "Routers/HostUnreachable", file: fiveRouters, run: hostUnreachable},
		{name: "Routers/SmallMTU/TCP", file: smallMTU, run: smallMTUStream},
		{name: "Routers/SmallMTU/UDP", file: smallMTU, run: smallMTUDatagrams},
		{name: "Routers/SmallMTU/Ping", file: smallMTU, run: smallMTUPing},

		{name: "NAT/Masquerade", file: home, run: masquerade},
		{name: "NAT/PortKept", file: home, run: portKept, only4: true},
		{name: "NAT/PortTaken", file: home, run: portTaken, only4: true},
		{name: "NAT/PortShared", file: home, run: portShared, only4: true},
		{name: "NAT/PortOfTheRouter", file: home, run: portOfTheRouter, only4: true},
		{name: "NAT/Unasked", file: home, run: unasked},
		{name: "NAT/Strangers", file: home, run: strangers, only4: true},
		{name: "NAT/Forward", file: home, run: portForward},
		{name: "NAT/ForwardClosed", file: home, run: forwardClosed},
		{name: "NAT/Hairpin", file: home, run: hairpin},
		{name: "NAT/Errors", file: home, run: errorsComeBack},
		{name: "NAT/Ping", file: home, run: pingThrough},
		{name: "NAT/Hops", file: twiceNAT, run: hopsThroughNAT},
		{name: "NAT/Fragments", file: home, run: fragmentsThrough},
		{name: "NAT/SmallMTU", file: smallMTUBeyondNAT, run: smallMTUStream},
		{name: "NAT/Itself", file: home, run: natItself},
		{name: "NAT/Twice", file: twiceNAT, run: natTwice},
		{name: "NAT/TwiceForward", file: twiceNAT, run: forwardTwice},
	}
}

func (s scenario) start(t *testing.T, open Open, six bool) {
	t.Helper()
	spec, err := topology.Parse(s.name+".yaml", []byte(s.file), []role.Kind{router.Kind()})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := topology.Compile(spec, topology.Options{Dir: "/"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	s.run(&lab{T: t, ctx: ctx, plan: plan, hosts: open(t, plan), six: six})
}

// lab is a case's network, for one address family.
type lab struct {
	*testing.T
	ctx   context.Context
	plan  *topology.Plan
	hosts map[string]host.Host
	six   bool
}

// addr is a node's address on a network.
func (l *lab) addr(node, network string) netip.Addr {
	l.Helper()
	if n := l.plan.Node(node); n != nil {
		for _, itf := range n.Interfaces {
			for _, address := range itf.Addresses {
				if itf.Network == network && address.Addr().Is6() == l.six {
					return address.Addr()
				}
			}
		}
	}
	l.Fatalf("node %s has no address on %s", node, network)
	return netip.Addr{}
}

// at is a port of a node's address on a network.
func (l *lab) at(node, network string, port uint16) netip.AddrPort {
	l.Helper()
	return netip.AddrPortFrom(l.addr(node, network), port)
}

// either chooses by family.
func (l *lab) either(v4, v6 string) netip.Addr {
	if l.six {
		return netip.MustParseAddr(v6)
	}
	return netip.MustParseAddr(v4)
}

// translated is what is seen of a node from the other side of a masquerade, by the router's address there: IPv6 is not
// rewritten.
func (l *lab) translated(own, router netip.Addr) netip.Addr {
	if l.six {
		return own
	}
	return router
}
