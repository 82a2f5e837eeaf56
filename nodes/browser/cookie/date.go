package cookie

import (
	"strings"
	"time"
)

// ParseDate reads a cookie date, in any of the ways that servers write one (RFC 6265bis, section 5.1.1). The zone is
// UTC whatever it says.
func ParseDate(s string) (time.Time, bool) {
	var hour, minute, second, day, month, year int
	var hasTime, hasDay, hasMonth, hasYear bool
	for _, token := range strings.FieldsFunc(s, delimiter) {
		if !hasTime {
			if hour, minute, second, hasTime = parseTime(token); hasTime {
				continue
			}
		}
		if !hasDay {
			if day, hasDay = leadingNumber(token, 1, 2); hasDay {
				continue
			}
		}
		if !hasMonth {
			if month, hasMonth = parseMonth(token); hasMonth {
				continue
			}
		}
		if !hasYear {
			year, hasYear = leadingNumber(token, 2, 4)
		}
	}
	switch {
	case !hasTime || !hasDay || !hasMonth || !hasYear:
		return time.Time{}, false
	case year >= 70 && year <= 99:
		year += 1900
	case year <= 69:
		year += 2000
	}
	if year < 1601 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	at := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	return at, at.Day() == day // another day: there is no such one in the month
}

func delimiter(r rune) bool {
	return r == '\t' || r >= ' ' && r <= '/' || r >= ';' && r <= '@' || r >= '[' && r <= '`' || r >= '{' && r <= '~'
}

// parseTime reads hours, minutes and seconds of one or two digits each; what follows them does not count.
func parseTime(s string) (hour, minute, second int, ok bool) {
	h, rest, _ := strings.Cut(s, ":")
	m, sec, found := strings.Cut(rest, ":")
	if !found {
		return 0, 0, 0, false
	}
	var okHour, okMinute, okSecond bool
	hour, okHour = number(h, 1, 2)
	minute, okMinute = number(m, 1, 2)
	second, okSecond = leadingNumber(sec, 1, 2)
	return hour, minute, second, okHour && okMinute && okSecond
}

func parseMonth(s string) (int, bool) {
	if len(s) < 3 {
		return 0, false
	}
	i := strings.Index("janfebmaraprmayjunjulaugsepoctnovdec", strings.ToLower(s[:3]))
	return i/3 + 1, i >= 0 && i%3 == 0
}

// leadingNumber is the number that s starts with, of low to high digits and no more.
func leadingNumber(s string, low, high int) (int, bool) {
	return number(s[:len(s)-len(strings.TrimLeft(s, "0123456789"))], low, high)
}

// number is s where it is a number of low to high digits.
func number(s string, low, high int) (int, bool) {
	if len(s) < low || len(s) > high {
		return 0, false
	}
	n := 0
	for _, digit := range []byte(s) {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		n = n*10 + int(digit-'0')
	}
	return n, true
}
