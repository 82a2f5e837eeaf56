package enginetest

import (
	"bytes"
	"io"
	"slices"
	"sync"
	"testing"

	"scenario/engine"
	"scenario/event"
)

// Output keeps all that a run brings forth. What comes after Seal fails the test.
type Output struct {
	t        testing.TB
	mu       sync.Mutex
	sealed   bool
	records  []event.Record
	files    map[string]string
	captures map[string]*capture
	states   []string
	heard    func(event.Record) // called with each record; nil: nobody listens
	progress func(node, state string)
}

var _ engine.Output = (*Output)(nil)

// capture is a capture file.
type capture struct {
	bytes.Buffer
	closed bool
}

func (c *capture) Close() error {
	c.closed = true
	return nil
}

// NewOutput returns an empty output of a run of the test's.
func NewOutput(t testing.TB) *Output {
	return &Output{t: t, files: make(map[string]string), captures: make(map[string]*capture)}
}

// Seal says that the run is over.
func (o *Output) Seal() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sealed = true
}

// late reports what comes when the run is over.
func (o *Output) late(what string) {
	if o.sealed {
		o.t.Errorf("%s comes after the end of the run", what)
	}
}

// Record implements [event.Sink].
func (o *Output) Record(r event.Record) {
	o.mu.Lock()
	o.late("event " + r.Event + " of " + r.Node)
	o.records = append(o.records, r)
	heard := o.heard
	o.mu.Unlock()
	if heard != nil {
		heard(r)
	}
}

// File implements [engine.Output].
func (o *Output) File(node, name string, data []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.late("file " + name + " of " + node)
	o.files[node+"/"+name] = string(data)
}

// Capture implements [engine.Output].
func (o *Output) Capture(node, network string) (io.WriteCloser, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.captures[node+"/"+network] = new(capture)
	return o.captures[node+"/"+network], nil
}

// Progress implements [engine.Output].
func (o *Output) Progress(node, state string) {
	o.mu.Lock()
	o.late(node + " " + state)
	o.states = append(o.states, node+" "+state)
	progress := o.progress
	o.mu.Unlock()
	if progress != nil {
		progress(node, state)
	}
}

// Find returns what a node told by a word.
func (o *Output) Find(node, word string) []event.Record {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(o.records), func(r event.Record) bool { return r.Node != node || r.Event != word })
}

// when tells when a node came to a state, as a number that grows; -1: never, or more than once.
func (o *Output) when(node, state string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	at := slices.Index(o.states, node+" "+state)
	if at >= 0 && slices.Contains(o.states[at+1:], node+" "+state) {
		return -1
	}
	return at
}
