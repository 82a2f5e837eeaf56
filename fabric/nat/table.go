package nat

import (
	"time"
)

// Table is the connections and the rules of one router. Its methods may be called from any goroutine.
type Table struct {
}

type conn struct{}

type direction uint8

// New returns an empty table. The error names what in the configuration cannot be.
func New(c Config) (*Table, error) { return &Table{}, nil }

// Prerouting takes a packet that came in at p.In, before it is routed: p.Flow.Dst, and of an error p.Inner.Src, become what
// they are to be on the other side.
func (t *Table) Prerouting(at time.Time, p *Packet) Verdict { return Accept }

// Forward takes a packet that has passed Prerouting and is about to leave at p.Out: it is filtered, and p.Flow.Src, and of
// an error p.Inner.Dst, become what they are to be there. Its connection is then in the table.
func (t *Table) Forward(at time.Time, p *Packet) Verdict { return Accept }

// Input takes a packet that has passed Prerouting and is for the router itself. Its connection is then in the table.
func (t *Table) Input(at time.Time, p *Packet) Verdict { return Accept }

// Output takes a packet of the router's own that is about to leave at p.Out. Where p.Flow.Dst has another address after
// it, which happens to errors about packets that were translated already, the packet is to be routed again.
func (t *Table) Output(at time.Time, p *Packet) Verdict { return Accept }

// Expire removes the connections that have ended by then and returns how many. Nobody has to call it: a connection that has
// ended is never found, and those that begin clear away a few that have ended. It takes time in proportion to what it
// removes, and a little for what has been in use since it last looked.
func (t *Table) Expire(at time.Time) int { return 0 }

// Len returns the number of connections in the table; those that have ended and are not cleared away yet are among them.
func (t *Table) Len() int { return 0 }

// Connections returns the connections that last at that time, in the order of their original flows.
func (t *Table) Connections(at time.Time) []Connection { return nil }
