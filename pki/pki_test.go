package pki

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"testing"
	"time"
)

func authority(t *testing.T, seed uint64) *Authority {
	t.Helper()
	a, err := NewAuthority(seed, "scenario test")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// R15: the same seed makes the same certificates, another seed others.
func TestSameSeedSameBytes(t *testing.T) {
	request := Request{Names: []string{"shop.example", "www.shop.example"}, Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.7")}}
	issue := func(seed uint64) (string, Certificate) {
		a := authority(t, seed)
		c, err := a.Issue(request)
		if err != nil {
			t.Fatal(err)
		}
		return a.PEM(), c
	}
	firstCA, first := issue(7)
	againCA, again := issue(7)
	otherCA, other := issue(8)
	if firstCA != againCA || first != again {
		t.Error("one seed made two results")
	}
	if firstCA == otherCA || first == other {
		t.Error("two seeds made one result")
	}
}

// R15: what clients check holds for what is well, and fails for every flaw.
func TestVerification(t *testing.T) {
	a := authority(t, 1)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := []struct {
		name    string
		from    *Authority
		request Request
		ask     string
		good    bool
	}{
		{"valid", a, Request{Names: []string{"shop.example"}}, "shop.example", true},
		{"address", a, Request{Addresses: []netip.Addr{netip.MustParseAddr("2001:db8::1")}}, "2001:db8::1", true},
		{"virtual time", a, Request{Names: []string{"shop.example"}, NotAfter: at.Add(time.Hour)}, "shop.example", true},
		{"wrong name", a, Request{Names: []string{"books.example"}}, "shop.example", false},
		{"expired", a, Request{Names: []string{"shop.example"}, NotAfter: at.Add(-time.Hour)}, "shop.example", false},
		{"not yet valid", a, Request{Names: []string{"shop.example"}, NotBefore: at.Add(time.Hour)}, "shop.example", false},
		{"self-signed", a, Request{Names: []string{"shop.example"}, SelfSigned: true}, "shop.example", false},
		{"another authority", authority(t, 2), Request{Names: []string{"shop.example"}}, "shop.example", false},
	}
	roots, err := Roots(a.PEM())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := test.from.Issue(test.request)
			if err != nil {
				t.Fatal(err)
			}
			pair, err := c.TLS()
			if err != nil {
				t.Fatal(err)
			}
			server, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			go func() {
				if c, err := server.Accept(); err == nil {
					_, _ = c.Read(make([]byte, 1)) // the handshake, and the client's end
					_ = c.Close()
				}
			}()
			client, err := tls.Dial("tcp", server.Addr().String(), &tls.Config{RootCAs: roots, ServerName: test.ask, Time: func() time.Time { return at }})
			if err == nil {
				err = client.Close()
			}
			if good := err == nil; good != test.good {
				t.Errorf("the handshake says %v", err)
			}
		})
	}
}

func TestNobodysCertificate(t *testing.T) {
	if _, err := authority(t, 1).Issue(Request{}); err == nil {
		t.Error("a certificate without a name was issued")
	}
}

func TestNobodysRoots(t *testing.T) {
	if none, err := Roots(""); err != nil || !none.Equal(x509.NewCertPool()) {
		t.Errorf("who trusts nobody: %v, %v", none, err)
	}
	if _, err := Roots("-----BEGIN CERTIFICATE-----"); err == nil {
		t.Error("half a certificate was read")
	}
}

// Handshakes of one certificate have one length.
func TestSignaturesHaveOneLength(t *testing.T) {
	c, err := authority(t, 1).Issue(Request{Names: []string{"shop.example"}})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := c.TLS()
	if err != nil {
		t.Fatal(err)
	}
	signer := pair.PrivateKey.(evenSigner)
	for i := range 20 {
		digest := [32]byte{byte(i)}
		signature, err := signer.Sign(rand.Reader, digest[:], nil)
		if err != nil || len(signature) != evenSize {
			t.Errorf("digest %d: %d bytes, %v", i, len(signature), err)
		}
	}
}
