package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"scenario/internal/live"
)

// errNoRun is the error of a command that needs a run that is up.
var errNoRun = errors.New("no such run is up")

// liveRuns lists the user's runs that are up.
func liveRuns(ctx context.Context) ([]*live.Client, error) {
	dir, err := live.Folder()
	if err != nil {
		return nil, err
	}
	return live.List(ctx, dir)
}

// liveRun returns the run of that name, or with that run folder; the only one where name is empty. Where several have the
// name, the one whose folder lies below the working directory is meant. The error wraps [errNoRun] where there is none.
func liveRun(ctx context.Context, name string) (*live.Client, error) {
	runs, err := liveRuns(ctx)
	if err != nil {
		return nil, err
	}
	if name == "" {
		if len(runs) == 0 {
			return nil, fmt.Errorf("%w: start one with scenario up -d FILE", errNoRun)
		}
		return only(runs, "several runs are up: say which by its name (scenario ps lists them)")
	}
	folder, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	var named []*live.Client
	for _, run := range runs {
		if run.Info.Folder == folder {
			return run, nil
		}
		if run.Info.Name == name {
			named = append(named, run)
		}
	}
	if len(named) == 0 {
		return nil, fmt.Errorf("%w: %s%s", errNoRun, name, others(runs))
	}
	if here, err := filepath.Abs(runsFolder); err == nil {
		if i := slices.IndexFunc(named, func(c *live.Client) bool { return filepath.Dir(c.Info.Folder) == here }); i >= 0 {
			return named[i], nil
		}
	}
	return only(named, "several runs have the name "+name+": give the run folder instead")
}

// only returns the one run there is, or an error that lists them.
func only(runs []*live.Client, otherwise string) (*live.Client, error) {
	if len(runs) == 1 {
		return runs[0], nil
	}
	var list strings.Builder
	for _, run := range runs {
		fmt.Fprintf(&list, "\n  %s  %s", run.Info.Name, run.Info.Folder)
	}
	return nil, errors.New(otherwise + list.String())
}

// others names the runs that are up, for an error about one that is not.
func others(runs []*live.Client) string {
	if len(runs) == 0 {
		return " (none is)"
	}
	var names []string
	for _, run := range runs {
		names = append(names, run.Info.Name)
	}
	return " (up: " + strings.Join(names, ", ") + ")"
}

// runFlag adds --run.
func runFlag(command *cobra.Command, name *string) {
	command.Flags().StringVar(name, "run", "", "`name` or folder of the run (default: the only one that is up)")
	command.RegisterFlagCompletionFunc("run", completeRuns)
}

// completeRuns completes the names of the runs that are up.
func completeRuns(command *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	runs, err := liveRuns(command.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, run := range runs {
		names = append(names, run.Info.Name)
	}
	return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
}

// completeNodes completes the names of the nodes of the run that --run names, or of all that are up.
func completeNodes(command *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	runs, err := liveRuns(command.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	wanted, _ := command.Flags().GetString("run")
	var names []string
	for _, run := range runs {
		if wanted != "" && run.Info.Name != wanted {
			continue
		}
		for _, node := range run.Info.Nodes {
			names = append(names, node.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
}
