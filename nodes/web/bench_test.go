package web_test

import (
	"context"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// benchPage is what both servers answer with: as much as a small page has.
func benchPage() string { return strings.Repeat("<p>A page of some length.</p>\n", 16) }

// bare is a server of net/http that answers with the page and the fields that ours sends.
func bare(b *testing.B) (addr string) {
	b.Helper()
	page := []byte(benchPage())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Accept-Ranges", "bytes")
		h.Set("Content-Length", strconv.Itoa(len(page)))
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("ETag", `"0123456789abcdef"`)
		h.Set("Server", "scenario")
		// A client that is gone needs no answer.
		_, _ = w.Write(page)
	})}
	go func() { _ = s.Serve(l) }()
	b.Cleanup(func() { _ = s.Shutdown(context.Background()) })
	return l.Addr().String()
}

// R11: how many requests the server answers, with its log at its default, beside a bare server of net/http. Each is put under
// load in turns, and the ratio is of the sums: 1 is as fast.
func BenchmarkAgainstNetHTTP(b *testing.B) {
	bareAddr := bare(b)
	ours := startReal(b, `{"files": {"/": "`+strings.ReplaceAll(benchPage(), "\n", `\n`)+`"}}`)
	for _, tool := range []struct {
		name string
		rate func(b *testing.B, addr string) float64
	}{{"in-process", inProcess}, {"wrk", wrk}, {"h2load", h2load}} {
		b.Run(tool.name, func(b *testing.B) {
			if tool.name != "in-process" {
				if _, err := exec.LookPath(tool.name); err != nil {
					b.Skip(err)
				}
			}
			var web, plain float64
			for range b.N {
				plain += tool.rate(b, bareAddr)
				web += tool.rate(b, ours.plain)
			}
			b.ReportMetric(web/plain, "ratio")
			b.ReportMetric(web/float64(b.N), "web-req/s")
			b.ReportMetric(plain/float64(b.N), "net/http-req/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// inProcess loads a server with net/http's own client for a moment: the machine may be busy with other things at another.
func inProcess(b *testing.B, addr string) float64 {
	b.Helper()
	const (
		clients = 8
		slice   = 200 * time.Millisecond
	)
	transport := &http.Transport{MaxIdleConnsPerHost: clients, DisableCompression: true}
	defer transport.CloseIdleConnections()
	begin := time.Now()
	var requests atomic.Int64
	var working sync.WaitGroup
	for range clients {
		working.Go(func() {
			for time.Since(begin) < slice {
				request, err := http.NewRequest(http.MethodGet, "http://"+addr+"/", nil)
				if err != nil {
					b.Error(err)
					return
				}
				response, err := transport.RoundTrip(request)
				if err == nil {
					_, err = discard(response)
				}
				if err != nil {
					b.Error(err)
					return
				}
				requests.Add(1)
			}
		})
	}
	working.Wait()
	return float64(requests.Load()) / time.Since(begin).Seconds()
}

// wrk loads a server with wrk.
func wrk(b *testing.B, addr string) float64 {
	b.Helper()
	return measured(b, `Requests/sec:\s+([0-9.]+)`, "wrk", "-t", "1", "-c", "32", "-d", "2s", "http://"+addr+"/")
}

// h2load loads a server with h2load, over HTTP/1.1, which both of them speak.
func h2load(b *testing.B, addr string) float64 {
	b.Helper()
	return measured(b, `, ([0-9.]+) req/s`, "h2load", "--h1", "-t", "1", "-c", "32", "-n", "60000", "http://"+addr+"/")
}

func measured(b *testing.B, pattern, program string, args ...string) float64 {
	b.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		b.Fatalf("%s: %v: %s", program, err, out)
	}
	found := regexp.MustCompile(pattern).FindSubmatch(out)
	if found == nil {
		b.Fatalf("%s: %s", program, out)
	}
	rate, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return rate
}
