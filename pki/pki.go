// Package pki makes the certificates of a scenario: an authority of its own and what that signs (RFC 5280).
//
// Everything is a function of the seed: the same scenario has the same keys and certificates, byte by byte. They are for
// simulations alone, because whoever knows the seed knows every key.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"time"
)

// validity is when certificates are valid unless a [Request] says otherwise: it includes virtual time, which begins in
// 2000.
func validity() (begin, end time.Time) {
	return time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2099, 12, 31, 23, 59, 59, 0, time.UTC)
}

// Authority is a certification authority.
type Authority struct {
	seed uint64
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// NewAuthority returns the authority of a seed. name is what people read as the issuer.
func NewAuthority(seed uint64, name string) (*Authority, error) {
	key, err := newKey(seed, "authority "+name)
	if err != nil {
		return nil, fmt.Errorf("authority %s: %w", name, err)
	}
	begin, end := validity()
	template := &x509.Certificate{
		SerialNumber: serial(seed, "authority "+name), Subject: pkix.Name{CommonName: name, Organization: []string{"scenario"}},
		NotBefore: begin, NotAfter: end, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
	}
	cert, err := sign(template, template, key, key)
	if err != nil {
		return nil, fmt.Errorf("authority %s: %w", name, err)
	}
	return &Authority{seed: seed, key: key, cert: cert}, nil
}

// PEM is the authority's own certificate, as programs take it into their lists of trust.
func (a *Authority) PEM() string { return certificatePEM(a.cert) }

// Request is what a certificate is to say.
type Request struct {
	Names     []string // DNS names without a final dot; the first is the subject
	Addresses []netip.Addr
	NotBefore time.Time // zero: since long
	NotAfter  time.Time // zero: for long
	// SelfSigned has the certificate signed with its own key, not the authority's.
	SelfSigned bool
}

// Issue makes a key and a certificate. Requests that are alike get the same.
func (a *Authority) Issue(r Request) (Certificate, error) {
	label := fmt.Sprint("leaf ", r.Names, r.Addresses, r.NotBefore.UTC(), r.NotAfter.UTC(), r.SelfSigned)
	key, err := newKey(a.seed, label)
	if err != nil {
		return Certificate{}, fmt.Errorf("certificate of %v: %w", r.Names, err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(a.seed, label), NotBefore: r.NotBefore, NotAfter: r.NotAfter, DNSNames: r.Names,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	begin, end := validity()
	if template.NotBefore.IsZero() {
		template.NotBefore = begin
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = end
	}
	for _, addr := range r.Addresses {
		template.IPAddresses = append(template.IPAddresses, net.IP(addr.AsSlice()))
	}
	switch {
	case len(r.Names) > 0:
		template.Subject.CommonName = r.Names[0]
	case len(r.Addresses) > 0:
		template.Subject.CommonName = r.Addresses[0].String()
	default:
		return Certificate{}, errors.New("certificate: neither a name nor an address is given")
	}
	parent, signer, chain := a.cert, a.key, certificatePEM(a.cert)
	if r.SelfSigned {
		parent, signer, chain = template, key, ""
	}
	cert, err := sign(template, parent, key, signer)
	if err != nil {
		return Certificate{}, fmt.Errorf("certificate of %s: %w", template.Subject.CommonName, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Certificate{}, fmt.Errorf("key of %s: %w", template.Subject.CommonName, err)
	}
	return Certificate{
		Chain: certificatePEM(cert) + chain,
		Key:   string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	}, nil
}

// Roots is the pool of who trusts one authority, given as PEM. Who trusts nobody gives "" and gets an empty one.
func Roots(authority string) (*x509.CertPool, error) {
	roots := x509.NewCertPool()
	if authority != "" && !roots.AppendCertsFromPEM([]byte(authority)) {
		return nil, errors.New("authority: its certificate cannot be read")
	}
	return roots, nil
}

// Certificate is a certificate with what leads from it to an authority, and its key, as PEM.
type Certificate struct {
	Chain string `json:"chain"`
	Key   string `json:"key"`
}

// TLS is the certificate as crypto/tls takes it. Its signatures all have the same length, so that handshakes have the
// same number of bytes each time: ECDSA's own vary.
func (c Certificate) TLS() (tls.Certificate, error) {
	pair, err := tls.X509KeyPair([]byte(c.Chain), []byte(c.Key))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate: %w", err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return tls.Certificate{}, fmt.Errorf("certificate: its key is %T, not ECDSA", pair.PrivateKey)
	}
	pair.PrivateKey = evenSigner{key}
	return pair, nil
}

// evenSigner signs until the signature has the length that most have.
type evenSigner struct{ *ecdsa.PrivateKey }

const (
	// evenSize is the most frequent length of an ECDSA signature over P-256 in DER, in bytes: that of one in two.
	evenSize = 71
	maxTries = 64
)

// Sign implements [crypto.Signer]. Without randomness there is one signature alone, of whatever length.
func (s evenSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	for try := 1; ; try++ {
		signature, err := s.PrivateKey.Sign(random, digest, opts)
		if err != nil || len(signature) == evenSize || random == nil || try == maxTries {
			return signature, err
		}
	}
}

// steadySigner signs the same digest always the same way (RFC 6979).
type steadySigner struct{ *ecdsa.PrivateKey }

// Sign implements [crypto.Signer].
func (s steadySigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.PrivateKey.Sign(nil, digest, opts)
}

func sign(template, parent *x509.Certificate, of, with *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(nil, template, parent, of.Public(), steadySigner{with})
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func certificatePEM(cert *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
}

// newKey derives a key from the seed. Of the few bytes that are no key the next ones are taken.
func newKey(seed uint64, label string) (*ecdsa.PrivateKey, error) {
	for try := 0; ; try++ {
		secret, err := derive(seed, fmt.Sprintf("key %d %s", try, label), 32)
		if err != nil {
			return nil, err
		}
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), secret)
		if err == nil || try == 100 {
			return key, err
		}
	}
}

// serial is a positive serial number of at most 16 octets (RFC 5280, section 4.1.2.2).
func serial(seed uint64, label string) *big.Int {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("serial "+label), seed))
	sum[0] = sum[0]&0x7f | 0x40
	return new(big.Int).SetBytes(sum[:16])
}

func derive(seed uint64, label string, size int) ([]byte, error) {
	return hkdf.Key(sha256.New, binary.BigEndian.AppendUint64(nil, seed), []byte("scenario/pki"), label, size)
}
