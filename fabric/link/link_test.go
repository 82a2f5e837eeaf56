package link

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// packets is how many packets statistics are made from.
const packets = 200_000

// start is when the first packet of every test is sent.
func start() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// pass sends n packets of one size at a fixed distance and returns their fates.
func pass(l *Link, n, size int, distance time.Duration) []Fate {
	fates := make([]Fate, n)
	for i := range fates {
		fates[i] = l.Pass(start().Add(time.Duration(i)*distance), size)
	}
	return fates
}

func count(fates []Fate, is func(Fate) bool) int {
	n := 0
	for _, f := range fates {
		if is(f) {
			n++
		}
	}
	return n
}

func lost(f Fate) bool { return f.Dropped == Lost }

// R33: what each setting does, to four packets of 1,000 bytes, one a millisecond.
func TestImpairments(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		name     string
		settings Settings
		want     []string // arrivals, or why there is none
	}{
		{"nothing", Settings{}, []string{"0s", "1ms", "2ms", "3ms"}},
		{"delay", Settings{Delay: 10 * ms}, []string{"10ms", "11ms", "12ms", "13ms"}},
		{"loss of all", Settings{Loss: 1}, []string{"loss", "loss", "loss", "loss"}},
		{"a burst that begins with the second packet and does not end", Settings{Burst: Burst{Enter: 1, Bad: 1}},
			[]string{"0s", "loss", "loss", "loss"}},
		{"bursts of one packet, each after a good one", Settings{Burst: Burst{Enter: 1, Leave: 1, Bad: 1}},
			[]string{"0s", "loss", "2ms", "loss"}},
		{"loss while the link is good", Settings{Burst: Burst{Enter: 1, Leave: 1, Good: 1}}, []string{"loss", "1ms", "loss", "3ms"}},
		{"duplicates", Settings{Delay: ms, Duplicate: 1}, []string{"1ms 1ms", "2ms 2ms", "3ms 3ms", "4ms 4ms"}},
		{"all skip the delay", Settings{Delay: 10 * ms, Jitter: ms, Reorder: 1}, []string{"0s", "1ms", "2ms", "3ms"}},
		{"8 Mbit/s", Settings{Rate: 8e6}, []string{"1ms", "2ms", "3ms", "4ms"}},
		{"4 Mbit/s", Settings{Rate: 4e6}, []string{"2ms", "4ms", "6ms", "8ms"}},
		{"4 Mbit/s and delay", Settings{Rate: 4e6, Delay: 10 * ms}, []string{"12ms", "14ms", "16ms", "18ms"}},
		{"duplicates take their time at a rate", Settings{Rate: 8e6, Duplicate: 1}, []string{"1ms 2ms", "3ms 4ms", "5ms 6ms", "7ms 8ms"}},
		{"reordered packets wait their turn", Settings{Rate: 4e6, Delay: 10 * ms, Reorder: 1}, []string{"2ms", "4ms", "6ms", "8ms"}},
		{"queue of one packet", Settings{Rate: 1e6, Queue: Queue{Packets: 1}}, []string{"8ms", "16ms", "queue", "queue"}},
		{"queue of one packet and duplicates", Settings{Rate: 1e6, Queue: Queue{Packets: 1}, Duplicate: 1},
			[]string{"8ms 16ms", "queue", "queue", "queue"}},
		{"queue of two packets in bytes", Settings{Rate: 1e6, Queue: Queue{Bytes: 2999}}, []string{"8ms", "16ms", "24ms", "queue"}},
		{"the smaller bound holds", Settings{Rate: 1e6, Queue: Queue{Bytes: 1500, Packets: 100}}, []string{"8ms", "16ms", "queue", "queue"}},
		{"a queue that is too small for any packet", Settings{Rate: 4e6, Queue: Queue{Bytes: 10}}, []string{"2ms", "queue", "4ms", "queue"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := test.settings.Validate(); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range pass(New(test.settings, 1), len(test.want), 1000, ms) {
				got = append(got, describe(f))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func describe(f Fate) string {
	switch {
	case f.Dropped != Passed:
		return string(f.Dropped)
	case f.Copied:
		return f.At.Sub(start()).String() + " " + f.CopyAt.Sub(start()).String()
	}
	return f.At.Sub(start()).String()
}

// R33: shares come out within three standard deviations.
func TestShares(t *testing.T) {
	for _, test := range []struct {
		name     string
		settings func(p float64) Settings
		is       func(Fate) bool
	}{
		{"loss", func(p float64) Settings { return Settings{Loss: p} }, lost},
		{"duplicate", func(p float64) Settings { return Settings{Duplicate: p} }, func(f Fate) bool { return f.Copied }},
		{"corrupt", func(p float64) Settings { return Settings{Corrupt: p} }, func(f Fate) bool { return f.Corrupt }},
		{"reorder", func(p float64) Settings { return Settings{Delay: time.Microsecond, Reorder: p} }, func(f Fate) bool {
			return f.At.Sub(start())%time.Millisecond == 0
		}},
		{"burst", func(p float64) Settings { return Settings{Burst: Burst{Good: p}} }, lost},
	} {
		for _, p := range []float64{0, 1e-3, 0.01, 0.3, 1} {
			fates := pass(New(test.settings(p), 7), packets, 100, time.Millisecond)
			got, want := float64(count(fates, test.is)), p*packets
			if bound := 3 * math.Sqrt(packets*p*(1-p)); math.Abs(got-want) > bound {
				t.Errorf("%s %v: %v of %d packets, want %v ± %.0f", test.name, p, got, packets, want, bound)
			}
		}
	}
}

// R33: every bit of a packet is flipped about as often as any other, and only such as it has.
func TestCorruptedBits(t *testing.T) {
	const size = 10
	var flips [size * 8]float64
	l := New(Settings{Corrupt: 1}, 3)
	for _, f := range pass(l, packets, size, 0) {
		flips[f.Bit]++
	}
	want := float64(packets) / (size * 8)
	for bit, n := range flips {
		if math.Abs(n-want) > 4*math.Sqrt(want) {
			t.Errorf("bit %d: %v times, want %v", bit, n, want)
		}
	}
	if f := l.Pass(start(), 0); f.Corrupt {
		t.Error("a packet without bits was corrupted")
	}
}

// R33: bursts of the Gilbert–Elliott model have the length and take the share that theory says.
func TestBursts(t *testing.T) {
	for _, b := range []Burst{
		{Enter: 0.01, Leave: 0.25, Bad: 1},
		{Enter: 0.001, Leave: 0.05, Bad: 1},
		{Enter: 0.05, Leave: 0.2, Bad: 0.6, Good: 0.01},
	} {
		const n = 5 * packets
		fates := pass(New(Settings{Burst: b}, 11), n, 100, 0)
		turn := b.Enter + b.Leave
		share := (b.Enter*b.Bad + b.Leave*b.Good) / turn
		// Neighbours are alike, so there is more variance than of independent losses.
		bound := 3 * math.Sqrt(share*(1-share)/n*(2-turn)/turn)
		if got := float64(count(fates, lost)) / n; math.Abs(got-share) > bound {
			t.Errorf("%+v: lost %.5f, want %.5f ± %.5f", b, got, share, bound)
		}
		if b.Bad < 1 {
			continue
		}
		bursts := 0
		for i := range fates {
			if lost(fates[i]) && (i == 0 || !lost(fates[i-1])) {
				bursts++
			}
		}
		length := float64(count(fates, lost)) / float64(bursts)
		bound = 3 * math.Sqrt(1-b.Leave) / b.Leave / math.Sqrt(float64(bursts))
		if math.Abs(length-1/b.Leave) > bound {
			t.Errorf("%+v: bursts of %.3f packets, want %.3f ± %.3f", b, length, 1/b.Leave, bound)
		}
	}
}

// R33: delays scatter as the distributions say.
func TestJitter(t *testing.T) {
	const delay, jitter = 100 * time.Millisecond, 10 * time.Millisecond
	for _, test := range []struct {
		distribution                 Distribution
		mean, deviation, least, most float64 // in units of jitter
	}{
		{"", 0, 1 / math.Sqrt(3), -1, 1},
		{Uniform, 0, 1 / math.Sqrt(3), -1, 1},
		{Normal, 0, 1, -4, 4},
		{Pareto, 6*math.Pow(4.5, -3) - 2*math.Pow(4.5, -2), 0.8209, -2. / 3, 4}, // integrals of the cut curve
	} {
		l := New(Settings{Delay: delay, Jitter: jitter, Distribution: test.distribution}, 5)
		var sum, squares float64
		least, most := math.Inf(1), math.Inf(-1)
		for i, f := range pass(l, packets, 100, time.Second) { // too far apart to meet
			x := float64(f.At.Sub(start())-time.Duration(i)*time.Second-delay) / float64(jitter)
			sum, squares = sum+x, squares+x*x
			least, most = min(least, x), max(most, x)
		}
		mean := sum / packets
		deviation := math.Sqrt(squares/packets - mean*mean)
		if math.Abs(mean-test.mean) > 3*test.deviation/math.Sqrt(packets) {
			t.Errorf("%q: mean %.4f, want %.4f", test.distribution, mean, test.mean)
		}
		if math.Abs(deviation-test.deviation) > 0.01*test.deviation {
			t.Errorf("%q: standard deviation %.4f, want %.4f", test.distribution, deviation, test.deviation)
		}
		if least < test.least-1e-6 || most > test.most+1e-6 {
			t.Errorf("%q: from %.4f to %.4f, want within %.4f and %.4f", test.distribution, least, most, test.least, test.most)
		}
	}
}

// R33: a link passes what its rate says, whatever is offered, and keeps its queue within its bound.
func TestRate(t *testing.T) {
	for _, test := range []struct {
		name string
		rate int64
		size int
		load float64 // offered, as a share of the rate
	}{
		{"half of 20 Mbit/s", 20e6, 1514, 0.5},
		{"twice 20 Mbit/s", 20e6, 1514, 2},
		{"ten times 1 Gbit/s, small packets", 1e9, 60, 10},
		{"twice 100 Gbit/s, in parts of nanoseconds", 100e9, 61, 2},
		{"twice 1 kbit/s", 1e3, 60, 2},
	} {
		l := New(Settings{Rate: test.rate}, 1)
		bits := float64(test.size) * 8
		distance := bits / float64(test.rate) / test.load * 1e9 // in nanoseconds
		var passed, waited int
		var last time.Time
		for i := range packets {
			now := start().Add(time.Duration(float64(i) * distance))
			if f := l.Pass(now, test.size); f.Dropped == Passed {
				passed, last = passed+1, f.At
			}
			waiting, _ := l.Waiting(now)
			waited = max(waited, waiting)
		}
		got := float64(passed) * bits / last.Sub(start()).Seconds()
		if want := float64(test.rate) * min(test.load, 1); math.Abs(got-want) > 0.01*want {
			t.Errorf("%s: passed %.4g bit/s, want %.4g", test.name, got, want)
		}
		if test.load < 1 && waited > 0 || test.load > 1 && waited != DefaultQueue {
			t.Errorf("%s: at most %d packets waited", test.name, waited)
		}
	}
}

// R33: however far delays stray, packets arrive in order; some overtake others only where that is asked for.
func TestOrder(t *testing.T) {
	for _, test := range []struct {
		reorder float64
		want    bool
	}{{0, false}, {0.01, true}} {
		l := New(Settings{Delay: 10 * time.Millisecond, Jitter: 5 * time.Millisecond, Distribution: Normal, Reorder: test.reorder}, 2)
		overtakes := 0
		var latest time.Time
		for _, f := range pass(l, packets, 100, 100*time.Microsecond) {
			if f.At.Before(latest) {
				overtakes++
			}
			latest = later(latest, f.At)
		}
		if overtakes > 0 != test.want {
			t.Errorf("reorder %v: %d packets overtook others", test.reorder, overtakes)
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Settings that change while packets are under way leave those as they are, and what follows behind them.
func TestSet(t *testing.T) {
	l := New(Settings{Delay: 10 * time.Millisecond, Rate: 8e6}, 1)
	at := func(ms int) time.Time { return start().Add(time.Duration(ms) * time.Millisecond) }
	var got []string
	for i := range 5 {
		got = append(got, describe(l.Pass(at(0), 1000)))
		switch i {
		case 1:
			l.Set(Settings{Delay: time.Millisecond, Rate: 8e6})
		case 2:
			l.Set(Settings{})
		}
	}
	got = append(got, describe(l.Pass(at(20), 1000)))
	if diff := cmp.Diff([]string{"11ms", "12ms", "12ms", "12ms", "12ms", "20ms"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if l.Settings() != (Settings{}) {
		t.Errorf("settings are %+v", l.Settings())
	}
}

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		name     string
		settings Settings
		want     string // part of the error
	}{
		{"negative delay", Settings{Delay: -1}, "delay -1ns is not between"},
		{"long delay", Settings{Delay: 25 * time.Hour}, "delay 25h0m0s is not between"},
		{"negative jitter", Settings{Jitter: -1}, "jitter -1ns is not between"},
		{"distribution", Settings{Distribution: "gauss"}, `distribution "gauss" is none of uniform, normal, pareto`},
		{"loss", Settings{Loss: 1.1}, "loss 1.1 is no probability"},
		{"duplicate", Settings{Duplicate: -1}, "duplicate -1 is no probability"},
		{"reorder", Settings{Delay: 1, Reorder: math.NaN()}, "reorder NaN is no probability"},
		{"corrupt", Settings{Corrupt: math.Inf(1)}, "corrupt +Inf is no probability"},
		{"burst p", Settings{Burst: Burst{Enter: 2}}, "burst p 2 is no probability"},
		{"burst 1-k", Settings{Burst: Burst{Good: 2}}, "burst 1-k 2 is no probability"},
		{"loss and burst", Settings{Loss: 0.1, Burst: Burst{Enter: 0.1}}, "loss and burst exclude each other"},
		{"rate", Settings{Rate: -1}, "rate -1 is negative"},
		{"queue", Settings{Rate: 1, Queue: Queue{Bytes: -1}}, "queue of 0 packets, -1 bytes is negative"},
		{"queue without rate", Settings{Queue: Queue{Packets: 5}}, "a queue needs a rate"},
		{"reorder without delay", Settings{Reorder: 0.5}, "reorder needs a delay"},
	} {
		err := test.settings.Validate()
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
		New(test.settings, 1).Pass(start(), -1) // which must not panic
	}
}
