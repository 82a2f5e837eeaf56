package expect

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// shownLength is how many characters of a value a reason shows.
const shownLength = 200

// show is a value as it would be written in an expression, bounded.
func show(v ref.Val) string {
	switch v := v.(type) {
	case types.String:
		return strconv.Quote(clip(string(v)))
	case types.Bytes:
		return count(len(v), "byte")
	case types.Timestamp:
		return v.UTC().Format(time.RFC3339Nano)
	case types.Duration:
		return v.Duration.String()
	case types.Null:
		return "null"
	case traits.Lister:
		return showList(v)
	case traits.Mapper:
		return showMap(v)
	}
	return fmt.Sprint(v.Value())
}

func showMap(m traits.Mapper) string {
	var all []string
	length := 0
	for _, key := range keysOf(m) {
		value, ok := m.Find(types.String(key))
		if !ok {
			continue
		}
		all = append(all, key+": "+show(value))
		if length += len(all[len(all)-1]); length > shownLength {
			break
		}
	}
	return clip("{" + strings.Join(all, ", ") + "}")
}

func showList(l traits.Lister) string {
	var all []string
	length := 0
	for i := l.Iterator(); i.HasNext() == types.True && length <= shownLength; {
		all = append(all, show(i.Next()))
		length += len(all[len(all)-1])
	}
	return clip("[" + strings.Join(all, ", ") + "]")
}

// keysOf are a map's keys in order.
func keysOf(m traits.Mapper) []string {
	var keys []string
	for i := m.Iterator(); i.HasNext() == types.True; {
		keys = append(keys, fmt.Sprint(i.Next().Value()))
	}
	slices.Sort(keys)
	return keys
}

func clip(text string) string {
	if runes := []rune(text); len(runes) > shownLength {
		return string(runes[:shownLength]) + "…"
	}
	return text
}

// count is a number of things.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	head, tail, of := strings.Cut(noun, " of ")
	if of {
		tail = " of " + tail
	}
	return strconv.Itoa(n) + " " + head + "s" + tail
}

func plural(n int, one, many string) string {
	if n == 1 || n == 0 {
		return one
	}
	return many
}

// typeOf is a value's type with its article.
func typeOf(v ref.Val) string {
	name := v.Type().TypeName()
	if v == types.NullValue {
		return "null"
	}
	return article(name[strings.LastIndex(name, ".")+1:])
}

func article(noun string) string {
	if strings.ContainsAny(noun[:1], "aeiou") {
		return "an " + noun
	}
	return "a " + noun
}
