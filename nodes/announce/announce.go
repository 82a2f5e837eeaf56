// Package announce is the role of a program that announces by UDP, to one or to many, and hears what others announce.
//
// Every announcement has a number, so that whoever hears it sees what it did not hear, what overtook what, and what came
// twice: UDP itself tells nobody. send.go sends, message.go is what a datagram looks like, heard.go keeps account of what
// was heard.
package announce

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"scenario/dnsd/stub"
	"scenario/host"
	"scenario/nodes/client/sock"
	"scenario/nodes/role"
)

// Name is the role's name in a scenario.
const Name = "announce"

// Bounds of what a file may ask for.
const (
	maxCount     = 10_000
	maxText      = 65_000 // bytes; what is too long for a datagram the system says
	maxDatagram  = 65_535 // bytes
	shownData    = 256    // bytes of each send and recv that its event shows
	defaultHeard = 10 * time.Second
)

// Options are what a scenario says under a node's "announce" key.
type Options struct {
	Listen string        `json:"listen,omitempty" jsonschema_description:"where the node hears, and what it sends from: IP:port, or :port for every address of the node; :0 is a port that nobody else knows" jsonschema:"default=:9999"`
	To     []string      `json:"to,omitempty" jsonschema_description:"to whom it announces: host:port each; the broadcast address of a network (192.168.1.255) is everybody on it"`
	Text   string        `json:"text,omitempty" jsonschema_description:"what it announces again and again"`
	Every  role.Duration `json:"every,omitempty" jsonschema_description:"how often; 0: only when a step says so" jsonschema:"default=0s"`
	Count  int           `json:"count,omitempty" jsonschema_description:"how many times; 0: until the end" jsonschema:"minimum=0,maximum=10000"`
}

// AnnounceArgs are the arguments of the action announce.
type AnnounceArgs struct {
	Text  string        `json:"text" jsonschema_description:"what to announce" jsonschema:"required"`
	To    []string      `json:"to,omitempty" jsonschema_description:"to whom: host:port each; default: the node's own list"`
	Count int           `json:"count,omitempty" jsonschema_description:"how many times, each with a number of its own" jsonschema:"minimum=1,maximum=10000,default=1"`
	Pause role.Duration `json:"pause,omitempty" jsonschema_description:"wait so long between them"`
}

// AnnounceResult is what came of the action announce.
type AnnounceResult struct {
	First int           `json:"first" jsonschema_description:"the number of the first announcement"`
	Last  int           `json:"last" jsonschema_description:"the number of the last one"`
	Sent  int           `json:"sent" jsonschema_description:"datagrams that the system took; nobody says what becomes of them"`
	To    []Destination `json:"to"`
}

// Destination is one of those that were announced to.
type Destination struct {
	To      string `json:"to" jsonschema_description:"as it was named"`
	Address string `json:"address" jsonschema_description:"its IP:port; empty where the name has none"`
	Sent    int    `json:"sent"`
	sock.Outcome
}

// HeardArgs are the arguments of the action heard.
type HeardArgs struct {
	Count   int           `json:"count,omitempty" jsonschema_description:"wait until so many were heard, since the node started; 0: do not wait" jsonschema:"minimum=0,maximum=10000"`
	Timeout role.Duration `json:"timeout,omitempty" jsonschema_description:"give up after so long; 0: only with the step" jsonschema:"default=10s"`
}

// HeardResult is what came of the action heard.
type HeardResult struct {
	Complete bool           `json:"complete" jsonschema_description:"as many were heard as were waited for"`
	Total    int            `json:"total" jsonschema_description:"how many were heard since the node started"`
	Heard    []Announcement `json:"heard" jsonschema_description:"in the order in which they came; the first 10000 of them"`
	Senders  []Sender       `json:"senders" jsonschema_description:"who was heard, by address"`
}

// Kind describes the role.
func Kind() role.Kind {
	return role.Kind{
		Name:    Name,
		Doc:     "Announcements by UDP, to one or to many, with numbers that show what was lost or overtaken; and an ear for those of others.",
		Options: Options{},
		Short:   "to",
		Actions: []role.Action{
			{Name: "announce", Doc: "Send a numbered datagram to each of many, once or several times.", Args: AnnounceArgs{}, Short: "text", Result: AnnounceResult{}},
			{Name: "heard", Doc: "What was announced to this node, by whom, and what is missing.", Args: HeardArgs{}, Short: "count", Result: HeardResult{}},
		},
		New: func(text json.RawMessage) (role.Role, error) {
			o := Options{Listen: ":9999"}
			if err := strict(text, &o); err != nil {
				return nil, fmt.Errorf("options: %w", err)
			}
			if err := o.check(); err != nil {
				return nil, fmt.Errorf("options: %w", err)
			}
			return &announcer{options: o, heard: newLedger()}, nil
		},
	}
}

// check finds what is wrong with the options, all of it.
func (o Options) check() error {
	var errs []error
	full := o.Listen
	if strings.HasPrefix(full, ":") {
		full = "0.0.0.0" + full
	}
	if _, err := netip.ParseAddrPort(full); err != nil {
		errs = append(errs, fmt.Errorf("listen: %q is no IP:port and no :port", o.Listen))
	}
	errs = append(errs, checkMessage(o.Text, o.To))
	if o.Count < 0 || o.Count > maxCount {
		errs = append(errs, fmt.Errorf("count: %d is not from 0 to %d", o.Count, maxCount))
	}
	switch {
	case o.Every == 0 && (o.Text != "" || o.Count != 0):
		errs = append(errs, errors.New("text and count are for what is announced again and again: every says how often"))
	case o.Every != 0 && (o.Text == "" || len(o.To) == 0):
		errs = append(errs, errors.New("every: text and to say what is announced, and to whom"))
	}
	return errors.Join(errs...)
}

// checkMessage finds what is wrong with a text and those whom it is for.
func checkMessage(text string, to []string) error {
	var errs []error
	if len(text) > maxText {
		errs = append(errs, fmt.Errorf("text: %d bytes are more than %d", len(text), maxText))
	}
	for _, one := range to {
		if _, err := sock.ParseTarget(one); err != nil {
			errs = append(errs, fmt.Errorf("to: %w", err))
		}
	}
	return errors.Join(errs...)
}

// announcer is the role.
type announcer struct {
	options Options
	heard   *ledger

	// From the start of Serve.
	socket *sock.PacketConn
	dialer sock.Dialer

	mu   sync.Mutex
	last int // number of the last announcement
}

var _ role.Actor = (*announcer)(nil)

// Serve implements [role.Role].
func (a *announcer) Serve(ctx context.Context, h host.Host, ready func()) error {
	sockets := sock.Sockets{Host: h, Role: Name, Telling: sock.Telling{Calls: true, Data: shownData}}
	names := stub.New(h)
	a.dialer = sock.Dialer{Host: h, Lookup: func(ctx context.Context, name string) ([]netip.Addr, error) {
		answer, err := names.Lookup(ctx, name)
		return answer.Addrs, err
	}}
	var err error
	if a.socket, err = sockets.ListenPacket(ctx, "udp", a.options.Listen); err != nil {
		return err
	}
	var work sync.WaitGroup
	failed := make(chan error, 1)
	work.Go(func() { failed <- a.hear() })
	if a.options.Every != 0 {
		work.Go(func() { a.again(ctx, h) })
	}
	ready()
	select {
	case <-ctx.Done():
		err = a.socket.Close()
	case err = <-failed:
		err = errors.Join(err, a.socket.Close())
		<-ctx.Done()
	}
	work.Wait()
	return err
}

// hear takes down what is announced to the node, until the socket is closed.
func (a *announcer) hear() error {
	datagram := make([]byte, maxDatagram)
	for {
		n, from, err := a.socket.ReadFrom(datagram)
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case ofADatagram(err):
			continue // sent before, and told
		case err != nil:
			return err
		}
		number, text := parse(datagram[:n])
		a.heard.add(Announcement{From: from.String(), Number: number, Text: text})
	}
}

// ofADatagram says that err is not the socket's, but is about one datagram that went through it.
func ofADatagram(err error) bool {
	for _, known := range []error{
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EMSGSIZE,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// Do implements [role.Actor].
func (a *announcer) Do(ctx context.Context, h host.Host, action string, text json.RawMessage) (any, error) {
	switch action {
	case "announce":
		args := AnnounceArgs{Count: 1, To: slices.Clone(a.options.To)} // a clone, which is read over
		if err := strict(text, &args); err != nil {
			return nil, fmt.Errorf("arguments: %w", err)
		}
		return a.announce(ctx, h, args)
	case "heard":
		args := HeardArgs{Timeout: role.Duration(defaultHeard)}
		if err := strict(text, &args); err != nil {
			return nil, fmt.Errorf("arguments: %w", err)
		}
		return a.listenFor(ctx, h, args)
	}
	return nil, fmt.Errorf("no such action: %s", action)
}

// listenFor waits until as many announcements were heard as the step wants.
func (a *announcer) listenFor(ctx context.Context, h host.Host, args HeardArgs) (any, error) {
	if args.Count < 0 || args.Count > maxHeard {
		return nil, fmt.Errorf("count: %d is not from 0 to %d", args.Count, maxHeard)
	}
	limited, cancel := ctx, context.CancelFunc(func() {})
	if args.Timeout != 0 {
		limited, cancel = context.WithTimeout(ctx, time.Duration(args.Timeout))
	}
	defer cancel()
	complete := a.heard.wait(limited, args.Count)
	host.Turn(h, Name+" heard") // what came at the same instant is part of the account
	result := a.heard.account()
	result.Complete = complete
	return result, ctx.Err()
}

// strict reads JSON and refuses members that the target does not have.
func strict(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
