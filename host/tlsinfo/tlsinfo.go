// Package tlsinfo says what the two ends of a TLS connection agreed on, and in words that a person would read why they did
// not (RFC 8446, RFC 5280).
package tlsinfo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"scenario/event"
)

// Reasons of a failure.
const (
	Expired     = "expired"
	NotYetValid = "not-yet-valid"
	WrongName   = "wrong-name"
	Untrusted   = "untrusted"   // nobody whom this node trusts has signed it
	SelfSigned  = "self-signed" // nobody but its owner has signed it
	Distrusted  = "distrusted"  // it is signed by an authority that is no longer trusted
	Refused     = "refused"     // the other end does not accept the certificate
	Protocol    = "protocol"    // the ends have no version or cipher in common, or one of them breaks the rules
	Closed      = "closed"      // the other end broke off
	Timeout     = "timeout"
)

// maxNames bounds how many names of a certificate are told.
const maxNames = 50

// Handshake describes what was agreed on, as far as it was; side is event.SideClient or event.SideServer, leaf the server's
// certificate, nil where it is not known. Who uses it adds the addresses, and after a failure its reason.
func Handshake(side string, state tls.ConnectionState, leaf *x509.Certificate, took time.Duration) event.TLSHandshake {
	e := event.TLSHandshake{
		Side: side, ServerName: state.ServerName, ALPN: state.NegotiatedProtocol, Resumed: state.DidResume, Duration: took.Seconds(),
	}
	if state.Version != 0 {
		e.Version = tls.VersionName(state.Version)
	}
	if state.CipherSuite != 0 {
		e.Cipher = tls.CipherSuiteName(state.CipherSuite)
	}
	if state.CurveID != 0 {
		e.Group = state.CurveID.String()
	}
	if leaf != nil {
		e.Subject, e.Issuer, e.Names = leaf.Subject.String(), leaf.Issuer.String(), names(leaf)
		e.NotBefore, e.NotAfter = leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339)
	}
	return e
}

// names are the names and addresses that a certificate is for.
func names(cert *x509.Certificate) []string {
	var list []string
	for _, name := range cert.DNSNames {
		if len(list) < maxNames {
			list = append(list, name)
		}
	}
	for _, ip := range cert.IPAddresses {
		if len(list) < maxNames {
			list = append(list, ip.String())
		}
	}
	return list
}

// Leaf is the server's certificate that a client saw, in the state of its connection or in the error of its handshake; nil
// where it saw none.
func Leaf(state tls.ConnectionState, err error) *x509.Certificate {
	var refused *tls.CertificateVerificationError
	switch {
	case errors.As(err, &refused) && len(refused.UnverifiedCertificates) > 0:
		return refused.UnverifiedCertificates[0]
	case len(state.PeerCertificates) > 0:
		return state.PeerCertificates[0]
	}
	return nil
}

// Explain says in short and in one plain sentence why a handshake failed at a time: that of a client with the server of a
// name, or of a server, where name is empty. Both are empty for nil.
func Explain(err error, name string, at time.Time) (reason, meaning string) {
	var (
		invalid x509.CertificateInvalidError
		wrong   x509.HostnameError
		unknown x509.UnknownAuthorityError
		record  tls.RecordHeaderError
	)
	switch {
	case err == nil:
		return "", ""
	case errors.As(err, &invalid):
		return explainInvalid(invalid, name, at)
	case errors.As(err, &wrong):
		return WrongName, fmt.Sprintf("the certificate is for %s, not for %s", list(names(wrong.Certificate)), name)
	case errors.As(err, &unknown):
		return explainUnknown(Leaf(tls.ConnectionState{}, err), unknown.Cert, name)
	case errors.As(err, &record):
		return Protocol, "the other end does not speak TLS on this port"
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded):
		return Timeout, "the other end did not finish the handshake in time"
	case errors.Is(err, context.Canceled):
		return Closed, "it was called off before it ended"
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE):
		return Closed, "the other end closed the connection in the middle of the handshake"
	}
	return explainText(err.Error())
}

func explainInvalid(err x509.CertificateInvalidError, name string, at time.Time) (reason, meaning string) {
	cert := err.Cert
	of := "the certificate"
	if name != "" {
		of = "the certificate of " + name
	}
	switch {
	case err.Reason != x509.Expired || cert == nil:
		return Untrusted, of + " breaks the rules for certificates: " + err.Error()
	case at.Before(cert.NotBefore):
		return NotYetValid, fmt.Sprintf("%s is valid from %s, and it is %s", of, stamp(cert.NotBefore), stamp(at))
	}
	return Expired, fmt.Sprintf("%s was valid until %s, and it is %s", of, stamp(cert.NotAfter), stamp(at))
}

func explainUnknown(leaf, cert *x509.Certificate, name string) (reason, meaning string) {
	if leaf == nil {
		leaf = cert
	}
	switch {
	case leaf == nil:
		return Untrusted, fmt.Sprintf("nobody whom this machine trusts has signed the certificate of %s", name)
	case leaf.Issuer.String() == leaf.Subject.String():
		return SelfSigned, fmt.Sprintf("%s has signed its certificate itself: nobody else says that it is real", name)
	}
	return Untrusted, fmt.Sprintf("the certificate of %s is signed by %s, whom this machine does not trust", name, leaf.Issuer)
}

// ExplainDistrust is Explain for a certificate whose authority was trusted before and is no longer.
func ExplainDistrust(leaf *x509.Certificate) (reason, meaning string) {
	return Distrusted, fmt.Sprintf("the certificate is signed by %s, whom this machine trusts no longer", leaf.Issuer)
}

// explainText knows errors that crypto/tls has no types for.
func explainText(text string) (reason, meaning string) {
	const common = "the two ends have no %s in common"
	switch {
	case strings.Contains(text, "unknown certificate authority"):
		return Refused, "the other end does not trust whoever signed the certificate"
	case strings.Contains(text, "expired certificate"):
		return Refused, "the other end says that the certificate has expired"
	case strings.Contains(text, "bad certificate") || strings.Contains(text, "certificate unknown"):
		return Refused, "the other end does not accept the certificate"
	case strings.Contains(text, "protocol version") || strings.Contains(text, "unsupported versions") || strings.Contains(text, "supported versions"):
		return Protocol, fmt.Sprintf(common, "version of TLS")
	case strings.Contains(text, "application protocol"):
		return Protocol, fmt.Sprintf(common, "protocol to speak over TLS (ALPN)")
	case strings.Contains(text, "cipher suite") || strings.Contains(text, "handshake failure"):
		return Protocol, fmt.Sprintf(common, "cipher")
	}
	return Protocol, "the handshake broke the rules of TLS"
}

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// list joins names as a sentence does.
func list(names []string) string {
	const most = 5
	switch n := len(names); {
	case n == 0:
		return "no name"
	case n > most:
		return fmt.Sprintf("%s and %d other names", strings.Join(names[:most], ", "), n-most)
	case n > 1:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return names[0]
}
