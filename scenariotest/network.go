package scenariotest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"scenario/engine"
	"scenario/engine/embedded"
	"scenario/event"
	"scenario/host"
	"scenario/pki"
	"scenario/record"
	"scenario/runner"
	"scenario/topology"
)

// Network is a scenario's network while it is up.
type Network struct {
	Plan *topology.Plan

	session *runner.Session
	folder  *record.Folder
	running sync.WaitGroup // programs of the test's
	closers []func() error
	clients []*http.Client
}

// Dial connects from a node to addr, "host:port"; the node's resolver looks names up. network is tcp.
func (n *Network) Dial(ctx context.Context, node, network, addr string) (net.Conn, error) {
	inside, ok := n.session.Run().(engine.Inside)
	if !ok {
		return nil, errors.New("connections from outside: this engine has none")
	}
	return inside.Dial(ctx, node, network, addr)
}

// Listen listens on a node's address, such as ":80" or "10.0.0.1:80". network is tcp. The listener is closed with the run.
func (n *Network) Listen(ctx context.Context, node, network, addr string) (net.Listener, error) {
	h, err := n.Host(node)
	if err != nil {
		return nil, err
	}
	listener, err := h.Listen(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	n.closers = append(n.closers, listener.Close)
	return listener, nil
}

// Host is a node's machine: its network, its files, its log. Names are looked up by [Network.Dial] alone.
func (n *Network) Host(node string) (host.Host, error) {
	hosts, ok := n.session.Run().(embedded.Hosts)
	if !ok {
		return nil, errors.New("programs of the test's own as nodes: the embedded engine alone has them")
	}
	return hosts.Host(node, "scenariotest")
}

// HTTPClient is a client on a node, which trusts whom the node trusts. Its idle connections are closed with the run.
func (n *Network) HTTPClient(node string) *http.Client {
	secure := new(tls.Config)
	secure.RootCAs, _ = pki.Roots(n.Plan.Authority) // never fails: the plan was compiled here
	if h, err := n.Host(node); err == nil {         // of the embedded engine, which alone captures
		secure.KeyLogWriter = host.KeyLog(h)
	}
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return n.Dial(ctx, node, network, addr)
		},
		TLSClientConfig: secure,
	}}
	n.clients = append(n.clients, client)
	return client
}

// Do has a role of a node carry out an action: Do(ctx, "laptop", "browser", "browse", map[string]any{"url": …}, &page).
// args is marshalled to JSON, and the result unmarshalled into result, which may be nil.
func (n *Network) Do(ctx context.Context, node, role, action string, args, result any) error {
	text, err := json.Marshal(args)
	if err != nil {
		return fmt.Errorf("arguments of %s: %w", action, err)
	}
	answer, err := n.session.Do(ctx, node, engine.Call{Role: role, Action: action, Args: text})
	if err != nil || result == nil {
		return err
	}
	if err := json.Unmarshal(answer, result); err != nil {
		return fmt.Errorf("result of %s: %w", action, err)
	}
	return nil
}

// Events are what has been told so far.
func (n *Network) Events() []event.Record { return n.folder.Records() }

// close ends the programs of the test's.
func (n *Network) close() {
	for _, client := range n.clients {
		client.CloseIdleConnections()
	}
	for _, closeOne := range n.closers {
		_ = closeOne() // closed already, by whoever was given it
	}
	n.running.Wait()
}
