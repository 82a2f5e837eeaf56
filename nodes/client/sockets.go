package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"scenario/host"
	"scenario/nodes/client/sock"
)

// Names of sockets where a step gives none.
const (
	mainSocket     = "main"
	listenerSocket = "listener"
)

// shownData is how many bytes of each send and recv its event shows.
const shownData = 256

// sockets are those that steps opened and did not close yet, by name.
type sockets struct {
	mu        sync.Mutex
	byName    map[string]*socket // nil: about to be opened
	listeners int                // that there were so far
	over      bool               // the node ends
}

// socket is one of them: a connection, a datagram socket without one other end, or a listener.
type socket struct {
	name     string
	network  string
	conn     *sock.Conn
	packets  *sock.PacketConn
	listener *sock.Listener

	in, out gate          // one receive or accept, and one send, at a time
	rest    []byte        // under in: received beyond what was waited for
	waiting chan accepted // under in: what an accept that was given up will return
}

// accepted is what a listener's Accept returned.
type accepted struct {
	conn *sock.Conn
	err  error
}

// gate lets one at a time pass, and may be waited at in virtual time.
type gate chan struct{}

func (g gate) enter(ctx context.Context) error {
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g gate) leave() { <-g }

func newSocket(name, network string) *socket {
	return &socket{name: name, network: network, in: make(gate, 1), out: make(gate, 1)}
}

// reserve takes a name for a socket that is about to be opened.
func (s *sockets) reserve(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.byName[name]; taken {
		return fmt.Errorf("there is a socket %q: close it first, or give this one another name", name)
	}
	if s.byName == nil {
		s.byName = make(map[string]*socket)
	}
	s.byName[name] = nil
	return nil
}

// put gives a reserved name its socket.
func (s *sockets) put(opened *socket) error {
	s.mu.Lock()
	over := s.over
	if !over {
		s.byName[opened.name] = opened
	}
	s.mu.Unlock()
	if over {
		return errors.Join(errors.New("the node ends"), opened.close())
	}
	return nil
}

// release gives a name back.
func (s *sockets) release(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byName, name)
}

// get returns an open socket.
func (s *sockets) get(name string) (*socket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.byName[name]; found != nil {
		return found, nil
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.byName)) {
		if s.byName[name] != nil {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("there is no socket %q: nothing is open", name)
	}
	return nil, fmt.Errorf("there is no socket %q: open are %s", name, strings.Join(names, ", "))
}

// stream returns an open connection of tcp or unix.
func (s *sockets) stream(name string) (*socket, error) {
	found, err := s.get(name)
	if err == nil && (found.conn == nil || found.datagrams()) {
		return nil, fmt.Errorf("socket %q is no connection", name)
	}
	return found, err
}

// nextListener counts listeners: the traces of what they accept have names of their own.
func (s *sockets) nextListener() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners++
	return s.listeners
}

// end closes what is open. Nothing can be opened any more.
func (s *sockets) end() {
	s.mu.Lock()
	s.over = true
	open := s.byName
	s.byName = nil
	s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(open)) { // so that their events come in an order that repeats
		if one := open[name]; one != nil {
			_ = one.close() // the node ends
		}
	}
}

// datagrams says that what is sent and received are datagrams.
func (s *socket) datagrams() bool {
	return s.network == "udp" || s.network == "unixgram"
}

// close closes the socket, with what it accepted for nobody.
func (s *socket) close() error {
	switch {
	case s.conn != nil:
		return s.conn.Close()
	case s.packets != nil:
		return s.packets.Close()
	}
	err := s.listener.Close()
	s.in <- struct{}{} // an accept that was waiting has found it closed
	defer s.in.leave()
	if s.waiting != nil {
		if got := <-s.waiting; got.conn != nil {
			err = errors.Join(err, got.conn.CloseFor("nobody accepted it"))
		}
		s.waiting = nil
	}
	return err
}

// addresses are the socket's own and that of its one other end.
func (s *socket) addresses() (local, remote string) {
	switch {
	case s.conn != nil:
		return s.conn.Local(), s.conn.Remote()
	case s.packets != nil:
		return s.packets.Local(), ""
	}
	return s.listener.Addr().String(), ""
}

// until has calls of one direction end with ctx. To be called with the gate of that direction entered, and to be undone
// before it is left.
func until(ctx context.Context, setDeadline func(time.Time) error) (undo func()) {
	passed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(passed)
		_ = setDeadline(time.Unix(1, 0)) // fails on a closed socket, where no call waits
	})
	return func() {
		if !stop() {
			<-passed
		}
		_ = setDeadline(time.Time{})
	}
}

// networkOf is the network of an address: what the step says, or unix for a path and tcp for all else.
func networkOf(network, addr string) string {
	switch {
	case network != "":
		return network
	case strings.HasPrefix(addr, "/"):
		return "unix"
	}
	return "tcp"
}

// checkNetwork says what is wrong with the network that a step names.
func checkNetwork(network string, known ...string) error {
	for _, k := range known {
		if network == k {
			return nil
		}
	}
	return fmt.Errorf("network %q is not %s", network, strings.Join(known, ", "))
}

// scripted are the sockets of steps: they tell every call.
func scripted(h host.Host, role string) sock.Sockets {
	return sock.Sockets{Host: h, Role: role, Telling: telling()}
}

func telling() sock.Telling { return sock.Telling{Calls: true, Data: shownData} }
