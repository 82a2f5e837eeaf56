package soft_test

import (
	"bytes"
	"math/bits"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"scenario/fabric/link"
	"scenario/fabric/soft"
)

// wired is a wire of a test in virtual time, and what came out of it.
type wired struct {
	*soft.Wire
	start   time.Time
	arrived []arrival
	dropped []link.Reason
}

type arrival struct {
	at   time.Duration
	data []byte
	soft.Frame
}

// onWire runs a test with a wire in virtual time. The test waits for what is under way by pause.
func onWire(t *testing.T, mtu int, test func(t *testing.T, w *wired)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		scheduler := soft.NewVirtualTime(nil)
		defer scheduler.Close()
		w := &wired{start: time.Now()}
		w.Wire = soft.NewWire(soft.WireOptions{
			Name: "a to b", MTU: mtu, Scheduler: scheduler,
			To: soft.SinkFunc(func(f soft.Frame) {
				w.arrived = append(w.arrived, arrival{time.Since(w.start).Round(time.Microsecond), allOf(&f), f})
				f.Release()
			}),
			Dropped: func(_ time.Time, reason link.Reason, f *soft.Frame) {
				if f.Size() < 14 {
					t.Error("no frame")
				}
				w.dropped = append(w.dropped, reason)
			},
		})
		test(t, w)
	})
}

// pause lets virtual time pass, and what is to happen in it.
func pause(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

var large = segment{from: 1, to: 2, flags: header.TCPFlagAck, payload: pattern(4000), mss: 1460}

func TestCleanWire(t *testing.T) {
	onWire(t, 1500, func(t *testing.T, w *wired) {
		w.Send(large.frame())
		if len(w.arrived) != 1 || w.arrived[0].Segment != 1460 || !w.arrived[0].Partial {
			t.Errorf("a super-packet became %d frames", len(w.arrived))
		}
		if w.Name() != "a to b" {
			t.Error(w.Name())
		}
	})
}

func TestTooLarge(t *testing.T) {
	onWire(t, 1499, func(t *testing.T, w *wired) {
		w.Send(large.frame())
		w.Send(segment{payload: pattern(1460)}.frame())
		if len(w.arrived) > 0 || !slices.Equal(w.dropped, []link.Reason{soft.Oversize, soft.Oversize}) {
			t.Errorf("%d frames arrived, dropped %v", len(w.arrived), w.dropped)
		}
		w.Send(segment{payload: pattern(1459)}.frame())
		if len(w.arrived) != 1 {
			t.Error("what fits is dropped")
		}
	})
}

// A tap sees what is sent as it is on the wire, lost or not, and only while it is there.
func TestTap(t *testing.T) {
	onWire(t, 1500, func(t *testing.T, w *wired) {
		var seen []int
		remove := w.Tap(func(at time.Time, f *soft.Frame) {
			checked(t, f)
			seen = append(seen, f.Size())
			if !at.Equal(w.start) {
				t.Errorf("at %v", at.Sub(w.start))
			}
		})
		w.Send(large.frame())
		if want := []int{1514, 1514, 1134}; !slices.Equal(seen, want) || len(w.arrived) != 3 {
			t.Errorf("seen %v, %d arrived", seen, len(w.arrived))
		}
		w.Shape(link.New(link.Settings{Loss: 1}, 1))
		w.Send(segment{payload: pattern(100)}.frame())
		if len(seen) != 4 || len(w.arrived) != 3 {
			t.Errorf("%d seen, %d arrived, with loss", len(seen), len(w.arrived))
		}
		remove()
		w.Shape(nil)
		w.Send(large.frame())
		if len(seen) != 4 || len(w.arrived) != 4 {
			t.Errorf("%d seen, %d arrived, without it", len(seen), len(w.arrived))
		}
	})
}

func TestShape(t *testing.T) {
	ms := time.Millisecond
	for _, test := range []struct {
		name     string
		settings link.Settings
		arrivals []time.Duration // of two frames sent at once and one 5 ms later
		dropped  []link.Reason
	}{
		{"nothing", link.Settings{}, []time.Duration{0, 0, 5 * ms}, nil},
		{"delay", link.Settings{Delay: 10 * ms}, []time.Duration{10 * ms, 10 * ms, 15 * ms}, nil},
		{"loss", link.Settings{Loss: 1}, nil, []link.Reason{link.Lost, link.Lost, link.Lost}},
		{"rate", link.Settings{Rate: 8 * 1000 * 154}, []time.Duration{ms, 2 * ms, 6 * ms}, nil},
		{"queue", link.Settings{Rate: 8 * 1000 * 154 / 20, Queue: link.Queue{Packets: 1}}, []time.Duration{20 * ms, 40 * ms}, []link.Reason{link.Full}},
		{"copies", link.Settings{Delay: ms, Duplicate: 1}, []time.Duration{ms, ms, ms, ms, 6 * ms, 6 * ms}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			onWire(t, 1500, func(t *testing.T, w *wired) {
				w.Shape(link.New(test.settings, 1))
				for i, wait := range []time.Duration{0, 0, 5 * ms} {
					pause(wait)
					w.Send(segment{seq: uint32(i), payload: pattern(100)}.frame())
				}
				pause(time.Second)
				var at []time.Duration
				for _, a := range w.arrived {
					at = append(at, a.at)
				}
				if !slices.Equal(at, test.arrivals) || !slices.Equal(w.dropped, test.dropped) {
					t.Errorf("arrivals %v, dropped %v", at, w.dropped)
				}
			})
		})
	}
}

// One bit is other than it was, in the head or the payload; who else has the payload does not see it.
func TestCorrupt(t *testing.T) {
	onWire(t, 1500, func(t *testing.T, w *wired) {
		w.Shape(link.New(link.Settings{Corrupt: 1}, 1))
		inHead := 0
		for range 100 {
			f := segment{flags: header.TCPFlagAck, payload: pattern(100)}.frame()
			f.Complete()
			shared, want := f.Clone(), allOf(&f)
			w.Send(f)
			got := w.arrived[len(w.arrived)-1]
			flipped := 0
			for i := range want {
				d := bits.OnesCount8(want[i] ^ got.data[i])
				if flipped += d; d > 0 && i < shared.Head.Size() {
					inHead++
				}
			}
			if flipped != 1 || !got.Suspect || !bytes.Equal(allOf(&shared), want) {
				t.Fatalf("%d bits flipped, suspect %v", flipped, got.Suspect)
			}
			shared.Release()
		}
		if inHead == 0 || inHead == 100 {
			t.Errorf("%d of 100 in the head", inHead)
		}
	})
}

// Frames that arrive at once do not overtake those that the scheduler has yet to send.
func TestOrderIsKept(t *testing.T) {
	onWire(t, 1500, func(t *testing.T, w *wired) {
		w.Shape(link.New(link.Settings{Delay: 10 * time.Millisecond, Jitter: 10 * time.Millisecond}, 1))
		for i := range 200 {
			w.Send(segment{seq: uint32(i), payload: pattern(10)}.frame())
			if i == 100 {
				w.Adjust(link.Settings{})
			}
			pause(time.Millisecond / 10)
		}
		pause(time.Second)
		if len(w.arrived) != 200 {
			t.Fatalf("%d arrived", len(w.arrived))
		}
		for i, a := range w.arrived {
			if seq := header.TCP(a.data[34:]).SequenceNumber(); seq != uint32(i) {
				t.Fatalf("frame %d has number %d", i, seq)
			}
		}
		if last := w.arrived[199].at; last > 31*time.Millisecond {
			t.Errorf("the last arrived after %v, without delay", last)
		}
		w.Shape(nil)
		w.Adjust(link.Settings{Loss: 1})
		w.Send(segment{}.frame())
		if len(w.arrived) != 201 {
			t.Error("settings without a link do something")
		}
	})
}

func TestDown(t *testing.T) {
	onWire(t, 1500, func(t *testing.T, w *wired) {
		w.Shape(link.New(link.Settings{Delay: time.Second}, 1))
		w.Send(segment{}.frame())
		w.SetDown(true)
		w.Send(large.frame())
		pause(2 * time.Second)
		w.SetDown(false)
		w.Send(segment{}.frame())
		pause(2 * time.Second)
		if len(w.arrived) != 2 || !slices.Equal(w.dropped, []link.Reason{soft.Down}) {
			t.Errorf("%d arrived, dropped %v", len(w.arrived), w.dropped)
		}
	})
}

// A wire that leads back to itself, as where two routers send packets to and fro until their time to live is over, does
// not wait for itself.
func TestWireIntoItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		scheduler := soft.NewVirtualTime(nil)
		defer scheduler.Close()
		rounds := 0
		var w *soft.Wire
		w = soft.NewWire(soft.WireOptions{Scheduler: scheduler, To: soft.SinkFunc(func(f soft.Frame) {
			if rounds++; rounds == 64 {
				f.Release()
				return
			}
			w.Send(f)
		})})
		w.Tap(func(time.Time, *soft.Frame) {})
		w.Send(segment{}.frame())
		if rounds != 64 {
			t.Errorf("%d rounds", rounds)
		}
	})
}
