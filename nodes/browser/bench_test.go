package browser

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
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

// Roots and Certificate are those of the host that it stands for.
func (l loopback) Roots() *x509.CertPool { return host.Roots(l.Host) }

func (l loopback) Certificate() *tls.Certificate { return nil }

// Lookup knows this machine alone.
func (l loopback) Lookup(context.Context, string) (stub.Answer, error) {
	return stub.Answer{Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}, nil
}

const (
	benchAssets   = 60
	benchSize     = 20 << 10 // bytes
	benchParallel = maxPerOrigin
	benchTurn     = 5 // loads
	maxPerOrigin  = 6
)

// BenchmarkPageLoad loads a page with its assets, by turns with the browser and with net/http, which is told what to fetch
// and does so with the same parallelism, and prints how the times compare: where all is done at once, so that only
// the work of both ends counts, and where the server takes its time for an answer, as those at the other end of a network do.
func BenchmarkPageLoad(b *testing.B) {
	var page strings.Builder
	page.WriteString("<!doctype html><link rel=icon href=data:,><title>Many</title>")
	var paths []string
	for i := range benchAssets {
		paths = append(paths, fmt.Sprintf("/%d.png", i))
		fmt.Fprintf(&page, "<p>Picture %d <img src=%s></p>", i, paths[i])
	}
	asset := bytes.Repeat([]byte("0123456789abcdef"), benchSize/16)
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	zip.Write([]byte(page.String()))
	zip.Close()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			w.Header().Set("Content-Encoding", "gzip")
			writePage(w, zipped.String())
			return
		}
		w.Header().Set("Content-Type", "image/png")
		w.Write(asset)
	})
	for _, think := range []time.Duration{0, 2 * time.Millisecond} {
		for _, proto := range []string{"http1", "http2"} {
			slow := func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(think)
				handler(w, r)
			}
			b.Run(fmt.Sprintf("%s/%v", proto, think), func(b *testing.B) { comparePageLoads(b, proto, http.HandlerFunc(slow), paths) })
		}
	}
}

func comparePageLoads(b *testing.B, proto string, handler http.Handler, paths []string) {
	w := newWorld(b)
	w.site("shop.example", nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var asked http.Header // what the browser's requests for assets say
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == paths[0] && asked == nil {
			asked = r.Header.Clone()
		}
		handler.ServeHTTP(w, r)
	}), TLSConfig: w.tlsOf("shop.example")}
	url := "http://shop.example:" + portOf(l)
	var ended sync.WaitGroup
	ended.Go(func() {
		if proto == "http1" {
			server.Serve(l)
		} else {
			server.ServeTLS(l, "", "")
		}
	})
	defer ended.Wait()
	defer server.Close()
	if proto == "http2" {
		url = "https://shop.example:" + portOf(l)
	}

	h := loopback{w.Host, event.NewLogger("bench", event.SinkFunc(func(event.Record) {}))}
	ours, err := newBrowser(json.RawMessage(`{"cache": false}`), func(host.Host) Resolver { return h })
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ready := make(chan struct{})
	ended.Go(func() { ours.Serve(ctx, h, func() { close(ready) }) })
	defer cancel()
	<-ready
	args, err := json.Marshal(map[string]string{"url": url})
	if err != nil {
		b.Fatal(err)
	}

	load := func() {
		got, err := ours.Do(event.WithTrace(ctx, "step/1", ""), h, "browse", args)
		if err != nil || got.(*Result).Failed > 0 || len(got.(*Result).Requests) != len(paths)+1 {
			b.Fatalf("%v %+v", err, got)
		}
	}
	load()
	asked.Del("Accept-Encoding") // net/http decodes what it has asked for itself
	asked.Del("Connection")
	fetch := func() {
		if err := fetchAll(w, proto, url, paths, asked); err != nil {
			b.Fatal(err)
		}
	}
	var times, work []float64
	for b.Loop() {
		browser, browserWork := measure(load)
		plain, plainWork := measure(fetch)
		times = append(times, browser.Seconds()/plain.Seconds())
		work = append(work, browserWork.Seconds()/plainWork.Seconds())
	}
	b.ReportMetric(median(times), "ratio")
	b.ReportMetric(median(work), "cpu-ratio")
}

// measure takes a turn of several loads, so that each side collects its own garbage, and returns the time of one, and that of
// the processor: for both ends, and the same on a machine that has other things to do.
func measure(load func()) (took, worked time.Duration) {
	before, begun := processorTime(), time.Now()
	for range benchTurn {
		load()
	}
	return time.Since(begun) / benchTurn, (processorTime() - before) / benchTurn
}

func processorTime() time.Duration {
	var use syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &use) // it fails for bad arguments alone
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// fetchAll fetches a page and then its assets with net/http, over connections of its own, by requests that say the same.
func fetchAll(w *world, proto, url string, paths []string, fields http.Header) error {
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: w.Host.Authorities}, MaxConnsPerHost: benchParallel, MaxIdleConnsPerHost: benchParallel,
		ForceAttemptHTTP2: proto == "http2",
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, port, _ := net.SplitHostPort(addr) // it has one
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
		},
	}
	if proto == "http2" {
		transport.MaxConnsPerHost = 0
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	get := func(path string) error {
		request, err := http.NewRequest(http.MethodGet, url+path, nil)
		if err != nil {
			return err
		}
		request.Header = fields
		resp, err := client.Do(request)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	if err := get("/"); err != nil {
		return err
	}
	work, failed := make(chan string), make(chan error, len(paths))
	var group sync.WaitGroup
	workers := benchParallel
	if proto == "http2" {
		workers = len(paths) // as many streams as there are assets
	}
	for range workers {
		group.Go(func() {
			for path := range work {
				if err := get(path); err != nil {
					failed <- err
				}
			}
		})
	}
	for _, path := range paths {
		work <- path
	}
	close(work)
	group.Wait()
	close(failed)
	return <-failed
}

func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String()) // a listener's address has one
	return port
}
