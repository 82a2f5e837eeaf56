// Package agent is the first process of a node's container: it plays the node's roles on the container's own network
// as the engine tells it to.
package agent

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"scenario/engine"
	"scenario/engine/docker/control"
	"scenario/event"
	"scenario/host"
	hostkernel "scenario/host/kernel"
	"scenario/nodes"
	"scenario/nodes/role"
	"scenario/pki"
)

// Operations that the agent knows.
const (
	OpStart = "start" // params Start: play the roles; the reply comes when all are ready
	OpDo    = "do"    // params engine.Call: an action of a role; the reply is its result
	OpSync  = "sync"  // the reply follows every event that went before
	OpStop  = "stop"  // end the roles; the reply follows their last events
	// OpTunnel opens TunnelSocket, where tunnel.Pipe leads; the reply comes when it is open.
	OpTunnel = "tunnel"
)

// Start tells the agent who it is. It is sent when the container's network is complete.
type Start struct {
	Node        string       `json:"node"`
	Seed        uint64       `json:"seed"`
	NameServers []netip.Addr `json:"name_servers,omitempty"`
	Search      []string     `json:"search,omitempty"`
	Authority   string       `json:"authority,omitempty"` // whom the node trusts, as PEM; empty: nobody
	Parts       []nodes.Part `json:"parts,omitempty"`
	Files       []File       `json:"files,omitempty"`   // to be written before anything is played
	Volumes     []byte       `json:"volumes,omitempty"` // an archive (tar) of more files, of the user's
}

// File is a file of the container's, which anybody may read.
type File struct {
	Path string `json:"path"` // absolute; folders on the way are made
	Data []byte `json:"data"`
}

// Run serves the engine over in and out until in ends, which takes the node down, or a role fails: that is the error.
func Run(ctx context.Context, in io.Reader, out io.Writer, kinds []role.Kind) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go reap(ctx)
	a := &agent{out: control.NewWriter(out), kinds: kinds, fail: cancel}
	err := control.Serve(ctx, in, a.out, a.handle)
	a.stop()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

type agent struct {
	out   *control.Writer
	kinds []role.Kind
	fail  context.CancelCauseFunc

	mu      sync.Mutex
	running *nodes.Running // nil: not started

	hostFor     func(role string) host.Host // the node's machine; nil: not started
	closeTunnel func()                      // nil: nobody came
}

func (a *agent) handle(ctx context.Context, op string, params json.RawMessage) (any, error) {
	switch op {
	case OpStart:
		var start Start
		if err := json.Unmarshal(params, &start); err != nil {
			return nil, fmt.Errorf("start: %w", err)
		}
		return nil, a.start(ctx, start)
	case OpDo:
		var call engine.Call
		if err := json.Unmarshal(params, &call); err != nil {
			return nil, fmt.Errorf("do: %w", err)
		}
		return a.do(ctx, call)
	case OpSync:
		return nil, nil
	case OpTunnel:
		return nil, a.tunnel()
	case OpStop:
		a.stop()
		return nil, nil
	}
	return nil, fmt.Errorf("no such operation: %s", op)
}

func (a *agent) start(ctx context.Context, start Start) error {
	servers := make([]netip.AddrPort, 0, len(start.NameServers))
	for _, addr := range start.NameServers {
		servers = append(servers, netip.AddrPortFrom(addr, 53))
	}
	certificates, err := nodes.Certificates(start.Parts)
	if err != nil {
		return err
	}
	roots, err := pki.Roots(start.Authority)
	if err != nil {
		return err
	}
	if err := errors.Join(write(start.Files), unpack(start.Volumes)); err != nil {
		return err
	}
	log := event.NewLogger(start.Node, a.out)
	sockets := new(atomic.Int64)
	hostFor := func(role string) host.Host {
		return hostkernel.New(hostkernel.Options{
			Log:         log,
			Seed:        nodes.RoleSeed(start.Seed, role),
			NameServers: servers,
			Search:      start.Search,
			Certificate: certificates[role],
			Roots:       roots,
			Sockets:     sockets,
			WriteFile: func(name string, data []byte) error {
				return a.out.Write(control.Line{File: name, Data: data})
			},
		})
	}
	node, err := nodes.New(a.kinds, start.Parts, hostFor)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.running != nil {
		return errors.New("the node has been started already")
	}
	running, err := nodes.Start(ctx, node, log)
	if err != nil {
		return err
	}
	a.running, a.hostFor = running, hostFor
	go func() {
		<-running.Ended()
		if err := running.Stop(); err != nil {
			a.fail(err)
		}
	}()
	return nil
}

// write writes files. What a program of the user's is to read, it may read whatever user it runs as.
func write(files []File) error {
	for _, f := range files {
		if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(f.Path, f.Data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// unpack writes an archive's files, folders and symbolic links, with their permissions, below the root.
func unpack(archive []byte) error {
	files := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := filepath.Join("/", header.Name)
		if header.Typeflag == tar.TypeDir {
			err = os.MkdirAll(name, 0o755)
		} else {
			err = os.MkdirAll(filepath.Dir(name), 0o755)
		}
		switch {
		case err != nil:
		case header.Typeflag == tar.TypeSymlink:
			err = os.Symlink(header.Linkname, name)
		case header.Typeflag == tar.TypeReg:
			var data []byte
			if data, err = io.ReadAll(files); err == nil {
				err = os.WriteFile(name, data, header.FileInfo().Mode().Perm())
			}
		}
		if err != nil {
			return fmt.Errorf("volume: %w", err)
		}
	}
}

func (a *agent) do(ctx context.Context, call engine.Call) (json.RawMessage, error) {
	a.mu.Lock()
	running := a.running
	a.mu.Unlock()
	if running == nil {
		return nil, errors.New("the node has not been started")
	}
	if call.Trace != "" {
		ctx = event.WithTrace(ctx, call.Trace, call.Parent)
	}
	return running.Do(ctx, call.Role, call.Action, call.Args)
}

func (a *agent) stop() {
	a.endTunnel()
	a.mu.Lock()
	running := a.running
	a.mu.Unlock()
	if running != nil {
		_ = running.Stop() // its error has been told when the roles ended
	}
}
