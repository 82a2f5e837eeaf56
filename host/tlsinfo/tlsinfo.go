// Package tlsinfo says what the two ends of a TLS connection agreed on, and in words that a person would read why they did
// not (RFC 8446, RFC 5280).
package tlsinfo

import (
	"crypto/tls"
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
	Protocol    = "protocol"    // the ends have no version or cipher in common, or one of them breaks the rules
	Closed      = "closed"      // the other end broke off
	Timeout     = "timeout"
)

// Handshake describes what was agreed on, as far as it was; side is event.SideClient or event.SideServer. Who uses it adds
// the addresses, and after a failure the reason.
func Handshake(side string, state tls.ConnectionState, took time.Duration) event.TLSHandshake {
	return event.TLSHandshake{}
}

// Explain says in short and in one plain sentence why a handshake with the server of a name failed at a time; distrusted
// says that the authority of its certificate was trusted before. Both are empty for nil.
func Explain(err error, name string, at time.Time, distrusted bool) (reason, meaning string) {
	return "", ""
}
