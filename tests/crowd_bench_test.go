package tests

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"scenario/engine/embedded"
	"scenario/nodes"
	"scenario/scenarios"
)

// BenchmarkCrowd has 10,000 people in one room in this process. The memory is that of a connection with both of its ends,
// the person and the member.
func BenchmarkCrowd(b *testing.B) {
	const nodesOfPeople = 20
	for b.Loop() {
		e := embedded.New(embedded.Options{Kinds: nodes.Kinds(scenarios.Sites())})
		run, stop := startCrowd(b, e, "crowd", ", quiet: true", nodesOfPeople)
		c := &crowd{people: 10_000, speakers: 20, messages: 60, window: 16, dial: hostDial(b, run, nodesOfPeople)}
		before, start := inUse(), time.Now()
		if err := c.join(b.Context(), 64); err != nil {
			b.Fatal(err)
		}
		joined, each := time.Since(start), float64(inUse()-before)/float64(c.people)
		start = time.Now()
		if err := c.talk(b.Context()); err != nil {
			b.Fatal(err)
		}
		took := time.Since(start).Seconds()
		b.ReportMetric(each, "bytes/client")
		b.ReportMetric(float64(c.people)/joined.Seconds(), "joins/s")
		b.ReportMetric(float64(c.messages)/took, "messages/s")
		b.ReportMetric(float64(c.messages*(c.people-1))/took, "deliveries/s")
		c.leave()
		stop()
	}
}

// inUse is the memory that is used, in bytes, stacks included.
func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// BenchmarkSlowReader has two rooms side by side, in one of which somebody does not read, until it is dropped and beyond. It
// compares how long messages are under way to the others.
func BenchmarkSlowReader(b *testing.B) {
	const readers, messages = 10, 4000
	for b.Loop() {
		var rooms [2]*listeners
		for i := range rooms {
			e := embedded.New(embedded.Options{Kinds: nodes.Kinds(scenarios.Sites())})
			run, stop := startCrowd(b, e, fmt.Sprintf("room%d", i), "", 1)
			defer stop()
			rooms[i] = newListeners(b, hostDial(b, run, 1), readers)
			defer rooms[i].leave()
		}
		with, without := rooms[0], rooms[1]
		with.enter("slow") // and never reads again
		for n := range messages {
			with, without := rooms[n%2], rooms[1-n%2] // in turns: who is first has a colder cache
			with.say()
			without.say()
		}
		if with.dropped != readers || without.dropped != 0 {
			b.Errorf("that somebody was dropped was told %d times with a slow reader, and %d without", with.dropped, without.dropped)
		}
		for _, share := range []float64{0.5, 0.99} {
			one, other := quantile(with.took, share), quantile(without.took, share)
			name := fmt.Sprintf("p%.0f", share*100)
			b.ReportMetric(float64(one.Microseconds()), name+"-slow-µs")
			b.ReportMetric(float64(other.Microseconds()), name+"-µs")
			b.ReportMetric(float64(one)/float64(other), name+"-ratio")
		}
	}
}

// quantile is the value below which a share of all are.
func quantile(all []time.Duration, share float64) time.Duration {
	return slices.Sorted(slices.Values(all))[int(share*float64(len(all)-1))]
}

// listeners are a speaker and people who read, in one room.
type listeners struct {
	testing.TB
	dial    func(context.Context, int) (net.Conn, error)
	conns   []net.Conn
	in      []*bufio.Reader // the first is the speaker's
	text    string
	took    []time.Duration // of each message to each reader
	dropped int             // how often it was told that somebody was
}

func newListeners(tb testing.TB, dial func(context.Context, int) (net.Conn, error), readers int) *listeners {
	l := &listeners{TB: tb, dial: dial, text: strings.Repeat("x", 1000) + "\n"}
	for i := range readers + 1 {
		l.in = append(l.in, l.enter(fmt.Sprintf("p%d", i)))
		for range i {
			l.line(i) // who is here
		}
	}
	for i := range l.in {
		for range readers - i {
			l.line(i) // who came later
		}
	}
	return l
}

// enter has somebody join.
func (l *listeners) enter(name string) *bufio.Reader {
	conn, err := l.dial(l.Context(), 0)
	if err == nil {
		l.conns = append(l.conns, conn)
		_, err = fmt.Fprintln(conn, name)
	}
	if err != nil {
		l.Fatal(err)
	}
	in := bufio.NewReader(conn)
	for _, want := range []string{"# what is your name?\n", "* " + name + " joined\n"} {
		if got, err := in.ReadString('\n'); got != want {
			l.Fatalf("%s received %q (%v), want %q", name, got, err, want)
		}
	}
	return in
}

func (l *listeners) line(i int) string {
	text, err := l.in[i].ReadString('\n')
	if err != nil {
		l.Fatalf("reader %d: %v", i, err)
	}
	return text
}

// say has the speaker say a message, and all readers hear it.
func (l *listeners) say() {
	start := time.Now()
	if _, err := io.WriteString(l.conns[0], l.text); err != nil {
		l.Fatal(err)
	}
	for i := 1; i < len(l.in); i++ {
		text := l.line(i)
		for strings.HasPrefix(text, "* slow") {
			if strings.HasSuffix(text, "left: too slow\n") {
				l.dropped++
			}
			text = l.line(i)
		}
		if text != "p0: "+l.text {
			l.Fatalf("reader %d received %q", i, text)
		}
		l.took = append(l.took, time.Since(start))
	}
}

func (l *listeners) leave() {
	for _, conn := range l.conns {
		if err := conn.Close(); err != nil {
			l.Error(err)
		}
	}
}
