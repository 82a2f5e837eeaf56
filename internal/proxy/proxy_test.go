package proxy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"scenario/internal/needs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lab is a proxy into a network where shop.example is a server of the test, and other names are ways to fail.
type lab struct {
	addr string // of the proxy
	shop *httptest.Server
}

// failures are what becomes of connections to names.
func failures() map[string]error {
	sys := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
	}
	return map[string]error{
		"nosuch.example":  &net.DNSError{Err: "no such name", Name: "nosuch.example", IsNotFound: true},
		"slowdns.example": &net.DNSError{Err: "the name server did not answer in time", Name: "slowdns.example", IsTimeout: true},
		"refused.example": sys(syscall.ECONNREFUSED),
		"far.example":     sys(syscall.EHOSTUNREACH),
		"noroute.example": sys(syscall.ENETUNREACH),
		"silent.example":  sys(syscall.ETIMEDOUT),
		"dropped.example": context.DeadlineExceeded,
		"barred.example":  sys(syscall.EPERM),
		"six.example":     sys(syscall.EAFNOSUPPORT),
		"odd.example":     fmt.Errorf("something else"),
	}
}

func newLab(t *testing.T, handler http.HandlerFunc) lab {
	t.Helper()
	shop := httptest.NewServer(handler)
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		if err := failures()[host]; err != nil {
			return nil, err
		}
		var d net.Dialer
		return d.DialContext(ctx, network, shop.Listener.Addr().String())
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, listener, dial, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		shop.Close()
	})
	return lab{addr: listener.Addr().String(), shop: shop}
}

func (l lab) connect(t *testing.T) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", l.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	return conn.(*net.TCPConn)
}

// say sends bytes, written in hex with spaces, and expects others.
func say(t *testing.T, conn net.Conn, text, want string) {
	t.Helper()
	if _, err := conn.Write(unhex(t, text)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(unhex(t, want)))
	if n, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, unhex(t, want)) {
		t.Fatalf("after %s: %x (%v), want %s", text, got[:n], err, want)
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// connectTo is the request to connect to port 80 of a name.
func connectTo(name string) string {
	return fmt.Sprintf("05 01 00 03 %02x %x 0050", len(name), name)
}

func page(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "page of %s%s", r.Host, r.URL) }

func TestSOCKS(t *testing.T) {
	l := newLab(t, page)
	for name, request := range map[string]string{
		"name": connectTo("shop.example"),
		"IPv4": "05 01 00 01 0a000001 0050",
		"IPv6": "05 01 00 04 fd000000000000000000000000000001 0050",
	} {
		t.Run(name, func(t *testing.T) {
			conn := l.connect(t)
			say(t, conn, "05 02 02 00", "05 00")
			say(t, conn, request, "05 00 00 01 7f000001")
			if _, err := io.ReadFull(conn, make([]byte, 2)); err != nil { // the port
				t.Fatal(err)
			}
			fmt.Fprint(conn, "GET /cart HTTP/1.0\r\nHost: shop.example\r\n\r\n")
			conn.CloseWrite()
			got, err := io.ReadAll(conn)
			if err != nil || !strings.HasSuffix(string(got), "page of shop.example/cart") {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// Replies tell why a connection could not be made (RFC 1928, section 6).
func TestSOCKSReplies(t *testing.T) {
	l := newLab(t, page)
	for name, code := range map[string]reply{
		"nosuch.example": replyHostUnreachable, "far.example": replyHostUnreachable, "refused.example": replyRefused,
		"noroute.example": replyNetworkUnreachable, "silent.example": replyLate, "dropped.example": replyLate,
		"slowdns.example": replyLate, "barred.example": replyForbidden, "six.example": replyNoAddress, "odd.example": replyFailure,
	} {
		t.Run(name, func(t *testing.T) {
			conn := l.connect(t)
			say(t, conn, "05 01 00", "05 00")
			say(t, conn, connectTo(name), fmt.Sprintf("05 %02x 00 01 00000000 0000", byte(code)))
			if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("after the reply: %v", err)
			}
		})
	}
}

func TestSOCKSRefusals(t *testing.T) {
	l := newLab(t, page)
	for name, test := range map[string]struct{ greeting, method, request, reply string }{
		"BIND":          {"05 01 00", "05 00", "05 02 00 01 0a000001 0050", "05 07 00 01 00000000 0000"},
		"UDP ASSOCIATE": {"05 01 00", "05 00", "05 03 00 01 00000000 0000", "05 07 00 01 00000000 0000"},
		"command 9":     {"05 01 00", "05 00", "05 09 00 03 01 61 0050", "05 07 00 01 00000000 0000"},
		"address type":  {"05 01 00", "05 00", "05 01 00 02", "05 08 00 01 00000000 0000"},
		"empty name":    {"05 01 00", "05 00", "05 01 00 03 00 0050", "05 01 00 01 00000000 0000"},
		"version":       {"05 01 00", "05 00", "04 01 00 01", "05 01 00 01 00000000 0000"},
		"no method":     {"05 01 02", "05 ff", "", ""},
		"SOCKS4":        {"04 01 0050 0a000001 616e6e 00", "00 5b 0000 00000000", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			conn := l.connect(t)
			say(t, conn, test.greeting, test.method)
			say(t, conn, test.request, test.reply)
			if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("after the reply: %v", err)
			}
		})
	}
}

// A reset of the server is one for the client too, and no end in order.
func TestReset(t *testing.T) {
	l := newLab(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	})
	conn := l.connect(t)
	say(t, conn, "05 01 00", "05 00")
	say(t, conn, connectTo("shop.example"), "05 00 00 01 7f000001")
	fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
	if got, err := io.ReadAll(conn); err == nil {
		t.Errorf("the client saw an end in order after %q", got)
	}
}

// client is an HTTP client that uses the proxy.
func (l lab) client(t *testing.T, scheme string) *http.Client {
	transport := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: scheme, Host: l.addr})}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestHTTP(t *testing.T) {
	asked := make(chan *http.Request, 1)
	l := newLab(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		page(w, r)
	})
	req, _ := http.NewRequest("GET", "http://shop.example/find?a=1;b=2", nil)
	req.Header.Set("X-Forwarded-For", "10.9.9.9")
	req.Header.Set("User-Agent", "")
	resp, err := l.client(t, "http").Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "page of shop.example/find?a=1;b=2" {
		t.Errorf("%s: %s", resp.Status, body)
	}
	got := <-asked
	if got.Header.Get("X-Forwarded-For") != "10.9.9.9" || got.Header.Get("Via") != "" || got.UserAgent() != "" {
		t.Errorf("the request has changed on its way: %v", got.Header)
	}
}

func TestHTTPErrors(t *testing.T) {
	l := newLab(t, page)
	for name, test := range map[string]struct {
		status int
		words  []string
	}{
		"refused.example": {502, []string{"refused.example:80 cannot be reached", "ECONNREFUSED: the machine answered that nothing listens"}},
		"nosuch.example":  {502, []string{"nosuch.example:80 cannot be reached: lookup nosuch.example: no such name\n"}},
		"silent.example":  {504, []string{"ETIMEDOUT: no answer came in time"}},
		"slowdns.example": {504, []string{"the name server did not answer in time"}},
	} {
		for method, request := range map[string]string{
			"GET":     "GET http://" + name + "/ HTTP/1.1\r\nHost: " + name + "\r\n\r\n",
			"CONNECT": "CONNECT " + name + ":80 HTTP/1.1\r\nHost: " + name + ":80\r\n\r\n",
		} {
			t.Run(method+" "+name, func(t *testing.T) {
				conn := l.connect(t)
				fmt.Fprint(conn, request)
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				if resp.StatusCode != test.status {
					t.Errorf("status %d, want %d", resp.StatusCode, test.status)
				}
				for _, word := range test.words {
					if !strings.Contains(string(body), word) {
						t.Errorf("%q is not in the page:\n%s", word, body)
					}
				}
			})
		}
	}
}

func TestBadRequests(t *testing.T) {
	l := newLab(t, page)
	for request, words := range map[string]string{
		"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n":                        "this is a proxy, not a page",
		"GET https://shop.example/ HTTP/1.1\r\nHost: shop.example\r\n\r\n": "ask for them with CONNECT",
		"CONNECT shop.example HTTP/1.1\r\nHost: shop.example\r\n\r\n":      "not host:port",
		"nonsense\r\n\r\n": "400 Bad Request",
	} {
		conn := l.connect(t)
		fmt.Fprint(conn, request)
		conn.CloseWrite()
		if got, _ := io.ReadAll(conn); !strings.HasPrefix(string(got), "HTTP/1.1 400 ") || !strings.Contains(string(got), words) {
			t.Errorf("%q: %q", request, got)
		}
	}
}

// What a client sends right after CONNECT, before the answer, is part of the connection.
func TestConnectEarlyData(t *testing.T) {
	l := newLab(t, page)
	conn := l.connect(t)
	fmt.Fprint(conn, "CONNECT shop.example:80 HTTP/1.1\r\nHost: shop.example:80\r\n\r\nGET /early HTTP/1.0\r\nHost: shop.example\r\n\r\n")
	got, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.0 200 OK") ||
		!strings.HasSuffix(string(got), "page of shop.example/early") {
		t.Errorf("%q, %v", got, err)
	}
}

// A client that goes away while its connection is being made ends the attempt.
func TestClientGoesAway(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dialing, given := make(chan bool), make(chan bool)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, listener, func(ctx context.Context, _, _ string) (net.Conn, error) {
			dialing <- true
			<-ctx.Done()
			given <- true
			return nil, ctx.Err()
		}, slog.New(slog.DiscardHandler))
	}()
	l := lab{addr: listener.Addr().String()}
	conn := l.connect(t)
	say(t, conn, "05 01 00", "05 00")
	conn.Write(unhex(t, connectTo("silent.example")))
	<-dialing
	conn.Close()
	<-given
	conn = l.connect(t)
	fmt.Fprint(conn, "CONNECT silent.example:80 HTTP/1.1\r\nHost: silent.example:80\r\n\r\n")
	<-dialing
	conn.Close()
	<-given
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// curl through all that it knows of the proxy.
func TestCurl(t *testing.T) {
	needs.Program(t, "curl")
	l := newLab(t, page)
	for _, scheme := range []string{"socks5h", "http"} {
		for _, args := range [][]string{{}, {"--proxytunnel"}} {
			for host, code := range map[string]int{"shop.example": 0, "refused.example": 97} {
				if scheme == "http" && code != 0 {
					continue // a page tells: TestHTTPErrors
				}
				args := append([]string{"-sS", "--proxy", scheme + "://" + l.addr, "http://" + host + "/cart"}, args...)
				cmd := exec.CommandContext(t.Context(), "curl", args...)
				out, _ := cmd.CombinedOutput()
				if got := cmd.ProcessState.ExitCode(); got != code {
					t.Errorf("curl %v: exit code %d, want %d: %s", args, got, code, out)
				}
				if code == 0 && string(out) != "page of shop.example/cart" {
					t.Errorf("curl %v: %s", args, out)
				}
			}
		}
	}
}

func FuzzSOCKS(f *testing.F) {
	f.Add([]byte("\x05\x01\x00\x05\x01\x00\x03\x0cshop.example\x00\x50"))
	f.Add([]byte("\x05\x01\x00\x05\x01\x00\x01\x0a\x00\x00\x01\x00\x50"))
	f.Add([]byte("\x05\x01\x00\x05\x02\x00\x04"))
	f.Fuzz(func(t *testing.T, text []byte) {
		addr, _, err := greet(bufio.NewReader(bytes.NewReader(text)), io.Discard)
		if err != nil {
			return
		}
		if host, _, bad := net.SplitHostPort(addr); host == "" && bad == nil {
			t.Errorf("%q: no host in %q", text, addr)
		}
	})
}
