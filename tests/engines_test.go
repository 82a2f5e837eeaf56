package tests

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scenario/engine/enginetest"
)

// known is a difference between what two engines tell of the same scenario that is there for a reason.
type known struct {
	engines   [2]string // by their names in ways, one after the other
	event     string
	attribute string    // empty: the event is told by one engine alone
	values    [2]string // what stands there, or in the event, in a few words; PORT is any; empty: nothing
	why       string
}

// knownDifferences are all there are: any other fails TestLibrary, and so does one that is not met there.
func knownDifferences() []known {
	const noIPv6 = "Where networks have IPv4 alone, nodes of the embedded engine have no IPv6 at all, which makes them " +
		"smaller; Linux has it on its loopback interface."
	engines := [2]string{ways[0].name, ways[1].name}
	return []known{
		{engines, "socket.listen", "local", [2]string{"[::]:PORT", "0.0.0.0:PORT"}, noIPv6},
		{engines, "socket.bind", "local", [2]string{"[::]:PORT", "0.0.0.0:PORT"}, noIPv6},
		{engines, "socket.close", "local", [2]string{"[::]:PORT", "0.0.0.0:PORT"}, noIPv6},
		{engines, "socket.send", "local", [2]string{"[::]:PORT", "0.0.0.0:PORT"}, noIPv6},
		{engines, "socket.recv", "local", [2]string{"[::]:PORT", "0.0.0.0:PORT"}, noIPv6},
		{engines, "socket.listen", "", [2]string{"[::1]:PORT", ""}, noIPv6},
	}
}

// is says whether a difference that was met is this one.
func (k known) is(engines [2]string, d enginetest.Difference) bool {
	return k.engines == engines && k.event == d.Event && k.attribute == d.Attribute &&
		stands(k.values[0], d.One) && stands(k.values[1], d.Other)
}

func stands(value, in string) bool {
	if value == "" {
		return in == ""
	}
	pattern := strings.ReplaceAll(regexp.QuoteMeta(value), "PORT", `\d+`)
	return regexp.MustCompile(pattern).MatchString(in)
}

// differences are those that were met. The zero value is none.
type differences struct {
	mu       sync.Mutex
	compared map[[2]string]int // scenarios, by engines
	met      map[int]bool      // by number in the list of those that are known
}

// compare fails the test where two engines told something else and no reason is known. What one did not tell at all is not
// compared: that engine is not here.
func (d *differences) compare(t *testing.T, engines [2]string, one, other []enginetest.Fact) {
	t.Helper()
	if one == nil || other == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.met == nil {
		d.compared, d.met = make(map[[2]string]int), make(map[int]bool)
	}
	d.compared[engines]++
	for _, found := range enginetest.Compare(one, other) {
		i := slices.IndexFunc(knownDifferences(), func(k known) bool { return k.is(engines, found) })
		if i < 0 {
			t.Errorf("%s tells %s in another way:\n%s %s\n%s: %s\n%s: %s",
				found.Node, found.Event, found.Event, found.Attribute, engines[0], found.One, engines[1], found.Other)
			continue
		}
		d.met[i] = true
	}
}

// complete fails the test where the whole library was run and a difference that is known was not met: it is no more.
func (d *differences) complete(t *testing.T) {
	t.Helper()
	everywhere := slices.DeleteFunc(libraryFiles(t), func(name string) bool { return programOf(t, name) != "" })
	for i, k := range knownDifferences() {
		if d.compared[k.engines] == len(everywhere) && !d.met[i] {
			t.Errorf("that %s and %s differ in %s %s was not met", k.engines[0], k.engines[1], k.event, k.attribute)
		}
	}
}

// Where docs/engines.md holds the table of differences.
const (
	enginesPage = "../docs/engines.md"
	tableBegin  = "<!-- Made from tests/engines_test.go: go test ./tests -run TestEnginesPage -update -->\n"
	tableEnd    = "<!-- End of what is made. -->\n"
)

func TestEnginesPage(t *testing.T) {
	text, err := os.ReadFile(enginesPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(text), tableBegin)
	_, after, ok := strings.Cut(rest, tableEnd)
	if !ok {
		t.Fatalf("%s has no place for the table", enginesPage)
	}
	want := before + tableBegin + differencesTable() + tableEnd + after
	if *update {
		if err := os.WriteFile(enginesPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("%s is out of date; run go test ./tests -run TestEnginesPage -update:\n%s", enginesPage, diff)
	}
}

func differencesTable() string {
	all := knownDifferences()
	var table strings.Builder
	table.WriteString("\n| event | attribute | | | why |\n|---|---|---|---|---|\n")
	for _, k := range all {
		attribute := k.attribute
		if attribute == "" {
			attribute = "(all of it)"
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s | %s |\n", k.event, attribute, k.cell(0), k.cell(1), k.why)
	}
	for i, one := range ways[1:] {
		engines := [2]string{ways[i].name, one.name}
		if !slices.ContainsFunc(all, func(k known) bool { return k.engines == engines }) {
			fmt.Fprintf(&table, "\nBetween %s and %s there is no difference.\n", engines[0], engines[1])
		}
	}
	table.WriteString("\n")
	return table.String()
}

// cell says what one of the engines has.
func (k known) cell(i int) string {
	if k.values[i] == "" {
		return k.engines[i] + ": not told"
	}
	return k.engines[i] + ": `" + k.values[i] + "`"
}
