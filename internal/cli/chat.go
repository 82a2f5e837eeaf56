package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"scenario/internal/talk"
	"scenario/record"
	"scenario/topology"
)

func (a *App) chatCommand() *cobra.Command {
	var name, member string
	command := &cobra.Command{
		Use:   "chat NODE [SERVER]",
		Short: "Take part in a chat from a node",
		Long: `Join a room of the role chat from the node NODE of a run that is up, or talk to the one person there where the role has a
pair. SERVER is the node that has the room, or HOST:PORT; it need not be given where there is one room. The name is asked
for. What others say is printed above the line that is being edited; the line exit or q leaves, and so does Ctrl-D.

In a pipe the first line of standard input is the name, unless --name says it, every further line a message, and the end
leaves.

Exit codes: 0 after leaving, 1 where the room cannot be reached, refuses the name or ends the connection, 2 where there is no
such run, node or room, 130 for Ctrl-C.`,
		Example: `  scenario chat ann
  scenario chat --name Bob bob room
  scenario chat bob chat.example:5555`,
		Args:              need(1, 2, "a node, and perhaps a server"),
		ValidArgsFunction: completeNodes,
		RunE: func(command *cobra.Command, args []string) error {
			return a.talkFrom(command.Context(), name, args[0], func(ctx context.Context, t *talker) error {
				server := ""
				if len(args) > 1 {
					server = args[1]
				}
				return t.chat(ctx, server, member)
			})
		},
	}
	command.Flags().StringVar(&member, "name", "", "be known in the room by this `name`")
	runFlag(command, &name)
	return command
}

func (t *talker) chat(ctx context.Context, server, name string) error {
	if strings.ContainsAny(name, "\r\n") {
		return fmt.Errorf("--name: %q is not one line", name)
	}
	plan, err := readPlan(t.run.Info.Folder)
	if err != nil {
		return err
	}
	at, err := findRoom(plan, t.node, server)
	if err != nil {
		return fmt.Errorf("run %s: %w", t.run.Info.Name, err)
	}
	conn, err := t.dial(ctx, at.addr)
	if err != nil {
		return err
	}
	options := talk.ChatOptions{Name: name, Leave: at.leave}
	if at.pair {
		options.Pair = at.node
	}
	if t.app.attended() {
		t.note("connected to %s; exit or q leaves", conn.RemoteAddr())
		options.Attended, options.Color = true, t.app.look().Color
		err = t.chatAtTerminal(ctx, conn, options)
	} else {
		err = talk.Chat(ctx, conn, talk.NewPipe(t.app.Stdin, t.app.Stdout), options)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return t.failed(err)
	}
	return nil
}

func (t *talker) chatAtTerminal(ctx context.Context, conn talk.Conn, options talk.ChatOptions) error {
	terminal, err := t.terminal()
	if err != nil {
		conn.Close()
		return err
	}
	defer terminal.Close()
	return talk.Chat(ctx, conn, terminal, options)
}

// roomAt is a room of the scenario, as a node sees it.
type roomAt struct {
	node  string   // that has it
	names []string // of the node, without the final dot
	addr  string   // "IP:port"
	leave string   // the word to leave by; empty: the usual one
	pair  bool     // one person is there instead of a room
}

// chatRole is the name of the role that has rooms.
const chatRole = "chat"

// findRoom finds the room that is meant by server, the name of a node, host:port, or nothing where there is one room. A
// host:port that is none of the plan's is taken as it is.
func findRoom(plan *topology.Plan, from, server string) (roomAt, error) {
	rooms, err := roomsOf(plan, from)
	if err != nil {
		return roomAt{}, err
	}
	if host, port, err := net.SplitHostPort(server); err == nil {
		for _, room := range rooms {
			if at := netip.MustParseAddrPort(room.addr); fmt.Sprint(at.Port()) == port && (at.Addr().String() == host || slices.Contains(room.names, host)) {
				room.addr = server
				return room, nil
			}
		}
		return roomAt{addr: server}, checkAddr(server)
	}
	if server != "" {
		if err := knownNode(server, planNodes(plan)); err != nil {
			return roomAt{}, fmt.Errorf("%w (or give HOST:PORT)", err)
		}
		rooms = slices.DeleteFunc(rooms, func(r roomAt) bool { return r.node != server })
	}
	switch {
	case len(rooms) == 1:
		return rooms[0], nil
	case len(rooms) == 0 && server != "":
		return roomAt{}, fmt.Errorf("node %s has no chat room: no role %s with listen", server, chatRole)
	case len(rooms) == 0:
		return roomAt{}, fmt.Errorf("no node has a chat room (a role %s with listen): say where one is, as HOST:PORT", chatRole)
	}
	var list strings.Builder
	for _, room := range rooms {
		fmt.Fprintf(&list, "\n  %s  %s", room.node, room.addr)
	}
	return roomAt{}, errors.New("there are several chat rooms: say which by its node or address" + list.String())
}

// roomsOf lists the rooms of a plan with the addresses by which a node reaches them.
func roomsOf(plan *topology.Plan, from string) ([]roomAt, error) {
	var rooms []roomAt
	for _, node := range plan.Nodes {
		for _, role := range node.Roles {
			if role.Name != chatRole {
				continue
			}
			var options struct {
				Listen string `json:"listen"`
				Leave  string `json:"leave"`
				Pair   string `json:"pair"`
			}
			if err := json.Unmarshal(role.Options, &options); err != nil {
				return nil, fmt.Errorf("options of the role %s of node %s: %w", chatRole, node.Name, err)
			}
			if options.Listen == "" {
				continue
			}
			host, port, err := net.SplitHostPort(options.Listen)
			if err != nil {
				continue // no TCP
			}
			if ip, err := netip.ParseAddr(host); err != nil || ip.IsUnspecified() {
				host = nearAddr(plan, node, from)
			}
			at, err := netip.ParseAddrPort(net.JoinHostPort(host, port))
			if err != nil {
				continue // a node without a network
			}
			room := roomAt{node: node.Name, addr: at.String(), leave: options.Leave, pair: options.Pair != ""}
			for _, name := range node.Names {
				room.names = append(room.names, strings.TrimSuffix(name, "."))
			}
			rooms = append(rooms, room)
		}
	}
	return rooms, nil
}

// nearAddr is the address by which a node reaches another: one in a network that both are in, where there is one.
func nearAddr(plan *topology.Plan, node topology.Node, from string) string {
	var near []string // networks
	for _, other := range plan.Nodes {
		for _, port := range other.Interfaces {
			if other.Name == from {
				near = append(near, port.Network)
			}
		}
	}
	first := ""
	for _, port := range node.Interfaces {
		for _, prefix := range port.Addresses {
			if slices.Contains(near, port.Network) {
				return prefix.Addr().String()
			}
			if first == "" {
				first = prefix.Addr().String()
			}
		}
	}
	return first
}

func planNodes(plan *topology.Plan) []string {
	var names []string
	for _, node := range plan.Nodes {
		names = append(names, node.Name)
	}
	return names
}

// readPlan reads the plan of a run folder.
func readPlan(folder string) (*topology.Plan, error) {
	text, err := os.ReadFile(filepath.Join(folder, record.PlanFile))
	if err != nil {
		return nil, err
	}
	plan := new(topology.Plan)
	if err := json.Unmarshal(text, plan); err != nil {
		return nil, fmt.Errorf("run folder %s: %s: %w", folder, record.PlanFile, err)
	}
	return plan, nil
}
