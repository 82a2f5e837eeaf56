package dnsd

//lint:file-ignore SA1019 a client that is given its connection.

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"golang.org/x/net/http2"

	"scenario/dnsd/secure"
	"scenario/dnsd/stub"
	"scenario/event"
	"scenario/host/hosttest/memnet"
	"scenario/pki"
)

// authority makes the certification authority of a seed, and the pool of those who trust it.
func authority(t *testing.T, seed uint64) (*pki.Authority, *x509.CertPool) {
	t.Helper()
	a, err := pki.NewAuthority(seed, "scenario test")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(a.PEM())) {
		t.Fatal("the authority's certificate cannot be read")
	}
	return a, roots
}

func issue(t *testing.T, a *pki.Authority, r pki.Request) *tls.Certificate {
	t.Helper()
	issued, err := a.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := issued.TLS()
	if err != nil {
		t.Fatal(err)
	}
	return &pair
}

// encrypted starts a server of shop.example at 198.51.100.53 that answers over TLS and HTTPS, and a client that knows it.
func (l *lab) encrypted(request pki.Request, seed uint64) (server, client *memnet.Host) {
	l.t.Helper()
	a, _ := authority(l.t, 1)
	_, trusted := authority(l.t, seed)
	server = l.net.Host("ns", "198.51.100.53")
	server.Identity = issue(l.t, a, request)
	l.start(Options{
		Zones: l.zones("shop.example\n@ 60 A 198.51.100.80\nslow A 198.51.100.81\n" + `@ 90 HTTPS 1 . alpn=h2`), TLS: []string{}, HTTPS: []string{},
		Ignore: []string{"slow.shop.example"},
	}, "ns", "198.51.100.53")
	client = l.net.Host("laptop", "198.51.100.99")
	client.Authorities = trusted
	client.Servers = []netip.AddrPort{netip.MustParseAddrPort("198.51.100.53:53")}
	return server, client
}

var goodRequest = pki.Request{Addresses: []netip.Addr{netip.MustParseAddr("198.51.100.53")}}

// told is what a host has told, in short.
func told(h *memnet.Host) []string {
	var lines []string
	for _, r := range h.Records() {
		if e, ok := event.As[event.SocketConnect](r); ok {
			lines = append(lines, "connect "+e.Remote)
		}
		if e, ok := event.As[event.SocketAccept](r); ok {
			lines = append(lines, "accept "+e.Local)
		}
		if e, ok := event.As[event.TLSHandshake](r); ok {
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("handshake %s %s %s %s", e.Side, e.Version, e.ALPN, e.Reason)))
		}
		if e, ok := event.As[event.DNSQuery](r); ok {
			lines = append(lines, "ask "+e.Transport+" "+e.Name+" "+e.Type)
		}
		if e, ok := event.As[event.DNSAnswer](r); ok {
			lines = append(lines, strings.TrimSpace("answer "+e.Transport+" "+e.RCode+" "+e.Error))
		}
		if e, ok := event.As[event.SocketClose](r); ok {
			lines = append(lines, strings.TrimSpace("close "+e.By+" "+e.Reason))
		}
	}
	return lines
}

// R2, R6: lookups over encrypted transports share one connection, which is closed when nobody has used it for a while.
func TestEncryptedLookup(t *testing.T) {
	for _, test := range []struct {
		transport stub.Transport
		port      string
		alpn      string
	}{{stub.TLS, "853", "dot"}, {stub.HTTPS, "443", "h2"}} {
		t.Run(string(test.transport), func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				server, client := l.encrypted(goodRequest, 1)
				server.Forget()
				names := stub.NewWith(client, stub.Options{Transport: test.transport})
				defer names.Close()
				answer, err := names.Lookup(l.ctx, "shop.example")
				if err != nil || len(answer.Addrs) != 1 || answer.Addrs[0] != netip.MustParseAddr("198.51.100.80") {
					t.Fatalf("answer %+v, %v", answer, err)
				}
				if _, err := names.Query(l.ctx, "shop.example", dns.TypeHTTPS); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Minute)
				name := string(test.transport)
				want := []string{
					"connect 198.51.100.53:" + test.port, "handshake client TLS 1.3 " + test.alpn,
					"ask " + name + " shop.example. A", "answer " + name + " NOERROR",
					"ask " + name + " shop.example. HTTPS", "answer " + name + " NOERROR", "close local idle timeout",
				}
				if diff := cmp.Diff(want, told(client)); diff != "" {
					t.Errorf("client told (-want +got):\n%s", diff)
				}
				end := "close remote"
				if test.transport == stub.HTTPS {
					end = "close" // net/http does not say why
				}
				want = []string{
					"accept 198.51.100.53:" + test.port, "handshake server TLS 1.3 " + test.alpn,
					"ask " + name + " shop.example. A", "answer " + name + " NOERROR",
					"ask " + name + " shop.example. HTTPS", "answer " + name + " NOERROR", end,
				}
				if diff := cmp.Diff(want, told(server)); diff != "" {
					t.Errorf("server told (-want +got):\n%s", diff)
				}
				if _, err := names.Query(l.ctx, "none.shop.example", dns.TypeA); err != nil {
					t.Errorf("after the connection was closed: %v", err)
				}
			})
		})
	}
}

// R2: questions side by side go over one connection, and one that is never answered holds no other up.
func TestEncryptedSideBySide(t *testing.T) {
	for _, transport := range []stub.Transport{stub.TLS, stub.HTTPS} {
		t.Run(string(transport), func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				_, client := l.encrypted(goodRequest, 1)
				names := stub.NewWith(client, stub.Options{Transport: transport, Timeout: 3 * time.Second, Attempts: 1})
				defer names.Close()
				slow := make(chan error, 1)
				go func() {
					_, err := names.Lookup(l.ctx, "slow.shop.example")
					slow <- err
				}()
				synctest.Wait()
				began := time.Now()
				lookup := names.Resolve(l.ctx, "shop.example", stub.Want{Services: true})
				kinds := make(map[uint16]bool)
				for p := range lookup.Parts {
					kinds[p.Type] = p.Err == nil
				}
				if !kinds[dns.TypeA] || !kinds[dns.TypeHTTPS] || time.Since(began) > time.Second {
					t.Errorf("parts %v after %s", kinds, time.Since(began))
				}
				var failure *stub.Error
				if err := <-slow; !errors.As(err, &failure) || !failure.Timeout {
					t.Errorf("slow: %v", err)
				}
				if got := len(memnet.Told[event.SocketConnect](client)); got != 1 {
					t.Errorf("%d connections", got)
				}
				if _, err := names.Lookup(l.ctx, "shop.example"); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// R6, R15: a server that cannot prove its address is not asked, by any transport, and the error says why.
func TestCertificateRefused(t *testing.T) {
	long := time.Date(1999, 6, 1, 0, 0, 0, 0, time.UTC)
	other := pki.Request{Addresses: []netip.Addr{netip.MustParseAddr("198.51.100.54")}}
	expired, alone := goodRequest, goodRequest
	expired.NotAfter, alone.SelfSigned = long, true
	for _, test := range []struct {
		name    string
		request pki.Request
		seed    uint64
		reason  string
	}{
		{"another authority", goodRequest, 2, "untrusted"},
		{"another address", other, 1, "wrong-name"},
		{"expired", expired, 1, "expired"},
		{"self-signed", alone, 1, "self-signed"},
	} {
		for _, transport := range []stub.Transport{stub.TLS, stub.HTTPS} {
			t.Run(test.name+"/"+string(transport), func(t *testing.T) {
				inLab(t, func(t *testing.T, l *lab) {
					_, client := l.encrypted(test.request, test.seed)
					names := stub.NewWith(client, stub.Options{Transport: transport})
					defer names.Close()
					_, err := names.Lookup(l.ctx, "shop.example")
					var refused *secure.CertificateError
					if !errors.As(err, &refused) || refused.Reason != test.reason {
						t.Errorf("error is %v, want the reason %s", err, test.reason)
					}
					if want := "the resolver's certificate is refused (" + test.reason + ")"; err == nil || !strings.Contains(err.Error(), want) {
						t.Errorf("error is %q, want %q in it", err, want)
					}
					for _, asked := range memnet.Told[event.DNSQuery](client) {
						if asked.Transport != string(transport) {
							t.Errorf("asked over %s", asked.Transport)
						}
					}
					if told := memnet.Told[event.TLSHandshake](client); len(told) != 1 || told[0].Reason != test.reason || told[0].Meaning == "" {
						t.Errorf("told %+v", told)
					}
				})
			})
		}
	}
}

// A server that answers encrypted queries needs a certificate.
func TestNoCertificate(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		err := New(l.net.Host("ns", "198.51.100.53"), Options{HTTPS: []string{}}).Serve(l.ctx, func() { t.Error("ready") })
		if !errors.Is(err, errNoCertificate) {
			t.Errorf("error is %v", err)
		}
	})
}

// secureDial connects to the server as the client does, whatever is to be said then.
func secureDial(l *lab, client *memnet.Host, port, alpn string) *tls.Conn {
	l.t.Helper()
	conn, err := client.Dial(l.ctx, "tcp", "198.51.100.53:"+port)
	if err != nil {
		l.t.Fatal(err)
	}
	secured := tls.Client(conn, &tls.Config{ServerName: "198.51.100.53", RootCAs: client.Authorities, NextProtos: []string{alpn}})
	l.t.Cleanup(func() { secured.Close() })
	return secured
}

// R2: requests of every kind, over HTTP/1.1 and HTTP/2 (RFC 8484, sections 4 and 5).
func TestHTTPSRequests(t *testing.T) {
	question, err := new(dns.Msg).SetQuestion("shop.example.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	inURL := "/dns-query?dns=" + base64.RawURLEncoding.EncodeToString(question)
	const message = "application/dns-message"
	tests := []struct {
		name, method, target, kind, body string
		status                           int
		cache                            string
	}{
		{"GET", "GET", inURL, "", "", 200, "max-age=60"},
		{"POST", "POST", "/dns-query", message, string(question), 200, "max-age=60"},
		{"POST with a parameter", "POST", "/dns-query", message + "; charset=x", string(question), 200, "max-age=60"},
		{"no variable", "GET", "/dns-query", "", "", 400, ""},
		{"padded", "GET", "/dns-query?dns=AAAA====", "", "", 400, ""},
		{"no message", "POST", "/dns-query", message, "hello", 400, ""},
		{"a response", "POST", "/dns-query", message, string(question[:2]) + "\x80" + string(question[3:]), 400, ""},
		{"cut off", "POST", "/dns-query", message, string(question[:20]), 200, "max-age=0"}, // FORMERR
		{"another type", "POST", "/dns-query", "text/plain", string(question), 415, ""},
		{"no type", "POST", "/dns-query", "", string(question), 415, ""},
		{"too long", "POST", "/dns-query", message, strings.Repeat("x", dns.MaxMsgSize+1), 413, ""},
		{"method", "PUT", "/dns-query", message, string(question), 405, ""},
		{"path", "GET", "/", "", "", 404, ""},
	}
	for _, alpn := range []string{"http/1.1", "h2"} {
		t.Run(alpn, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				_, client := l.encrypted(goodRequest, 1)
				conn := secureDial(l, client, "443", alpn)
				if err := conn.HandshakeContext(l.ctx); err != nil {
					t.Fatal(err)
				}
				var asks http.RoundTripper = &http.Transport{DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
				if alpn == "h2" {
					if asks, err = new(http2.Transport).NewClientConn(conn); err != nil {
						t.Fatal(err)
					}
				}
				for _, test := range tests {
					request, err := http.NewRequestWithContext(l.ctx, test.method, "https://198.51.100.53"+test.target, strings.NewReader(test.body))
					if err != nil {
						t.Fatal(err)
					}
					if test.kind != "" {
						request.Header.Set("Content-Type", test.kind)
					}
					response, err := asks.RoundTrip(request)
					if err != nil {
						t.Fatalf("%s: %v", test.name, err)
					}
					body, err := io.ReadAll(response.Body)
					if err != nil {
						t.Errorf("%s: %v", test.name, err)
					}
					response.Body.Close()
					if response.StatusCode != test.status || response.Header.Get("Cache-Control") != test.cache {
						t.Errorf("%s: %d, Cache-Control %q: %s", test.name, response.StatusCode, response.Header.Get("Cache-Control"), body)
					}
					if test.status != 200 {
						continue
					}
					if got := response.Header.Get("Content-Type"); got != message {
						t.Errorf("%s: type %q", test.name, got)
					}
					if err := new(dns.Msg).Unpack(body); err != nil {
						t.Errorf("%s: %v", test.name, err)
					}
				}
				conn.Close()
			})
		})
	}
}

// RFC 8467: queries and responses have lengths that tell little.
func TestPadding(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		_, client := l.encrypted(goodRequest, 1)
		names := stub.NewWith(client, stub.Options{Transport: stub.TLS})
		defer names.Close()
		for _, name := range []string{"shop.example", "none.shop.example"} {
			if _, err := names.Query(l.ctx, name, dns.TypeA); err != nil {
				t.Error(err)
			}
		}
		for _, answer := range memnet.Told[event.DNSAnswer](client) {
			if answer.Size != responseBlock {
				t.Errorf("%s: %d bytes", answer.Name, answer.Size)
			}
		}
	})
}

// Clients that stop in the middle are left, and what they hold is given back.
func TestEncryptedConnectionEnds(t *testing.T) {
	for _, test := range []struct {
		name, port, alpn string
		handshake        bool
		sent             string
		want             time.Duration
	}{
		{"no handshake", "853", "dot", false, "", handshakeTimeout},
		{"no TLS", "443", "h2", false, "GET / HTTP/1.1\r\n\r\n", 0},
		{"silent", "853", "dot", true, "", secureIdleTimeout},
		{"half a query", "853", "dot", true, "\x00\x20abc", secureIdleTimeout},
		{"half a request", "443", "http/1.1", true, "POST /dns-query HTTP/1.1\r\n", requestTimeout},
		{"silent on HTTP/2", "443", "h2", true, http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00", secureIdleTimeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				server, client := l.encrypted(goodRequest, 1)
				conn := secureDial(l, client, test.port, test.alpn)
				var raw io.ReadWriter = conn.NetConn()
				if test.handshake {
					if err := conn.HandshakeContext(l.ctx); err != nil {
						t.Fatal(err)
					}
					raw = conn
				}
				began := time.Now()
				if _, err := io.WriteString(raw, test.sent); err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, raw)
				conn.NetConn().Close()
				synctest.Wait()
				if took := time.Since(began); took < test.want || took > test.want+time.Second {
					t.Errorf("closed after %s, want %s", took, test.want)
				}
				if got := len(memnet.Told[event.SocketClose](server)); got != 1 {
					t.Errorf("%d closed connections are told", got)
				}
			})
		})
	}
}

// FuzzHTTPSQuery: whatever a request says, it is a query of bounded length or refused with a status of the client's fault.
func FuzzHTTPSQuery(f *testing.F) {
	f.Add("GET", "/dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB", "", "")
	f.Add("POST", "/dns-query", "application/dns-message", "\x00\x00\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01")
	f.Add("GET", "/dns-query?dns=%zz&dns=", "", "")
	f.Add("POST", "/dns-query", "application/dns-message; =", "")
	f.Add("HEAD", "/dns-query/..", "a", "b")
	f.Fuzz(func(t *testing.T, method, target, kind, body string) {
		request, err := http.NewRequest(method, target, strings.NewReader(body))
		if err != nil {
			return
		}
		request.Header.Set("Content-Type", kind)
		query, refused := readQuery(request)
		switch {
		case refused != nil && (refused.code < 400 || refused.code > 499 || refused.why == ""):
			t.Errorf("refused with %+v", refused)
		case refused == nil && (len(query) < headerSize || len(query) > dns.MaxMsgSize):
			t.Errorf("%d bytes are taken for a query", len(query))
		}
	})
}
