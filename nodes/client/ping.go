package client

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"scenario/event"
	"scenario/host"
	"scenario/host/errno"
	"scenario/nodes/client/sock"
	"scenario/nodes/role"
)

// payload is the size of an echo request's payload in bytes, as ping programs have it.
const payload = 56

// phaseSend is what an echo request fails in that did not leave this machine.
const phaseSend = "send"

// maxSilent is how many hops in a row may be silent before a traceroute gives the way up.
const maxSilent = 5

// PingArgs are the arguments of the action ping.
type PingArgs struct {
	To       string        `json:"to" jsonschema_description:"a name or an IP address" jsonschema:"required"`
	Count    int           `json:"count,omitempty" jsonschema_description:"how many echo requests are sent" jsonschema:"default=3,minimum=1,maximum=1000"`
	Interval role.Duration `json:"interval,omitempty" jsonschema_description:"time from one request to the next" jsonschema:"default=200ms"`
	Timeout  role.Duration `json:"timeout,omitempty" jsonschema_description:"how long each waits for its answer" jsonschema:"default=1s"`
}

// PingResult is what the action ping saw.
type PingResult struct {
	To       string    `json:"to"`
	Address  string    `json:"address" jsonschema_description:"the IP address that was pinged; empty where the name has none"`
	Sent     int       `json:"sent"`
	Received int       `json:"received" jsonschema_description:"echo replies"`
	RTTs     []float64 `json:"rtts_s"`
	Min      float64   `json:"min_s"`
	Avg      float64   `json:"avg_s"`
	Max      float64   `json:"max_s"`
	Errors   []string  `json:"errors" jsonschema_description:"what came, or did not come, in place of an echo reply"`
	sock.Outcome
}

// TracerouteArgs are the arguments of the action traceroute.
type TracerouteArgs struct {
	To      string        `json:"to" jsonschema_description:"a name or an IP address" jsonschema:"required"`
	MaxHops int           `json:"max_hops,omitempty" jsonschema_description:"how far to go; 5 silent hops in a row end it sooner" jsonschema:"default=30,minimum=1,maximum=255"`
	Timeout role.Duration `json:"timeout,omitempty" jsonschema_description:"how long each probe waits for its answer" jsonschema:"default=1s"`
	Probes  int           `json:"probes,omitempty" jsonschema_description:"how often a silent hop is tried" jsonschema:"default=1,minimum=1,maximum=10"`
}

// TracerouteResult is what the action traceroute saw.
type TracerouteResult struct {
	To      string `json:"to"`
	Address string `json:"address" jsonschema_description:"the IP address that was traced; empty where the name has none"`
	Reached bool   `json:"reached"`
	Hops    []Hop  `json:"hops"`
	sock.Outcome
}

// Hop is one step of the way.
type Hop struct {
	TTL     int     `json:"ttl"`
	Address string  `json:"address" jsonschema_description:"who answered; empty: nobody"`
	RTT     float64 `json:"rtt_s"`
	Reply   string  `json:"reply" jsonschema_description:"time-exceeded, echo-reply or destination-unreachable"`
	Error   string  `json:"error" jsonschema_description:"why there is no answer"`
}

func defaultPing() PingArgs {
	return PingArgs{Count: 3, Interval: role.Duration(200 * time.Millisecond), Timeout: role.Duration(time.Second)}
}

func defaultTraceroute() TracerouteArgs {
	return TracerouteArgs{MaxHops: 30, Timeout: role.Duration(time.Second), Probes: 1}
}

func (c *client) ping(ctx context.Context, h host.Host, args PingArgs) (any, error) {
	if args.Count < 1 || args.Timeout == 0 {
		return nil, errors.New("count is at least 1 and timeout is not 0")
	}
	p, err := c.prober(ctx, h, args.To, args.Timeout)
	if p == nil {
		return nil, err
	}
	result := PingResult{To: args.To, RTTs: []float64{}, Errors: []string{}, Outcome: sock.OutcomeOf(sock.PhaseLookup, err)}
	if err != nil {
		return result, nil
	}
	result.Address = p.to.String()
	for i := range args.Count {
		next := time.After(time.Duration(args.Interval))
		echo, err := p.probe(ctx, 0, i+1)
		result.Sent++
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			result.Outcome = sock.OutcomeOf(phaseSend, err)
			fallthrough
		case echo.Error != "":
			result.Errors = append(result.Errors, echo.Error)
		case echo.Reply != string(host.EchoReply):
			result.Errors = append(result.Errors, echo.Reply+" from "+echo.From)
		default:
			result.Received++
			result.RTTs = append(result.RTTs, echo.Duration)
		}
		if i+1 == args.Count {
			break
		}
		select {
		case <-next:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	result.sum()
	return result, nil
}

// sum fills in the least, mean and greatest round-trip time.
func (r *PingResult) sum() {
	for i, rtt := range r.RTTs {
		if i == 0 || rtt < r.Min {
			r.Min = rtt
		}
		r.Max = max(r.Max, rtt)
		r.Avg += rtt / float64(len(r.RTTs))
	}
}

func (c *client) traceroute(ctx context.Context, h host.Host, args TracerouteArgs) (any, error) {
	if args.MaxHops < 1 || args.MaxHops > 255 || args.Probes < 1 || args.Timeout == 0 {
		return nil, errors.New("max_hops is from 1 to 255, probes at least 1 and timeout not 0")
	}
	p, err := c.prober(ctx, h, args.To, args.Timeout)
	if p == nil {
		return nil, err
	}
	result := TracerouteResult{To: args.To, Hops: []Hop{}, Outcome: sock.OutcomeOf(sock.PhaseLookup, err)}
	if err != nil {
		return result, nil
	}
	result.Address = p.to.String()
	sequence, silent := 0, 0
	for ttl := 1; ttl <= args.MaxHops && silent < maxSilent; ttl++ {
		var echo event.ICMPEcho
		var err error
		for tries := 0; tries < args.Probes && echo.Reply == "" && err == nil; tries++ {
			sequence++
			if echo, err = p.probe(ctx, ttl, sequence); ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
		result.Hops = append(result.Hops, Hop{TTL: ttl, Address: echo.From, RTT: echo.Duration, Reply: echo.Reply, Error: echo.Error})
		switch {
		case err != nil:
			result.Outcome = sock.OutcomeOf(phaseSend, err)
			return result, nil
		case echo.Reply == "":
			silent++
		case echo.Reply == string(host.TimeExceeded):
			silent = 0
		default:
			result.Reached = echo.Reply == string(host.EchoReply)
			return result, nil
		}
	}
	return result, nil
}

// prober sends echo requests to one address.
type prober struct {
	host    host.Host
	pinger  host.Pinger
	to      netip.Addr
	timeout time.Duration
}

// prober looks the name up. Without a prober the action cannot be done at all; with one, the error is the lookup's.
func (c *client) prober(ctx context.Context, h host.Host, to string, timeout role.Duration) (*prober, error) {
	pinger, ok := h.(host.Pinger)
	if !ok {
		return nil, errors.New("this host cannot send ICMP echo requests")
	}
	if to == "" {
		return nil, errors.New("no name or address is given")
	}
	addrs, err := c.dialer(h).Addrs(ctx, to)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	p := &prober{host: h, pinger: pinger, timeout: time.Duration(timeout)}
	if err == nil {
		p.to = addrs[0]
	}
	return p, err
}

// probe sends one echo request, waits for what answers it and tells of both. An error is one of sending; that nobody answers
// stands in the event alone.
func (p *prober) probe(ctx context.Context, ttl, sequence int) (event.ICMPEcho, error) {
	echo := event.ICMPEcho{To: p.to.String(), TTL: ttl, Sequence: sequence}
	limited, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	start := time.Now()
	pong, err := p.pinger.Ping(limited, host.Echo{To: p.to, TTL: ttl, Sequence: uint16(sequence), Size: payload})
	switch {
	case err == nil:
		echo.From, echo.Reply, echo.Duration = pong.From.String(), string(pong.Kind), pong.RTT.Seconds()
	case errors.Is(err, context.DeadlineExceeded):
		echo.Error, echo.Duration = fmt.Sprintf("no answer in %s", p.timeout), time.Since(start).Seconds()
		err = nil
	default:
		echo.Error, echo.Duration = err.Error(), time.Since(start).Seconds()
		if name := errno.Name(err); name != "" {
			echo.Error = name + ": " + err.Error()
		}
	}
	event.Emit(ctx, p.host.Log(), echo)
	return echo, err
}
