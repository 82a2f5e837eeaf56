// Package enginetest is the conformance suite of [engine.Engine]: what runs a scenario may rely on what it proves and on
// nothing else.
//
// [Run] puts an engine through all cases. They need roles of their own, [Kinds], of which a greeter is one. What every
// engine tells of the same scenario is compared by [Facts], which leaves out what no two runs have in common, and [Compare].
package enginetest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"scenario/engine"
	"scenario/topology"
)

// Suite says how to test an engine.
type Suite struct {
	// With calls test with an engine: in a bubble, where the engine's runs are in virtual time.
	With func(t *testing.T, test func(t *testing.T, e engine.Engine))
	// Left, if set, fails the test where something is left of the runs of that name.
	Left func(t testing.TB, run string)
}

// Run puts an engine through the suite.
func Run(t *testing.T, s Suite) {
	for name, test := range map[string]func(*bench){
		"Check":        check,
		"Run":          serves,
		"Loss":         loses,
		"SideBySide":   sideBySide,
		"Stages":       stages,
		"RoleFails":    roleFails,
		"UnknownRole":  unknownRole,
		"EndedBefore":  endedBefore,
		"EndedMaking":  endedMaking,
		"EndedWaiting": endedWaiting,
		"Capture":      captures,
		"Trust":        trusts,
		"KeyLog":       keyLogs,
	} {
		t.Run(name, func(t *testing.T) {
			s.With(t, func(t *testing.T, e engine.Engine) {
				test(&bench{T: t, engine: e, left: s.Left, name: "enginetest-" + strings.ToLower(name)})
			})
		})
	}
}

// bench is one case.
type bench struct {
	*testing.T
	engine engine.Engine
	left   func(t testing.TB, run string)
	name   string // of its run
}

// network is a laptop behind a router that masquerades, and a server outside, which starts when the others are ready.
const network = `
networks:
  home: 192.168.1.0/24
  outside: [198.51.100.0/24, 2001:db8::/64]
nodes:
  laptop:
    networks: {home: 192.168.1.10}
    greeter: {%s}
  router:
    networks: {home: 192.168.1.1, outside: 198.51.100.1}
    router: {nat: outside}
  server:
    names: [server.example]
    networks: {outside: [198.51.100.80, "2001:db8::80"]}
    depends_on: [laptop, router]
    greeter: {%s}
  names:
    networks: [outside]
    dns:
`

// plan is the network with options of its two greeters.
func (b *bench) plan(name, laptop, server string) *topology.Plan {
	b.Helper()
	spec, err := topology.Parse("network.yaml", fmt.Appendf(nil, "name: "+name+network, laptop, server), Kinds())
	if err != nil {
		b.Fatal(err)
	}
	plan, err := topology.Compile(spec, topology.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return plan
}

// node is a node of a plan.
func node(plan *topology.Plan, name string) *topology.Node {
	for i := range plan.Nodes {
		if plan.Nodes[i].Name == name {
			return &plan.Nodes[i]
		}
	}
	return nil
}

// background outlasts the case. The test's own context ends in a bubble before what is cleaned up.
func (b *bench) background() context.Context { return context.WithoutCancel(b.Context()) }

// start brings a plan up. It is stopped at the end of the case, at the latest.
func (b *bench) start(plan *topology.Plan) (engine.Run, *Output) {
	b.Helper()
	out := NewOutput(b)
	run, err := b.engine.Start(b.background(), plan, out)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { b.stop(run, out, plan) })
	return run, out
}

// stop takes a run down, and expects that nothing is left of it and that nothing comes from it any more.
func (b *bench) stop(run engine.Run, out *Output, plan *topology.Plan) {
	b.Helper()
	if err := run.Stop(b.background()); err != nil {
		b.Errorf("stop: %v", err)
	}
	out.Seal()
	b.nothingLeft(plan.Name)
}

func (b *bench) nothingLeft(name string) {
	b.Helper()
	if b.left != nil {
		b.left(b, name)
	}
}

// do has a greeter do something that succeeds.
func (b *bench) do(run engine.Run, node, action, argument string) string {
	b.Helper()
	result, err := run.Do(b.Context(), node, call(action, argument))
	if err != nil {
		b.Fatal(err)
	}
	return string(result)
}

func call(action, argument string) engine.Call {
	args, err := json.Marshal(argument)
	if err != nil {
		panic(err) // a string has a form in JSON: it cannot happen
	}
	return engine.Call{Role: "greeter", Action: action, Args: args}
}

func (b *bench) sync(run engine.Run) {
	b.Helper()
	if err := run.Sync(b.Context()); err != nil {
		b.Fatal(err)
	}
}
