package echo

// quitter looks for the word to quit by in one stream, however it is cut into pieces.
type quitter struct {
	word string // empty: none
	line []byte // the beginning of the line that arrives, as far as it matters
	long bool   // the line is longer than the word
}

// hear takes what arrived and returns how much of it is to be sent back, and whether the connection ends then. The line
// that quits is sent back too; what comes after it is not.
func (q *quitter) hear(p []byte) (n int, quit bool) {
	if q.word == "" {
		return len(p), false
	}
	for i, b := range p {
		switch {
		case b == '\n':
			line := string(q.line)
			matches := !q.long && (line == q.word || line == q.word+"\r")
			q.line, q.long = q.line[:0], false
			if matches {
				return i + 1, true
			}
		case len(q.line) > len(q.word): // one more is room for a carriage return
			q.long = true
		default:
			q.line = append(q.line, b)
		}
	}
	return len(p), false
}
