package cli

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"scenario/record"
	"scenario/report"
)

func (a *App) reportCommand() *cobra.Command {
	var raw bool
	var page string
	command := &cobra.Command{
		Use:   "report RUN",
		Short: "Tell a run again from its folder, or from its name below .scenario",
		Args:  need(1, 1, "the folder or the name of a run"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(_ *cobra.Command, args []string) error {
			run, err := openRun(args[0])
			if err != nil {
				return err
			}
			look := a.look()
			look.Raw = raw
			if page != "" {
				return writePage(page, run)
			}
			return report.Text(a.Stdout, run, look.report())
		},
	}
	command.Flags().BoolVar(&raw, "raw", false, "show requests and responses as bytes on the wire")
	command.Flags().StringVar(&page, "html", "", "write a web page to `file` instead")
	return command
}

// openRun reads the run folder of that path, or of that name below .scenario.
func openRun(name string) (*record.Recording, error) {
	run, err := record.Open(name)
	if err == nil || filepath.Base(name) != name {
		return run, err
	}
	if named, inner := record.Open(filepath.Join(runsFolder, name)); inner == nil {
		return named, nil
	}
	return nil, err
}

// writePage writes the report as a web page.
func writePage(name string, run *record.Recording) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(report.HTML(file, run), file.Close())
}
