package near

import "testing"

func TestWord(t *testing.T) {
	known := []string{"browse", "nat", "bind", "hops"}
	for word, want := range map[string]string{
		"browse":             "browse",
		"Browse":             "browse",
		"brwose":             "browse",
		"browser":            "browse",
		"bwser":              "",
		"nta":                "nat",
		"hop":                "hops",
		"bend":               "bind",
		"":                   "",
		"quite-another-word": "",
	} {
		if got := Word(word, known); got != want {
			t.Errorf("Word(%q) = %q, want %q", word, got, want)
		}
	}
}
