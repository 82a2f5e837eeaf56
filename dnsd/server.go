// Package dnsd is a DNS server: authoritative for zones (dnsd/zone), recursive for the rest (dnsd/recursor), or both.
//
// server.go has the sockets, answer.go turns one query into one response, listen.go says on which addresses.
// Messages are read and written by miekg/dns. Its Server is not used: its goroutines know no context, and what it answers by
// itself, such as FORMERR, is seen in no log.
package dnsd

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"

	"scenario/dnsd/recursor"
	"scenario/dnsd/zone"
	"scenario/event"
	"scenario/host"
	"scenario/host/errno"
)

const (
	// idleTimeout is how long a TCP connection may be without a query (RFC 7766, section 6.2.3).
	idleTimeout = 10 * time.Second
	// writeTimeout is how long a client may take to take a response over TCP.
	writeTimeout = 5 * time.Second
	// maxWorking bounds the datagrams that are being answered at once; further ones wait in the socket.
	maxWorking = 512
	// maxConns bounds the connections that are open at once; further ones wait to be accepted.
	maxConns = 128
	// maxPipelined bounds the queries of one connection that are being answered at once; further ones wait to be read.
	maxPipelined = 16
)

// Options configure a [Server].
type Options struct {
	Zones     zone.Set
	Recursive bool     // ask others for what is in none of the zones
	Hints     []dns.RR // where recursion starts: NS records of the root and the addresses of its servers
	Listen    []string // "IP:port", "IP" or ":port"; none: all addresses, port 53
	// TLS and HTTPS are where it also answers over TLS (RFC 7858) and over HTTPS (RFC 8484), as Listen has it; nil: not at
	// all, empty: all addresses, port 853 and port 443. The host's certificate is the server's.
	TLS, HTTPS []string
	Ignore     []string // names: questions for them, and for names below, get no answer
}

// Server answers DNS queries over UDP and TCP, and over TLS and HTTPS where that is asked for.
type Server struct {
	host     host.Host
	options  Options
	recursor *recursor.Recursor // nil: not recursive
	// So far: each is a causal chain of its own.
	queries, connections atomic.Int64
}

// New returns a server on h.
func New(h host.Host, o Options) *Server {
	s := &Server{host: h, options: o}
	if o.Recursive {
		s.recursor = recursor.New(h, recursor.Options{Zones: o.Zones, Hints: o.Hints})
	}
	return s
}

// Serve answers queries until ctx ends; then it returns nil, with every goroutine ended and every socket closed. It
// calls ready when all sockets are open. An error of a socket names it.
func (s *Server) Serve(ctx context.Context, ready func()) error {
	addrs, err := listenAddrs(s.host, s.options.Listen, Port)
	if err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	var work, conns errgroup.Group
	work.SetLimit(maxWorking)
	conns.SetLimit(maxConns)
	if err := s.open(groupCtx, group, &work, &conns, addrs); err != nil {
		group.Go(func() error { return err }) // ends groupCtx, which closes what is open
	} else {
		ready()
	}
	err = errors.Join(group.Wait(), work.Wait(), conns.Wait())
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// open opens the sockets and starts to serve them: datagrams in work, connections in conns.
func (s *Server) open(ctx context.Context, group, work, conns *errgroup.Group, addrs []netip.AddrPort) error {
	for _, addr := range addrs {
		packets, err := s.host.ListenPacket(ctx, "udp", addr.String())
		if err != nil {
			return s.cannotListen(ctx, "udp", addr, err)
		}
		group.Go(func() error { return s.serveUDP(ctx, packets, work) })
		listener, err := s.host.Listen(ctx, "tcp", addr.String())
		if err != nil {
			return s.cannotListen(ctx, "tcp", addr, err)
		}
		group.Go(func() error { return s.serveTCP(ctx, listener, conns) })
		event.Emit(ctx, s.host.Log(), event.SocketListen{Network: "udp", Local: packets.LocalAddr().String()})
		event.Emit(ctx, s.host.Log(), event.SocketListen{Network: "tcp", Local: listener.Addr().String()})
	}
	return s.openSecure(ctx, group, conns)
}

// cannotListen tells of a socket that could not be opened and returns the error that names it.
func (s *Server) cannotListen(ctx context.Context, network string, addr netip.AddrPort, err error) error {
	event.Emit(ctx, s.host.Log(), event.SocketError{
		Network: network, Op: "listen", Local: addr.String(),
		Errno: errno.Name(err), Error: err.Error(), Meaning: errno.Meaning(err),
	})
	return fmt.Errorf("listen on %s %s: %w", network, addr, err)
}

func (s *Server) serveUDP(ctx context.Context, packets net.PacketConn, work *errgroup.Group) error {
	stop := context.AfterFunc(ctx, func() { packets.Close() })
	defer stop()
	defer packets.Close()
	from := peer{transport: transportUDP, local: packets.LocalAddr().String()}
	buffer := make([]byte, dns.MaxMsgSize)
	for {
		n, remote, err := packets.ReadFrom(buffer)
		if err != nil {
			if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) {
				continue // an earlier response met a closed port
			}
			return ended(ctx, fmt.Errorf("read on udp %s: %w", from.local, err))
		}
		from.remote = remote.String()
		query := append([]byte(nil), buffer[:n]...)
		chain, from := s.begin(ctx), from
		work.Go(func() error {
			if response := s.answer(chain, from, query); response != nil {
				if _, err := packets.WriteTo(response, remote); err != nil && ctx.Err() == nil {
					s.host.Log().WarnContext(chain, "dns response was not sent", "remote", from.remote, "error", err)
				}
			}
			return nil
		})
	}
}

func (s *Server) serveTCP(ctx context.Context, listener net.Listener, conns *errgroup.Group) error {
	return s.accept(ctx, listener, func(conn net.Conn) {
		conns.Go(func() error {
			s.serveConn(ctx, conn, peer{
				transport: transportTCP, local: conn.LocalAddr().String(), remote: conn.RemoteAddr().String(), idle: idleTimeout,
			})
			return nil
		})
	})
}

// accept hands each connection over until ctx ends.
func (s *Server) accept(ctx context.Context, listener net.Listener, take func(net.Conn)) error {
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	defer listener.Close()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return ended(ctx, fmt.Errorf("accept on tcp %s: %w", listener.Addr(), err))
		}
		take(conn)
	}
}

// serveConn answers the queries of one connection, side by side (RFC 7766, section 6.2.1.1), until the client closes it or
// falls silent.
func (s *Server) serveConn(ctx context.Context, conn net.Conn, from peer) {
	stop := context.AfterFunc(ctx, func() {
		from.because("the server ends")
		conn.Close()
	})
	defer stop()
	defer conn.Close()
	var work errgroup.Group
	work.SetLimit(maxPipelined)
	defer func() { _ = work.Wait() }()
	writing := make(chan struct{}, 1)
	for {
		if err := conn.SetReadDeadline(time.Now().Add(from.idle)); err != nil {
			return
		}
		query, err := read(conn)
		if err != nil {
			from.ended(err)
			return
		}
		chain := s.begin(ctx)
		work.Go(func() error {
			response := s.answer(chain, from, query)
			if response == nil {
				return nil
			}
			writing <- struct{}{}
			defer func() { <-writing }()
			if err := write(conn, response); err != nil {
				from.because("the response was not taken")
				conn.Close() // half a response cannot be followed by another
			}
			return nil
		})
	}
}

// read receives a message behind its length.
func read(conn net.Conn) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(conn, message)
	return message, err
}

// write sends a message behind its length.
func write(conn net.Conn, message []byte) error {
	if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...))
	return err
}

// ended is nil where err follows from the end of ctx.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
