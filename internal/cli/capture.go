package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"scenario/internal/near"
	"scenario/topology"
)

// captureAll stands for every link.
const captureAll = "all"

// capture has the links captured that --capture names: all, NODE for all links of a node, NODE:NETWORK for one.
func capture(plan *topology.Plan, links []string) error {
	for _, name := range links {
		if err := captureOne(plan, name); err != nil {
			return fmt.Errorf("--capture %s: %w", name, err)
		}
	}
	return nil
}

// keepKeys has the captures keep the secrets of TLS sessions, where --tls-keys is given.
func keepKeys(plan *topology.Plan, wanted bool) error {
	if !wanted {
		return nil
	}
	for _, node := range plan.Nodes {
		for _, itf := range node.Interfaces {
			plan.TLSKeys = plan.TLSKeys || itf.Capture
		}
	}
	if !plan.TLSKeys {
		return errors.New("--tls-keys: nothing is captured: add --capture all, or capture: true to a network of the file")
	}
	return nil
}

func captureOne(plan *topology.Plan, name string) error {
	nodeName, network, one := strings.Cut(name, ":")
	var nodes, networks []string
	found := false
	for i := range plan.Nodes {
		node := &plan.Nodes[i]
		nodes = append(nodes, node.Name)
		if name != captureAll && node.Name != nodeName {
			continue
		}
		found = true
		for j := range node.Interfaces {
			itf := &node.Interfaces[j]
			networks = append(networks, itf.Network)
			itf.Capture = itf.Capture || !one || itf.Network == network
		}
	}
	switch {
	case !found:
		return missing("no such node: "+nodeName, nodeName, nodes)
	case one && !slices.Contains(networks, network):
		return missing(fmt.Sprintf("node %s is not on %s", nodeName, network), network, networks)
	}
	return nil
}

// missing is the error of a name that is not there.
func missing(problem, name string, names []string) error {
	if meant := near.Word(name, names); meant != "" {
		return fmt.Errorf("%s: did you mean %s?", problem, meant)
	}
	return fmt.Errorf("%s: there are %s", problem, strings.Join(names, ", "))
}
