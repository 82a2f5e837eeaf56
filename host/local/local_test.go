package local_test

import (
	"errors"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scenario/host/local"
)

func TestFilesGoToTheRunsFolder(t *testing.T) {
	folder := make(map[string]string)
	full := errors.New("no space left")
	h := local.New(local.Options{WriteFile: func(name string, data []byte) error {
		if name == "big" {
			return full
		}
		folder[name] = string(data)
		return nil
	}})
	for _, data := range []string{"first", "second"} {
		if err := h.WriteFile("jar/cookies.json", []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(map[string]string{"jar/cookies.json": "second"}, folder); diff != "" {
		t.Errorf("the folder differs (-want +got):\n%s", diff)
	}
	if err := h.WriteFile("big", nil); !errors.Is(err, full) {
		t.Errorf("write that fails: %v", err)
	}
	if _, err := h.ReadFile("big"); err == nil {
		t.Error("a file that could not be written is there")
	}
}

func TestNameServersAndLog(t *testing.T) {
	servers := []netip.AddrPort{netip.MustParseAddrPort("198.51.100.53:53")}
	log := slog.New(slog.DiscardHandler)
	h := local.New(local.Options{Log: log, NameServers: servers})
	if got := h.NameServers(); len(got) != 1 || got[0] != servers[0] {
		t.Errorf("name servers %v, want %v", got, servers)
	}
	if h.Log() != log {
		t.Error("the log is another one")
	}
	if local.New(local.Options{}).Log() == nil {
		t.Error("no log without one in the options")
	}
}

func TestCheckAddr(t *testing.T) {
	for _, c := range []struct {
		op, network, addr string
		ok                bool
	}{
		{"dial", "tcp", "192.0.2.1:80", true},
		{"dial", "tcp6", "[2001:db8::1%eth0]:80", true},
		{"dial", "tcp", ":80", false},
		{"dial", "tcp46", "192.0.2.1:80", false},
		{"dial", "ip4:icmp", "192.0.2.1:80", false},
		{"dial", "unix", "/run/socket", false},
		{"dial", "tcp", "www.example.com:80", false},
		{"dial", "tcp", "192.0.2.1:http", false},
		{"dial", "tcp", "192.0.2.1:65536", false},
		{"dial", "tcp", "192.0.2.1", false},
		{"listen", "tcp4", ":0", true},
		{"listen", "unix", "/run/socket", true},
		{"listen", "unix6", "/run/socket", false},
	} {
		families := []string{"tcp", "udp"}
		if c.op == "listen" {
			families = []string{"tcp", "unix"}
		}
		if err := local.CheckAddr(c.op, c.network, c.addr, families...); (err == nil) != c.ok {
			t.Errorf("%s %s %q: %v", c.op, c.network, c.addr, err)
		}
	}
}
