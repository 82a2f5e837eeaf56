package link

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func probabilities() *rapid.Generator[float64] { return rapid.Float64Range(0, 1) }

// settings draws settings that Validate accepts.
func settings(t *rapid.T, reorder bool) Settings {
	some := func(name string) bool { return rapid.Bool().Draw(t, name) }
	delays := rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "ns"))
	})
	s := Settings{
		Delay: delays.Draw(t, "delay"), Jitter: delays.Draw(t, "jitter"),
		Distribution: rapid.SampledFrom([]Distribution{"", Uniform, Normal, Pareto}).Draw(t, "distribution"),
		Duplicate:    probabilities().Draw(t, "duplicate"), Corrupt: probabilities().Draw(t, "corrupt"),
	}
	if some("loss") {
		s.Loss = probabilities().Draw(t, "p")
	} else if some("burst") {
		s.Burst = Burst{
			Enter: probabilities().Draw(t, "p"), Leave: probabilities().Draw(t, "r"),
			Bad: probabilities().Draw(t, "1-h"), Good: probabilities().Draw(t, "1-k"),
		}
	}
	if some("rate") {
		s.Rate = rapid.Int64Range(1, 1e12).Draw(t, "bits")
		s.Queue = Queue{Packets: rapid.IntRange(0, 20).Draw(t, "packets"), Bytes: rapid.IntRange(0, 20000).Draw(t, "bytes")}
	}
	if reorder && s.Delay+s.Jitter > 0 {
		s.Reorder = probabilities().Draw(t, "reorder")
	}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	return s
}

// sent is a packet of a property test.
type sent struct {
	after time.Duration // since the one before
	size  int
}

func traffic() *rapid.Generator[[]sent] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) sent {
		return sent{
			after: time.Duration(rapid.Int64Range(0, int64(100*time.Millisecond)).Draw(t, "after")),
			size:  rapid.IntRange(0, 1600).Draw(t, "size"),
		}
	}), 1, 200)
}

// walk sends the packets and looks at the fate of each.
func walk(l *Link, packets []sent, look func(i int, now time.Time, size int, f Fate)) {
	now := start()
	for i, p := range packets {
		now = now.Add(p.after)
		look(i, now, p.size, l.Pass(now, p.size))
	}
}

// R33: no packet arrives before it was sent, nor, unless reordering is asked for, before those before it, not even when
// the settings change.
func TestPropertyCausalAndOrdered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		reorder := rapid.Bool().Draw(t, "reorder")
		l := New(settings(t, reorder), rapid.Uint64().Draw(t, "seed"))
		all := traffic().Draw(t, "packets")
		change := rapid.IntRange(0, len(all)).Draw(t, "change after")
		var latest time.Time
		walk(l, all, func(i int, now time.Time, size int, f Fate) {
			if i == change {
				l.Set(settings(t, reorder))
			}
			if f.Dropped != Passed {
				if f != (Fate{Dropped: f.Dropped}) {
					t.Fatalf("packet %d is dropped and more: %+v", i, f)
				}
				return
			}
			if f.At.Before(now) || f.Copied && f.CopyAt.Before(now) {
				t.Fatalf("packet %d arrives before it is sent at %v: %+v", i, now, f)
			}
			if f.Corrupt && (f.Bit < 0 || f.Bit >= size*8) {
				t.Fatalf("packet %d of %d bytes: bit %d", i, size, f.Bit)
			}
			if reorder {
				return
			}
			if f.At.Before(latest) || f.Copied && f.CopyAt.Before(f.At) {
				t.Fatalf("packet %d overtakes: %+v before %v", i, f, latest)
			}
			latest = later(f.At, f.CopyAt)
		})
	})
}

// R33: the queue is never longer than its bound, and without a rate there is none.
func TestPropertyQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settings(t, true)
		bound := s.Queue
		if bound == (Queue{}) {
			bound.Packets = DefaultQueue
		}
		l := New(s, rapid.Uint64().Draw(t, "seed"))
		walk(l, traffic().Draw(t, "packets"), func(i int, now time.Time, _ int, f Fate) {
			packets, bytes := l.Waiting(now)
			if bound.Packets > 0 && packets > bound.Packets || bound.Bytes > 0 && bytes > bound.Bytes {
				t.Fatalf("after packet %d %d packets, %d bytes wait: the bound is %+v", i, packets, bytes, bound)
			}
			if s.Rate == 0 && (packets > 0 || f.Dropped == Full) {
				t.Fatalf("packet %d waits for nothing: %+v", i, f)
			}
		})
	})
}

func TestPropertyZeroIsIdentity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := New(Settings{}, rapid.Uint64().Draw(t, "seed"))
		walk(l, traffic().Draw(t, "packets"), func(i int, now time.Time, _ int, f Fate) {
			if f != (Fate{At: now}) {
				t.Fatalf("packet %d at %v: %+v", i, now, f)
			}
		})
	})
}

// fates sends the packets over a new link.
func fates(s Settings, seed uint64, packets []sent) []Fate {
	var all []Fate
	walk(New(s, seed), packets, func(_ int, _ time.Time, _ int, f Fate) { all = append(all, f) })
	return all
}

// R33: the same seed makes the same fates.
func TestPropertySameSeed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, seed, all := settings(t, true), rapid.Uint64().Draw(t, "seed"), traffic().Draw(t, "packets")
		if diff := cmp.Diff(fates(s, seed, all), fates(s, seed, all)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// R33: each setting has a stream of its own: changing others changes nothing of it, and more loss loses the same
// packets and others.
func TestPropertyStreams(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed, all := rapid.Uint64().Draw(t, "seed"), traffic().Draw(t, "packets")
		one, other := settings(t, true), settings(t, true)
		one.Rate, other.Rate, one.Queue, other.Queue = 0, 0, Queue{}, Queue{} // a full queue takes packets away from others
		one.Burst, other.Burst = Burst{}, Burst{}
		other.Loss = one.Loss
		if rapid.Bool().Draw(t, "more loss") {
			other.Loss += (1 - one.Loss) / 2
		}
		other.Corrupt, other.Duplicate = one.Corrupt, one.Duplicate
		before, after := fates(one, seed, all), fates(other, seed, all)
		for i := range before {
			a, b := before[i], after[i]
			if lost(a) && !lost(b) || one.Loss == other.Loss && lost(a) != lost(b) {
				t.Fatalf("packet %d: %+v, then %+v", i, a, b)
			}
			if !lost(b) && (a.Corrupt != b.Corrupt || a.Bit != b.Bit || a.Copied != b.Copied) {
				t.Fatalf("packet %d: %+v, then %+v", i, a, b)
			}
		}
	})
}
