package client

import (
	"fmt"

	"scenario/nodes/client/sock"
)

// Phases of the end of a socket, as outcomes name them.
const (
	phaseShutdown = "shutdown"
	phaseClose    = "close"
)

// ShutdownArgs are the arguments of the action shutdown.
type ShutdownArgs struct {
	Socket string `json:"socket,omitempty" jsonschema_description:"the connection of which one direction ends" jsonschema:"default=main"`
	How    string `json:"how,omitempty" jsonschema_description:"write: this end sends no more; read: it takes no more" jsonschema:"enum=write,enum=read,default=write"`
}

// CloseArgs are the arguments of the action close.
type CloseArgs struct {
	Socket string `json:"socket,omitempty" jsonschema_description:"the socket to close" jsonschema:"default=main"`
	Leave  bool   `json:"leave,omitempty" jsonschema_description:"of a Unix-domain socket that listens: leave its file behind, as a program that crashes does"`
}

// ResetArgs are the arguments of the action reset.
type ResetArgs struct {
	Socket string `json:"socket,omitempty" jsonschema_description:"the connection to break off" jsonschema:"default=main"`
}

// CloseResult is what came of the actions shutdown, close and reset.
type CloseResult struct {
	Socket string `json:"socket"`
	Local  string `json:"local"`
	Remote string `json:"remote"`
	sock.Outcome
}

func (c *client) shutdown(args ShutdownArgs) (any, error) {
	s, err := c.sockets.stream(args.Socket)
	if err != nil {
		return nil, err
	}
	half := s.conn.CloseWrite
	switch args.How {
	case "write":
	case "read":
		half = s.conn.CloseRead
	default:
		return nil, fmt.Errorf("how: %q is not write or read", args.How)
	}
	result := s.closeResult()
	result.Outcome = sock.OutcomeOf(phaseShutdown, half())
	return result, nil
}

func (c *client) close(args CloseArgs) (any, error) {
	s, err := c.sockets.get(args.Socket)
	if err != nil {
		return nil, err
	}
	if args.Leave {
		if s.listener == nil || s.network != "unix" {
			return nil, fmt.Errorf("leave: socket %q is none that listens on a path", s.name)
		}
		if err := s.listener.SetUnlinkOnClose(false); err != nil {
			return nil, err
		}
	}
	return c.end(s), nil
}

// reset closes a connection with a reset.
func (c *client) reset(args ResetArgs) (any, error) {
	s, err := c.sockets.stream(args.Socket)
	if err != nil {
		return nil, err
	}
	if err := s.conn.SetLinger(0); err != nil {
		return nil, err
	}
	return c.end(s), nil
}

// end closes a socket and gives its name back.
func (c *client) end(s *socket) CloseResult {
	result := s.closeResult()
	c.sockets.release(s.name)
	result.Outcome = sock.OutcomeOf(phaseClose, s.close())
	return result
}

func (s *socket) closeResult() CloseResult {
	result := CloseResult{Socket: s.name}
	result.Local, result.Remote = s.addresses()
	return result
}
