package transport

import (
	"errors"
	"fmt"

	"scenario/nodes/browser/weburl"
)

// Phases in which a request fails, as http.fetch names them.
const (
	PhaseLookup   = "lookup"
	PhaseConnect  = "connect"
	PhaseTLS      = "tls"
	PhaseRequest  = "request"
	PhaseResponse = "response"
)

// Error is why a request failed. Its cause may be the context's error.
type Error struct {
	Phase   string
	Reason  string // of PhaseTLS: one of package tlsinfo, such as expired or wrong-name; else empty
	Meaning string // of PhaseTLS: one plain sentence; else empty
	Err     error
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// UpgradeError says that the DNS wants an http address to be asked for by https (RFC 9460, section 9.5): the caller begins
// again with that address.
type UpgradeError struct{ To *weburl.URL }

func (e *UpgradeError) Error() string {
	return fmt.Sprintf("an HTTPS record says that the server is to be asked by https: %s", e.To.Bare())
}

// ErrTransportClosed is the error of requests after Close.
var ErrTransportClosed = errors.New("the browser has been closed")
