package web_test

//lint:file-ignore SA1019 a client of HTTP/2 alone.

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"scenario/event"
	"scenario/internal/needs"
)

const interopOptions = `{"tls": true, "log_requests": "all",
	"paths": {"/size": {"size": "100kB"}, "/none": {"size": "100kB", "ranges": "none"}, "/echo": {"echo": "request"},
		"/trailers": {"body": "x", "trailers": {"X-Sum": "1"}}, "/hints": {"body": "x", "early_hints": ["</a.css>; rel=preload"]},
		"/redirect": {"location": "/echo", "status": 307}, "/private": {"require": "basic", "body": "for ann"}},
	"accounts": {"ann": "secret"}, "files": {"/long.txt": "LONG"}}`

func startInterop(t *testing.T) (r *real, long string) {
	long = strings.Repeat("a line that many clients read in many ways. ", 100)
	return startReal(t, strings.ReplaceAll(interopOptions, "LONG", long)), long
}

// run runs a program and returns what it prints.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	command := exec.CommandContext(ctx, name, args...)
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Run(); err != nil {
		t.Errorf("%s %s: %v: %s", name, strings.Join(args, " "), err, errs.String())
	}
	return out.String()
}

// R8, R13–R16: curl speaks with the server in all the ways that it has.
func TestCurl(t *testing.T) {
	needs.Program(t, "curl")
	r, long := startInterop(t)
	_, port, _ := strings.Cut(r.secure, ":")
	plain, secure := "http://"+r.plain, "https://shop.example:"+port
	trust := []string{"-sS", "--cacert", r.authority, "--resolve", "shop.example:" + port + ":127.0.0.1"}
	tests := []struct {
		name string
		args []string
		want string // what it prints has that
	}{
		{"HTTP/1.1", []string{"-sS", "--http1.1", "-w", "%{http_version}", plain + "/echo"}, "GET /echo HTTP/1.1\n"},
		{"HTTP/2 with prior knowledge", []string{"-sS", "--http2-prior-knowledge", "-w", "version %{http_version}", plain + "/echo"}, "version 2"},
		{"HTTP/2 by ALPN", append(trust, "--http2", "-w", "version %{http_version}", secure+"/echo"), "version 2"},
		{"HTTP/1.1 over TLS", append(trust, "--http1.1", "-w", "version %{http_version}", secure+"/echo"), "version 1.1"},
		{"by address", append(trust, "-w", "%{ssl_verify_result}", "https://"+r.secure+"/echo"), "GET /echo"},
		{"range", []string{"-sS", "-r", "16-31", plain + "/size"}, "000000000000016\n"},
		{"several ranges", []string{"-sS", "-r", "0-15,32-47", plain + "/size"}, "Content-Range: bytes 32-47/100000"},
		{"a range of HTTP/2", append(trust, "--http2", "-r", "16-31", secure+"/size"), "000000000000016\n"},
		{"no ranges", []string{"-sS", "-r", "16-31", "-o", "/dev/null", "-w", "%{http_code} %{size_download}", plain + "/none"}, "200 100000"},
		{"trailers", []string{"-sS", "-D", "-", plain + "/trailers"}, "X-Sum: 1"},
		{"early hints", append(trust, "-D", "-", secure+"/hints"), "103"},
		{"redirect with a body", []string{"-sSL", "-d", "hello", plain + "/redirect"}, "POST /echo HTTP/1.1\n"},
		{"a large body", []string{"-sS", "-H", "Expect: 100-continue", "-d", strings.Repeat("x", 100<<10), plain + "/echo"}, "Expect: 100-continue"},
		{"password", []string{"-sS", "-u", "ann:secret", plain + "/private"}, "for ann"},
		{"compressed", []string{"-sS", "--compressed", plain + "/long.txt"}, long},
	}
	for _, coding := range []string{"gzip", "deflate", "br", "zstd", "identity"} {
		tests = append(tests, struct {
			name string
			args []string
			want string
		}{coding, []string{"-sS", "-H", "Accept-Encoding: " + coding, "-o", os.DevNull, "-w", "%header{content-encoding} %{size_download}", plain + "/long.txt"}, strings.ReplaceAll(coding, "identity", "") + " "})
		if version := run(t, "curl", "-V"); coding == "gzip" || coding == "deflate" || strings.Contains(version, map[string]string{"br": "brotli", "zstd": "zstd"}[coding]+" ") && coding != "identity" {
			tests = append(tests, struct {
				name string
				args []string
				want string
			}{coding + " decoded", []string{"-sS", "--compressed", "-H", "Accept-Encoding: " + coding, plain + "/long.txt"}, long})
		}
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := run(t, "curl", test.args...); !strings.Contains(got, test.want) {
				t.Errorf("%.500q, want %q", got, test.want)
			}
		})
	}
	if out, err := exec.Command("curl", "-sS", "--resolve", "shop.example:"+port+":127.0.0.1", secure+"/echo").CombinedOutput(); err == nil {
		t.Errorf("curl takes a certificate of an authority that it does not know: %s", out)
	}
}

// R8, R13: wget resumes a download.
func TestWget(t *testing.T) {
	needs.Program(t, "wget")
	r, _ := startInterop(t)
	file := filepath.Join(t.TempDir(), "size")
	run(t, "wget", "-q", "-O", file, "http://"+r.plain+"/size")
	whole, err := os.ReadFile(file)
	if err != nil || len(whole) != 100_000 {
		t.Fatalf("%d bytes, %v", len(whole), err)
	}
	if err := os.WriteFile(file, whole[:30_000], 0o600); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "log")
	run(t, "wget", "-S", "-o", log, "-c", "-O", file, "http://"+r.plain+"/size")
	resumed, err := os.ReadFile(file)
	if err != nil || sha256.Sum256(resumed) != sha256.Sum256(whole) {
		t.Errorf("%d bytes, %v: not the same as at once", len(resumed), err)
	}
	if e := told[event.HTTPRequest](r); !strings.Contains(e[len(e)-1].Raw, "\r\nRange: bytes=30000-\r\n") {
		t.Errorf("request %s", e[len(e)-1].Raw)
	}
	if said, err := os.ReadFile(log); err != nil || !bytes.Contains(said, []byte(" 206 Partial Content")) {
		t.Errorf("%v: it says %s", err, said)
	}
	run(t, "wget", "-q", "-O", file, "--ca-certificate", r.authority, "https://"+r.secure+"/size")
}

// R8: a program on net/http, over HTTP/1.1, HTTP/2 with TLS and HTTP/2 without, with several requests at once.
func TestNetHTTP(t *testing.T) {
	r, long := startInterop(t)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	clients := map[string]struct {
		transport http.RoundTripper
		url       string
		major     int
	}{
		"HTTP/1.1":          {&http.Transport{}, "http://" + r.plain, 1},
		"HTTP/1.1 over TLS": {&http.Transport{TLSClientConfig: r.client()}, "https://" + r.secure, 1},
		"HTTP/2":            {&http2.Transport{TLSClientConfig: r.client("h2")}, "https://" + r.secure, 2},
		"HTTP/2 plain":      {&http.Transport{Protocols: protocols}, "http://" + r.plain, 2},
	}
	for name, c := range clients {
		t.Run(name, func(t *testing.T) {
			client := http.Client{Transport: c.transport, Timeout: time.Minute}
			defer client.CloseIdleConnections()
			errs := make(chan error)
			const requests = 20
			for i := range requests {
				go func() { errs <- fetchBoth(&client, c.url, long, c.major, i) }()
			}
			for range requests {
				if err := <-errs; err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// fetchBoth gets a long text and posts something that comes back.
func fetchBoth(client *http.Client, url, long string, major, i int) error {
	response, err := client.Get(url + "/long.txt")
	if err != nil {
		return err
	}
	text, err := io.ReadAll(response.Body)
	if err != nil || string(text) != long || response.ProtoMajor != major {
		return fmt.Errorf("%s: %d bytes, %w", response.Proto, len(text), err)
	}
	body := fmt.Sprintf("number %d", i)
	if response, err = client.Post(url+"/echo", "text/plain", strings.NewReader(body)); err != nil {
		return err
	}
	if text, err = io.ReadAll(response.Body); err != nil || !strings.HasSuffix(string(text), "\n\n"+body) {
		return fmt.Errorf("%q, %w", text, err)
	}
	return nil
}

// Clients that do not stop: a head, and a body, that are larger than they may be.
func TestHugeRequests(t *testing.T) {
	r, _ := startInterop(t)
	for name, test := range map[string]struct {
		begin, more string
		want        string
	}{
		"head": {"GET / HTTP/1.1\r\nHost: a\r\n", "X-More: " + strings.Repeat("x", 1000) + "\r\n", " 431 "},
		"line": {"GET /", strings.Repeat("x", 1000), " 431 "},
		"body": {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "3e8\r\n" + strings.Repeat("x", 1000) + "\r\n", " 413 "},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", r.plain)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			go func() {
				_, err := io.WriteString(c, test.begin)
				for sent := 0; err == nil && sent < 64<<20; sent += len(test.more) {
					_, err = io.WriteString(c, test.more)
				}
			}()
			answer := make([]byte, 100)
			n, err := io.ReadAtLeast(c, answer, 20)
			if err != nil || !strings.Contains(string(answer[:n]), test.want) {
				t.Errorf("answer %q, %v, want %s", answer[:n], err, test.want)
			}
		})
	}
}
