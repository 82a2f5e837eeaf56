// Package cli is the command line: what each command does with the other packages, and how it looks on a terminal, in a
// plain log and as JSON.
//
// One file holds one command. [App] is all that they are given: the engines, the roles, the library and the streams. What
// a command starts, it owns: an attached `up`, a detached one and `test` run the same owner (owner.go), which serves a
// socket through which the other commands reach the run (package live).
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"scenario/expect"
	"scenario/nodes/role"
	"scenario/topology"
)

// App is what the commands work with.
type App struct {
	Engines []Engine    // the first that answers is the default
	Kinds   []role.Kind // of roles
	Library fs.FS       // the built-in scenarios: *.yaml
	Agents  []Agent
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
}

// Agent is a hidden command: a part that this program plays elsewhere, such as a container's first process.
type Agent struct {
	Name string
	Doc  string
	Run  func(ctx context.Context, args []string, in io.Reader, out io.Writer) error
}

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1   // an expectation or a step
	exitUnusable    = 2   // input, usage, environment
	exitInterrupted = 130 // by a signal
)

// exit is the error of a command that has told all there is to tell.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// code returns the error that ends a command with an exit code.
func code(n int) error {
	if n == exitOK {
		return nil
	}
	return exit(n)
}

// Main runs the command that args name and returns the exit code.
func (a *App) Main(args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.Stdin)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	err := root.ExecuteContext(context.Background())
	var told exit
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &told):
		return int(told)
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	a.complain(err)
	return exitUnusable
}

// complain tells a person what is wrong. The errors of a file bring their own places along.
func (a *App) complain(err error) {
	_, inFile := errors.AsType[topology.Errors](err)
	_, inExpectation := errors.AsType[*expect.Error](err)
	text := strings.TrimSpace(err.Error())
	if !inFile && !inExpectation {
		text = "error: " + text
	}
	fmt.Fprintln(a.Stderr, text)
}

func (a *App) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "scenario",
		Short: "Networks from a file, with real programs and servers in them, that show what they do",
		Example: `  scenario ls                  what there is
  scenario up browse.yaml      bring a network up, run its steps, show what happens
  scenario test browse.yaml    the same for a test: exit code 0 or 1`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(command *cobra.Command, err error) error {
		return fmt.Errorf("%w: see %s --help", err, command.CommandPath())
	})
	root.AddCommand(a.upCommand(), a.testCommand(), a.psCommand(), a.logsCommand(), a.execCommand(), a.connectCommand(),
		a.chatCommand(), a.proxyCommand(), a.downCommand(), a.validateCommand(), a.planCommand(), a.lsCommand(),
		a.reportCommand(), a.schemaCommand(), a.ownerCommand())
	for _, agent := range a.Agents {
		root.AddCommand(agent.command())
	}
	return root
}

func (g Agent) command() *cobra.Command {
	return &cobra.Command{
		Use:                g.Name,
		Short:              g.Doc,
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(command *cobra.Command, args []string) error {
			return g.Run(command.Context(), args, command.InOrStdin(), command.OutOrStdout())
		},
	}
}

// need returns a check of the arguments that says what is missing.
func need(least, most int, what string) cobra.PositionalArgs {
	return func(command *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return fmt.Errorf("%s needs %s: %s", command.Name(), what, command.UseLine())
		case most >= 0 && len(args) > most:
			return fmt.Errorf("%s takes %s, not %q as well: %s", command.Name(), what, args[most], command.UseLine())
		}
		return nil
	}
}

// file returns the file behind a stream, or nil where it is something else.
func file(stream any) *os.File {
	f, _ := stream.(*os.File)
	return f
}
