package web

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/invopop/jsonschema"

	"scenario/event"
	"scenario/host"
	"scenario/host/tlsinfo"
	"scenario/nodes/role"
)

// handshakeTimeout bounds a TLS handshake.
const handshakeTimeout = 10 * time.Second

// TLS is how a server encrypts: true, or what it does in its own way.
type TLS struct {
	On          bool          `json:"on,omitempty" jsonschema:"-"`
	Listen      Listen        `json:"listen,omitempty" jsonschema_description:"where it listens for TLS; default: :443"`
	Certificate role.Flaw     `json:"certificate,omitempty" jsonschema_description:"what is wrong with the certificate, on purpose" jsonschema:"enum=expired,enum=not-yet-valid,enum=wrong-name,enum=self-signed,enum=untrusted"`
	MinVersion  string        `json:"min_version,omitempty" jsonschema_description:"the oldest version of TLS; default 1.2" jsonschema:"enum=1.0,enum=1.1,enum=1.2,enum=1.3"`
	MaxVersion  string        `json:"max_version,omitempty" jsonschema_description:"the newest version of TLS; default 1.3" jsonschema:"enum=1.0,enum=1.1,enum=1.2,enum=1.3"`
	HTTP2       bool          `json:"http2,omitempty" jsonschema_description:"offer HTTP/2 (ALPN h2)" jsonschema:"default=true"`
	Redirect    bool          `json:"redirect,omitempty" jsonschema_description:"answer plain HTTP with a redirect to https"`
	HSTS        role.Duration `json:"hsts,omitempty" jsonschema_description:"have browsers use https alone for so long (RFC 6797)"`
	Resume      bool          `json:"resume,omitempty" jsonschema_description:"let clients resume sessions" jsonschema:"default=true"`
}

// UnmarshalJSON reads true, false or an object.
func (t *TLS) UnmarshalJSON(text []byte) error {
	*t = TLS{Listen: Listen{":443"}, HTTP2: true, Resume: true}
	if json.Unmarshal(text, &t.On) == nil {
		return nil
	}
	t.On = true
	type object TLS
	return strict(text, (*object)(t))
}

// JSONSchemaExtend adds the short form to the schema of the object.
func (TLS) JSONSchemaExtend(schema *jsonschema.Schema) {
	object := *schema
	object.Properties.Delete("on")
	*schema = jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "boolean"}, &object}}
}

// check returns everything that is wrong.
func (t TLS) check() error {
	var errs []error
	for _, address := range t.Listen {
		if err := checkListen(address); err != nil {
			errs = append(errs, fmt.Errorf("tls: %w", err))
		}
	}
	low, err := version(t.MinVersion, tls.VersionTLS12)
	errs = append(errs, err)
	high, err := version(t.MaxVersion, tls.VersionTLS13)
	errs = append(errs, err)
	if low > high {
		errs = append(errs, fmt.Errorf("tls: min_version %s is newer than max_version %s", t.MinVersion, t.MaxVersion))
	}
	flaws := []role.Flaw{role.NoFlaw, role.Expired, role.NotYetValid, role.WrongName, role.SelfSigned, role.Untrusted}
	if !slices.Contains(flaws, t.Certificate) {
		errs = append(errs, fmt.Errorf("tls: certificate is expired, not-yet-valid, wrong-name, self-signed or untrusted, not %q", t.Certificate))
	}
	return errors.Join(errs...)
}

// version is a version of TLS by its number; where there is none, the one that is given.
func version(number string, none uint16) (uint16, error) {
	known := map[string]uint16{
		"": none, "1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13,
	}
	v, found := known[number]
	if !found {
		return none, fmt.Errorf("tls: there is no version %q: there are 1.0, 1.1, 1.2 and 1.3", number)
	}
	return v, nil
}

// certificate is what the role needs with these options.
func certificate(options json.RawMessage) *role.Certificate {
	o, err := parseOptions(options)
	if err != nil || !o.TLS.On {
		return nil // New tells of the error
	}
	return &role.Certificate{Names: slices.Sorted(maps.Keys(o.Hosts)), Flaw: o.TLS.Certificate}
}

// config is what crypto/tls needs to know.
func (t TLS) config(h host.Host) (*tls.Config, error) {
	own := host.Certificate(h)
	if own == nil {
		return nil, errors.New("tls: there is no certificate")
	}
	// check has looked at the versions.
	low, _ := version(t.MinVersion, tls.VersionTLS12)
	high, _ := version(t.MaxVersion, tls.VersionTLS13)
	c := &tls.Config{
		Certificates: []tls.Certificate{*own}, MinVersion: min(low, high), MaxVersion: high, NextProtos: []string{"http/1.1"},
		KeyLogWriter: host.KeyLog(h), SessionTicketsDisabled: !t.Resume, Time: time.Now,
	}
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		hello.Conn.(*link).serverName = hello.ServerName
		return nil, nil
	}
	if t.HTTP2 {
		c.NextProtos = []string{"h2", "http/1.1"}
	}
	return c, nil
}

// secured accepts connections of TLS listeners, agrees on encryption with each in a goroutine of its own, and passes them
// on: HTTP/1.1 to net/http, for which it is a listener, HTTP/2 to serve.
type secured struct {
	config *tls.Config
	leaf   *x509.Certificate // what the server shows
	server *running
	conns  chan net.Conn
	done   chan struct{} // closed: no more of them
	stop   func()
	work   sync.WaitGroup // counts connections that are not net/http's
}

func newSecured(config *tls.Config, server *running) *secured {
	s := &secured{config: config, leaf: config.Certificates[0].Leaf, server: server, conns: make(chan net.Conn), done: make(chan struct{})}
	s.stop = sync.OnceFunc(func() { close(s.done) })
	return s
}

// Accept implements [net.Listener].
func (s *secured) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (s *secured) Close() error {
	s.stop()
	return nil
}

// Addr implements [net.Listener].
func (s *secured) Addr() net.Addr { return &net.TCPAddr{} }

// serve accepts the connections of a listener.
func (s *secured) serve(l *listener) error {
	for {
		link, err := l.link()
		if err != nil {
			return err
		}
		s.work.Go(func() { s.secure(link) })
	}
}

// secure does the handshake of one connection and passes it on.
func (s *secured) secure(l *link) {
	secure := tls.Server(l, s.config)
	begin := time.Now()
	ctx, cancel := context.WithTimeout(l.ctx, handshakeTimeout)
	err := secure.HandshakeContext(ctx)
	cancel()
	took := time.Since(begin)
	l.tell(func() event.Event {
		e := tlsinfo.Handshake(event.SideServer, secure.ConnectionState(), s.leaf, took)
		e.Local, e.Remote, e.ServerName = l.local, l.remote, l.serverName
		if err != nil {
			e.Error = err.Error()
			e.Reason, e.Meaning = tlsinfo.Explain(err, "", time.Now())
		}
		return e
	})
	if err != nil {
		s.refuse(l, err)
		return
	}
	if secure.ConnectionState().NegotiatedProtocol == "h2" {
		s.server.serveHTTP2(l, secure, secure, false)
		return
	}
	select {
	case s.conns <- newConn(l, secure, s.server.budget, s.server.options.LogBody):
	case <-s.done:
		_ = secure.Close() // the client learns of it by the end of the connection
		l.end(serverStops)
	}
}

// refuse ends a connection whose handshake failed. Who speaks plain HTTP here is told so, as other servers do.
func (s *secured) refuse(l *link, err error) {
	var record tls.RecordHeaderError
	if errors.As(err, &record) && looksLikeHTTP(record.RecordHeader) {
		// The connection ends whether or not this arrives.
		_, _ = io.WriteString(l, "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nThis port speaks TLS: use https.\n")
		_ = l.CloseWrite()
	}
	l.mu.Lock()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		l.lost(io.EOF, "")
	}
	l.mu.Unlock()
	// The reason is told; that the close failed says no more.
	_ = l.Conn.Close()
	l.end("TLS handshake failed")
}

// looksLikeHTTP says that what should be the header of a TLS record begins a request.
func looksLikeHTTP(header [5]byte) bool {
	return slices.Contains([]string{"GET /", "HEAD ", "POST ", "PUT /", "OPTIO"}, string(header[:]))
}

// redirect answers a request over plain HTTP with the same address over https, at the port of the TLS listener.
func (h *handler) redirect(w http.ResponseWriter, r *http.Request) {
	name := r.Host
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	if port := h.tlsPort; port != "443" {
		name = net.JoinHostPort(strings.Trim(name, "[]"), port)
	}
	status := http.StatusMovedPermanently
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		status = http.StatusPermanentRedirect // the method is kept (RFC 9110, section 15.4.9)
	}
	w.Header().Set("Location", "https://"+name+r.URL.RequestURI())
	sendPage(w, r, status)
}
