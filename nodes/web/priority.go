package web

import (
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	urgencies      = 8 // RFC 9218, section 4.1: 0 goes first
	defaultUrgency = 3
)

// scheduler sends what is urgent first (RFC 9218): as long as a stream has something that may be sent, those of lesser
// urgency wait. Streams of one urgency share the connection. Priorities as of RFC 7540 are not looked at: RFC 9113, section
// 5.3, does away with them.
type scheduler struct {
	conn   *h2conn
	levels [urgencies]http2.WriteScheduler
	open   map[uint32]int // urgency of each stream
}

var _ http2.WriteScheduler = (*scheduler)(nil)

func newScheduler(c *h2conn) *scheduler {
	s := &scheduler{conn: c, open: make(map[uint32]int)}
	for i := range s.levels {
		s.levels[i] = http2.NewPriorityWriteScheduler(nil)
	}
	return s
}

// OpenStream implements [http2.WriteScheduler].
func (s *scheduler) OpenStream(stream uint32, options http2.OpenStreamOptions) {
	s.open[stream] = s.conn.urgency(stream)
	s.levels[s.open[stream]].OpenStream(stream, options)
}

// CloseStream implements [http2.WriteScheduler].
func (s *scheduler) CloseStream(stream uint32) {
	s.levels[s.open[stream]].CloseStream(stream)
	delete(s.open, stream)
}

// AdjustStream implements [http2.WriteScheduler].
func (s *scheduler) AdjustStream(uint32, http2.PriorityParam) {}

// Push implements [http2.WriteScheduler]. What is of no open stream is the connection's own business: it goes first.
func (s *scheduler) Push(frame http2.FrameWriteRequest) {
	s.levels[s.open[frame.StreamID()]].Push(frame)
}

// Pop implements [http2.WriteScheduler].
func (s *scheduler) Pop() (http2.FrameWriteRequest, bool) {
	for _, level := range s.levels {
		if frame, ok := level.Pop(); ok {
			return frame, true
		}
	}
	return http2.FrameWriteRequest{}, false
}

// urgency is how urgent the client says that a stream is.
func (c *h2conn) urgency(stream uint32) int {
	c.watch.Lock()
	defer c.watch.Unlock()
	if x := c.streams[stream]; x != nil {
		return urgency(x.in.head)
	}
	return defaultUrgency
}

// urgency reads the member "u" of the Priority field (RFC 9218, section 5); what cannot be read counts as left out.
func urgency(fields []hpack.HeaderField) int {
	level := defaultUrgency
	for member := range strings.SplitSeq(field(fields, "priority"), ",") {
		value, found := strings.CutPrefix(strings.Trim(member, " \t"), "u=")
		if value, _, _ = strings.Cut(value, ";"); found && len(value) == 1 && value[0] >= '0' && value[0] < '0'+urgencies {
			level = int(value[0] - '0') // of members with one name the last counts (RFC 9651, section 3.2)
		}
	}
	return level
}
