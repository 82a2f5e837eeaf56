package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func (a *App) lsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List the built-in scenarios",
		Args:  need(0, 0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			table := tabwriter.NewWriter(a.Stdout, 0, 0, 3, ' ', 0)
			for _, file := range a.libraryNames() {
				plan, err := a.load(file, compileOptions{})
				if err != nil {
					return err
				}
				fmt.Fprintf(table, "%s\t%s\n", file, firstSentence(plan.Doc))
			}
			return table.Flush()
		},
	}
}

// firstSentence is the beginning of a comment up to its first full stop, on one line.
func firstSentence(doc string) string {
	paragraph, _, _ := strings.Cut(strings.TrimSpace(doc), "\n\n")
	line := strings.Join(strings.Fields(paragraph), " ")
	if i := strings.Index(line, ". "); i >= 0 {
		line = line[:i]
	}
	return strings.TrimSuffix(line, ".")
}
