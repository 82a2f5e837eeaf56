package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"scenario/event"
)

// teller tells one step, line by line.
type teller struct {
	run   *run
	step  *step
	room  int  // columns right of the times
	raw   bool // show requests and responses as they went over the wire
	lines []line

	asked []*question // of name servers by the step's clients
	made  []*conn
	sent  []*exchange
	talks []part

	phases    int
	toldQuery map[*question]bool
	toldConn  map[*conn]bool
	toldName  map[string]bool // questions, by their text, whose answer the client knows from then on
}

// tell is the telling of a step as a section for a page of n columns.
func tell(r *run, s *step, n int, raw bool) section {
	t := &teller{
		run: r, step: s, room: bodyWidth(n), raw: raw,
		asked: ofStep(s, r.sides.questions), made: ofStep(s, r.sides.conns), sent: ofStep(s, r.sides.exchanges), talks: r.talks[s],
		toldQuery: make(map[*question]bool), toldConn: make(map[*conn]bool), toldName: make(map[string]bool),
	}
	title := in(strong, clean(s.ID))
	if s.Node != "" {
		title = title.say(" · ").in(name, clean(s.Node))
	}
	title = title.say(" · " + clean(s.summary()))
	out := section{title: title, status: s.status()}
	if s.begun {
		t.action()
		if s.err != "" {
			t.note("", in(bad, "the step failed: ").say(briefly(s.err)))
		}
		t.troubles()
		t.expectations()
	}
	out.lines = t.lines
	return out
}

// summary says in a few words what the step is to do.
func (s *step) summary() string {
	what := s.Action
	if s.Target != "" {
		what += " " + s.Target
	}
	if s.Title != "" && s.Title != what {
		what = s.Title + " (" + what + ")"
	}
	return cmp.Or(what, "a step that the plan does not know")
}

// status says how the step ended and how long it took.
func (s *step) status() words {
	switch {
	case !s.begun:
		return in(bad, "not run")
	case s.err != "":
		return say(seconds(s.duration)+" · ").in(bad, "failed")
	case !s.ended:
		return in(bad, "did not end")
	}
	return say(seconds(s.duration)+" · ").in(good, "ok")
}

// head begins a phase of a step. The phases of a page load are numbered.
func (t *teller) head(w words) {
	if !t.step.isPage() {
		t.note("", w)
		return
	}
	t.phases++
	t.lines = append(t.lines, line{head: true, text: in(strong, fmt.Sprintf("%2d. ", t.phases)).add(w)})
}

// put adds a line about a moment; right is what stands at the right edge.
func (t *teller) put(at time.Time, tree string, w words, right string) {
	t.lines = append(t.lines, line{at: since(t.step.start, at), tree: tree, text: w, right: right})
}

// note adds a line without a moment.
func (t *teller) note(tree string, w words) { t.put(time.Time{}, tree, w, "") }

// row adds a line of a table.
func (t *teller) row(at time.Time, tree string, w words, right string) {
	t.put(at, tree, w, right)
	t.lines[len(t.lines)-1].exact = true
}

// branch is what leads to the ith of n lines below another.
func branch(i, n int) string {
	if i == n-1 {
		return "└ "
	}
	return "├ "
}

// below is what leads to lines below the ith of n.
func below(i, n int) string {
	if i == n-1 {
		return "  "
	}
	return "│ "
}

// action tells what the step did, as fits its action; what is not known by its action, by what its records hold.
func (t *teller) action() {
	switch {
	case t.step.isPage():
		t.page()
	case len(t.step.Parallel) > 0:
		t.note("", say(count(len(t.step.Parallel), "step")+" side by side, told below"))
	case has[event.ICMPEcho](t.step):
		t.echoes()
	case isChat(t.step):
		t.chat()
	default:
		t.drawn()
		t.exchanges()
		t.duets()
	}
	t.output()
	if len(t.lines) == 0 {
		t.outcome()
	}
	if result := bytes.TrimSpace(t.step.result); len(t.lines) == 0 && len(result) > 0 && string(result) != "null" && string(result) != "{}" {
		t.note("", say("→ "+clean(string(result))))
	}
}

// outcome tells what went wrong, where the step's result says so and nothing else does.
func (t *teller) outcome() {
	var result struct{ Phase, Errno, Error, Meaning string }
	if json.Unmarshal(t.step.result, &result) != nil || result.Error == "" {
		return
	}
	w := in(bad, clean(cmp.Or(result.Errno, briefly(result.Error))))
	if result.Phase != "" {
		w = say(clean(result.Phase) + ": ").add(w)
	}
	t.note("", w)
	t.meaning("", result.Meaning)
}

// has says whether the step's records hold an event of type E.
func has[E event.Event](s *step) bool {
	var e E
	for _, r := range s.records {
		if r.Event == e.Word() {
			return true
		}
	}
	return false
}

// exchanges tells lookups, connections and requests one by one: what lookup, connect and fetch do.
func (t *teller) exchanges() {
	t.upgrades()
	for _, q := range t.asked {
		t.question(q)
	}
	var told []*conn
	for _, x := range t.sent {
		if x.conn != nil && !t.toldConn[x.conn] {
			t.attempts(x.conn.begun())
			t.connection(x.conn, "")
			told = append(told, x.conn)
		}
		t.exchange(x)
	}
	for _, c := range t.made {
		if !t.toldConn[c] {
			t.connection(c, "")
			told = append(told, c)
		}
	}
	t.rules()
	t.closings(told)
}

// rules tells what the protocols and the rules of the web made of the step's requests.
func (t *teller) rules() {
	t.parts()
	t.streams()
	t.cached()
	t.origins()
	t.blocks()
	t.cookies()
}

// drawn marks the connections that duets will show, so that they are not told twice.
func (t *teller) drawn() {
	type key struct {
		node, remote string
		at           time.Time
	}
	shown := make(map[key]bool)
	for _, p := range t.talks {
		for _, c := range p.calls {
			switch e := c.is.(type) {
			case event.SocketConnect:
				shown[key{c.Node, e.Remote, c.Time}] = true
			case event.SocketError:
				shown[key{c.Node, e.Remote, c.Time}] = true
			}
		}
	}
	for _, c := range t.made {
		if shown[key{c.Node, c.remote, c.Time}] {
			t.toldConn[c] = true
		}
	}
}

// attempts tells of connections that failed before that moment and are not told yet.
func (t *teller) attempts(before time.Time) {
	for _, c := range t.made {
		if c.failed != nil && !t.toldConn[c] && !c.begun().After(before) {
			t.connection(c, "")
		}
	}
}

// output tells what a program wrote.
func (t *teller) output() {
	for _, l := range pick[event.LogLine](t.step.records) {
		style := plain
		if l.is.Stream == "stderr" {
			style = bad
		}
		t.put(l.Time, "│ ", in(style, clean(l.is.Message)), "")
	}
	if code := t.step.exitCode(); code != 0 {
		t.note("", in(bad, fmt.Sprintf("exit code %d", code)))
	}
}

// troubles tells of socket calls, other than connects, that failed.
func (t *teller) troubles() {
	for _, e := range pick[event.SocketError](t.step.records) {
		if e.is.Op == "connect" || t.inDuet(e.Record) {
			continue
		}
		w := in(bad, clean(e.is.Op+": "+cmp.Or(e.is.Errno, e.is.Error)))
		if e.is.Remote != "" {
			w = w.say(" with ").add(t.run.who.at(e.Node, e.is.Remote))
		}
		t.put(e.Time, "", w, "")
		t.meaning("  ", e.is.Meaning)
	}
}

// inDuet says whether duets show the event: in this step, or in another that it belongs to rather.
func (t *teller) inDuet(r event.Record) bool {
	return t.run.drawn[callKey{r.Node, r.Event, r.Time}]
}

// meaning explains what stands on the line above.
func (t *teller) meaning(tree, sentence string) {
	if sentence != "" {
		t.note(tree+"└ ", in(faint, clean(sentence)))
	}
}

// ofStep keeps what belongs to the step's causal chain.
func ofStep[T interface{ Trace() string }](s *step, all []T) []T {
	var mine []T
	for _, one := range all {
		if one.Trace() == event.StepTrace+s.ID {
			mine = append(mine, one)
		}
	}
	return mine
}
