package link

import "time"

// queue is the packets that wait to be sent, as a ring.
type queue struct {
	ring  []waiting
	first int
	len   int
	bytes int
}

// waiting is a packet whose sending starts later.
type waiting struct {
	start time.Time
	size  int
}

// room says whether a packet may be added.
func (q *queue) room(size int, bound Queue) bool {
	if bound.Packets <= 0 && bound.Bytes <= 0 {
		bound.Packets = DefaultQueue
	}
	return (bound.Packets <= 0 || q.len < bound.Packets) && (bound.Bytes <= 0 || q.bytes+size <= bound.Bytes)
}

func (q *queue) add(start time.Time, size int) {
	if q.len == len(q.ring) {
		ring := make([]waiting, max(2*q.len, 16))
		n := copy(ring, q.ring[q.first:])
		copy(ring[n:], q.ring[:q.first])
		q.ring, q.first = ring, 0
	}
	q.ring[(q.first+q.len)%len(q.ring)] = waiting{start: start, size: size}
	q.len++
	q.bytes += size
}

// sendUntil takes out what is being sent by then.
func (q *queue) sendUntil(now time.Time) {
	for q.len > 0 && !q.ring[q.first].start.After(now) {
		q.bytes -= q.ring[q.first].size
		q.first = (q.first + 1) % len(q.ring)
		q.len--
	}
}
