// Package netlog reads the log of Chromium's network as it is written (--log-net-log): of all that it tells, the two ends of
// each TCP connection, which DevTools do not.
package netlog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"sync"
)

// Bounds of what is read and kept.
const (
	maxLine        = 4 << 20 // bytes of a line: the first one holds all names
	maxConnections = 10_000
	maxAddress     = 64 // bytes
)

// Connection is a TCP connection that Chromium made.
type Connection struct {
	Local, Remote string // "IP:port"
}

// Log is what has been read so far.
type Log struct {
	mu    sync.Mutex
	known map[int64]Connection
	order []int64 // those that are known, the oldest first
}

// New returns an empty log.
func New() *Log { return &Log{known: make(map[int64]Connection)} }

// Connection is the connection of that number, which is also DevTools' connectionId; the zero value where it is not known.
func (l *Log) Connection(number int64) Connection {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known[number]
}

// Read reads the log from r to its end. What is not understood is passed over.
func (l *Log) Read(r io.Reader) error {
	lines := bufio.NewReaderSize(r, 64<<10)
	connect := int64(-1)
	for {
		line, err := readLine(lines)
		if len(line) > 0 {
			if connect < 0 {
				connect = connectType(line)
			} else {
				l.take(line, connect)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// readLine is the next line without its end; one that is too long is empty.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	tooLong := false
	for {
		part, err := r.ReadSlice('\n')
		if tooLong = tooLong || len(line)+len(part) > maxLine; tooLong {
			line = nil
		} else {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimSpace(line), err
		}
	}
}

// connectType is the number that stands for TCP_CONNECT, from the line that holds all names; -1: this is not that line.
func connectType(line []byte) int64 {
	var head struct {
		Constants struct {
			Types map[string]int64 `json:"logEventTypes"`
		} `json:"constants"`
	}
	text := append(bytes.TrimSuffix(bytes.Clone(line), []byte(",")), '}')
	if json.Unmarshal(text, &head) != nil {
		return -1
	}
	if n, ok := head.Constants.Types["TCP_CONNECT"]; ok && n >= 0 {
		return n
	}
	return -1
}

// phaseEnd is the phase of an event that ends what another one began.
const phaseEnd = 2

// take notes the event of a line, where it is the end of a successful attempt to connect.
func (l *Log) take(line []byte, connect int64) {
	if !bytes.Contains(line, []byte(`"local_address"`)) {
		return
	}
	var e struct {
		Type   int64 `json:"type"`
		Phase  int   `json:"phase"`
		Source struct {
			ID int64 `json:"id"`
		} `json:"source"`
		Params struct {
			Local  string `json:"local_address"`
			Remote string `json:"remote_address"`
		} `json:"params"`
	}
	if json.Unmarshal(bytes.TrimSuffix(line, []byte(",")), &e) != nil || e.Type != connect || e.Phase != phaseEnd {
		return
	}
	if e.Params.Local == "" || len(e.Params.Local) > maxAddress || len(e.Params.Remote) > maxAddress {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.known[e.Source.ID]; !known {
		l.order = append(l.order, e.Source.ID)
	}
	l.known[e.Source.ID] = Connection{e.Params.Local, e.Params.Remote}
	if len(l.order) > maxConnections {
		delete(l.known, l.order[0])
		l.order = l.order[1:]
	}
}
