package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/client"

	"scenario/engine"
	"scenario/engine/docker/agent"
	"scenario/engine/docker/fabric"
	"scenario/engine/docker/tunnel"
	"scenario/engine/enginetest"
	"scenario/host"
	"scenario/internal/needs"
	"scenario/nodes/role"
	"scenario/topology"
)

// TestMain is what the containers run too: the image is made from the test's own binary.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 {
		os.Exit(m.Run())
	}
	var err error
	switch os.Args[1] {
	case "node":
		err = agent.Run(context.Background(), os.Stdin, os.Stdout, append(enginetest.Kinds(), exitingKind()))
	case "fabric":
		err = fabric.Run(context.Background(), os.Stdin, os.Stdout)
	case "tunnel":
		err = tunnel.Pipe(context.Background(), os.Args[2], os.Stdin, os.Stdout)
	case "janitor":
		err = Janitor(context.Background(), os.Args[2], os.Stdin)
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// exiting is a role whose process ends when it is told to.
type exiting struct{}

func exitingKind() role.Kind {
	return role.Kind{Name: "exiting", New: func(json.RawMessage) (role.Role, error) { return exiting{}, nil }}
}

func (exiting) Serve(ctx context.Context, _ host.Host, ready func()) error {
	ready()
	<-ctx.Done()
	return nil
}

func (exiting) Do(context.Context, host.Host, string, json.RawMessage) (any, error) {
	os.Exit(3)
	return nil, nil
}

func requireDocker(t testing.TB) *Engine {
	needs.Docker(t)
	return New(Options{Janitor: []string{os.Args[0], "janitor"}})
}

// plan is a laptop behind a router that masquerades, and a server outside.
func plan(name string) *topology.Plan {
	roles := []topology.Role{{Name: "exiting"}, {Name: "greeter"}}
	return &topology.Plan{
		Name:     name,
		Networks: []topology.Network{{Name: "home"}, {Name: "outside"}},
		Nodes: []topology.Node{
			{
				Name: "laptop", Roles: roles,
				Interfaces: []topology.Interface{itf("eth0", "home", 1, "192.168.1.10/24")},
				Routes: []topology.Route{{
					Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.168.1.1"), Interface: "eth0",
				}},
			},
			{
				Name:       "router",
				Interfaces: []topology.Interface{itf("eth0", "home", 2, "192.168.1.1/24"), itf("eth1", "outside", 3, "198.51.100.1/24")},
				Router:     &topology.Router{Masquerade: []topology.Masquerade{{Interface: "eth1"}}},
			},
			{
				Name: "server", Stage: 1, Roles: roles,
				Interfaces: []topology.Interface{itf("eth0", "outside", 4, "198.51.100.80/24", "2001:db8::80/64")},
			},
		},
	}
}

func itf(name, network string, mac byte, addresses ...string) topology.Interface {
	i := topology.Interface{Name: name, Network: network, MAC: topology.MAC{2, 0, 0, 0, 0, mac}, MTU: 1500}
	for _, a := range addresses {
		i.Addresses = append(i.Addresses, netip.MustParsePrefix(a))
	}
	return i
}

func start(t testing.TB, e *Engine, plan *topology.Plan) (engine.Run, *enginetest.Output) {
	t.Helper()
	out := enginetest.NewOutput(t)
	run, err := e.Start(t.Context(), plan, out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := run.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
		expectNothingLeft(t, plan.Name)
	})
	return run, out
}

func expectNothingLeft(t testing.TB, name string) {
	t.Helper()
	provider, err := connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer provider.Close()
	left, err := provider.Client().ContainerList(context.Background(), client.ContainerListOptions{
		All: true, Filters: make(client.Filters).Add("label", labelName+"="+name),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range left.Items {
		t.Errorf("container %v is left (%s)", c.Names, c.State)
	}
}

func TestEngine(t *testing.T) {
	enginetest.Run(t, enginetest.Suite{
		With: func(t *testing.T, test func(t *testing.T, e engine.Engine)) { test(t, requireDocker(t)) },
		Left: expectNothingLeft,
	})
}

// R41: a node that crashes is noticed, and taking the rest down leaves nothing.
func TestCrash(t *testing.T) {
	run, out := start(t, requireDocker(t), plan("docker-test-crash"))
	if _, err := run.Do(t.Context(), "server", engine.Call{Role: "exiting"}); err == nil {
		t.Error("an action that ends the node succeeded")
	}
	err := <-run.Lost()
	if want := "node server: it ended with exit code 3"; err == nil || err.Error() != want {
		t.Errorf("lost: %v, want %s", err, want)
	}
	if len(out.Find("server", "fault")) != 1 {
		t.Error("the crash is in no log")
	}
}

// R41: a start that fails says why and leaves nothing.
func TestStartFails(t *testing.T) {
	e := requireDocker(t)
	tests := []struct {
		name  string
		spoil func(*topology.Plan)
		want  string
	}{
		{"wiring", func(p *topology.Plan) { p.Nodes[0].Interfaces[0].Network = "moon" }, "node laptop: interface eth0: no such network: moon"},
		{"image", func(p *topology.Plan) {
			p.Nodes[2].Roles, p.Nodes[2].Program = nil, &topology.Program{Image: "scenario-test.invalid/none:1"}
		}, "node server: image scenario-test.invalid/none:1 is not on the engine and cannot be pulled"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := plan("docker-test-fails-" + test.name)
			test.spoil(p)
			_, err := e.Start(t.Context(), p, enginetest.NewOutput(t))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q in it", err, test.want)
			}
			expectNothingLeft(t, p.Name)
		})
	}
}

// R8: a node with this machine's programs runs them in the scenario's network.
func TestMachinePrograms(t *testing.T) {
	e := requireDocker(t)
	p := plan("docker-test-rootfs")
	volumes := t.TempDir()
	if err := os.WriteFile(filepath.Join(volumes, "greet"), []byte("#!/bin/sh\necho $GREETING\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.Nodes[0].Roles, p.Nodes[0].Program = nil, &topology.Program{
		RootFS: "host", Environment: map[string]string{"GREETING": "hello"},
		Volumes: []topology.Volume{{Source: volumes, Target: "/srv/all"}, {Source: filepath.Join(volumes, "greet"), Target: "/opt/bin/one"}},
	}
	if err := e.Check(t.Context(), p); err != nil {
		var unsupported *engine.Unsupported
		if errors.As(err, &unsupported) {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	run, _ := start(t, e, p)
	var stdout, stderr bytes.Buffer
	code, err := run.Exec(t.Context(), "laptop", engine.Command{
		Args:   []string{"sh", "-c", "/srv/all/greet; /opt/bin/one; cat; echo oops >&2; exit 7"},
		Stdin:  strings.NewReader("from outside\n"),
		Stdout: &stdout, Stderr: &stderr,
	})
	if err != nil {
		t.Fatal(err)
	}
	if code != 7 || stdout.String() != "hello\nhello\nfrom outside\n" || stderr.String() != "oops\n" {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, &stdout, &stderr)
	}
}

// What the engine cannot do it says of every node, before anything starts.
func TestUnsupported(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(node *topology.Node)
		daemon string
		want   []string
	}{
		{"nothing", func(*topology.Node) {}, "tcp://far:2375", nil},
		{
			"rootfs far away", func(n *topology.Node) { n.Program = &topology.Program{RootFS: "host"} }, "tcp://far:2375",
			[]string{"node laptop: rootfs: host: the docker engine is on another machine (tcp://far:2375): use an image instead"},
		},
		{
			"link", func(n *topology.Node) { n.Interfaces[0].Up = &topology.Link{Loss: 0.01} }, "unix:///run/docker.sock",
			[]string{"node laptop: link on home: the docker engine has clean links only: use --engine embedded"},
		},
		{
			"link and capture", func(n *topology.Node) {
				n.Interfaces[0].Down, n.Interfaces[0].Capture = &topology.Link{Rate: 1e6}, true
			}, "unix:///run/docker.sock",
			[]string{
				"node laptop: link on home: the docker engine has clean links only: use --engine embedded",
				"node laptop: capture on home: the docker engine captures nothing: use --engine embedded",
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := plan("unsupported")
			test.change(&p.Nodes[0])
			var got []string
			for _, err := range New(Options{}).problems(p, test.daemon) {
				var unsupported *engine.Unsupported
				if !errors.As(err, &unsupported) {
					t.Errorf("%v is a %T", err, err)
				}
				got = append(got, err.Error())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// R41: what is left of a dead owner's run is swept by name; a run that is held is not.
func TestSweep(t *testing.T) {
	e := requireDocker(t)
	p := plan("docker-test-sweep")
	start(t, e, p)
	if n, err := e.Sweep(t.Context(), p.Name); n != 0 || err != nil {
		t.Errorf("swept %d containers of a run that is held: %v", n, err)
	}
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	machine, _, _ := strings.Cut(thisOwner(), "/")
	for owner, want := range map[string]bool{
		thisOwner(): false,
		fmt.Sprintf("%s/%d", machine, gone.Process.Pid): true,
		"elsewhere/1": false,
		"":            false,
	} {
		if got := ownerGone(owner); got != want {
			t.Errorf("owner %q is gone: %v, want %v", owner, got, want)
		}
	}
}
