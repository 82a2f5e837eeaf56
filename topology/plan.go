package topology

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"time"

	"scenario/fabric/link"
	"scenario/nodes/role"
)

// Plan is what is to be done: pure data, every derived value filled in, sorted, the same for the same file and seed.
// Engines carry it out and decide nothing that stands here. It marshals to JSON and back without loss.
type Plan struct {
	Name string `json:"name"`
	Doc  string `json:"doc,omitempty"` // the file's opening comment
	Seed uint64 `json:"seed"`
	// Authority is the certificate of the scenario's authority, which all nodes trust, as PEM; empty: nobody has a certificate.
	Authority string        `json:"authority,omitempty"`
	TLSKeys   bool          `json:"tls_keys,omitempty"` // the secrets of the roles' TLS sessions are kept in the captures
	Networks  []Network     `json:"networks"`           // by name
	Nodes     []Node        `json:"nodes"`              // by name
	Steps     []Step        `json:"steps,omitempty"`
	Expect    []Expectation `json:"expect,omitempty"`
}

// Network is one broadcast domain.
type Network struct {
	Name     string         `json:"name"`
	Subnets  []netip.Prefix `json:"subnets"`            // at most one of each family, IPv4 first
	Internal bool           `json:"internal,omitempty"` // no way out: routers do not forward from or to it
}

// Node is one machine.
type Node struct {
	Name        string       `json:"name"`
	Stage       int          `json:"stage"`           // start order: a stage starts when the one before is ready
	Names       []string     `json:"names,omitempty"` // DNS names, absolute, with the final dot
	Interfaces  []Interface  `json:"interfaces"`
	Routes      []Route      `json:"routes,omitempty"` // beside those to its own subnets
	NameServers []netip.Addr `json:"name_servers,omitempty"`
	Search      []string     `json:"search,omitempty"` // domains in which short names are searched for, absolute
	Router      *Router      `json:"router,omitempty"` // forwards packets
	Drop        []Filter     `json:"drop,omitempty"`   // what the node's firewall drops of what comes in, without a word
	Roles       []Role       `json:"roles,omitempty"`  // by name
	Program     *Program     `json:"program,omitempty"`
	Seed        uint64       `json:"seed"` // of the node's randomness
}

// Interface is a node's port on a network.
type Interface struct {
	Name      string         `json:"name"` // eth0, eth1 …
	Network   string         `json:"network"`
	MAC       MAC            `json:"mac"`
	Addresses []netip.Prefix `json:"addresses"`         // with the subnet's length; IPv4 first
	MTU       int            `json:"mtu"`               // bytes
	Up        *Link          `json:"up,omitempty"`      // what its link does to packets into the network; nil: nothing
	Down      *Link          `json:"down,omitempty"`    // and to packets to the node
	Capture   bool           `json:"capture,omitempty"` // its link's frames are kept as pcapng
}

// Link is what one way of a link does to packets. Probabilities are from 0 to 1.
type Link struct {
	Delay        Duration          `json:"delay,omitempty"`
	Jitter       Duration          `json:"jitter,omitempty"`
	Distribution link.Distribution `json:"distribution,omitempty"` // of Delay; empty without Jitter
	Loss         float64           `json:"loss,omitempty"`
	Burst        *Burst            `json:"burst,omitempty"` // in place of Loss
	Duplicate    float64           `json:"duplicate,omitempty"`
	Reorder      float64           `json:"reorder,omitempty"`
	Corrupt      float64           `json:"corrupt,omitempty"`
	Rate         int64             `json:"rate,omitempty"`  // bits per second; 0: no limit
	Queue        *Queue            `json:"queue,omitempty"` // where packets wait for Rate; nil without it
}

// Burst is loss in bursts, with the letters of the Gilbert–Elliott model.
type Burst struct {
	P    float64 `json:"p"`   // probability that a good link turns bad
	R    float64 `json:"r"`   // probability that a bad link turns good
	Bad  float64 `json:"1-h"` // probability of loss while it is bad
	Good float64 `json:"1-k"` // probability of loss while it is good
}

// Queue is the most that waits: packets or bytes, the other is 0.
type Queue struct {
	Packets int `json:"packets,omitempty"`
	Bytes   int `json:"bytes,omitempty"`
}

// Route leads packets for a destination to the next router.
type Route struct {
	Destination netip.Prefix `json:"destination"` // 0.0.0.0/0 or ::/0: the default gateway
	Gateway     netip.Addr   `json:"gateway"`
	Interface   string       `json:"interface"`
}

// Router is what a forwarding node does beside following its routes.
type Router struct {
	Masquerade []Masquerade  `json:"masquerade,omitempty"`
	Forwards   []PortForward `json:"forwards,omitempty"`
	Isolated   []string      `json:"isolated,omitempty"` // interfaces on internal networks: nothing is forwarded from or to them
}

// Masquerade rewrites the IPv4 source of what leaves through an interface to the router's own address there (RFC 3022,
// section 4.1: NAPT). What comes in there unasked is not forwarded, port forwards excepted; for IPv6, which is not
// rewritten, the same (RFC 6092, section 3.2.2).
type Masquerade struct {
	Interface string `json:"interface"`
}

// PortForward sends what arrives for the router's own address on an interface and port to a node behind it.
type PortForward struct {
	Interface string         `json:"interface"`
	Protocol  string         `json:"protocol"` // tcp or udp
	Port      uint16         `json:"port"`
	To        netip.AddrPort `json:"to"`
}

// Filter names packets by protocol and destination port.
type Filter struct {
	Protocol string `json:"protocol"`       // tcp, udp or icmp
	Port     uint16 `json:"port,omitempty"` // 0: all
}

// Role is a role that a node plays, with its options complete.
type Role struct {
	Name    string          `json:"name"`
	Options json.RawMessage `json:"options"`
	// Certificate is for the node's names and addresses; nil: the role needs none.
	Certificate *Certificate `json:"certificate,omitempty"`
}

// Program is what a node runs beside, or instead of, the project's own roles.
type Program struct {
	Image       string            `json:"image,omitempty"`  // a container image of the user's
	RootFS      string            `json:"rootfs,omitempty"` // "host": the machine's own programs, read-only
	For         string            `json:"for,omitempty"`    // the role that runs them; empty: the node is there for programs
	Needs       []role.Program    `json:"needs,omitempty"`  // what that role runs
	Command     []string          `json:"command,omitempty"`
	Environment map[string]string `json:"environment,omitempty"`
	Volumes     []Volume          `json:"volumes,omitempty"`
	// Certificate is for the node's names and addresses; nil: it has no names.
	Certificate *Certificate `json:"certificate,omitempty"`
}

// Volume is a file or folder of the scenario's, copied into a program's file system.
type Volume struct {
	Source string `json:"source"` // absolute path on the machine of the CLI
	Target string `json:"target"` // absolute path on the node
}

// Step is one thing that the scenario does: an action of a role, a program, a pause, or steps side by side.
type Step struct {
	ID       string          `json:"id"`       // unique: the name given in the file, or its place ("3", "3.1")
	Position string          `json:"position"` // file:line:col
	Title    string          `json:"title,omitempty"`
	Node     string          `json:"node,omitempty"`
	Role     string          `json:"role,omitempty"`
	Action   string          `json:"action"` // of the role; or run, wait, parallel
	Args     json.RawMessage `json:"args,omitempty"`
	Target   string          `json:"target,omitempty"`   // what it is aimed at, as a person would say it
	Command  []string        `json:"command,omitempty"`  // run: a program on the node
	Wait     Duration        `json:"wait,omitempty"`     // wait: how long
	Parallel []Step          `json:"parallel,omitempty"` // parallel: steps side by side
	Timeout  Duration        `json:"timeout"`            // 0: wait and parallel have none of their own
	Expect   []Expectation   `json:"expect,omitempty"`
}

// Expectation is something that must hold.
type Expectation struct {
	That     string `json:"that"` // CEL
	Because  string `json:"because,omitempty"`
	Position string `json:"position"` // file:line:col
}

// Actions of steps that belong to no role.
const (
	ActionRun      = "run"
	ActionWait     = "wait"
	ActionParallel = "parallel"
)

// Node returns the node of that name, or nil.
func (p *Plan) Node(name string) *Node {
	for i := range p.Nodes {
		if p.Nodes[i].Name == name {
			return &p.Nodes[i]
		}
	}
	return nil
}

// MAC is an Ethernet address.
type MAC [6]byte

func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// MarshalText writes the address as six hexadecimal bytes with colons.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (m *MAC) UnmarshalText(text []byte) error {
	a, err := net.ParseMAC(string(text))
	if err != nil || len(a) != len(m) {
		return fmt.Errorf("%q is no MAC address", text)
	}
	copy(m[:], a)
	return nil
}

// Duration is a time.Duration that is written as Go writes it: "1.5s".
type Duration time.Duration

// MarshalText writes the duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}
