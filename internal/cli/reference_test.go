package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const referenceFile = "../../docs/cli.md"

const referenceIntro = `# Commands

FILE is the path of a scenario file, a name of the library (` + "`scenario ls`" + `), or - for standard input. NAME is the name of a run:
the file's, or what --name says. DIR is a run folder, .scenario/NAME where --out says nothing else.

Runs that are up are found by every terminal of the same user; where there is only one, it need not be named. A run is up
until it is taken down, or until the process that owns it ends, however it ends.

| variable | what it does |
|---|---|
| DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CONFIG | which Docker engine is used, as for ` + "`docker`" + ` itself |
| SCENARIO_BINARY | a Linux build of scenario for the containers, where this one is no Linux program |
| XDG_RUNTIME_DIR | the sockets of runs are in its folder ` + "`scenario`" + `; without it in the folder for temporary files |
| NO_COLOR | if not empty, no colours |
| TERM | ` + "`dumb`" + `: no colours and no line that changes |

This page is made from the commands.
`

// docs/cli.md is what the commands say of themselves.
func TestReference(t *testing.T) {
	app := fakeApp()
	app.Engines = []Engine{{Name: "docker"}, {Name: "embedded"}} // those of the program
	root := app.root()
	root.InitDefaultCompletionCmd("completion")
	var page strings.Builder
	page.WriteString(referenceIntro)
	for _, command := range root.Commands() {
		if command.IsAvailableCommand() {
			describe(&page, command)
		}
	}
	if *update {
		if err := os.WriteFile(referenceFile, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(page.String(), string(got)); diff != "" {
		t.Errorf("docs/cli.md is not what the commands say; run go test ./internal/cli -run TestReference -update:\n%s", diff)
	}
}

func describe(page *strings.Builder, command *cobra.Command) {
	fmt.Fprintf(page, "\n## %s\n\n    %s\n\n", command.Name(), command.UseLine())
	long := command.Long
	if long == "" {
		long = command.Short + "."
	}
	page.WriteString(strings.TrimSpace(long) + "\n")
	if command.HasExample() {
		fmt.Fprintf(page, "\n```text\n%s\n```\n", command.Example)
	}
	if names := shells(command); len(names) > 0 {
		fmt.Fprintf(page, "\nThe shells are %s: `scenario %s SHELL --help` tells how to load it.\n", strings.Join(names, ", "), command.Name())
	}
	var rows []string
	command.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" && !f.Hidden {
			rows = append(rows, flagRow(f))
		}
	})
	if len(rows) > 0 {
		page.WriteString("\n| flag | |\n|---|---|\n" + strings.Join(rows, ""))
	}
}

// shells lists what a command can be followed by.
func shells(command *cobra.Command) []string {
	var names []string
	for _, sub := range command.Commands() {
		names = append(names, sub.Name())
	}
	slices.Sort(names)
	return names
}

func flagRow(f *pflag.Flag) string {
	value, meaning := pflag.UnquoteUsage(f)
	name := "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", " + name
	}
	if value != "" {
		name += " " + value
	}
	if f.DefValue != "" && f.DefValue != "[]" && f.DefValue != "false" && f.DefValue != "0" {
		meaning += " (default: " + f.DefValue + ")"
	}
	return fmt.Sprintf("| `%s` | %s |\n", name, meaning)
}
