package topology

import (
	"scenario/nodes/role"
)

// Spec is what the user wrote: every value with its place, short forms made long, nothing derived yet. Only Parse makes
// one, and every word of it has been checked by itself.
//
// The json tags of the types below are the keys of the format: Schema and the decoder both go by them.
type Spec struct {
	Name     Label            `json:"name" jsonschema_description:"Name of the run; the file's name where it is left out."`
	Seed     *uint64          `json:"seed" jsonschema:"minimum=0,maximum=18446744073709551615" jsonschema_description:"What all randomness starts from; 1 where it is left out."`
	Networks Map[NetworkSpec] `json:"networks" jsonschema:"required" jsonschema_description:"The networks: names alone, or names with their settings."`
	Nodes    Map[NodeSpec]    `json:"nodes" jsonschema:"required" jsonschema_description:"The machines by name."`
	Steps    []StepSpec       `json:"steps" jsonschema_description:"What is done, one after the other."`
	Expect   List[ExpectSpec] `json:"expect" jsonschema_description:"What must hold after all steps."`

	doc    string
	source *source
	kinds  []role.Kind
}

// NetworkSpec is a network as written. Short form: its subnets.
type NetworkSpec struct {
	Subnets    List[Prefix] `json:"subnet" jsonschema_description:"At most one IPv4 and one IPv6 subnet; allocated where left out."`
	EnableIPv4 *bool        `json:"enable_ipv4" jsonschema_description:"Allocate an IPv4 subnet; so it is done unless only an IPv6 subnet is given."`
	EnableIPv6 bool         `json:"enable_ipv6" jsonschema_description:"Allocate an IPv6 subnet too."`
	Internal   bool         `json:"internal" jsonschema_description:"No way out: routers do not forward from or to it."`
	MTU        Number       `json:"mtu" jsonschema:"minimum=576,maximum=65535" jsonschema_description:"Largest packet in bytes; 1500 where left out."`
	Link       *LinkSpec    `json:"link" jsonschema_description:"What the link of every node on it does to packets; clean where left out."`
	Capture    *bool        `json:"capture" jsonschema_description:"Keep the frames of the links of all nodes on it as pcapng."`
}

func (NetworkSpec) short() string { return "subnet" }

// NodeSpec is a node as written.
type NodeSpec struct {
	Networks    Map[AttachmentSpec] `json:"networks" jsonschema_description:"The networks it is on: names alone, or names with addresses."`
	Names       List[Domain]        `json:"names" jsonschema_description:"Its DNS names: they go into the most specific zone that the scenario serves."`
	Resolver    List[Text]          `json:"resolver" jsonschema_description:"Name servers it asks: nodes or addresses, or none; the nearest recursive one where left out."`
	Search      List[SearchDomain]  `json:"search" jsonschema_description:"Domains in which it looks for names without a dot: shop is then shop.corp.example too."`
	Gateway     List[Text]          `json:"gateway" jsonschema_description:"Default gateway: a node, an address, or none; derived where left out."`
	Routes      []RouteSpec         `json:"routes" jsonschema_description:"Routes beside the derived ones, or in their place."`
	Drop        List[Filter]        `json:"drop" jsonschema_description:"What its firewall drops without a word: tcp, udp, icmp, tcp/81."`
	DependsOn   List[Text]          `json:"depends_on" jsonschema_description:"Nodes that are ready before it starts."`
	Image       Text                `json:"image" jsonschema_description:"Container image to run in place of roles."`
	RootFS      Text                `json:"rootfs" jsonschema:"enum=host" jsonschema_description:"host: run programs of this machine, in place of roles."`
	Command     Command             `json:"command" jsonschema_description:"Program and arguments: a list, or text that is split as a shell does."`
	Environment Environment         `json:"environment" jsonschema_description:"Environment variables of the program."`
	Volumes     List[VolumeSpec]    `json:"volumes" jsonschema_description:"Files and folders to copy in: SOURCE:TARGET."`
	Keys        Keys                `json:"-"` // all keys, those of wrong values too
	Roles       Rest                `json:"-"` // the remaining keys, one a role
}

// AttachmentSpec is how a node is on a network. Short form: its addresses.
type AttachmentSpec struct {
	Addresses List[Address] `json:"address" jsonschema_description:"Its addresses there; allocated where left out."`
	MAC       HardwareAddr  `json:"mac" jsonschema_description:"Its Ethernet address there; derived where left out."`
	Link      *LinkSpec     `json:"link" jsonschema_description:"What its link there does to packets; a key given here wins over the network's."`
	Capture   *bool         `json:"capture" jsonschema_description:"Keep the frames of its link there as pcapng, or not, whatever the network says."`
}

func (AttachmentSpec) short() string { return "address" }

// RouteSpec is a route as written.
type RouteSpec struct {
	To  Text `json:"to" jsonschema:"required" jsonschema_description:"A subnet, or a network by name."`
	Via Text `json:"via" jsonschema:"required" jsonschema_description:"The next router: a node or an address; none takes the derived route away."`
}

// StepSpec is a step as written.
type StepSpec struct {
	At       Position         `json:"-"`
	Keys     Keys             `json:"-"` // all keys, those of wrong values too
	Node     Text             `json:"node" jsonschema_description:"The node that acts."`
	Name     Text             `json:"name" jsonschema_description:"Name for expectations: its result is steps.NAME."`
	Title    Text             `json:"title" jsonschema_description:"What the step is for, in a few words."`
	Timeout  Span             `json:"timeout" jsonschema_description:"How long it may take, such as 20s; 30s where left out."`
	Expect   List[ExpectSpec] `json:"expect" jsonschema_description:"What must hold after it."`
	Run      Command          `json:"run" jsonschema_description:"Run a program on a node with image or rootfs."`
	Wait     Span             `json:"wait" jsonschema_description:"Do nothing for that long."`
	Parallel []StepSpec       `json:"parallel" jsonschema_description:"Steps side by side."`
	Actions  Rest             `json:"-"` // the remaining keys: an action of a role
}

// ExpectSpec is an expectation as written. Short form: what must hold.
type ExpectSpec struct {
	That    Text `json:"that" jsonschema:"required" jsonschema_description:"CEL expression over result, events and steps."`
	Because Text `json:"because" jsonschema_description:"Why it must hold, for whoever reads that it does not."`
}

func (ExpectSpec) short() string { return "that" }

// Map is a map in the order of the file. A list of names is a map of those names to nothing.
type Map[T any] []Entry[T]

// Entry is one key of a Map.
type Entry[T any] struct {
	Name  string
	At    Position // of the key
	Value T
}

// find returns the entry of that name, or nil.
func (m Map[T]) find(name string) *Entry[T] {
	for i := range m {
		if m[i].Name == name {
			return &m[i]
		}
	}
	return nil
}

// names returns the keys.
func (m Map[T]) names() []string {
	names := make([]string, len(m))
	for i, e := range m {
		names[i] = e.Name
	}
	return names
}

// List is a list; a lone value is a list of one.
type List[T any] []T

// Keys are all keys of a map.
type Keys []key

// Rest are the keys of a map that no field names.
type Rest []key
