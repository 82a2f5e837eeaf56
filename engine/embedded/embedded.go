// Package embedded carries plans out in this process: every node has a TCP/IP stack of its own, and what lies between them
// is package soft. It needs no Docker and no privilege, and runs on any operating system.
//
// A run is in real time, or, in a testing/synctest bubble, in virtual time: then the same plan gives the same events.
// network.go builds the network from the plan, run.go plays the roles on it.
package embedded

import (
	"context"
	"errors"

	"scenario/engine"
	"scenario/nodes/role"
	"scenario/topology"
)

// Name is what --engine calls this engine.
const Name = "embedded"

// Options configure the engine.
type Options struct {
	Kinds []role.Kind // of roles
	// Virtual says that Start is called in a testing/synctest bubble. The run must be stopped there too.
	Virtual bool
	// Beat, if set, is called before each event of a network in virtual time, in the bubble.
	Beat func()
}

// Engine is this process.
type Engine struct {
	options Options
}

var _ engine.Engine = (*Engine)(nil)

// New returns the engine.
func New(options Options) *Engine { return &Engine{options} }

// Name is "embedded".
func (e *Engine) Name() string { return Name }

// Check says what of the plan needs programs, which have no place in this process's network.
func (e *Engine) Check(_ context.Context, plan *topology.Plan) error {
	var problems []error
	for _, node := range plan.Nodes {
		if node.Program == nil {
			continue
		}
		what, why := "image: "+node.Program.Image, "starts no containers: use --engine docker"
		switch {
		case node.Program.For != "":
			what, why = "role "+node.Program.For, "runs no programs, and this role is one of the machine's: use --engine docker"
		case node.Program.RootFS != "":
			what, why = "rootfs: "+node.Program.RootFS, "runs no programs: use --engine docker"
		}
		problems = append(problems, &engine.Unsupported{Engine: e.Name(), Node: node.Name, What: what, Why: why})
	}
	return errors.Join(problems...)
}
