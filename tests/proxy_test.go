package tests

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"scenario/internal/needs"
)

// R8: curl and Chromium on this machine see the network as a node of it does, which the servers there take them for.
func TestProxy(t *testing.T) {
	needs.Program(t, "curl")
	for _, engine := range []string{"docker", "embedded"} {
		t.Run(engine, func(t *testing.T) {
			if engine == "docker" {
				needs.Docker(t)
			}
			dir := t.TempDir()
			run := func(name string, args ...string) outcome {
				cmd := exec.CommandContext(t.Context(), name, args...)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir)
				return runCommand(t, cmd)
			}
			up := run(binary(), "up", "-d", "--engine", engine, "--name", "proxy-"+engine, "--proxy", "laptop", "hello")
			up.expectCode(t, 0)
			defer func() { run(binary(), "down").expectCode(t, 0) }()
			at := regexp.MustCompile(`proxy into laptop .*?: (127\.\S+)`).FindStringSubmatch(up.stderr)
			if at == nil {
				t.Fatalf("no address is told:\n%s", up.stderr)
			}
			proxied(t, at[1], run)
			t.Run("chromium", func(t *testing.T) {
				needs.Program(t, "chromium")
				page := run("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
					"--user-data-dir="+t.TempDir(), "--proxy-server=socks5://"+at[1], "--dump-dom", "http://hello.example/")
				page.expectCode(t, 0)
				if want := "This page came over the network."; !strings.Contains(page.stdout, want) {
					t.Errorf("%q is not on the page:\n%s\n%s", want, page.stdout, page.stderr)
				}
			})
		})
	}
}

// proxied uses the proxy at an address with curl.
func proxied(t *testing.T, at string, run func(name string, args ...string) outcome) {
	t.Helper()
	curl := func(scheme, url string) outcome {
		return run("curl", "-sS", "--user-agent", "curl by "+scheme, "--proxy", scheme+"://"+at, url)
	}
	for _, scheme := range []string{"socks5h", "http"} {
		page := curl(scheme, "http://hello.example/")
		page.expectCode(t, 0)
		if !strings.Contains(page.stdout, "<title>Hello</title>") {
			t.Errorf("%s: %s", scheme, page.stdout)
		}
		seen := run(binary(), "logs", "--json", "server").stdout
		if !regexp.MustCompile(`"http.request".*curl by ` + scheme + `.*"remote":"192\.168\.1\.10:|"remote":"192\.168\.1\.10:.*curl by ` + scheme).MatchString(seen) {
			t.Errorf("the server did not see the laptop's address:\n%s", seen)
		}
	}
	for url, told := range map[string][2]string{
		"http://nosuch.example/":   {"(4)", "no such name (NXDOMAIN from 192.168.1."},
		"http://hello.example:81/": {"(5)", "ECONNREFUSED: the machine answered that nothing listens on this port"},
	} {
		if got := curl("socks5h", url); got.code != 97 || !strings.Contains(got.stderr, told[0]) {
			t.Errorf("SOCKS5: %s: exit code %d: %s", url, got.code, got.stderr)
		}
		if got := curl("http", url); !strings.Contains(got.stdout, told[1]) {
			t.Errorf("HTTP: %s: %s", url, got.stdout)
		}
	}
	if told := run(binary(), "logs", "laptop").stdout; !strings.Contains(told, "trace=visitor/1") {
		t.Errorf("the laptop does not tell of the connections:\n%s", told)
	}
}
