package cli

import (
	"encoding/json"
	"io"

	"github.com/spf13/cobra"

	"scenario/topology"
)

func (a *App) planCommand() *cobra.Command {
	var options compileOptions
	var asJSON bool
	command := &cobra.Command{
		Use:               "plan FILE",
		Short:             "Show what a scenario comes to: every address, route, zone and step",
		Args:              need(1, 1, "one file"),
		ValidArgsFunction: a.completeFiles,
		RunE: func(_ *cobra.Command, args []string) error {
			plan, err := a.load(args[0], options)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.Stdout, plan)
			}
			return plan.WriteText(a.Stdout)
		},
	}
	options.flags(command)
	command.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return command
}

func (a *App) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of scenario files, for editors",
		Args:  need(0, 0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			schema, err := topology.Schema(a.Kinds)
			if err != nil {
				return err
			}
			_, err = a.Stdout.Write(schema)
			return err
		},
	}
}

// writeJSON writes v for a person to read.
func writeJSON(w io.Writer, v any) error {
	text := json.NewEncoder(w)
	text.SetIndent("", "  ")
	text.SetEscapeHTML(false)
	return text.Encode(v)
}
