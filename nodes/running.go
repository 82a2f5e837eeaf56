package nodes

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"io"
	"log/slog"
)

// Running is a node whose roles are being played.
type Running struct {
	node  *Node
	end   context.CancelFunc
	ended chan struct{}
	err   error // set before ended is closed
}

// Start plays the node's roles and returns when all are ready. They outlive ctx, and end with Stop. The error is that of
// the role that failed, or of ctx; then nothing is being played.
func Start(ctx context.Context, node *Node, log *slog.Logger) (*Running, error) {
	playing, end := context.WithCancel(context.WithoutCancel(ctx))
	r := &Running{node: node, end: end, ended: make(chan struct{})}
	ready := make(chan struct{})
	go func() {
		defer close(r.ended)
		r.err = node.Serve(playing, log, func() { close(ready) })
	}()
	select {
	case <-ready:
		return r, nil
	case <-r.ended:
		end()
		return nil, r.err
	case <-ctx.Done():
		r.Stop()
		return nil, context.Cause(ctx)
	}
}

// Do has one of the roles carry out an action and returns the result as JSON.
func (r *Running) Do(ctx context.Context, role, action string, args json.RawMessage) (json.RawMessage, error) {
	return r.node.Do(ctx, role, action, args)
}

// Ended is closed when nothing is being played any more.
func (r *Running) Ended() <-chan struct{} { return r.ended }

// Stop ends the roles, if they have not ended, and returns the error of the one that failed.
func (r *Running) Stop() error {
	r.end()
	<-r.ended
	return r.err
}

// RoleSeed is the seed of one role's randomness: what one role draws does not depend on the others of its node.
func RoleSeed(node uint64, role string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, role) // never fails: hash.Hash
	return node ^ h.Sum64()
}
