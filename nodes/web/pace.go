package web

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"time"
)

// slowWriter sends a body in chunks (RFC 9112, section 7.1) with a pause between them.
type slowWriter struct {
	http.ResponseWriter
	ctx   context.Context // ends with the connection
	size  int             // bytes of a chunk
	delay time.Duration
	begun bool
}

// WriteHeader begins a response whose length is not told.
func (s *slowWriter) WriteHeader(status int) {
	s.Header().Del("Content-Length")
	s.ResponseWriter.WriteHeader(status)
}

func (s *slowWriter) Write(p []byte) (int, error) {
	const defaultSize = 512
	written := 0
	for chunk := range slices.Chunk(p, cmp.Or(s.size, defaultSize)) {
		if s.begun {
			pause(s.ctx, s.delay)
		}
		s.begun = true
		n, err := s.ResponseWriter.Write(chunk)
		written += n
		if err == nil {
			err = http.NewResponseController(s.ResponseWriter).Flush()
		}
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// throttle sends a body no faster than so many bytes a second, a tenth of a second's at a time.
type throttle struct {
	http.ResponseWriter
	ctx   context.Context // ends with the connection
	rate  int
	begun bool
}

// Unwrap is for http.ResponseController.
func (t *throttle) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func (t *throttle) Write(p []byte) (int, error) {
	const pieces = 10 // a second
	written := 0
	for piece := range slices.Chunk(p, max(1, t.rate/pieces)) {
		if t.begun {
			pause(t.ctx, time.Second*time.Duration(len(piece))/time.Duration(t.rate))
		}
		t.begun = true
		n, err := t.ResponseWriter.Write(piece)
		written += n
		if err == nil {
			err = http.NewResponseController(t.ResponseWriter).Flush()
		}
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// trailing sends fields behind a body, which goes in chunks for that (RFC 9112, section 7.1.2).
type trailing struct {
	http.ResponseWriter
	names map[string]string
}

// Unwrap is for http.ResponseController.
func (t *trailing) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// WriteHeader announces the trailers.
func (t *trailing) WriteHeader(status int) {
	if status >= http.StatusOK {
		t.Header().Del("Content-Length")
		for _, name := range slices.Sorted(maps.Keys(t.names)) {
			t.Header().Add("Trailer", name)
		}
	}
	t.ResponseWriter.WriteHeader(status)
}

// end sends them.
func (t *trailing) end() {
	for name, value := range t.names {
		t.Header().Set(name, value)
	}
}
