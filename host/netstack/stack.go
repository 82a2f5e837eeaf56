package netstack

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/log"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/link/loopback"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"scenario/host"
)

// Of the ports that the system chooses, as on Linux (ip(7), ip_local_port_range).
const (
	firstPort = 32768
	lastPort  = 60999
)

// maxBuffer is how large the buffers of a TCP connection grow, in bytes. Half of what is received is the window.
const maxBuffer = 16 << 20

// newStack returns a stack without interfaces.
func newStack(clock tcpip.Clock, seed uint64, dual bool) *stack.Stack {
	// What gVisor would write to standard error is nothing that went wrong: a segment that has no way back, for one.
	log.SetTarget(silent{})
	random := newRandom(seed)
	opts := stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4},
		Clock:              clock,
		HandleLocal:        true,
		RandSource:         random,
		SecureRNG:          random,
		IPTables:           &stack.IPTables{}, // packets are not filtered, and the default tables are large
	}
	if dual {
		// No link-local addresses, no duplicate address detection, no router solicitations: the plan decides all addresses.
		opts.NetworkProtocols = append(opts.NetworkProtocols, ipv6.NewProtocolWithOptions(ipv6.Options{}))
		opts.TransportProtocols = append(opts.TransportProtocols, icmp.NewProtocol6)
	}
	return stack.New(opts)
}

// silent is a log that nobody reads.
type silent struct{}

func (silent) Emit(int, log.Level, time.Time, string, ...any) {}

// setting is an option of the stack that it is certain to have.
func setting(what string, err tcpip.Error) error {
	if err != nil {
		return fmt.Errorf("%s: %s", what, err)
	}
	return nil
}

// tune sets the options of TCP.
func (m *Machine) tune() error {
	// With RACK, and with CUBIC, connections stall for ever where packets are lost.
	recovery := tcpip.TCPRecovery(0)
	sack := tcpip.TCPSACKEnabled(true)
	send := tcpip.TCPSendBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: tcp.DefaultSendBufferSize, Max: maxBuffer}
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: tcp.DefaultReceiveBufferSize, Max: maxBuffer}
	for _, option := range []tcpip.SettableTransportProtocolOption{&recovery, &sack, &send, &receive} {
		if err := m.stack.SetTransportProtocolOption(tcp.ProtocolNumber, option); err != nil {
			return setting("TCP", err)
		}
	}
	return setting("ports", m.stack.SetPortRange(firstPort, lastPort))
}

// configure brings the interfaces up and sets the routes.
func (m *Machine) configure(opts Options) error {
	if err := m.tune(); err != nil {
		return err
	}
	lo := Interface{Name: "lo", Link: loopback.New(), Addresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8")}}
	if m.dual {
		lo.Addresses = append(lo.Addresses, netip.MustParsePrefix("::1/128"))
	}
	for i, card := range append([]Interface{lo}, opts.Interfaces...) {
		if err := m.add(tcpip.NICID(i+1), card); err != nil {
			return fmt.Errorf("interface %s: %w", card.Name, err)
		}
	}
	for _, r := range opts.Routes {
		id, ok := m.ids[r.Interface]
		if !ok {
			return fmt.Errorf("route to %s: there is no interface %q", r.Destination, r.Interface)
		}
		route := tcpip.Route{Destination: subnet(r.Destination), NIC: id}
		if r.Gateway.IsValid() {
			route.Gateway = address(r.Gateway)
		}
		m.stack.AddRoute(route)
	}
	if opts.Router {
		// A stack that does not forward answers from an address only by the interface that has it.
		numbers := []tcpip.NetworkProtocolNumber{ipv4.ProtocolNumber}
		if m.dual {
			numbers = append(numbers, ipv6.ProtocolNumber)
		}
		for _, number := range numbers {
			if err := m.stack.SetForwardingDefaultAndAllNICs(number, true); err != nil {
				return setting("forwarding", err)
			}
		}
	}
	m.icmp = newICMPTap(m)
	return m.icmp.register()
}

// add brings one interface up.
func (m *Machine) add(id tcpip.NICID, card Interface) error {
	if _, ok := m.ids[card.Name]; ok {
		return fmt.Errorf("there are two of that name")
	}
	if err := m.stack.CreateNICWithOptions(id, watch(card.Link, &m.syns), stack.NICOptions{Name: card.Name}); err != nil {
		return setting("card", err)
	}
	m.ids[card.Name] = id
	m.links = append(m.links, card.Link)
	for _, prefix := range card.Addresses {
		number := protocol(prefix.Addr())
		err := m.stack.AddProtocolAddress(id, tcpip.ProtocolAddress{
			Protocol:          number,
			AddressWithPrefix: tcpip.AddressWithPrefix{Address: address(prefix.Addr()), PrefixLen: prefix.Bits()},
		}, stack.AddressProperties{})
		if err != nil {
			return setting("address "+prefix.String(), err)
		}
		m.stack.AddRoute(tcpip.Route{Destination: subnet(prefix.Masked()), NIC: id})
		m.cards[prefix.Addr()] = id
	}
	i := host.Interface{
		Name: card.Name, MTU: int(card.Link.MTU()), MAC: net.HardwareAddr(card.Link.LinkAddress()), Addrs: card.Addresses,
	}
	if card.Link.Capabilities()&stack.CapabilityLoopback != 0 {
		i.MAC = nil
	}
	m.interfaces = append(m.interfaces, i)
	return nil
}

// protocol is the number of the address's network protocol.
func protocol(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() {
		return ipv4.ProtocolNumber
	}
	return ipv6.ProtocolNumber
}

func address(a netip.Addr) tcpip.Address { return tcpip.AddrFromSlice(a.AsSlice()) }

func subnet(p netip.Prefix) tcpip.Subnet {
	return tcpip.AddressWithPrefix{Address: address(p.Addr()), PrefixLen: p.Bits()}.Subnet()
}

// addrOf is the inverse of address; the zero value stands for no address.
func addrOf(a tcpip.Address) netip.Addr {
	addr, _ := netip.AddrFromSlice(a.AsSlice())
	return addr
}

// random is the source of all that the stack chooses: math/rand.Source64 and io.Reader in one, for any goroutine.
type random struct {
	mu     sync.Mutex
	source *rand.ChaCha8
}

func newRandom(seed uint64) *random {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return &random{source: rand.NewChaCha8(key)}
}

func (r *random) Uint64() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.source.Uint64()
}

func (r *random) Int63() int64 { return int64(r.Uint64() >> 1) }

// Seed does nothing: Options.Seed has seeded it.
func (r *random) Seed(int64) {}

func (r *random) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.source.Read(p)
}
