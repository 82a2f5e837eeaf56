// Package nodes runs the roles of a node and lists the roles there are.
package nodes

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"scenario/event"
	"scenario/host"
	"scenario/nodes/role"
	"scenario/pki"
)

// Part names a role that a node plays and its options.
type Part struct {
	Role    string          `json:"role"`
	Options json.RawMessage `json:"options,omitempty"`
	// Certificate is what the role proves its node's names with; nil: it has none.
	Certificate *pki.Certificate `json:"certificate,omitempty"`
}

// Certificates are those of the parts that have one, by role.
func Certificates(parts []Part) (map[string]*tls.Certificate, error) {
	certificates := make(map[string]*tls.Certificate)
	for _, part := range parts {
		if part.Certificate == nil {
			continue
		}
		made, err := part.Certificate.TLS()
		if err != nil {
			return nil, fmt.Errorf("role %s: %w", part.Role, err)
		}
		certificates[part.Role] = &made
	}
	return certificates, nil
}

// Node is one node's roles.
type Node struct {
	names []string
	roles map[string]playing
}

// playing is a role with the host it sees.
type playing struct {
	role.Role
	host host.Host
}

// New makes the roles of a node from the kinds there are. hostFor gives each role the node's machine as it sees it:
// one network and log for all, but randomness of its own, so that what one draws does not depend on the others.
func New(kinds []role.Kind, parts []Part, hostFor func(role string) host.Host) (*Node, error) {
	n := &Node{roles: make(map[string]playing)}
	for _, part := range parts {
		i := slices.IndexFunc(kinds, func(k role.Kind) bool { return k.Name == part.Role })
		if i < 0 {
			return nil, fmt.Errorf("no such role: %s", part.Role)
		}
		options := part.Options
		if len(options) == 0 {
			options = json.RawMessage("{}")
		}
		r, err := kinds[i].New(options)
		if err != nil {
			return nil, fmt.Errorf("role %s: %w", part.Role, err)
		}
		n.names = append(n.names, part.Role)
		n.roles[part.Role] = playing{r, hostFor(part.Role)}
	}
	return n, nil
}

// Serve plays every role until ctx ends, or one of them fails. It calls ready once, when all are ready. What concerns the
// node as a whole goes to log.
func (n *Node) Serve(ctx context.Context, log *slog.Logger, ready func()) error {
	group, roleCtx := errgroup.WithContext(ctx)
	var waiting atomic.Int64
	waiting.Store(int64(len(n.names)) + 1)
	oneReady := func() {
		if waiting.Add(-1) == 0 {
			event.Emit(ctx, log, event.NodeReady{Roles: n.names})
			ready()
		}
	}
	for _, name := range n.names {
		group.Go(func() error {
			r := n.roles[name]
			host.Turn(r.host, "serve "+name)
			err := r.Serve(roleCtx, r.host, oneReady)
			if err == nil && roleCtx.Err() == nil {
				err = errors.New("ended before its time")
			}
			if err != nil {
				return fmt.Errorf("role %s: %w", name, err)
			}
			return nil
		})
	}
	oneReady()
	<-roleCtx.Done()
	err := group.Wait()
	exit := event.NodeExit{}
	if err != nil {
		exit.Error = err.Error()
	}
	event.Emit(ctx, log, exit)
	return err
}

// Do has one of the roles carry out an action and returns the result as JSON.
func (n *Node) Do(ctx context.Context, roleName, action string, args json.RawMessage) (json.RawMessage, error) {
	r, ok := n.roles[roleName]
	if !ok {
		return nil, fmt.Errorf("this node does not play the role %s", roleName)
	}
	actor, ok := r.Role.(role.Actor)
	if !ok {
		return nil, fmt.Errorf("role %s has no actions", roleName)
	}
	if len(args) == 0 {
		args = json.RawMessage("{}")
	}
	result, err := actor.Do(ctx, r.host, action, args)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", action, err)
	}
	return json.Marshal(result)
}
