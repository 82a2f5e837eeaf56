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

// CloseArgs are the arguments of the actions close and reset.
type CloseArgs struct {
	Socket string `json:"socket,omitempty" jsonschema_description:"the socket to close" jsonschema:"default=main"`
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

// close closes a socket; with a reset, where that is asked for.
func (c *client) close(args CloseArgs, reset bool) (any, error) {
	get := c.sockets.get
	if reset {
		get = c.sockets.stream
	}
	s, err := get(args.Socket)
	if err != nil {
		return nil, err
	}
	result := s.closeResult()
	if reset {
		if err := s.conn.SetLinger(0); err != nil {
			return nil, err
		}
	}
	c.sockets.release(s.name)
	result.Outcome = sock.OutcomeOf(phaseClose, s.close())
	return result, nil
}

func (s *socket) closeResult() CloseResult {
	result := CloseResult{Socket: s.name}
	result.Local, result.Remote = s.addresses()
	return result
}
