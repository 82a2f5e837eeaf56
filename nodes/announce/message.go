package announce

import (
	"bytes"
	"strconv"
	"strings"
)

// maxDigits bounds numbers to those that every int holds.
const maxDigits = 9

// format is a datagram: "#", the announcement's number, a space and the text. A person can write one by hand.
func format(number int, text string) []byte {
	return []byte("#" + strconv.Itoa(number) + " " + text)
}

// parse reads a datagram. One that is not in that form, as of another program, has the number 0 and is text as a whole;
// what is no UTF-8 in it becomes U+FFFD.
func parse(datagram []byte) (number int, text string) {
	if rest, ok := bytes.CutPrefix(datagram, []byte("#")); ok {
		digits, after, spaced := bytes.Cut(rest, []byte(" "))
		if n, ok := parseNumber(digits); ok && spaced {
			return n, clean(after)
		}
	}
	return 0, clean(datagram)
}

// parseNumber reads a number from 1, without leading zeros.
func parseNumber(digits []byte) (int, bool) {
	if len(digits) == 0 || len(digits) > maxDigits || digits[0] == '0' {
		return 0, false
	}
	n := 0
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = 10*n + int(d-'0')
	}
	return n, true
}

func clean(text []byte) string { return strings.ToValidUTF8(string(text), "\ufffd") }
