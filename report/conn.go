package report

import (
	"cmp"
	"slices"

	"scenario/event"
)

// connection tells how a connection was made, or why not, and what the server saw of it.
func (t *teller) connection(c *conn, tree string) {
	t.toldConn[c] = true
	who := t.run.who
	if c.gaveUp {
		t.put(c.Time, tree, say("connect to ").add(who.at(c.Node, c.remote)).say(": given up, ").in(faint, briefly(cmp.Or(c.failed.Error, "not needed any more"))), "")
		return
	}
	if c.failed != nil {
		f := c.failed
		t.put(c.begun(), tree, say("connect to ").add(who.at(c.Node, c.remote)).say(": ").
			in(bad, clean(cmp.Or(f.Errno, f.Error))), seconds(f.Duration))
		t.meaning(continued(tree), cmp.Or(f.Meaning, briefly(f.Error)))
		return
	}
	w := in(name, c.Node).say(" ").in(strong, clean(c.local)).say(" → ").add(who.at(c.Node, c.remote))
	t.put(c.begun(), tree, w.in(faint, "  ephemeral port "+port(c.local)), seconds(c.duration))
	if c.made != nil && !t.step.isPage() {
		t.agreed(*c.made)
	}
	if s := c.server; s != nil {
		t.put(s.Time, continued(tree)+"└ ", in(name, s.Node).say(" accepts it").add(t.seenAs(c)), "")
	}
	t.handshake(c, continued(tree))
}

// seenAs says what the server sees of a connection: who it seems to come from, and where it came in.
func (t *teller) seenAs(c *conn) words {
	who, s := t.run.who, c.server
	var w words
	if forwarder := who.owner(c.Node, c.remote); s.local != c.remote && forwarder != "" && forwarder != s.Node {
		w = w.say(" on "+clean(s.local)+": ").in(name, forwarder).say(" forwards its port " + port(c.remote) + " there;")
	}
	if address(s.remote) == address(c.local) {
		return w.say(" from " + clean(s.remote) + ", " + clean(c.Node) + "'s own address")
	}
	router := who.owner(s.Node, s.remote)
	if router == "" || router == c.Node {
		return w.say(" from ").add(who.at(s.Node, s.remote))
	}
	return w.say(" from ").in(strong, clean(s.remote)).say(": NAT in ").in(name, router).
		say(" hides " + address(c.local).String())
}

// closings tells how connections ended, which ports that gave back, and that the servers still listen.
func (t *teller) closings(conns []*conn) {
	ended := 0
	var servers []string
	for _, c := range conns {
		if c.closed == nil {
			continue
		}
		ended++
		e, by := c.closed.is, in(name, c.Node)
		if e.By == "remote" {
			by = t.run.who.short(c.Node, c.remote)
		}
		w := say("port " + port(c.local) + " → ").add(t.run.who.short(c.Node, c.remote)).say(" closed by ").add(by)
		if reason := closingReason(c); reason != "" {
			w = w.say(": " + briefly(reason))
		}
		t.put(c.closed.Time, "", w, size(e.Sent)+" out, "+size(e.Received)+" in")
		if s := t.stillListens(c); s != "" && !slices.Contains(servers, s) {
			servers = append(servers, s)
		}
	}
	if ended == 0 {
		return
	}
	free := "this client port is free again"
	if ended > 1 {
		free = "these client ports are free again"
	}
	if len(servers) > 0 {
		free += "; still listening: " + listed(servers, 4)
	}
	t.note("", say(free))
}

// closingReason is the reason that the end which closed the connection gives.
func closingReason(c *conn) string {
	if e := c.closed.is; e.By != "remote" || e.Reason != "" || c.server == nil || c.server.closed == nil {
		return e.Reason
	}
	return c.server.closed.is.Reason
}

// stillListens is the server with its listening socket, where it was not closed before the connection's end.
func (t *teller) stillListens(c *conn) string {
	if c.server == nil {
		return ""
	}
	for _, l := range t.run.sides.listening {
		if l.Node != c.server.Node || !listensFor(l.is.Local, c.server.local) || l.Time.After(c.closed.Time) {
			continue
		}
		if !t.stopped(l, c) {
			return l.Node + " (" + clean(l.is.Local) + ")"
		}
	}
	return ""
}

// stopped says whether a listening socket was closed before the connection's end.
func (t *teller) stopped(l seen[event.SocketListen], c *conn) bool {
	return slices.ContainsFunc(t.run.records, func(r event.Record) bool {
		if r.Node != l.Node || r.Time.Before(l.Time) || r.Time.After(c.closed.Time) {
			return false
		}
		e, ok := event.As[event.SocketClose](r)
		return ok && e.Remote == "" && e.Local == l.is.Local
	})
}

// listensFor says whether a socket listening on one address takes connections to another.
func listensFor(listening, local string) bool {
	a := address(listening)
	return port(listening) == port(local) && (a == address(local) || !a.IsValid() || a.IsUnspecified())
}
