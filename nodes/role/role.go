// Package role says what a role is: the part that a node plays, such as a web server or a browser.
//
// A role sees the machine only through host.Host, takes time from package time, and ends every goroutine it starts when
// its context ends: so it runs in a container, in this process and in virtual time. It imports no engine, no host
// implementation and no topology.
package role

import (
	"context"
	"encoding/json"

	"scenario/host"
)

// Role is a part that a node plays.
type Role interface {
	// Serve plays the part until ctx ends and then returns nil, with every goroutine ended and every socket closed. It
	// calls ready once, as soon as what the role serves can be reached. A role with nothing to serve is ready at once.
	Serve(ctx context.Context, h host.Host, ready func()) error
}

// Actor is a Role that can be told, in a step, to do something.
type Actor interface {
	// Do carries out one action between ready and the end of Serve, side by side with others. args is a JSON object of the type that the
	// Action names; the result is what expectations see, marshalled as JSON. An error means that the action could not
	// be done at all; what a person would see as the outcome (a refused connection, NXDOMAIN) is a result.
	Do(ctx context.Context, h host.Host, action string, args json.RawMessage) (any, error)
}

// Kind describes a role to the file format, the documentation and whoever makes it.
type Kind struct {
	Name    string // the key under a node: "web"
	Doc     string // one sentence
	Options any    // zero value of the options struct: its JSON schema is the format (tags: json, jsonschema)
	Short   string // the option that a lone scalar or list sets: "web: shop" is "web: {site: shop}"; empty: none
	Actions []Action
	// Certificate says which certificate the role needs with these options; nil: none. A nil function: never any.
	Certificate func(options json.RawMessage) *Certificate
	// Programs are those of the machine that the role runs with these options: its node has the machine's programs, as
	// with rootfs: host. A nil function: none.
	Programs func(options json.RawMessage) []Program
	// New makes the role from options of that struct's JSON form, which validate against its schema.
	New func(options json.RawMessage) (Role, error)
}

// Program is a program of the machine that a role runs.
type Program struct {
	Name    string `json:"name"`              // as a shell finds it, or an absolute path below /usr
	Package string `json:"package,omitempty"` // of Debian, which has it; empty: not known
}

// Certificate is what a role asks the scenario's authority for: a certificate for all names and addresses of its node.
type Certificate struct {
	Names []string // beside the node's own
	Flaw  Flaw     // what is to be wrong with it
}

// Flaw is what can be wrong with a certificate on purpose.
type Flaw string

// The flaws.
const (
	NoFlaw      Flaw = ""
	Expired     Flaw = "expired"
	NotYetValid Flaw = "not-yet-valid"
	WrongName   Flaw = "wrong-name"  // it is for another name
	SelfSigned  Flaw = "self-signed" // nobody but itself vouches for it
	Untrusted   Flaw = "untrusted"   // an authority vouches for it that no node knows
)

// Action describes one action of a role.
type Action struct {
	Name   string // the key in a step: "browse"
	Doc    string // one sentence
	Args   any    // zero value of the arguments struct
	Short  string // the argument that a lone scalar or list sets; empty: none
	Result any    // zero value of the result struct
}
