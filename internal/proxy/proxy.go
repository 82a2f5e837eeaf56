// Package proxy lets programs of this machine use another network: a SOCKS5 proxy (RFC 1928) and an HTTP proxy
// (RFC 9110, section 3.7, CONNECT and absolute-form requests) on one port, told apart by the first byte.
//
// [Serve] is all there is. Connections are made by a function that it is given, which looks names up as well: a client
// that says socks5h, or speaks to an HTTP proxy, sends names as they are.
package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"scenario/host/errno"
	"scenario/internal/carry"
)

// dialLimit is when a connection that nobody answers to is given up: a system would try for some two minutes, and most
// persons have gone by then.
const dialLimit = 30 * time.Second

// retry is how long Serve waits after a connection could not be accepted.
const retry = 100 * time.Millisecond

// proxy serves the clients of one listener.
type proxy struct {
	dial carry.DialFunc
	log  *slog.Logger

	mu      sync.Mutex
	clients map[net.Conn]bool
}

// Serve serves clients that come to listener until ctx ends, then closes it and everything that was opened. dial makes
// connections: an error of a look-up is a [*net.DNSError], others are told apart by errors.Is. log takes what was asked
// for and could not be had. The error is nil when ctx has ended.
func Serve(ctx context.Context, listener net.Listener, dial carry.DialFunc, log *slog.Logger) error {
	p := &proxy{log: log, clients: make(map[net.Conn]bool)}
	p.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialLimit)
		defer cancel()
		conn, err := dial(ctx, network, addr)
		if err != nil && !errors.Is(err, context.Canceled) {
			log.Info("no connection", "to", addr, "errno", errno.Name(err), "error", err.Error())
		}
		return conn, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	web := newHTTP(ctx, p)
	running.Go(web.serve)
	stop := context.AfterFunc(ctx, func() {
		listener.Close()
		p.closeAll()
	})
	defer stop()
	for {
		conn, err := listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ECONNABORTED):
			log.Warn("no client", "error", err.Error())
			select {
			case <-time.After(retry):
			case <-ctx.Done():
			}
			continue
		case err != nil:
			return fmt.Errorf("accept clients on %s: %w", listener.Addr(), err)
		}
		c := &client{Conn: conn, in: bufio.NewReader(conn), proxy: p}
		if !p.keep(ctx, c) {
			continue
		}
		running.Go(func() { p.meet(ctx, c, web) })
	}
}

// meet finds out what a client speaks.
func (p *proxy) meet(ctx context.Context, c *client, web *httpProxy) {
	first, err := c.in.Peek(1)
	switch {
	case err != nil:
		c.Close()
	case first[0] == socksVersion:
		p.socks(ctx, c)
	case first[0] == socks4Version:
		refuse4(c)
	default:
		web.take(c)
	}
}

// keep notes an open connection; false, and the connection closed, where ctx has ended.
func (p *proxy) keep(ctx context.Context, c *client) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() != nil {
		c.Conn.Close()
		return false
	}
	p.clients[c.Conn] = true
	return true
}

func (p *proxy) forget(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.clients, c)
}

// closeAll ends what clients wait for.
func (p *proxy) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.clients {
		c.Close()
	}
}

// client is a connection from a client whose first bytes may have been read already.
type client struct {
	net.Conn
	in      *bufio.Reader
	watched <-chan struct{} // in may be read when it is closed; nil: at once
	proxy   *proxy

	// transport has the connections on which this client's HTTP requests go out: like those of a browser without a proxy,
	// they are not shared with other clients. Nil where it speaks something else.
	transport *http.Transport
	ended     func() // is called when the connection is closed; nil with transport
}

func (c *client) Read(p []byte) (int, error) {
	if c.watched != nil {
		<-c.watched
	}
	if c.in.Buffered() == 0 {
		return c.Conn.Read(p) // a deadline that has passed is no part of the reader's state then
	}
	return c.in.Read(p)
}

func (c *client) Close() error {
	err := c.Conn.Close()
	c.proxy.forget(c.Conn)
	if c.transport != nil {
		c.transport.CloseIdleConnections()
		c.ended()
	}
	return err
}

// CloseWrite ends the direction to the client.
func (c *client) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SetLinger is that of [net.TCPConn].
func (c *client) SetLinger(seconds int) error {
	if tcp, ok := c.Conn.(interface{ SetLinger(int) error }); ok {
		return tcp.SetLinger(seconds)
	}
	return errors.ErrUnsupported
}
