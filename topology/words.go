package topology

import (
	"errors"
	"fmt"
	"strings"
)

// splitWords splits a command line into words as a shell does: by blanks, with '…', "…" and \ to keep them together
// (POSIX.1-2024, Shell and Utilities, section 2.2). What else means something to a shell, unquoted, is an error, for no
// shell will see it.
func splitWords(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, quote := false, rune(0)
	escaped := false
	for _, r := range line {
		switch {
		case escaped:
			if quote == '"' && !strings.ContainsRune("$`\"\\\n", r) {
				word.WriteByte('\\')
			}
			if r != '\n' {
				word.WriteRune(r)
			}
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, inWord = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote == '\'' || quote == '"' && r != '$' && r != '`':
			word.WriteRune(r)
		case quote == 0 && (r == '\'' || r == '"'):
			quote, inWord = r, true
		case quote == 0 && strings.ContainsRune(" \t\n", r):
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		case strings.ContainsRune("|&;<>()$`", r):
			return nil, fmt.Errorf("%q means something to a shell, and no shell reads this command", string(r))
		default:
			inWord = true
			word.WriteRune(r)
		}
	}
	switch {
	case quote != 0:
		return nil, errors.New("a quote is not closed")
	case escaped:
		return nil, errors.New("a \\ at the end quotes nothing")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}
