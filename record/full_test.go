package record

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"scenario/event"
	"scenario/topology"
)

// TestWriterFails needs no privileges for a real full disk: the log of all events is /dev/full.
func TestWriterFails(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /dev/full")
	}
	f, err := Create(t.TempDir(), &topology.Plan{Name: "full"})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.events.Close(); err != nil {
		t.Fatal(err)
	}
	f.events = full
	for range 2 {
		f.Record(event.Record{Time: time.Unix(0, 0), Node: "shop", Event: "log"})
	}
	<-f.Failed()
	if err := f.Err(); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), f.Dir()) {
		t.Errorf("error %v, want ENOSPC with the folder's name", err)
	}
	if n := len(f.Records()); n != 2 {
		t.Errorf("%d records in memory, want 2", n)
	}
}
