package nodes

import (
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"io"
	"log/slog"
	"sync"
)

// Running is a node whose roles are being played.
type Running struct {
	node    *Node
	playing context.Context // ends with the roles
	end     context.CancelFunc
	ended   chan struct{}
	err     error // set before ended is closed

	mu    sync.Mutex
	over  bool           // no more actions
	doing sync.WaitGroup // actions under way
}

// errEnded is why an action ends with the node, or cannot begin.
var errEnded = errors.New("the node has ended")

// Start plays the node's roles and returns when all are ready. They outlive ctx, and end with Stop. The error is that of
// the role that failed, or of ctx; then nothing is being played.
func Start(ctx context.Context, node *Node, log *slog.Logger) (*Running, error) {
	playing, end := context.WithCancel(context.WithoutCancel(ctx))
	r := &Running{node: node, playing: playing, end: end, ended: make(chan struct{})}
	ready := make(chan struct{})
	go func() {
		defer close(r.ended)
		r.err = node.Serve(playing, log, func() { close(ready) })
		end()
	}()
	select {
	case <-ready:
		return r, nil
	case <-r.ended:
		return nil, r.err
	case <-ctx.Done():
		r.Stop()
		return nil, context.Cause(ctx)
	}
}

// Do has one of the roles carry out an action and returns the result as JSON. The action's context ends with the node.
func (r *Running) Do(ctx context.Context, role, action string, args json.RawMessage) (json.RawMessage, error) {
	r.mu.Lock()
	if r.over {
		r.mu.Unlock()
		return nil, errEnded
	}
	r.doing.Add(1)
	r.mu.Unlock()
	defer r.doing.Done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(r.playing, func() { cancel(errEnded) })
	defer stop()
	return r.node.Do(ctx, role, action, args)
}

// Ended is closed when nothing is being played any more.
func (r *Running) Ended() <-chan struct{} { return r.ended }

// Stop ends the roles, if they have not ended, and the actions under way, and returns the error of the role that failed.
func (r *Running) Stop() error {
	r.mu.Lock()
	r.over = true
	r.mu.Unlock()
	r.end()
	<-r.ended
	r.doing.Wait()
	return r.err
}

// RoleSeed is the seed of one role's randomness: what one role draws does not depend on the others of its node.
func RoleSeed(node uint64, role string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, role) // never fails: hash.Hash
	return node ^ h.Sum64()
}
