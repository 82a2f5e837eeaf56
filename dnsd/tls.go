package dnsd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"scenario/dnsd/counted"
	"scenario/event"
	"scenario/host"
	"scenario/host/tlsinfo"
)

const (
	// handshakeTimeout is how long a client may take to agree on encryption.
	handshakeTimeout = 10 * time.Second
	// secureIdleTimeout is how long an encrypted connection may be without a query: longer than a plain one, as it is dearer to
	// make (RFC 7858, section 3.4).
	secureIdleTimeout = 30 * time.Second
	// responseBlock is what the length of responses is padded to a multiple of, in bytes (RFC 8467, section 4.1).
	responseBlock = 468
)

// errNoCertificate is the error of a server that is to answer encrypted questions and has nothing to prove itself with.
var errNoCertificate = errors.New("the host has no certificate for encrypted queries")

// openSecure opens the sockets of encrypted transports, where they are asked for, and starts to serve them.
func (s *Server) openSecure(ctx context.Context, group, conns *errgroup.Group) error {
	for _, transport := range []struct {
		name   string
		listen []string
		port   uint16
		alpn   []string
		serve  func(context.Context, net.Listener, *tls.Config, *errgroup.Group) error
	}{
		{transportTLS, s.options.TLS, TLSPort, []string{"dot"}, s.serveTLS},
		{transportHTTPS, s.options.HTTPS, HTTPSPort, []string{"h2", "http/1.1"}, s.serveHTTPS},
	} {
		if transport.listen == nil {
			continue
		}
		certificate := host.Certificate(s.host)
		if certificate == nil {
			return fmt.Errorf("dns over %s: %w", transport.name, errNoCertificate)
		}
		config := &tls.Config{
			Certificates: []tls.Certificate{*certificate}, NextProtos: transport.alpn, MinVersion: tls.VersionTLS12, KeyLogWriter: host.KeyLog(s.host),
		}
		addrs, err := listenAddrs(s.host, transport.listen, transport.port)
		if err != nil {
			return err
		}
		for _, addr := range addrs {
			listener, err := s.host.Listen(ctx, "tcp", addr.String())
			if err != nil {
				return s.cannotListen(ctx, "tcp", addr, err)
			}
			group.Go(func() error { return transport.serve(ctx, listener, config, conns) })
			event.Emit(ctx, s.host.Log(), event.SocketListen{Network: "tcp", Local: listener.Addr().String()})
		}
	}
	return nil
}

// serveTLS answers queries over TLS (RFC 7858).
func (s *Server) serveTLS(ctx context.Context, listener net.Listener, config *tls.Config, conns *errgroup.Group) error {
	return s.accept(ctx, listener, func(conn net.Conn) {
		ctx := s.beginConn(ctx)
		conns.Go(func() error {
			secured, meter, err := s.secure(ctx, conn, config)
			if err == nil {
				s.serveConn(ctx, secured, peer{
					transport: transportTLS, local: conn.LocalAddr().String(), remote: conn.RemoteAddr().String(), idle: secureIdleTimeout,
					meter: meter,
				})
			}
			return nil
		})
	})
}

// beginConn starts the causal chain of an encrypted connection; its queries have their own.
func (s *Server) beginConn(ctx context.Context) context.Context {
	return event.WithTrace(ctx, fmt.Sprintf("dns-connection/%d", s.connections.Add(1)), "")
}

// secure tells of a connection and agrees with its client on encryption; it closes conn where that fails.
func (s *Server) secure(ctx context.Context, conn net.Conn, config *tls.Config) (*tls.Conn, *counted.Conn, error) {
	local, remote := conn.LocalAddr().String(), conn.RemoteAddr().String()
	ctx = event.Begin(ctx, s.host.Log(), event.SocketAccept{Network: "tcp", Local: local, Remote: remote, Socket: event.SocketConnection})
	began := time.Now()
	meter := counted.New(ctx, s.host.Log(), conn)
	secured := tls.Server(meter, config)
	limited, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	err := secured.HandshakeContext(limited)
	told := tlsinfo.Handshake(event.SideServer, secured.ConnectionState(), config.Certificates[0].Leaf, time.Since(began))
	told.Local, told.Remote = local, remote
	if err != nil {
		told.Reason, told.Meaning = tlsinfo.Explain(err, "", time.Now())
		told.Error = err.Error()
	}
	event.Emit(ctx, s.host.Log(), told)
	if err != nil {
		meter.Because("the handshake failed")
		meter.Close()
		return nil, nil, fmt.Errorf("tls handshake with %s: %w", remote, err)
	}
	return secured, meter, nil
}
