package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"time"

	"scenario/host/errno"
	"scenario/internal/live"
	"scenario/internal/talk"
)

// dialLimit bounds how long a connection that a person asked for may take to be made.
const dialLimit = 30 * time.Second

// talker is a person, or a program in a pipe, in the network of a node.
type talker struct {
	app    *App
	run    *live.Client
	node   string
	cancel context.CancelFunc // what Ctrl-C does where it is no signal
}

// talkFrom calls f for the streams of this process and a node of a run that is up, with a context that ends with a signal.
func (a *App) talkFrom(ctx context.Context, name, node string, f func(context.Context, *talker) error) error {
	ctx, stop := signal.NotifyContext(ctx, endSignals()...)
	defer stop()
	run, err := usableRun(ctx, name, node)
	if err != nil {
		return err
	}
	return f(ctx, &talker{app: a, run: run, node: node, cancel: stop})
}

// dial connects from the node. That it cannot is told and is a failure, not a misuse.
func (t *talker) dial(ctx context.Context, addr string) (talk.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	conn, err := t.run.Dial(limited, t.node, "tcp", addr)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, t.failed(fmt.Errorf("%s cannot be reached from %s: %s", addr, t.node, reason(err)))
	}
	half, ok := conn.(talk.Conn)
	if !ok {
		conn.Close()
		return nil, fmt.Errorf("%s: a connection of the %s engine has no end of one direction", addr, t.run.Info.Engine)
	}
	return half, nil
}

// failed tells of something that went wrong in the network, and is the error of the command.
func (t *talker) failed(err error) error {
	if t.gone() {
		err = fmt.Errorf("%w (%s is down)", err, t.run.Info.Name)
	}
	t.app.complain(err)
	return exit(exitFailed)
}

// gone says whether the run has ended meanwhile, or is about to.
func (t *talker) gone() bool {
	runs, err := liveRuns(context.Background())
	if err != nil {
		return false
	}
	for _, run := range runs {
		if run.Info.Folder == t.run.Info.Folder {
			return run.Info.State == live.Stopping
		}
	}
	return true
}

// reason says why a connection could not be had, or broke, in the system's words and in plain ones.
func reason(err error) string {
	var lookup *net.DNSError
	if errors.As(err, &lookup) {
		return err.Error()
	}
	if name := errno.Name(err); name != "" {
		return name + ": " + errno.Meaning(err)
	}
	return err.Error()
}

// attended says whether a person is at a terminal that can edit lines.
func (a *App) attended() bool { return a.look().Attended && os.Getenv("TERM") != "dumb" }

// terminal takes the terminal's keys until it is closed.
func (t *talker) terminal() (*talk.Terminal, error) {
	terminal, err := talk.OpenTerminal(file(t.app.Stdin), file(t.app.Stdout), t.cancel)
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	return terminal, nil
}

// note tells a person something, where there is one.
func (t *talker) note(format string, args ...any) {
	if t.app.attended() {
		fmt.Fprintf(t.app.Stderr, format+"\n", args...)
	}
}

// usableRun returns the run, as [liveRun] does, where it has the node and is up.
func usableRun(ctx context.Context, name, node string) (*live.Client, error) {
	run, err := liveRun(ctx, name)
	if err != nil {
		return nil, err
	}
	switch run.Info.State {
	case live.NotAnswering:
		return nil, fmt.Errorf("run %s does not answer", run.Info.Name)
	case live.Starting, live.Stopping:
		return nil, fmt.Errorf("run %s is %s: its nodes can be used while it is up", run.Info.Name, run.Info.State)
	}
	if err := knownNode(node, nodeNames(run.Info)); err != nil {
		return nil, fmt.Errorf("run %s: %w", run.Info.Name, err)
	}
	return run, nil
}

// checkAddr checks that what a person gave is host:port.
func checkAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err == nil && host != "" && port != "" && strings.Trim(port, "0123456789") == "" {
		return nil
	}
	return fmt.Errorf("%q is not HOST:PORT, such as shop.example:80 or [fd00::1]:80", addr)
}
