package report

import (
	"bytes"
	"fmt"

	"scenario/record"
	"scenario/report/har"
	"scenario/report/loads"
)

// File is a file that is made of a recording. Its name is slash-separated.
type File struct {
	Name string
	Data []byte
}

// Folders of the files that are made of page loads, one for each, named by its step and its node.
const (
	HARFolder       = "har"
	WaterfallFolder = "waterfall"
)

// Files are all the files that a run folder holds for people and other programs: report.txt, junit.xml, and of each page
// load that its browser tells request by request har/STEP-NODE.har and waterfall/STEP-NODE.svg. The same recording gives
// the same files.
func Files(rec *record.Recording) ([]File, error) {
	var text, junit bytes.Buffer
	if err := Text(&text, rec, Options{}); err != nil {
		return nil, err
	}
	if err := JUnit(&junit, rec); err != nil {
		return nil, err
	}
	files := []File{{record.ReportFile, text.Bytes()}, {record.JUnitFile, junit.Bytes()}}
	r := newRun(rec)
	archives := har.Make(r.loads)
	for i, name := range loads.Names(r.loads) {
		l := r.loads[i]
		if len(l.Fetches) == 0 {
			continue
		}
		archive, err := archives[i].Bytes()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files = append(files, File{HARFolder + "/" + name + ".har", archive})
		var drawing bytes.Buffer
		if err := loadChart(r.stepOf(l), l).writeSVG(&drawing); err != nil {
			return nil, err
		}
		files = append(files, File{WaterfallFolder + "/" + name + ".svg", drawing.Bytes()})
	}
	return files, nil
}

// stepOf is the step that a load belongs to; of a load outside of any, one that begins with it.
func (r *run) stepOf(l loads.Load) *step {
	for _, s := range r.steps {
		if s.ID == l.Step && s.begun {
			return s
		}
	}
	return &step{start: l.Start}
}
