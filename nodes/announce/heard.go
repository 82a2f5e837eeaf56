package announce

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// maxHeard is how many announcements a node remembers. Those after that are counted, and no account is kept of them.
const maxHeard = 10_000

// Announcement is one that was heard.
type Announcement struct {
	From   string `json:"from" jsonschema_description:"IP:port of who sent it"`
	Number int    `json:"number" jsonschema_description:"of those of its sender; 0: it has none"`
	Text   string `json:"text"`
}

// Sender is one that was heard, with what its numbers tell.
type Sender struct {
	From     string `json:"from" jsonschema_description:"IP:port"`
	Heard    int    `json:"heard"`
	Missing  int    `json:"missing" jsonschema_description:"announcements before the last one heard that were not heard: lost, or not meant for this node"`
	Late     int    `json:"late" jsonschema_description:"announcements that one with a higher number has overtaken"`
	Repeated int    `json:"repeated" jsonschema_description:"announcements that came another time"`
}

// ledger is what a node has heard.
type ledger struct {
	mu      sync.Mutex
	total   int
	heard   []Announcement // the first maxHeard
	changed chan struct{}  // closed when another one is heard
}

func newLedger() *ledger { return &ledger{changed: make(chan struct{})} }

func (l *ledger) add(a Announcement) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total++
	if len(l.heard) < maxHeard {
		l.heard = append(l.heard, a)
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// wait waits until count were heard; false where ctx ended first.
func (l *ledger) wait(ctx context.Context, count int) bool {
	for {
		l.mu.Lock()
		total, changed := l.total, l.changed
		l.mu.Unlock()
		if total >= count {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// account is what was heard so far, and of whom.
func (l *ledger) account() HeardResult {
	l.mu.Lock()
	defer l.mu.Unlock()
	result := HeardResult{Total: l.total, Heard: append([]Announcement{}, l.heard...), Senders: []Sender{}}
	bySender := make(map[string][]int)
	for _, a := range l.heard {
		bySender[a.From] = append(bySender[a.From], a.Number)
	}
	for _, from := range slices.Sorted(maps.Keys(bySender)) {
		result.Senders = append(result.Senders, accountOf(from, bySender[from]))
	}
	return result
}

// accountOf is what the numbers of one sender tell, in the order in which they came.
func accountOf(from string, numbers []int) Sender {
	s := Sender{From: from, Heard: len(numbers)}
	seen := make(map[int]bool)
	highest := 0
	for _, n := range numbers {
		switch {
		case n == 0: // tells nothing
			continue
		case seen[n]:
			s.Repeated++
		case n < highest:
			s.Late++
		}
		seen[n] = true
		highest = max(highest, n)
	}
	s.Missing = highest - len(seen)
	return s
}
