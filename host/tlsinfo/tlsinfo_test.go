package tlsinfo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"scenario/event"
)

// R15: what ends of a connection tell each other of failures, in words. Those of certificates are tested by who connects.
func TestExplain(t *testing.T) {
	tests := []struct {
		err     error
		reason  string
		meaning string
	}{
		{nil, "", ""},
		{errors.New("remote error: tls: unknown certificate authority"), Refused, "does not trust"},
		{errors.New("remote error: tls: expired certificate"), Refused, "has expired"},
		{errors.New("remote error: tls: bad certificate"), Refused, "does not accept"},
		{errors.New("tls: client offered only unsupported versions: [303 302]"), Protocol, "version of TLS"},
		{errors.New("remote error: tls: protocol version not supported"), Protocol, "version of TLS"},
		{errors.New("tls: no application protocol"), Protocol, "ALPN"},
		{errors.New("tls: no cipher suite supported by both client and server"), Protocol, "cipher"},
		{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, Protocol, "does not speak TLS"},
		{fmt.Errorf("read: %w", io.EOF), Closed, "closed the connection"},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, Closed, "closed the connection"},
		{context.DeadlineExceeded, Timeout, "in time"},
		{context.Canceled, Closed, "called off"},
		{errors.New("tls: something else"), Protocol, "broke the rules"},
		{x509.CertificateInvalidError{Reason: x509.TooManyIntermediates, Cert: &x509.Certificate{}}, Untrusted, "breaks the rules for certificates"},
		{x509.UnknownAuthorityError{}, Untrusted, "nobody whom this machine trusts"},
		{x509.HostnameError{Certificate: &x509.Certificate{DNSNames: strings.Fields("a b c d e f g")}, Host: "h"}, WrongName, "for a, b, c, d, e and 2 other names, not for shop.example"},
	}
	for _, test := range tests {
		reason, meaning := Explain(test.err, "shop.example", time.Now())
		if reason != test.reason || !strings.Contains(meaning, test.meaning) || test.err == nil && meaning != "" {
			t.Errorf("%v: %s: %s; want %s: %s", test.err, reason, meaning, test.reason, test.meaning)
		}
	}
}

// A handshake is told by what both ends agreed on; names of a certificate are told within bounds.
func TestHandshake(t *testing.T) {
	leaf := &x509.Certificate{DNSNames: make([]string, 1000)}
	got := Handshake(event.SideServer, tls.ConnectionState{
		Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, CurveID: tls.X25519, NegotiatedProtocol: "h2", DidResume: true,
	}, leaf, time.Second)
	if got.Version != "TLS 1.3" || got.Cipher != "TLS_AES_128_GCM_SHA256" || got.Group != "X25519" || got.ALPN != "h2" || !got.Resumed || got.Duration != 1 {
		t.Errorf("%+v", got)
	}
	if len(got.Names) != maxNames {
		t.Errorf("%d names", len(got.Names))
	}
	if got := Handshake(event.SideClient, tls.ConnectionState{}, nil, 0); got.Version != "" || got.Cipher != "" || got.Group != "" || got.Subject != "" {
		t.Errorf("of nothing: %+v", got)
	}
}
