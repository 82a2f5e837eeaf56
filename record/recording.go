// Package record keeps what a run brings forth in a folder, and reads it back.
//
// A live run writes its [Folder]; whatever is made of a run afterwards is made of the [Recording] that [Open] reads.
package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"scenario/event"
	"scenario/topology"
)

// Recording is a run as its folder tells it: enough to make every report again.
type Recording struct {
	Plan    *topology.Plan
	Records []event.Record // by time
}

// Open reads the run folder dir, of a run that is over, was killed, or still goes on. The error wraps fs.ErrNotExist
// where dir is no run folder.
func Open(dir string) (*Recording, error) {
	text, err := os.ReadFile(filepath.Join(dir, PlanFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is no run folder: it has no %s: %w", dir, PlanFile, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("run folder %s: %w", dir, err)
	}
	var recording Recording
	if err := json.Unmarshal(text, &recording.Plan); err != nil {
		return nil, fmt.Errorf("run folder %s: %s: %w", dir, PlanFile, err)
	}
	if recording.Plan == nil {
		return nil, fmt.Errorf("run folder %s: %s holds no plan", dir, PlanFile)
	}
	recording.Records, err = readEvents(filepath.Join(dir, EventsFile))
	if err != nil {
		return nil, fmt.Errorf("run folder %s: %s: %w", dir, EventsFile, err)
	}
	slices.SortStableFunc(recording.Records, func(a, b event.Record) int { return a.Time.Compare(b.Time) })
	return &recording, nil
}

// readEvents returns no records where there is no file: the run was killed before its first event.
func readEvents(name string) ([]event.Record, error) {
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return event.Read(file)
}
