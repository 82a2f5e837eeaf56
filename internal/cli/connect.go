package cli

import (
	"context"

	"github.com/spf13/cobra"

	"scenario/internal/talk"
)

func (a *App) connectCommand() *cobra.Command {
	var (
		name    string
		options talk.Options
	)
	command := &cobra.Command{
		Use:   "connect NODE HOST:PORT",
		Short: "Talk over a TCP connection from a node",
		Long: `Connect from the node NODE of a run that is up, and send what is typed, line by line; HOST is looked up by the node's name
servers. What comes is printed at once, above the line that is being edited. Ctrl-D in an empty line ends what is sent, as
shutdown does, and what comes is still received; Ctrl-C ends it all. It is over when the other end closes.

In a pipe it is as nc: standard input goes out byte by byte, what comes is standard output.

Exit codes: 0, 1 where the connection could not be made or broke, 2 where there is no such run or node, 130 for Ctrl-C.`,
		Example: `  scenario connect laptop shop.example:80
  printf 'GET / HTTP/1.0\n\n' | scenario connect --crlf laptop shop.example:80`,
		Args:              need(2, 2, "a node and HOST:PORT"),
		ValidArgsFunction: completeFirstNode,
		RunE: func(command *cobra.Command, args []string) error {
			if err := checkAddr(args[1]); err != nil {
				return err
			}
			return a.talkFrom(command.Context(), name, args[0], func(ctx context.Context, t *talker) error {
				return t.connect(ctx, args[1], options)
			})
		},
	}
	command.Flags().BoolVar(&options.CRLF, "crlf", false, "end lines in CR LF, as HTTP, SMTP and others do, instead of LF")
	command.Flags().StringVar(&options.Exit, "exit", "", "a line that is this `word` is not sent but ends the connection")
	runFlag(command, &name)
	return command
}

func (t *talker) connect(ctx context.Context, addr string, options talk.Options) error {
	conn, err := t.dial(ctx, addr)
	if err != nil {
		return err
	}
	local, remote := conn.LocalAddr(), conn.RemoteAddr()
	if !t.app.attended() {
		err = talk.ConnectPipe(ctx, conn, t.app.Stdin, t.app.Stdout, options)
	} else {
		t.note("connected to %s from %s; Ctrl-D ends what you send, Ctrl-C ends it all", remote, local)
		err = t.connectAtTerminal(ctx, conn, options)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return t.failed(&broken{remote.String(), err})
	}
	t.note("the connection is closed")
	return nil
}

func (t *talker) connectAtTerminal(ctx context.Context, conn talk.Conn, options talk.Options) error {
	terminal, err := t.terminal()
	if err != nil {
		conn.Close()
		return err
	}
	defer terminal.Close()
	terminal.Prompt("> ")
	return talk.Connect(ctx, conn, terminal, options)
}

// broken is a connection that ended otherwise than by being closed.
type broken struct {
	remote string
	err    error
}

func (b *broken) Error() string {
	return "the connection to " + b.remote + " is lost: " + reason(b.err)
}

func (b *broken) Unwrap() error { return b.err }

// completeFirstNode completes a node as the first argument.
func completeFirstNode(command *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return completeNodes(command, args, word)
}
