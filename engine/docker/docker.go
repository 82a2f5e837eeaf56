// Package docker carries plans out on a Docker engine: a container for each node, and one, the fabric, that lies
// between them.
//
// Nothing is mounted from the machine of the CLI and nothing is published on it (rootfs: host excepted), so the engine
// may be a remote one. Commands go to the containers' standard input and events come from their standard output; the
// input is their lease: when the CLI dies it closes, and they end.
package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/testcontainers/testcontainers-go"

	"scenario/engine"
	"scenario/nodes/role"
	"scenario/topology"
)

// Labels on everything that this engine makes.
const (
	labelRun   = "scenario.run"   // one run: its name and a random suffix
	labelName  = "scenario.name"  // the run's name
	labelOwner = "scenario.owner" // the process that holds the run: MACHINE/PID
	labelNode  = "scenario.node"  // the node; absent on the fabric
	labelImage = "scenario.image"
)

// minAPI is the oldest API that knows all we ask for (Docker 19.03).
const minAPI = 40

// Options configure the engine.
type Options struct {
	// Binary is the Linux executable that the containers run, as "BINARY node", "BINARY fabric" and "BINARY tunnel". Empty: this one.
	Binary string
	// Janitor is the command, with the run's label appended, whose process removes the run's containers when its
	// standard input closes. It covers what no lease can: a container that was made but never started.
	Janitor []string
}

// Engine is the Docker engine that DOCKER_HOST or the current Docker context names.
type Engine struct {
	options Options

	mu      sync.Mutex
	checked *testcontainers.DockerProvider // the connection of a Check, for the Start that comes next; nil: none
}

var _ engine.Engine = (*Engine)(nil)

// New returns the engine. Nothing is asked of Docker yet.
func New(options Options) *Engine { return &Engine{options: options} }

// Name is "docker".
func (e *Engine) Name() string { return "docker" }

// Check says whether Docker answers and what of the plan it cannot do.
func (e *Engine) Check(ctx context.Context, plan *topology.Plan) error {
	provider, err := e.connect(ctx)
	if err != nil {
		return err
	}
	defer e.keep(provider)
	api := provider.Client()
	if version := api.ClientVersion(); minor(version) < minAPI {
		return fmt.Errorf("the Docker engine at %s speaks API %s: 1.%d (Docker 19.03) or later is needed", api.DaemonHost(), version, minAPI)
	}
	return errors.Join(e.problems(plan, api.DaemonHost())...)
}

// problems tells what of the plan cannot be done with a daemon at that address.
func (e *Engine) problems(plan *topology.Plan, daemon string) []error {
	var problems []error
	for _, node := range plan.Nodes {
		problem := func(what, why string) {
			problems = append(problems, &engine.Unsupported{Engine: e.Name(), Node: node.Name, What: what, Why: why})
		}
		if node.Program != nil && node.Program.RootFS != "" {
			what := "rootfs: " + node.Program.RootFS
			if node.Program.For != "" {
				what = "role " + node.Program.For
			}
			if why := rootfsProblem(daemon); why != "" {
				problem(what, why)
			} else if why := missingPrograms(node.Program.Needs); why != "" {
				problem(what, why)
			}
		}
		for _, i := range node.Interfaces {
			if i.Up != nil || i.Down != nil {
				problem("link on "+i.Network, "has clean links only: use --engine embedded")
			}
			if i.Capture {
				problem("capture on "+i.Network, "captures nothing: use --engine embedded")
			}
		}
	}
	return problems
}

// connect returns the connection that was kept, or a new one.
func (e *Engine) connect(ctx context.Context) (*testcontainers.DockerProvider, error) {
	e.mu.Lock()
	kept := e.checked
	e.checked = nil
	e.mu.Unlock()
	if kept != nil {
		return kept, nil
	}
	return connect(ctx)
}

// keep keeps a connection for the next who connects.
func (e *Engine) keep(provider *testcontainers.DockerProvider) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.checked != nil {
		e.checked.Close()
	}
	e.checked = provider
}

func minor(version string) int {
	_, after, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(after)
	if err != nil {
		return 0
	}
	return n
}

// rootfsProblem says why a node cannot have this machine's programs; empty where it can.
func rootfsProblem(daemon string) string {
	if !strings.HasPrefix(daemon, "unix://") {
		return "is on another machine (" + daemon + "): use an image instead"
	}
	if runtime.GOOS != "linux" {
		return "needs Linux to mount this machine's programs: use an image instead"
	}
	for _, dir := range []string{"bin", "lib"} {
		if target, err := os.Readlink("/" + dir); err != nil || !strings.HasSuffix(target, "usr/"+dir) {
			return "needs a machine with merged /usr (/" + dir + " is no link into it): use an image instead"
		}
	}
	return ""
}

// missingPrograms says which of the programs that a role runs this machine lacks; empty: none.
func missingPrograms(needs []role.Program) string {
	for _, program := range needs {
		if !belowUsr(program.Name) {
			why := "finds no program " + strconv.Quote(program.Name) + " below /usr of this machine: "
			if program.Package == "" {
				return why + "check the name"
			}
			return why + "install Debian's package " + program.Package + " (apt-get install " + program.Package + "), or name another program"
		}
	}
	return ""
}

// belowUsr says whether a node with this machine's programs finds one of that name.
func belowUsr(name string) bool {
	paths := []string{name}
	if !strings.Contains(name, "/") {
		paths = paths[:0]
		for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"} {
			paths = append(paths, dir+"/"+name)
		}
	}
	for _, path := range paths {
		file, err := os.Stat(path)
		if err == nil && file.Mode().IsRegular() && file.Mode().Perm()&0o111 != 0 && strings.HasPrefix(filepath.Clean(path), "/usr/") {
			return true
		}
	}
	return false
}
