package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"scenario/internal/live"
)

func (a *App) downCommand() *cobra.Command {
	var all bool
	var engineName string
	command := &cobra.Command{
		Use:   "down [NAME]",
		Short: "Take a run down; nothing of it is left",
		Long: `Take down the run NAME, or the only one that is up, or all of them (--all). Where the process that owned a run was
killed, what its engine still holds under that name is removed.`,
		Args:              need(0, 1, "the name of a run"),
		ValidArgsFunction: completeRuns,
		RunE: func(command *cobra.Command, args []string) error {
			chosen, _, err := a.chooseEngine(command.Context(), engineName, false, nil)
			if err != nil {
				return err
			}
			switch {
			case all && len(args) > 0:
				return errors.New("down takes a name or --all, not both")
			case all:
				return a.downAll(command.Context(), chosen)
			case len(args) == 0:
				return a.downNamed(command.Context(), "", chosen)
			}
			return a.downNamed(command.Context(), args[0], chosen)
		},
	}
	command.Flags().BoolVar(&all, "all", false, "all runs")
	a.engineFlag(command, &engineName)
	return command
}

// downNamed asks the owner of a run to take it down, or the engine to remove what a dead owner left.
func (a *App) downNamed(ctx context.Context, name string, chosen Engine) error {
	run, err := liveRun(ctx, name)
	if errors.Is(err, errNoRun) && name != "" {
		removed, sweepErr := a.sweep(ctx, name, chosen)
		if sweepErr != nil {
			return sweepErr
		}
		if removed > 0 {
			return nil
		}
	}
	if err != nil {
		return err
	}
	return a.take(ctx, run, chosen)
}

func (a *App) downAll(ctx context.Context, chosen Engine) error {
	runs, err := liveRuns(ctx)
	if err != nil {
		return err
	}
	var problems []error
	for _, run := range runs {
		problems = append(problems, a.take(ctx, run, chosen))
	}
	removed, err := a.sweep(ctx, "", chosen)
	if len(runs) == 0 && removed == 0 && err == nil {
		fmt.Fprintln(a.Stdout, "nothing is up")
	}
	return errors.Join(append(problems, err)...)
}

// take has the owner of a run take it down. Where the owner dies meanwhile, the engine removes the rest.
func (a *App) take(ctx context.Context, run *live.Client, chosen Engine) error {
	if run.Info.State == live.NotAnswering {
		return fmt.Errorf("run %s does not answer: kill its owner, then run scenario down %s again", run.Info.Name, run.Info.Name)
	}
	err := run.Down(ctx)
	if errors.Is(err, live.ErrGone) {
		_, err = a.sweep(ctx, run.Info.Name, chosen)
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", run.Info.Name, err)
	}
	fmt.Fprintf(a.Stdout, "%s is down\n", run.Info.Name)
	return nil
}

// sweep has the engine remove what dead owners left, and says so where there was anything.
func (a *App) sweep(ctx context.Context, name string, chosen Engine) (int, error) {
	if chosen.Sweep == nil {
		return 0, nil
	}
	removed, err := chosen.Sweep(ctx, name)
	if err != nil {
		return removed, fmt.Errorf("remove what dead runs left: %w", err)
	}
	if removed > 0 {
		fmt.Fprintf(a.Stdout, "removed %s that dead runs left\n", count(removed, "thing"))
	}
	return removed, nil
}
