package browser

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"sync"
)

// maxPerOrigin is how many connections a browser has to one origin at a time.
const maxPerOrigin = 6

// pool holds the connections of a page load, or of a browser that keeps them, by origin.
type pool struct {
	mu       sync.Mutex
	origins  map[string]*line
	opened   int
	watchers sync.WaitGroup
}

// line is the connections to one origin and the requests that wait for one, best rank first.
type line struct {
	open    int // connections that are there or being made
	idle    []*conn
	waiting []*ticket
}

// ticket is a request's place in a line.
type ticket struct {
	origin  string
	rank    int // smaller goes first
	granted chan *conn
}

func newPool() *pool { return &pool{origins: make(map[string]*line)} }

// adopt makes nc, which was dialled for an origin, a connection of the pool; its events belong to the trace of ctx.
func (p *pool) adopt(ctx context.Context, nc net.Conn, origin string, log *slog.Logger, logBody int) *conn {
	p.mu.Lock()
	p.opened++
	serial := p.opened
	p.mu.Unlock()
	c := newConn(ctx, nc, origin, log, logBody)
	c.serial = serial
	p.watchers.Go(func() { c.watch(p.lost) })
	return c
}

func (p *pool) line(origin string) *line {
	l := p.origins[origin]
	if l == nil {
		l = &line{}
		p.origins[origin] = l
	}
	return l
}

// reserve takes a place for a request to origin: the order of these calls is the order within a rank.
func (p *pool) reserve(origin string, rank int) *ticket {
	t := &ticket{origin: origin, rank: rank, granted: make(chan *conn, 1)}
	p.mu.Lock()
	l := p.line(origin)
	switch {
	case len(l.idle) > 0:
		t.granted <- l.idle[len(l.idle)-1]
		l.idle = l.idle[:len(l.idle)-1]
	case l.open < maxPerOrigin:
		l.open++
		t.granted <- nil
	default:
		i, _ := slices.BinarySearchFunc(l.waiting, rank+1, func(w *ticket, rank int) int { return w.rank - rank })
		l.waiting = slices.Insert(l.waiting, i, t)
	}
	p.mu.Unlock()
	return t
}

// wait returns the connection that the ticket got; nil: the caller may make one, and calls drop where it cannot. Where
// ctx ends first the place is given up.
func (p *pool) wait(ctx context.Context, t *ticket) (*conn, error) {
	select {
	case c := <-t.granted:
		return c, nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	l := p.line(t.origin)
	l.waiting = slices.DeleteFunc(l.waiting, func(w *ticket) bool { return w == t })
	p.mu.Unlock()
	select {
	case c := <-t.granted: // just now: it goes to the next one
		if c == nil {
			p.drop(t.origin)
		} else {
			p.put(c)
		}
	default:
	}
	return nil, ctx.Err()
}

// put gives back a connection that can take another request.
func (p *pool) put(c *conn) {
	p.mu.Lock()
	l := p.line(c.origin)
	ended := c.ended
	switch {
	case ended:
		l.free()
	case len(l.waiting) > 0:
		l.waiting[0].granted <- c
		l.waiting = l.waiting[1:]
	default:
		l.idle = append(l.idle, c)
	}
	p.mu.Unlock()
	if ended {
		c.close(byRemote, serverClosed)
	}
}

// drop says that a connection is closed or could not be made.
func (p *pool) drop(origin string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line(origin).free()
}

// free lets the next request make a connection, or leaves one less.
func (l *line) free() {
	if len(l.waiting) == 0 {
		l.open--
		return
	}
	l.waiting[0].granted <- nil
	l.waiting = l.waiting[1:]
}

// lost takes note that a connection ended; where nobody uses it, it is closed at once.
func (p *pool) lost(c *conn) {
	p.mu.Lock()
	c.ended = true
	l := p.line(c.origin)
	i := slices.Index(l.idle, c)
	if i >= 0 {
		l.idle = slices.Delete(l.idle, i, i+1)
		l.free()
	}
	p.mu.Unlock()
	if i >= 0 {
		c.close(byRemote, serverClosed)
	}
}

// close closes the connections, none of which is in use, in the order they were opened, and waits until their
// goroutines have ended.
func (p *pool) close(reason string) {
	p.mu.Lock()
	var idle []*conn
	for _, l := range p.origins {
		idle = append(idle, l.idle...)
		l.open -= len(l.idle)
		l.idle = nil
	}
	p.mu.Unlock()
	slices.SortFunc(idle, func(a, b *conn) int { return a.serial - b.serial })
	for _, c := range idle {
		c.close(byLocal, reason)
	}
	p.watchers.Wait()
}

// Ends of a connection, as an event says which of them closed it, and why the server did so while it was free.
const (
	byLocal      = "local"
	byRemote     = "remote"
	serverClosed = "the server closed it"
)
