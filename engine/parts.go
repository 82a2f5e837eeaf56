package engine

import (
	"scenario/nodes"
	"scenario/topology"
)

// Parts are the roles of a plan's node with their certificates, as engines hand them to package nodes.
func Parts(node *topology.Node) []nodes.Part {
	parts := make([]nodes.Part, len(node.Roles))
	for i, role := range node.Roles {
		parts[i] = nodes.Part{Role: role.Name, Options: role.Options}
		if role.Certificate != nil {
			parts[i].Certificate = &role.Certificate.Certificate
		}
	}
	return parts
}
