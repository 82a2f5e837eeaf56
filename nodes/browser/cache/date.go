package cache

import (
	"strings"
	"time"
)

// ParseDate reads an HTTP date in any of its three formats (RFC 9110, section 5.6.7), as strictly as they are defined:
// what is not such a date is no time at all, so that a wrong Expires is one in the past. A year of two digits that seems
// to be more than 50 years after at is one of the past century. Letters may be of either case.
func ParseDate(at time.Time, s string) (time.Time, bool) {
	if len(s) > 64 {
		return time.Time{}, false
	}
	s, gmt := strings.CutSuffix(strings.ToUpper(s), " GMT")
	if gmt {
		if t, ok := exactly("Mon, 02 Jan 2006 15:04:05", s); ok {
			return t, true
		}
		t, ok := exactly("Monday, 02-Jan-06 15:04:05", s)
		if !ok {
			return time.Time{}, false
		}
		century := at.UTC().Year() / 100 * 100
		year := century + t.Year()%100
		if year > at.UTC().Year()+50 {
			year -= 100
		}
		day := t.Day()
		t = time.Date(year, t.Month(), day, t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
		return t, t.Day() == day
	}
	return exactly("Mon Jan _2 15:04:05 2006", s)
}

// exactly parses s, and only where it is written as the layout is, with the right number of digits. The day of the week
// has to be one, but not that of the date: senders get it wrong.
func exactly(layout, s string) (time.Time, bool) {
	t, err := time.Parse(layout, s)
	if err != nil {
		return time.Time{}, false
	}
	_, rest, _ := strings.Cut(s, " ")
	_, want, _ := strings.Cut(strings.ToUpper(t.Format(layout)), " ")
	return t, rest == want
}
