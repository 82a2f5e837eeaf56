package topology

import (
	"crypto/x509"
	"encoding/pem"
	"slices"
	"testing"
	"time"

	"scenario/nodes/role"
)

// certified compiles the fixture of certificates.
func certified(t *testing.T) *Plan {
	t.Helper()
	plan, text, err := compileText(scenarioOf(t, "testdata/plans/certificates.txtar"))
	if err != nil || plan == nil {
		t.Fatal(text, err)
	}
	return plan
}

// leaf reads the first certificate of a chain.
func leaf(t *testing.T, chain string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(chain))
	if block == nil {
		t.Fatalf("no certificate: %q", chain)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// A certificate holds where its flaw lets it, in virtual time's first year and today.
func TestCertificates(t *testing.T) {
	plan := certified(t)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(plan.Authority)) {
		t.Fatal("no authority")
	}
	for _, test := range []struct {
		node  string
		names []string // that it holds for, or would but for its flaw
		flaw  role.Flaw
	}{
		{"shop", []string{"shop.example", "www.shop.example", "10.0.0.2", "localhost", "127.0.0.1", "::1"}, role.NoFlaw},
		{"unnamed", []string{"localhost"}, role.NoFlaw},
		{"old", []string{"old.example"}, role.Expired},
		{"young", []string{"young.example"}, role.NotYetValid},
		{"other", []string{"other.example"}, role.WrongName},
		{"vain", []string{"vain.example"}, role.SelfSigned},
		{"stranger", []string{"stranger.example"}, role.Untrusted},
		{"program", []string{"program.example"}, role.NoFlaw},
	} {
		node := plan.Node(test.node)
		var made *Certificate
		if node.Program != nil {
			made = node.Program.Certificate
		} else if i := slices.IndexFunc(node.Roles, func(r Role) bool { return r.Name == "web" }); i >= 0 {
			made = node.Roles[i].Certificate
		}
		if made == nil || made.Flaw != test.flaw {
			t.Errorf("node %s: certificate %+v", test.node, made)
			continue
		}
		if _, err := made.TLS(); err != nil {
			t.Errorf("node %s: %v", test.node, err)
		}
		cert := leaf(t, made.Chain)
		for _, name := range append(test.names, addressTexts(node)...) {
			for _, at := range []time.Time{time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 9, 5, 0, 0, 0, 0, time.UTC)} {
				_, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: at})
				if (err == nil) != (test.flaw == role.NoFlaw) {
					t.Errorf("node %s, %s at %s: %v", test.node, name, at, err)
				}
			}
		}
	}
	if desk := plan.Node("desk"); desk.Program.Certificate != nil {
		t.Error("a program on a node without a name has a certificate")
	}
}

func addressTexts(n *Node) []string {
	var texts []string
	for _, itf := range n.Interfaces {
		for _, a := range itf.Addresses {
			texts = append(texts, a.Addr().String())
		}
	}
	return texts
}

// Who comes by port forwards, one behind the other, knows a node by the address of the outermost router.
func TestCertificateOfForwardedNode(t *testing.T) {
	plan := certified(t)
	outside := plan.Node("gate").Interfaces[0].Addresses[0].Addr().String()
	shop := plan.Node("shop").Roles
	made := shop[slices.IndexFunc(shop, func(r Role) bool { return r.Name == "web" })].Certificate
	cert := leaf(t, made.Chain)
	if err := cert.VerifyHostname(outside); err != nil {
		t.Error(err)
	}
}

// Plans without certificates have no authority; a flaw that there is none of is an error.
func TestWithoutCertificates(t *testing.T) {
	plan, text, err := compileText([]byte("networks: [n]\nnodes: {a: {networks: [n], web: shop}}"))
	if err != nil || plan == nil || plan.Authority != "" {
		t.Errorf("authority of %s: %v", text, err)
	}
	if _, _, err := compileText([]byte("networks: [n]\nnodes: {a: {networks: [n], web: {tls: ugly}}}")); err == nil {
		t.Error("a certificate with the flaw ugly was issued")
	}
}
