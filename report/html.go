package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"

	"scenario/record"
)

//go:embed report.html.tmpl
var pageSource string

// htmlWidth is the number of columns of the text in an HTML report.
const htmlWidth = 110

// What the template shows.
type (
	htmlPage struct {
		Name       string
		Opening    []words
		Steps      []htmlStep
		Tally      words
		Beside     []htmlStep
		Summary    []words
		ChartStyle template.CSS
	}
	htmlStep struct {
		ID     string
		Title  words
		Status words
		Inner  bool
		Lines  []words
		Charts []template.HTML // SVG, with all text escaped
		Raw    []htmlMessage
	}
	htmlMessage struct {
		Title, Request, Response string
	}
)

// HTML writes the walkthrough, the waterfalls, the summary and the raw messages as one file that needs no other and
// runs no script. The only errors are those of w.
func HTML(w io.Writer, rec *record.Recording) error {
	r := newRun(rec)
	page := htmlPage{Name: clean(r.plan.Name), ChartStyle: svgStyle, Tally: r.tally().words(), Summary: layout(r.summary(Options{}), htmlWidth)}
	if opening := r.opening(htmlWidth); len(opening) > 1 {
		page.Opening = opening[1:]
	}
	for _, s := range r.steps {
		told := tell(r, s, htmlWidth, false)
		step := htmlStep{
			ID: clean(s.ID), Title: told.title, Status: told.status, Inner: s.inner,
			Lines: layout(told.lines, htmlWidth), Raw: messages(r, s),
		}
		for i, c := range r.stepCharts(s) {
			step.Charts = append(step.Charts, template.HTML(c.svg(fmt.Sprintf("%s-%d", s.ID, i))))
		}
		page.Steps = append(page.Steps, step)
	}
	for _, s := range r.beside(htmlWidth) {
		page.Beside = append(page.Beside, htmlStep{Title: s.title, Lines: layout(s.lines, htmlWidth)})
	}
	return pageTemplate().Execute(w, page)
}

// pageTemplate parses the page; a mistake in it fails every test.
func pageTemplate() *template.Template {
	return template.Must(template.New("report").Funcs(template.FuncMap{
		"class": func(s style) string { return [...]string{"", "strong", "faint", "good", "bad", "name"}[s] },
		"text":  func(s span) string { return s.text },
		"style": func(s span) style { return s.style },
	}).Parse(pageSource))
}

// messages are the step's requests and responses as they went over the wire, where the recording has them.
func messages(r *run, s *step) []htmlMessage {
	var all []htmlMessage
	for _, x := range ofStep(s, r.sides.exchanges) {
		m := htmlMessage{
			Title:    fmt.Sprintf("%s %s → %s", clean(x.request.Method), clean(x.request.URL), statusText(x.status())),
			Request:  x.requestBytes().printable(),
			Response: x.responseBytes().printable(),
		}
		if m.Request != "" || m.Response != "" {
			all = append(all, m)
		}
	}
	return all
}
