package netstack_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"go.uber.org/goleak"

	"scenario/fabric/soft"
	"scenario/host/hosttest"
	"scenario/host/netstack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cards makes network cards on one switch.
type cards struct {
	network *soft.Switch
	made    uint32
}

func newCards() *cards { return &cards{network: soft.NewSwitch()} }

func (c *cards) card(opts soft.NICOptions) *soft.NIC {
	c.made++
	opts.MAC = [6]byte{2}
	binary.BigEndian.PutUint32(opts.MAC[2:], c.made)
	opts.MTU, opts.Resolve = 1500, true
	nic := soft.NewNIC(opts)
	nic.Connect(c.network.Attach(nic))
	return nic
}

// machine makes a machine with one card that has the addresses.
func (c *cards) machine(t testing.TB, seed uint64, addrs ...string) *netstack.Machine {
	t.Helper()
	m, err := netstack.New(netstack.Options{
		Seed:       seed,
		Interfaces: []netstack.Interface{{Name: "eth0", Link: c.card(soft.NICOptions{}), Addresses: prefixes(addrs)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func prefixes(texts []string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// Two machines on a switch. R3
func TestConformance(t *testing.T) {
	addr := netip.MustParseAddr
	hosttest.Run(t, func(t *testing.T) hosttest.Pair {
		c := newCards()
		return hosttest.Pair{
			A: c.machine(t, 1, "10.0.0.1/24", "fd00::1/64").Host(netstack.HostOptions{Seed: 1}),
			B: c.machine(t, 2, "10.0.0.2/24", "fd00::2/64").Host(netstack.HostOptions{Seed: 2}),
			V4: hosttest.Addresses{
				A: addr("10.0.0.1"), B: addr("10.0.0.2"),
				Unreachable: addr("10.0.0.99"), UnreachableFrom: addr("10.0.0.1"),
				NoRoute: addr("192.0.2.1"),
			},
			V6: hosttest.Addresses{
				A: addr("fd00::1"), B: addr("fd00::2"),
				Unreachable: addr("fd00::99"), UnreachableFrom: addr("fd00::1"),
				NoRoute: addr("2001:db8::1"),
			},
		}
	})
}
