package record_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"scenario/event"
	"scenario/internal/needs"
	"scenario/record"
	"scenario/topology"
)

var plan = &topology.Plan{
	Name: "browse", Seed: 7, Networks: []topology.Network{}, Nodes: []topology.Node{{Name: "laptop"}, {Name: "shop"}},
}

func at(seconds int) time.Time { return time.Date(2026, 1, 1, 10, 0, seconds, 0, time.UTC) }

func line(seconds int, node, message string) event.Record {
	return event.Record{Time: at(seconds), Node: node, Event: "log", Attrs: map[string]any{"msg": message}}
}

func create(t *testing.T, dir string) *record.Folder {
	t.Helper()
	f, err := record.Create(dir, plan)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// tree is every file below dir with its content; the list of the run's own files is left out.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || name == ".lock" {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		files[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestFolderHoldsWhatItIsGiven(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "browse")
	f := create(t, dir)
	f.Record(line(2, "shop", "second"))
	f.Record(line(1, "laptop", "first"))
	f.File("laptop", "profile/cookies.json", []byte("old"))
	f.File("laptop", "profile/cookies.json", []byte("new"))
	if err := f.WriteFile(record.ReportFile, []byte("report")); err != nil {
		t.Fatal(err)
	}
	const (
		first  = `{"time":"2026-01-01T10:00:01Z","node":"laptop","event":"log","msg":"first"}` + "\n"
		second = `{"time":"2026-01-01T10:00:02Z","node":"shop","event":"log","msg":"second"}` + "\n"
	)
	// Read while the run is alive: nothing waits in a buffer that a killed run would lose. R41
	got := tree(t, dir)
	delete(got, record.PlanFile)
	want := map[string]string{
		record.EventsFile:                                 second + first,
		record.LogFile("laptop"):                          first,
		record.LogFile("shop"):                            second,
		record.NodeFile("laptop", "profile/cookies.json"): "new",
		record.ReportFile:                                 "report",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	recording, err := record.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	wanted := &record.Recording{Plan: plan, Records: []event.Record{line(1, "laptop", "first"), line(2, "shop", "second")}}
	if diff := cmp.Diff(wanted, recording, cmpopts.EquateComparable()); diff != "" {
		t.Errorf("recording (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]event.Record{line(2, "shop", "second"), line(1, "laptop", "first")}, f.Records()); diff != "" {
		t.Errorf("records in memory (-want +got):\n%s", diff)
	}
}

// Programs that are not in the run trust its authority by a file.
func TestFolderHasTheAuthority(t *testing.T) {
	dir := t.TempDir()
	f, err := record.Create(dir, &topology.Plan{Name: "secure", Authority: "PEM"})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := tree(t, dir)[record.AuthorityFile]; got != "PEM" {
		t.Errorf("the authority's file holds %q", got)
	}
}

// R41: two live runs never share a folder.
func TestFolderIsLocked(t *testing.T) {
	dir := t.TempDir()
	f := create(t, dir)
	f.Record(line(1, "shop", "mine"))
	before := tree(t, dir)
	if _, err := record.Create(dir, plan); !errors.Is(err, record.ErrBusy) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("second run: error %v, want ErrBusy with the folder's name", err)
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("the second run changed the first one's folder:\n%s", diff)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	create(t, dir)
}

func TestCreateRemovesTheLastRunsFilesOnly(t *testing.T) {
	dir := t.TempDir()
	f := create(t, dir)
	f.Record(line(1, "shop", "old"))
	f.File("laptop", "profile/cookies.json", []byte("old"))
	if err := f.WriteFile(record.JUnitFile, []byte("old")); err != nil {
		t.Fatal(err)
	}
	f.Close()
	foreign := map[string]string{
		"notes.txt": "mine", "logs/mine.jsonl": "mine", "files/laptop/notes.txt": "mine", "captures/mine.pcapng": "mine",
	}
	for name, text := range foreign {
		write(t, filepath.Join(dir, name), text)
	}
	create(t, dir)
	got := tree(t, dir)
	delete(got, record.PlanFile)
	foreign[record.EventsFile] = ""
	if diff := cmp.Diff(foreign, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(filepath.Join(dir, "files/laptop/profile")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder that held the last run's files alone: %v, want that it is gone", err)
	}
}

func TestCreateRefusesForeignFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, record.PlanFile), "my plan for the garden")
	if _, err := record.Create(dir, plan); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), record.PlanFile) {
		t.Errorf("error %v, want fs.ErrExist that names the file", err)
	}
	want := map[string]string{record.PlanFile: "my plan for the garden"}
	if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// A run that is killed while it replaces a file leaves the next content aside.
func TestCreateRemovesUnfinishedFiles(t *testing.T) {
	dir := t.TempDir()
	create(t, dir).Close()
	write(t, filepath.Join(dir, ".plan.json.tmp"), "half a pl")
	create(t, dir)
	if _, err := os.Stat(filepath.Join(dir, ".plan.json.tmp")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("unfinished file: %v, want that it is gone", err)
	}
}

func TestNamesStayInside(t *testing.T) {
	for _, c := range []struct{ node, name string }{
		{"laptop", "../../evil"}, {"laptop", "/etc/evil"}, {"laptop", ""}, {"laptop", "."}, {"laptop", "a//b"},
		{"laptop", "a\nb"}, {"..", "evil"}, {"a/b", "evil"}, {"", "evil"}, {".", "evil"},
	} {
		outer := t.TempDir()
		f := create(t, filepath.Join(outer, "run"))
		f.File(c.node, c.name, []byte("evil"))
		if f.Err() == nil {
			t.Errorf("File(%q, %q): no error", c.node, c.name)
		}
		for name := range tree(t, outer) {
			if strings.Contains(name, "evil") {
				t.Errorf("File(%q, %q) made %s", c.node, c.name, name)
			}
		}
	}
}

func TestFolderDoesNotFollowLinksOut(t *testing.T) {
	outer, dir := t.TempDir(), t.TempDir()
	f := create(t, dir)
	if err := os.Symlink(outer, filepath.Join(dir, "files")); err != nil {
		t.Fatal(err)
	}
	f.File("laptop", "evil", []byte("evil"))
	if f.Err() == nil {
		t.Error("no error")
	}
	if got := tree(t, outer); len(got) != 0 {
		t.Errorf("files outside: %v", got)
	}
}

func TestRecordOfNoNodeFails(t *testing.T) {
	f := create(t, t.TempDir())
	f.Record(line(1, "../laptop", "evil"))
	if f.Err() == nil {
		t.Error("no error")
	}
}

func TestRecordThatIsNoJSONFails(t *testing.T) {
	f := create(t, t.TempDir())
	f.Record(event.Record{Time: at(1), Node: "shop", Event: "log", Attrs: map[string]any{"msg": make(chan int)}})
	if err := f.Err(); err == nil || !strings.Contains(err.Error(), "event log of node shop") {
		t.Errorf("error %v, want one that names the event and the node", err)
	}
}

// A disk that is full ends what is written, not what is known. R41
func TestFullDisk(t *testing.T) {
	dir := smallDisk(t)
	f := create(t, dir)
	ballast := strings.Repeat("x", 4096)
	const events = 64
	for n := range events {
		f.Record(line(n%60, "shop", ballast))
	}
	select {
	case <-f.Failed():
	default:
		t.Fatal("not failed")
	}
	if err := f.Err(); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v, want ENOSPC with the folder's name", err)
	}
	if err := f.WriteFile(record.ReportFile, nil); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("WriteFile: %v, want the first error", err)
	}
	if got := len(f.Records()); got != events {
		t.Errorf("%d records in memory, want %d", got, events)
	}
	recording, err := record.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(recording.Records); got == 0 || got >= events {
		t.Errorf("%d records on disk, want some of %d", got, events)
	}
	f.Close()
	create(t, dir) // the space is there again
}

// smallDisk mounts 128 KiB of memory. Where that is not allowed the test is skipped: TestWriterFails stands in for it.
func smallDisk(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("needs tmpfs")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", dir).CombinedOutput(); err != nil {
		needs.Met(t, "root", fmt.Errorf("mount: %w: %s", err, out))
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

func TestSinceTellsOfMore(t *testing.T) {
	f := create(t, t.TempDir())
	f.Record(line(1, "shop", "one"))
	records, more := f.Since(0)
	if len(records) != 1 {
		t.Fatalf("%d records, want 1", len(records))
	}
	_, again := f.Since(1)
	for _, c := range []<-chan struct{}{more, again} {
		select {
		case <-c:
			t.Fatal("told of more before there was")
		default:
		}
	}
	f.Record(line(2, "shop", "two"))
	<-more
	<-again
	if records, _ = f.Since(1); len(records) != 1 || records[0].Attrs["msg"] != "two" {
		t.Errorf("records %v, want the second", records)
	}
	f.Close()
	f.Record(line(3, "shop", "three"))
	if records, _ = f.Since(2); len(records) != 1 || f.Err() != nil {
		t.Errorf("records %v, error %v after Close, want the third in memory and no error", records, f.Err())
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestAmend makes a file anew in the folder of a run that is over: it goes when another run takes the folder, and what is
// somebody else's stays.
func TestAmend(t *testing.T) {
	dir := t.TempDir()
	f, err := record.Create(dir, &topology.Plan{Name: "greet"})
	if err != nil {
		t.Fatal(err)
	}
	if err := record.Amend(dir, "har/1-a.har", nil); !errors.Is(err, record.ErrBusy) {
		t.Errorf("while the run goes on: error %v, want ErrBusy", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "notes"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := record.Amend(dir, "notes", []byte("mine")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("somebody else's file: error %v, want fs.ErrExist", err)
	}
	if err := record.Amend(dir, "../out", nil); err == nil {
		t.Error("a file outside the folder is written")
	}
	for _, text := range []string{"old", "new"} {
		if err := record.Amend(dir, "har/1-a.har", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, "har", "1-a.har")); err != nil || string(text) != "new" {
		t.Errorf("%q, error %v", text, err)
	}
	next, err := record.Create(dir, &topology.Plan{Name: "greet"})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if _, err := os.Stat(filepath.Join(dir, "har")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the next run finds har: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "notes")); err != nil {
		t.Error(err)
	}
}
