package memnet_test

import (
	"net/netip"
	"testing"

	"scenario/host/hosttest"
	"scenario/host/hosttest/memnet"
)

func TestConformance(t *testing.T) {
	hosttest.Run(t, func(*testing.T) hosttest.Pair {
		n := memnet.New()
		around := func(a, b, silent, unreachable, noRoute string) hosttest.Addresses {
			n.Silence(silent)
			n.NoRoute(noRoute)
			return hosttest.Addresses{
				A: netip.MustParseAddr(a), B: netip.MustParseAddr(b), Silent: netip.MustParseAddr(silent),
				Unreachable: netip.MustParseAddr(unreachable), NoRoute: netip.MustParseAddr(noRoute),
			}
		}
		return hosttest.Pair{
			A:  n.Host("a", "10.0.0.1", "fd00::1", "127.0.0.1", "::1"),
			B:  n.Host("b", "10.0.0.2", "fd00::2", "127.0.0.1", "::1"),
			V4: around("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.9.0.1"),
			V6: around("fd00::1", "fd00::2", "fd00::3", "fd00::4", "fd09::1"),
		}
	})
}
