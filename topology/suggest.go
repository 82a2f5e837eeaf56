package topology

import (
	"fmt"
	"slices"
	"strings"

	"scenario/internal/near"
)

// suggest returns advice about a word that is not among the known ones: the one that was meant, or what there is.
func suggest(word string, known []string) string {
	if meant := near.Word(word, known); meant != "" {
		return fmt.Sprintf("did you mean %q?", meant)
	}
	if len(known) == 0 {
		return "there is none"
	}
	return "there is " + list(known)
}

// suggestKey returns advice about a key that is not among those that a map can have.
func suggestKey(word string, known []string) string {
	return strings.Replace(suggest(word, known), "there is", "it can have", 1)
}

// maxListed bounds how many words an error lists.
const maxListed = 24

// list joins words as a sentence has them, sorted.
func list(words []string) string {
	words = slices.Compact(slices.Sorted(slices.Values(words)))
	if len(words) > maxListed {
		words = append(words[:maxListed:maxListed], "…")
	}
	return strings.Join(words, ", ")
}

// alternatives joins words with "or".
func alternatives(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
