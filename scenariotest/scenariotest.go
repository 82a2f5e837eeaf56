// Package scenariotest runs scenario files in Go tests, with the test's own servers and clients as programs of their nodes.
//
//	func TestShop(t *testing.T) {
//		scenariotest.Run(t, "shop.yaml",
//			scenariotest.HTTP("shop", ":80", shop.Handler()),
//			scenariotest.While(func(t *testing.T, n *scenariotest.Network) {
//				client := n.HTTPClient("laptop")
//				…
//			}))
//	}
//
// A run is in this process (the embedded engine) and in virtual time, a testing/synctest bubble: waiting takes no time, and the
// same seed gives the same events. [RealTime] is for tests that reach outside, such as to a database; [Engine] for those
// that need containers.
package scenariotest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scenario/engine"
	"scenario/engine/embedded"
	"scenario/event"
	"scenario/expect"
	"scenario/internal/bubble"
	"scenario/nodes"
	"scenario/nodes/role"
	"scenario/record"
	"scenario/runner"
	"scenario/scenarios"
	"scenario/topology"
)

// Result is what is left of a run.
type Result struct {
	Plan    *topology.Plan
	Records []event.Record // all events
	Outcome runner.Outcome
	// Folder has events, logs and captures. It is removed with the end of a test that passes, unless Folder set it.
	Folder string
}

// Run runs a scenario file: it brings the network up, starts the programs of the options, plays the file's steps, calls
// the functions of While, and takes the network down. A step that fails or an expectation that does not hold fails the
// test, and so does a file that has mistakes. file is a path, or a name of the library where there is no such path.
func Run(t *testing.T, file string, options ...Option) *Result {
	t.Helper()
	c := &config{kinds: nodes.Kinds(scenarios.Sites())}
	for _, option := range options {
		option(c)
	}
	plan, err := c.load(file)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if c.folder == "" {
		c.folder = keptOnFailure(t, plan.Name)
	}
	var result *Result
	switch {
	case c.engine != nil:
		result = c.run(t, plan, c.engine)
	case c.realTime:
		result = c.run(t, plan, embedded.New(embedded.Options{Kinds: c.kinds}))
	default:
		bubble.Test(t, func(t *testing.T, beat func()) {
			result = c.run(t, plan, embedded.New(embedded.Options{Kinds: c.kinds, Virtual: true, Beat: beat}))
		})
	}
	return result
}

// load reads a scenario and compiles it.
func (c *config) load(file string) (*topology.Plan, error) {
	text, err := os.ReadFile(file)
	dir := filepath.Dir(file)
	if errors.Is(err, fs.ErrNotExist) {
		if builtIn, libraryErr := fs.ReadFile(scenarios.Files(), strings.TrimSuffix(file, ".yaml")+".yaml"); libraryErr == nil {
			text, dir, err = builtIn, ".", nil
		}
	}
	if err != nil {
		return nil, err
	}
	spec, err := topology.Parse(file, text, c.kinds)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	plan, err := topology.Compile(spec, topology.Options{Seed: c.seed, Dir: dir})
	if err != nil {
		return nil, err
	}
	for i := range plan.Nodes {
		for j := range plan.Nodes[i].Interfaces {
			plan.Nodes[i].Interfaces[j].Capture = plan.Nodes[i].Interfaces[j].Capture || c.captures
		}
	}
	plan.TLSKeys = c.tlsKeys
	return plan, expect.Check(plan, c.kinds...)
}

// keptOnFailure makes a folder for a run, which is there after a test that failed.
func keptOnFailure(t *testing.T, name string) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "scenario-"+name+"-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("run folder: %s", folder)
			return
		}
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	return folder
}

// run carries the plan out, in the time that it is called in.
func (c *config) run(t *testing.T, plan *topology.Plan, eng engine.Engine) *Result {
	t.Helper()
	// The test's own context ends in a bubble when the test does: too early to take the network down.
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	defer cancel()
	folder, err := record.Create(c.folder, plan)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := folder.Close(); err != nil {
			t.Error(err)
		}
	}()
	session, err := runner.Start(ctx, plan, eng, folder, nil, runner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	network := &Network{Plan: plan, session: session, folder: folder}
	defer func() {
		network.close()
		if err := session.Stop(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	}()
	for _, program := range c.programs {
		if err := program(ctx, network); err != nil {
			t.Fatal(err)
		}
	}
	outcome, err := session.Play(ctx)
	for _, failure := range outcome.Failures() {
		t.Error(describe(failure))
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range c.tests {
		test(t, network)
	}
	return &Result{Plan: plan, Records: folder.Records(), Outcome: outcome, Folder: c.folder}
}

// describe tells what was expected, what happened and where to look.
func describe(f runner.Failure) string {
	text := f.Position + ": " + f.What + "\n\tfound " + f.Reason
	if f.Because != "" {
		text += "\n\tbecause " + f.Because
	}
	return text + "\n\tlook at " + f.Look
}

// config is what the options say.
type config struct {
	kinds    []role.Kind
	engine   engine.Engine
	realTime bool
	captures bool
	tlsKeys  bool
	seed     *uint64
	folder   string
	programs []program
	tests    []func(t *testing.T, n *Network)
}
