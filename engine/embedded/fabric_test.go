package embedded_test

import (
	"io"
	"sync"
	"testing"

	"scenario/engine/embedded"
	"scenario/event"
	"scenario/fabric/fabrictest"
	"scenario/host"
	"scenario/internal/bubble"
	"scenario/topology"
)

// The network between the nodes does what the kernel's does. R28–R31, R34, R35
func TestFabric(t *testing.T) {
	for _, c := range fabrictest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			c.Run(t, func(t *testing.T, plan *topology.Plan) map[string]host.Host {
				return open(t, plan, embedded.Options{})
			})
		})
	}
}

// And so it does in virtual time.
func TestFabricInVirtualTime(t *testing.T) {
	for _, c := range fabrictest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T, beat func()) {
				c.Run(t, func(t *testing.T, plan *topology.Plan) map[string]host.Host {
					return open(t, plan, embedded.Options{Virtual: true, Beat: beat})
				})
			})
		})
	}
}

// open brings a plan up whose nodes play no roles, and returns their machines.
func open(t *testing.T, plan *topology.Plan, options embedded.Options) map[string]host.Host {
	t.Helper()
	for i := range plan.Nodes {
		plan.Nodes[i].Roles = nil
	}
	run, err := embedded.New(options).Start(t.Context(), plan, &collector{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := run.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
	hosts := make(map[string]host.Host)
	for _, node := range plan.Nodes {
		if hosts[node.Name], err = run.(embedded.Hosts).Host(node.Name, "test"); err != nil {
			t.Fatal(err)
		}
	}
	return hosts
}

// collector is an output that keeps the records.
type collector struct {
	mu      sync.Mutex
	records []event.Record
}

func (c *collector) Record(r event.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.records = append(c.records, r)
}

func (c *collector) File(string, string, []byte) {}
func (c *collector) Progress(string, string)     {}

func (c *collector) Capture(string, string) (io.WriteCloser, error) { return discard{io.Discard}, nil }

type discard struct{ io.Writer }

func (discard) Close() error { return nil }
