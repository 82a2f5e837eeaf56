package web

//lint:file-ignore SA1019 net/http takes no schedulers, and knows no priorities before Go 1.27.

import (
	"math"
	"slices"
	"strings"

	"golang.org/x/net/http2"
)

const (
	urgencies      = 8 // RFC 9218, section 4.1: 0 goes first
	defaultUrgency = 3
)

// scheduler sends what is urgent first (RFC 9218): as long as a stream has something that may be sent, those of lesser
// urgency wait. Of one urgency, those that are of use in parts share the connection, the others are sent one after the
// other. Priorities as of RFC 7540 are not looked at: RFC 9113, section 5.3, does away with them.
type scheduler struct {
	conn    *h2conn
	control []http2.FrameWriteRequest // of no open stream: the connection's own business
	open    map[uint32]*sending
	levels  [urgencies][]*sending // in the order in which they were opened
}

// sending is what is to be sent on a stream.
type sending struct {
	priority
	stream uint32
	frames []http2.FrameWriteRequest
}

var _ http2.WriteScheduler = (*scheduler)(nil)

func newScheduler(c *h2conn) *scheduler {
	return &scheduler{conn: c, open: make(map[uint32]*sending)}
}

// OpenStream implements [http2.WriteScheduler].
func (s *scheduler) OpenStream(stream uint32, _ http2.OpenStreamOptions) {
	q := &sending{priority: s.conn.priority(stream), stream: stream}
	s.open[stream] = q
	s.levels[q.urgency] = append(s.levels[q.urgency], q)
}

// CloseStream implements [http2.WriteScheduler].
func (s *scheduler) CloseStream(stream uint32) {
	q := s.open[stream]
	if q == nil {
		return
	}
	delete(s.open, stream)
	s.levels[q.urgency] = slices.DeleteFunc(s.levels[q.urgency], func(other *sending) bool { return other == q })
}

// AdjustStream implements [http2.WriteScheduler].
func (s *scheduler) AdjustStream(uint32, http2.PriorityParam) {}

// Push implements [http2.WriteScheduler].
func (s *scheduler) Push(frame http2.FrameWriteRequest) {
	if q := s.open[frame.StreamID()]; q != nil {
		q.frames = append(q.frames, frame)
		return
	}
	s.control = append(s.control, frame)
}

// Pop implements [http2.WriteScheduler].
func (s *scheduler) Pop() (http2.FrameWriteRequest, bool) {
	if len(s.control) > 0 {
		frame := s.control[0]
		s.control = s.control[1:]
		return frame, true
	}
	for u, level := range s.levels {
		for i, q := range level {
			frame, ok := q.pop()
			if !ok {
				continue
			}
			if q.incremental {
				s.levels[u] = append(slices.Delete(level, i, i+1), q)
			}
			return frame, true
		}
	}
	return http2.FrameWriteRequest{}, false
}

// pop takes what of the stream may be sent now.
func (q *sending) pop() (http2.FrameWriteRequest, bool) {
	if len(q.frames) == 0 {
		return http2.FrameWriteRequest{}, false
	}
	now, later, n := q.frames[0].Consume(math.MaxInt32)
	switch n {
	case 1:
		q.frames = q.frames[1:]
		return now, true
	case 2:
		q.frames[0] = later
		return now, true
	}
	// The client has no room for data. A reset goes past it: nobody waits for the data any more.
	last := q.frames[len(q.frames)-1]
	if last.DataSize() == 0 && strings.Contains(last.String(), "http2.StreamError") {
		q.frames = q.frames[:len(q.frames)-1]
		return last, true
	}
	return http2.FrameWriteRequest{}, false
}

// priority is what a client says of a stream (RFC 9218, section 4).
type priority struct {
	urgency     int
	incremental bool // parts of the response are of use
}

// priority is what the client says of a stream.
func (c *h2conn) priority(stream uint32) priority {
	c.watch.Lock()
	defer c.watch.Unlock()
	if x := c.streams[stream]; x != nil {
		return readPriority(field(x.in.head, "priority"))
	}
	return priority{urgency: defaultUrgency}
}

// readPriority reads a Priority field (RFC 9218, section 5); what cannot be read counts as left out.
func readPriority(text string) priority {
	p := priority{urgency: defaultUrgency}
	for member := range strings.SplitSeq(text, ",") {
		member, _, _ = strings.Cut(strings.Trim(member, " \t"), ";")
		name, value, valued := strings.Cut(member, "=")
		switch {
		case name == "u" && len(value) == 1 && value[0] >= '0' && value[0] < '0'+urgencies:
			p.urgency = int(value[0] - '0') // of members with one name the last counts (RFC 9651, section 3.2)
		case name == "i" && (!valued || value == "?1"):
			p.incremental = true
		case name == "i" && value == "?0":
			p.incremental = false
		}
	}
	return p
}
