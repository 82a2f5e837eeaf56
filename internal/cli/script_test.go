package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"scenario/engine"
	"scenario/internal/live"
)

var update = flag.Bool("update", false, "rewrite the expected outputs in the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"scenario": func() { os.Exit(fakeApp().Main(os.Args[1:])) }})
}

// fakeApp is the command line with the fake engine, the role of the tests and a library of two scenarios.
func fakeApp() *App {
	return &App{
		Engines: []Engine{{
			Name:  "fake",
			New:   func(Setting) (engine.Engine, error) { return fakeEngine{}, nil },
			Sweep: fakeSweep,
		}},
		Kinds: fakeKinds(),
		Library: fstest.MapFS{
			"greet.yaml": {Data: []byte(greet)},
			"quiet.yaml": {Data: []byte("# Nobody says anything.\nnetworks: {lan: 10.0.0.0/24}\nnodes: {a: {networks: [lan], toy: red}}\n")},
		},
		Agents: []Agent{{
			Name: "agent",
			Doc:  "For tests.",
			Run: func(_ context.Context, args []string, in io.Reader, out io.Writer) error {
				text, err := io.ReadAll(in)
				fmt.Fprintf(out, "agent %q %q\n", args, text)
				return err
			},
		}},
		Stdin:  os.Stdin,
		Stdout: os.Stdout,
		Stderr: os.Stderr,
	}
}

const greet = `# Two machines greet each other. This is all they do.
#
# There is more to say.
networks:
  lan: 10.0.0.0/24
nodes:
  ann: {networks: [lan], toy: red}
  bob: {networks: [lan], toy: }
steps:
  - {node: ann, say: hello, name: first, expect: [result.text == 'hello']}
  - {node: bob, say: hi, name: second}
expect:
  - steps.second.text == 'hi'
`

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start":       start,
			"await":       await,
			"signal":      sendSignal,
			"signalowner": signalOwner,
			"finish":      finish,
			"code":        exitCode,
			"fetch":       fetch,
			"serve":       serve,
		},
	})
}

// setup gives a script a folder for its sockets, with a short path, and one for what its runs keep alive.
func setup(env *testscript.Env) error {
	sockets, err := os.MkdirTemp("", "run")
	if err != nil {
		return err
	}
	env.Defer(func() {
		killOwners(filepath.Join(sockets, "scenario"))
		os.RemoveAll(sockets)
	})
	kept := filepath.Join(env.WorkDir, "alive")
	env.Setenv("XDG_RUNTIME_DIR", sockets)
	env.Setenv(envAlive, kept)
	env.Values[processesKey{}] = make(map[string]*process)
	return os.Mkdir(kept, 0o700)
}

// killOwners ends what a script that failed left up.
func killOwners(dir string) {
	runs, err := live.List(context.Background(), dir)
	if err != nil {
		return // nothing was ever up
	}
	for _, run := range runs {
		if owner, err := os.FindProcess(run.Info.PID); err == nil && run.Info.PID > 0 {
			owner.Kill()
		}
	}
}

type processesKey struct{}

// process is a program that a script talks to while it runs.
type process struct {
	command *exec.Cmd
	output  *output
}

// output is what a process has written so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed at the next write
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.text.Write(p)
}

func (o *output) read() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.more
}

// awaitLimit ends a test that waits for something that never comes.
const awaitLimit = 30 * time.Second

// start NAME PROGRAM ARG… starts a program, which the other commands know as NAME.
func start(ts *testscript.TestScript, _ bool, args []string) {
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	p := &process{command: exec.Command(path, args[2:]...), output: &output{more: make(chan struct{})}}
	p.command.Dir = ts.MkAbs(".")
	p.command.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+ts.Getenv("XDG_RUNTIME_DIR"), envAlive+"="+ts.Getenv(envAlive),
		envFault+"="+ts.Getenv(envFault))
	p.command.Stdout, p.command.Stderr = p.output, p.output
	ts.Check(p.command.Start())
	ts.Defer(func() {
		if p.command.ProcessState == nil {
			p.command.Process.Kill()
			p.command.Wait()
		}
	})
	processes(ts)[args[0]] = p
}

func processes(ts *testscript.TestScript) map[string]*process {
	return ts.Value(processesKey{}).(map[string]*process)
}

func named(ts *testscript.TestScript, name string) *process {
	p := processes(ts)[name]
	if p == nil {
		ts.Fatalf("no process %s was started", name)
	}
	return p
}

// await NAME PATTERN waits until the process has written what matches.
func await(ts *testscript.TestScript, _ bool, args []string) {
	p, pattern := named(ts, args[0]), regexp.MustCompile("(?m)"+args[1])
	limit := time.After(awaitLimit)
	for {
		text, more := p.output.read()
		if pattern.MatchString(text) {
			return
		}
		select {
		case <-more:
		case <-limit:
			ts.Fatalf("%s has not written %s but:\n%s", args[0], args[1], text)
		}
	}
}

var signals = map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": os.Kill}

// signal NAME INT|TERM|HUP|KILL sends a signal to the process.
func sendSignal(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(named(ts, args[0]).command.Process.Signal(signals[args[1]]))
}

// finish NAME CODE waits for the process to end with the exit code; what it wrote becomes the script's stdout.
func finish(ts *testscript.TestScript, _ bool, args []string) {
	p := named(ts, args[0])
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.command.Wait()
	}()
	select {
	case <-done:
	case <-time.After(awaitLimit):
		text, _ := p.output.read()
		ts.Fatalf("%s does not end:\n%s", args[0], text)
	}
	text, _ := p.output.read()
	io.WriteString(ts.Stdout(), text)
	if got := strconv.Itoa(p.command.ProcessState.ExitCode()); got != args[1] {
		ts.Fatalf("%s: exit code %s, want %s:\n%s", args[0], got, args[1], text)
	}
}

// code CODE PROGRAM ARG… runs a program that must end with the exit code.
func exitCode(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var status *exec.ExitError
	if err != nil {
		if !errors.As(err, &status) {
			ts.Fatalf("%v", err)
		}
		got = status.ExitCode()
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// signalOwner NAME SIGNAL sends a signal to the owner of a run that is up, and waits until the run has ended.
func signalOwner(ts *testscript.TestScript, _ bool, args []string) {
	runs, err := live.List(context.Background(), filepath.Join(ts.Getenv("XDG_RUNTIME_DIR"), "scenario"))
	ts.Check(err)
	for _, run := range runs {
		if run.Info.Name == args[0] {
			owner, err := os.FindProcess(run.Info.PID)
			ts.Check(err)
			ts.Check(owner.Signal(signals[args[1]]))
			ts.Check(run.Watch(context.Background(), func() error { return nil }))
			return
		}
	}
	ts.Fatalf("no run %s is up", args[0])
}
