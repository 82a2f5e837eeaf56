//go:build linux

package kernel

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"scenario/topology"
)

// addRules queues the node's nftables rules, all in one table:
//
//	prerouting   dnat   port forwards, by the router's address, so that they serve the inside too (hairpin)
//	postrouting  snat   masquerade; and of hairpinned connections, so that answers come back this way
//	forward      filter internal networks; nothing unasked from the outside of a masquerade
//	input        filter what the node drops
func addRules(conn *nftables.Conn, node *topology.Node) {
	table := conn.AddTable(&nftables.Table{Name: "scenario", Family: nftables.TableFamilyINet})
	if node.Router != nil {
		addForwards(conn, table, node)
		addMasquerade(conn, table, node)
		addForwardFilter(conn, table, node.Router)
	}
	if len(node.Drop) > 0 {
		addDrops(conn, table, node.Drop)
	}
}

func addForwards(conn *nftables.Conn, table *nftables.Table, node *topology.Node) {
	if len(node.Router.Forwards) == 0 {
		return
	}
	chain := conn.AddChain(&nftables.Chain{
		Name: "prerouting", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityNATDest,
	})
	for _, forward := range node.Router.Forwards {
		for _, outside := range addresses(node, forward.Interface, forward.To.Addr()) {
			conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: rule(
				daddr(outside.Addr()),
				dport(forward.Protocol, forward.Port),
				[]expr.Any{
					&expr.Immediate{Register: 1, Data: forward.To.Addr().AsSlice()},
					&expr.Immediate{Register: 2, Data: binaryutil.BigEndian.PutUint16(forward.To.Port())},
					&expr.NAT{Type: expr.NATTypeDestNAT, Family: family(forward.To.Addr()), RegAddrMin: 1, RegProtoMin: 2},
				},
			)})
		}
	}
}

func addMasquerade(conn *nftables.Conn, table *nftables.Table, node *topology.Node) {
	if len(node.Router.Masquerade)+len(node.Router.Forwards) == 0 {
		return
	}
	chain := conn.AddChain(&nftables.Chain{
		Name: "postrouting", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	for _, m := range node.Router.Masquerade {
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: rule(
			protocolFamily(unix.NFPROTO_IPV4), oif(m.Interface), []expr.Any{&expr.Masq{}},
		)})
	}
	for _, forward := range node.Router.Forwards {
		for _, itf := range node.Interfaces {
			for _, inside := range itf.Addresses {
				if !inside.Contains(forward.To.Addr()) {
					continue
				}
				conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: rule(
					oif(itf.Name), saddrIn(inside.Masked()), daddr(forward.To.Addr()),
					dport(forward.Protocol, forward.To.Port()), []expr.Any{&expr.Masq{}},
				)})
			}
		}
	}
}

func addForwardFilter(conn *nftables.Conn, table *nftables.Table, router *topology.Router) {
	chain := conn.AddChain(&nftables.Chain{
		Name: "forward", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter,
	})
	add := func(parts ...[]expr.Any) {
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: rule(parts...)})
	}
	for _, isolated := range router.Isolated {
		add(iif(isolated), verdict(expr.VerdictDrop))
		add(oif(isolated), verdict(expr.VerdictDrop))
	}
	for _, m := range router.Masquerade {
		add(iif(m.Interface), ctBits(expr.CtKeySTATE, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), verdict(expr.VerdictAccept))
		add(iif(m.Interface), ctBits(expr.CtKeySTATUS, ctStatusDNAT), verdict(expr.VerdictAccept))
		add(iif(m.Interface), verdict(expr.VerdictDrop))
	}
}

func addDrops(conn *nftables.Conn, table *nftables.Table, drops []topology.Filter) {
	chain := conn.AddChain(&nftables.Chain{
		Name: "input", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter,
	})
	for _, drop := range drops {
		var matches [][]expr.Any
		switch {
		case drop.Protocol == "icmp":
			matches = [][]expr.Any{protocol(unix.IPPROTO_ICMP), rule(protocol(unix.IPPROTO_ICMPV6), notNeighbourDiscovery())}
		case drop.Port == 0:
			matches = [][]expr.Any{protocol(number(drop.Protocol))}
		default:
			matches = [][]expr.Any{dport(drop.Protocol, drop.Port)}
		}
		for _, match := range matches {
			conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: rule(match, verdict(expr.VerdictDrop))})
		}
	}
}

// addresses returns the node's addresses on an interface that are of the same family as like.
func addresses(node *topology.Node, itf string, like netip.Addr) []netip.Prefix {
	var found []netip.Prefix
	for _, i := range node.Interfaces {
		for _, a := range i.Addresses {
			if i.Name == itf && a.Addr().Is4() == like.Is4() {
				found = append(found, a)
			}
		}
	}
	return found
}

// ctStatusDNAT is IPS_DST_NAT of the kernel's enum ip_conntrack_status.
const ctStatusDNAT = 1 << 5

func rule(parts ...[]expr.Any) []expr.Any {
	var all []expr.Any
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

func verdict(kind expr.VerdictKind) []expr.Any { return []expr.Any{&expr.Verdict{Kind: kind}} }

func iif(name string) []expr.Any { return ifname(expr.MetaKeyIIFNAME, name) }
func oif(name string) []expr.Any { return ifname(expr.MetaKeyOIFNAME, name) }

func ifname(key expr.MetaKey, name string) []expr.Any {
	padded := make([]byte, unix.IFNAMSIZ)
	copy(padded, name)
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, equal(padded)}
}

func protocolFamily(family byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, equal([]byte{family})}
}

func protocol(number byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal([]byte{number})}
}

func dport(name string, port uint16) []expr.Any {
	return rule(protocol(number(name)), []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		equal(binaryutil.BigEndian.PutUint16(port)),
	})
}

// notNeighbourDiscovery matches the ICMPv6 messages beside those of types 133 to 137 (RFC 4861): these are for IPv6 what
// ARP is for IPv4, without which nobody finds the node at all.
func notNeighbourDiscovery() []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1},
		&expr.Range{Op: expr.CmpOpNeq, Register: 1, FromData: []byte{133}, ToData: []byte{137}},
	}
}

func daddr(addr netip.Addr) []expr.Any {
	offset, size := uint32(16), uint32(4)
	if addr.Is6() {
		offset, size = 24, 16
	}
	return rule(protocolFamily(byte(family(addr))), []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size},
		equal(addr.AsSlice()),
	})
}

func saddrIn(subnet netip.Prefix) []expr.Any {
	offset, size := uint32(12), uint32(4)
	if subnet.Addr().Is6() {
		offset, size = 8, 16
	}
	return rule(protocolFamily(byte(family(subnet.Addr()))), []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: size, Mask: ipNet(subnet).Mask, Xor: make([]byte, size)},
		equal(subnet.Masked().Addr().AsSlice()),
	})
}

func ctBits(key expr.CtKey, bits uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: key, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

func equal(data []byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data} }

func number(protocol string) byte {
	if protocol == "udp" {
		return unix.IPPROTO_UDP
	}
	return unix.IPPROTO_TCP
}

func family(addr netip.Addr) uint32 {
	if addr.Is6() {
		return unix.NFPROTO_IPV6
	}
	return unix.NFPROTO_IPV4
}
