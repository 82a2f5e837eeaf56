//go:build linux

// Package kernel lays the network between nodes that are kernel network namespaces: a bridge for each network, a veth
// pair for each interface, addresses, routes and, on routers, NAT.
//
// The bridges stand in the namespace of the process itself (the fabric); when it ends, the kernel removes them and every
// pair with them.
package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"sync"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"scenario/topology"
)

// Fabric is the network between the nodes of one run. Its methods may be called from any goroutine.
type Fabric struct {
	own *netlink.Handle

	mu      sync.Mutex
	bridges map[string]*netlink.Bridge
	ports   int
}

// New returns a fabric in the network namespace of the calling process, which should have nothing else in it.
func New() (*Fabric, error) {
	own, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("fabric: %w", err)
	}
	return &Fabric{own: own, bridges: make(map[string]*netlink.Bridge)}, nil
}

// AddNetworks makes a bridge for each network.
func (f *Fabric) AddNetworks(networks []topology.Network) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, network := range networks {
		// Interface names hold 15 bytes, too few for a network's name: that becomes the alias.
		attrs := netlink.NewLinkAttrs()
		attrs.Name = fmt.Sprintf("net%d", len(f.bridges))
		attrs.Alias = network.Name
		bridge := &netlink.Bridge{LinkAttrs: attrs}
		if err := f.own.LinkAdd(bridge); err != nil {
			return fmt.Errorf("network %s: make bridge: %w", network.Name, err)
		}
		if err := f.own.LinkSetUp(bridge); err != nil {
			return fmt.Errorf("network %s: bring bridge up: %w", network.Name, err)
		}
		f.bridges[network.Name] = bridge
	}
	return nil
}

// Wire gives the node its interfaces in the network namespace that the open file ns is, with addresses, routes, NAT and
// firewall. The namespace must have no interfaces but its loopback.
func (f *Fabric) Wire(node *topology.Node, ns *os.File) error {
	handle, err := netlink.NewHandleAt(netns.NsHandle(ns.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("node %s: enter its network: %w", node.Name, err)
	}
	defer handle.Close()

	if err := upLoopback(handle); err != nil {
		return fmt.Errorf("node %s: %w", node.Name, err)
	}
	for _, itf := range node.Interfaces {
		if err := f.plug(handle, ns, itf); err != nil {
			return fmt.Errorf("node %s: interface %s: %w", node.Name, itf.Name, err)
		}
	}
	for _, route := range node.Routes {
		if err := addRoute(handle, route); err != nil {
			return fmt.Errorf("node %s: route to %s by %s: %w", node.Name, route.Destination, route.Gateway, err)
		}
	}
	if node.Router == nil && len(node.Drop) == 0 {
		return nil
	}
	conn, err := nftables.New(nftables.WithNetNSFd(int(ns.Fd())), nftables.AsLasting())
	if err != nil {
		return fmt.Errorf("node %s: nftables: %w", node.Name, err)
	}
	defer conn.CloseLasting()
	addRules(conn, node)
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("node %s: nftables rules: %w", node.Name, err)
	}
	return nil
}

// upLoopback brings the loopback up and makes sure that it is alone: another interface would be a way round the plan.
func upLoopback(node *netlink.Handle) error {
	links, err := node.LinkList()
	if err != nil {
		return fmt.Errorf("list its interfaces: %w", err)
	}
	for _, link := range links {
		attrs := link.Attrs()
		switch {
		case attrs.Flags&net.FlagLoopback != 0:
			if err := node.LinkSetUp(link); err != nil {
				return fmt.Errorf("bring loopback up: %w", err)
			}
		case attrs.Flags&net.FlagUp != 0:
			return fmt.Errorf("it has an interface %s that is not of this network", attrs.Name)
		}
	}
	return nil
}

// plug makes the pair of one interface: one end on its network's bridge, the other in the node under its own name.
func (f *Fabric) plug(node *netlink.Handle, ns *os.File, itf topology.Interface) error {
	f.mu.Lock()
	bridge := f.bridges[itf.Network]
	f.ports++
	port := fmt.Sprintf("port%d", f.ports)
	f.mu.Unlock()
	if bridge == nil {
		return fmt.Errorf("no such network: %s", itf.Network)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = port
	attrs.MTU = itf.MTU
	attrs.MasterIndex = bridge.Index
	pair := &netlink.Veth{
		LinkAttrs:        attrs,
		PeerName:         itf.Name,
		PeerHardwareAddr: net.HardwareAddr(itf.MAC[:]),
		PeerNamespace:    netlink.NsFd(int(ns.Fd())),
		PeerMTU:          uint32(itf.MTU),
	}
	if err := f.own.LinkAdd(pair); err != nil {
		return fmt.Errorf("make veth pair: %w", err)
	}
	if err := f.own.LinkSetUp(pair); err != nil {
		return fmt.Errorf("bring port up: %w", err)
	}
	link, err := node.LinkByName(itf.Name)
	if err != nil {
		return err
	}
	for _, address := range itf.Addresses {
		a := &netlink.Addr{IPNet: ipNet(address)}
		if address.Addr().Is6() {
			// The plan gives each address once, so duplicate address detection would only delay it.
			a.Flags = unix.IFA_F_NODAD
		}
		if err := node.AddrAdd(link, a); err != nil {
			return fmt.Errorf("address %s: %w", address, err)
		}
	}
	if err := node.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring up: %w", err)
	}
	return nil
}

func addRoute(node *netlink.Handle, route topology.Route) error {
	link, err := node.LinkByName(route.Interface)
	if err != nil {
		return err
	}
	return node.RouteAdd(&netlink.Route{
		LinkIndex: link.Attrs().Index,
		Dst:       ipNet(route.Destination),
		Gw:        route.Gateway.AsSlice(),
	})
}

// Close gives up the fabric's sockets. Bridges and pairs last as long as the namespace.
func (f *Fabric) Close() error {
	f.own.Close()
	return nil
}

// OpenNamespace opens the network namespace of a process. The error wraps [ErrSameNamespace] where that is the
// namespace of the caller or of the machine itself, which are never a node's.
func OpenNamespace(pid int) (*os.File, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return nil, err
	}
	if err := notOurs(file); err != nil {
		file.Close()
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	return file, nil
}

// ErrSameNamespace is the error of opening a namespace that is no node's.
var ErrSameNamespace = errors.New("not in a network namespace of its own")

// notOurs compares the namespace with the caller's and the machine's. Where the machine's may not be looked at, the
// caller is shut off from it already.
func notOurs(ns *os.File) error {
	id, err := namespaceID(ns.Name())
	if err != nil {
		return err
	}
	own, err := namespaceID("/proc/self/ns/net")
	if err != nil {
		return err
	}
	machine, err := namespaceID("/proc/1/ns/net")
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if id == own || err == nil && id == machine {
		return ErrSameNamespace
	}
	return nil
}

func namespaceID(path string) (uint64, error) {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return stat.Ino, nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
