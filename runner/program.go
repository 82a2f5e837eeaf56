package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"scenario/engine"
	"scenario/event"
	"scenario/expect"
	"scenario/topology"
)

const (
	outputLimit = 1 << 20  // bytes of each of a program's outputs that are kept
	lineLimit   = 64 << 10 // bytes of a line in the log; what is longer becomes several
)

// runProgram runs the step's program on its node. What it writes also becomes events of the node, as it is written.
func (s *Session) runProgram(ctx context.Context, step topology.Step) (json.RawMessage, error) {
	log := event.NewLogger(step.Node, s.folder)
	capture := func(stream string) *captured {
		return &captured{line: func(text string) { event.Emit(ctx, log, event.LogLine{Stream: stream, Message: text}) }}
	}
	stdout, stderr := capture("stdout"), capture("stderr")
	code, err := s.run.Exec(ctx, step.Node, engine.Command{Args: step.Command, Stdout: stdout, Stderr: stderr})
	result := expect.ProgramResult{Exit: code}
	var more int64
	result.Stdout, result.LeftOut = stdout.end()
	result.Stderr, more = stderr.end()
	result.LeftOut += more
	if err != nil {
		return nil, err
	}
	return json.Marshal(result)
}

// captured takes one output of a program.
type captured struct {
	line func(string) // takes each line without its end

	mu      sync.Mutex
	kept    bytes.Buffer
	begun   []byte // of a line
	leftOut int64
	ended   bool
}

// Write never fails: what is beyond the limit is left out.
func (c *captured) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return len(p), nil
	}
	n := min(len(p), outputLimit-c.kept.Len())
	c.leftOut += int64(len(p) - n)
	c.kept.Write(p[:n])
	c.begun = append(c.begun, p[:n]...)
	for {
		end, next := bytes.IndexByte(c.begun, '\n'), 0
		switch {
		case end >= 0 && end <= lineLimit:
			next = end + 1
		case len(c.begun) > lineLimit:
			end, next = lineLimit, lineLimit
		default:
			return len(p), nil
		}
		c.line(string(bytes.TrimSuffix(c.begun[:end], []byte("\r"))))
		c.begun = c.begun[next:]
	}
}

// end returns what was kept and how many bytes were left out; what is written later counts no more.
func (c *captured) end() (kept string, leftOut int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if len(c.begun) > 0 {
		c.line(string(c.begun))
	}
	if c.leftOut > 0 {
		c.line(fmt.Sprintf("… and %d bytes more", c.leftOut))
	}
	return c.kept.String(), c.leftOut
}
