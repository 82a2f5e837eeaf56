package soft

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"

	"scenario/fabric/link"
)

// Why a wire drops packets, beside what its [link.Link] does.
const (
	Oversize link.Reason = "mtu"  // larger than WireOptions.MTU
	Down     link.Reason = "down" // between SetDown(true) and SetDown(false)
)

// WireOptions say what one direction of a link is like.
type WireOptions struct {
	Name string
	// MTU is the size in bytes of the largest IP packet that gets through; 0: any.
	MTU int
	// Scheduler has the time, and sends on what is under way.
	Scheduler Scheduler
	// To is what the wire leads to.
	To Sink
	// Dropped, if set, is told of each frame that is dropped. It must not keep or change the frame, and may be called from
	// any goroutine.
	Dropped func(at time.Time, reason link.Reason, f *Frame)
}

// Wire is one direction of a link.
//
// A wire that is not shaped and has no taps hands frames on in the sender's goroutine as they are, super-packets too.
// One that is or has cuts them first, so that what is seen and what is lost are frames of the size that a wire carries,
// with full checksums. All that can be set may be changed while frames are under way; those arrive as it was decided when
// they were sent. Packets keep their order, unless the link reorders them or is taken away meanwhile.
type Wire struct {
	options WireOptions
	arrival Sink                      // takes what the scheduler sends
	state   atomic.Pointer[wireState] // nil: nothing is to be done
	under   atomic.Int64              // how many frames the scheduler has

	mu    sync.Mutex // held from reading the time until the scheduler has the frame, so that order is kept
	spare []passing
}

// wireState is what a wire does, never changed once it is set. The link itself is used with the wire's lock held.
type wireState struct {
	link     *link.Link
	corrupts bool // the link may
	taps     []*func(time.Time, *Frame)
	down     bool
}

// passing is a frame of which the fate is known while the lock is held, and comes about when it is let go: other wires,
// and this one again, may be reached from where the frame goes.
type passing struct {
	frame   Frame
	dropped link.Reason
}

// NewWire makes a wire that does nothing to frames.
func NewWire(options WireOptions) *Wire {
	w := &Wire{options: options}
	w.arrival = SinkFunc(func(f Frame) {
		w.options.To.Send(f)
		w.under.Add(-1)
	})
	return w
}

// Name is the wire's name.
func (w *Wire) Name() string { return w.options.Name }

// Shape has frames pass the link from now on; nil: none. The link is then the wire's: its settings are changed by Adjust.
func (w *Wire) Shape(l *link.Link) { w.change(func(s *wireState) { s.link = l }) }

// Adjust changes the settings of the link that the wire was shaped with; without one nothing happens.
func (w *Wire) Adjust(settings link.Settings) {
	w.change(func(s *wireState) {
		if s.link != nil {
			s.link.Set(settings)
		}
	})
}

// SetDown cuts the wire, or mends it. What is under way arrives all the same.
func (w *Wire) SetDown(down bool) { w.change(func(s *wireState) { s.down = down }) }

// Tap has each frame seen that is sent into the wire, as the wire carries it and before the link loses, delays or damages
// it: a capture at the sender's card. Frames are seen one at a time, in order; see must not keep or change them, nor send
// anything. The tap is there until remove is called.
func (w *Wire) Tap(see func(at time.Time, f *Frame)) (remove func()) {
	tap := &see
	w.change(func(s *wireState) { s.taps = append(slices.Clone(s.taps), tap) })
	return func() {
		w.change(func(s *wireState) {
			s.taps = slices.DeleteFunc(slices.Clone(s.taps), func(t *func(time.Time, *Frame)) bool { return t == tap })
		})
	}
}

func (w *Wire) change(edit func(*wireState)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var s wireState
	if present := w.state.Load(); present != nil {
		s = *present
	}
	edit(&s)
	s.corrupts = s.link != nil && s.link.Settings().Corrupt > 0
	if s.link == nil && len(s.taps) == 0 && !s.down {
		w.state.Store(nil)
		return
	}
	w.state.Store(&s)
}

// Send implements [Sink].
func (w *Wire) Send(f Frame) {
	if w.options.MTU > 0 && f.PacketSize() > w.options.MTU {
		w.drop(w.options.Scheduler.Now(), Oversize, f)
		return
	}
	if w.state.Load() == nil {
		w.options.To.Send(f)
		return
	}
	w.mu.Lock()
	now := w.options.Scheduler.Now()
	batch := w.spare
	w.spare = nil
	if s := w.state.Load(); s == nil {
		batch = append(batch, passing{frame: f})
	} else if s.down {
		batch = append(batch, passing{f, Down})
	} else {
		Split(f, func(part Frame) { batch = w.pass(now, s, part, batch) })
	}
	w.mu.Unlock()

	for i := range batch {
		if p := &batch[i]; p.dropped != link.Passed {
			w.drop(now, p.dropped, p.frame)
		} else {
			w.options.To.Send(p.frame)
		}
		batch[i] = passing{}
	}
	w.mu.Lock()
	w.spare = batch[:0]
	w.mu.Unlock()
}

// pass sends one frame on its way, or adds it to the batch where its fate is decided on the spot. The lock is held.
func (w *Wire) pass(now time.Time, s *wireState, f Frame, batch []passing) []passing {
	for _, see := range s.taps {
		(*see)(now, &f)
	}
	if s.link == nil {
		return append(batch, passing{frame: f})
	}
	fate := s.link.Pass(now, f.Size())
	if fate.Dropped != link.Passed {
		return append(batch, passing{f, fate.Dropped})
	}
	f.Suspect = f.Suspect || s.corrupts
	var second Frame
	if fate.Copied {
		second = f.Clone()
	}
	if fate.Corrupt {
		f.flip(fate.Bit)
	}
	batch = w.arrive(now, fate.At, f, batch)
	if fate.Copied {
		batch = w.arrive(now, fate.CopyAt, second, batch)
	}
	return batch
}

// arrive plans a frame's arrival. What arrives at once does so in the sender's goroutine, unless it had to overtake what the
// scheduler has yet to send.
func (w *Wire) arrive(now, at time.Time, f Frame, batch []passing) []passing {
	if !at.After(now) && w.under.Load() == 0 {
		return append(batch, passing{frame: f})
	}
	w.under.Add(1)
	w.options.Scheduler.Send(at, f, w.arrival)
	return batch
}

func (w *Wire) drop(at time.Time, reason link.Reason, f Frame) {
	if w.options.Dropped != nil {
		w.options.Dropped(at, reason, &f)
	}
	f.Release()
}

// flip flips a bit of a frame; bit 0 is the lowest of the first byte. The payload is copied before, since it may be shared.
func (f *Frame) flip(bit int) {
	i, mask := bit/8, byte(1)<<(bit%8)
	if head := f.Head.AsSlice(); i < len(head) {
		head[i] ^= mask
		return
	}
	i -= f.Head.Size()
	payload := f.Payload.Flatten()
	payload[i] ^= mask
	f.Payload.Release()
	f.Payload = buffer.MakeWithData(payload)
}
