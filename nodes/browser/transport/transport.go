// Package transport is how the requests of a browser get over the network: it looks servers up, connects to them, has TLS
// prove who they are, and speaks HTTP/1.1 and HTTP/2 over connections that it keeps.
//
// A request is made in four calls, so that the caller can tell what happens between them: [Transport.Reserve] takes its
// place in line, [Transport.Acquire] waits for a connection, [Lease.Send] sends it and reads the response up to its body,
// and [Lease.Release] gives the connection back. Cookies, caches and pages are unknown here.
//
// Connections belong to a scheme, host, port and network partition. HTTP/1.1 has six of them, each for one request at a
// time; HTTP/2 has one for all. Events: socket.connect, socket.close, tls.handshake,
// http2.frame, and socket.error of connections that could not be made: those of an exchange its caller tells of.
package transport

import (
	"crypto/x509"
	"io"
	"net/http"
	"time"
)

// Options configure a [Transport].
type Options struct {
	ConnectTimeout  time.Duration // of one attempt, and of one TLS handshake; 0: 30 s
	AttemptDelay    time.Duration // after which the next address is tried beside one that is silent (RFC 8305, section 5); 0: 250 ms
	ResolutionDelay time.Duration // that an A record waits for the AAAA record (RFC 8305, section 3); 0: 50 ms
	LogBody         int           // bytes of bodies that are kept for raw views
	HTTP2           bool          // offered to servers behind https
	HTTPSRecords    bool          // asked for and followed (RFC 9460)
	// Roots are the authorities that are trusted from now on; nil: those of the host.
	Roots func() *x509.CertPool
	// KeyLog takes the secrets of TLS sessions (SSLKEYLOGFILE); nil: nobody.
	KeyLog io.Writer
}

// Timing is how long the steps up to a connection took for a request; zero where there was none.
type Timing struct {
	Queued, Lookup, Connect, TLS time.Duration
}

// Request is what is sent over a connection. Its URL is that of its place.
type Request struct {
	Method string
	// Fields are sent in this order. Host, Connection and Content-Length are made here, and so is what HTTP/2 has in
	// their place. HTTP/2 gets a priority field as well (RFC 9218).
	Fields []Field
	// Body is sent with its length; nil: there is none.
	Body        []byte
	Incremental bool // the response is of use piece by piece (RFC 9218, section 4.2)
	// Sending is told what goes on the wire next, on the goroutine that sends: the moment for the http.request event. It
	// must not wait or take a turn, and may be nil. A request that fails before it is sent is not told.
	Sending func(Head)
	// Interim is told of every interim response, 103 Early Hints among them, on the goroutine that sends. It may be nil.
	Interim func(status int, header http.Header)
}

// Field is a field of a request's head, its name as HTTP/1.1 writes it.
type Field struct{ Name, Value string }

// Head is the head of a request as it is sent, with what event.HTTPRequest tells of it.
type Head struct {
	Text         string // the bytes on the wire; of HTTP/2 the fields that they stand for, a line each
	Stream       uint32 // of HTTP/2, else 0
	Bytes, Plain int    // of HTTP/2: on the wire, and without compression
}

// Response is a response whose body is still to be read.
type Response struct {
	Status  int
	Proto   string // HTTP/1.1 or HTTP/2, as that of the request; HTTP/1.0 where an old server says so
	Header  http.Header
	Trailer http.Header // complete at the end of the body
	First   time.Time   // when its first byte came
	Length  int64       // that the head names for the body, in bytes; -1: none
	// Body is the content, its codings (Content-Encoding) as they were sent. It ends with io.EOF where it is whole, else
	// with an [*Error].
	Body   io.Reader
	Stream uint32 // of HTTP/2, else 0
	// Bytes of the head: on the wire, and without compression. Of HTTP/2 alone.
	HeaderBytes, HeaderPlain int
	ConnectionClose          bool // the connection ends with the response
}

// Raw is what came of a response, as far as it did. It is there until the lease is released.
type Raw struct {
	Head  []byte // of the response and of interim ones before it; of HTTP/2 its fields, a line each
	Body  []byte // the first bytes of the body on the wire, with the framing of chunks
	Total int64  // bytes of the body on the wire
}
