package fabric

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"scenario/engine/docker/control"
	"scenario/fabric/kernel"
	"scenario/topology"
)

// Run serves the engine over in and out. When in ends, the lease has run out: every process in the networks it wired is
// killed.
func Run(ctx context.Context, in io.Reader, out io.Writer) error {
	lay, err := kernel.New()
	if err != nil {
		return err
	}
	p := &process{fabric: lay}
	err = control.Serve(ctx, in, control.NewWriter(out), p.handle)
	return errors.Join(err, p.end())
}

type process struct {
	fabric *kernel.Fabric

	mu         sync.Mutex
	namespaces []*os.File // open, so that their numbers are not used again
}

func (p *process) handle(_ context.Context, op string, params json.RawMessage) (any, error) {
	switch op {
	case OpNetworks:
		var networks []topology.Network
		if err := json.Unmarshal(params, &networks); err != nil {
			return nil, fmt.Errorf("networks: %w", err)
		}
		return nil, p.fabric.AddNetworks(networks)
	case OpWire:
		var wire Wire
		if err := json.Unmarshal(params, &wire); err != nil {
			return nil, fmt.Errorf("wire: %w", err)
		}
		ns, err := kernel.OpenNamespace(wire.PID)
		if err != nil {
			return nil, fmt.Errorf("node %s: open its network: %w", wire.Node.Name, err)
		}
		p.mu.Lock()
		p.namespaces = append(p.namespaces, ns)
		p.mu.Unlock()
		return nil, p.fabric.Wire(wire.Node, ns)
	}
	return nil, fmt.Errorf("no such operation: %s", op)
}

func (p *process) end() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := kernel.EndAll(p.namespaces)
	for _, ns := range p.namespaces {
		err = errors.Join(err, ns.Close())
	}
	return errors.Join(err, p.fabric.Close())
}
