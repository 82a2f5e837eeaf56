package announce

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"scenario/host"
	"scenario/nodes/client/sock"
)

// phaseSend is the phase of a send, as outcomes name it.
const phaseSend = "send"

// again announces what the options say, as often as they say.
func (a *announcer) again(ctx context.Context, h host.Host) {
	args := AnnounceArgs{Text: a.options.Text, To: a.options.To, Count: 1}
	for n := 0; a.options.Count == 0 || n < a.options.Count; n++ {
		if pause(ctx, h, time.Duration(a.options.Every), "every") != nil {
			return
		}
		if _, err := a.announce(ctx, h, args); err != nil {
			return // the node ends
		}
	}
}

// announce sends each of the announcements to each of the destinations.
func (a *announcer) announce(ctx context.Context, h host.Host, args AnnounceArgs) (any, error) {
	if args.Count < 1 || args.Count > maxCount {
		return nil, fmt.Errorf("count: %d is not from 1 to %d", args.Count, maxCount)
	}
	if len(args.To) == 0 {
		return nil, errors.New("to: nobody is named, neither in the step nor in the options of the node")
	}
	if err := checkMessage(args.Text, args.To); err != nil {
		return nil, err
	}
	result := AnnounceResult{To: make([]Destination, len(args.To))}
	addrs := make([]netip.AddrPort, len(args.To))
	for i, to := range args.To {
		result.To[i].To = to
		var err error
		if addrs[i], err = a.find(ctx, to); err != nil {
			result.To[i].Outcome = sock.OutcomeOf(sock.PhaseLookup, err)
			continue
		}
		result.To[i].Address = addrs[i].String()
	}
	for n := range args.Count {
		if n > 0 {
			if err := pause(ctx, h, time.Duration(args.Pause), "step "+args.Text); err != nil {
				return nil, err
			}
		}
		number := a.next()
		result.First, result.Last = cmp.Or(result.First, number), number
		datagram := format(number, args.Text)
		for i := range result.To {
			a.send(datagram, addrs[i], &result.To[i])
		}
	}
	for _, to := range result.To {
		result.Sent += to.Sent
	}
	return result, ctx.Err()
}

// find is the first address of a destination.
func (a *announcer) find(ctx context.Context, to string) (netip.AddrPort, error) {
	target, err := sock.ParseTarget(to)
	if err != nil {
		return netip.AddrPort{}, err
	}
	addrs, err := a.dialer.Addrs(ctx, target.Name)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(addrs[0], target.Port), nil
}

// send sends a datagram to one destination, where that has an address. The first error is kept, and the next datagram is
// sent all the same.
func (a *announcer) send(datagram []byte, addr netip.AddrPort, to *Destination) {
	if !addr.IsValid() {
		return
	}
	_, err := a.socket.WriteTo(datagram, net.UDPAddrFromAddrPort(addr))
	switch {
	case err == nil:
		to.Sent++
	case to.Outcome == sock.Outcome{}:
		to.Outcome = sock.OutcomeOf(phaseSend, err)
	}
}

// next is the number of the next announcement.
func (a *announcer) next() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last++
	return a.last
}

// pause waits for d, and for its turn among those who wait as long.
func pause(ctx context.Context, h host.Host, d time.Duration, key string) error {
	if d == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		host.Turn(h, Name+" "+key)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
