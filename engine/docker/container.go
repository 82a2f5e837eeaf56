package docker

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"

	"scenario/engine/docker/control"
	"scenario/event"
	"scenario/topology"
)

// nobody is the user that the roles' processes run as; they need nothing that is root's.
const nobody = "65534:65534"

// makeTimeout bounds the making of one container.
const makeTimeout = time.Minute

// process is a container of a run with the connection to its standard streams.
type process struct {
	id      string
	pid     int // of its first process, in the machine's process namespace
	control *control.Client
	stream  client.HijackedResponse

	exited   chan struct{} // closed when it has ended and its output has been read to the end
	exitCode int64         // valid then
	exitErr  error         // the engine could not tell the exit code
}

// failure says how the process, which has exited, ended.
func (p *process) failure() error {
	if p.exitErr != nil {
		return p.exitErr
	}
	return fmt.Errorf("it ended with exit code %d", p.exitCode)
}

// launcher starts the containers of one run.
type launcher struct {
	provider *testcontainers.DockerProvider
	image    string
	run      string // label
	name     string
	owner    string
}

// request describes a container: no network, no capabilities, nothing to write but temporary files, removed when it
// ends.
func (l *launcher) request(name, node, image string, command []string) testcontainers.ContainerRequest {
	labels := map[string]string{labelRun: l.run, labelName: l.name, labelOwner: l.owner}
	if node != "" {
		labels[labelNode] = node
	}
	return testcontainers.ContainerRequest{
		Image:          image,
		Name:           l.run + "-" + name,
		Cmd:            command,
		Labels:         labels,
		ConfigModifier: lease,
		HostConfigModifier: func(h *container.HostConfig) {
			h.NetworkMode = "none"
			h.AutoRemove = true
			h.ReadonlyRootfs = true
			h.CapDrop = []string{"ALL"}
			h.SecurityOpt = []string{"no-new-privileges"}
			h.Tmpfs = map[string]string{"/tmp": "mode=1777", "/run": "mode=1777"}
		},
	}
}

// lease makes the container's standard input ours: it closes when we let go of it.
func lease(c *container.Config) {
	c.OpenStdin, c.StdinOnce = true, true
	c.AttachStdin, c.AttachStdout, c.AttachStderr = true, true, true
}

// alter adds to what a request has.
func alter(req *testcontainers.ContainerRequest, config func(*container.Config), host func(*container.HostConfig)) {
	plainConfig, plainHost := req.ConfigModifier, req.HostConfigModifier
	req.ConfigModifier = func(c *container.Config) { plainConfig(c); config(c) }
	req.HostConfigModifier = func(h *container.HostConfig) { plainHost(h); host(h) }
}

// fabric is the container that lies between the nodes.
func (l *launcher) fabric(ctx context.Context, sink event.Sink) (*process, error) {
	req := l.request("fabric", "", l.image, []string{"fabric"})
	alter(&req, func(*container.Config) {}, func(h *container.HostConfig) {
		h.PidMode = "host"
		// SYS_ADMIN and SYS_PTRACE: to enter the nodes' network namespaces; NET_ADMIN: to make links, addresses, routes
		// and rules there; KILL: to end programs of other users when the lease runs out.
		h.CapAdd = []string{"SYS_ADMIN", "SYS_PTRACE", "NET_ADMIN", "KILL"}
		// The bridges only pass frames on: with addresses of their own they would speak up in captures.
		h.Sysctls = map[string]string{"net.ipv6.conf.default.disable_ipv6": "1", "net.ipv6.conf.all.disable_ipv6": "1"}
	})
	return l.start(ctx, req, output{node: "fabric", sink: sink})
}

// node is the container in which the agent plays the node's roles, or keeps the network for its program.
func (l *launcher) node(ctx context.Context, plan *topology.Plan, node *topology.Node, out output) (*process, error) {
	req := l.request(node.Name, node.Name, l.image, []string{"node"})
	machine := node.Program != nil && node.Program.RootFS != ""
	var folders []string
	if machine {
		var err error
		if folders, err = volumeFolders(node.Program.Volumes); err != nil {
			return nil, err
		}
	}
	alter(&req, func(c *container.Config) {
		c.Hostname = node.Name
		if !machine {
			c.User = nobody
		}
	}, func(h *container.HostConfig) {
		h.DNS = append(h.DNS, node.NameServers...)
		h.Sysctls = sysctls(node)
		h.DNSSearch = searchList(node.Search)
		if machine {
			mountMachine(h)
			if plan.Authority != "" || node.Program.For != "" {
				mountTrust(h)
			}
			mountFolders(h, folders)
		}
	})
	return l.start(ctx, req, out)
}

// program is the container of a user's image, in the network of the node's own container.
func (l *launcher) program(ctx context.Context, plan *topology.Plan, node *topology.Node, network string, out output) (*process, error) {
	req := l.request(node.Name+"-program", node.Name, node.Program.Image, node.Program.Command)
	req.Env = environment(plan, node.Program)
	req.LifecycleHooks = []testcontainers.ContainerLifecycleHooks{{
		PostCreates: []testcontainers.ContainerHook{func(ctx context.Context, c testcontainers.Container) error {
			api, id := l.provider.Client(), c.GetContainerID()
			if err := copyFiles(ctx, api, id, trustFiles(plan.Authority, node.Program)); err != nil {
				return err
			}
			return copyVolumes(ctx, api, id, node.Program.Volumes)
		}},
	}}
	req.ConfigModifier = func(c *container.Config) { c.AttachStdout, c.AttachStderr = true, true }
	// An image expects what Docker gives it: its own user, Docker's default capabilities and a root it can write to.
	req.HostConfigModifier = func(h *container.HostConfig) {
		h.NetworkMode = container.NetworkMode("container:" + network)
		h.AutoRemove = true
		h.SecurityOpt = []string{"no-new-privileges"}
	}
	return l.start(ctx, req, out)
}

// searchList is the search list of resolv.conf(5). Without one Docker would take over this machine's.
func searchList(domains []string) []string {
	if len(domains) == 0 {
		return []string{"."}
	}
	return domains
}

// sysctls are the node's kernel settings, all of its own network namespace.
func sysctls(node *topology.Node) map[string]string {
	s := map[string]string{
		"net.ipv4.ping_group_range":           "0 2147483647", // ping without a raw socket
		"net.ipv4.ip_unprivileged_port_start": "0",
		"net.ipv6.conf.all.disable_ipv6":      "0",
		"net.ipv6.conf.default.disable_ipv6":  "0",
		"net.ipv6.conf.default.accept_dad":    "0", // addresses come from the plan, each once
		"net.ipv6.conf.default.accept_ra":     "0", // and so do routes
		"net.ipv4.icmp_ratelimit":             "0", // every packet that is thrown away gets its word: traceroute counts on it
		"net.ipv6.icmp.ratelimit":             "0",
		"net.ipv4.ip_forward":                 "0", // a new namespace has what the machine has, which Docker sets
	}
	if node.Router != nil {
		s["net.ipv4.ip_forward"] = "1"
		s["net.ipv6.conf.all.forwarding"] = "1"
		s["net.ipv6.conf.default.forwarding"] = "1"
	}
	return s
}

// machineFiles are the parts of this machine, beside /usr, that its programs read: neither the private keys nor Chromium's
// policies, in whose place there may be one of ours.
func machineFiles() []string {
	const openSSL, chromium = "/etc/ssl", "/etc/chromium"
	return append(slices.Concat(below(openSSL, openSSL+"/private"), below(chromium, chromium+"/policies")),
		"/etc/alternatives", "/etc/ca-certificates", "/etc/fonts", "/etc/ld.so.cache", "/etc/ld.so.conf.d",
		"/etc/chromium.d", "/etc/services", "/etc/protocols", "/etc/mime.types", "/etc/traceroute",
	)
}

// mountMachine gives a container this machine's programs, read-only.
func mountMachine(h *container.HostConfig) {
	// ping, mtr and tcpdump want raw sockets, and some cannot even be started without the capability. The sockets are
	// those of the node's own network.
	h.CapAdd = []string{"NET_RAW"}
	h.Binds = []string{"/usr:/usr:ro"}
	for _, name := range machineFiles() {
		if _, err := os.Stat(name); err == nil {
			h.Binds = append(h.Binds, name+":"+name+":ro")
		}
	}
	h.Tmpfs["/var"] = "mode=1777"
	h.ShmSize = 256 << 20 // browsers draw there
}

// output is where what a container writes goes.
type output struct {
	node string
	sink event.Sink
	file func(name string, data []byte)
}

// start makes, attaches to and starts a container, in this order, so that no output is lost.
func (l *launcher) start(ctx context.Context, req testcontainers.ContainerRequest, out output) (*process, error) {
	api := l.provider.Client()
	// A call that is given up is carried out all the same, and its container would appear when everything has been
	// removed: so this one is waited for.
	makeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), makeTimeout)
	defer cancel()
	made, err := l.provider.CreateContainer(makeCtx, req)
	if err != nil {
		return nil, fmt.Errorf("make container: %w", err)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	p := &process{id: made.GetContainerID(), exited: make(chan struct{})}
	attached, err := api.ContainerAttach(ctx, p.id, client.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	if err != nil {
		return nil, fmt.Errorf("attach to container: %w", err)
	}
	p.stream = attached.HijackedResponse
	p.control = control.NewClient(p.stream.Conn)
	// Asked before the start, so that an exit code is not missed however soon it comes.
	ended := api.ContainerWait(context.WithoutCancel(ctx), p.id, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	go func() {
		defer close(p.exited)
		p.receive(out)
		select {
		case status := <-ended.Result:
			p.exitCode = status.StatusCode
		case p.exitErr = <-ended.Error:
		}
	}()
	if err := made.Start(ctx); err != nil {
		p.stream.Close()
		return nil, fmt.Errorf("start container: %w", err)
	}
	state, err := api.ContainerInspect(ctx, p.id, client.ContainerInspectOptions{})
	if err != nil {
		return nil, fmt.Errorf("look at container: %w", err)
	}
	p.pid = state.Container.State.Pid
	return p, nil
}

// receive reads the container's output until it ends. What is on standard error, or is no line of ours, becomes a log
// line of the node.
func (p *process) receive(out output) {
	log := event.NewLogger(out.node, out.sink)
	plain := func(stream string) func(string) {
		return func(text string) {
			event.Emit(context.Background(), log, event.LogLine{Stream: stream, Message: text})
		}
	}
	lines, stdout := io.Pipe()
	stderr := &lineWriter{line: plain("stderr")}
	go func() {
		_, err := stdcopy.StdCopy(stdout, stderr, p.stream.Reader)
		stderr.flush()
		stdout.CloseWithError(err)
	}()
	// An error here is the end of the container as seen from the connection; how it ended, its exit code tells.
	_ = p.control.Receive(lines, out.sink, out.file, plain("stdout"))
	lines.Close()
}
