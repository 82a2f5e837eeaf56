package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"scenario/engine/docker/agent"
	"scenario/engine/docker/tunnel"
)

// imageProgram is this program in the containers: see imageFiles.
const imageProgram = "/scenario"

// way leads into one node for connections from outside; it is made when it is first needed.
type way struct {
	mu      sync.Mutex
	session *tunnel.Session // nil: none yet
	closed  bool
}

// errStopped is the error of a way into a node that is being taken down.
var errStopped = errors.New("the node is being taken down")

// Dial implements [engine.Inside].
func (r *run) Dial(ctx context.Context, node, network, addr string) (net.Conn, error) {
	m, err := r.member(node)
	if err != nil {
		return nil, err
	}
	session, err := r.session(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", node, err)
	}
	return session.Dial(ctx, network, addr)
}

// session returns the node's tunnel, and makes one where there is none or it has ended.
func (r *run) session(ctx context.Context, m *member) (*tunnel.Session, error) {
	m.way.mu.Lock()
	defer m.way.mu.Unlock()
	switch {
	case m.way.closed:
		return nil, errStopped
	case m.way.session != nil && !m.way.session.Ended():
		return m.way.session, nil
	}
	// While the lock is held the node cannot be taken down.
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	if err := m.agent.control.Call(ctx, agent.OpTunnel, nil, nil); err != nil {
		return nil, err
	}
	pipe, err := r.pipe(ctx, m.agent.id)
	if err != nil {
		return nil, fmt.Errorf("tunnel: %w", err)
	}
	session, err := tunnel.NewSession(pipe)
	if err != nil {
		return nil, errors.Join(err, pipe.Close())
	}
	m.way.session = session
	return session, nil
}

// close ends the connections from outside.
func (w *way) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.session != nil {
		_ = w.session.Close() // a session that has ended is as good
	}
}

// pipe starts the process in a node's container that leads to the agent's socket, and returns its standard streams.
func (r *run) pipe(ctx context.Context, container string) (io.ReadWriteCloser, error) {
	api := r.launcher.provider.Client()
	made, err := api.ExecCreate(ctx, container, client.ExecCreateOptions{
		Cmd:         []string{imageProgram, "tunnel", agent.TunnelSocket},
		AttachStdin: true, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return nil, err
	}
	// The streams outlast the connection that asked for them first.
	attached, err := api.ExecAttach(context.WithoutCancel(ctx), made.ID, client.ExecAttachOptions{})
	if err != nil {
		return nil, err
	}
	p := &execPipe{HijackedResponse: attached.HijackedResponse}
	var stdout *io.PipeWriter
	p.stdout, stdout = io.Pipe()
	go func() {
		complaint := new(brief)
		_, err := stdcopy.StdCopy(stdout, complaint, attached.Reader)
		if err == nil && len(complaint.text) > 0 {
			err = errors.New(string(complaint.text))
		}
		stdout.CloseWithError(err)
	}()
	return p, nil
}

// execPipe is the standard streams of a process that docker exec started.
type execPipe struct {
	client.HijackedResponse
	stdout *io.PipeReader
}

func (p *execPipe) Read(b []byte) (int, error)  { return p.stdout.Read(b) }
func (p *execPipe) Write(b []byte) (int, error) { return p.Conn.Write(b) }

func (p *execPipe) Close() error {
	p.HijackedResponse.Close()
	return p.stdout.Close()
}

// brief keeps the beginning of what a process complains of.
type brief struct{ text []byte }

func (b *brief) Write(p []byte) (int, error) {
	const most = 1 << 10 // bytes
	b.text = append(b.text, p[:min(len(p), most-len(b.text))]...)
	return len(p), nil
}
