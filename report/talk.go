package report

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"scenario/event"
)

// talk is what two sockets said to each other, call by call. One end is missing where a program tells nothing.
type talk struct {
	left, right *talker // who began, and who was spoken to
	calls       []*call // of both, in an order in which they can have happened
}

// talker is one end of a talk.
type talker struct {
	node, network, local, remote string
	datagrams                    bool
	number                       int // of its socket; 0: not told
	connect                      *event.SocketConnect
	accept                       *event.SocketAccept
	failed                       bool // it never connected
	tells                        bool // of each call
	calls                        []*call
}

// call is one call of a socket.
type call struct {
	event.Record
	index int // of the record among all of the run
	by    *talker
	is    event.Event
	piece piece // of a recv
}

// piece says which part of what was sent a recv got.
type piece struct {
	known    bool  // it was sent, as far as the other end tells
	sends    int   // how many sends it is from
	from, of int64 // of one send: the piece's first byte, from 0, and how much was sent
}

// socketOf is what every event of a socket says of it.
type socketOf struct {
	network, local, remote, kind string
	number                       int
}

// readCall reads the event of a call; nil where it is none, or of a listening socket.
func readCall(r event.Record) (event.Event, socketOf) {
	switch r.Event {
	case event.SocketCreate{}.Word():
		if e, ok := event.As[event.SocketCreate](r); ok {
			return e, socketOf{e.Network, "", "", e.Socket, e.Number}
		}
	case event.SocketBind{}.Word():
		if e, ok := event.As[event.SocketBind](r); ok {
			return e, socketOf{e.Network, e.Local, "", e.Socket, e.Number}
		}
	case event.SocketConnect{}.Word():
		if e, ok := event.As[event.SocketConnect](r); ok {
			return e, socketOf{e.Network, e.Local, e.Remote, e.Socket, e.Number}
		}
	case event.SocketAccept{}.Word():
		if e, ok := event.As[event.SocketAccept](r); ok {
			return e, socketOf{e.Network, e.Local, e.Remote, e.Socket, e.Number}
		}
	case event.SocketSend{}.Word():
		if e, ok := event.As[event.SocketSend](r); ok {
			return e, socketOf{e.Network, e.Local, e.Remote, e.Socket, e.Number}
		}
	case event.SocketRecv{}.Word():
		if e, ok := event.As[event.SocketRecv](r); ok {
			return e, socketOf{e.Network, e.Local, e.Remote, e.Socket, e.Number}
		}
	case event.SocketShutdown{}.Word():
		if e, ok := event.As[event.SocketShutdown](r); ok {
			return e, socketOf{e.Network, e.Local, e.Remote, e.Socket, e.Number}
		}
	case event.SocketError{}.Word():
		if e, ok := event.As[event.SocketError](r); ok {
			return e, socketOf{e.Network, e.Local, e.Remote, e.Socket, e.Number}
		}
	case event.SocketClose{}.Word():
		if e, ok := event.As[event.SocketClose](r); ok {
			return e, socketOf{e.Network, e.Local, e.Remote, e.Socket, e.Number}
		}
	}
	return nil, socketOf{}
}

// talks are the conversations of the run of which at least one end tells its calls.
func talks(w who, s sides, records []event.Record) []*talk {
	if !slices.ContainsFunc(records, func(r event.Record) bool {
		switch r.Event {
		case event.SocketCreate{}.Word(), event.SocketSend{}.Word(), event.SocketRecv{}.Word(), event.SocketShutdown{}.Word():
			return true
		}
		return false
	}) {
		return nil
	}
	all := joinTalkers(w, s, talkers(records))
	all = slices.DeleteFunc(all, func(t *talk) bool {
		return (t.left == nil || !t.left.tells) && (t.right == nil || !t.right.tells)
	})
	for _, t := range all {
		t.order()
	}
	return all
}

// talkerKey tells sockets apart: by their number where they have one; datagram sockets without one other end, and those
// without a number, by their addresses too.
type talkerKey struct {
	node, network, local, remote string
	number                       int
}

// talkers gathers the calls of each end.
func talkers(records []event.Record) []*talker {
	var all []*talker
	open := make(map[talkerKey]*talker)
	before := make(map[talkerKey][]*call) // of datagram sockets: what happened before they spoke with anybody
	for i, r := range records {
		e, s := readCall(r)
		if e == nil || s.kind == event.SocketListening {
			continue
		}
		key := talkerKey{node: r.Node, number: s.number}
		datagrams := s.kind == event.SocketDatagram
		_, created := e.(event.SocketCreate)
		_, connected := e.(event.SocketConnect)
		switch {
		case datagrams && s.number > 0 && s.remote == "":
			if created {
				delete(before, key)
			}
			before[key] = append(before[key], &call{Record: r, index: i, is: e})
			continue
		case s.number == 0 || datagrams:
			key = talkerKey{r.Node, s.network, s.local, s.remote, s.number}
		}
		t := open[key]
		if _, accepted := e.(event.SocketAccept); t == nil || created || accepted || connected && t.connect != nil {
			t = &talker{node: r.Node, network: s.network, datagrams: datagrams, number: s.number}
			open[key] = t
			all = append(all, t)
			for _, c := range before[talkerKey{node: r.Node, number: s.number}] {
				t.add(c, socketOf{})
			}
			delete(before, talkerKey{node: r.Node, number: s.number})
		}
		t.add(&call{Record: r, index: i, is: e}, s)
	}
	return all
}

// add adds a call to what the end did.
func (t *talker) add(c *call, s socketOf) {
	if s.local != "" {
		t.local = s.local
	}
	if s.remote != "" {
		t.remote = s.remote
	}
	switch e := c.is.(type) {
	case event.SocketConnect:
		t.connect = &e
	case event.SocketAccept:
		t.accept = &e
	case event.SocketError:
		t.failed = t.failed || e.Op == "connect"
	case event.SocketCreate, event.SocketSend, event.SocketRecv, event.SocketShutdown:
		t.tells = true
	}
	c.by = t
	t.calls = append(t.calls, c)
}

// joinTalkers puts the two ends of each talk together: connections as all connections are, Unix-domain ones by path and order,
// datagram sockets by ports.
func joinTalkers(w who, s sides, ends []*talker) []*talk {
	type key struct {
		node, local, remote string
		at                  time.Time
	}
	accepted := make(map[key]*talker)
	var unix []*talker
	for _, t := range ends {
		if t.accept == nil {
			continue
		}
		if isPath(t.network) {
			unix = append(unix, t)
			continue
		}
		for _, c := range t.calls {
			if _, ok := c.is.(event.SocketAccept); ok {
				accepted[key{t.node, t.local, t.remote, c.Time}] = t
			}
		}
	}
	servers := make(map[key]*conn)
	for _, c := range s.conns {
		if c.server != nil {
			servers[key{c.Node, c.local, c.remote, c.Time}] = c.server
		}
	}
	partner, taken := make(map[*talker]*talker), make(map[*talker]bool)
	marry := func(a, b *talker) { partner[a], taken[b] = b, true }
	var dialed []*talker
	for _, t := range ends {
		if t.connect == nil || t.datagrams {
			continue
		}
		if isPath(t.network) {
			dialed = append(dialed, t)
			continue
		}
		for _, c := range t.calls {
			if _, ok := c.is.(event.SocketConnect); !ok {
				continue
			}
			if server := servers[key{t.node, t.local, t.remote, c.Time}]; server != nil {
				if b := accepted[key{server.Node, server.local, server.remote, server.Time}]; b != nil {
					marry(t, b)
				}
			}
		}
	}
	type socketFile struct{ node, path string }
	inOrder(dialed, unix,
		func(t *talker) socketFile { return socketFile{t.node, t.remote} },
		func(t *talker) socketFile { return socketFile{t.node, t.local} }, marry)
	joinDatagrams(w, ends, marry, taken)
	var all []*talk
	for _, t := range ends {
		if taken[t] {
			continue
		}
		if t.accept != nil {
			all = append(all, &talk{right: t})
		} else {
			all = append(all, &talk{left: t, right: partner[t]})
		}
	}
	return all
}

// joinDatagrams finds for each end that spoke first the one that heard it.
func joinDatagrams(w who, ends []*talker, marry func(a, b *talker), taken map[*talker]bool) {
	type ports struct{ mine, other string }
	heard := make(map[ports][]*talker)
	for _, t := range ends {
		if t.datagrams && !t.spokeFirst() {
			k := ports{endName(t.local), endName(t.remote)}
			heard[k] = append(heard[k], t)
		}
	}
	for _, t := range ends {
		if !t.datagrams || !t.spokeFirst() {
			continue
		}
		reached := w.served(t.network, t.remote)
		for _, other := range heard[ports{endName(reached), endName(t.local)}] {
			if taken[other] || other.network != t.network || !w.mayBe(other, t) {
				continue
			}
			owner := w.owner(t.node, reached)
			if owner == other.node || isPath(t.network) && t.node == other.node || owner == "" && address(t.local) == address(other.remote) {
				marry(t, other)
				break
			}
		}
	}
}

// mayBe says whether what t knows of its other end's address may be from, itself or behind NAT.
func (w who) mayBe(t, from *talker) bool {
	owner := w.owner(t.node, t.remote)
	if owner == "" || owner == from.node {
		return true
	}
	router := w.owners[address(t.remote)] // none has loopback's
	return router != nil && router.Router != nil
}

// endName is what both ends of a datagram know of an address: its port, which NAT mostly keeps, or its path.
func endName(addr string) string {
	if p := port(addr); p != "" {
		return p
	}
	return addr
}

// spokeFirst says whether the end sent before it received.
func (t *talker) spokeFirst() bool {
	for _, c := range t.calls {
		switch c.is.(type) {
		case event.SocketSend, event.SocketConnect:
			return true
		case event.SocketRecv:
			return false
		}
	}
	return t.failed
}

// isPath says whether addresses of the network are paths.
func isPath(network string) bool { return strings.HasPrefix(network, "unix") }

// order puts the calls of both ends in an order in which they can have happened. An event is told when its call returns, so
// what was received may be told before it was sent.
func (t *talk) order() {
	all := make([]*call, 0, 16)
	for _, end := range []*talker{t.left, t.right} {
		if end != nil {
			all = append(all, end.calls...)
		}
	}
	slices.SortFunc(all, func(a, b *call) int { return cmp.Compare(a.index, b.index) })
	if t.left == nil || t.right == nil {
		t.calls = all
		return
	}
	o := ordering{left: t.left, right: t.right, flows: map[*talker]*flow{t.left: newFlow(t.left), t.right: newFlow(t.right)}}
	for _, c := range all {
		o.offer(c)
	}
	t.calls = append(append(o.out, o.flows[t.left].waiting...), o.flows[t.right].waiting...)
}

// ordering brings calls into order.
type ordering struct {
	left, right *talker
	flows       map[*talker]*flow
	out         []*call
}

// flow is what one end did so far.
type flow struct {
	sends   []*call
	bytes   int64
	all     map[datagram]int // of what it sends: how often in all, how often so far, and how often that arrived
	sent    map[datagram]int
	arrived map[datagram]int
	ended   bool // it sends no more
	closed  bool
	up      bool    // it is connected
	waiting []*call // for what the other end must have done first
}

// datagram is what a datagram is known by at both ends.
type datagram struct {
	bytes int
	data  string
}

func newFlow(t *talker) *flow {
	f := &flow{all: make(map[datagram]int), sent: make(map[datagram]int), arrived: make(map[datagram]int)}
	for _, c := range t.calls {
		if e, ok := c.is.(event.SocketSend); ok && t.datagrams {
			f.all[datagram{e.Bytes, e.Data}]++
		}
	}
	return f
}

// offer takes the next call by time.
func (o *ordering) offer(c *call) {
	o.giveUp(c.Time)
	mine := o.flows[c.by]
	if len(mine.waiting) > 0 || !o.ready(c) {
		mine.waiting = append(mine.waiting, c)
		return
	}
	o.take(c)
	for moved := true; moved; {
		moved = false
		for _, end := range []*talker{o.left, o.right} {
			f := o.flows[end]
			for len(f.waiting) > 0 && o.ready(f.waiting[0]) {
				next := f.waiting[0]
				f.waiting = f.waiting[1:]
				o.take(next)
				moved = true
			}
		}
	}
}

// giveUp takes a reset that has waited in vain: it was not the other end's.
func (o *ordering) giveUp(now time.Time) {
	const patience = 100 * time.Millisecond
	for _, end := range []*talker{o.left, o.right} {
		f := o.flows[end]
		for len(f.waiting) > 0 && now.Sub(f.waiting[0].Time) > patience {
			next := f.waiting[0]
			if _, failed := next.is.(event.SocketError); !failed {
				break
			}
			f.waiting = f.waiting[1:]
			o.take(next)
		}
	}
}

// other is the other end's flow.
func (o *ordering) other(c *call) (*talker, *flow) {
	if c.by == o.left {
		return o.right, o.flows[o.right]
	}
	return o.left, o.flows[o.left]
}

// ready says whether the other end has done what the call needs.
func (o *ordering) ready(c *call) bool {
	end, f := o.other(c)
	switch e := c.is.(type) {
	case event.SocketAccept:
		return end.connect == nil || f.up
	case event.SocketError:
		return e.Errno != "ECONNRESET" || !end.tells || f.closed
	case event.SocketRecv:
		switch {
		case !end.tells:
			return true
		case e.End:
			return f.ended
		case c.by.datagrams:
			d := datagram{e.Bytes, e.Data}
			return f.sent[d] > f.arrived[d] || f.sent[d] == f.all[d]
		}
		return e.Offset+int64(e.Bytes) <= f.bytes
	}
	return true
}

// take appends a call, and says of a recv what it got.
func (o *ordering) take(c *call) {
	f := o.flows[c.by]
	switch e := c.is.(type) {
	case event.SocketConnect:
		f.up = true
	case event.SocketSend:
		f.sends = append(f.sends, c)
		f.sent[datagram{e.Bytes, e.Data}]++
		f.bytes += int64(e.Bytes)
	case event.SocketShutdown:
		f.ended = f.ended || e.How == "write"
	case event.SocketClose:
		f.ended, f.closed = true, true
	case event.SocketError:
		f.ended = true
	case event.SocketRecv:
		_, from := o.other(c)
		if d := (datagram{e.Bytes, e.Data}); c.by.datagrams {
			c.piece.known = from.sent[d] > from.arrived[d]
			from.arrived[d]++
		} else if e.Bytes > 0 {
			c.piece = from.piece(e)
		}
	}
	o.out = append(o.out, c)
}

// piece finds in what was sent the part that was received.
func (f *flow) piece(e event.SocketRecv) piece {
	var p piece
	for i := len(f.sends) - 1; i >= 0; i-- {
		sent, ok := f.sends[i].is.(event.SocketSend)
		if !ok || sent.Offset+int64(sent.Bytes) <= e.Offset {
			break
		}
		if sent.Offset < e.Offset+int64(e.Bytes) {
			p = piece{known: true, sends: p.sends + 1, from: e.Offset - sent.Offset, of: int64(sent.Bytes)}
		}
	}
	return p
}

// callStep is the step that a call belongs to: of those under way the one that caused it, else one of its nodes; where none is
// under way the last that had begun. What closes when all steps are over belongs to none.
func (r *run) callStep(t *talk, c *call) *step {
	if _, closed := c.is.(event.SocketClose); closed && c.index > r.lastEnd {
		return nil
	}
	var best *step
	most := -1
	for _, s := range r.steps {
		if !s.begun || len(s.Parallel) > 0 || s.start.After(c.Time) {
			continue
		}
		rank := 0
		if !s.ended || !s.end.Before(c.Time) {
			rank = 8
			if c.Trace() == event.StepTrace+s.ID {
				rank += 4
			}
			if t.left != nil && t.left.node == s.Node {
				rank += 2
			}
			if t.right != nil && t.right.node == s.Node {
				rank++
			}
		}
		if rank > most || rank == most && !s.start.Before(best.start) {
			best, most = s, rank
		}
	}
	return best
}

// part is what a step has of a talk.
type part struct {
	*talk
	calls []*call
}

// callKey names an event.
type callKey struct {
	node, event string
	at          time.Time
}

// parts gives each step its parts of the talks, and names the errors that they hold.
func (r *run) parts(all []*talk) (mine map[*step][]part, errors map[callKey]bool) {
	mine, errors = make(map[*step][]part), make(map[callKey]bool)
	for _, t := range all {
		of := make(map[*step]int)
		for _, c := range t.calls {
			s := r.callStep(t, c)
			if s == nil || s.isPage() || isChat(s) {
				continue
			}
			i, ok := of[s]
			if !ok {
				i = len(mine[s])
				of[s] = i
				mine[s] = append(mine[s], part{talk: t})
			}
			mine[s][i].calls = append(mine[s][i].calls, c)
			if _, failed := c.is.(event.SocketError); failed {
				errors[callKey{c.Node, c.Event, c.Time}] = true
			}
		}
	}
	return mine, errors
}
