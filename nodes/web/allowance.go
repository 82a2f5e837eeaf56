package web

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"scenario/event"
)

// allowance is how many requests of each second are told of in full. Those beyond it are counted, and summed up in one
// event at the end of the second: so a server that answers very many is not slower for its log.
type allowance struct {
	ctx   context.Context
	log   *slog.Logger
	limit int // a second; below 0: all

	until atomic.Int64 // Unix nanoseconds: till then nothing is left of the limit

	mu    sync.Mutex
	begin time.Time // of the second that is counted
	taken int
	timer *time.Timer // sums up at the end of the second

	requests atomic.Int64
	bytes    atomic.Int64
	statuses [600]atomic.Int64
}

// second is what an allowance is for.
const second = time.Second

// spent says that nothing is left of this second's.
func (a *allowance) spent() bool {
	until := a.until.Load()
	return until != 0 && time.Now().UnixNano() < until
}

// take takes one request from the allowance; false where nothing is left.
func (a *allowance) take() bool {
	if a.limit < 0 {
		return true
	}
	if a.spent() {
		return false
	}
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Sub(a.begin) >= second {
		a.begin, a.taken = now, 0
	}
	if a.taken++; a.taken <= a.limit {
		return true
	}
	end := a.begin.Add(second)
	a.until.Store(end.UnixNano())
	if a.timer == nil {
		a.timer = time.AfterFunc(end.Sub(now), a.sum)
	}
	return false
}

// count counts a request that is not told of, by the status of its response; 0: there was none.
func (a *allowance) count(status int) {
	a.requests.Add(1)
	if status > 0 && status < len(a.statuses) {
		a.statuses[status].Add(1)
	}
}

// sent counts bytes of responses that are not told of.
func (a *allowance) sent(n int) { a.bytes.Add(int64(n)) }

// sum tells what was counted since the last time.
func (a *allowance) sum() {
	a.mu.Lock()
	begin := a.begin
	a.timer = nil
	a.mu.Unlock()
	n := a.requests.Swap(0)
	if n == 0 {
		return
	}
	e := event.HTTPSummary{Requests: n, Bytes: a.bytes.Swap(0), Duration: time.Since(begin).Seconds()}
	for status := range a.statuses {
		if n := a.statuses[status].Swap(0); n > 0 {
			e.Statuses = append(e.Statuses, strconv.Itoa(status)+": "+strconv.FormatInt(n, 10))
		}
	}
	event.Emit(a.ctx, a.log, e)
}

// stop sums up what is left.
func (a *allowance) stop() {
	a.mu.Lock()
	if a.timer != nil {
		a.timer.Stop()
	}
	a.mu.Unlock()
	a.sum()
}
