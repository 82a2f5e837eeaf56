package cookie

import (
	"encoding/json"
	"fmt"
	"time"
)

// file is a jar as it is kept between visits.
type file struct {
	Cookies []Cookie `json:"cookies"`
}

// Marshal writes the jar as JSON text for a person to read. Session cookies stand in it, marked as such.
func (j *Jar) Marshal() ([]byte, error) {
	text, err := json.MarshalIndent(file{j.Cookies()}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("cookie file: %w", err)
	}
	return append(text, '\n'), nil
}

// Load replaces what the jar holds by what [Jar.Marshal] wrote, as a browser that starts anew: without session cookies
// and those whose time is over.
func (j *Jar) Load(at time.Time, text []byte) error {
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return fmt.Errorf("cookie file: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.cookies = nil
	for _, c := range f.Cookies {
		if c.Session || c.expired(at) {
			continue
		}
		j.cookies = append(j.cookies, &c)
	}
	return nil
}
