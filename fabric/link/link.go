// Package link tells what one direction of a link does to a packet: when it arrives, whether it is lost, doubled or damaged.
//
// A [Link] is a function of its [Settings], its seed and the packets before: it neither reads a clock nor sends anything.
// Sizes are those of whole Ethernet frames, header included and checksum (FCS) not, as tc counts them.
//
// Each packet takes the same number of draws from the seeded stream, whatever the settings: a link with other delay
// loses the same packets, and one with more loss loses the same and more.
package link

import (
	"math/rand/v2"
	"time"
)

// Link is one direction of a link. It is not safe for concurrent use: to keep order, its caller holds a lock over both
// Pass and the sending of what passed.
type Link struct {
	settings Settings
	random   *rand.PCG

	bad       bool      // the state of Settings.Burst
	busy      time.Time // the sending of all packets before is finished
	remainder uint64    // of the division that busy is the result of, in units of 1/Rate nanoseconds
	latest    time.Time // no packet that waits out its delay arrives before
	queue     queue
}

// Reason is why a packet is dropped.
type Reason string

// Why packets are dropped.
const (
	Passed Reason = ""      // not at all
	Lost   Reason = "loss"  // Settings.Loss or Burst
	Full   Reason = "queue" // no room in Settings.Queue
)

// Fate is what becomes of a packet. Of one that is dropped, nothing but Dropped is set.
type Fate struct {
	Dropped Reason
	At      time.Time // arrival, never before the sending
	Copied  bool      // a second copy arrives too
	CopyAt  time.Time // arrival of the second copy, which is never corrupted
	Corrupt bool      // a bit of the first copy is flipped
	Bit     int       // which one: bit Bit%8, 0 being the lowest, of byte Bit/8
}

// New returns a link. Settings that Validate refuses do no harm, but their effect is undefined.
func New(s Settings, seed uint64) *Link {
	return &Link{settings: s, random: rand.NewPCG(seed, 0)}
}

// Settings returns the link's settings.
func (l *Link) Settings() Settings { return l.settings }

// Set changes the settings for the packets that follow. The fates of those before stand, and order is kept: with less
// delay than before, the next packet arrives no sooner than the last one, and what waits is still sent at the rate that it
// was told, before any that follow. The state of Burst is kept too, as long as there is one.
func (l *Link) Set(s Settings) { l.settings = s }
