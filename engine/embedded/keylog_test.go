package embedded_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"scenario/engine/embedded"
	"scenario/engine/enginetest"
	"scenario/host"
	"scenario/internal/needs"
	"scenario/topology"
)

// folder is an output that keeps captures as files.
type folder struct {
	collector
	path string
}

func (f *folder) Capture(node, network string) (io.WriteCloser, error) {
	return os.Create(filepath.Join(f.path, node+"-"+network+".pcapng"))
}

// R37: with the secrets of the sessions in the captures Wireshark reads what went over TLS, at every link on the way: the
// file of any of them is enough.
func TestSecretsOpenCaptures(t *testing.T) {
	needs.Program(t, "tshark")
	spec, err := topology.Parse("tls.yaml", []byte(`
networks: {home: 192.168.1.0/24, outside: 198.51.100.0/24}
nodes:
  laptop: {networks: [home]}
  router: {networks: [home, outside], router: {nat: outside}}
  server: {networks: {outside: 198.51.100.80}, greeter: {tls: sound}}
`), enginetest.Kinds())
	if err != nil {
		t.Fatal(err)
	}
	plan, err := topology.Compile(spec, topology.Options{})
	if err != nil {
		t.Fatal(err)
	}
	plan.TLSKeys = true
	links := []string{}
	for _, node := range plan.Nodes {
		for i := range node.Interfaces {
			node.Interfaces[i].Capture = true
			links = append(links, node.Name+"-"+node.Interfaces[i].Network)
		}
	}
	out := &folder{path: t.TempDir()}
	run, err := embedded.New(embedded.Options{Kinds: enginetest.Kinds()}).Start(t.Context(), plan, out)
	if err != nil {
		t.Fatal(err)
	}
	hosts := run.(embedded.Hosts)
	server, err := hosts.Host("server", "greeter")
	if err != nil {
		t.Fatal(err)
	}
	laptop, err := hosts.Host("laptop", "client")
	if err != nil {
		t.Fatal(err)
	}
	serveHTTPS(t, server, ":8443")
	fetch(t, laptop, "https://198.51.100.80:8443/one", "h2")
	fetch(t, laptop, "https://198.51.100.80:8443/two", "http/1.1")
	if err := run.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		tshark := exec.CommandContext(t.Context(), "tshark", "-r", filepath.Join(out.path, link+".pcapng"), "-d", "tcp.port==8443,tls",
			"-Y", "http2.headers.path or http.request.uri", "-T", "fields", "-e", "http2.headers.path", "-e", "http.request.uri")
		got, err := tshark.Output()
		if err != nil || strings.Join(strings.Fields(string(got)), " ") != "/one /two" {
			t.Errorf("%s: tshark sees the requests %q (%v)", link, got, err)
		}
	}
}

// serveHTTPS answers at the host's address with its certificate until the test ends.
func serveHTTPS(t *testing.T, h host.Host, addr string) {
	t.Helper()
	listener, err := h.Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) }),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{*host.Certificate(h)}, KeyLogWriter: host.KeyLog(h)},
	}
	go func() { _ = server.ServeTLS(listener, "", "") }() // http.ErrServerClosed
	t.Cleanup(func() { server.Close() })
}

// fetch gets a page whose text is its path, by the protocol.
func fetch(t *testing.T, h host.Host, url, protocol string) {
	t.Helper()
	transport := &http.Transport{
		DialContext:       h.Dial,
		ForceAttemptHTTP2: protocol == "h2",
		TLSClientConfig:   &tls.Config{RootCAs: host.Roots(h), KeyLogWriter: host.KeyLog(h), NextProtos: []string{protocol}},
	}
	defer transport.CloseIdleConnections()
	answer, err := (&http.Client{Transport: transport}).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || !strings.HasSuffix(url, string(body)) || answer.TLS.NegotiatedProtocol != protocol {
		t.Errorf("%s: %q by %s (%v)", url, body, answer.TLS.NegotiatedProtocol, err)
	}
}
