package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *App) validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "validate FILE…",
		Short:             "Check scenario files: every mistake with its place",
		Args:              need(1, -1, "a file"),
		ValidArgsFunction: a.completeFiles,
		RunE: func(_ *cobra.Command, files []string) error {
			bad := false
			for _, file := range files {
				plan, err := a.load(file, compileOptions{})
				if err != nil {
					a.complain(err)
					bad = true
					continue
				}
				fmt.Fprintf(a.Stdout, "%s: ok, %s, %s, %s\n", file,
					count(len(plan.Nodes), "node"), count(len(plan.Networks), "network"), count(len(plan.Steps), "step"))
			}
			if bad {
				return code(exitUnusable)
			}
			return nil
		},
	}
}

// count is a number of things in words: "1 node", "2 nodes".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
