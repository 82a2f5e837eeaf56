package cache

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// age is how old the response is at a time (RFC 9111, section 4.2.3).
func (e *entry) age(at time.Time) time.Duration {
	apparent := max(0, e.received.Sub(e.date()))
	corrected := ageField(e.header) + max(0, e.received.Sub(e.sent))
	return min(max(apparent, corrected)+max(0, at.Sub(e.received)), farthest)
}

// ageField is the first value of Age; what is no number does not count (section 5.1).
func ageField(h http.Header) time.Duration {
	for _, line := range h.Values("Age") {
		first, _, _ := strings.Cut(line, ",")
		age, _ := parseSeconds(strings.Trim(first, " \t"))
		return age
	}
	return 0
}

// freshness is how long a response is fresh, and where that comes from (section 4.2.1).
type freshness struct {
	lifetime time.Duration
	source   string // in words
	explicit bool   // the server said so
}

// lifetime is how long the response stays fresh after it was made. s-maxage is for caches that several people share.
func (e *entry) lifetime() freshness {
	control := parseControl(e.header)
	if age, ok := control.seconds("max-age"); ok {
		return freshness{age, "max-age", true}
	}
	if values := e.header.Values("Expires"); len(values) > 0 {
		var first time.Time
		for i, value := range values {
			at, ok := ParseDate(e.received, value)
			if !ok {
				return freshness{0, "an Expires that is no date", true}
			}
			if i == 0 || at.Before(first) {
				first = at
			}
		}
		return freshness{min(max(0, first.Sub(e.date())), farthest), "Expires", true}
	}
	modified, ok := ParseDate(e.received, e.header.Get("Last-Modified"))
	if ok && (heuristic(e.status) || control.has("public")) {
		tenth := max(0, e.date().Sub(modified)) / 10
		return freshness{min(tenth, farthest), "a tenth of the time since Last-Modified", false}
	}
	return freshness{0, "nothing that says how long", false}
}

// heuristic says that a response of this status may be kept though the server did not say how long (RFC 9110, section
// 15.1).
func heuristic(status int) bool {
	switch status {
	case http.StatusOK, http.StatusNonAuthoritativeInfo, http.StatusNoContent, http.StatusPartialContent, http.StatusMultipleChoices,
		http.StatusMovedPermanently, http.StatusPermanentRedirect, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusGone, http.StatusRequestURITooLong, http.StatusNotImplemented:
		return true
	}
	return false
}

// seconds writes a time for a person.
func seconds(d time.Duration) string {
	d = d.Round(time.Millisecond)
	if d >= time.Minute || d == d.Truncate(time.Second) {
		return fmt.Sprintf("%d s", int64(d/time.Second))
	}
	return fmt.Sprintf("%.3g s", d.Seconds())
}
