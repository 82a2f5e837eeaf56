package scenariotest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"

	"scenario/engine"
)

// Option changes how a scenario is run.
type Option func(*config)

// program starts something of the test's on a node.
type program func(ctx context.Context, n *Network) error

// RealTime has the run go by the machine's clock: for tests that reach outside of the scenario.
func RealTime() Option { return func(c *config) { c.realTime = true } }

// Engine has another engine carry the scenario out, in real time. Programs of the test's own can be nodes of the embedded
// engine alone.
func Engine(e engine.Engine) Option { return func(c *config) { c.engine = e } }

// Seed sets what all randomness starts from.
func Seed(seed uint64) Option { return func(c *config) { c.seed = &seed } }

// Folder keeps the run's folder at a path, however the test ends.
func Folder(path string) Option { return func(c *config) { c.folder = path } }

// Captures keeps the frames of every link in the run's folder.
func Captures() Option { return func(c *config) { c.captures = true } }

// TLSKeys puts the secrets of TLS sessions into the captures, so that Wireshark shows what is in them: of those of roles and
// of [Network.HTTPClient], and of the test's own that write to host.KeyLog of [Network.Host].
func TLSKeys() Option { return func(c *config) { c.tlsKeys = true } }

// While calls a function when the steps are over and the network is still up. t is the test in its bubble.
func While(f func(t *testing.T, n *Network)) Option {
	return func(c *config) { c.tests = append(c.tests, f) }
}

// Listen has a server of the test's own be a program of a node: serve gets a listener on a node's address, such as
// ":80", before the first step, and must return when the listener is closed.
func Listen(node, addr string, serve func(net.Listener) error) Option {
	return func(c *config) {
		c.programs = append(c.programs, func(ctx context.Context, n *Network) error {
			listener, err := n.Listen(ctx, node, "tcp", addr)
			if err != nil {
				return fmt.Errorf("node %s: %w", node, err)
			}
			n.running.Go(func() { _ = serve(listener) }) // it ends with an error of its listener
			return nil
		})
	}
}

// HTTP has a handler of the test's own be the web server of a node.
func HTTP(node, addr string, handler http.Handler) Option {
	return func(c *config) {
		c.programs = append(c.programs, func(ctx context.Context, n *Network) error {
			listener, err := n.Listen(ctx, node, "tcp", addr)
			if err != nil {
				return fmt.Errorf("node %s: %w", node, err)
			}
			server := &http.Server{Handler: handler}
			n.running.Go(func() { _ = server.Serve(listener) }) // http.ErrServerClosed
			n.closers = append(n.closers, server.Close)
			return nil
		})
	}
}
