package web

//lint:file-ignore SA1019 a client that is given its connection.

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"

	"scenario/event"
	"scenario/host/tlsinfo"
	"scenario/nodes/role"
	"scenario/pki"
)

// trust gives the lab's server a certificate for a name, and returns what trusts it.
func (l *lab) trust(t *testing.T, name string) *x509.CertPool {
	t.Helper()
	authority, err := pki.NewAuthority(7, "test")
	if err != nil {
		t.Fatal(err)
	}
	issued, err := authority.Issue(pki.Request{Names: []string{name}, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.80")}})
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := issued.TLS()
	if err != nil {
		t.Fatal(err)
	}
	l.Identity = &certificate
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(authority.PEM()))
	return roots
}

// secure connects over TLS.
func (l *lab) secure(t *testing.T, config *tls.Config) (*tls.Conn, error) {
	t.Helper()
	c, err := l.net.Host("198.51.100.7", "198.51.100.7").Dial(t.Context(), "tcp", "192.0.2.80:443")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	secure := tls.Client(c, config)
	return secure, secure.Handshake()
}

// R15: what the server tells of handshakes: those that succeed, and why the others do not.
func TestHandshakes(t *testing.T) {
	tests := []struct {
		name, options string
		config        func(*tls.Config)
		want          event.TLSHandshake // of the event: what is compared
	}{
		{"newest", `{"tls": true}`, func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} },
			event.TLSHandshake{Version: "TLS 1.3", ALPN: "h2", ServerName: "shop.example"}},
		{"no HTTP/2 offered", `{"tls": {"http2": false}}`, func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} },
			event.TLSHandshake{Version: "TLS 1.3", ALPN: "http/1.1", ServerName: "shop.example"}},
		{"no ALPN", `{"tls": {"max_version": "1.2"}}`, func(*tls.Config) {},
			event.TLSHandshake{Version: "TLS 1.2", ServerName: "shop.example"}},
		{"too old a client", `{"tls": {"min_version": "1.3"}}`, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 },
			event.TLSHandshake{ServerName: "shop.example", Reason: tlsinfo.Protocol}},
		{"a client that does not trust it", `{"tls": true}`, func(c *tls.Config) { c.RootCAs = x509.NewCertPool() },
			event.TLSHandshake{Version: "TLS 1.3", ServerName: "shop.example", Reason: tlsinfo.Refused}},
		{"a client that looks for another name", `{"tls": true}`, func(c *tls.Config) { c.ServerName = "bank.example" },
			event.TLSHandshake{Version: "TLS 1.3", ServerName: "bank.example", Reason: tlsinfo.Refused}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab()
				config := &tls.Config{RootCAs: l.trust(t, "shop.example"), ServerName: "shop.example"}
				test.config(config)
				_, stop := l.serve(t, test.options)
				c, err := l.secure(t, config)
				if (err == nil) != (test.want.Reason == "") {
					t.Errorf("the client's error: %v", err)
				}
				_ = c.Close()
				synctest.Wait()
				stop()
				got := told[event.TLSHandshake](l)
				if len(got) != 1 {
					t.Fatalf("told %+v", got)
				}
				e := got[0]
				if e.Side != "server" || e.Remote != "198.51.100.7:49152" || e.Subject == "" && e.Reason == "" || (e.Meaning == "") != (e.Reason == "") {
					t.Errorf("told %+v", e)
				}
				e = event.TLSHandshake{Version: e.Version, ALPN: e.ALPN, ServerName: e.ServerName, Reason: e.Reason}
				if diff := cmp.Diff(test.want, e); diff != "" {
					t.Errorf("tls.handshake (-want +got):\n%s", diff)
				}
				closes := told[event.SocketClose](l)
				if test.want.Reason != "" && closes[0].Reason != "TLS handshake failed" && closes[0].By == "local" {
					t.Errorf("closed as %+v", closes[0])
				}
			})
		})
	}
}

// R15: a client that says nothing, and one that speaks plain HTTP to the port of TLS.
func TestNoTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab()
		l.trust(t, "shop.example")
		l.serve(t, `{"tls": true}`)
		dial := func() net.Conn {
			c, err := l.net.Host("198.51.100.7", "198.51.100.7").Dial(t.Context(), "tcp", "192.0.2.80:443")
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		silent := dial()
		begin := time.Now()
		if _, err := io.ReadAll(silent); err != nil || time.Since(begin) != handshakeTimeout {
			t.Errorf("closed after %v, %v", time.Since(begin), err)
		}
		synctest.Wait()
		plain := dial()
		if _, err := io.WriteString(plain, get); err != nil {
			t.Fatal(err)
		}
		if answer, _ := io.ReadAll(plain); !strings.Contains(string(answer), "This port speaks TLS") {
			t.Errorf("answer %q", answer)
		}
		synctest.Wait()
		var reasons []string
		for _, e := range told[event.TLSHandshake](l) {
			reasons = append(reasons, e.Reason)
		}
		if diff := cmp.Diff([]string{tlsinfo.Timeout, tlsinfo.Protocol}, reasons); diff != "" {
			t.Errorf("reasons (-want +got):\n%s", diff)
		}
	})
}

// R15: sessions are resumed, unless the server does not want that.
func TestResume(t *testing.T) {
	for options, want := range map[string]bool{`{"tls": true}`: true, `{"tls": {"resume": false}}`: false} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab()
			config := &tls.Config{RootCAs: l.trust(t, "shop.example"), ServerName: "shop.example", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
			l.serve(t, options)
			for range 2 {
				c, err := l.secure(t, config)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.WriteString(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				if answer, err := io.ReadAll(c); err != nil || !strings.Contains(string(answer), "200 OK") {
					t.Fatalf("%q, %v", answer, err)
				}
			}
			synctest.Wait()
			got := told[event.TLSHandshake](l)
			if len(got) != 2 || got[0].Resumed || got[1].Resumed != want {
				t.Errorf("%s: %+v", options, got)
			}
			if r := told[event.HTTPRequest](l); r[0].URL != "https://192.0.2.80:443/" {
				t.Errorf("request %+v", r[0])
			}
		})
	}
}

// R15: plain HTTP leads to https, which has itself kept; cookies of sessions are for this host alone there.
func TestRedirectToHTTPS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab()
		config := &tls.Config{RootCAs: l.trust(t, "shop.example"), ServerName: "shop.example"}
		l.serve(t, `{"tls": {"redirect": true, "hsts": "1h"}, "accounts": {"ann": "x"}, "paths": {"/login": {"login": {}}}}`)
		if answer := l.talk(t, "GET /a?b=c HTTP/1.1\r\nHost: shop.example:80\r\nConnection: close\r\n\r\n"); !strings.Contains(answer, " 301 ") ||
			!strings.Contains(answer, "Location: https://shop.example/a?b=c\r\n") || strings.Contains(answer, "Strict-Transport") {
			t.Errorf("answer %q", answer)
		}
		if answer := l.talk(t, "POST /a HTTP/1.0\r\nHost: shop.example\r\n\r\n"); !strings.Contains(answer, " 308 ") {
			t.Errorf("answer %q", answer)
		}
		c, err := l.secure(t, config)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "POST /login HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 19\r\n\r\nuser=ann&password=x"); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(c)
		if err != nil || !strings.Contains(string(answer), "Strict-Transport-Security: max-age=3600\r\n") ||
			!regexp.MustCompile(`Set-Cookie: __Host-session=[0-9a-f]{32}; Path=/; HttpOnly; Secure; SameSite=Lax`).Match(answer) {
			t.Errorf("%q, %v", answer, err)
		}
	})
}

func TestCertificate(t *testing.T) {
	k := Kind(testSites())
	got := k.Certificate([]byte(`{"tls": {"certificate": "expired"}, "hosts": {"b.example": "other", "a.example": "shop"}}`))
	if diff := cmp.Diff(&role.Certificate{Names: []string{"a.example", "b.example"}, Flaw: role.Expired}, got); diff != "" {
		t.Errorf("certificate (-want +got):\n%s", diff)
	}
	for _, options := range []string{`{}`, `{"tls": false}`, `{"tls": 7}`} {
		if got := k.Certificate([]byte(options)); got != nil {
			t.Errorf("%s: %+v", options, got)
		}
	}
}

// R16: what is told of HTTP/2: frames, and requests and responses with their streams, over TLS and without.
func TestHTTP2Events(t *testing.T) {
	for _, mode := range []string{"TLS", "prior knowledge"} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab()
				config := &tls.Config{RootCAs: l.trust(t, "shop.example"), ServerName: "shop.example", NextProtos: []string{"h2"}}
				_, stop := l.serve(t, `{"tls": true, "site": "shop", "paths": {"/e": {"echo": "request", "cookies": [{"name": "a", "value": "b"}]}}}`)
				scheme, conn := "http", l.dial(t, "198.51.100.7")
				if mode == "TLS" {
					secure, err := l.secure(t, config)
					if err != nil {
						t.Fatal(err)
					}
					scheme, conn = "https", secure
				}
				transport := &http2.Transport{AllowHTTP: true, DialTLSContext: func(context.Context, string, string, *tls.Config) (net.Conn, error) { return conn, nil }}
				for _, body := range []string{"", "some text"} {
					request, err := http.NewRequest(map[bool]string{true: "GET", false: "POST"}[body == ""], scheme+"://shop.example/e", strings.NewReader(body))
					if err != nil {
						t.Fatal(err)
					}
					response, err := transport.RoundTrip(request)
					if err != nil {
						t.Fatal(err)
					}
					text, err := io.ReadAll(response.Body)
					if err != nil || !strings.HasSuffix(string(text), "\n\n"+body) {
						t.Errorf("%q, %v", text, err)
					}
				}
				transport.CloseIdleConnections()
				_ = conn.Close()
				synctest.Wait()
				stop()
				requests, responses := told[event.HTTPRequest](l), told[event.HTTPResponse](l)
				if len(requests) != 2 || len(responses) != 2 {
					t.Fatalf("%d requests, %d responses", len(requests), len(responses))
				}
				for i, e := range requests {
					if e.Stream != uint32(2*i+1) || e.Reused != (i > 0) || e.URL != scheme+"://shop.example/e" || e.Proto != "HTTP/2" ||
						e.HeaderBytes == 0 || e.HeaderPlain <= e.HeaderBytes || !strings.Contains(e.Raw, ":path: /e\r\n") {
						t.Errorf("request %+v", e)
					}
				}
				if requests[1].HeaderBytes >= requests[0].HeaderBytes+20 || !strings.HasSuffix(requests[1].Raw, "\r\n\r\nsome text") {
					t.Errorf("request %+v after %+v", requests[1], requests[0])
				}
				for i, e := range responses {
					if e.Stream != uint32(2*i+1) || e.Status != 200 || e.Error != "" || e.HeaderBytes == 0 || !strings.HasPrefix(e.Raw, ":status: 200\r\n") || e.Size == 0 {
						t.Errorf("response %+v", e)
					}
				}
				seen := make(map[string]int)
				for _, e := range told[event.HTTP2Frame](l) {
					seen[e.Direction+" "+e.Type]++
				}
				for _, want := range []string{"received SETTINGS", "sent SETTINGS", "received HEADERS", "sent HEADERS", "received DATA", "sent DATA"} {
					if seen[want] == 0 {
						t.Errorf("no frame %s among %v", want, seen)
					}
				}
			})
		})
	}
}

// R16: what is urgent is sent first (RFC 9218).
func TestPriorities(t *testing.T) {
	for field, want := range map[string]priority{
		"": {3, false}, "u=0": {0, false}, "u=7, i": {7, true}, "i=?0, u=1;x": {1, false}, "u=9": {3, false}, "u=1, u=5": {5, false}, "x": {3, false},
	} {
		if got := readPriority(field); got != want {
			t.Errorf("%q: %+v, want %+v", field, got, want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		l := newLab()
		l.serve(t, `{"files": {"/": "`+strings.Repeat("0123456789", 20_000)+`"}}`)
		conn := l.dial(t, "198.51.100.7")
		defer conn.Close()
		framer := http2.NewFramer(conn, conn)
		go func() {
			_, _ = io.WriteString(conn, http2.ClientPreface)
			_ = framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
			for i, urgent := range []string{"5", "5", "1"} {
				_ = framer.WriteHeaders(http2.HeadersFrameParam{
					StreamID: uint32(2*i + 1), EndStream: true, EndHeaders: true, BlockFragment: headers("/", "u="+urgent),
				})
			}
			// All are under way, and nothing could be sent but 65535 bytes of the first: then comes room for everything.
			time.Sleep(time.Second)
			_ = framer.WriteWindowUpdate(0, 1<<24)
		}()
		var ended []uint32
		for len(ended) < 3 {
			frame, err := framer.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if data, ok := frame.(*http2.DataFrame); ok && data.StreamEnded() {
				ended = append(ended, data.StreamID)
			}
		}
		if slices.Index(ended, 5) > slices.Index(ended, 3) {
			t.Errorf("streams ended in the order %v: 5 is more urgent than 3", ended)
		}
	})
}
