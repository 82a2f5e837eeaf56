package main

import (
	"context"
	"errors"
	"io"

	"scenario/engine/docker/tunnel"
	"scenario/internal/cli"
)

// tunnelCommand is the hidden command that leads from outside to the agent of a node's container.
const tunnelCommand = "tunnel"

func tunnelAgent() cli.Agent {
	return cli.Agent{
		Name: tunnelCommand,
		Doc:  "Join standard input and output to a socket in a node's container",
		Run: func(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
			if len(args) != 1 {
				return errors.New("tunnel needs the path of a socket")
			}
			return tunnel.Pipe(ctx, args[0], in, out)
		},
	}
}
