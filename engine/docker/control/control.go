// Package control is how the engine speaks with the processes in its containers: JSON lines over their standard input
// and output.
//
// A request is {"id":1,"op":"do","params":{…}}; its reply is {"reply":1,"result":…} or {"reply":1,"error":"…"}. Between
// replies a process writes lines of its own kinds (events, files); [Line] holds them all. Requests run side by side;
// {"op":"cancel","params":ID} ends one. The input is also the process's lease: at its end [Serve] returns.
package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"scenario/event"
)

// MaxLine bounds a line, in bytes.
const MaxLine = 64 << 20

// Request asks a process for something.
type Request struct {
	ID     int64           `json:"id"`
	Op     string          `json:"op"`
	Params json.RawMessage `json:"params,omitempty"`
}

// Line is what a process writes beside events: a reply or a file.
type Line struct {
	Reply  int64           `json:"reply,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  string          `json:"error,omitempty"`

	File string `json:"file,omitempty"` // name of a file that the node keeps in the run's folder
	Data []byte `json:"data,omitempty"` // its contents
}

const opCancel = "cancel"

// Writer writes lines, each with one Write call, from any goroutine.
type Writer struct {
	mu sync.Mutex
	w  io.Writer
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write writes v as one line of JSON.
func (w *Writer) Write(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.line(append(text, '\n'))
}

func (w *Writer) line(text []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.w.Write(text)
	return err
}

// Record writes an event. A line that cannot be written is lost with the process's output itself: there is nobody to
// tell.
func (w *Writer) Record(r event.Record) {
	if text, err := r.Line(); err == nil {
		_ = w.line(text)
	}
}

// Handler carries out one operation. What it returns is marshalled as the reply's result.
type Handler func(ctx context.Context, op string, params json.RawMessage) (any, error)

// Serve answers the requests that come in until in ends or ctx does, then waits for those under way. Their context ends
// with it. The error is nil at the end of in.
func Serve(ctx context.Context, in io.Reader, out *Writer, handle Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()

	var mu sync.Mutex
	cancels := make(map[int64]context.CancelFunc)

	requests := make(chan Request)
	ended := make(chan error, 1)
	go func() { ended <- read(ctx, in, requests) }()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			return err
		case req := <-requests:
			if req.Op == opCancel {
				var id int64
				if json.Unmarshal(req.Params, &id) == nil {
					mu.Lock()
					if end := cancels[id]; end != nil {
						end()
					}
					mu.Unlock()
				}
				continue
			}
			reqCtx, end := context.WithCancel(ctx)
			mu.Lock()
			cancels[req.ID] = end
			mu.Unlock()
			running.Go(func() {
				defer end()
				answer(reqCtx, req, out, handle)
				mu.Lock()
				delete(cancels, req.ID)
				mu.Unlock()
			})
		}
	}
}

func read(ctx context.Context, in io.Reader, requests chan<- Request) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, MaxLine)
	for lines.Scan() {
		var req Request
		if err := json.Unmarshal(lines.Bytes(), &req); err != nil {
			return fmt.Errorf("control: bad request: %w", err)
		}
		select {
		case requests <- req:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return lines.Err()
}

func answer(ctx context.Context, req Request, out *Writer, handle Handler) {
	line := Line{Reply: req.ID}
	result, err := handle(ctx, req.Op, req.Params)
	if err == nil && result != nil {
		line.Result, err = json.Marshal(result)
	}
	if err != nil {
		line.Error = err.Error()
		if line.Error == "" {
			line.Error = fmt.Sprintf("%T", err)
		}
	}
	_ = out.Write(line)
}

// ErrEnded is the error of a call whose process has ended.
var ErrEnded = errors.New("the process has ended")

// Client sends requests to one process and sorts what it writes.
type Client struct {
	out *Writer

	mu      sync.Mutex
	next    int64
	waiting map[int64]chan Line
	ended   bool
}

// NewClient returns a client that writes requests to in, the standard input of the process.
func NewClient(in io.Writer) *Client {
	return &Client{out: NewWriter(in), waiting: make(map[int64]chan Line)}
}

// Call asks for op and stores the result in result, unless that is nil. When ctx ends first the process is told so.
func (c *Client) Call(ctx context.Context, op string, params, result any) error {
	text, err := json.Marshal(params)
	if err != nil {
		return err
	}
	reply := make(chan Line, 1)
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return ErrEnded
	}
	c.next++
	id := c.next
	c.waiting[id] = reply
	c.mu.Unlock()
	defer c.forget(id)

	if err := c.out.Write(Request{ID: id, Op: op, Params: text}); err != nil {
		return fmt.Errorf("%w: %w", ErrEnded, err)
	}
	select {
	case line, ok := <-reply:
		switch {
		case !ok:
			return ErrEnded
		case line.Error != "":
			return errors.New(line.Error)
		case result == nil || line.Result == nil:
			return nil
		}
		return json.Unmarshal(line.Result, result)
	case <-ctx.Done():
		_ = c.out.Write(Request{Op: opCancel, Params: fmt.Appendf(nil, "%d", id)})
		return ctx.Err()
	}
}

func (c *Client) forget(id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
}

// Receive reads what the process writes until it ends: replies go to their calls, events to sink, files to file, and
// what is no line of ours (a panic's text, say) to other.
func (c *Client) Receive(from io.Reader, sink event.Sink, file func(name string, data []byte), other func(text string)) error {
	defer c.end()
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, MaxLine)
	for lines.Scan() {
		var record event.Record
		if json.Unmarshal(lines.Bytes(), &record) == nil {
			sink.Record(record)
			continue
		}
		var line Line
		switch err := json.Unmarshal(lines.Bytes(), &line); {
		case err == nil && line.File != "":
			file(line.File, line.Data)
		case err == nil && line.Reply != 0:
			c.mu.Lock()
			reply := c.waiting[line.Reply]
			delete(c.waiting, line.Reply)
			c.mu.Unlock()
			if reply != nil {
				reply <- line
			}
		default:
			other(lines.Text())
		}
	}
	return lines.Err()
}

func (c *Client) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for id, reply := range c.waiting {
		close(reply)
		delete(c.waiting, id)
	}
}
