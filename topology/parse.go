package topology

import (
	"fmt"

	"scenario/nodes/role"
)

// Parse reads a scenario file whose nodes can play the roles of these kinds; file is the name that errors give it. A
// file that is wrong makes an [Errors] with every mistake that can be seen before addresses and zones are worked out;
// any other error is of the kinds.
func Parse(file string, src []byte, kinds []role.Kind) (*Spec, error) {
	schema, err := newSchema(kinds)
	if err != nil {
		return nil, err
	}
	return parse(file, src, kinds, schema)
}

func parse(file string, src []byte, kinds []role.Kind, schema *schema) (*Spec, error) {
	spec := &Spec{kinds: kinds, source: newSource(file, src)}
	spec.doc = spec.source.comment()
	errs := &mistakes{source: spec.source}
	root := readYAML(src, errs)
	if root == nil {
		return nil, errs.err()
	}
	schema.check(root, errs)
	if usable(root) {
		(&decoder{errs: errs}).into(root, spec)
		spec.check(errs)
	}
	if err := errs.err(); err != nil {
		return nil, err
	}
	return spec, nil
}

// usable says whether the file has networks and nodes to look at: where a key is misspelt, complaints that each name is
// unknown would hide the mistake.
func usable(root *value) bool {
	networks, nodes := root.get("networks"), root.get("nodes")
	return networks != nil && nodes != nil && (networks.kind == object || networks.kind == array) && nodes.kind == object
}

// reserved are names of nodes that mean something else: events of the run, a container of the engine, and the word for
// no gateway.
func reserved() map[string]string {
	return map[string]string{
		"scenario": "events of the run itself carry it",
		"fabric":   "the network between the nodes carries it",
		none:       "it stands for no node",
	}
}

// check notes what is wrong with the file beyond single values: names, references, what does not go together.
func (s *Spec) check(errs *mistakes) {
	if s.tooLarge(errs) {
		return
	}
	d := &decoder{errs: errs}
	for _, network := range s.Networks {
		d.checkLabel("network", network.Name, network.At)
	}
	if len(s.Nodes) == 0 {
		errs.add(Position{1, 1}, "the scenario has no nodes", "add some below nodes")
	}
	for _, node := range s.Nodes {
		d.checkLabel("node", node.Name, node.At)
		if why, taken := reserved()[node.Name]; taken {
			errs.add(node.At, fmt.Sprintf("a node cannot be called %q", node.Name), "choose another name: "+why)
		}
		s.checkProgram(&node, errs)
		if node.Value.lacksNetworks() {
			errs.add(node.At, fmt.Sprintf("node %s is on no network", node.Name), "list at least one below networks: "+list(s.Networks.names()))
		}
		for _, dependency := range node.Value.DependsOn {
			s.checkNode(dependency, errs)
		}
	}
	s.checkCycles(errs)
	s.steps(errs)
	newCompiler(s, Options{}, errs).layout()
}

// Bounds of a scenario: beyond them the work grows faster than the file.
const (
	maxNetworks = 1000
	maxNodes    = 5000
	maxServers  = 500 // with the role dns
)

// tooLarge notes what there is too much of.
func (s *Spec) tooLarge(errs *mistakes) bool {
	count := len(errs.list)
	if len(s.Networks) > maxNetworks {
		errs.add(s.Networks[maxNetworks].At, fmt.Sprintf("the scenario has more than %d networks", maxNetworks), "split it")
	}
	if len(s.Nodes) > maxNodes {
		errs.add(s.Nodes[maxNodes].At, fmt.Sprintf("the scenario has more than %d nodes", maxNodes), "split it")
	}
	servers := 0
	for i := range s.Nodes {
		r := s.Nodes[i].Value.role(roleDNS)
		if r == nil {
			continue
		}
		if servers++; servers == maxServers+1 {
			errs.add(r.at, fmt.Sprintf("the scenario has more than %d name servers", maxServers), "a few serve every zone")
		}
	}
	return len(errs.list) > count
}

// checkNode notes a node that is not there.
func (s *Spec) checkNode(name Text, errs *mistakes) bool {
	if !name.given() || s.Nodes.find(name.Value) != nil {
		return name.given()
	}
	errs.add(name.At, fmt.Sprintf("no such node: %q", name.Value), suggest(name.Value, s.Nodes.names()))
	return false
}

// checkProgram notes what does not go together with a program, or without one.
func (s *Spec) checkProgram(node *Entry[NodeSpec], errs *mistakes) {
	n := &node.Value
	if n.Image.given() && n.RootFS.given() {
		errs.add(n.RootFS.At, "image and rootfs exclude each other", "keep one: both say where the node's programs come from")
	}
	if n.Image.given() && n.Image.Value == "" {
		errs.add(n.Image.At, "image is empty", "name a container image such as nginx")
	}
	if n.hasProgram() {
		for _, r := range n.Roles {
			errs.add(r.at, fmt.Sprintf("node %s runs programs of its own and cannot play the role %s", node.Name, r.name),
				"take image and rootfs away, or make it two nodes")
		}
		return
	}
	const advice = "add image or rootfs, or take it away"
	if n.Command.given() {
		errs.add(n.Command.At, "command needs a program to run", advice)
	}
	if (n.Environment.At != Position{}) {
		errs.add(n.Environment.At, "environment needs a program to run in it", advice)
	}
	for _, volume := range n.Volumes {
		errs.add(volume.At, "volumes need a program that sees them", advice)
	}
}

// lacksNetworks says whether the node says nothing of networks, or lists none.
func (n *NodeSpec) lacksNetworks() bool {
	for _, k := range n.Keys {
		if k.name == "networks" {
			return len(k.value.keys)+len(k.value.items) == 0 && (k.value.kind == array || k.value.kind == object)
		}
	}
	return true
}

func (n *NodeSpec) hasProgram() bool { return n.Image.given() || n.RootFS.given() }

// role returns the key of a role of the node, or nil.
func (n *NodeSpec) role(name string) *key {
	for i := range n.Roles {
		if n.Roles[i].name == name {
			return &n.Roles[i]
		}
	}
	return nil
}
