package embedded_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"

	"scenario/engine"
	"scenario/engine/embedded"
	"scenario/event"
	"scenario/host"
	"scenario/nodes"
	"scenario/record"
	"scenario/runner"
	"scenario/scenarios"
	"scenario/topology"
)

// compile makes a plan of what a test wrote.
func compile(tb testing.TB, text string) *topology.Plan {
	tb.Helper()
	spec, err := topology.Parse("test.yaml", []byte(text), nodes.Kinds(scenarios.Sites()))
	if err != nil {
		tb.Fatal(err)
	}
	plan, err := topology.Compile(spec, topology.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return plan
}

// lab is a network that is up.
type lab struct {
	testing.TB
	plan *topology.Plan
	run  engine.Run
	kept *keeper
}

// up brings a plan up until the test's end, or stop.
func up(tb testing.TB, plan *topology.Plan, options embedded.Options) *lab {
	tb.Helper()
	options.Kinds = nodes.Kinds(scenarios.Sites())
	l := &lab{TB: tb, plan: plan, kept: &keeper{captures: make(map[string]*bytes.Buffer)}}
	var err error
	if l.run, err = embedded.New(options).Start(tb.Context(), plan, l.kept); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(l.stop)
	return l
}

// stop takes the network down; once more does nothing.
func (l *lab) stop() {
	l.Helper()
	if err := l.run.Stop(context.Background()); err != nil {
		l.Error(err)
	}
}

// host is a node's machine.
func (l *lab) host(node string) host.Host {
	l.Helper()
	h, err := l.run.(embedded.Hosts).Host(node, "test")
	if err != nil {
		l.Fatal(err)
	}
	return h
}

// played plays a plan's steps, with its run's folder at a path, and returns the events.
func played(tb testing.TB, plan *topology.Plan, options embedded.Options, path string) []event.Record {
	tb.Helper()
	options.Kinds = nodes.Kinds(scenarios.Sites())
	folder, err := record.Create(path, plan)
	if err != nil {
		tb.Fatal(err)
	}
	defer folder.Close()
	// A test's own context ends, in a bubble, too early to take the network down.
	session, err := runner.Start(context.Background(), plan, embedded.New(options), folder, nil, runner.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	outcome, err := session.Play(tb.Context())
	for _, failure := range outcome.Failures() {
		tb.Errorf("%s: %s: %s", failure.Position, failure.What, failure.Reason)
	}
	if err := errors.Join(err, session.Stop(context.Background())); err != nil {
		tb.Fatal(err)
	}
	return folder.Records()
}

// withoutExpectations leaves out what is expected of a plan, which takes longer to look at than the plan to play.
func withoutExpectations(plan *topology.Plan) *topology.Plan {
	plan.Expect = nil
	for i := range plan.Steps {
		plan.Steps[i].Expect = nil
		for j := range plan.Steps[i].Parallel {
			plan.Steps[i].Parallel[j].Expect = nil
		}
	}
	return plan
}

// library is a plan of the library.
func library(tb testing.TB, name string) *topology.Plan {
	tb.Helper()
	text, err := scenarios.Files().Open(name + ".yaml")
	if err != nil {
		tb.Fatal(err)
	}
	defer text.Close()
	all, err := io.ReadAll(text)
	if err != nil {
		tb.Fatal(err)
	}
	return compile(tb, string(all))
}

// captureAll has the frames of every link kept.
func captureAll(plan *topology.Plan) *topology.Plan {
	for i := range plan.Nodes {
		for j := range plan.Nodes[i].Interfaces {
			plan.Nodes[i].Interfaces[j].Capture = true
		}
	}
	return plan
}

// keeper is an output that keeps captures in memory.
type keeper struct {
	mu       sync.Mutex
	captures map[string]*bytes.Buffer
}

func (k *keeper) Record(event.Record)         {}
func (k *keeper) File(string, string, []byte) {}
func (k *keeper) Progress(string, string)     {}

func (k *keeper) Capture(node, network string) (io.WriteCloser, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	kept := &bytes.Buffer{}
	k.captures[node+"-"+network] = kept
	return keptFile{kept}, nil
}

type keptFile struct{ io.Writer }

func (keptFile) Close() error { return nil }

// frame is a frame of a capture.
type frame struct {
	at      time.Time
	inbound bool
	data    []byte
}

// frames are those that went over a node's link. The run must have been stopped.
func (l *lab) frames(node, network string) []frame {
	l.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(l.kept.captures[node+"-"+network].Bytes()), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		l.Fatal(err)
	}
	var all []frame
	for {
		data, info, options, err := r.ReadPacketDataWithOptions()
		if err == io.EOF {
			return all
		}
		if err != nil {
			l.Fatal(err)
		}
		all = append(all, frame{info.Timestamp, options.Flags.Direction == pcapgo.NgEpbFlagDirectionInbound, data})
	}
}
