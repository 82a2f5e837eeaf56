package embedded_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"testing"
	"time"

	"scenario/engine/embedded"
	"scenario/fabric/link"
	"scenario/internal/bubble"
	"scenario/topology"
)

// measured is a link whose delay, loss and rate are looked at.
const measured = `
networks: {lan: 10.0.0.0/24}
nodes:
  client:
    networks: {lan: {link: {up: {delay: 10ms, jitter: 2ms, loss: 1%, rate: 20mbit, queue: 4000p}}}}
  server: {networks: {lan: 10.0.0.2}}
`

const (
	paced   = 10_000 // datagrams that are sent at less than the link's rate
	atOnce  = 2_000  // and those that are sent at once, to wait for each other
	payload = 1000   // bytes
	burst   = 10     // datagrams, at every tick
	tick    = 5 * time.Millisecond
)

// In virtual time frames arrive when package link says that they do. Each event of a network has a nanosecond of its own:
// that is how far an arrival may be off.
func TestLinkInVirtualTime(t *testing.T) {
	bubble.Test(t, func(t *testing.T, beat func()) {
		d := measure(up(t, captureAll(compile(t, measured)), embedded.Options{Virtual: true, Beat: beat}))
		d.check(t)
		if worst := quantile(d.late, 1); worst > time.Microsecond || quantile(d.late, 0) < 0 {
			t.Errorf("frames are off by %v to %v", quantile(d.late, 0), worst)
		}
		// The first and the last are off by the jitter at most.
		if math.Abs(d.rate-20e6) > 0.01*20e6 || math.Abs(d.planned-20e6) > 0.01*20e6 {
			t.Errorf("the rate is %.0f bit/s, planned %.0f", d.rate, d.planned)
		}
	})
}

// In real time the same frames are lost and planned for the same times; when they do arrive is up to the machine.
func TestLinkInRealTime(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes as long as it takes")
	}
	measure(up(t, captureAll(compile(t, measured)), embedded.Options{})).check(t)
}

// deviation is what frames did on a link, beside what they should have done.
type deviation struct {
	sent, lost, full  int
	strays            []string        // what is not as package link has it, times apart
	late              []time.Duration // behind the planned arrival at the card
	apart             []time.Duration // from one program's writing to the other one's reading, behind the planned delay
	planned, rate     float64         // of those that wait for each other, bit/s
	bits              float64
	first, last       time.Time // of those, when they arrive
	ideal0, idealLast time.Time // and should
}

// measure has the client send the server datagrams, and compares what the captures at both ends have with what package link
// makes of the same frames.
func measure(l *lab) *deviation {
	l.Helper()
	written, read := exchange(l)
	l.stop()
	client := l.plan.Node("client")
	seed, _ := client.LinkSeeds("eth0")
	model := link.New(client.Interfaces[0].Up.Settings(), seed)
	arrivals := make(map[uint32]time.Time)
	for _, f := range l.frames("server", "lan") {
		if n, ok := number(f.data); ok && f.inbound {
			arrivals[n] = f.at
		}
	}
	var d deviation
	for _, f := range l.frames("client", "lan") {
		if f.inbound {
			continue
		}
		fate := model.Pass(f.at, len(f.data))
		n, ok := number(f.data)
		if !ok {
			continue // ARP, and what makes it known
		}
		d.sent++
		at, arrived := arrivals[n]
		if arrived != (fate.Dropped == link.Passed) {
			d.strays = append(d.strays, fmt.Sprintf("datagram %d: arrived: %v, want %q", n, arrived, fate.Dropped))
			continue
		}
		switch fate.Dropped {
		case link.Lost:
			d.lost++
			continue
		case link.Full:
			d.full++
			continue
		}
		d.late = append(d.late, at.Sub(fate.At))
		d.apart = append(d.apart, read[n].Sub(written[n])-fate.At.Sub(f.at))
		if n >= paced {
			d.waited(at, fate.At, len(f.data))
		}
	}
	d.rate = d.bits / d.last.Sub(d.first).Seconds()
	d.planned = d.bits / d.idealLast.Sub(d.ideal0).Seconds()
	return &d
}

// waited counts a datagram that waited for the one before. That of which the arrival begins the time is not counted.
func (d *deviation) waited(at, ideal time.Time, size int) {
	if d.first.IsZero() {
		d.first, d.ideal0 = at, ideal
	} else {
		d.bits += float64(8 * size)
	}
	d.last, d.idealLast = at, ideal
}

// exchange sends the datagrams, and returns when each was written and read, by number.
func exchange(l *lab) (written, read []time.Time) {
	l.Helper()
	written, read = make([]time.Time, paced+atOnce), make([]time.Time, paced+atOnce)
	server, err := l.host("server").ListenPacket(l.Context(), "udp", "10.0.0.2:9")
	if err != nil {
		l.Fatal(err)
	}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		buffer := make([]byte, 2*payload)
		for {
			if _, _, err := server.ReadFrom(buffer); err != nil {
				return
			}
			read[binary.BigEndian.Uint32(buffer)] = time.Now()
		}
	}()
	client, err := l.host("client").Dial(l.Context(), "udp", "10.0.0.2:9")
	if err != nil {
		l.Fatal(err)
	}
	// So that the neighbour is known when they are sent. It has the number 0, which is overwritten.
	if _, err := client.Write(make([]byte, 4)); err != nil {
		l.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	for n := range paced + atOnce {
		if n <= paced && n%burst == 0 {
			time.Sleep(tick)
		}
		send(l, client, written, n)
	}
	time.Sleep(2 * time.Second) // the last ones wait for those before
	_ = client.Close()
	_ = server.Close()
	<-heard
	return written, read
}

func send(l *lab, c net.Conn, written []time.Time, n int) {
	datagram := make([]byte, payload)
	binary.BigEndian.PutUint32(datagram, uint32(n))
	written[n] = time.Now()
	if _, err := c.Write(datagram); err != nil {
		l.Fatal(err)
	}
}

// number is that of a datagram.
func number(data []byte) (n uint32, ok bool) {
	const headers = 14 + 20 + 8
	if len(data) != headers+payload {
		return 0, false
	}
	return binary.BigEndian.Uint32(data[headers:]), true
}

// check looks at what does not depend on the machine, and tells the rest.
func (d *deviation) check(t *testing.T) {
	t.Helper()
	settings := topology.Link{Loss: 0.01}
	t.Logf("%d datagrams, %d lost, %d found no room", d.sent, d.lost, d.full)
	for _, row := range []struct {
		what string
		all  []time.Duration
	}{{"arrival at the card", d.late}, {"from program to program", d.apart}} {
		t.Logf("%-24s behind plan: least %v, p50 %v, p90 %v, p99 %v, most %v", row.what, quantile(row.all, 0),
			quantile(row.all, 0.5), quantile(row.all, 0.9), quantile(row.all, 0.99), quantile(row.all, 1))
	}
	t.Logf("rate %.4f Mbit/s, planned %.4f", d.rate/1e6, d.planned/1e6)
	if len(d.strays) > 0 {
		t.Errorf("%d strays: %s", len(d.strays), d.strays[0])
	}
	if d.sent != paced+atOnce || d.full > 0 {
		t.Errorf("%d sent, %d found no room", d.sent, d.full)
	}
	expected := settings.Loss * float64(d.sent)
	if off := math.Abs(float64(d.lost) - expected); off > 3*math.Sqrt(expected*(1-settings.Loss)) {
		t.Errorf("%d lost, want about %.0f", d.lost, expected)
	}
}
