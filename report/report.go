// Package report makes of a recording what a person reads: a walkthrough of each step, a waterfall of each page load, a
// summary of what was expected, a JUnit file, and all of it as one HTML file.
//
// Everything is a function of the plan and the events alone (R36, R38):
//
//	recording ─newRun→ steps, both sides of each exchange joined ─tell→ sections of lines ─print→ text or HTML
//
// What a recording lacks is left out of the telling; text that comes from nodes is made safe for a terminal.
package report

import (
	"cmp"
	"errors"
	"io"
	"strings"

	"scenario/event"
	"scenario/record"
)

// Options choose what is shown and how.
type Options struct {
	Steps []string // ids of the steps to show; empty: all
	Color bool
	Width int  // columns; 0: 100, and never less than 60
	Raw   bool // show requests and responses as they went over the wire, where the recording has them
}

// Text writes the walkthrough, the waterfall, what stands beside each other, and the summary. The only errors are those of w.
func Text(w io.Writer, rec *record.Recording, o Options) error {
	r := newRun(rec)
	return errors.Join(r.writeWalkthrough(w, o), r.writeWaterfall(w, o), r.writeBeside(w, o), r.writeSummary(w, o))
}

// Walkthrough tells the steps one by one: what happened, when, and who answered whom. The only errors are those of w.
func Walkthrough(w io.Writer, rec *record.Recording, o Options) error {
	return newRun(rec).writeWalkthrough(w, o)
}

func (r *run) writeWalkthrough(w io.Writer, o Options) error {
	n := pageWidth(o.Width)
	p := &printer{w: w, color: o.Color}
	if len(o.Steps) == 0 {
		for _, l := range r.opening(n) {
			p.line(l)
		}
	}
	for _, s := range r.steps {
		if s.wanted(o) {
			p.section(tell(r, s, n, o.Raw), n)
		}
	}
	return p.err
}

// opening is the run's name and what the scenario says of itself: paragraphs are wrapped anew, indented lines stay.
func (r *run) opening(n int) []words {
	if r.plan.Name == "" {
		return nil
	}
	lines := []words{in(strong, clean(r.plan.Name))}
	if r.plan.Doc == "" {
		return append(lines, nil)
	}
	var paragraph []string
	flush := func() {
		if len(paragraph) > 0 {
			lines = append(lines, say(strings.Join(paragraph, " ")).wrap(n)...)
		}
		paragraph = nil
	}
	for l := range strings.SplitSeq(strings.TrimRight(r.plan.Doc, "\n"), "\n") {
		l = clean(l)
		if text := strings.TrimLeft(l, " "); text != "" && text == l {
			paragraph = append(paragraph, text)
			continue
		}
		flush()
		lines = append(lines, say(l)) // a drawing, an example, or what parts paragraphs
	}
	flush()
	return append(lines, nil)
}

// Summary tells what was expected and what came of it, and counts. The only errors are those of w.
func Summary(w io.Writer, rec *record.Recording, o Options) error {
	return newRun(rec).writeSummary(w, o)
}

func (r *run) writeSummary(w io.Writer, o Options) error {
	n := pageWidth(o.Width)
	p := &printer{w: w, color: o.Color}
	for _, l := range layout(r.summary(o), n) {
		p.line(l)
	}
	return p.err
}

// summary is what Summary writes: failures at the end, where a person looks first. What held in a step stands there, and
// what was not checked is counted.
func (r *run) summary(o Options) []line {
	var lines []line
	for _, want := range []verdict{passed, failed} {
		for _, e := range r.expects {
			if e.verdict != want || (e.step == nil && len(o.Steps) > 0) || (e.step != nil && !e.step.wanted(o)) {
				continue
			}
			if e.step != nil && e.verdict == passed {
				continue
			}
			told := e.lines()
			if e.step != nil {
				told[0].text = in(strong, clean(e.step.ID)).say(" ").add(told[0].text)
			}
			lines = append(lines, told...)
		}
	}
	for _, s := range r.steps {
		if s.wanted(o) && s.begun && (s.err != "" || !s.ended) {
			lines = append(lines, line{at: "FAIL", text: in(strong, s.ID).say(" ").in(bad, briefly(cmp.Or(s.err, "the step did not end")))},
				line{tree: "  ", text: in(faint, pad("look at", labelColumn)).say(lookAt(s))})
		}
	}
	lines = append(lines, r.problems()...)
	return append(lines, line{text: r.tally().words()})
}

// problems are what happened to nodes that nobody asked for.
func (r *run) problems() []line {
	var lines []line
	for _, rec := range r.records {
		if e, ok := event.As[event.NodeExit](rec); ok && e.Error != "" {
			lines = append(lines, line{at: "node", text: in(bad, clean(rec.Node)+" ended: ").say(clean(e.Error))})
		}
		if e, ok := event.As[event.Fault](rec); ok {
			text := in(bad, clean(e.Target)+": "+clean(e.Fault))
			if e.Detail != "" {
				text = text.say(": " + clean(e.Detail))
			}
			lines = append(lines, line{at: "fault", text: text})
		}
	}
	return lines
}
