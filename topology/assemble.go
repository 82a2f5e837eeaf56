package topology

import (
	"encoding/binary"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"scenario/nodes/role"
)

// defaultMTU is Ethernet's.
const defaultMTU = 1500

// planNetworks makes the plan's networks.
func (c *compiler) planNetworks() []Network {
	networks := make([]Network, 0, len(c.networks))
	for _, n := range c.networks {
		made := Network{Name: n.Name, Internal: n.Value.Internal}
		for _, subnet := range n.subnets {
			if subnet.IsValid() {
				made.Subnets = append(made.Subnets, subnet)
			}
		}
		networks = append(networks, made)
	}
	slices.SortFunc(networks, func(a, b Network) int { return strings.Compare(a.Name, b.Name) })
	return networks
}

// planNodes makes the plan's nodes.
func (c *compiler) planNodes() []Node {
	stages := c.spec.stages()
	nodes := make([]Node, 0, len(c.nodes))
	for _, n := range c.nodes {
		seed := c.random("node", n.Name)
		made := Node{
			Name: n.Name, Stage: stages[n.Name], Interfaces: n.planInterfaces(), Routes: n.routes, NameServers: n.resolvers,
			Router: n.planRouter(), Drop: n.Value.Drop, Roles: n.planRoles(), Program: c.planProgram(n),
			Seed: binary.BigEndian.Uint64(seed[:]),
		}
		for _, name := range n.Value.Names {
			made.Names = append(made.Names, name.Name)
		}
		for _, domain := range n.Value.Search {
			made.Search = append(made.Search, domain.Name)
		}
		nodes = append(nodes, made)
	}
	return nodes
}

func (n *node) planInterfaces() []Interface {
	interfaces := make([]Interface, 0, len(n.ports))
	for _, p := range n.ports {
		mtu := p.network.Value.MTU.Value
		if mtu == 0 {
			mtu = defaultMTU
		}
		interfaces = append(interfaces, Interface{
			Name: p.name, Network: p.network.Name, MAC: p.mac, Addresses: p.addresses, MTU: mtu,
			Up: p.up, Down: p.down, Capture: p.captured(),
		})
	}
	return interfaces
}

// planRoles makes the node's roles: those of the file and, without a program, client.
func (n *node) planRoles() []Role {
	options := maps.Clone(n.options)
	if _, written := options[roleClient]; !written && !n.Value.hasProgram() {
		options[roleClient] = &value{kind: object}
	}
	var roles []Role
	for name, v := range options {
		roles = append(roles, Role{Name: name, Options: v.rawJSON()})
	}
	slices.SortFunc(roles, func(a, b Role) int { return strings.Compare(a.Name, b.Name) })
	return roles
}

func (c *compiler) planProgram(n *node) *Program {
	if !n.Value.hasProgram() {
		return c.programForRole(n)
	}
	p := &Program{
		Image: n.Value.Image.Value, RootFS: n.Value.RootFS.Value, Command: n.Value.Command.Args, Environment: n.Value.Environment.Vars,
	}
	for _, volume := range n.Value.Volumes {
		from := volume.Source
		if !filepath.IsAbs(from) {
			from = filepath.Join(c.options.Dir, from)
		}
		p.Volumes = append(p.Volumes, Volume{Source: from, Target: volume.Target})
	}
	return p
}

// programForRole gives a node the machine's programs where one of its roles runs any; nil: none does.
func (c *compiler) programForRole(n *node) *Program {
	for _, k := range c.spec.kinds {
		options, plays := n.options[k.Name]
		if !plays || k.Programs == nil {
			continue
		}
		if needs := k.Programs(options.rawJSON()); len(needs) > 0 {
			return &Program{RootFS: rootFSHost, For: k.Name, Needs: needs}
		}
	}
	return nil
}

// rootFSHost is the root file system of nodes that have this machine's programs.
const rootFSHost = "host"

// checkRoles has each role look at its options, which can be wrong in ways that no schema knows.
func (c *compiler) checkRoles(plan *Plan) {
	for _, n := range c.nodes {
		for _, r := range plan.Node(n.Name).Roles {
			i := slices.IndexFunc(c.spec.kinds, func(k role.Kind) bool { return k.Name == r.Name })
			if i < 0 || c.spec.kinds[i].New == nil {
				continue
			}
			if _, err := c.spec.kinds[i].New(r.Options); err != nil {
				at := n.At
				if written := n.Value.role(r.Name); written != nil {
					at = written.at
				}
				c.errs.add(at, fmt.Sprintf("node %s cannot be a %s: %v", n.Name, r.Name, err), "")
			}
		}
	}
}
