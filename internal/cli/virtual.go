package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"scenario/internal/bubble"
)

// clock is what --time takes: a pflag.Value.
type clock struct{ virtual bool }

// Values of --time.
const (
	timeReal    = "real"
	timeVirtual = "virtual"
)

func (c *clock) String() string {
	if c.virtual {
		return timeVirtual
	}
	return timeReal
}

// Set reads the value.
func (c *clock) Set(text string) error {
	switch text {
	case timeReal, timeVirtual:
		c.virtual = text == timeVirtual
		return nil
	}
	return fmt.Errorf("it is %s or %s", timeReal, timeVirtual)
}

// Type names the value in help.
func (c *clock) Type() string { return "clock" }

func (c *clock) flag(command *cobra.Command) {
	command.Flags().Var(c, "time", "`clock` that the run goes by: real, or virtual, in which waiting takes none and the same seed gives the same events")
	command.RegisterFlagCompletionFunc("time", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{timeReal, timeVirtual}, cobra.ShellCompDirectiveNoFileComp
	})
}

// carryOutVirtually does a job in virtual time: in a bubble, whose goroutines must not wait for anything outside. So
// everything is made in it, it has no socket for other terminals, and ctx is looked at as the run goes on.
func (a *App) carryOutVirtually(ctx context.Context, j job, show display, on hooks) (outcome, error) {
	var result outcome
	var failure error
	cancel := func() {}
	stopped := bubble.Run(func(beat func()) {
		ctx, end := context.WithCancel(context.Background())
		cancel = end
		defer end()
		result, failure = a.carryOutHere(ctx, j, show, on, Setting{Virtual: true, Beat: beat})
	}, func() {
		if ctx.Err() != nil {
			cancel()
		}
	})
	if stopped != nil {
		return result, stopped
	}
	return result, failure
}

// errStayVirtual is the error of a run in virtual time that is to stay up.
var errStayVirtual = errors.New("a run in virtual time cannot stay up: nobody could reach it, and its time would be over at once; " +
	"leave --time virtual out")
