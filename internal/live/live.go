// Package live makes a run that is up reachable from other terminals.
//
// A run is owned by one process. The owner serves a Unix socket in the user's runtime folder ([Serve]); other processes
// find it there ([List]) and ask it to tell its state, to carry out actions, to run programs, to connect from nodes, to say
// when something new was recorded, and to take the run down ([Client]). The protocol is JSON lines, one request a connection; a client that
// closes its connection gives its request up. A socket that nobody serves, as a killed owner leaves it, is removed by
// whoever finds it.
package live

import (
	"context"
	"encoding/json"
	"net"
	"time"

	"scenario/engine"
)

// Run is what an owner lets others do with its run. Its methods may be called from any goroutine.
type Run interface {
	// Info tells the run's present state.
	Info() Info
	// Do has a role of a node carry out an action and returns its result as JSON.
	Do(ctx context.Context, call Call) (json.RawMessage, error)
	// Exec runs a program on a node and returns its exit code.
	Exec(ctx context.Context, node string, command engine.Command) (int, error)
	// Dial connects from a node, as [engine.Inside] says.
	Dial(ctx context.Context, node, network, addr string) (net.Conn, error)
	// Watch calls news after something was recorded, once for all that was recorded since the last call, until ctx or
	// the run ends.
	Watch(ctx context.Context, news func() error) error
	// Down takes the run down and returns when nothing of it is left.
	Down(ctx context.Context) error
}

// Info is what a run tells of itself.
type Info struct {
	Name   string    `json:"name"`
	State  State     `json:"state"`
	Engine string    `json:"engine"`
	File   string    `json:"file"`   // as it was named: a path, or a name of the library
	Folder string    `json:"folder"` // absolute path of the run folder
	Since  time.Time `json:"since"`
	PID    int       `json:"pid"` // of the owner
	Nodes  []Node    `json:"nodes,omitempty"`
}

// Node is a node of a run, as far as others need to know it.
type Node struct {
	Name  string   `json:"name"`
	Roles []string `json:"roles,omitempty"`
}

// State is how far a run has come.
type State string

// The states of a run, in their order. NotAnswering is what [List] says of an owner that is there and keeps silent.
const (
	Starting     State = "starting"
	Playing      State = "playing" // its steps
	Up           State = "up"
	Stopping     State = "stopping"
	NotAnswering State = "not answering"
)

// Call is an action for a role of a node.
type Call struct {
	Node   string          `json:"node"`
	Role   string          `json:"role"`
	Action string          `json:"action"`
	Args   json.RawMessage `json:"args,omitempty"`
}

// The requests.
const (
	opInfo  = "info"
	opDo    = "do"
	opExec  = "exec"
	opDial  = "dial" // what follows is as package carry has it
	opWatch = "watch"
	opDown  = "down"
)

// request is the first line of a connection, from the client.
type request struct {
	Op      string   `json:"op"`
	Call    *Call    `json:"call,omitempty"`    // do
	Node    string   `json:"node,omitempty"`    // exec, dial
	Command []string `json:"command,omitempty"` // exec
}

// input is a line from the client after an exec request: the answer to one [reply] that wants more.
type input struct {
	Stdin []byte `json:"stdin,omitempty"`
	EOF   bool   `json:"eof,omitempty"`
}

// reply is a line from the owner. Done is in the last one of a request.
type reply struct {
	Info   *Info           `json:"info,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	News   bool            `json:"news,omitempty"`
	Stdout []byte          `json:"stdout,omitempty"`
	Stderr []byte          `json:"stderr,omitempty"`
	More   bool            `json:"more,omitempty"` // the program reads its standard input
	Exit   int             `json:"exit,omitempty"`
	Error  string          `json:"error,omitempty"`
	Done   bool            `json:"done,omitempty"`
}
