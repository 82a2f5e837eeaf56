// Package fabric is the process of a run's fabric container: it wires the containers of the nodes as the engine tells
// it, and ends them all when the engine is gone.
package fabric

import "scenario/topology"

// Operations that the fabric knows.
const (
	OpNetworks = "networks" // params []topology.Network: make them
	OpWire     = "wire"     // params Wire: give a container its interfaces
)

// Wire names a container by a process in it and says which node it is.
type Wire struct {
	PID  int            `json:"pid"` // in the machine's process namespace
	Node *topology.Node `json:"node"`
}
