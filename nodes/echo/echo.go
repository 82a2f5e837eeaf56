// Package echo is the role of an echo server: what arrives is sent back (RFC 862), on port 10000 unless told otherwise.
//
// It is there to see what a server does with its sockets, so how it serves many clients is chosen in the file. models.go has
// one connection at a time and one goroutine a connection; loop.go has the event loop, in which one goroutine owns all
// state; datagrams.go answers UDP; quit.go finds the word that ends a connection.
package echo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"scenario/host"
	"scenario/nodes/client/sock"
	"scenario/nodes/role"
)

// Name is the role's name in a scenario.
const Name = "echo"

// Models of serving many clients.
const (
	modelOne     = "one"
	modelThreads = "threads"
	modelLoop    = "loop"
)

// Options are what a scenario says under a node's "echo" key.
type Options struct {
	Listen   string        `json:"listen,omitempty" jsonschema_description:"where the server listens: IP:port, :port for every address of the node, or a path that begins with / (a Unix-domain socket)" jsonschema:"default=:10000"`
	Model    string        `json:"model,omitempty" jsonschema_description:"how many clients are served: one (one connection at a time, the others wait), threads (a goroutine for each connection) or loop (one event loop for all)" jsonschema:"enum=one,enum=threads,enum=loop,default=threads"`
	Buffer   int           `json:"buffer,omitempty" jsonschema_description:"bytes of the receive buffer: the most that one recv returns; a datagram that is longer is cut" jsonschema:"minimum=1,maximum=65536,default=4096"`
	Backlog  int           `json:"backlog,omitempty" jsonschema_description:"how many connections may wait to be accepted; 0: as many as the system allows" jsonschema:"minimum=0,maximum=4096"`
	UDP      bool          `json:"udp,omitempty" jsonschema_description:"answer datagrams at the same IP:port too"`
	Quit     string        `json:"quit,omitempty" jsonschema_description:"a line that is this word alone ends its connection; empty: none does" jsonschema:"default=q"`
	Pause    role.Duration `json:"pause,omitempty" jsonschema_description:"how long the server works on each piece before it sends it back; in an event loop everybody waits meanwhile"`
	LogCalls bool          `json:"log_calls,omitempty" jsonschema_description:"tell of each send and recv as an event" jsonschema:"default=true"`
	LogData  int           `json:"log_data,omitempty" jsonschema_description:"how many bytes of each send and recv its event shows" jsonschema:"default=256,minimum=0"`
}

func defaults() Options {
	return Options{Listen: ":10000", Model: modelThreads, Buffer: 4096, Quit: "q", LogCalls: true, LogData: 256}
}

// Kind describes the role.
func Kind() role.Kind {
	return role.Kind{
		Name:    Name,
		Doc:     "An echo server: what arrives is sent back, to one client at a time or to many, in pieces as small as its buffer.",
		Options: Options{},
		Short:   "listen",
		New: func(text json.RawMessage) (role.Role, error) {
			o := defaults()
			d := json.NewDecoder(bytes.NewReader(text))
			d.DisallowUnknownFields()
			if err := d.Decode(&o); err != nil {
				return nil, fmt.Errorf("options: %w", err)
			}
			if err := o.check(); err != nil {
				return nil, fmt.Errorf("options: %w", err)
			}
			return &server{options: o}, nil
		},
	}
}

// check finds what is wrong with the options, all of it.
func (o Options) check() error {
	var errs []error
	if o.onPath() {
		if o.UDP {
			errs = append(errs, fmt.Errorf("udp: datagrams come to an IP:port, and %s is a path", o.Listen))
		}
	} else {
		full := o.Listen
		if strings.HasPrefix(full, ":") {
			full = "0.0.0.0" + full
		}
		if _, err := netip.ParseAddrPort(full); err != nil {
			errs = append(errs, fmt.Errorf("listen: %q is no IP:port, no :port and no path that begins with /", o.Listen))
		}
	}
	switch o.Model {
	case modelOne, modelThreads, modelLoop:
	default:
		errs = append(errs, fmt.Errorf("model: %q is not one, threads or loop", o.Model))
	}
	if o.Buffer < 1 || o.Buffer > maxBuffer {
		errs = append(errs, fmt.Errorf("buffer: %d is not from 1 to %d", o.Buffer, maxBuffer))
	}
	if o.Backlog < 0 {
		errs = append(errs, fmt.Errorf("backlog: %d is negative", o.Backlog))
	}
	if strings.ContainsAny(o.Quit, "\r\n") {
		errs = append(errs, fmt.Errorf("quit: %q is more than a word", o.Quit))
	}
	return errors.Join(errs...)
}

// maxBuffer bounds the receive buffer, in bytes: a datagram is no longer.
const maxBuffer = 65536

// onPath says that the server listens on a path.
func (o Options) onPath() bool { return strings.HasPrefix(o.Listen, "/") }

// server is the role.
type server struct {
	options Options
}

var _ role.Role = (*server)(nil)

// Serve implements [role.Role].
func (s *server) Serve(ctx context.Context, h host.Host, ready func()) error {
	sockets := sock.Sockets{Host: h, Role: Name, Telling: sock.Telling{Calls: s.options.LogCalls, Data: s.options.LogData}}
	network := "tcp"
	if s.options.onPath() {
		network = "unix"
	}
	listener, err := sockets.ListenBacklog(ctx, network, s.options.Listen, s.options.Backlog)
	if err != nil {
		return err
	}
	up := &serving{options: s.options, host: h, listener: listener}
	if s.options.UDP {
		if up.packets, err = sockets.ListenPacket(ctx, "udp", s.options.Listen); err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	ready()
	return up.serve(ctx)
}
