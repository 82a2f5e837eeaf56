package report

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"scenario/event"
)

// isChat says whether the step is one of a conversation.
func isChat(s *step) bool {
	return s.Role == "chat" || has[event.ChatJoin](s) || has[event.ChatMessage](s) || has[event.ChatLeave](s)
}

// said is one moment of a conversation.
type said struct {
	event.Record
	side, who, text string
	style           style
}

// conversation is what all sides said of the chat, in order.
func conversation(records []event.Record) []said {
	var all []said
	for _, r := range records {
		switch r.Event {
		case event.ChatJoin{}.Word():
			if e, ok := event.As[event.ChatJoin](r); ok {
				all = append(all, said{r, e.Side, e.Name, "joins", faint})
			}
		case event.ChatMessage{}.Word():
			if e, ok := event.As[event.ChatMessage](r); ok {
				all = append(all, said{r, e.Side, e.Name, e.Text, plain})
			}
		case event.ChatLeave{}.Word():
			if e, ok := event.As[event.ChatLeave](r); ok {
				text := "leaves"
				if e.Reason != "" {
					text += ": " + e.Reason
				}
				all = append(all, said{r, e.Side, e.Name, text, faint})
			}
		}
	}
	return all
}

// chat tells the part of the conversation that belongs to the step as a ladder: a rail for each node, an arrow for each
// thing said.
func (t *teller) chat() {
	for _, q := range t.asked {
		t.question(q)
	}
	for _, c := range t.made {
		t.connection(c, "")
	}
	all := conversation(t.run.records)
	l := newLadder(all, t.room)
	var mine []said
	for _, s := range all {
		if t.run.chatStep(s.Record) == t.step && !l.echoed(s) {
			mine = append(mine, s)
		}
	}
	if len(mine) > 0 && len(l.rails) > 0 {
		t.row(time.Time{}, "", l.names(), "")
	}
	for _, s := range mine {
		t.put(s.Time, l.draw(s), in(name, clean(s.who)).say(": ").in(s.style, clean(s.text)), "")
	}
	t.webSockets()
	t.closings(t.closedMeanwhile())
}

// closedMeanwhile are the connections of the step's node that ended during the step: those of a conversation begin in
// another.
func (t *teller) closedMeanwhile() []*conn {
	return slices.DeleteFunc(slices.Clone(t.run.sides.conns), func(c *conn) bool {
		return c.Node != t.step.Node || c.closed == nil || c.closed.Time.Before(t.step.start) || c.closed.Time.After(t.step.end)
	})
}

// chatStep is the step that a moment of a conversation belongs to: the one that caused it while that still runs, else
// the last that had begun.
func (r *run) chatStep(e event.Record) *step {
	var last *step
	for _, s := range r.steps {
		if !s.begun || !isChat(s) || s.start.After(e.Time) {
			continue
		}
		if e.Trace() == event.StepTrace+s.ID && !e.Time.After(s.end) {
			return s
		}
		if last == nil || !s.start.Before(last.start) {
			last = s
		}
	}
	return last
}

// ladder draws who says something to whom.
type ladder struct {
	rails  []string // nodes, the server after the first client
	server string
	own    map[string]string // a node's own name in the conversation
	step   int               // columns from rail to rail
	all    []said
}

func newLadder(all []said, room int) ladder {
	l := ladder{own: make(map[string]string), all: all}
	for _, s := range all {
		if s.side == event.SideServer {
			l.server = cmp.Or(l.server, s.Node)
		} else if l.own[s.Node] == "" {
			l.own[s.Node] = s.who
		}
	}
	for _, s := range all {
		if s.Node != l.server && !slices.Contains(l.rails, s.Node) {
			l.rails = append(l.rails, s.Node)
		}
	}
	if l.server != "" {
		l.rails = slices.Insert(l.rails, min(1, len(l.rails)), l.server)
	}
	for _, node := range l.rails {
		l.step = max(l.step, len(clean(node))+2, 8)
	}
	if l.step*len(l.rails) > room*2/3 {
		l.rails = nil
	}
	return l
}

// echoed says whether the server only confirms what a client is seen to have said.
func (l ladder) echoed(s said) bool {
	return s.side == event.SideServer && slices.ContainsFunc(l.all, func(c said) bool {
		return c.side != event.SideServer && c.who == s.who && l.own[c.Node] == c.who && (c.text == s.text || c.text == "leaves" && s.style == faint)
	})
}

// names stands above the rails.
func (l ladder) names() words {
	var w words
	for _, node := range l.rails {
		w = w.in(name, pad(clean(node), l.step))
	}
	return w
}

// draw is the rails with an arrow from who says something to who hears it.
func (l ladder) draw(s said) string {
	if len(l.rails) == 0 {
		return ""
	}
	from := slices.Index(l.rails, s.Node)
	to := slices.Index(l.rails, l.server)
	if s.side != event.SideServer && l.own[s.Node] != s.who {
		from, to = to, from
	}
	if to < 0 || from < 0 {
		from = slices.Index(l.rails, s.Node)
		to = from
	}
	cells := []rune(strings.Repeat("│"+strings.Repeat(" ", l.step-1), len(l.rails)))
	left, right := min(from, to)*l.step, max(from, to)*l.step
	for i := left + 1; i < right; i++ {
		cells[i] = '─'
	}
	cells[from*l.step] = '●'
	if to > from {
		cells[right-1] = '→'
	} else if to < from {
		cells[left+1] = '←'
	}
	return string(cells)
}
