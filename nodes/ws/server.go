package ws

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"scenario/event"
	"scenario/host"
	"scenario/nodes/client/sock"
)

const (
	// headTimeout bounds the time from a connection to the end of its request's head.
	headTimeout = time.Minute
	// maxRequest bounds the head of a request, in bytes.
	maxRequest = 16 << 10
)

// Options are what a server takes.
type Options struct {
	Subprotocols []string // that it speaks, best first
	// Origins are who may open a WebSocket beside the pages of the server itself and those who do not say where they come
	// from: hosts, or scheme://host, with * for any characters.
	Origins []string
	Limit   int64 // bytes of a message
}

// CheckOrigin says what is wrong with an element of Origins.
func CheckOrigin(origin string) error {
	if _, err := path.Match(origin, ""); err != nil || origin == "" || strings.ContainsAny(origin, " ,") {
		return fmt.Errorf("%q is no host and no scheme://host", origin)
	}
	return nil
}

// Serve answers what comes to l with handler until ctx ends. In the handler, [Accept] makes a WebSocket of a request. It
// closes l, and returns when all that it started has ended.
func Serve(ctx context.Context, h host.Host, l *sock.Listener, handler http.Handler) error {
	var open, serving sync.WaitGroup
	// Each connection counts until net/http has closed it, or its handler returns where it is upgraded.
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := r.Context().Value(streamKey{}).(*stream)
			s.requested(r)
			defer func() {
				if s.ctx != nil { // net/http is done with it
					open.Done()
				}
			}()
			handler.ServeHTTP(w, r)
		}),
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            headTimeout,
		IdleTimeout:                  headTimeout,
		MaxHeaderBytes:               maxRequest,
		ErrorLog:                     slog.NewLogLogger(h.Log().Handler(), slog.LevelInfo),
		BaseContext:                  func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, streamKey{}, c)
		},
		ConnState: func(c net.Conn, state http.ConnState) {
			switch state {
			case http.StateIdle:
				c.(*stream).answered()
			case http.StateClosed:
				open.Done()
			}
		},
	}
	failed := make(chan error, 1)
	serving.Go(func() { failed <- server.Serve(&listener{l, h.Log(), &open}) })
	var err error
	select {
	case <-ctx.Done():
		host.Turn(h, "ws stops "+l.Addr().String())
	case err = <-failed:
		err = fmt.Errorf("accept: %w", err)
	}
	err = errors.Join(err, server.Close())
	serving.Wait()
	open.Wait()
	return err
}

// streamKey is where a request's context has its stream.
type streamKey struct{}

// listener makes streams of connections.
type listener struct {
	*sock.Listener
	log  *slog.Logger
	open *sync.WaitGroup
}

func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s := newStream(conn, l.log, event.SideServer)
	l.open.Add(1)
	return s, nil
}

// Accept makes a WebSocket of a request that came to [Serve]. Where that cannot be, the client has been told why.
func Accept(w http.ResponseWriter, r *http.Request, o Options) (*Conn, error) {
	c := newConn()
	c.stream = r.Context().Value(streamKey{}).(*stream)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if why := refuse(r, o.Origins); why != "" {
		http.Error(w, why, http.StatusForbidden)
		return nil, errors.New(why)
	}
	w.Header().Del("Content-Type")
	inner, err := websocket.Accept(undated{w}, r, &websocket.AcceptOptions{
		Subprotocols: o.Subprotocols, InsecureSkipVerify: true, // the origin has been looked at
		OnPongReceived: func(context.Context, []byte) { c.pong() },
	})
	if err != nil {
		return nil, err
	}
	c.stream.upgraded(event.WSOpen{
		URL: "ws://" + r.Host + r.URL.RequestURI(), Origin: r.Header.Get("Origin"), Subprotocol: inner.Subprotocol(),
	}, nil)
	return c.start(inner, o.Limit), nil
}

// undated leaves the date away where a connection is upgraded, as it may (RFC 9110, section 6.6.1): so the bytes repeat.
type undated struct{ http.ResponseWriter }

func (w undated) WriteHeader(status int) {
	if status == http.StatusSwitchingProtocols {
		w.Header()["Date"] = nil
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is how package websocket finds the connection.
func (w undated) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// refuse says why a page may not open a WebSocket here; empty: it may. Any page can have a browser connect to any server,
// and only the server can tell whose page it is (RFC 6455, section 10.2).
func refuse(r *http.Request, origins []string) string {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return ""
	}
	u, err := url.Parse(origin)
	if err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host) {
		return ""
	}
	for _, pattern := range origins {
		target := origin
		if err == nil && u.Host != "" && !strings.Contains(pattern, "://") {
			target = u.Host
		}
		if matched, _ := path.Match(strings.ToLower(pattern), strings.ToLower(target)); matched {
			return ""
		}
	}
	return fmt.Sprintf("A page of %s may not open a WebSocket here: the pages of http://%s may, and those that the server's option origins names.", origin, r.Host)
}
