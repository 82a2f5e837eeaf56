package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync/atomic"
	"time"

	"scenario/engine"
	"scenario/event"
	"scenario/fabric/capture"
	"scenario/fabric/link"
	"scenario/fabric/soft"
	"scenario/fabric/soft/router"
	"scenario/host/netstack"
	"scenario/topology"
)

// network is what a plan's nodes are joined by, and their stacks.
type network struct {
	scheduler scheduler
	virtual   *soft.VirtualTime            // the scheduler; nil in real time
	machines  map[string]*netstack.Machine // by node
	captures  []*captured
	closing   atomic.Bool // what is sent from then on is neither told nor kept: it comes in no order
}

// scheduler is one that can be ended.
type scheduler interface {
	soft.Scheduler
	Close()
}

// captured is a link's capture file.
type captured struct {
	*capture.Writer
	file io.Closer
}

// builder makes a network of a plan.
type builder struct {
	*network
	plan     *topology.Plan
	out      engine.Output
	switches map[string]*soft.Switch
}

// build makes the network. instant is the output in virtual time. When it fails nothing is left.
func (e *Engine) build(plan *topology.Plan, out engine.Output, instant *ordered) (*network, error) {
	b := &builder{
		network:  &network{machines: make(map[string]*netstack.Machine)},
		plan:     plan,
		out:      out,
		switches: make(map[string]*soft.Switch),
	}
	if e.options.Virtual {
		beat := e.options.Beat
		b.virtual = soft.NewVirtualTime(func() {
			instant.passed(time.Now())
			if beat != nil {
				beat()
			}
		})
		b.scheduler = b.virtual
	} else {
		b.scheduler = soft.NewRealTime()
	}
	for _, n := range plan.Networks {
		b.switches[n.Name] = soft.NewSwitch()
	}
	for i := range plan.Nodes {
		node := &plan.Nodes[i]
		if err := b.add(node); err != nil {
			return nil, errors.Join(fmt.Errorf("node %s: %w", node.Name, err), b.close())
		}
		out.Progress(node.Name, engine.StateCreated)
	}
	return b.network, nil
}

// add makes a node's stack and joins it to its networks.
func (b *builder) add(node *topology.Node) error {
	options := netstack.Options{Seed: node.Seed, Router: node.Router != nil}
	if b.virtual != nil {
		options.Clock = soft.Clock(b.virtual)
		options.Turn = func(key string) { b.virtual.Turn(node.Name + " " + key) }
	}
	var machine *netstack.Machine
	kick := func() { machine.Kick() }
	join := b.joinHost
	if node.Router != nil {
		r, err := router.New(router.Options{Node: node, Scheduler: b.scheduler})
		if err != nil {
			return err
		}
		join = func(node *topology.Node, i *topology.Interface, kick func()) (*soft.NIC, error) {
			return b.joinRouter(r, node, i, kick)
		}
	}
	for i := range node.Interfaces {
		itf := &node.Interfaces[i]
		nic, err := join(node, itf, kick)
		if err != nil {
			return fmt.Errorf("interface %s: %w", itf.Name, err)
		}
		options.Interfaces = append(options.Interfaces, netstack.Interface{
			Name: itf.Name, Link: nic, Addresses: itf.Addresses,
		})
	}
	for _, route := range node.Routes {
		options.Routes = append(options.Routes, netstack.Route{
			Destination: route.Destination, Gateway: route.Gateway, Interface: route.Interface,
		})
	}
	var err error
	machine, err = netstack.New(options)
	if err != nil {
		return err
	}
	b.machines[node.Name] = machine
	return nil
}

// joinHost makes the card of a host's interface.
func (b *builder) joinHost(node *topology.Node, itf *topology.Interface, kick func()) (*soft.NIC, error) {
	accept, err := firewall(node)
	if err != nil {
		return nil, err
	}
	own := make([]netip.Addr, len(itf.Addresses))
	for i, prefix := range itf.Addresses {
		own[i] = prefix.Addr()
	}
	nic := soft.NewNIC(soft.NICOptions{
		MAC: itf.MAC, MTU: itf.MTU, Resolve: true, Scheduler: b.scheduler, Delivered: kick, Accept: accept,
		Addresses: own,
	})
	up, err := b.join(node, itf, nic)
	if err != nil {
		return nil, err
	}
	nic.Connect(up)
	return nic, nil
}

// joinRouter joins a router's interface to its network, and makes the card of the router's own stack.
func (b *builder) joinRouter(r *router.Router, node *topology.Node, itf *topology.Interface, kick func()) (*soft.NIC, error) {
	up, err := b.join(node, itf, r.Port(itf.Name))
	if err != nil {
		return nil, err
	}
	r.Connect(itf.Name, up)
	nic := soft.NewNIC(soft.NICOptions{MAC: itf.MAC, MTU: itf.MTU, Scheduler: b.scheduler, Delivered: kick})
	nic.Connect(r.Local(itf.Name))
	r.ConnectLocal(itf.Name, nic)
	return nic, nil
}

// firewall is what drops what the node does not want.
func firewall(node *topology.Node) (func(head []byte) bool, error) {
	if len(node.Drop) == 0 {
		return nil, nil
	}
	matches := make([]soft.Match, len(node.Drop))
	for i, drop := range node.Drop {
		matches[i] = soft.Match{Protocol: drop.Protocol, Port: drop.Port}
	}
	return soft.Dropping(matches...)
}

// join makes the link between a node's end and the network's switch, and returns where the node sends.
func (b *builder) join(node *topology.Node, itf *topology.Interface, end soft.Sink) (soft.Sink, error) {
	var captured *capture.Writer
	if itf.Capture {
		var err error
		if captured, err = b.capture(node, itf); err != nil {
			return nil, err
		}
		// A card sees what arrives, and when; what it sends is seen below, before anything becomes of it.
		last := soft.NewWire(soft.WireOptions{Name: node.Name + " " + itf.Network, Scheduler: b.scheduler, To: end})
		last.Tap(b.tap(captured, capture.Inbound))
		end = last
	}
	upSeed, downSeed := node.LinkSeeds(itf.Name)
	down := b.wire(node, itf, way{directionDown, itf.Down, downSeed}, end)
	up := b.wire(node, itf, way{directionUp, itf.Up, upSeed}, b.switches[itf.Network].Attach(down))
	if captured != nil {
		up.Tap(b.tap(captured, capture.Outbound))
	}
	return up, nil
}

// The directions of a link, as its node sees them.
const (
	directionUp   = "up"
	directionDown = "down"
)

// way is one direction of a link, as the plan has it.
type way struct {
	direction string
	settings  *topology.Link // nil: clean
	seed      uint64
}

// wire makes one direction of a link.
func (b *builder) wire(node *topology.Node, itf *topology.Interface, way way, to soft.Sink) *soft.Wire {
	log := event.NewLogger(node.Name, b.out)
	w := soft.NewWire(soft.WireOptions{
		Name:      node.Name + " " + itf.Network + " " + way.direction,
		Scheduler: b.scheduler,
		To:        to,
		Dropped: func(_ time.Time, reason link.Reason, f *soft.Frame) {
			if b.closing.Load() {
				return
			}
			event.Emit(context.Background(), log, event.LinkDrop{
				Network: itf.Network, Direction: way.direction, Reason: string(reason), Bytes: f.Size(), Packet: f.Describe(),
			})
		},
	})
	if way.settings != nil {
		w.Shape(link.New(way.settings.Settings(), way.seed))
	}
	return w
}

// capture begins the file of what goes over a link, as its node's card sees it.
func (b *builder) capture(node *topology.Node, itf *topology.Interface) (*capture.Writer, error) {
	file, err := b.out.Capture(node.Name, itf.Network)
	if err != nil {
		return nil, err
	}
	writer, err := capture.NewWriter(file, capture.Link{
		Name: node.Name + "-" + itf.Network, Description: itf.Name + " of " + node.Name + " on " + itf.Network,
	})
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	b.captures = append(b.captures, &captured{writer, file})
	return writer, nil
}

// keyLog is where TLS sessions write their secrets that captures are to have; nil: nobody wants them.
func (n *network) keyLog(plan *topology.Plan) io.Writer {
	if !plan.TLSKeys || len(n.captures) == 0 {
		return nil
	}
	return keyLog{n}
}

// keyLog writes secrets into every capture: any link may carry the session, and its frames come to the captures of both
// ends after its server has written them.
type keyLog struct{ network *network }

// Write takes one line of a key log.
func (k keyLog) Write(line []byte) (int, error) {
	if k.network.closing.Load() {
		return len(line), nil
	}
	for _, c := range k.network.captures {
		_ = c.TLSKeys(line) // the output has the error
	}
	return len(line), nil
}

// tap writes what it sees to a capture file.
func (n *network) tap(writer *capture.Writer, direction capture.Direction) func(time.Time, *soft.Frame) {
	var parts [][]byte
	return func(at time.Time, f *soft.Frame) {
		if n.closing.Load() {
			return
		}
		parts = f.Parts(parts[:0])
		_ = writer.Packet(at, direction, parts...) // the output has the error
	}
}

// flush hands what was captured so far to the output.
func (n *network) flush() error {
	var errs []error
	for _, c := range n.captures {
		errs = append(errs, c.Flush())
	}
	return errors.Join(errs...)
}

// close ends the network. Connections that are still open end without a word.
func (n *network) close() error {
	n.closing.Store(true)
	for _, machine := range n.machines {
		machine.Close()
	}
	n.scheduler.Close()
	var errs []error
	for _, c := range n.captures {
		errs = append(errs, c.Close(), c.file.Close())
	}
	return errors.Join(errs...)
}
