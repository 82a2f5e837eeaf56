// Package engine says what carries out a plan: an [Engine] starts a [Run], and a Run does what steps ask.
package engine

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"scenario/event"
	"scenario/topology"
)

// Engine brings plans to life. It decides nothing that the plan decides.
type Engine interface {
	// Name is what --engine calls it.
	Name() string
	// Check says, before anything starts, what of the plan this engine cannot do on this machine: an error that joins
	// one [*Unsupported] for each, or another error where the engine itself cannot be used (no Docker, no permission).
	Check(ctx context.Context, plan *topology.Plan) error
	// Start brings every node up, stage by stage, and returns when all are ready. Everything that nodes tell goes to
	// out, from then on until Stop has returned. When it fails, or ctx ends, nothing is left behind.
	Start(ctx context.Context, plan *topology.Plan, out Output) (Run, error)
}

// Output takes what a run brings forth. Its methods may be called from any goroutine.
type Output interface {
	event.Sink
	// File takes a file that a node keeps in the run's folder; later contents replace earlier ones.
	File(node, name string, data []byte)
	// Capture makes the file that keeps the frames of a node's link to a network, as pcapng. The engine closes it before
	// Stop has returned.
	Capture(node, network string) (io.WriteCloser, error)
	// Progress tells a person what is going on while a run starts and ends: one node and its state, or (node empty) what
	// the whole does, such as "building image".
	Progress(node, state string)
}

// States of a node that every engine tells of; it may tell of more in between.
const (
	StateCreated = "created"
	StateReady   = "ready"
	StateStopped = "stopped"
)

// Run is a network that is up.
type Run interface {
	// Do has a role of the node carry out an action and returns its result as JSON.
	Do(ctx context.Context, node string, call Call) (json.RawMessage, error)
	// Exec runs a program on the node and returns its exit code. The error wraps [ErrNoPrograms] where the node or
	// engine cannot run any.
	Exec(ctx context.Context, node string, command Command) (int, error)
	// Sync returns when everything that nodes told before the call has reached the output.
	Sync(ctx context.Context) error
	// Lost yields one error when the run can no longer serve: a node crashed, its network or the engine went away.
	Lost() <-chan error
	// Stop takes the run down and returns when nothing of it is left and everything it told has reached the output.
	Stop(ctx context.Context) error
}

// Turner is a Run in virtual time.
type Turner interface {
	// Turn waits for the caller's turn among those who act at the same time, in the order of their keys.
	Turn(key string)
}

// Call is an action for a role.
type Call struct {
	Role   string
	Action string
	Args   json.RawMessage
	Trace  string // the causal chain that the action's events join
	Parent string // the id of the event that causes them
}

// Command is a program to run on a node.
type Command struct {
	Args   []string
	Env    []string // "KEY=value", beside the node's own
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
}

// Unsupported is something in a plan that an engine cannot do.
type Unsupported struct {
	Engine string
	Node   string
	What   string // "image: nginx"
	Why    string // and what to do instead
}

func (u *Unsupported) Error() string {
	return "node " + u.Node + ": " + u.What + ": the " + u.Engine + " engine " + u.Why
}

// ErrNoPrograms is the error of Exec where a node cannot run programs.
var ErrNoPrograms = errors.New("this node runs no programs: only nodes with image or rootfs do")
