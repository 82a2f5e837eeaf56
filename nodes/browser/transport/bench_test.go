package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"scenario/dnsd/stub"
	"scenario/event"
	"scenario/host"
)

// loopback is a host on the machine's own network whose events go nowhere, as those of a browser whose log is written
// elsewhere do.
type loopback struct {
	host.Host
	log *slog.Logger
}

func (l loopback) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, addr)
}

func (l loopback) Log() *slog.Logger { return l.log }

const (
	benchParallel = 6
	benchAssets   = 60
	benchSize     = 20 << 10 // bytes
)

// BenchmarkAgainstNetHTTP fetches the same assets with the same parallelism, by turns with this package and with net/http,
// and prints how the times compare.
func BenchmarkAgainstNetHTTP(b *testing.B) {
	asset := bytes.Repeat([]byte("0123456789abcdef"), benchSize/16)
	for _, proto := range []string{"http1", "https1", "http2"} {
		b.Run(proto, func(b *testing.B) {
			w := newWorld(b)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			server := &http.Server{
				Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(asset) }), TLSConfig: w.secure("localhost"),
			}
			url := "https://localhost:" + port(l)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				if proto == "http1" {
					server.Serve(l)
				} else {
					server.ServeTLS(l, "", "")
				}
			}()
			if proto == "http1" {
				url = "http://127.0.0.1:" + port(l)
			}
			defer func() { server.Close(); <-ended }()
			h := loopback{w.Host, event.NewLogger("bench", event.SinkFunc(func(event.Record) {}))}
			tr := New(h, localhost{}, Options{HTTP2: proto == "http2", LogBody: 1 << 10, Roots: func() *x509.CertPool { return w.Host.Authorities }})
			defer tr.Close("the benchmark ends")
			theirs := &http.Transport{
				TLSClientConfig: &tls.Config{RootCAs: w.Host.Authorities}, MaxConnsPerHost: benchParallel, MaxIdleConnsPerHost: benchParallel,
				ForceAttemptHTTP2: proto == "http2", DisableCompression: true,
			}
			defer theirs.CloseIdleConnections()
			client := &http.Client{Transport: theirs}
			u := address(b, url+"/")
			assets := func(get func() error) time.Duration {
				begun := time.Now()
				var group sync.WaitGroup
				for range benchParallel {
					group.Go(func() {
						for range benchAssets / benchParallel {
							if err := get(); err != nil {
								b.Error(err)
							}
						}
					})
				}
				group.Wait()
				return time.Since(begun)
			}
			var our, their time.Duration
			for b.Loop() {
				our += assets(func() error { return load(b.Context(), tr, tr.Reserve(u, "", 3)) })
				their += assets(func() error {
					resp, err := client.Get(url + "/")
					if err != nil {
						return err
					}
					defer resp.Body.Close()
					_, err = io.Copy(io.Discard, resp.Body)
					return err
				})
			}
			b.ReportMetric(float64(our)/float64(their), "ours/theirs")
		})
	}
}

func port(l net.Listener) string {
	_, p, _ := net.SplitHostPort(l.Addr().String()) // it is IP:port
	return p
}

// load requests and reads one asset.
func load(ctx context.Context, tr *Transport, p *Place) error {
	lease, err := tr.Acquire(ctx, p)
	if err != nil {
		return err
	}
	defer lease.Release()
	resp, err := lease.Send(ctx, &Request{Method: "GET", Fields: []Field{{"User-Agent", "bench"}}})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// localhost resolves every name to the loopback.
type localhost struct{}

func (localhost) Lookup(context.Context, string) (stub.Answer, error) {
	return stub.Answer{Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Cached: true}, nil
}
