package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"

	"scenario/record"
)

// The elements of a JUnit file, as far as CI systems agree on them.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		At       string      `xml:"timestamp,attr,omitempty"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		File    string        `xml:"file,attr,omitempty"`
		Line    int           `xml:"line,attr,omitempty"`
		Time    string        `xml:"time,attr"`
		Failure *junitFailure `xml:"failure"`
		Skipped *junitSkipped `xml:"skipped"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",cdata"`
	}
	junitSkipped struct {
		Message string `xml:"message,attr"`
	}
)

// JUnit writes runs as a JUnit file: a test suite for each, with a test case for each step and one for each expectation.
// What never ran, or was never checked, is skipped; where no failure tells why, the run itself is one, so that a run that
// ended too early is not taken for one that passed. The only errors are those of w.
func JUnit(w io.Writer, runs ...*record.Recording) error {
	var suites junitSuites
	for _, rec := range runs {
		suites.Suites = append(suites.Suites, newSuite(newRun(rec)))
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	out := xml.NewEncoder(w)
	out.Indent("", "  ")
	if err := out.Encode(suites); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func newSuite(r *run) junitSuite {
	suite := junitSuite{Name: clean(r.plan.Name), Time: "0.000"}
	for _, s := range r.steps {
		suite.add(r.stepCase(s))
		for _, e := range r.expects {
			if e.step == s {
				suite.add(r.expectCase(e))
			}
		}
	}
	for _, e := range r.expects {
		if e.step == nil {
			suite.add(r.expectCase(e))
		}
	}
	if suite.Skipped > 0 && suite.Failures == 0 {
		early := r.newCase("the run came to its end", "")
		early.Time = junitTime(0)
		early.Failure = &junitFailure{"the run ended before its steps did", "run", "look at " + record.EventsFile}
		suite.add(early)
	}
	if n := len(r.records); n > 0 {
		suite.At = r.records[0].Time.UTC().Format("2006-01-02T15:04:05")
		suite.Time = junitTime(r.records[n-1].Time.Sub(r.records[0].Time).Seconds())
	}
	return suite
}

func (s *junitSuite) add(c junitCase) {
	s.Tests++
	if c.Failure != nil {
		s.Failures++
	}
	if c.Skipped != nil {
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

// stepCase is a step as a test: that it could be done.
func (r *run) stepCase(s *step) junitCase {
	c := r.newCase("step "+s.ID+": "+s.summary(), s.Position)
	c.Time = junitTime(s.duration)
	switch {
	case !s.begun:
		c.Skipped = &junitSkipped{"the step was not run"}
	case s.err != "":
		c.Failure = &junitFailure{clean(s.err), "step", "look at " + clean(lookAt(s))}
	case !s.ended:
		c.Failure = &junitFailure{"the step did not end", "step", "look at " + clean(lookAt(s))}
	}
	return c
}

// expectCase is an expectation as a test.
func (r *run) expectCase(e expected) junitCase {
	title := "expect " + strings.Join(strings.Fields(e.That), " ")
	if e.step != nil {
		title = "step " + e.step.ID + ": " + title
	}
	c := r.newCase(title, e.Position)
	c.Time = junitTime(0)
	switch e.verdict {
	case notChecked:
		c.Skipped = &junitSkipped{"the expectation was not checked"}
	case failed:
		text := ""
		for _, l := range e.lines() {
			text += strings.TrimSpace(l.text.String()) + "\n"
		}
		c.Failure = &junitFailure{clean(e.reason), "expectation", text}
	}
	return c
}

// newCase begins a test case; position is file:line:col, or empty.
func (r *run) newCase(title, position string) junitCase {
	c := junitCase{Name: clean(title), Class: clean(r.plan.Name)}
	c.File = position
	if parts := strings.Split(position, ":"); len(parts) > 2 {
		n := len(parts)
		if at, err := strconv.Atoi(parts[n-2]); err == nil {
			c.File, c.Line = strings.Join(parts[:n-2], ":"), at
		}
	}
	c.File = clean(c.File)
	return c
}

// junitTime writes seconds as JUnit files do.
func junitTime(s float64) string { return fmt.Sprintf("%.3f", s) }
