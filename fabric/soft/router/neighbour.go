package router

import (
	"sync"
	"sync/atomic"
	"time"

	"scenario/fabric/soft"
)

// How neighbours are asked and believed: as in Linux, but for times of reachability, which Linux draws at random around
// the same one.
const (
	askEvery      = time.Second      // RFC 4861, section 10: RETRANS_TIMER
	askTimes      = 3                // MAX_MULTICAST_SOLICIT, MAX_UNICAST_SOLICIT
	believedFor   = 30 * time.Second // REACHABLE_TIME
	mostWaiting   = 64               // frames for one neighbour that is being asked for
	mostKnown     = 8192             // neighbours of one port; packets for more are lost while all are in use
	wordKnown     = 1 << 48
	wordStale     = 1 << 49
	wordAddresses = 1<<48 - 1
)

// neighbour is what a port knows of an address on its link.
type neighbour struct {
	port    *port
	address address
	pinned  bool // a route leads to it: it is never forgotten

	// word is the Ethernet address in its lower 48 bits, and whether it is known and to be asked for again.
	word atomic.Uint64

	mu        sync.Mutex
	state     neighbourState
	round     uint64 // changes with the state, so that timers of another one do nothing
	asked     int    // times in this round
	confirmed time.Time
	ageing    bool // a timer of its age is under way
	gone      bool // no longer the port's
	waiting   []waiting
}

type neighbourState int

const (
	unknown neighbourState = iota
	incomplete
	reachable
	stale   // known, but for so long that it is asked for again when it is used
	probing // known, and asked for again
)

// waiting is a packet whose neighbour is not known yet.
type waiting struct {
	frame soft.Frame
	port  *port
	own   bool
}

func (m mac) word() uint64 {
	return uint64(m[0])<<40 | uint64(m[1])<<32 | uint64(m[2])<<24 | uint64(m[3])<<16 | uint64(m[4])<<8 | uint64(m[5])
}

func macOf(word uint64) mac {
	return mac{byte(word >> 40), byte(word >> 32), byte(word >> 24), byte(word >> 16), byte(word >> 8), byte(word)}
}

// gateway returns the neighbour that routes lead to.
func (p *port) gateway(a address) *neighbour {
	n := p.neighbours[a]
	if n == nil {
		n = &neighbour{port: p, address: a, pinned: true}
		p.neighbours[a] = n
	}
	return n
}

// known returns the neighbour of that address, or nil.
func (p *port) known(a address) *neighbour {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.neighbours[a]
}

// add returns the neighbour of that address, a new one if need be, or nil where there are too many already.
func (p *port) add(a address) *neighbour {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.neighbours[a]
	if n == nil && (len(p.neighbours) < mostKnown || p.forget()) {
		n = &neighbour{port: p, address: a}
		p.neighbours[a] = n
	}
	return n
}

// send puts a packet for a host of the port's own link on that link.
func (p *port) send(packet *packet) {
	for {
		n := p.known(packet.dst)
		if n == nil {
			n = p.add(packet.dst)
		}
		if n == nil {
			packet.frame.Release()
			return
		}
		if n.trySend(packet) {
			return
		}
	}
}

// send puts a packet on the link, once the neighbour is known. It must be a pinned one.
func (n *neighbour) send(packet *packet) { n.trySend(packet) }

// trySend is false where the neighbour is no longer the port's.
func (n *neighbour) trySend(packet *packet) bool {
	word := n.word.Load()
	if word&wordKnown == 0 {
		return n.wait(packet)
	}
	if word&wordStale != 0 {
		n.probe()
	}
	n.port.emit(macOf(word), packet.frame)
	return true
}

// wait keeps a packet until the neighbour is known, and asks for it.
func (n *neighbour) wait(packet *packet) bool {
	n.mu.Lock()
	if n.gone {
		n.mu.Unlock()
		return false
	}
	if word := n.word.Load(); word&wordKnown != 0 {
		n.mu.Unlock()
		n.port.emit(macOf(word), packet.frame)
		return true
	}
	var lost soft.Frame
	if len(n.waiting) == mostWaiting {
		lost = n.waiting[0].frame
		n.waiting = append(n.waiting[:0], n.waiting[1:]...)
	}
	n.waiting = append(n.waiting, waiting{packet.frame, packet.port, packet.own})
	first := n.state == unknown
	if first {
		n.change(incomplete)
		n.asked = 1
	}
	round := n.round
	n.mu.Unlock()
	lost.Release()
	if first {
		n.ask(round, broadcast)
	}
	return true
}

// probe asks a neighbour that has become stale whether it is still there. What is sent meanwhile goes where it was.
func (n *neighbour) probe() {
	n.mu.Lock()
	if n.state != stale {
		n.mu.Unlock()
		return
	}
	n.change(probing)
	n.asked = 1
	word := n.word.Load() &^ wordStale
	n.word.Store(word)
	round := n.round
	n.mu.Unlock()
	n.ask(round, macOf(word))
}

// change is called with the lock held.
func (n *neighbour) change(to neighbourState) {
	n.state = to
	n.round++
}

// ask sends one question, and looks later whether it was answered.
func (n *neighbour) ask(round uint64, to mac) {
	r := n.port.router
	if n.address.is4() {
		n.port.requestARP(n.address, to)
	} else {
		n.port.solicit(n.address, to)
	}
	r.scheduler.At(r.scheduler.Now().Add(askEvery), func() { n.unanswered(round) })
}

// unanswered asks again, or gives up and tells those who wait.
func (n *neighbour) unanswered(round uint64) {
	n.port.mu.Lock()
	n.mu.Lock()
	if n.round != round {
		n.mu.Unlock()
		n.port.mu.Unlock()
		return
	}
	if n.asked < askTimes {
		n.asked++
		to := broadcast
		if n.state == probing {
			to = macOf(n.word.Load())
		}
		n.mu.Unlock()
		n.port.mu.Unlock()
		n.ask(round, to)
		return
	}
	n.change(unknown)
	n.word.Store(0)
	failed := n.waiting
	n.waiting = nil
	if !n.pinned {
		n.gone = true
		delete(n.port.neighbours, n.address)
	}
	n.mu.Unlock()
	n.port.mu.Unlock()
	for _, w := range failed {
		p := packet{frame: w.frame, port: w.port, own: w.own}
		if !p.parse() {
			p.frame.Release()
			continue
		}
		n.port.router.refuse(&p, errorUnreachable)
	}
}

// forget makes room for a neighbour by giving up the one that was not in use for longest. It is called with the port's
// lock held.
func (p *port) forget() bool {
	var oldest *neighbour
	var since time.Time
	for _, n := range p.neighbours {
		if confirmed, ok := n.idle(); ok && (oldest == nil || confirmed.Before(since) ||
			confirmed.Equal(since) && n.address.before(oldest.address)) { // so that runs repeat
			oldest, since = n, confirmed
		}
	}
	if oldest == nil {
		return false
	}
	oldest.mu.Lock()
	defer oldest.mu.Unlock()
	if oldest.state != stale {
		return false
	}
	oldest.gone = true
	oldest.change(unknown)
	oldest.word.Store(0)
	delete(p.neighbours, oldest.address)
	return true
}

// idle says that a neighbour could be forgotten, and when it was last confirmed.
func (n *neighbour) idle() (confirmed time.Time, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.confirmed, n.state == stale && !n.pinned
}

// learn is told that a neighbour has answered, or asked for this router, from an Ethernet address: what waits is sent.
func (n *neighbour) learn(from mac) {
	r := n.port.router
	now := r.scheduler.Now()
	n.mu.Lock()
	if n.gone {
		n.mu.Unlock()
		return
	}
	n.change(reachable)
	n.word.Store(from.word() | wordKnown)
	n.confirmed = now
	sent := n.waiting
	n.waiting = nil
	age := !n.ageing
	n.ageing = true
	n.mu.Unlock()
	if age {
		r.scheduler.At(now.Add(believedFor), n.aged)
	}
	for _, w := range sent {
		n.port.emit(from, w.frame)
	}
}

// hear is told that a neighbour has spoken of itself unasked: a new Ethernet address counts, but is asked for when it is
// used (RFC 4861, section 7.2.5).
func (n *neighbour) hear(from mac) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if word := n.word.Load(); word&wordKnown != 0 && word&wordAddresses != from.word() {
		n.change(stale)
		n.word.Store(from.word() | wordKnown | wordStale)
	}
}

// aged makes a neighbour stale that has not been confirmed for long.
func (n *neighbour) aged() {
	r := n.port.router
	now := r.scheduler.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ageing = false
	if n.state != reachable {
		return
	}
	if until := n.confirmed.Add(believedFor); now.Before(until) {
		n.ageing = true
		r.scheduler.At(until, n.aged)
		return
	}
	n.change(stale)
	n.word.Store(n.word.Load() | wordStale)
}
