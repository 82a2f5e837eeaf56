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
	var page, folder string
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
			if folder != "" {
				if err := writeFiles(folder, run); err != nil {
					return err
				}
			}
			if page != "" {
				return writePage(page, run)
			}
			if folder != "" {
				return nil
			}
			return report.Text(a.Stdout, run, look.report())
		},
	}
	command.Flags().BoolVar(&raw, "raw", false, "show requests and responses as bytes on the wire")
	command.Flags().StringVar(&page, "html", "", "write a web page to `file` instead")
	command.Flags().StringVar(&folder, "out", "", "write report.txt, junit.xml, har/ and waterfall/ to `folder` instead, which may be the run's own")
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

// writeFiles writes all files that are made of a run to a folder, in the place of older ones. In a run folder they are the
// run's, and go when another run takes the folder.
func writeFiles(folder string, run *record.Recording) error {
	files, err := report.Files(run)
	if err != nil {
		return err
	}
	_, err = os.Stat(filepath.Join(folder, record.PlanFile))
	runs := err == nil
	for _, f := range files {
		if runs {
			if err := record.Amend(folder, f.Name, f.Data); err != nil {
				return err
			}
			continue
		}
		name := filepath.Join(folder, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
