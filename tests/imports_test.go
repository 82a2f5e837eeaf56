// Package tests holds what looks at the project as a whole: the rules of who may import whom, the documentation, the
// command line, and whole scenarios with real clients.
package tests

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// rule says that packages below some folders must not import some packages, and why.
type rule struct {
	in     []string // folders; their test files are free
	except []string // folders within them
	deny   []string // packages or folders, "scenario" for all of ours
	allow  []string // exceptions from deny
	why    string
}

var rules = []rule{
	{
		in:     []string{"nodes"},
		except: []string{"nodes/role"},
		deny:   []string{"scenario"},
		allow:  []string{"scenario/nodes", "scenario/host", "scenario/event", "scenario/dnsd"},
		why:    "a role runs on any engine: it knows its host and its events, no engine, no plan",
	},
	{
		in:   []string{"nodes", "dnsd"},
		deny: []string{"scenario/host/kernel", "scenario/host/netstack", "os", "os/exec", "syscall", "golang.org/x/sys/unix", "crypto/rand"},
		why:  "network, files and randomness come from the host, or virtual time and other engines break",
	},
	{
		in:    []string{"dnsd"},
		deny:  []string{"scenario"},
		allow: []string{"scenario/dnsd", "scenario/host", "scenario/event"},
		why:   "DNS servers are a library for roles",
	},
	{
		in:    []string{"host"},
		deny:  []string{"scenario"},
		allow: []string{"scenario/host", "scenario/event"},
		why:   "a host is below everything that runs on it",
	},
	{in: []string{"event"}, deny: []string{"scenario"}, allow: []string{"scenario/event"}, why: "everybody imports event"},
	{
		in:   []string{"topology"},
		deny: []string{"net/http", "os", "os/exec", "scenario/engine", "scenario/host/kernel", "scenario/fabric"},
		why:  "topology is pure: what it reads is passed in",
	},
	{
		in:     []string{"."},
		except: []string{"engine/docker"},
		deny:   []string{"github.com/testcontainers/testcontainers-go", "github.com/moby/moby"},
		why:    "only one engine speaks Docker",
	},
	{
		in:     []string{"."},
		except: []string{"fabric/kernel", "host/kernel", "engine/docker"},
		deny:   []string{"github.com/vishvananda/netlink", "github.com/google/nftables", "golang.org/x/sys/unix"},
		why:    "the kernel's network has one place, so that all else builds on every system",
	},
	{
		in:   []string{"report", "expect"},
		deny: []string{"scenario/engine", "scenario/nodes", "scenario/host", "scenario/runner"},
		why:  "a report is made from the run folder alone",
	},
	{
		in:   []string{"."},
		deny: []string{"github.com/stretchr/testify"},
		why:  "the standard testing package and go-cmp are enough",
	},
}

func TestImports(t *testing.T) {
	for _, pkg := range listPackages(t) {
		folder := strings.TrimPrefix(strings.TrimPrefix(pkg.ImportPath, "scenario"), "/")
		for _, rule := range rules {
			if !within(folder, rule.in) || within(folder, rule.except) {
				continue
			}
			for _, path := range pkg.Imports {
				if within(path, rule.deny) && !within(path, rule.allow) {
					t.Errorf("%s imports %s: %s", pkg.ImportPath, path, rule.why)
				}
			}
		}
	}
}

func TestNoInitFunctions(t *testing.T) {
	out, err := exec.Command("grep", "-rn", "--include=*.go", "^func init()", "..").Output()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
		t.Fatal(err)
	}
	if len(out) > 0 {
		t.Errorf("what runs at start-up is called by main:\n%s", out)
	}
}

type listedPackage struct {
	ImportPath string
	Imports    []string
}

func listPackages(t *testing.T) []listedPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "scenario/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []listedPackage
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listedPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func within(path string, folders []string) bool {
	for _, folder := range folders {
		if folder == "." || path == folder || strings.HasPrefix(path, folder+"/") {
			return true
		}
	}
	return false
}
