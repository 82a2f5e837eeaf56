package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"

	"scenario/event"
	"scenario/topology"
)

// The files of a run folder. All names are slash-separated and relative to it.
const (
	PlanFile      = "plan.json"    // the compiled plan
	AuthorityFile = "ca.pem"       // the certificate of the plan's authority, where it has one
	EventsFile    = "events.jsonl" // every event, as it came in
	ReportFile    = "report.txt"
	JUnitFile     = "junit.xml"
)

// LogFile is the file that keeps what one node told.
func LogFile(node string) string { return "logs/" + node + ".jsonl" }

// NodeFile is where a file stands that a node keeps.
func NodeFile(node, name string) string { return "files/" + node + "/" + name }

// CaptureFile is where the frames of a node's link to a network stand.
func CaptureFile(node, network string) string { return "captures/" + node + "-" + network + ".pcapng" }

// ErrBusy is the error of Create where another live run uses the folder.
var ErrBusy = errors.New("another run is using this folder")

// Folder is the run folder of a live run. Its methods may be called from any goroutine.
//
// Nothing is buffered: what a method was given is in the system's hands when it returns, so that a killed run loses
// nothing. After the first write that fails nothing more is written, but records are still kept in memory.
type Folder struct {
	dir  string
	root *os.Root
	list *list

	mu      sync.Mutex
	events  io.WriteCloser
	logs    map[string]io.WriteCloser
	records []event.Record
	more    chan struct{} // closed at the next record; nil when nobody waits
	err     error
	failed  chan struct{}
	closed  bool
}

// Create makes the run folder dir for plan, or takes over one whose run is over: the files that the older run made there
// are removed, any others stay. The error wraps [ErrBusy] while that run is still alive, and fs.ErrExist where a file
// that is not of an older run stands in the way.
func Create(dir string, plan *topology.Plan) (*Folder, error) {
	f, err := create(dir, plan)
	if err != nil {
		return nil, fmt.Errorf("run folder %s: %w", dir, err)
	}
	return f, nil
}

func create(dir string, plan *topology.Plan) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	f := &Folder{dir: dir, root: root, logs: make(map[string]io.WriteCloser), failed: make(chan struct{})}
	if f.list, err = openList(root); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	if err := f.begin(plan); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Amend replaces a file that is made of a run in its folder, when the run is over. The error wraps [ErrBusy] while it is
// alive, and fs.ErrExist where a file that is not of the run stands in the way.
func Amend(dir, name string, data []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("run folder %s: %w", dir, err)
		}
	}()
	if !validName(name) {
		return fmt.Errorf("%q is no valid name", name)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	f := &Folder{dir: dir, root: root}
	if f.list, err = openList(root); err != nil {
		return errors.Join(err, root.Close())
	}
	err = f.list.load()
	if err == nil {
		err = f.replace(name, data)
	}
	return errors.Join(err, f.list.close(), root.Close())
}

// begin empties the folder and writes what stands in it before the first event.
func (f *Folder) begin(plan *topology.Plan) error {
	if err := f.list.clear(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(plan, "", "  ")
	if err != nil {
		return err
	}
	if err := f.replace(PlanFile, append(text, '\n')); err != nil {
		return err
	}
	if plan.Authority != "" {
		if err := f.replace(AuthorityFile, []byte(plan.Authority)); err != nil {
			return err
		}
	}
	f.events, err = f.append(EventsFile)
	return err
}

// Dir is the folder's path, as Create was given it.
func (f *Folder) Dir() string { return f.dir }

// Record appends r to the log of all events and to that of its node.
func (f *Folder) Record(r event.Record) {
	line, err := r.Line()
	if err != nil {
		err = fmt.Errorf("event %s of node %s: %w", r.Event, r.Node, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.records = append(f.records, r)
	if f.more != nil {
		close(f.more)
		f.more = nil
	}
	if f.err != nil || f.closed {
		return
	}
	if err == nil {
		err = f.write(r.Node, line)
	}
	f.fail(err)
}

// write appends one line to the logs, each with one call.
func (f *Folder) write(node string, line []byte) error {
	if _, err := f.events.Write(line); err != nil {
		return err
	}
	log := f.logs[node]
	if log == nil {
		if err := checkNode(node); err != nil {
			return err
		}
		var err error
		if log, err = f.append(LogFile(node)); err != nil {
			return err
		}
		f.logs[node] = log
	}
	_, err := log.Write(line)
	return err
}

// File replaces a file that a node keeps.
func (f *Folder) File(node, name string, data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil || f.closed {
		return
	}
	err := checkNode(node)
	if err == nil && !validName(name) {
		err = fmt.Errorf("file of node %s: %q is no valid name", node, name)
	}
	if err == nil {
		err = f.replace(NodeFile(node, name), data)
	}
	f.fail(err)
}

// Capture makes the file that keeps the frames of a node's link to a network. A write that fails fails the folder.
func (f *Folder) Capture(node, network string) (io.WriteCloser, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return nil, f.err
	}
	name := CaptureFile(node, network)
	if f.closed {
		return nil, fmt.Errorf("run folder %s: %s: %w", f.dir, name, fs.ErrClosed)
	}
	if !validName(name) {
		return nil, fmt.Errorf("run folder %s: %q is no valid name", f.dir, name)
	}
	file, err := f.append(name)
	if err != nil {
		f.fail(err)
		return nil, f.err
	}
	return &capture{file, f}, nil
}

// capture is a capture file that is being written.
type capture struct {
	io.WriteCloser
	folder *Folder
}

func (c *capture) Write(p []byte) (int, error) {
	n, err := c.WriteCloser.Write(p)
	if err != nil {
		c.folder.mu.Lock()
		defer c.folder.mu.Unlock()
		c.folder.fail(err)
	}
	return n, err
}

// WriteFile replaces a file of the run itself, such as its report. The error is the first that the folder met.
func (f *Folder) WriteFile(name string, data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	if f.closed {
		return fmt.Errorf("run folder %s: %s: %w", f.dir, name, fs.ErrClosed)
	}
	if !validName(name) {
		return fmt.Errorf("run folder %s: %q is no valid name", f.dir, name)
	}
	f.fail(f.replace(name, data))
	return f.err
}

// fail keeps the first error; f.mu is held.
func (f *Folder) fail(err error) {
	if err != nil && f.err == nil {
		f.err = fmt.Errorf("run folder %s: %w", f.dir, err)
		close(f.failed)
	}
}

// Failed is closed when a write has failed: Err tells why.
func (f *Folder) Failed() <-chan struct{} { return f.failed }

// Err is the first error of a write.
func (f *Folder) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// Records returns all records so far, as they came in. They are the folder's own: not to be changed.
func (f *Folder) Records() []event.Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.records[:len(f.records):len(f.records)]
}

// Since returns the records from the nth on, and a channel that is closed as soon as there are more.
func (f *Folder) Since(n int) ([]event.Record, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.more == nil {
		f.more = make(chan struct{})
	}
	return f.records[n:len(f.records):len(f.records)], f.more
}

// Close ends the folder's use and gives up its lock. Records that come later are kept in memory alone.
func (f *Folder) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	var errs []error
	if f.events != nil {
		errs = append(errs, f.events.Close())
	}
	for _, log := range f.logs {
		errs = append(errs, log.Close())
	}
	return errors.Join(append(errs, f.list.close(), f.root.Close())...)
}

// append opens a file of ours that only grows.
func (f *Folder) append(name string) (*os.File, error) {
	if err := f.list.add(name); err != nil {
		return nil, err
	}
	if err := f.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return nil, err
	}
	return f.root.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o644)
}

// replace puts a file of ours in place as a whole: whoever reads it, or a run that is killed, meets the old or the new
// content, never a part.
func (f *Folder) replace(name string, data []byte) error {
	if err := f.list.add(name); err != nil {
		return err
	}
	if err := f.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if err := f.root.WriteFile(temporary(name), data, 0o644); err != nil {
		return err
	}
	return f.root.Rename(temporary(name), name)
}

// temporary is where the next content of a file is written before it takes the file's name.
func temporary(name string) string { return path.Join(path.Dir(name), "."+path.Base(name)+".tmp") }

func checkNode(node string) error {
	if !validName(node) || strings.Contains(node, "/") {
		return fmt.Errorf("%q is no valid name of a node", node)
	}
	return nil
}
