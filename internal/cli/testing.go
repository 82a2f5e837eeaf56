package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"scenario/record"
	"scenario/report"
	"scenario/runner"
	"scenario/topology"
)

func (a *App) testCommand() *cobra.Command {
	var options runOptions
	var junit string
	command := &cobra.Command{
		Use:   "test FILE…",
		Short: "Run scenarios as tests",
		Long: `Run scenarios one after the other, each as up does, and tell in a line how it went; failures at length.

Exit code: 0, 1 where a step or an expectation failed, 2 where a run could not be had, 130 where it was interrupted.`,
		Args:              need(1, -1, "a file"),
		ValidArgsFunction: a.completeFiles,
		RunE: func(command *cobra.Command, files []string) error {
			if len(files) > 1 && (options.folder != "" || options.name != "") {
				return errors.New("--out and --name are for one run: give one file")
			}
			tests := &tests{app: a, options: options}
			worst := tests.runAll(command.Context(), files)
			if junit != "" {
				if err := tests.writeJUnit(junit); err != nil {
					return err
				}
			}
			return code(worst)
		},
	}
	options.flags(a, command)
	command.Flags().StringVar(&junit, "junit", "", "write the results of all files as JUnit to `file`")
	return command
}

// tests are the runs of one test command.
type tests struct {
	app     *App
	options runOptions
	folders []string // of the runs that there were
}

// runAll runs the files and returns the exit code: that of an interruption, or the gravest.
func (t *tests) runAll(ctx context.Context, files []string) int {
	worst := exitOK
	for _, file := range files {
		switch c := t.run(ctx, file); {
		case c == exitInterrupted:
			return c
		default:
			worst = max(worst, c)
		}
	}
	return worst
}

func (t *tests) run(ctx context.Context, file string) int {
	j, err := t.options.job(ctx, t.app, file)
	if err == nil {
		var result outcome
		result, err = t.app.attached(ctx, j, t.display(j), func(folder string) { t.folders = append(t.folders, folder) })
		if err == nil {
			return result.code()
		}
	}
	var status exit
	if !errors.As(t.app.told(err), &status) {
		return exitOK
	}
	if status != exitInterrupted && !t.options.json {
		fmt.Fprintf(t.app.Stdout, "ERROR %s: could not be run\n", file)
	}
	return int(status)
}

// display shows a run as a test: while it goes on on a terminal alone, and in a few lines when it is over.
func (t *tests) display(j job) display {
	if j.Look.JSON {
		return newDisplay(j, t.app.Stdout, t.app.Stderr)
	}
	d := &testDisplay{app: t.app}
	if j.Look.Live {
		d.live = newLiveDisplay(j, t.app.Stdout, t.app.Stderr)
	}
	return d
}

// writeJUnit writes the results of all runs as one file.
func (t *tests) writeJUnit(name string) error {
	var runs []*record.Recording
	for _, folder := range t.folders {
		run, err := record.Open(folder)
		if err != nil {
			return err
		}
		runs = append(runs, run)
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(report.JUnit(file, runs...), file.Close())
}

// testDisplay shows a run as a test.
type testDisplay struct {
	app  *App
	live *liveDisplay // nil where standard error is no terminal
}

func (d *testDisplay) progress(node, state string) {
	if d.live != nil {
		d.live.progress(node, state)
	}
}

func (d *testDisplay) playing(step topology.Step) {
	if d.live != nil {
		d.live.playing(step)
	}
}

func (d *testDisplay) step(*record.Recording, runner.StepOutcome, []runner.ExpectOutcome) {}

func (d *testDisplay) played(*record.Recording, outcome) {}

func (d *testDisplay) up(outcome, string) {}

func (d *testDisplay) note(text string) {
	if d.live != nil {
		d.live.note(text)
		return
	}
	fmt.Fprintln(d.app.Stderr, text)
}

func (d *testDisplay) end(o outcome) {
	if d.live != nil {
		d.live.settle(func() {})
	}
	word := "ok   "
	if !o.passed() {
		word = "FAIL "
	}
	fmt.Fprintf(d.app.Stdout, "%s %s: %s\n", word, o.Name, o.tally())
	for _, f := range o.Failures() {
		fmt.Fprint(d.app.Stdout, failureText(f))
	}
	if !o.passed() {
		fmt.Fprintf(d.app.Stdout, "      run folder: %s\n", o.Folder)
	}
}

// tally is the outcome in numbers.
func (o outcome) tally() string {
	text := count(len(o.Steps), "step") + ", " + count(len(o.Expect), "expectation")
	if n := o.Failed(); n > 0 {
		text += fmt.Sprintf(", %d failed", n)
	}
	if o.Skipped > 0 {
		text += fmt.Sprintf(", %d skipped", o.Skipped)
	}
	if o.Interrupted {
		text += ", interrupted"
	}
	text = fmt.Sprintf("%s, %s", text, o.Duration.Round(time.Millisecond))
	if o.Virtual {
		text += " of virtual time"
	}
	return text
}

// failureText tells what was expected, what happened and where to look.
func failureText(f runner.Failure) string {
	var text strings.Builder
	line := func(label, value string) {
		if value != "" {
			fmt.Fprintf(&text, "      %-8s %s\n", label, strings.ReplaceAll(value, "\n", "\n               "))
		}
	}
	line("expected", f.What)
	line("because", f.Because)
	line("found", f.Reason)
	line("stands", f.Position)
	line("look at", f.Look)
	return text.String()
}
