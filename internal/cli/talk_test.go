package cli

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"scenario/topology"
)

// serve KIND [FILE…] serves connections on a port of this machine, which takes the place of PORT in the files and is in
// the variable PORT.
func serve(ts *testscript.TestScript, _ bool, args []string) {
	kinds := map[string]func(net.Conn){"echo": serveEcho, "reset": serveReset, "room": serveRoom, "close": func(net.Conn) {}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				kinds[args[0]](conn)
			}()
		}
	}()
	port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	ts.Setenv("PORT", port)
	for _, name := range args[1:] {
		text := strings.ReplaceAll(ts.ReadFile(name), "PORT", port)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

func serveEcho(conn net.Conn) { io.Copy(conn, conn) }

func serveReset(conn net.Conn) {
	conn.Read(make([]byte, 1))
	conn.(*net.TCPConn).SetLinger(0)
}

// serveRoom is a room with a parrot in it, where nobody may be called carl and /quit leaves.
func serveRoom(conn net.Conn) {
	fmt.Fprintln(conn, "# what is your name?")
	lines, name := bufio.NewScanner(conn), ""
	for lines.Scan() {
		switch text := lines.Text(); {
		case text == "/quit":
			fmt.Fprintln(conn, "# goodbye")
			return
		case text == "carl":
			fmt.Fprintln(conn, "! the name carl is taken")
		case name == "":
			name = text
			fmt.Fprintf(conn, "* %s joined\n# parrot is here\n", name)
		default:
			fmt.Fprintln(conn, "parrot: "+text)
		}
	}
}

func TestFindRoom(t *testing.T) {
	port := func(network, addr string) topology.Interface {
		return topology.Interface{Network: network, Addresses: []netip.Prefix{netip.MustParsePrefix(addr)}}
	}
	chat := func(options string) []topology.Role { return []topology.Role{{Name: "chat", Options: []byte(options)}} }
	ann := topology.Node{Name: "ann", Interfaces: []topology.Interface{port("lan", "10.0.0.9/24")}, Roles: chat(`{}`)}
	room := topology.Node{Name: "room", Names: []string{"chat.example."}, Roles: chat(`{"listen":":5555","leave":"bye"}`),
		Interfaces: []topology.Interface{port("wan", "203.0.113.1/24"), port("lan", "10.0.0.1/24")}}
	far := topology.Node{Name: "far", Roles: chat(`{"listen":"[::]:7"}`), Interfaces: []topology.Interface{port("wan", "2001:db8::7/64")}}
	exact := topology.Node{Name: "exact", Roles: chat(`{"listen":"10.1.1.1:8"}`)}
	tests := []struct {
		nodes        []topology.Node
		server, want string
	}{
		{[]topology.Node{ann, room}, "", "10.0.0.1:5555 bye"},
		{[]topology.Node{ann, room, far}, "room", "10.0.0.1:5555 bye"},
		{[]topology.Node{ann, room, far}, "far", "[2001:db8::7]:7 "},
		{[]topology.Node{ann, exact}, "", "10.1.1.1:8 "},
		{[]topology.Node{ann, room, far}, "chat.example:5555", "chat.example:5555 bye"},
		{[]topology.Node{ann, room, far}, "10.0.0.1:5555", "10.0.0.1:5555 bye"},
		{[]topology.Node{ann, room}, "chat.example:80", "chat.example:80 "},
		{[]topology.Node{ann, room}, "chat.example:http", `"chat.example:http" is not HOST:PORT, such as shop.example:80 or [fd00::1]:80`},
		{[]topology.Node{ann, room}, "rom", "no node rom: did you mean room? (or give HOST:PORT)"},
		{[]topology.Node{ann, room}, "ann", "node ann has no chat room: no role chat with listen"},
		{[]topology.Node{ann}, "", "no node has a chat room (a role chat with listen): say where one is, as HOST:PORT"},
		{[]topology.Node{ann, room, far}, "", "there are several chat rooms: say which by its node or address\n  room  10.0.0.1:5555\n  far  [2001:db8::7]:7"},
	}
	for _, test := range tests {
		at, err := findRoom(&topology.Plan{Nodes: test.nodes}, "ann", test.server)
		got := at.addr + " " + at.leave
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%d nodes, %q: %s, want %s", len(test.nodes), test.server, got, test.want)
		}
	}
}
