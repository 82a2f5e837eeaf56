package dns

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"scenario/event"
	"scenario/host/kernel"
	"scenario/internal/needs"
	"scenario/pki"
)

// R2, R15: dig asks over TLS and over HTTPS, by POST and by GET, and verifies the server by its address.
func TestDigEncrypted(t *testing.T) {
	needs.Program(t, "dig")
	authority, err := pki.NewAuthority(1, "scenario test")
	if err != nil {
		t.Fatal(err)
	}
	issued, err := authority.Issue(pki.Request{Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := issued.TLS()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte(authority.PEM()), 0o600); err != nil {
		t.Fatal(err)
	}
	plain, overTLS, overHTTPS := freePort(t), freePort(t), freePort(t)
	role, err := Kind().New(json.RawMessage(fmt.Sprintf(
		`{"zones": {"shop.example": {"records": ["@ A 192.0.2.80", "@ 60 HTTPS 1 . alpn=h2,h3 port=8443", "x SVCB 0 y"]}}, "listen": ["127.0.0.1:%d"],
		"tls": {"listen": "127.0.0.1:%d"}, "https": {"listen": "127.0.0.1:%d"}}`, plain, overTLS, overHTTPS)))
	if err != nil {
		t.Fatal(err)
	}
	var tells diary
	h := kernel.New(kernel.Options{Log: event.NewLogger("ns", &tells), Certificate: &pair})
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- role.Serve(ctx, h, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})

	trust := " +tls-ca=" + file + " +tls-hostname=127.0.0.1"
	for _, test := range []struct {
		name string
		port uint16
		args string
		want string
	}{
		{"tls", overTLS, "shop.example +norec +tls" + trust, "NOERROR qr aa\nshop.example. 300 IN A 192.0.2.80"},
		{"tls, https record", overTLS, "shop.example HTTPS +norec +tls" + trust, "NOERROR qr aa\nshop.example. 60 IN HTTPS 1 . alpn=\"h2,h3\" port=8443"},
		{"tls, svcb record", overTLS, "x.shop.example SVCB +norec +tls" + trust, "NOERROR qr aa\nx.shop.example. 300 IN SVCB 0 y.shop.example."},
		{"https, post", overHTTPS, "shop.example +norec +https" + trust, "NOERROR qr aa\nshop.example. 300 IN A 192.0.2.80"},
		{"https, get", overHTTPS, "shop.example +norec +https-get" + trust, "NOERROR qr aa\nshop.example. 300 IN A 192.0.2.80"},
	} {
		if diff := gocmp.Diff(test.want, dig(t, test.port, test.args)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	for _, transport := range []string{"tls", "https"} {
		if want := "> " + transport + " NOERROR"; !slices.ContainsFunc(tells.told(), func(line string) bool { return strings.Contains(line, want) }) {
			t.Errorf("nothing with %q is told: %q", want, tells.told())
		}
	}
	output, err := exec.Command("dig", "@127.0.0.1", "-p", strconv.Itoa(int(overTLS)), "shop.example", "+tls", "+tls-ca="+file, "+tls-hostname=bank.example", "+tries=1").Output()
	if err == nil && strings.Contains(string(output), "NOERROR") {
		t.Errorf("dig takes the certificate for another name:\n%s", output)
	}
}
