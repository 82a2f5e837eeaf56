package link

import (
	"errors"
	"fmt"
	"time"
)

// Settings say what one direction of a link does to packets. The zero value does nothing. Probabilities are from 0 to 1.
type Settings struct {
	// Delay is how long a packet is under way, beside the time that sending it takes at Rate.
	Delay time.Duration
	// Jitter is how far the delay strays, as Distribution says. No delay gets less than 0, and no packet overtakes
	// another because of jitter: one that would has the arrival of the packet before it.
	Jitter       time.Duration
	Distribution Distribution

	Loss  float64 // probability that a packet is lost, each packet by itself
	Burst Burst   // loss that comes in bursts

	// Duplicate is the probability that a second copy of a packet arrives. Each copy is sent by itself, so the second takes
	// time at Rate and a place in the queue, and its delay has jitter of its own.
	Duplicate float64
	// Reorder is the probability that a packet skips Delay and Jitter and so overtakes those before it. It still waits its
	// turn in the queue.
	Reorder float64
	// Corrupt is the probability that one bit of a packet is flipped.
	Corrupt float64

	Rate  int64 // bits per second; 0: packets take no time to send, and there is no queue
	Queue Queue // where packets wait while others are sent
}

// Distribution is how delays scatter, named as tc-netem(8) does.
type Distribution string

// The distributions. The standard deviation is Jitter for Normal, Jitter/√3 for Uniform.
const (
	Uniform Distribution = "uniform" // evenly within Delay ± Jitter; "" is the same
	Normal  Distribution = "normal"  // the bell curve, within 4 Jitter
	Pareto  Distribution = "pareto"  // most are a bit less than Delay (at most ⅔ Jitter), few much more (up to 4 Jitter)
)

// Burst is the Gilbert–Elliott model of loss, tc-netem(8)'s "loss gemodel": the link is either good or bad and may change
// after each packet. A packet is lost as the state says in which it finds the link. With Bad 1 and Good 0, bursts are 1/Leave
// packets long on average, and Enter/(Enter+Leave) of all packets are lost.
type Burst struct {
	Enter float64 // p: probability that a good link turns bad
	Leave float64 // r: probability that a bad link turns good
	Bad   float64 // 1-h: probability that a packet is lost while the link is bad
	Good  float64 // 1-k: probability that a packet is lost while the link is good
}

// Queue bounds what waits to be sent; the packet that is being sent is not counted. A packet that finds no room is
// dropped (drop-tail). With both bounds both hold, with neither DefaultQueue does. What waits already stays when Set makes
// the queue smaller.
type Queue struct {
	Packets int
	Bytes   int
}

// DefaultQueue is the queue of tc-netem(8) and of most Linux network cards: 1,000 packets, 1.2 s of 1,500 bytes each
// at 10 Mbit/s.
const DefaultQueue = 1000

// maxDelay bounds Delay and Jitter, so that their sums stay far from what a time.Duration can hold.
const maxDelay = 24 * time.Hour

// Validate tells all that is wrong with the settings.
func (s Settings) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if s.Delay < 0 || s.Delay > maxDelay {
		fail("delay %s is not between 0s and %s", s.Delay, maxDelay)
	}
	if s.Jitter < 0 || s.Jitter > maxDelay {
		fail("jitter %s is not between 0s and %s", s.Jitter, maxDelay)
	}
	switch s.Distribution {
	case "", Uniform, Normal, Pareto:
	default:
		fail("distribution %q is none of uniform, normal, pareto", s.Distribution)
	}
	for _, p := range []struct {
		name  string
		value float64
	}{
		{"loss", s.Loss}, {"duplicate", s.Duplicate}, {"reorder", s.Reorder}, {"corrupt", s.Corrupt},
		{"burst p", s.Burst.Enter}, {"burst r", s.Burst.Leave}, {"burst 1-h", s.Burst.Bad}, {"burst 1-k", s.Burst.Good},
	} {
		if !(p.value >= 0 && p.value <= 1) {
			fail("%s %v is no probability: it must be from 0 to 1", p.name, p.value)
		}
	}
	if s.Loss > 0 && s.Burst != (Burst{}) {
		fail("loss and burst exclude each other: for loss outside bursts, burst has 1-k")
	}
	if s.Rate < 0 {
		fail("rate %d is negative", s.Rate)
	}
	if s.Queue.Packets < 0 || s.Queue.Bytes < 0 {
		fail("queue of %d packets, %d bytes is negative", s.Queue.Packets, s.Queue.Bytes)
	}
	if s.Rate == 0 && s.Queue != (Queue{}) {
		fail("a queue needs a rate: without one no packet waits")
	}
	if s.Reorder > 0 && s.Delay == 0 && s.Jitter == 0 {
		fail("reorder needs a delay: packets overtake others by skipping it")
	}
	return errors.Join(errs...)
}
