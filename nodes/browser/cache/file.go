package cache

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// file is a cache as it is kept between visits.
type file struct {
	Responses []record `json:"responses"` // what was used last comes first
}

// record is a stored response in a file.
type record struct {
	Partition string            `json:"partition,omitempty"`
	URL       string            `json:"url"`
	Vary      map[string]string `json:"vary,omitempty"`
	Head      bool              `json:"head,omitempty"`
	Status    int               `json:"status"`
	Header    http.Header       `json:"header"`
	Sent      time.Time         `json:"sent"`
	Received  time.Time         `json:"received"`
	Invalid   bool              `json:"invalid,omitempty"`
	Total     int64             `json:"total"` // bytes of the content; negative: not known
	Parts     []piece           `json:"parts,omitempty"`
}

// piece is a part of the content: text as it is, anything else in base64.
type piece struct {
	Start int64  `json:"start"`
	Text  string `json:"text,omitempty"`
	Bytes []byte `json:"bytes,omitempty"`
}

// Marshal writes the cache as JSON text, a line for each response. Its size is bounded by the cache's [Limits], by a third more for contents that
// are not text, and six times as much for text that JSON escapes.
func (c *Cache) Marshal() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*entry
	for _, variants := range c.entries {
		all = append(all, variants...)
	}
	slices.SortFunc(all, func(a, b *entry) int { return cmp.Compare(b.used, a.used) })
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	b.WriteString("{\"responses\":[\n")
	for i, e := range all {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := encoder.Encode(e.record()); err != nil {
			return nil, fmt.Errorf("cache file: %w", err)
		}
	}
	b.WriteString("]}\n")
	return b.Bytes(), nil
}

// record is e as a file has it.
func (e *entry) record() record {
	r := record{
		Partition: e.key.partition, URL: e.key.url, Vary: e.vary, Head: e.head, Status: e.status, Header: e.header,
		Sent: e.sent, Received: e.received, Invalid: e.invalid, Total: e.total,
	}
	for _, p := range e.parts {
		if text(p.data) {
			r.Parts = append(r.Parts, piece{Start: p.start, Text: string(p.data)})
		} else {
			r.Parts = append(r.Parts, piece{Start: p.start, Bytes: p.data})
		}
	}
	return r
}

// text says that data can stand in JSON as text and come back the same.
func text(data []byte) bool {
	for _, b := range data {
		if b < ' ' && b != '\t' && b != '\r' && b != '\n' {
			return false
		}
	}
	return utf8.Valid(data) && !bytes.ContainsRune(data, utf8.RuneError)
}

// Load replaces what the cache holds by what [Cache.Marshal] wrote, as far as its limits allow. A record that no cache
// writes is left out.
func (c *Cache) Load(data []byte) error {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return fmt.Errorf("cache file: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
	c.size = 0
	for _, r := range slices.Backward(f.Responses) {
		if e, ok := r.entry(); ok && e.measure() <= c.limits.Response {
			c.add(e)
		}
	}
	return nil
}

// entry is the stored response; false where the record is none.
func (r record) entry() (*entry, bool) {
	e := &entry{
		key: key{r.Partition, r.URL}, vary: maps.Clone(r.Vary), head: r.Head, status: r.Status, header: make(http.Header),
		total: max(-1, r.Total), sent: r.Sent, received: r.Received, invalid: r.Invalid,
	}
	for name, values := range r.Header {
		if !token(name) {
			return nil, false
		}
		for _, value := range values {
			if strings.ContainsAny(value, "\r\n\x00") {
				return nil, false
			}
			e.header.Add(name, value)
		}
	}
	end := int64(-1)
	for _, p := range r.Parts {
		data := append([]byte(p.Text), p.Bytes...)
		if p.Start <= end || len(data) == 0 || p.Start > 1<<60 {
			return nil, false
		}
		end = p.Start + int64(len(data))
		e.parts = append(e.parts, part{p.Start, data})
	}
	sound := r.URL != "" && r.Status >= 200 && r.Status <= 999 && r.Status != http.StatusNotModified && r.Status != http.StatusPartialContent &&
		(e.total < 0 || end <= e.total) && (!e.head || len(e.parts) == 0)
	return e, sound
}
