package tests

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scenario/internal/needs"
	"scenario/scenariotest"
)

// R6, R8, R13, R15, R16: nginx, curl, wget and a program on net/http work with our web server, and they with our browser:
// compression, ranges, HTTP/1.1 and HTTP/2, TLS, and what a cache asks.
func TestInteroperation(t *testing.T) {
	needs.Docker(t)
	for _, program := range []string{"nginx", "curl", "wget", "go"} {
		needs.Program(t, program)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(testdata(t, "interop"))); err != nil {
		t.Fatal(err)
	}
	// Without cgo, so that it runs on whatever machine the nodes are.
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "program", "program"), "./testdata/interop/program")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if got := runCommand(t, build); got.code != 0 {
		t.Fatalf("build the program: %s", got.stderr)
	}
	scenario(t, dir, "test", "--trust", "interop.yaml").expectCode(t, 0)
}

// bigSum is the SHA-256 of 300,000 bytes that are lines of 16, each its own offset: what our web server makes up.
const bigSum = "ffb0868f366ce3792a1b60495ea671928c411ce958115302519412cb276b4abc"

// R8, R13, R15: net/http as server and client of ours in virtual time, where all of it is in this process.
func TestNetHTTPInVirtualTime(t *testing.T) {
	scenariotest.Run(t, testdata(t, "interop/nethttp.yaml"),
		scenariotest.HTTP("program", ":80", plainServer(t)),
		scenariotest.While(func(t *testing.T, n *scenariotest.Network) {
			client := n.HTTPClient("laptop")
			client.Transport.(*http.Transport).ForceAttemptHTTP2 = true
			page := request(t, client, "https://ours.example/about.html", "")
			if page.response.ProtoMajor != 2 || !bytes.Contains(page.body, []byte("<title>")) {
				t.Errorf("%s: %.100q", page.response.Proto, page.body)
			}
			sum := sha256.New()
			for _, part := range []string{"bytes=0-99999", "bytes=100000-199999", "bytes=200000-"} {
				got := request(t, client, "https://ours.example/big.bin", part)
				if got.response.StatusCode != http.StatusPartialContent {
					t.Errorf("%s: %s", part, got.response.Status)
				}
				sum.Write(got.body)
			}
			if got := fmt.Sprintf("%x", sum.Sum(nil)); got != bigSum {
				t.Errorf("the parts have the sum %s", got)
			}
		}))
}

// answer is a response with its body.
type answer struct {
	response *http.Response
	body     []byte
}

func request(t *testing.T, client *http.Client, url, part string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if part != "" {
		r.Header.Set("Range", part)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response, body}
}

// plainServer has a page that it compresses, a style sheet that is fresh for an hour, and a large file.
func plainServer(t *testing.T) http.Handler {
	text := "<!doctype html><title>Shop</title><link rel=icon href=data:,><link rel=stylesheet href=/style.css>" +
		strings.Repeat("<p>A line that comes more than once.", 50)
	var page, big bytes.Buffer
	z := gzip.NewWriter(&page)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for offset := 0; offset < 300_000; offset += 16 {
		fmt.Fprintf(&big, "%015d\n", offset)
	}
	serve := func(name, tag string, content []byte, fields map[string]string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for field, value := range fields {
				w.Header().Set(field, value)
			}
			w.Header().Set("ETag", tag)
			http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/{$}", serve("index.html", `"page"`, page.Bytes(), map[string]string{"Content-Encoding": "gzip", "Cache-Control": "no-cache"}))
	mux.Handle("/style.css", serve("style.css", `"style"`, []byte("p {}"), map[string]string{"Cache-Control": "max-age=3600"}))
	mux.Handle("/big.bin", serve("big.bin", `"big"`, big.Bytes(), nil))
	return mux
}
