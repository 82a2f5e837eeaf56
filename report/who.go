package report

import (
	"net/netip"
	"strings"

	"scenario/topology"
)

// who tells whose an address is.
type who struct {
	plan   *topology.Plan
	owners map[netip.Addr]*topology.Node
}

func newWho(plan *topology.Plan) who {
	w := who{plan, make(map[netip.Addr]*topology.Node)}
	for i := range plan.Nodes {
		for _, port := range plan.Nodes[i].Interfaces {
			for _, prefix := range port.Addresses {
				w.owners[prefix.Addr()] = &plan.Nodes[i]
			}
		}
	}
	return w
}

// address reads the IP of "IP:port" or "IP", as events and names write them; the zero Addr where it is neither.
func address(text string) netip.Addr {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap()
	}
	a, _ := netip.ParseAddr(text)
	return a.Unmap()
}

// port is the port of "IP:port", after the last colon; empty where there is none.
func port(text string) string {
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		return clean(text[i+1:])
	}
	return ""
}

// owner is the node that has the address, as node from sees it; empty where the plan does not tell.
func (w who) owner(from, addr string) string {
	a := address(addr)
	if a.IsLoopback() {
		return from
	}
	if n := w.owners[a]; n != nil {
		return n.Name
	}
	return ""
}

// at is the node with the address behind it: shop (198.18.1.10:80). An unknown address stands alone.
func (w who) at(from, addr string) words {
	owner := w.owner(from, addr)
	if owner == "" {
		return say(clean(addr))
	}
	if owner == from {
		owner += " itself"
	}
	return in(name, owner).say(" (" + clean(addr) + ")")
}

// short is the node's name, or the address where the plan does not tell whose it is.
func (w who) short(from, addr string) words {
	if owner := w.owner(from, addr); owner != "" {
		return in(name, owner)
	}
	return say(clean(addr))
}

// served is the address at which a server gets what a client sends over tcp or udp to remote: another one behind a port forward.
func (w who) served(protocol, remote string) string {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	router := w.owners[ap.Addr().Unmap()]
	if router == nil || router.Router == nil {
		return remote
	}
	for _, f := range router.Router.Forwards {
		if f.Port == ap.Port() && f.Protocol == protocol && onInterface(router, f.Interface, ap.Addr().Unmap()) {
			return f.To.String()
		}
	}
	return remote
}

func onInterface(n *topology.Node, name string, a netip.Addr) bool {
	for _, port := range n.Interfaces {
		if port.Name != name {
			continue
		}
		for _, prefix := range port.Addresses {
			if prefix.Addr() == a {
				return true
			}
		}
	}
	return false
}
