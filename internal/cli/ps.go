package cli

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func (a *App) psCommand() *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "ps",
		Short: "List the runs that are up",
		Args:  need(0, 0, "no argument"),
		RunE: func(command *cobra.Command, _ []string) error {
			runs, err := liveRuns(command.Context())
			if err != nil {
				return err
			}
			if asJSON {
				lines := json.NewEncoder(a.Stdout)
				for _, run := range runs {
					if err := lines.Encode(run.Info); err != nil {
						return err
					}
				}
				return nil
			}
			table := tabwriter.NewWriter(a.Stdout, 0, 0, 3, ' ', 0)
			fmt.Fprintln(table, "NAME\tSTATE\tENGINE\tNODES\tSINCE\tFILE\tFOLDER")
			for _, run := range runs {
				info := run.Info
				fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n",
					info.Name, info.State, info.Engine, len(info.Nodes), since(info.Since), info.File, info.Folder)
			}
			return table.Flush()
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return command
}

// since is a time as a person says it on the same day; empty for none.
func since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("Jan _2 15:04:05")
}
