package chat

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// The README names every action, argument and result field.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, action := range Kind().Actions {
		for _, of := range []any{action.Args, action.Result} {
			for _, field := range reflect.VisibleFields(reflect.TypeOf(of)) {
				name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
				if name != "" && !strings.Contains(string(text), "`"+name+"`") {
					t.Errorf("%s: the README has no `%s`", action.Name, name)
				}
			}
		}
		if !strings.Contains(string(text), "`"+action.Name+"`") {
			t.Errorf("the README has no action `%s`", action.Name)
		}
	}
}
