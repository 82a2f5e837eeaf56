package secure_test

//lint:file-ignore SA1019 a server that is given its connection.

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/http2"

	"scenario/dnsd/secure"
	"scenario/event"
	"scenario/host/hosttest/memnet"
	"scenario/pki"
)

// bench is a client and a server at 198.51.100.53 that does as the test says.
type bench struct {
	t      *testing.T
	ctx    context.Context
	client *memnet.Host
	server *memnet.Host
	config *tls.Config
}

func inBench(t *testing.T, test func(*testing.T, *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a, err := pki.NewAuthority(1, "scenario test")
		if err != nil {
			t.Fatal(err)
		}
		issued, err := a.Issue(pki.Request{Addresses: []netip.Addr{netip.MustParseAddr("198.51.100.53")}})
		if err != nil {
			t.Fatal(err)
		}
		pair, err := issued.TLS()
		if err != nil {
			t.Fatal(err)
		}
		n := memnet.New()
		ctx, cancel := context.WithCancel(t.Context())
		b := &bench{
			t: t, ctx: ctx, client: n.Host("laptop", "198.51.100.99"), server: n.Host("ns", "198.51.100.53"),
			config: &tls.Config{Certificates: []tls.Certificate{pair}},
		}
		b.client.Authorities = x509.NewCertPool()
		b.client.Authorities.AppendCertsFromPEM([]byte(a.PEM()))
		test(t, b)
		cancel()
		synctest.Wait()
	})
}

// serve has each connection to a port handled, encrypted where alpn is given.
func (b *bench) serve(port, alpn string, handle func(net.Conn)) {
	b.t.Helper()
	listener, err := b.server.Listen(b.ctx, "tcp", "198.51.100.53:"+port)
	if err != nil {
		b.t.Fatal(err)
	}
	context.AfterFunc(b.ctx, func() { listener.Close() })
	config := b.config.Clone()
	config.NextProtos = []string{alpn}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				defer context.AfterFunc(b.ctx, func() { conn.Close() })()
				if alpn == "" {
					handle(conn)
					return
				}
				secured := tls.Server(conn, config)
				if err := secured.HandshakeContext(b.ctx); err != nil {
					if b.ctx.Err() == nil {
						b.t.Error(err)
					}
					return
				}
				handle(secured)
			}()
		}
	}()
}

func (b *bench) ask(c *secure.Client, protocol secure.Protocol) (*dns.Msg, error) {
	server := netip.AddrPortFrom(netip.MustParseAddr("198.51.100.53"), protocol.Port())
	return c.Exchange(b.ctx, server, dns.Question{Name: "shop.example.", Qtype: dns.TypeA, Qclass: dns.ClassINET}, true)
}

// readQuery reads a query off a stream.
func readQuery(conn net.Conn) (*dns.Msg, error) {
	var length uint16
	if err := binary.Read(conn, binary.BigEndian, &length); err != nil {
		return nil, err
	}
	packed := make([]byte, length)
	if _, err := io.ReadFull(conn, packed); err != nil {
		return nil, err
	}
	query := new(dns.Msg)
	return query, query.Unpack(packed)
}

func frame(t *testing.T, m *dns.Msg) []byte {
	t.Helper()
	packed, err := m.Pack()
	if err != nil {
		t.Error(err)
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)
}

// hang reads until the connection ends.
func hang(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// R27: whatever a server of DNS over TLS does, the question ends in bounded time with an error that says what happened.
func TestHostileTLS(t *testing.T) {
	const limit = 2 * time.Second
	after := func(send func(*testing.T, net.Conn, *dns.Msg)) func(*testing.T, net.Conn) {
		return func(t *testing.T, conn net.Conn) {
			query, err := readQuery(conn)
			if err != nil {
				return
			}
			send(t, conn, query)
		}
	}
	other := func(t *testing.T, query *dns.Msg) []byte {
		m := new(dns.Msg).SetReply(query)
		m.Question[0].Name = "bank.example."
		return frame(t, m)
	}
	for _, test := range []struct {
		name  string
		alpn  string
		serve func(*testing.T, net.Conn)
		text  string
		is    error
		takes time.Duration
	}{
		{"silent before TLS", "", func(_ *testing.T, c net.Conn) { hang(c) }, "", os.ErrDeadlineExceeded, limit},
		{"no TLS", "", func(_ *testing.T, c net.Conn) { _, _ = io.WriteString(c, "220 mail.example ready\r\n"); hang(c) }, "tls handshake", nil, 0},
		{"closed before TLS", "", func(*testing.T, net.Conn) {}, "tls handshake", nil, 0},
		{"silent", "dot", func(_ *testing.T, c net.Conn) { hang(c) }, "", os.ErrDeadlineExceeded, limit},
		{"closed", "dot", after(func(*testing.T, net.Conn, *dns.Msg) {}), "closed the connection before it answered", secure.ErrEnded, 0},
		{"no message", "dot", after(func(_ *testing.T, c net.Conn, _ *dns.Msg) {
			_, _ = io.WriteString(c, "\x00\x05hello")
			hang(c)
		}), "no DNS message", nil, 0},
		{"half a message", "dot", after(func(_ *testing.T, c net.Conn, _ *dns.Msg) {
			_, _ = io.WriteString(c, "\x00\x30hello")
			hang(c)
		}), "", os.ErrDeadlineExceeded, limit},
		{"another question", "dot", after(func(t *testing.T, c net.Conn, q *dns.Msg) {
			_, _ = c.Write(other(t, q))
			hang(c)
		}), "", os.ErrDeadlineExceeded, limit},
		{"other questions without end", "dot", after(func(t *testing.T, c net.Conn, q *dns.Msg) {
			message := other(t, q)
			for {
				if _, err := c.Write(message); err != nil {
					return
				}
			}
		}), "answers to questions that nobody asked", nil, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBench(t, func(t *testing.T, b *bench) {
				b.serve("853", test.alpn, func(c net.Conn) { test.serve(t, c) })
				c := secure.New(b.client, secure.Options{Protocol: secure.TLS, Timeout: limit})
				began := time.Now()
				_, err := b.ask(c, secure.TLS)
				if err == nil || !strings.Contains(err.Error(), test.text) || test.is != nil && !errors.Is(err, test.is) {
					t.Errorf("error is %v, want %q", err, test.text)
				}
				if took := time.Since(began); took != test.takes {
					t.Errorf("took %s, want %s", took, test.takes)
				}
				c.Close()
				if opened, closed := len(memnet.Told[event.SocketConnect](b.client)), len(memnet.Told[event.SocketClose](b.client)); opened != closed || opened == 0 {
					t.Errorf("%d connections, %d of them closed", opened, closed)
				}
				if answers := memnet.Told[event.DNSAnswer](b.client); len(answers) != 1 || answers[0].Error == "" {
					t.Errorf("told %+v", answers)
				}
			})
		})
	}
}

// R27: the same over HTTPS.
func TestHostileHTTPS(t *testing.T) {
	const limit = 2 * time.Second
	message := http.Header{"Content-Type": {secure.MediaType}}
	for _, test := range []struct {
		name   string
		handle func(http.ResponseWriter, *http.Request)
		text   string
		is     error
		takes  time.Duration
	}{
		{"silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "", os.ErrDeadlineExceeded, limit},
		{"status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }, "HTTP status 502 Bad Gateway", nil, 0},
		{"a page", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, `no DNS message: it is of the type "text/html`, nil, 0},
		{"garbage", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", secure.MediaType)
			_, _ = io.WriteString(w, "hello")
		}, "no DNS message", nil, 0},
		{"without end", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", secure.MediaType)
			for {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		}, "longer than any can be", nil, 0},
		{"another question", func(w http.ResponseWriter, _ *http.Request) {
			packed, err := new(dns.Msg).SetReply(new(dns.Msg).SetQuestion("bank.example.", dns.TypeA)).Pack()
			if err != nil {
				t.Error(err)
			}
			w.Header()["Content-Type"] = message["Content-Type"]
			_, _ = w.Write(packed)
		}, "another question than was asked", nil, 0},
		{"broken off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "", nil, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBench(t, func(t *testing.T, b *bench) {
				server := new(http2.Server)
				if err := http2.ConfigureServer(new(http.Server), server); err != nil { // else bubbles share its channels
					t.Fatal(err)
				}
				b.serve("443", "h2", func(c net.Conn) {
					server.ServeConn(c, &http2.ServeConnOpts{Context: b.ctx, Handler: http.HandlerFunc(test.handle)})
				})
				c := secure.New(b.client, secure.Options{Protocol: secure.HTTPS, Timeout: limit})
				began := time.Now()
				_, err := b.ask(c, secure.HTTPS)
				if err == nil || !strings.Contains(err.Error(), test.text) || test.is != nil && !errors.Is(err, test.is) {
					t.Errorf("error is %v, want %q", err, test.text)
				}
				if took := time.Since(began); took != test.takes {
					t.Errorf("took %s, want %s", took, test.takes)
				}
				c.Close()
			})
		})
	}
}

// A server that does not speak HTTP/2 is left with a clear error.
func TestNoHTTP2(t *testing.T) {
	inBench(t, func(t *testing.T, b *bench) {
		b.config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			plain := b.config.Clone()
			plain.NextProtos, plain.GetConfigForClient = nil, nil
			return plain, nil
		}
		b.serve("443", "h2", hang)
		c := secure.New(b.client, secure.Options{Protocol: secure.HTTPS})
		defer c.Close()
		if _, err := b.ask(c, secure.HTTPS); err == nil || !strings.Contains(err.Error(), "does not speak HTTP/2") {
			t.Errorf("error is %v", err)
		}
	})
}

// RFC 7766, section 6.2.4: a question on a kept connection that the server closes is asked again on a new one; answers come
// in any order.
func TestKeptConnection(t *testing.T) {
	inBench(t, func(t *testing.T, b *bench) {
		var mu sync.Mutex
		served := 0
		b.serve("853", "dot", func(conn net.Conn) {
			mu.Lock()
			served++
			first := served == 1
			mu.Unlock()
			for i := range 3 {
				query, err := readQuery(conn)
				if err != nil || first && i == 1 {
					return
				}
				_, _ = conn.Write(frame(t, new(dns.Msg).SetReply(query)))
			}
		})
		c := secure.New(b.client, secure.Options{Protocol: secure.TLS})
		defer c.Close()
		for range 2 {
			if _, err := b.ask(c, secure.TLS); err != nil {
				t.Error(err)
			}
		}
		if got := len(memnet.Told[event.DNSQuery](b.client)); got != 3 {
			t.Errorf("%d questions are told, want the one that got no answer too", got)
		}
		if told := memnet.Told[event.TLSHandshake](b.client); len(told) != 2 || !told[1].Resumed {
			t.Errorf("handshakes %+v", told)
		}
	})
}

// A question that its asker gives up does not cost the connection; one that is never answered does, as soon as nobody waits.
func TestGivenUp(t *testing.T) {
	for _, test := range []struct {
		name   string
		limit  time.Duration // of the asker
		closed string
	}{
		{"by its asker", time.Second, "idle timeout"},
		{"by the client", time.Minute, "an answer did not come in time"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBench(t, func(t *testing.T, b *bench) {
				b.serve("853", "dot", func(conn net.Conn) {
					for {
						query, err := readQuery(conn)
						if err != nil {
							return
						}
						if query.Question[0].Name != "mute.example." {
							_, _ = conn.Write(frame(t, new(dns.Msg).SetReply(query)))
						}
					}
				})
				c := secure.New(b.client, secure.Options{Protocol: secure.TLS, Timeout: 3 * time.Second})
				defer c.Close()
				ctx, cancel := context.WithCancel(b.ctx)
				time.AfterFunc(test.limit, cancel)
				server := netip.MustParseAddrPort("198.51.100.53:853")
				if _, err := c.Exchange(ctx, server, dns.Question{Name: "mute.example.", Qtype: dns.TypeA, Qclass: dns.ClassINET}, true); err == nil {
					t.Error("there is an answer")
				}
				if _, err := b.ask(c, secure.TLS); err != nil {
					t.Error(err)
				}
				time.Sleep(20 * time.Second)
				if told := memnet.Told[event.SocketClose](b.client); len(told) == 0 || told[0].Reason != test.closed || told[0].By != "local" {
					t.Errorf("told %+v", told)
				}
			})
		})
	}
}

func TestAnyOrder(t *testing.T) {
	inBench(t, func(t *testing.T, b *bench) {
		const questions = 5
		b.serve("853", "dot", func(conn net.Conn) {
			var answers [][]byte
			for range questions {
				query, err := readQuery(conn)
				if err != nil {
					t.Error(err)
					return
				}
				answers = append([][]byte{frame(t, new(dns.Msg).SetReply(query))}, answers...)
			}
			_, _ = conn.Write(bytes.Join(answers, nil))
			hang(conn)
		})
		c := secure.New(b.client, secure.Options{Protocol: secure.TLS})
		defer c.Close()
		var group sync.WaitGroup
		for i := range questions {
			group.Go(func() {
				q := dns.Question{Name: string(rune('a'+i)) + ".", Qtype: dns.TypeA, Qclass: dns.ClassINET}
				if m, err := c.Exchange(b.ctx, netip.MustParseAddrPort("198.51.100.53:853"), q, true); err != nil || m.Question[0] != q {
					t.Errorf("%s: %v, %v", q.Name, m, err)
				}
			})
		}
		group.Wait()
	})
}

// Who is closed asks nothing any more, and who waits is told.
func TestClose(t *testing.T) {
	inBench(t, func(t *testing.T, b *bench) {
		b.serve("853", "dot", hang)
		c := secure.New(b.client, secure.Options{Protocol: secure.TLS})
		failed := make(chan error, 1)
		go func() {
			_, err := b.ask(c, secure.TLS)
			failed <- err
		}()
		synctest.Wait()
		began := time.Now()
		c.Close()
		if err := <-failed; err == nil || time.Since(began) != 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if _, err := b.ask(c, secure.TLS); !errors.Is(err, secure.ErrClosed) {
			t.Errorf("error is %v", err)
		}
	})
}

// A server to which nobody gets, and one that nobody asks who gave up before.
func TestUnreachable(t *testing.T) {
	inBench(t, func(t *testing.T, b *bench) {
		c := secure.New(b.client, secure.Options{Protocol: secure.TLS})
		defer c.Close()
		_, err := b.ask(c, secure.TLS)
		if told := memnet.Told[event.SocketError](b.client); len(told) != 1 || told[0].Errno != "ECONNREFUSED" || err == nil {
			t.Errorf("told %+v, error %v", told, err)
		}
		ctx, cancel := context.WithCancel(b.ctx)
		cancel()
		_, err = c.Exchange(ctx, netip.MustParseAddrPort("198.51.100.53:853"), dns.Question{Name: "a.", Qtype: dns.TypeA, Qclass: dns.ClassINET}, true)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v", err)
		}
	})
}
