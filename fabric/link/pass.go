package link

import (
	"math"
	"math/bits"
	"time"
)

// draws is what a packet takes from the random stream.
type draws struct {
	loss, state, burst, duplicate, reorder, corrupt, bit, jitter, copyJitter uint64
}

// draw takes every draw of a packet in a fixed order, needed or not.
func (l *Link) draw() draws {
	r := l.random
	return draws{
		loss: r.Uint64(), state: r.Uint64(), burst: r.Uint64(), duplicate: r.Uint64(), reorder: r.Uint64(),
		corrupt: r.Uint64(), bit: r.Uint64(), jitter: r.Uint64(), copyJitter: r.Uint64(),
	}
}

// Pass tells the fate of a packet of size bytes that is sent now. Times of successive calls do not decrease; one that does
// counts as the time before. The packet is first lost or not, then it waits in the queue and is sent, then it is delayed.
func (l *Link) Pass(now time.Time, size int) Fate {
	size = max(size, 0)
	d := l.draw()
	if l.lost(d) {
		return Fate{Dropped: Lost}
	}
	sent, ok := l.send(now, size)
	if !ok {
		return Fate{Dropped: Full}
	}
	skip := happens(d.reorder, l.settings.Reorder)
	f := Fate{At: l.arrival(sent, d.jitter, skip)}
	if size > 0 && happens(d.corrupt, l.settings.Corrupt) {
		bit, _ := bits.Mul64(d.bit, uint64(size)*8)
		f.Corrupt, f.Bit = true, int(bit)
	}
	if happens(d.duplicate, l.settings.Duplicate) {
		if sent, ok = l.send(now, size); ok {
			f.Copied, f.CopyAt = true, l.arrival(sent, d.copyJitter, skip)
		}
	}
	return f
}

// Waiting returns how many packets, and bytes, wait to be sent.
func (l *Link) Waiting(now time.Time) (packets, bytes int) {
	l.queue.sendUntil(now)
	return l.queue.len, l.queue.bytes
}

// lost decides about loss, and whether the link turns good or bad.
func (l *Link) lost(d draws) bool {
	b := l.settings.Burst
	if b == (Burst{}) {
		l.bad = false
		return happens(d.loss, l.settings.Loss)
	}
	loss, turn := b.Good, b.Enter
	if l.bad {
		loss, turn = b.Bad, b.Leave
	}
	if happens(d.state, turn) {
		l.bad = !l.bad
	}
	return happens(d.burst, loss)
}

// send queues a packet and returns when its last bit is sent; false if the queue has no room.
func (l *Link) send(now time.Time, size int) (time.Time, bool) {
	l.queue.sendUntil(now)
	start := l.busy
	if start.After(now) {
		if !l.queue.room(size, l.settings.Queue) {
			return time.Time{}, false
		}
		l.queue.add(start, size)
	} else {
		start, l.remainder = now, 0
	}
	l.busy = start.Add(l.transmission(size))
	return l.busy, true
}

// transmission returns how long sending takes. What is cut off from a nanosecond is made up for by the packets that follow, or
// fast links were faster than they are.
func (l *Link) transmission(size int) time.Duration {
	rate := l.settings.Rate
	if rate <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(size)*8, uint64(time.Second))
	lo, carry := bits.Add64(lo, l.remainder, 0)
	hi += carry
	if hi >= uint64(rate) {
		return math.MaxInt64
	}
	var took uint64
	took, l.remainder = bits.Div64(hi, lo, uint64(rate))
	return time.Duration(min(took, math.MaxInt64))
}

// arrival returns when a packet that was sent arrives.
func (l *Link) arrival(sent time.Time, draw uint64, skip bool) time.Time {
	if skip {
		return sent
	}
	at := sent.Add(l.settings.delay(draw))
	if at.Before(l.latest) {
		return l.latest
	}
	l.latest = at
	return at
}

// delay returns one packet's delay.
func (s *Settings) delay(draw uint64) time.Duration {
	if s.Jitter <= 0 {
		return max(s.Delay, 0)
	}
	return max(s.Delay+time.Duration(s.Distribution.sample(draw)*float64(s.Jitter)), 0)
}

// sample returns how far a delay strays, in units of jitter. The curves and their ends are those of the tables of iproute2.
func (d Distribution) sample(draw uint64) float64 {
	const end = 4
	u := fraction(draw)
	switch d {
	case Normal:
		return min(max(math.Sqrt2*math.Erfinv(2*u-1), -end), end)
	case Pareto:
		return min(4./3*(math.Pow(1-u, -1./3)-1.5), end)
	default:
		return 2*u - 1
	}
}

// happens decides by a draw about something of this probability.
func happens(draw uint64, probability float64) bool {
	return probability > 0 && fraction(draw) < probability
}

// fraction turns a draw into a number in [0, 1).
func fraction(draw uint64) float64 { return float64(draw>>11) / (1 << 53) }
