package scenariotest_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scenario/event"
	"scenario/scenariotest"
)

// scenario writes a file with a shop that is the test's own, and returns its path.
func scenario(t *testing.T, steps string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "shop.yaml")
	text := `
networks: {home: 192.168.1.0/24, internet: 203.0.113.0/24}
nodes:
  laptop: {networks: [home], browser: }
  router: {networks: [home, internet], router: {nat: internet}}
  ns: {networks: [internet], dns: }
  shop: {networks: {internet: 203.0.113.80}, names: shop.example}
` + steps
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// A server of the test's own is a node: the file's steps use it, and so does a client of the test's own on another node.
func TestOwnServerAndClient(t *testing.T) {
	file := scenario(t, `
steps:
  - {node: laptop, browse: "http://shop.example/", expect: [result.status == 200, result.title == 'Mine']}
`)
	shop := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(5 * time.Second) // of virtual time
		fmt.Fprintf(w, "<title>Mine</title><p>%s", r.RemoteAddr)
	})
	began := time.Now()
	result := scenariotest.Run(t, file,
		scenariotest.HTTP("shop", ":80", shop),
		scenariotest.While(func(t *testing.T, n *scenariotest.Network) {
			response, err := n.HTTPClient("laptop").Get("http://shop.example/")
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil || !strings.Contains(string(body), "<p>203.0.113.") {
				t.Errorf("got %q, error %v: not by way of the router", body, err)
			}
		}))
	if spent := result.Records[len(result.Records)-1].Time.Sub(result.Records[0].Time); spent < 10*time.Second {
		t.Errorf("%v of virtual time passed", spent)
	}
	t.Logf("%v of real time", time.Since(began))
	if _, ok := find[event.PageLoad](result.Records); !ok {
		t.Error("no page load among the events")
	}
}

// Connections of any kind, in real time as well.
func TestOwnConnections(t *testing.T) {
	file := scenario(t, "")
	for name, options := range map[string][]scenariotest.Option{"virtual": nil, "real": {scenariotest.RealTime()}} {
		t.Run(name, func(t *testing.T) {
			greet := func(l net.Listener) error {
				for {
					conn, err := l.Accept()
					if err != nil {
						return err
					}
					fmt.Fprintln(conn, "hello")
					conn.Close()
				}
			}
			scenariotest.Run(t, file, append(options,
				scenariotest.Listen("shop", ":7", greet),
				scenariotest.While(func(t *testing.T, n *scenariotest.Network) {
					conn, err := n.Dial(t.Context(), "laptop", "tcp", "shop.example:7")
					if err != nil {
						t.Fatal(err)
					}
					defer conn.Close()
					line, err := bufio.NewReader(conn).ReadString('\n')
					if line != "hello\n" {
						t.Errorf("got %q, error %v", line, err)
					}
					var page struct{ Status int }
					if err := n.Do(t.Context(), "laptop", "browser", "browse", map[string]string{"url": "http://shop.example/"}, &page); err != nil || page.Status != 0 {
						t.Errorf("status %d, error %v, from a server that is no web server", page.Status, err)
					}
				}))...)
		})
	}
}

// The library can be run by name, and the same seed gives the same events.
func TestLibraryRepeats(t *testing.T) {
	lines := func(options ...scenariotest.Option) (all string) {
		for _, r := range scenariotest.Run(t, "browse.yaml", options...).Records {
			if start, ok := event.As[event.StepStart](r); ok && start.Step == "secure" {
				break // behind TLS it depends on chance which frames of HTTP/2 are read at once, and so when
			}
			line, err := r.Line()
			if err != nil {
				t.Fatal(err)
			}
			all += string(line)
		}
		return all
	}
	first := lines()
	if lines() != first {
		t.Error("the second run has other events")
	}
	if lines(scenariotest.Seed(7)) == first {
		t.Error("another seed has the same events")
	}
}

// R37: the captures are in the folder.
func TestCaptures(t *testing.T) {
	folder := t.TempDir()
	scenariotest.Run(t, "hello.yaml", scenariotest.Captures(), scenariotest.Folder(folder))
	captures, err := filepath.Glob(filepath.Join(folder, "captures", "*.pcapng"))
	if err != nil || len(captures) != 3 {
		t.Errorf("captures %v, error %v", captures, err)
	}
}

func find[T event.Event](records []event.Record) (T, bool) {
	for _, r := range records {
		if e, ok := event.As[T](r); ok {
			return e, true
		}
	}
	var none T
	return none, false
}
