// Package tests holds what looks at the project as a whole: the rules of who may import whom, the documentation, the
// command line, and whole scenarios with real clients.
package tests

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
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
		allow:  []string{"scenario/nodes", "scenario/host", "scenario/event", "scenario/dnsd", "scenario/pki"},
		why:    "a role runs on any engine: it knows its host and its events, no engine, no plan",
	},
	{
		in:     []string{"nodes", "dnsd"},
		except: []string{"nodes/chromium"}, // the program that it runs is a part of the machine, and does all of that itself
		deny:   []string{"scenario/host/kernel", "scenario/host/netstack", "os/exec", "golang.org/x/sys/unix", "crypto/rand"},
		why:    "network, files and randomness come from the host, or virtual time and other engines break",
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
		in:    []string{"topology"},
		deny:  []string{"net/http", "os", "os/exec", "scenario/engine", "scenario/host/kernel", "scenario/fabric"},
		allow: []string{"scenario/fabric/link"},
		why:   "topology is pure: what it reads is passed in; what settings of a link there are, fabric/link says",
	},
	{in: []string{"engine/docker"}, deny: []string{"scenario/engine/embedded", "scenario/fabric/soft"}, why: "engines share nothing but plans"},
	{in: []string{"engine/embedded"}, deny: []string{"scenario/engine/docker", "scenario/fabric/kernel", "scenario/host/kernel"}, why: "engines share nothing but plans"},
	{
		in:     []string{"."},
		except: []string{"host/netstack", "fabric/soft"},
		deny:   []string{"gvisor.dev/gvisor"},
		why:    "the TCP/IP of other people has two places, so that its types and quirks stay there",
	},
	{
		in:   []string{"fabric/link", "fabric/nat", "fabric/capture"},
		deny: []string{"scenario"},
		why:  "they are functions of what is passed in, for any fabric and any engine",
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
		deny:   []string{"github.com/vishvananda/netlink", "github.com/google/nftables"},
		why:    "the kernel's network has one place, so that all else builds on every system",
	},
	{
		in:     []string{"."},
		except: []string{"fabric/kernel", "host/kernel", "engine/docker", "fabric/soft"},
		deny:   []string{"golang.org/x/sys/unix"},
		why:    "the kernel has few places (in fabric/soft it is a timer), so that all else builds on every system",
	},
	{
		in:     []string{"."},
		except: []string{"internal/bubble", "scenariotest", "host/hosttest", "fabric/fabrictest", "engine/enginetest", "internal/needs"},
		deny:   []string{"testing"},
		why:    "programs are no tests: only what is for tests, and the bubble of virtual time, know package testing",
	},
	{
		in:    []string{"report", "expect"},
		deny:  []string{"scenario/engine", "scenario/nodes", "scenario/host", "scenario/runner"},
		allow: []string{"scenario/nodes/role"},
		why:   "a report is made from the run folder alone; of roles only what they say of themselves is known",
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

// What roles and DNS servers may use of packages that reach the machine: names of errors and types, no calls.
var harmless = map[string]*regexp.Regexp{
	"os":      regexp.MustCompile(`^(Err[A-Z]\w*)$`),
	"syscall": regexp.MustCompile(`^(E[A-Z0-9]+|Errno)$`),
	"net":     regexp.MustCompile(`^([A-Z]\w*(Addr|Error|Conn|Listener|AddrPort)|IP|IPNet|Addr|Conn|Listener|Error|Err[A-Z]\w*|(Join|Split)HostPort|ParseIP|ParseMAC|Buffers|HardwareAddr|Flags|Flag[A-Z]\w*|IPv4|CIDRMask)$`),
	"http":    regexp.MustCompile(`^[A-Z]`),
}

// Roles reach the machine through their host only, or they could not run in another engine and in virtual time.
func TestRolesUseTheHost(t *testing.T) {
	forbidden := regexp.MustCompile(`^http\.(Get|Head|Post|PostForm|ListenAndServe\w*|Serve\w*TLS|Default(Client|Transport|ServeMux)|Handle|HandleFunc)$`)
	for _, root := range []string{"../nodes", "../dnsd"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			// Chromium is a program of the machine: who runs it starts a process and gives it pipes.
			if err != nil || filepath.Ext(path) != ".go" || filepath.ToSlash(path) == "../nodes/chromium/browser.go" || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "memnet") {
				return err
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				selector, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				pkg, ok := selector.X.(*ast.Ident)
				if !ok || !imports(file, pkg.Name) {
					return true
				}
				use := pkg.Name + "." + selector.Sel.Name
				if allowed := harmless[pkg.Name]; allowed != nil && !allowed.MatchString(selector.Sel.Name) || forbidden.MatchString(use) {
					t.Errorf("%s: %s reaches the machine past the host", set.Position(n.Pos()), use)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// imports says whether the file imports a package of the standard library by that name.
func imports(file *ast.File, name string) bool {
	for _, spec := range file.Imports {
		path := strings.Trim(spec.Path.Value, `"`)
		if spec.Name == nil && (path == name || path == "net/"+name) {
			return true
		}
	}
	return false
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
