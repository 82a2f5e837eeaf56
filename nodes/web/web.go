// Package web is the role of a web server over HTTP/1.1 and HTTP/2, with and without TLS: sites and pages, cookies, logins and
// comments, answers that are late or wrong on purpose, and a log that shows requests and responses as they went over the
// wire.
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
		Certificate: certificate,
		New:         func(options json.RawMessage) (role.Role, error) { return newServer(sites, options) },
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

	accepted atomic.Int64 // connections of all listeners
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

// running is a server between the beginning of Serve and its end.
type running struct {
	*server
	host    host.Host
	web     *http.Server
	handler *handler
	budget  *allowance // of requests
	conns   *allowance // of connections
}

// Serve listens and answers until ctx ends.
func (s *server) Serve(ctx context.Context, h host.Host, ready func()) (err error) {
	r := &running{server: s, host: h, budget: s.allowance(ctx, h), conns: s.allowance(ctx, h)}
	r.handler = newHandler(h.Log(), s.options, s.sites, h.Rand())
	r.handler.upgrade = r.upgrade
	defer r.budget.stop()
	if s.keeps() {
		data, err := openDatabase(h)
		if err != nil {
			return err
		}
		r.handler.data = data
		defer func() { err = errors.Join(err, data.close()) }()
	}
	var encryption *secured
	if s.options.TLS.On {
		config, err := s.options.TLS.config(h)
		if err != nil {
			return err
		}
		encryption = newSecured(config, r)
	}
	listeners, err := r.listen(ctx, s.options.Listen)
	if err != nil {
		return err
	}
	plain := listeners
	if encryption != nil {
		secure, err := r.listen(ctx, s.options.TLS.Listen)
		if err != nil {
			closeAll(ctx, h.Log(), listeners)
			return err
		}
		listeners = slices.Concat(plain, secure)
	}
	r.web = r.http(ctx)

	failed := make(chan error, len(listeners)+1)
	var serving sync.WaitGroup
	for i, l := range listeners {
		if i < len(plain) {
			serving.Go(func() { failed <- r.web.Serve(l) })
		} else {
			serving.Go(func() { failed <- encryption.serve(l) })
		}
	}
	if encryption != nil {
		serving.Go(func() { failed <- r.web.Serve(encryption) })
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
	if encryption != nil {
		encryption.stop()
	}
	serving.Wait()
	s.access.abort(serverStops, func(*link) bool { return true })
	s.access.open.Wait()
	if encryption != nil {
		encryption.work.Wait()
	}
	return err
}

// keeps says that there is something to keep: accounts, and whatever is said by who has one, or comments.
func (s *server) keeps() bool {
	for _, site := range s.sites {
		for _, paths := range []map[string]*Path{site.exact, site.prefixes} {
			for _, p := range paths {
				if p.Comments != "" || p.Login != nil || p.Logout != nil || p.Settings != nil || p.Require == "login" {
					return true
				}
			}
		}
	}
	return false
}

// allowance is of what the options say.
func (s *server) allowance(ctx context.Context, h host.Host) *allowance {
	return &allowance{ctx: ctx, log: h.Log(), limit: int(s.options.LogRequests)}
}

// http is net/http's part of the server: HTTP/1 on whatever connection.
func (r *running) http(ctx context.Context) *http.Server {
	web := &http.Server{
		Handler:                      r.handler,
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            headTimeout,
		IdleTimeout:                  time.Duration(r.options.IdleTimeout),
		MaxHeaderBytes:               64 << 10,
		ErrorLog:                     slog.NewLogLogger(r.host.Log().Handler(), slog.LevelWarn),
		BaseContext:                  func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			own := c.(*conn)
			p := &peer{link: own.link, http1: own}
			if own.tls != nil {
				state := own.tls.ConnectionState()
				p.state = &state
			}
			return context.WithValue(ctx, connKey{}, p)
		},
		ConnState: func(c net.Conn, state http.ConnState) {
			// Connections of HTTP/2 tell of their states here too.
			if own, ok := c.(*conn); ok && state == http.StateIdle {
				own.answered()
			}
		},
	}
	web.SetKeepAlivesEnabled(r.options.KeepAlive)
	return web
}

// listen opens every listening socket, or none.
func (r *running) listen(ctx context.Context, addresses []string) ([]*listener, error) {
	var listeners []*listener
	h := r.host
	for _, address := range addresses {
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
		listeners = append(listeners, &listener{Listener: inner, ctx: ctx, server: r})
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
	ctx    context.Context // of the role
	server *running
}

// Accept returns the next connection of a client that is not banned, for HTTP/1 without TLS.
func (l *listener) Accept() (net.Conn, error) {
	link, err := l.link()
	if err != nil {
		return nil, err
	}
	return newConn(link, nil, l.server.budget, l.server.options.LogBody), nil
}

// link accepts the next connection of a client that is not banned.
func (l *listener) link() (*link, error) {
	s := l.server
	for {
		inner, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		number := s.accepted.Add(1)
		// The role is part of the name: another role of the node counts connections too.
		ctx := event.WithTrace(l.ctx, fmt.Sprintf("conn/web/%d", number), "")
		c := newLink(ctx, s.host.Log(), inner, func() event.SocketAccept { return sock.Accepted(s.host, inner) }, !s.conns.take())
		c.number, c.onClose = number, s.access.leave
		rule, denied := s.access.admit(c)
		if !denied {
			return c, nil
		}
		c.tell(func() event.Event { return event.AccessDeny{Local: c.local, Remote: c.remote, Rule: rule.String()} })
		c.abort("denied")
		c.end("")
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
