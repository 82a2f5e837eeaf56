package tests

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"scenario/internal/needs"
)

// elsewhere are commands of the documentation that another test or CI runs, by their first words.
var elsewhere = map[string]string{
	"go test":              "this is it",
	"go install":           "TestMain builds the program",
	"docker compose":       "TestCompose",
	"scenario completion":  "TestScripts of internal/cli",
	"scenario up browse.y": "TestLibrary runs the file",
}

// Every command and every scenario of README.md and docs is what it says: scenarios hold, commands succeed.
//
// A yaml block is a whole scenario; where its first line is a comment that begins with a file's name, it is kept under
// that name for the commands that follow; --engine and --time in that line say what it is for. A sh block holds commands,
// one a line; "go run ./cmd/scenario" and "scenario" are the program under test, run in the folder of the page's files.
// Only pages with programs on their nodes need Docker: all else is run on the engine that there is.
func TestDocumentation(t *testing.T) {
	for _, page := range pages(t) {
		t.Run(page, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("..", page))
			if err != nil {
				t.Fatal(err)
			}
			all := blocks(string(text))
			for _, block := range all {
				needed(t, block)
			}
			dir := t.TempDir()
			for _, block := range all {
				switch block.language {
				case "yaml":
					runYAML(t, dir, block)
				case "sh":
					runShell(t, dir, block)
				}
			}
		})
	}
}

// needed skips the test where the machine lacks what a block needs.
func needed(t *testing.T, b block) {
	t.Helper()
	if b.language != "yaml" && b.language != "sh" {
		return
	}
	if regexp.MustCompile(`\b(rootfs|image): \w`).MatchString(b.text) {
		needs.Docker(t)
	}
	if regexp.MustCompile(`(?m)^\s+chromium:|\bchromium: (\{|\})|scenario \w+ chromium\b`).MatchString(b.text) {
		needs.Docker(t)
		needs.Program(t, "chromium")
	}
	for _, program := range regexp.MustCompile(`(?m)\brun: (\w+)|^(curl|tshark) `).FindAllStringSubmatch(b.text, -1) {
		needs.Program(t, program[1]+program[2])
	}
}

// pages lists README.md and what is below docs, roles' pages included.
func pages(t *testing.T) []string {
	t.Helper()
	pages := []string{"README.md"}
	for _, root := range []string{"docs", "nodes"} {
		err := fs.WalkDir(os.DirFS(".."), root, func(path string, _ fs.DirEntry, err error) error {
			if filepath.Ext(path) == ".md" {
				pages = append(pages, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return pages
}

// block is a fenced block of a page.
type block struct {
	language, text string
	line           int
}

func blocks(page string) []block {
	var (
		all    []block
		inside bool
		one    block
	)
	for i, line := range strings.Split(page, "\n") {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && !inside:
			inside, one = true, block{language: fence, line: i + 1}
		case isFence:
			inside = false
			all = append(all, one)
		case inside:
			one.text += line + "\n"
		}
	}
	return all
}

func runYAML(t *testing.T, dir string, b block) {
	t.Helper()
	name := "example.yaml"
	if named := regexp.MustCompile(`^# ([a-z0-9-]+\.yaml)\b`).FindStringSubmatch(b.text); named != nil {
		name = named[1]
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(b.text), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"test", "--trust", name}
	first, _, _ := strings.Cut(b.text, "\n")
	for _, flag := range regexp.MustCompile(`(--(?:engine|time)) (\w+)`).FindAllStringSubmatch(first, -1) {
		args = append(args, flag[1:]...)
	}
	if got := scenario(t, dir, args...); got.code != 0 {
		t.Errorf("the scenario at line %d does not hold:\n%s%s", b.line, got.stdout, got.stderr)
	}
}

func runShell(t *testing.T, dir string, b block) {
	t.Helper()
	for line := range strings.Lines(b.text) {
		command, _, _ := strings.Cut(strings.TrimSpace(line), " #")
		command = strings.TrimSpace(command)
		if command == "" || strings.HasPrefix(command, "#") || isElsewhere(command) {
			continue
		}
		command = regexp.MustCompile(`(^|\| )(go run \./cmd/scenario|scenario)\b`).ReplaceAllString(command, "${1}"+binary())
		cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir) // apart from the runs of other tests
		if got := runCommand(t, cmd); got.code != 0 {
			t.Errorf("line %d: %s: exit code %d\n%s%s", b.line, command, got.code, got.stdout, got.stderr)
		}
	}
}

func isElsewhere(command string) bool {
	command = strings.Replace(command, "go run ./cmd/scenario", "scenario", 1)
	for prefix := range elsewhere {
		if strings.HasPrefix(command, prefix) {
			return true
		}
	}
	return false
}

// The Go code on the pages is of files that are compiled and run as tests, but for how far it is indented; so are the
// scenarios that it is about.
func TestCodeInDocumentation(t *testing.T) {
	plain := func(text string) string { return regexp.MustCompile(`(?m)^\t+`).ReplaceAllString(text, "") }
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	code, shop := plain(read("scenariotest/example_test.go")), read("scenariotest/testdata/shop.yaml")
	found := 0
	for _, page := range pages(t) {
		for _, b := range blocks(read(page)) {
			switch {
			case b.language == "go" && !strings.Contains(code, plain(b.text)):
				t.Errorf("%s, line %d: this is not in scenariotest/example_test.go", page, b.line)
			case strings.HasPrefix(b.text, "# shop.yaml") && b.text != shop:
				t.Errorf("%s, line %d: this is not scenariotest/testdata/shop.yaml", page, b.line)
			case b.language == "go":
				found++
			}
		}
	}
	if found == 0 {
		t.Error("there is none")
	}
}

// Links between the pages lead somewhere.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, page := range slices.Concat(pages(t), []string{"AGENTS.md"}) {
		text, err := os.ReadFile(filepath.Join("..", page))
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join("..", filepath.Dir(page), found[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}
