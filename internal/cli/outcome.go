package cli

import (
	"time"

	"scenario/runner"
)

// outcome is how a run went.
type outcome struct {
	runner.Outcome
	Name        string
	File        string // as it was named
	Folder      string
	Interrupted bool
	Virtual     bool
	Duration    time.Duration // from the start until the last step's end
}

func (o outcome) passed() bool { return o.code() == exitOK }

// code is the exit code that the outcome means.
func (o outcome) code() int {
	switch {
	case o.Interrupted:
		return exitInterrupted
	case o.Failed() > 0:
		return exitFailed
	}
	return exitOK
}
