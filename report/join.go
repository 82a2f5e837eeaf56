package report

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"scenario/event"
)

// sides holds every exchange of a run with what its other side told of it.
//
// A server is not told the client's trace, because traffic is not changed for the sake of logs. So the sides are joined
// by what both saw: a question by its id, name and type, a connection by its ports, a request by its connection, method
// and path; and where that leaves a choice, by time.
type sides struct {
	questions []*question // as clients tell them
	conns     []*conn
	exchanges []*exchange
	handled   []*exchange // as servers tell them
	listening []seen[event.SocketListen]
}

// question is one DNS exchange as one side tells it.
type question struct {
	event.Record                        // the query; for an answer from the client's own cache: the answer
	ask          event.DNSQuery         // without an address where nobody was asked
	answer       *seen[event.DNSAnswer] // nil: none is recorded
	server       *question              // on the client's side: as the server tells it
	further      []*question            // on the server's side: what it asked in turn
}

// conn is one connection, or the attempt at one, as one side tells it.
type conn struct {
	event.Record
	local, remote string
	duration      float64
	made          *event.SocketConnect // nil where it was not, and on the server's side
	failed        *event.SocketError
	gaveUp        bool // it failed because it was not needed any more
	closed        *seen[event.SocketClose]
	server        *conn                     // on the client's side: as the server tells it
	tls           *seen[event.TLSHandshake] // nil: none is recorded
}

// begun is when the connection was asked for.
func (c *conn) begun() time.Time {
	return c.Time.Add(-time.Duration(c.duration * float64(time.Second)))
}

// exchange is one HTTP request and its response as one side tells them.
type exchange struct {
	event.Record
	request  event.HTTPRequest
	response *seen[event.HTTPResponse] // nil: none is recorded
	conn     *conn                     // nil: not recorded
	server   *exchange                 // on the client's side: as the server tells it
}

// status is the response's; 0 where there is none.
func (x *exchange) status() int {
	if x.response == nil {
		return 0
	}
	return x.response.is.Status
}

// failed says that no whole response came, or one that is an error.
func (x *exchange) failed() bool {
	return x.response == nil || x.response.is.Error != "" || x.response.is.Status >= 400
}

func join(w who, records []event.Record) sides {
	var s sides
	var served []*question
	s.questions, served = questions(records)
	joinQuestions(w, s.questions, served, records)
	var accepted []*conn
	s.conns, accepted = conns(records)
	joinConns(w, s.conns, accepted)
	joinHandshakes(records, s.conns, accepted)
	s.exchanges, s.handled = exchanges(records, s.conns, accepted)
	joinExchanges(s.exchanges, s.handled)
	s.listening = pick[event.SocketListen](records)
	return s
}

// inOrder joins each b with the first a that has the same key and none yet.
func inOrder[A, B any, K comparable](as []A, bs []B, keyA func(A) K, keyB func(B) K, join func(A, B)) (left []B) {
	waiting := make(map[K][]A)
	for _, a := range as {
		waiting[keyA(a)] = append(waiting[keyA(a)], a)
	}
	for _, b := range bs {
		k := keyB(b)
		if len(waiting[k]) == 0 {
			left = append(left, b)
			continue
		}
		join(waiting[k][0], b)
		waiting[k] = waiting[k][1:]
	}
	return left
}

// nearest joins pairs with the same key, those nearest in time first; of more than crowd events with one key the first.
func nearest[A, B any, K comparable](as []A, bs []B, keyA func(A) K, keyB func(B) K, apart func(A, B) time.Duration, join func(A, B)) {
	const crowd = 500
	type pair struct {
		a, b  int
		apart time.Duration
	}
	group := make(map[K][]int)
	for i, b := range bs {
		group[keyB(b)] = append(group[keyB(b)], i)
	}
	var pairs []pair
	for i, a := range as {
		others := group[keyA(a)]
		for _, j := range others[:min(len(others), crowd)] {
			pairs = append(pairs, pair{i, j, apart(a, bs[j]).Abs()})
		}
	}
	slices.SortStableFunc(pairs, func(x, y pair) int { return cmp.Compare(x.apart, y.apart) })
	usedA, usedB := make([]bool, len(as)), make([]bool, len(bs))
	for _, p := range pairs {
		if usedA[p.a] || usedB[p.b] {
			continue
		}
		usedA[p.a], usedB[p.b] = true, true
		join(as[p.a], bs[p.b])
	}
}

// askedKey names an exchange of one side of DNS.
type askedKey struct {
	node, trace, side, name, kind string
	id                            uint16
}

// questions returns the DNS exchanges that clients and servers tell.
func questions(records []event.Record) (asked, served []*question) {
	var all []*question
	for _, q := range pick[event.DNSQuery](records) {
		all = append(all, &question{Record: q.Record, ask: q.is})
	}
	answers := pick[event.DNSAnswer](records)
	left := inOrder(all, answers,
		func(q *question) askedKey {
			return askedKey{q.Node, q.Trace(), q.ask.Side, strings.ToLower(q.ask.Name), q.ask.Type, q.ask.QueryID}
		},
		func(a seen[event.DNSAnswer]) askedKey {
			return askedKey{a.Node, a.Trace(), a.is.Side, strings.ToLower(a.is.Name), a.is.Type, a.is.QueryID}
		},
		func(q *question, a seen[event.DNSAnswer]) { q.answer = &a })
	for _, a := range left {
		ask := event.DNSQuery{Side: a.is.Side, Remote: a.is.Remote, Name: a.is.Name, Type: a.is.Type, QueryID: a.is.QueryID}
		all = append(all, &question{Record: a.Record, ask: ask, answer: &a})
	}
	slices.SortStableFunc(all, func(a, b *question) int { return a.Time.Compare(b.Time) })
	for _, q := range all {
		if q.ask.Side == event.SideServer {
			served = append(served, q)
		} else {
			asked = append(asked, q)
		}
	}
	return asked, served
}

func joinQuestions(w who, asked, served []*question, records []event.Record) {
	type key struct {
		node, name, kind string
		id               uint16
	}
	nearest(asked, served,
		func(q *question) key {
			server := w.owner(q.Node, w.served(transportProtocol(q.ask.Transport), q.ask.Remote))
			return key{server, strings.ToLower(q.ask.Name), q.ask.Type, q.ask.QueryID}
		},
		func(q *question) key { return key{q.Node, strings.ToLower(q.ask.Name), q.ask.Type, q.ask.QueryID} },
		func(a, b *question) time.Duration { return b.Time.Sub(a.Time) },
		func(a, b *question) { a.server = b })
	byID := make(map[chainKey]*question)
	for _, s := range served {
		byID[chainKey{s.Node, s.Trace(), s.ID()}] = s
	}
	parents := newParents(records)
	for _, q := range asked {
		if s := cause(q, byID, parents); s != nil {
			s.further = append(s.further, q)
		}
	}
}

// chainKey names an event within its causal chain on one node.
type chainKey struct{ node, trace, id string }

// parents tells which event caused one that others name as their parent.
type parents map[chainKey]string

func newParents(records []event.Record) parents {
	p := make(parents)
	for _, r := range records {
		if id := r.ID(); id != "" {
			p[chainKey{r.Node, r.Trace(), id}] = r.Parent()
		}
	}
	return p
}

// maxDepth bounds how far a chain of causes is followed: names resolve in far fewer steps.
const maxDepth = 32

// cause is the question put to q's node that made it ask q; nil where none did.
func cause(q *question, served map[chainKey]*question, parents parents) *question {
	key := chainKey{q.Node, q.Trace(), q.Parent()}
	for range maxDepth {
		if key.id == "" {
			break
		}
		if s := served[key]; s != nil {
			return s
		}
		key.id = parents[key]
	}
	return nil
}

// link names a connection on one side of it.
type link struct{ node, local, remote string }

// conns returns the connections that clients made or tried to make, and those that servers accepted.
func conns(records []event.Record) (made, accepted []*conn) {
	open := make(map[link]*conn)
	for _, r := range records {
		switch r.Event {
		case event.SocketConnect{}.Word():
			if e, ok := event.As[event.SocketConnect](r); ok {
				c := &conn{Record: r, local: e.Local, remote: e.Remote, duration: e.Duration, made: &e}
				made = append(made, c)
				open[link{r.Node, e.Local, e.Remote}] = c
			}
		case event.SocketError{}.Word():
			if e, ok := event.As[event.SocketError](r); ok && e.Op == "connect" {
				made = append(made, &conn{Record: r, local: e.Local, remote: e.Remote, duration: e.Duration, failed: &e})
			}
		case event.SocketAccept{}.Word():
			if e, ok := event.As[event.SocketAccept](r); ok {
				c := &conn{Record: r, local: e.Local, remote: e.Remote}
				accepted = append(accepted, c)
				open[link{r.Node, e.Local, e.Remote}] = c
			}
		case event.SocketClose{}.Word():
			if e, ok := event.As[event.SocketClose](r); ok {
				switch c := open[link{r.Node, e.Local, e.Remote}]; {
				case c != nil && c.closed == nil:
					c.closed = &seen[event.SocketClose]{r, e}
				case c == nil && e.Local == "" && e.Remote != "" && e.Network == "tcp": // an attempt that was not over
					failed := &event.SocketError{Network: e.Network, Op: "connect", Remote: e.Remote, Error: e.Reason}
					made = append(made, &conn{Record: r, remote: e.Remote, failed: failed, gaveUp: true})
				}
			}
		}
	}
	return made, accepted
}

func joinConns(w who, made, accepted []*conn) {
	reached := func(c *conn) string {
		if c.failed != nil {
			return ""
		}
		return w.served("tcp", c.remote)
	}
	type exact struct{ node, local, port string }
	apart := func(a, b *conn) time.Duration { return b.Time.Sub(a.Time) }
	taken := make(map[*conn]bool)
	marry := func(a, b *conn) { a.server, taken[b] = b, true }
	nearest(made, accepted,
		func(c *conn) exact { return exact{w.owner(c.Node, reached(c)), reached(c), port(c.local)} },
		func(c *conn) exact { return exact{c.Node, c.local, port(c.remote)} },
		apart, marry)
	// A NAT that had to change the port leaves the server's address and the time.
	single := slices.DeleteFunc(slices.Clone(made), func(c *conn) bool { return c.server != nil || c.failed != nil })
	free := slices.DeleteFunc(slices.Clone(accepted), func(c *conn) bool { return taken[c] })
	nearest(single, free,
		func(c *conn) link { return link{w.owner(c.Node, reached(c)), reached(c), ""} },
		func(c *conn) link { return link{c.Node, c.local, ""} },
		apart, marry)
}

// exchanges returns the HTTP exchanges that clients and servers tell, each with its connection.
func exchanges(records []event.Record, made, accepted []*conn) (sent, handled []*exchange) {
	type key struct{ node, trace, side, local, remote, method, url string }
	var all []*exchange
	for _, q := range pick[event.HTTPRequest](records) {
		all = append(all, &exchange{Record: q.Record, request: q.is})
	}
	left := inOrder(all, pick[event.HTTPResponse](records),
		func(x *exchange) key {
			q := x.request
			return key{x.Node, x.Trace(), q.Side, q.Local, q.Remote, q.Method, q.URL}
		},
		func(a seen[event.HTTPResponse]) key {
			return key{a.Node, a.Trace(), a.is.Side, a.is.Local, a.is.Remote, a.is.Method, a.is.URL}
		},
		func(x *exchange, a seen[event.HTTPResponse]) { x.response = &a })
	for _, a := range left {
		q := event.HTTPRequest{Side: a.is.Side, Local: a.is.Local, Remote: a.is.Remote, Method: a.is.Method, URL: a.is.URL}
		all = append(all, &exchange{Record: a.Record, request: q, response: &a})
	}
	slices.SortStableFunc(all, func(a, b *exchange) int { return a.Time.Compare(b.Time) })
	mine, theirs := byLink(made), byLink(accepted)
	for _, x := range all {
		at := link{x.Node, x.request.Local, x.request.Remote}
		if x.request.Side == event.SideServer {
			x.conn = latest(theirs[at], x.Time)
			handled = append(handled, x)
		} else {
			x.conn = latest(mine[at], x.Time)
			sent = append(sent, x)
		}
	}
	return sent, handled
}

func byLink(conns []*conn) map[link][]*conn {
	all := make(map[link][]*conn)
	for _, c := range conns {
		if c.failed == nil {
			k := link{c.Node, c.local, c.remote}
			all[k] = append(all[k], c)
		}
	}
	return all
}

// latest is the last connection that was there at that time; else the first.
func latest(conns []*conn, at time.Time) *conn {
	if len(conns) == 0 {
		return nil
	}
	for i := len(conns) - 1; i > 0; i-- {
		if !conns[i].Time.After(at) {
			return conns[i]
		}
	}
	return conns[0]
}

func joinExchanges(sent, handled []*exchange) {
	type key struct {
		conn         *conn
		method, path string
	}
	sent = slices.DeleteFunc(slices.Clone(sent), func(x *exchange) bool { return x.conn == nil || x.conn.server == nil })
	inOrder(sent, handled,
		func(x *exchange) key { return key{x.conn.server, x.request.Method, path(x.request.URL)} },
		func(x *exchange) key { return key{x.conn, x.request.Method, path(x.request.URL)} },
		func(a, b *exchange) { a.server = b })
}

// path is the URL's path and query as a request names them.
func path(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return u.RequestURI()
}
