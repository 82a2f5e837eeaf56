package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
)

// A detached run has an owner of its own, which is this program again under the hidden command ownerCommand: in a session
// of its own, so that the end of the terminal does not end it. The job comes in on its standard input, which is a lease
// as well: when it ends before the run is ready, the process that asked for the run is dead, and the run goes down. What
// is to be shown goes out on its standard output as messages, until the run is ready or over.

// ownerCommand is the hidden command's name.
const ownerCommand = "owner"

// ownerLog keeps, in the run folder, what a detached owner shows.
const ownerLog = "owner.log"

// message is one line from a detached owner to the process that asked for the run.
type message struct {
	Out   string `json:"out,omitempty"`
	Err   string `json:"err,omitempty"`
	Ready bool   `json:"ready,omitempty"` // the run stays up
	Code  int    `json:"code,omitempty"`  // exit code, where ready
}

// detach has an owner of its own do a job and shows what it tells, until the run is ready or over.
func (a *App) detach(ctx context.Context, j job) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	process := exec.Command(self, ownerCommand)
	process.SysProcAttr = ownSession()
	lease, err := process.StdinPipe()
	if err != nil {
		return err
	}
	messages, err := process.StdoutPipe()
	if err != nil {
		return err
	}
	if err := process.Start(); err != nil {
		return fmt.Errorf("start the owner of the run: %w", err)
	}
	first := func() {} // the owner tells, in its own place on the terminal
	return untilSignal(ctx, first, func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, func() { lease.Close() })
		defer stop()
		if _, err := lease.Write(append(text, '\n')); err != nil {
			return errors.Join(fmt.Errorf("hand the run over to its owner: %w", err), process.Wait())
		}
		ready, err := a.show(messages)
		if ready {
			return err
		}
		if err := process.Wait(); err != nil {
			return ownersEnd(err)
		}
		return nil
	})
}

// ownersEnd is what a dead owner's exit comes to: its own exit code, or the tale of its death.
func ownersEnd(err error) error {
	var status *exec.ExitError
	if errors.As(err, &status) && status.Exited() {
		return code(status.ExitCode())
	}
	return fmt.Errorf("the owner of the run died: %w: see %s in the run folder", err, ownerLog)
}

// show prints messages until the run is ready; false where they end before.
func (a *App) show(messages io.Reader) (bool, error) {
	lines := json.NewDecoder(messages)
	for {
		var m message
		if err := lines.Decode(&m); err != nil {
			// What is no message is the last word of a program that crashed.
			if !errors.Is(err, io.EOF) {
				io.Copy(a.Stderr, io.MultiReader(lines.Buffered(), messages))
			}
			return false, nil
		}
		io.WriteString(a.Stdout, m.Out)
		io.WriteString(a.Stderr, m.Err)
		if m.Ready {
			return true, code(m.Code)
		}
	}
}

func (a *App) ownerCommand() *cobra.Command {
	return &cobra.Command{
		Use:    ownerCommand,
		Short:  "Own a detached run, which comes in on standard input",
		Hidden: true,
		Args:   need(0, 0, "no argument"),
		RunE: func(command *cobra.Command, _ []string) error {
			in := json.NewDecoder(a.Stdin)
			var j job
			if err := in.Decode(&j); err != nil {
				return fmt.Errorf("owner: %w", err)
			}
			return a.own(command.Context(), j, in)
		},
	}
}

// own does a job as its detached owner. lease has no more values, but ends when the process that asked for the run does.
func (a *App) own(ctx context.Context, j job, lease *json.Decoder) error {
	signal.Ignore(syscall.SIGPIPE) // a parent that died is noticed by its lease
	parent := &parent{to: json.NewEncoder(a.Stdout)}
	if stdout := file(a.Stdout); stdout != nil {
		debug.SetCrashOutput(stdout, debug.CrashOptions{}) // for as long as there is no better place
	}
	detached := *a
	detached.Stdout = parent.writer(func(text string) message { return message{Out: text} })
	detached.Stderr = parent.writer(func(text string) message { return message{Err: text} })
	defer parent.close()

	show := newDisplay(j, detached.Stdout, detached.Stderr)
	err := untilSignal(ctx, func() { show.note(interrupted) }, func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() {
			var nothing json.RawMessage
			if lease.Decode(&nothing) != nil && parent.waiting() {
				show.note(interrupted)
				cancel()
			}
		}()
		result, err := detached.carryOut(ctx, j, show, hooks{
			opened: parent.open,
			ready:  func(o outcome) { parent.ready(o.code()) },
		})
		if err != nil {
			return err
		}
		return code(result.code())
	})
	return detached.told(err)
}

// told says what is wrong where the error does not stand for something that was said, and leaves the exit code.
func (a *App) told(err error) error {
	var status exit
	switch {
	case err == nil || errors.As(err, &status):
		return err
	case errors.Is(err, context.Canceled):
		return exit(exitInterrupted)
	}
	a.complain(err)
	return exit(exitUnusable)
}

// parent is the process that asked for a detached run, as the owner writes to it, and the owner's log.
type parent struct {
	mu    sync.Mutex
	to    *json.Encoder // nil when the run is ready
	log   *os.File      // nil before there is a run folder
	early []byte        // for the log
}

// writer returns a writer to the parent and the log.
func (p *parent) writer(wrap func(string) message) io.Writer {
	return writerFunc(func(text []byte) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.to != nil {
			p.to.Encode(wrap(string(text)))
		}
		if p.log != nil {
			p.log.Write(text)
		} else {
			p.early = append(p.early, text...)
		}
	})
}

// open begins the log in the run folder. A run without a log is still a run.
func (p *parent) open(folder string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	log, err := os.Create(filepath.Join(folder, ownerLog))
	if err != nil {
		p.to.Encode(message{Err: "warning: " + err.Error() + "\n"})
		return
	}
	log.Write(p.early)
	p.log, p.early = log, nil
	debug.SetCrashOutput(log, debug.CrashOptions{})
}

// ready lets the parent go.
func (p *parent) ready(exitCode int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to.Encode(message{Ready: true, Code: exitCode})
	p.to = nil
}

// waiting says whether the parent has not been let go yet.
func (p *parent) waiting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.to != nil
}

func (p *parent) close() {
	if p.log != nil {
		p.log.Close()
	}
}

// writerFunc makes a function that cannot fail an io.Writer.
type writerFunc func([]byte)

func (w writerFunc) Write(text []byte) (int, error) {
	w(text)
	return len(text), nil
}
