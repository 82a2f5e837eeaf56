package enginetest

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"

	"scenario/host"
)

// secured is a listener that speaks TLS with the role's certificate.
func secured(ctx context.Context, h host.Host) (net.Listener, error) {
	plain, err := h.Listen(ctx, "tcp", ":443")
	if err != nil {
		return nil, err
	}
	return tls.NewListener(plain, &tls.Config{Certificates: []tls.Certificate{*host.Certificate(h)}, KeyLogWriter: host.KeyLog(h)}), nil
}

// greetSecurely connects to a greeter that proves that it has a name. to is "NAME IP:PORT".
func greetSecurely(ctx context.Context, h host.Host, to string) (string, error) {
	name, addr, _ := strings.Cut(to, " ")
	plain, err := h.Dial(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	defer plain.Close()
	conn := tls.Client(plain, &tls.Config{ServerName: name, RootCAs: host.Roots(h), KeyLogWriter: host.KeyLog(h)})
	if err := conn.HandshakeContext(ctx); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

// trusts expects that a role that asks for a certificate has one, which other nodes trust, unless something is to be wrong
// with it; and that a node knows where to search for short names.
func trusts(b *bench) {
	plan := b.plan(b.name, "tls: untrusted", "tls: sound")
	node(plan, "laptop").Search = []string{"corp.example.", "example."}
	run, _ := b.start(plan)
	for _, to := range []string{"server.example 198.51.100.80:443", "198.51.100.80 198.51.100.80:443"} {
		if got := b.do(run, "laptop", "greet-securely", to); !strings.HasPrefix(got, `"hello 198.51.100.1:`) {
			b.Errorf("the server greeted %s", got)
		}
	}
	for to, want := range map[string]string{
		"wrong.example 198.51.100.80:443": "not wrong.example",
		"192.168.1.10 192.168.1.10:443":   "unknown authority",
	} {
		if _, err := run.Do(b.Context(), "laptop", call("greet-securely", to)); err == nil || !strings.Contains(err.Error(), want) {
			b.Errorf("greet %s: %v, want %s", to, err, want)
		}
	}
	for name, want := range map[string]string{"laptop": "[corp.example. example.]", "server": "[]"} {
		if got := b.do(run, name, "search", ""); got != fmt.Sprintf("%q", want) {
			b.Errorf("node %s searches in %s, want %s", name, got, want)
		}
	}
}

// keyLogs expects the secrets of TLS sessions in captures where the plan asks for them (R37), and else not.
func keyLogs(b *bench) {
	secret := []byte("CLIENT_TRAFFIC_SECRET_0 ")
	for _, wanted := range []bool{true, false} {
		plan := b.plan(fmt.Sprintf("%s-%t", b.name, wanted), "", "tls: sound")
		plan.TLSKeys = wanted
		node(plan, "laptop").Interfaces[0].Capture = true
		if err := b.engine.Check(b.Context(), plan); err != nil {
			b.Skip(err)
		}
		run, out := b.start(plan)
		b.do(run, "laptop", "greet-securely", "server.example 198.51.100.80:443")
		b.stop(run, out, plan)
		if got := bytes.Contains(out.captures["laptop/home"].Bytes(), secret); got != wanted {
			b.Errorf("asked for secrets: %t, they are in the capture: %t", wanted, got)
		}
	}
}
