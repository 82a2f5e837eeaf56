package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"scenario/event"
	"scenario/expect"
	"scenario/internal/live"
	"scenario/record"
	"scenario/topology"
)

func (a *App) logsCommand() *cobra.Command {
	var name string
	var follow, asJSON bool
	command := &cobra.Command{
		Use:   "logs [-f] [NODE…]",
		Short: "Show what nodes told, during a run or after it",
		Long: `Show what nodes told, all of them where none is named. The run is the one that --run names, by its name or its folder;
without it the only one that is up, or the newest in .scenario.`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeNodes,
		RunE: func(command *cobra.Command, nodes []string) error {
			folder, run, err := findFolder(command.Context(), name)
			if err != nil {
				return err
			}
			recording, err := record.Open(folder)
			if err != nil {
				return err
			}
			if err := checkNodes(recording.Plan, nodes); err != nil {
				return err
			}
			show := logPrinter(a.Stdout, nodes, asJSON)
			if follow && run != nil {
				return followLog(command.Context(), folder, run, show)
			}
			for _, r := range recording.Records {
				if err := show(r); err != nil {
					return err
				}
			}
			return nil
		},
	}
	runFlag(command, &name)
	command.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the run ends")
	command.Flags().BoolVar(&asJSON, "json", false, "the events as they stand in the run folder")
	return command
}

// findFolder returns the folder of a run and, where it is up, the run.
func findFolder(ctx context.Context, name string) (string, *live.Client, error) {
	run, err := liveRun(ctx, name)
	if err == nil {
		return run.Info.Folder, run, nil
	}
	if !errors.Is(err, errNoRun) {
		return "", nil, err
	}
	if name == "" {
		folder, err := newestFolder()
		return folder, nil, err
	}
	for _, folder := range []string{name, filepath.Join(runsFolder, name)} {
		if _, err := os.Stat(filepath.Join(folder, record.PlanFile)); err == nil {
			return folder, nil, nil
		}
	}
	return "", nil, fmt.Errorf("no run %s: neither is one up, nor is there a folder %s", name, filepath.Join(runsFolder, name))
}

// newestFolder is the run folder in .scenario that was begun last.
func newestFolder() (string, error) {
	plans, err := filepath.Glob(filepath.Join(runsFolder, "*", record.PlanFile))
	if err != nil {
		return "", err
	}
	var newest fs.FileInfo
	var folder string
	for _, plan := range plans {
		info, err := os.Stat(plan)
		if err == nil && (newest == nil || info.ModTime().After(newest.ModTime())) {
			newest, folder = info, filepath.Dir(plan)
		}
	}
	if folder == "" {
		return "", fmt.Errorf("no run is up, and there is none in %s: give its folder with --run", runsFolder)
	}
	return folder, nil
}

func checkNodes(plan *topology.Plan, nodes []string) error {
	known := []string{expect.ScenarioNode}
	for _, node := range plan.Nodes {
		known = append(known, node.Name)
	}
	for _, node := range nodes {
		if !slices.Contains(known, node) {
			return fmt.Errorf("no node %s in run %s: there are %s", node, plan.Name, strings.Join(known, ", "))
		}
	}
	return nil
}

// logPrinter returns what prints the records of nodes, of all where there are none.
func logPrinter(w io.Writer, nodes []string, asJSON bool) func(event.Record) error {
	return func(r event.Record) error {
		if len(nodes) > 0 && !slices.Contains(nodes, r.Node) {
			return nil
		}
		if asJSON {
			line, err := r.Line()
			if err == nil {
				_, err = w.Write(line)
			}
			return err
		}
		_, err := fmt.Fprintln(w, logLine(r))
		return err
	}
}

// logLine is a record as one line: time, node, word, attributes.
func logLine(r event.Record) string {
	var line strings.Builder
	fmt.Fprintf(&line, "%s  %s  %s", r.Time.Local().Format("15:04:05.000000"), r.Node, r.Event)
	for _, key := range slices.Sorted(maps.Keys(r.Attrs)) {
		text, err := json.Marshal(r.Attrs[key])
		if err != nil {
			text = fmt.Append(nil, r.Attrs[key])
		}
		if s, ok := r.Attrs[key].(string); ok {
			text = []byte(s)
			if quoted := strconv.Quote(s); s == "" || strings.ContainsAny(s, " =") || quoted != `"`+s+`"` {
				text = []byte(quoted)
			}
		}
		fmt.Fprintf(&line, "  %s=%s", key, text)
	}
	return line.String()
}

// followLog shows a run's records as they come, from the first on. The owner says when there are more; the records
// themselves are read from the run folder, so that none is lost or told twice.
func followLog(ctx context.Context, folder string, run *live.Client, show func(event.Record) error) error {
	events, err := os.Open(filepath.Join(folder, record.EventsFile))
	if err != nil {
		return err
	}
	defer events.Close()
	tail := &tail{from: events, show: show}
	if err := run.Watch(ctx, tail.more); err != nil {
		return err
	}
	return tail.more()
}

// tail reads a growing file of records.
type tail struct {
	from io.Reader
	rest []byte // of a line that is not complete yet
	show func(event.Record) error
}

// more shows the records that were added since the last call.
func (t *tail) more() error {
	text, err := io.ReadAll(t.from)
	if err != nil {
		return err
	}
	t.rest = append(t.rest, text...)
	for {
		line, rest, whole := strings.Cut(string(t.rest), "\n")
		if !whole {
			return nil
		}
		t.rest = []byte(rest)
		var r event.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			return err
		}
		if err := t.show(r); err != nil {
			return err
		}
	}
}
