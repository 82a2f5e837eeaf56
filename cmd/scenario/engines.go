package main

import (
	"context"
	"errors"
	"io"
	"os"

	"scenario/engine"
	"scenario/engine/docker"
	"scenario/engine/docker/agent"
	"scenario/engine/docker/fabric"
	"scenario/engine/embedded"
	"scenario/internal/cli"
	"scenario/nodes/role"
)

// The hidden commands, as containers and the Docker engine call them.
const (
	nodeCommand    = "node"
	fabricCommand  = "fabric"
	janitorCommand = "janitor"
)

// engines lists what can carry a scenario out, the default first.
func engines(kinds []role.Kind) []cli.Engine {
	return []cli.Engine{
		{
			Name: "docker",
			New:  newDocker,
			Answers: func(ctx context.Context) error {
				return docker.New(docker.Options{}).Answers(ctx)
			},
			Sweep: func(ctx context.Context, name string) (int, error) {
				return docker.New(docker.Options{}).Sweep(ctx, name)
			},
		},
		{
			Name:    embedded.Name,
			Virtual: true,
			New: func(setting cli.Setting) (engine.Engine, error) {
				return embedded.New(embedded.Options{Kinds: kinds, Virtual: setting.Virtual, Beat: setting.Beat}), nil
			},
		},
	}
}

// binaryVariable names the program for the containers where this one is no Linux program.
const binaryVariable = "SCENARIO_BINARY"

func newDocker(cli.Setting) (engine.Engine, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return docker.New(docker.Options{
		Binary:  os.Getenv(binaryVariable),
		Janitor: []string{self, janitorCommand},
	}), nil
}

// agents lists the parts that this program plays for the engines.
func agents(kinds []role.Kind) []cli.Agent {
	return []cli.Agent{
		tunnelAgent(),
		{
			Name: nodeCommand,
			Doc:  "Be the first process of a node's container",
			Run: func(ctx context.Context, _ []string, in io.Reader, out io.Writer) error {
				return agent.Run(ctx, in, out, kinds)
			},
		},
		{
			Name: fabricCommand,
			Doc:  "Be the network between the nodes' containers",
			Run: func(ctx context.Context, _ []string, in io.Reader, out io.Writer) error {
				return fabric.Run(ctx, in, out)
			},
		},
		{
			Name: janitorCommand,
			Doc:  "Remove a run's containers when standard input ends",
			Run: func(ctx context.Context, args []string, in io.Reader, _ io.Writer) error {
				if len(args) != 1 {
					return errors.New("janitor needs the label of a run")
				}
				return docker.Janitor(ctx, args[0], in)
			},
		},
	}
}
