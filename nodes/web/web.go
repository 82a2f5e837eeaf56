// Package web is the role of an HTTP/1 server: sites and pages, cookies, answers that are late or wrong on purpose, and a
// log that shows every request and response as it went over the wire.
package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"scenario/event"
	"scenario/host"
	"scenario/host/errno"
	"scenario/nodes/client/sock"
	"scenario/nodes/role"
)

// headTimeout bounds the time from a connection, or a request's first bytes, to the end of its head.
const headTimeout = time.Minute

// Kind describes the role. Each folder at the top of sites is a site that a scenario can name.
func Kind(sites fs.FS) role.Kind {
	return role.Kind{
		Name:    "web",
		Doc:     "A web server: a built-in site or pages of the scenario's own, with cookies, redirects and delays on purpose.",
		Options: Options{},
		Short:   "site",
		Actions: []role.Action{
			{Name: actionBan, Doc: "Turn a client away from now on: its connections are closed.", Args: Client{}, Short: "address", Result: Banned{}},
			{Name: actionUnban, Doc: "Let a banned client in again.", Args: Client{}, Short: "address", Result: Banned{}},
		},
		New: func(options json.RawMessage) (role.Role, error) { return newServer(sites, options) },
	}
}

const (
	actionBan   = "ban"
	actionUnban = "unban"
)

// Client names whom an action is about.
type Client struct {
	Address Range `json:"address" jsonschema_description:"whom: an IP address or a prefix, as the server sees it" jsonschema:"required"`
}

// Banned is the result of ban and unban: who is turned away now.
type Banned struct {
	Banned []Range `json:"banned"`
}

type server struct {
	options Options
	sites   map[string]*site // by host name; "": of every other name
	access  *access
}

var (
	_ role.Role  = (*server)(nil)
	_ role.Actor = (*server)(nil)
)

func newServer(sites fs.FS, options json.RawMessage) (*server, error) {
	o, err := parseOptions(options)
	if err != nil {
		return nil, err
	}
	s := &server{options: o, sites: make(map[string]*site), access: newAccess(o.Deny)}
	names := map[string]string{"": o.Site}
	for host, name := range o.Hosts {
		names[strings.ToLower(strings.TrimSuffix(host, "."))] = name
	}
	for _, host := range slices.Sorted(maps.Keys(names)) {
		if s.sites[host], err = newSite(sites, names[host], o); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Serve listens and answers until ctx ends.
func (s *server) Serve(ctx context.Context, h host.Host, ready func()) error {
	listeners, err := s.listen(ctx, h)
	if err != nil {
		return err
	}
	web := &http.Server{
		Handler:                      &handler{log: h.Log(), server: s.options.Server, sites: s.sites, source: h.Rand()},
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            headTimeout,
		IdleTimeout:                  time.Duration(s.options.IdleTimeout),
		MaxHeaderBytes:               64 << 10,
		ErrorLog:                     slog.NewLogLogger(h.Log().Handler(), slog.LevelWarn),
		BaseContext:                  func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
		ConnState: func(c net.Conn, state http.ConnState) {
			if state == http.StateIdle {
				c.(*conn).answered()
			}
		},
	}
	web.SetKeepAlivesEnabled(s.options.KeepAlive)

	failed := make(chan error, len(listeners))
	var serving sync.WaitGroup
	for _, l := range listeners {
		serving.Go(func() { failed <- web.Serve(l) })
	}
	ready()
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
		err = fmt.Errorf("accept: %w", err)
	}
	// Not web.Close: it closes connections in no order, from another goroutine than tells of them.
	closeAll(ctx, h.Log(), listeners)
	serving.Wait()
	s.access.abort(serverStops, func(*conn) bool { return true })
	s.access.open.Wait()
	return err
}

// listen opens every listening socket, or none.
func (s *server) listen(ctx context.Context, h host.Host) ([]*listener, error) {
	var listeners []*listener
	accepted := new(atomic.Int64)
	for _, address := range s.options.Listen {
		inner, err := h.Listen(ctx, network, address)
		if err != nil {
			event.Emit(ctx, h.Log(), event.SocketError{
				Network: network, Op: "listen", Local: address,
				Errno: errno.Name(err), Error: err.Error(), Meaning: errno.Meaning(err),
			})
			closeAll(ctx, h.Log(), listeners)
			return nil, fmt.Errorf("listen on %s: %w", address, err)
		}
		event.Emit(ctx, h.Log(), event.SocketListen{Network: network, Local: inner.Addr().String(), Socket: event.SocketListening})
		listeners = append(listeners, &listener{
			Listener: inner, ctx: ctx, host: h, log: h.Log(), access: s.access, accepted: accepted, bodyLimit: s.options.LogBody,
		})
	}
	return listeners, nil
}

func closeAll(ctx context.Context, log *slog.Logger, listeners []*listener) {
	for _, l := range listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			log.Warn("listener not closed", "local", l.Addr(), "error", err)
		}
		event.Emit(ctx, log, event.SocketClose{Network: network, Local: l.Addr().String(), Socket: event.SocketListening, By: byLocal})
	}
}

// listener gives every connection its number and record, and turns banned clients away.
type listener struct {
	net.Listener
	ctx       context.Context // of the role
	host      host.Host
	log       *slog.Logger
	access    *access
	accepted  *atomic.Int64 // connections of all listeners
	bodyLimit int
}

// Accept returns the next connection of a client that is not banned.
func (l *listener) Accept() (net.Conn, error) {
	for {
		inner, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		number := l.accepted.Add(1)
		// The role is part of the name: another role of the node counts connections too.
		ctx := event.WithTrace(l.ctx, fmt.Sprintf("conn/web/%d", number), "")
		c := newConn(ctx, l.log, inner, sock.Accepted(l.host, inner), l.bodyLimit)
		c.number, c.onClose = number, l.access.leave
		rule, denied := l.access.admit(c)
		if !denied {
			return c, nil
		}
		event.Emit(c.ctx, l.log, event.AccessDeny{Local: c.local, Remote: c.remote, Rule: rule.String()})
		c.abort("denied")
		// That the client is gone is what was wanted: a failed close says no more.
		_ = c.Close()
	}
}

// Do bans a client, or lets it in again.
func (s *server) Do(_ context.Context, _ host.Host, action string, args json.RawMessage) (any, error) {
	var client Client
	if err := strict(args, &client); err != nil {
		return nil, err
	}
	if !client.Address.prefix.IsValid() {
		return nil, errors.New("no address is given")
	}
	switch action {
	case actionBan:
		return Banned{s.access.ban(client.Address)}, nil
	case actionUnban:
		banned, err := s.access.unban(client.Address)
		return Banned{banned}, err
	}
	return nil, fmt.Errorf("no such action: %s", action)
}
