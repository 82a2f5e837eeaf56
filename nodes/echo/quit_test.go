package echo

import "testing"

func TestQuitter(t *testing.T) {
	tests := []struct {
		word, text string
		echoed     int
		quit       bool
	}{
		{"q", "", 0, false},
		{"q", "q", 1, false},
		{"q", "q\n", 2, true},
		{"q", "q\r\n", 3, true},
		{"q", "q\r\r\n", 4, false},
		{"q", "q\nmore", 2, true},
		{"q", "hello\nq\n", 8, true},
		{"q", "quit\n", 5, false},
		{"q", "aq\n", 3, false},
		{"q", "\n\nq\n", 4, true},
		{"exit", "exit\n", 5, true},
		{"exit", "exi\n", 4, false},
		{"", "\n", 1, false},
	}
	for _, test := range tests {
		q := quitter{word: test.word}
		if n, quit := q.hear([]byte(test.text)); n != test.echoed || quit != test.quit {
			t.Errorf("%q with the word %q: %d, %v, want %d, %v", test.text, test.word, n, quit, test.echoed, test.quit)
		}
	}
}

// A stream means the same, into whatever pieces it is cut.
func FuzzQuitter(f *testing.F) {
	f.Add([]byte("hello\nq\nmore"), "q", 3)
	f.Add([]byte("exit\r\n"), "exit", 1)
	f.Fuzz(func(t *testing.T, text []byte, word string, piece int) {
		whole := quitter{word: word}
		echoed, quit := whole.hear(text)
		if !quit && echoed != len(text) {
			t.Fatalf("%q: %d bytes echoed, and no end", text, echoed)
		}
		pieces, sum, ended := quitter{word: word}, 0, false
		piece = max(1, piece%8)
		for rest := text; len(rest) > 0 && !ended; rest = rest[min(piece, len(rest)):] {
			var n int
			n, ended = pieces.hear(rest[:min(piece, len(rest))])
			sum += n
		}
		if sum != echoed || ended != quit {
			t.Errorf("%q whole: %d, %v; in pieces of %d: %d, %v", text, echoed, quit, piece, sum, ended)
		}
	})
}
