package web

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"mime"
	"net/http"
)

// ranging is a response to a request that may be about parts of a file. It says in what units there are ranges, and takes
// the place of the boundary that net/http draws for several parts, which would be another one in each run.
type ranging struct {
	http.ResponseWriter
	units    string // empty: as net/http says
	seed     string // what the boundary is made of
	old, new []byte // the boundaries; nil: there is none
}

// serveRanges prepares w for http.ServeContent.
func serveRanges(w http.ResponseWriter, r *http.Request, p *Path) http.ResponseWriter {
	asked := r.Header.Get("Range")
	if p.Ranges == "" && asked == "" {
		return w
	}
	return &ranging{ResponseWriter: w, units: p.Ranges, seed: r.URL.Path + " " + asked}
}

// Unwrap is for http.ResponseController.
func (w *ranging) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader begins the response.
func (w *ranging) WriteHeader(status int) {
	header := w.Header()
	if w.units != "" && header.Get("Accept-Ranges") != "" {
		header.Set("Accept-Ranges", w.units)
	}
	kind, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	if drawn := parameters["boundary"]; err == nil && status == http.StatusPartialContent && kind == "multipart/byteranges" {
		sum := sha256.Sum256([]byte(w.seed))
		made := fmt.Sprintf("%x", sum)
		// As long as the other one, so that Content-Length stays right.
		if len(drawn) > 0 && len(drawn) <= len(made) {
			w.old, w.new = []byte(drawn), []byte(made[:len(drawn)])
			header.Set("Content-Type", "multipart/byteranges; boundary="+string(w.new))
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write sends a piece of the body. mime/multipart writes each boundary in one piece.
func (w *ranging) Write(p []byte) (int, error) {
	if w.old != nil && bytes.Contains(p, w.old) {
		p = bytes.ReplaceAll(p, w.old, w.new)
	}
	return w.ResponseWriter.Write(p)
}
