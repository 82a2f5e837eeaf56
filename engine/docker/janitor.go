package docker

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

const (
	// janitorWatch is how long a janitor looks for containers whose making was under way when their owner died.
	janitorWatch = 2 * time.Second
	// janitorPause lies between its looks.
	janitorPause = 250 * time.Millisecond
)

// janitor is the process that outlives us if we are killed and removes what we made.
type janitor struct {
	command *exec.Cmd
	hold    io.Closer // its standard input: it acts when this closes
}

// startJanitor starts the janitor of a run; without a command there is none.
func startJanitor(command []string, run string) (*janitor, error) {
	if len(command) == 0 {
		return nil, nil
	}
	cmd := exec.Command(command[0], append(command[1:len(command):len(command)], run)...)
	// In a session of its own, so that a signal to our process group does not end it with us.
	cmd.SysProcAttr = ownSession()
	cmd.Env = os.Environ()
	hold, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start the janitor: %w", err)
	}
	return &janitor{command: cmd, hold: hold}, nil
}

// dismiss ends the janitor when there is nothing left to remove.
func (j *janitor) dismiss() {
	if j == nil {
		return
	}
	// Killed first: closing its input would send it to work.
	_ = j.command.Process.Kill()
	_ = j.hold.Close()
	_ = j.command.Wait() // "signal: killed" is what was asked for
}

// Janitor waits until in ends and then removes every container of the run.
func Janitor(ctx context.Context, run string, in io.Reader) error {
	if _, err := io.Copy(io.Discard, in); err != nil {
		return fmt.Errorf("janitor: %w", err)
	}
	provider, err := connect(ctx)
	if err != nil {
		return fmt.Errorf("janitor: %w", err)
	}
	defer provider.Close()
	end := time.After(janitorWatch)
	for {
		if _, err := removeRun(ctx, provider.Client(), labelRun, run); err != nil {
			return fmt.Errorf("janitor: run %s: %w", run, err)
		}
		select {
		case <-time.After(janitorPause):
		case <-end:
			return nil
		}
	}
}
