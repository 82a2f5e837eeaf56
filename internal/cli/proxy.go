package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os/signal"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"scenario/engine"
	"scenario/internal/near"
	"scenario/internal/proxy"
	"scenario/topology"
)

// anyPort is where a proxy listens unless it is told.
const anyPort = "127.0.0.1:0"

func (a *App) proxyCommand() *cobra.Command {
	var name, listen string
	command := &cobra.Command{
		Use:   "proxy NODE",
		Short: "Let programs of this machine use the network of a node",
		Long: `Listen on this machine for programs that know proxies, and connect and look names up for them as the node NODE of a run
that is up: SOCKS5 and HTTP on one port. The browser that you have then sees what NODE sees. It ends with Ctrl-C or with
the run; scenario up --proxy NODE keeps one for as long as the run is up.`,
		Example: `  scenario proxy laptop
  curl --proxy socks5h://127.0.0.1:PORT http://shop.example/
  chromium --proxy-server=socks5://127.0.0.1:PORT http://shop.example/`,
		Args:              need(1, 1, "a node"),
		ValidArgsFunction: completeNodes,
		RunE: func(command *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(command.Context(), endSignals()...)
			defer stop()
			return a.proxyInto(ctx, name, args[0], listen)
		},
	}
	command.Flags().StringVar(&listen, "listen", anyPort, "`address:port` of this machine's loopback; port 0: any that is free")
	runFlag(command, &name)
	return command
}

// proxyInto serves a proxy into a node until ctx or the run ends.
func (a *App) proxyInto(ctx context.Context, name, node, listen string) error {
	at := proxyAt{Node: node}
	var err error
	if at.Addr, err = loopback("--listen", listen); err != nil {
		return err
	}
	run, err := usableRun(ctx, name, node)
	if err != nil {
		return err
	}
	open, err := at.listen(ctx)
	if err != nil {
		return err
	}
	serving, cancel := context.WithCancel(ctx)
	defer cancel()
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() {
		// An owner that can no longer be asked is a run that has ended.
		_ = run.Watch(serving, func() error { return nil })
		if serving.Err() == nil {
			fmt.Fprintf(a.Stderr, "%s is down\n", run.Info.Name)
			cancel()
		}
	})
	fmt.Fprintln(a.Stdout, open)
	log := slog.New(slog.NewTextHandler(a.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return proxy.Serve(serving, open.listener, func(ctx context.Context, network, addr string) (net.Conn, error) {
		return run.Dial(ctx, node, network, addr)
	}, log)
}

// proxyAt is a proxy that is asked for.
type proxyAt struct {
	Node string `json:"node"`
	Addr string `json:"addr"` // "IP:port" on loopback
}

// proxiesAt reads the values of --proxy, NODE or NODE=ADDRESS:PORT.
func proxiesAt(plan *topology.Plan, words []string) ([]proxyAt, error) {
	names := planNodes(plan)
	var proxies []proxyAt
	for _, word := range words {
		node, addr, given := strings.Cut(word, "=")
		if !given {
			addr = anyPort
		}
		if err := knownNode(node, names); err != nil {
			return nil, fmt.Errorf("--proxy %s: %w", word, err)
		}
		addr, err := loopback("--proxy", addr)
		if err != nil {
			return nil, err
		}
		proxies = append(proxies, proxyAt{Node: node, Addr: addr})
	}
	return proxies, nil
}

// knownNode says which node was probably meant where there is none of that name.
func knownNode(name string, known []string) error {
	if slices.Contains(known, name) {
		return nil
	}
	if meant := near.Word(name, known); meant != "" {
		return fmt.Errorf("no node %s: did you mean %s?", name, meant)
	}
	return fmt.Errorf("no node %s: there are %s", name, strings.Join(known, ", "))
}

// loopback checks that an address, "IP:port" or "localhost:port", is one that only this machine reaches.
func loopback(flag, text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", fmt.Errorf("%s: %q is not ADDRESS:PORT, such as 127.0.0.1:1080", flag, text)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	at, err := netip.ParseAddrPort(net.JoinHostPort(host, port))
	switch {
	case host == "" || err == nil && !at.Addr().IsLoopback():
		return "", fmt.Errorf("%s: %s is not on loopback: whoever reached it could use the run's network without being asked "+
			"who they are; listen on 127.0.0.1, and forward the port (ssh -L) to where it is needed", flag, text)
	case err != nil:
		return "", fmt.Errorf("%s: %q is not ADDRESS:PORT, such as 127.0.0.1:1080", flag, text)
	}
	return at.String(), nil
}

// openProxy is a proxy whose port is taken.
type openProxy struct {
	proxyAt
	listener net.Listener
}

func (p proxyAt) listen(ctx context.Context) (openProxy, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", p.Addr)
	if err != nil {
		return openProxy{}, fmt.Errorf("proxy into %s: %w", p.Node, err)
	}
	return openProxy{p, listener}, nil
}

// String tells a person how the proxy is used.
func (p openProxy) String() string {
	at := p.listener.Addr()
	return fmt.Sprintf("proxy into %s (SOCKS5 and HTTP): %s  e.g. curl --proxy socks5h://%s URL, chromium --proxy-server=socks5://%s URL",
		p.Node, at, at, at)
}

func listenAll(ctx context.Context, proxies []proxyAt) ([]openProxy, error) {
	var all []openProxy
	for _, p := range proxies {
		open, err := p.listen(ctx)
		if err != nil {
			closeAll(all)
			return nil, err
		}
		all = append(all, open)
	}
	return all, nil
}

func closeAll(proxies []openProxy) {
	for _, p := range proxies {
		p.listener.Close()
	}
}

// serveProxies serves the proxies of the job until the returned function is called, which waits for their end.
func (o *owner) serveProxies(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var serving sync.WaitGroup
	for _, p := range o.proxies {
		serving.Go(func() {
			err := proxy.Serve(ctx, p.listener, func(ctx context.Context, network, addr string) (net.Conn, error) {
				return o.Dial(ctx, p.Node, network, addr)
			}, slog.New(slog.DiscardHandler)) // the node's events tell of its connections
			if err != nil {
				o.display.note(fmt.Sprintf("proxy into %s: %v", p.Node, err))
			}
		})
	}
	return func() {
		cancel()
		serving.Wait()
	}
}

// tellProxies tells a person of the proxies.
func (o *owner) tellProxies() {
	for _, p := range o.proxies {
		o.display.note(p.String())
	}
}

// errNoWay is the error of a connection into a run whose engine has none.
var errNoWay = errors.New("this engine lets nobody connect from its nodes")

// Dial connects from a node for somebody outside of the run.
func (o *owner) Dial(ctx context.Context, node, network, addr string) (net.Conn, error) {
	session, err := o.using()
	if err != nil {
		return nil, err
	}
	inside, ok := session.Run().(engine.Inside)
	if !ok {
		return nil, errNoWay
	}
	return inside.Dial(ctx, node, network, addr)
}
