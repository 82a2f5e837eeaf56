package embedded_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"scenario/engine/embedded"
	"scenario/internal/bubble"
	"scenario/internal/needs"
	"scenario/topology"
)

// TCP does not stall where packets are lost: one in a hundred either way, and seeds that lose others. R29
func TestTransfersEnd(t *testing.T) {
	seeds, size := 50, 20_000_000
	if raceDetector {
		size /= 10
	}
	plan := compile(t, `
networks: {lan: 10.0.0.0/24}
nodes:
  client: {networks: {lan: {link: {delay: 500us, loss: 1%}}}}
  server: {networks: {lan: 10.0.0.2}}
`)
	took := make([]time.Duration, seeds)
	t.Run("seeds", func(t *testing.T) {
		for seed := range seeds {
			t.Run(strconv.Itoa(seed), func(t *testing.T) {
				t.Parallel()
				plan := *plan
				plan.Nodes = slices.Clone(plan.Nodes)
				for i := range plan.Nodes {
					plan.Nodes[i].Seed += uint64(seed)
				}
				bubble.Test(t, func(t *testing.T, beat func()) {
					took[seed] = receive(up(t, &plan, embedded.Options{Virtual: true, Beat: beat}), size)
				})
			})
		}
	})
	t.Logf("%d bytes take %v to %v, median %v", size, slices.Min(took), slices.Max(took), median(took))
}

// receive has the server send the client that many bytes, and returns how long it takes.
func receive(l *lab, size int) time.Duration {
	l.Helper()
	listener, err := l.host("server").Listen(l.Context(), "tcp", "10.0.0.2:80")
	if err != nil {
		l.Fatal(err)
	}
	defer listener.Close()
	go func() {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		chunk := make([]byte, 64<<10)
		for left := size; left > 0; left -= len(chunk) {
			if _, err := c.Write(chunk[:min(left, len(chunk))]); err != nil {
				return
			}
		}
	}()
	began := time.Now()
	c, err := l.host("client").Dial(l.Context(), "tcp", listener.Addr().String())
	if err != nil {
		l.Fatal(err)
	}
	defer c.Close()
	if err := c.SetReadDeadline(began.Add(time.Hour)); err != nil {
		l.Fatal(err)
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, 64<<10))
	if err != nil || n != int64(size) {
		l.Fatalf("%d of %d bytes arrive in %v, then: %v", n, size, time.Since(began), err)
	}
	return time.Since(began)
}

// lossy has several clients act at once on links that lose, double and reorder packets.
const lossy = `
networks:
  home: {subnet: 192.168.1.0/24, link: {delay: 3ms, jitter: 1ms, loss: 3%, duplicate: 1%, reorder: 1%}}
  hosting: {subnet: 203.0.113.0/24, link: {delay: 10ms, loss: 1%, rate: 5mbit}}
nodes:
  ann: {networks: [home], browser: }
  bob: {networks: [home], browser: }
  cat: {networks: [home]}
  router: {networks: [home, hosting], router: {nat: hosting}}
  names: {networks: [hosting], dns: }
  shop: {names: [shop.example], networks: [hosting], web: shop}
steps:
  - parallel:
      - {node: ann, browse: http://shop.example/}
      - {node: bob, browse: http://shop.example/}
      - {node: cat, fetch: http://shop.example/}
      - {node: cat, ping: shop.example}
  - {node: bob, browse: http://shop.example/}
`

// A seed has the same events again and again, and another seed others. R36
func TestSeedsRepeat(t *testing.T) {
	runs := 100
	if raceDetector {
		runs = 10
	}
	for name, plan := range map[string]func() *topology.Plan{
		"lossy": func() *topology.Plan { return compile(t, lossy) },
		"browse": func() *topology.Plan {
			p := library(t, "browse")
			// What goes over TLS need not repeat.
			p.Steps = slices.DeleteFunc(p.Steps, func(s topology.Step) bool { return s.ID == "secure" })
			return p
		},
	} {
		t.Run(name, func(t *testing.T) {
			first := eventsOf(t, plan())
			for run := 1; run < runs; run++ {
				if again := eventsOf(t, plan()); again != first {
					t.Fatalf("run %d has other events", run+1)
				}
			}
			other := plan()
			for i := range other.Nodes {
				other.Nodes[i].Seed++
			}
			if eventsOf(t, other) == first {
				t.Error("another seed has the same events")
			}
		})
	}
}

// eventsOf plays a plan in virtual time and returns a hash of its events.
func eventsOf(t *testing.T, plan *topology.Plan) (hash [sha256.Size]byte) {
	t.Helper()
	dir := t.TempDir()
	bubble.Test(t, func(t *testing.T, beat func()) {
		text, err := json.Marshal(played(t, withoutExpectations(plan), embedded.Options{Virtual: true, Beat: beat}, dir))
		if err != nil {
			t.Fatal(err)
		}
		hash = sha256.Sum256(text)
	})
	return hash
}

// What waits in virtual time takes none. How long it does take is told: well under 0.3 s are wanted for patience, under
// 50 ms for a day. It is no benchmark, since only tests have bubbles. R36
func TestWaitingTakesNoTime(t *testing.T) {
	for _, c := range []struct {
		name, text string
		do         func(l *lab)
		least      time.Duration // of virtual time
	}{
		{"patience", patience, wait, 10 * time.Minute},
		{"day", near, func(*lab) { time.Sleep(24 * time.Hour) }, 24 * time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := compile(t, c.text)
			var took []time.Duration
			for range 5 {
				began := time.Now()
				bubble.Test(t, func(t *testing.T, beat func()) {
					began := time.Now()
					l := up(t, plan, embedded.Options{Virtual: true, Beat: beat})
					c.do(l)
					l.stop()
					if passed := time.Since(began); passed < c.least || passed > c.least+time.Minute {
						t.Errorf("%v of virtual time pass, want about %v", passed, c.least)
					}
				})
				took = append(took, time.Since(began))
			}
			t.Logf("%v of virtual time take %v, at most %v", c.least, median(took), slices.Max(took))
		})
	}
}

// patience has a server that does not answer and one that closes connections on which nothing is said.
const patience = `
networks: {lan: 10.0.0.0/24}
nodes:
  client: {networks: [lan]}
  silent: {networks: {lan: 10.0.0.2}, drop: [tcp]}
  server: {networks: {lan: 10.0.0.3}, web: {idle_timeout: 10m}}
`

// wait waits for 30 s of retransmissions to a machine that is silent, for a server to end a connection, and for a
// neighbour that is not there.
func wait(l *lab) {
	h := l.host("client")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if c, err := h.Dial(ctx, "tcp", "10.0.0.2:80"); err == nil {
		_ = c.Close()
		l.Error("a machine that drops all TCP is connected")
	}
	if _, err := h.Dial(context.Background(), "tcp", "10.0.0.9:80"); !errors.Is(err, syscall.EHOSTUNREACH) {
		l.Errorf("nobody is there: %v", err)
	}
	c, err := h.Dial(context.Background(), "tcp", "10.0.0.3:80")
	if err != nil {
		l.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: server\r\n\r\n"); err != nil {
		l.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); err != nil {
		l.Error(err)
	}
}

// Networks that go up and down leave nothing behind: no goroutine, no descriptor, no memory. R9
func TestUpAndDown(t *testing.T) {
	rounds := 100
	if raceDetector {
		rounds = 30
	}
	plan := withoutExpectations(library(t, "hello"))
	dir := t.TempDir()
	once := func() { played(t, plan, embedded.Options{}, dir) }
	once() // what is made once
	before := goleak.IgnoreCurrent()
	descriptors := openDescriptors(t)
	var heaps []uint64
	for range rounds {
		once()
		heaps = append(heaps, heap())
	}
	goleak.VerifyNone(t, before)
	if now := openDescriptors(t); now != descriptors {
		t.Errorf("%d descriptors are open, before %d", now, descriptors)
	}
	first, last := median(heaps[:10]), median(heaps[rounds-10:])
	t.Logf("heap: %d KiB, in the end %d KiB; %d descriptors", first>>10, last>>10, descriptors)
	if last > first+first/20+256<<10 {
		t.Errorf("the heap grows from %d to %d bytes", first, last)
	}
}

func heap() uint64 {
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// openDescriptors is how many files the process has open; 0 where that is not told.
func openDescriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return len(all)
}

// Wireshark finds nothing wrong in what the library's scenarios send. R37
func TestCapturesAreSound(t *testing.T) {
	needs.Program(t, "tshark")
	for _, name := range []string{"browse", "hops", "nat"} {
		t.Run(name, func(t *testing.T) {
			dir, plan := t.TempDir(), withoutExpectations(captureAll(library(t, name)))
			bubble.Test(t, func(t *testing.T, beat func()) {
				played(t, plan, embedded.Options{Virtual: true, Beat: beat}, dir)
			})
			captures, err := filepath.Glob(filepath.Join(dir, "captures", "*.pcapng"))
			if err != nil {
				t.Fatal(err)
			}
			links, frames := 0, 0
			for _, node := range plan.Nodes {
				links += len(node.Interfaces)
			}
			for _, path := range captures {
				frames += sound(t, path)
			}
			if len(captures) != links {
				t.Errorf("%d captures of %d links", len(captures), links)
			}
			t.Logf("%d captures, %d frames", len(captures), frames)
		})
	}
}

// sound wants a capture without errors, and returns how many frames it has.
func sound(t *testing.T, path string) int {
	t.Helper()
	const severityError = 0x00800000
	out, err := exec.CommandContext(t.Context(), "tshark", "-n", "-r", path,
		"-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
		"-T", "fields", "-E", "separator=|", "-e", "frame.number", "-e", "_ws.expert.severity", "-e", "_ws.expert.message",
		"-e", "ip.checksum.status", "-e", "tcp.checksum.status", "-e", "udp.checksum.status",
		"-e", "icmp.checksum.status", "-e", "icmpv6.checksum.status", "-e", "_ws.malformed").Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	frames := 0
	for line := range strings.Lines(string(out)) {
		frames++
		fields := strings.Split(strings.TrimSpace(line), "|")
		bad := fields[len(fields)-1] != ""
		for severity := range strings.SplitSeq(fields[1], ",") {
			level, _ := strconv.Atoi(severity)
			bad = bad || level >= severityError
		}
		for _, status := range fields[3:8] {
			bad = bad || strings.Contains(status, "0") // "1": good, "2": unverified
		}
		if bad {
			t.Errorf("%s, frame %s", filepath.Base(path), line)
		}
	}
	if frames == 0 {
		t.Errorf("%s is empty", filepath.Base(path))
	}
	return frames
}
