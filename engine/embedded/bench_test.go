package embedded_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"scenario/engine/embedded"
	"scenario/host"
	"scenario/host/kernel"
	"scenario/topology"
)

// near has client and server on one network, far has five routers between them.
const (
	near = `
networks: {lan: 10.0.0.0/24}
nodes:
  client: {networks: [lan]}
  server: {networks: {lan: 10.0.0.2}}
`
	far = `
networks: {n0: 10.0.0.0/24, n1: 10.0.1.0/24, n2: 10.0.2.0/24, n3: 10.0.3.0/24, n4: 10.0.4.0/24, n5: 10.0.5.0/24}
nodes:
  client: {networks: [n0]}
  r1: {networks: [n0, n1], router: }
  r2: {networks: [n1, n2], router: }
  r3: {networks: [n2, n3], router: }
  r4: {networks: [n3, n4], router: }
  r5: {networks: [n4, n5], router: }
  server: {networks: {n5: 10.0.5.2}}
`
)

// path is a way from a client to a server.
type path struct {
	name       string
	from, to   host.Host
	at         string  // where the server listens
	bytes      int64   // to send for a measurement
	rate, time float64 // wanted, as a share of loopback's; 0: nothing is
}

// paths are the kernel's loopback first, and those of this engine. Links that are shaped, be it to no effect, carry frames
// of 1,500 bytes with checksums.
func paths(b *testing.B) []path {
	loopback := kernel.New(kernel.Options{})
	all := []path{{name: "loopback", from: loopback, to: loopback, at: "127.0.0.1:0", bytes: 4 << 30}}
	for _, p := range []struct {
		path
		text   string
		server string
		shaped bool
	}{
		{path{name: "clean", rate: 1.3, time: 1.3, bytes: 4 << 30}, near, "10.0.0.2", false},
		{path{name: "clean-5-routers", rate: 1, time: 1.6, bytes: 4 << 30}, far, "10.0.5.2", false},
		{path{name: "frames", rate: 0.12, bytes: 1 << 29}, near, "10.0.0.2", true},
		{path{name: "frames-5-routers", rate: 0.07, bytes: 1 << 29}, far, "10.0.5.2", true},
	} {
		plan := compile(b, p.text)
		if p.shaped {
			for i := range plan.Nodes {
				for j := range plan.Nodes[i].Interfaces {
					plan.Nodes[i].Interfaces[j].Up, plan.Nodes[i].Interfaces[j].Down = &topology.Link{}, &topology.Link{}
				}
			}
		}
		l := up(b, plan, embedded.Options{})
		p.from, p.to, p.at = l.host("client"), l.host("server"), p.server+":0"
		all = append(all, p.path)
	}
	return all
}

// compare measures every path in turns, and reports the medians and what they are of the first's.
func compare(b *testing.B, all []path, unit string, want func(path) float64, measure func(*testing.B, path) float64) {
	found := make([][]float64, len(all))
	for b.Loop() {
		for range 5 {
			for i, p := range all {
				found[i] = append(found[i], measure(b, p))
			}
		}
	}
	first := median(found[0])
	for i, p := range all {
		middle := median(found[i])
		b.ReportMetric(middle, p.name+"-"+unit)
		if i > 0 {
			b.ReportMetric(middle/first, p.name+"/loopback")
		}
		b.Logf("%-17s %7.2f %s, %.3f of loopback's, want %v", p.name, middle, unit, middle/first, want(p))
	}
}

func median[T cmp.Ordered](all []T) T { return quantile(all, 0.5) }

// quantile is the value below which a share of all are.
func quantile[T cmp.Ordered](all []T, share float64) T {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[int(share*float64(len(sorted)-1))]
}

// BenchmarkThroughput compares a TCP transfer with one over the kernel's loopback.
func BenchmarkThroughput(b *testing.B) {
	compare(b, paths(b), "Gbit/s", func(p path) float64 { return p.rate }, transfer)
}

// transfer is the rate of one transfer in Gbit/s.
func transfer(b *testing.B, p path) float64 {
	listener, err := p.to.Listen(b.Context(), "tcp", p.at)
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	took := make(chan time.Duration, 1)
	go func() {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		began := time.Now()
		for buffer := make([]byte, 128<<10); err == nil; {
			_, err = c.Read(buffer)
		}
		took <- time.Since(began)
	}()
	c, err := p.from.Dial(b.Context(), "tcp", listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	buffer := make([]byte, 128<<10)
	for sent := int64(0); sent < p.bytes; sent += int64(len(buffer)) {
		if _, err := c.Write(buffer); err != nil {
			b.Fatal(err)
		}
	}
	_ = c.Close()
	return float64(p.bytes) * 8 / float64((<-took).Nanoseconds())
}

// BenchmarkRequest compares a small HTTP request with one over the kernel's loopback.
func BenchmarkRequest(b *testing.B) {
	compare(b, paths(b), "µs", func(p path) float64 { return p.time }, request)
}

// request is the median time of an HTTP request, in µs.
func request(b *testing.B, p path) float64 {
	listener, err := p.to.Listen(b.Context(), "tcp", p.at)
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	transport := &http.Transport{DialContext: p.from.Dial}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var all []float64
	for range 2000 {
		began := time.Now()
		answer, err := client.Get("http://" + listener.Addr().String() + "/")
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		all = append(all, float64(time.Since(began).Nanoseconds())/1e3)
	}
	return median(all)
}

// many is a plan of that many nodes on one network.
func many(b *testing.B, count int) *topology.Plan {
	b.Helper()
	const most = 5000 // in a file
	var text strings.Builder
	text.WriteString("networks: {lan: 10.0.0.0/8}\nnodes:\n")
	for i := range min(count, most) {
		fmt.Fprintf(&text, "  n%d: {networks: [lan]}\n", i)
	}
	plan := compile(b, text.String())
	for i := most; i < count; i++ {
		node, itf := plan.Nodes[i-most], plan.Nodes[i-most].Interfaces[0]
		node.Name += "-" + strconv.Itoa(i/most)
		address := itf.Addresses[0].Addr().As4()
		address[1] += byte(i / most * 16)
		itf.Addresses = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4(address), 8)}
		itf.MAC[1] ^= byte(i / most)
		node.Interfaces = []topology.Interface{itf}
		plan.Nodes = append(plan.Nodes, node)
	}
	return plan
}

// BenchmarkIdle brings up networks of idle nodes: at most 0.25 ms and 130 KiB a node are wanted, however many there are.
func BenchmarkIdle(b *testing.B) {
	for _, count := range []int{100, 1000, 10000} {
		began := time.Now()
		plan := many(b, count)
		compiling := time.Since(began)
		for _, kind := range []string{"client", "none"} {
			b.Run(fmt.Sprintf("%d/%s", count, kind), func(b *testing.B) {
				for b.Loop() {
					if kind == "none" {
						for i := range plan.Nodes {
							plan.Nodes[i].Roles = nil
						}
					}
					before, began := memory(), time.Now()
					l := up(b, plan, embedded.Options{})
					starting := time.Since(began)
					each := float64(count)
					b.ReportMetric(float64(memory()-before)/each/1024, "KiB/node")
					b.ReportMetric(float64(starting.Microseconds())/each, "µs/node")
					b.ReportMetric(float64(compiling.Microseconds())/each, "compile-µs/node")
					b.ReportMetric(float64(runtime.NumGoroutine())/each, "goroutines/node")
					began = time.Now()
					l.stop()
					b.ReportMetric(float64(time.Since(began).Microseconds())/each, "stop-µs/node")
				}
			})
		}
	}
}

// memory is what the process has in use, in bytes, with its goroutines' stacks.
func memory() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// BenchmarkChat has 1,000 nodes at one switch, each of which asks the four after it ten times by UDP and keeps a TCP
// connection with the next. A node that is not asked sees what the switch floods: questions of ARP, and nothing else.
func BenchmarkChat(b *testing.B) {
	const count, questions = 1000, 10
	plan := many(b, count+1)
	idle := &plan.Nodes[count]
	idle.Interfaces[0].Capture = true
	for b.Loop() {
		l := up(b, plan, embedded.Options{})
		began := time.Now()
		chat(l, plan.Nodes[:count], questions)
		took := time.Since(began)
		l.stop()
		var asked, flooded int
		for _, f := range l.frames(idle.Name, "lan") {
			switch to := topology.MAC(f.data[:6]); {
			case !f.inbound:
			case to[0]&1 == 1:
				asked++
			case to != idle.Interfaces[0].MAC:
				flooded++
			}
		}
		if flooded > 0 {
			b.Errorf("the switch floods %d frames with destinations that it knows", flooded)
		}
		exchanges := float64(count * 5 * questions)
		b.ReportMetric(float64(took.Nanoseconds())/exchanges, "ns/exchange")
		b.ReportMetric(float64(asked), "broadcasts")
		b.ReportMetric(float64(flooded), "floods")
	}
}

func chat(l *lab, members []topology.Node, questions int) {
	address := func(n int) string {
		return members[n%len(members)].Interfaces[0].Addresses[0].Addr().String() + ":7"
	}
	for n := range members {
		serveEcho(l, l.host(members[n].Name), address(n))
	}
	var talks sync.WaitGroup
	errs := make(chan error, len(members))
	for n := range members {
		talks.Go(func() {
			h := l.host(members[n].Name)
			for other := n + 1; other <= n+4; other++ {
				if err := ask(l.Context(), h, "udp", address(other), questions); err != nil {
					errs <- err
					return
				}
			}
			if err := ask(l.Context(), h, "tcp", address(n+1), questions); err != nil {
				errs <- err
			}
		})
	}
	talks.Wait()
	close(errs)
	for err := range errs {
		l.Error(err)
	}
}

// serveEcho answers by UDP and TCP what it is asked, until the run ends.
func serveEcho(l *lab, h host.Host, at string) {
	l.Helper()
	packets, err := h.ListenPacket(l.Context(), "udp", at)
	if err != nil {
		l.Fatal(err)
	}
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := packets.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = packets.WriteTo(buffer[:n], from)
		}
	}()
	listener, err := h.Listen(l.Context(), "tcp", at)
	if err != nil {
		l.Fatal(err)
	}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
}

// ask asks and hears the answer, again and again. A datagram may be lost where a card's queue is full: then it asks once more.
func ask(ctx context.Context, h host.Host, network, to string, times int) error {
	c, err := h.Dial(ctx, network, to)
	if err != nil {
		return err
	}
	defer c.Close()
	patience := time.Minute
	if network == "udp" {
		patience = 2 * time.Second
	}
	question, answer := make([]byte, 64), make([]byte, 64)
	for i, lost := 0, 0; i < times; {
		binary.BigEndian.PutUint64(question, uint64(i))
		if _, err := c.Write(question); err != nil {
			return err
		}
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		for {
			_, err = io.ReadFull(c, answer)
			if err != nil || bytes.Equal(question, answer) {
				break // else it answers what was asked before
			}
		}
		switch {
		case err == nil:
			i, lost = i+1, 0
		case errors.Is(err, os.ErrDeadlineExceeded) && network == "udp" && lost < 5:
			lost++
		default:
			return fmt.Errorf("%s %s: answer %d: %w", network, to, i, err)
		}
	}
	return nil
}
