package client

import (
	"context"
	"errors"
	"time"

	"scenario/host"
	"scenario/nodes/client/sock"
	"scenario/nodes/role"
)

// ConnectArgs are the arguments of the action connect.
type ConnectArgs struct {
	To      string        `json:"to" jsonschema_description:"host:port; the host is a name or an IP address" jsonschema:"required"`
	Timeout role.Duration `json:"timeout,omitempty" jsonschema_description:"give up after so long; 0: only with the step" jsonschema:"default=5s"`
}

// ConnectResult is what the action connect saw.
type ConnectResult struct {
	To        string  `json:"to"`
	Connected bool    `json:"connected"`
	Local     string  `json:"local" jsonschema_description:"this end's IP:port"`
	Remote    string  `json:"remote" jsonschema_description:"the IP:port that was connected to, or tried last"`
	Duration  float64 `json:"duration_s" jsonschema_description:"until the connection stood or had failed, lookup included"`
	sock.Outcome
}

func defaultConnect() ConnectArgs { return ConnectArgs{Timeout: role.Duration(5 * time.Second)} }

func (c *client) connect(ctx context.Context, h host.Host, args ConnectArgs) (any, error) {
	target, err := sock.ParseTarget(args.To)
	if err != nil {
		return nil, err
	}
	limited, cancel := within(ctx, args.Timeout)
	defer cancel()
	start := time.Now()
	conn, err := c.dialer(h).Dial(limited, target)
	result := ConnectResult{To: args.To, Duration: time.Since(start).Seconds()}
	if ctx.Err() != nil && err != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		var failure *sock.Error
		if errors.As(err, &failure) {
			result.Remote = failure.Remote
		}
		result.Outcome = sock.OutcomeOf(sock.PhaseConnect, err)
		return result, nil
	}
	result.Connected, result.Local, result.Remote = true, conn.Local(), conn.Remote()
	// The connection stood: that it could not be closed well is no part of the answer.
	_ = conn.CloseFor("only tried")
	return result, nil
}
