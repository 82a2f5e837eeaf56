package hosttest

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"scenario/host"
)

// pinger returns A's Pinger, or skips the test where there is none or the machine does not permit it.
func pinger(ctx context.Context, t *testing.T, p Pair, f family) host.Pinger {
	t.Helper()
	pinger, ok := p.A.(host.Pinger)
	if !ok {
		t.Skip("the host cannot ping")
	}
	if _, err := pinger.Ping(ctx, host.Echo{To: f.loopback}); errors.Is(err, os.ErrPermission) {
		t.Skipf("this machine does not permit it: %v", err)
	}
	return pinger
}

// wantPong sends an echo and fails the test unless it is answered so.
func wantPong(ctx context.Context, t *testing.T, pinger host.Pinger, echo host.Echo, kind host.PongKind, from netip.Addr) {
	t.Helper()
	pong, err := pinger.Ping(ctx, echo)
	must(t, "ping "+echo.To.String(), err)
	if pong.Kind != kind || pong.From != from || pong.RTT <= 0 {
		t.Errorf("ping %+v: answer %+v, want %s from %s", echo, pong, kind, from)
	}
}

func pingOther(ctx context.Context, t *testing.T, p Pair, f family) {
	for seq, size := range []int{0, 56, 1400, 4000} {
		echo := host.Echo{To: f.B, Sequence: uint16(seq), Size: size}
		wantPong(ctx, t, pinger(ctx, t, p, f), echo, host.EchoReply, f.B)
	}
}

func pingItself(ctx context.Context, t *testing.T, p Pair, f family) {
	wantPong(ctx, t, pinger(ctx, t, p, f), host.Echo{To: f.A, Sequence: 65535}, host.EchoReply, f.A)
	wantPong(ctx, t, pinger(ctx, t, p, f), host.Echo{To: f.loopback, TTL: 1}, host.EchoReply, f.loopback)
}

// pingTogether: echoes side by side get each its own answer.
func pingTogether(ctx context.Context, t *testing.T, p Pair, f family) {
	pinger := pinger(ctx, t, p, f)
	targets := []netip.Addr{f.A, f.B, f.loopback}
	answers := make(chan bool)
	const each = 10
	for i := range each * len(targets) {
		go func() {
			to := targets[i%len(targets)]
			pong, err := pinger.Ping(ctx, host.Echo{To: to, Sequence: 7})
			answers <- err == nil && pong.Kind == host.EchoReply && pong.From == to
		}()
	}
	for range each * len(targets) {
		if !<-answers {
			t.Error("an echo got no answer, or another's")
		}
	}
}

// pingTimeExceeded: every router on the way answers for its hop.
func pingTimeExceeded(ctx context.Context, t *testing.T, p Pair, f family) {
	if len(f.Path) == 0 {
		t.Skip("the pair has no routers between its hosts")
	}
	pinger := pinger(ctx, t, p, f)
	for i, router := range f.Path {
		wantPong(ctx, t, pinger, host.Echo{To: f.B, TTL: i + 1, Sequence: uint16(i)}, host.TimeExceeded, router)
	}
	wantPong(ctx, t, pinger, host.Echo{To: f.B, TTL: len(f.Path) + 1}, host.EchoReply, f.B)
}

func pingUnreachable(ctx context.Context, t *testing.T, p Pair, f family) {
	if !f.Unreachable.IsValid() {
		t.Skip("the pair has no unreachable address")
	}
	wantPong(ctx, t, pinger(ctx, t, p, f), host.Echo{To: f.Unreachable}, host.DestinationUnreachable, f.UnreachableFrom)
}

func pingNoRoute(ctx context.Context, t *testing.T, p Pair, f family) {
	if !f.NoRoute.IsValid() {
		t.Skip("the pair has no address without a route")
	}
	_, err := pinger(ctx, t, p, f).Ping(ctx, host.Echo{To: f.NoRoute})
	wantError(t, "ping without a route", err, syscall.ENETUNREACH)
}

func pingDeadline(ctx context.Context, t *testing.T, p Pair, f family) {
	if !f.Silent.IsValid() {
		t.Skip("the pair has no silent address")
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err := pinger(ctx, t, p, f).Ping(short, host.Echo{To: f.Silent})
	wantError(t, "ping when nobody answers", err, context.DeadlineExceeded)
}

func pingCanceled(ctx context.Context, t *testing.T, p Pair, f family) {
	pinger := pinger(ctx, t, p, f)
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	_, err := pinger.Ping(canceled, host.Echo{To: f.B})
	wantError(t, "ping with a canceled context", err, context.Canceled)

	if !f.Silent.IsValid() {
		t.Skip("the pair has no silent address: only a context that was canceled before was tried")
	}
	during, cancel := context.WithCancel(ctx)
	failed := make(chan error)
	go func() {
		_, err := pinger.Ping(during, host.Echo{To: f.Silent})
		failed <- err
	}()
	cancel()
	wantError(t, "ping when its context is canceled", <-failed, context.Canceled)
}
