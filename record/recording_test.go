package record_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scenario/record"
)

// R41: the folder of a killed run can be read.
func TestOpenPassesOverACutLine(t *testing.T) {
	dir := t.TempDir()
	f := create(t, dir)
	f.Record(line(1, "shop", "whole"))
	f.Close()
	events, err := os.OpenFile(filepath.Join(dir, record.EventsFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := events.WriteString(`{"time":"2026-01-01T10:00:02Z","node":"sh`); err != nil {
		t.Fatal(err)
	}
	if err := events.Close(); err != nil {
		t.Fatal(err)
	}
	recording, err := record.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(recording.Records) != 1 {
		t.Errorf("%d records, want the whole one", len(recording.Records))
	}
}

func TestOpenOfARunWithoutEvents(t *testing.T) {
	dir := t.TempDir()
	create(t, dir).Close()
	if err := os.Remove(filepath.Join(dir, record.EventsFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := record.Open(dir); err != nil {
		t.Error(err)
	}
}

func TestOpenErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"no run folder", map[string]string{"notes.txt": ""}, "is no run folder: it has no plan.json"},
		{"broken plan", map[string]string{"plan.json": "{"}, "plan.json: unexpected end of JSON input"},
		{"no plan", map[string]string{"plan.json": "null"}, "plan.json holds no plan"},
		{"broken event", map[string]string{"plan.json": "{}", "events.jsonl": "x\n{}\n"}, "events.jsonl: line 1: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range c.files {
				write(t, filepath.Join(dir, name), text)
			}
			_, err := record.Open(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("error %v, want one with %q and the folder", err, c.want)
			}
		})
	}
	if _, err := record.Open(filepath.Join(t.TempDir(), "nothing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want fs.ErrNotExist", err)
	}
}
