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
		Name    string
		Opening []words
		Steps   []htmlStep
		Tally   words
		Summary []words
	}
	htmlStep struct {
		ID     string
		Title  words
		Status words
		Inner  bool
		Lines  []words
		Chart  *htmlChart
		Raw    []htmlMessage
	}
	htmlChart struct {
		Total  string
		Height int
		Rows   []htmlRow
		Marks  []htmlMark
	}
	htmlRow struct {
		Y         int
		URL       string
		Label     string // the URL, shortened
		Note      string
		Failed    bool
		Stretches []htmlStretch
	}
	htmlStretch struct {
		Class    string
		Title    string
		X, Width float64 // per cent of the chart
	}
	htmlMark struct {
		Name string
		X    float64
	}
	htmlMessage struct {
		Title, Request, Response string
	}
)

// HTML writes the walkthrough, the waterfalls, the summary and the raw messages as one file that needs no other and
// runs no script. The only errors are those of w.
func HTML(w io.Writer, rec *record.Recording) error {
	r := newRun(rec)
	page := htmlPage{Name: clean(r.plan.Name), Tally: r.tally().words(), Summary: layout(r.summary(Options{}), htmlWidth)}
	if opening := r.opening(htmlWidth); len(opening) > 1 {
		page.Opening = opening[1:]
	}
	for _, s := range r.steps {
		told := tell(r, s, htmlWidth, false)
		step := htmlStep{
			ID: clean(s.ID), Title: told.title, Status: told.status, Inner: s.inner,
			Lines: layout(told.lines, htmlWidth), Raw: messages(r, s),
		}
		if s.begun && s.isPage() {
			step.Chart = newChart(r, s).html()
		}
		page.Steps = append(page.Steps, step)
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

const (
	rowHeight  = 20 // of a bar, in CSS pixels
	labelWidth = 50 // of a bar's URL, in columns
)

func (c chart) html() *htmlChart {
	out := &htmlChart{Total: seconds(c.total), Height: rowHeight*len(c.bars) + rowHeight}
	percent := func(at float64) float64 {
		if !(c.total > 0) {
			return 0
		}
		return max(0, min(100*at/c.total, 100))
	}
	for i, b := range c.bars {
		row := htmlRow{Y: i * rowHeight, URL: clean(b.url), Label: middle(clean(b.url), labelWidth), Failed: b.failed}
		row.Note = clean(b.status) + " · " + size(b.size) + " · " + seconds(b.duration)
		for _, s := range b.phases {
			from, to := percent(s.From), percent(s.To)
			row.Stretches = append(row.Stretches, htmlStretch{
				Class: phaseNames[s.Phase], Title: phaseNames[s.Phase] + " " + seconds(s.To-s.From),
				X: from, Width: max(to-from, 0.2),
			})
		}
		out.Rows = append(out.Rows, row)
	}
	for _, m := range c.marks {
		out.Marks = append(out.Marks, htmlMark{m.name + " " + seconds(m.at), percent(m.at)})
	}
	return out
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
