package report

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// seconds writes a duration in seconds with as many digits as tell something.
func seconds(s float64) string {
	ms := s * 1000
	switch {
	case math.IsNaN(s) || math.IsInf(s, 0):
		return "?"
	case ms < 1:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	case s < 1e6:
		return fmt.Sprintf("%.2f s", s)
	}
	return fmt.Sprintf("%.0e s", s)
}

// lasting writes a length of time that may be days, in seconds.
func lasting(s float64) string {
	const minute, hour, day = 60, 60 * 60, 24 * 60 * 60
	switch {
	case s >= 2*day:
		return fmt.Sprintf("%.3g days", s/day)
	case s >= 2*hour:
		return fmt.Sprintf("%.3g h", s/hour)
	case s >= 2*minute:
		return fmt.Sprintf("%.3g min", s/minute)
	}
	return seconds(s)
}

// since writes when something was, seen from the beginning of its step.
func since(start, at time.Time) string {
	if start.IsZero() || at.IsZero() {
		return ""
	}
	d := at.Sub(start)
	if d >= 10*time.Second || d <= -10*time.Second {
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
}

// size writes a number of bytes.
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// count writes a number with its noun: 1 request, 2 requests, 3 queries.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
