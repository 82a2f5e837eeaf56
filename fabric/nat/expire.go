package nat

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// ends is a heap of connections by the time they are due. A connection in use is not moved: when it is due, it is put off
// to the time at which it expires then, so that a packet costs nothing here.
type ends []*conn

func (e ends) Len() int           { return len(e) }
func (e ends) Less(i, j int) bool { return e[i].due < e[j].due }

func (e ends) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].place, e[j].place = i, j
}

func (e *ends) Push(x any) {
	c := x.(*conn)
	c.place = len(*e)
	*e = append(*e, c)
}

func (e *ends) Pop() any {
	last := len(*e) - 1
	c := (*e)[last]
	(*e)[last] = nil
	*e = (*e)[:last]
	c.place = -1
	return c
}

// Expire removes the connections that have ended by then and returns how many. Nobody has to call it: a connection that has
// ended is never found, and one that begins first clears away what has ended. It takes time in proportion to what it
// removes, and a little for what has been in use since it was last due.
func (t *Table) Expire(at time.Time) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.expire(at.UnixNano())
}

func (t *Table) expire(now int64) int {
	removed := 0
	for len(t.ends) > 0 && t.ends[0].due <= now {
		c := t.ends[0]
		if c.expires > now {
			t.moved(c)
			continue
		}
		t.remove(c)
		removed++
	}
	return removed
}

// moved puts a connection in its place after the time at which it expires has changed.
func (t *Table) moved(c *conn) {
	c.due = c.expires
	heap.Fix(&t.ends, c.place)
}

// insert puts a connection into the table.
func (t *Table) insert(c *conn) {
	t.conns[c.flows[original].key()] = c
	t.conns[c.flows[reply].key()] = c
	c.due = c.expires
	heap.Push(&t.ends, c)
	for d, m := range c.by {
		if m == nil {
			continue
		}
		m.conns++
		if !t.behaviour.OutboundOnly || m.protocol != UDP {
			c.holds[d] = true
			m.holds++
		}
	}
	t.ask(c, original)
}

// remove takes a connection out of the table, and with it what exists for it alone.
func (t *Table) remove(c *conn) {
	if c.place < 0 {
		return
	}
	heap.Remove(&t.ends, c.place)
	delete(t.conns, c.flows[original].key())
	delete(t.conns, c.flows[reply].key())
	if s := c.source; s != nil {
		if s.conns--; s.conns == 0 {
			delete(t.sources, s.sourceKey)
		}
	}
	for d, m := range c.by {
		if m == nil {
			continue
		}
		if c.asked[d] {
			m.forget(t.peer(c, direction(d)))
		}
		if c.holds[d] {
			m.holds--
		}
		m.conns--
		t.release(m)
	}
}

// Len returns the number of connections in the table; those that have ended and are not cleared away yet are among them.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.ends)
}

// Connections returns the connections that last at that time, in the order of their original flows.
func (t *Table) Connections(at time.Time) []Connection {
	t.mu.Lock()
	defer t.mu.Unlock()
	var found []Connection
	for _, c := range t.ends {
		if c.expires > at.UnixNano() {
			found = append(found, Connection{c.flows[original], c.flows[reply], time.Unix(0, c.expires)})
		}
	}
	slices.SortFunc(found, func(a, b Connection) int {
		return cmp.Or(
			cmp.Compare(a.Original.Protocol, b.Original.Protocol), a.Original.Src.Compare(b.Original.Src),
			a.Original.Dst.Compare(b.Original.Dst), cmp.Compare(a.Original.Echo, b.Original.Echo),
		)
	})
	return found
}
