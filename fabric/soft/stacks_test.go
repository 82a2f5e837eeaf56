package soft_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"scenario/fabric/soft"
)

// mac is the MAC address of a test's host n.
func mac(n byte) [6]byte { return [6]byte{2, 0, 0, 0, 0, n} }

// v4 and v6 are the addresses of a test's host n.
func v4(n byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, n}) }
func v6(n byte) netip.Addr { return netip.AddrFrom16([16]byte{0xfd, 15: n}) }

// node is a host of a test: a stack on one card.
type node struct {
	*stack.Stack
	nic *soft.NIC
}

// newNode gives a card a stack, with the addresses of host n. The stack is destroyed at the test's end.
func newNode(t testing.TB, n byte, options soft.NICOptions) *node {
	t.Helper()
	options.MAC = mac(n)
	if options.MTU == 0 {
		options.MTU = 1500
	}
	options.Resolve = true
	nic := soft.NewNIC(options)
	s := stack.New(stack.Options{
		NetworkProtocols: []stack.NetworkProtocolFactory{
			ipv4.NewProtocol, arp.NewProtocol, ipv6.NewProtocolWithOptions(ipv6.Options{}),
		},
		TransportProtocols: []stack.TransportProtocolFactory{
			tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6,
		},
	})
	must(t, s.CreateNIC(1, nic))
	for _, a := range []netip.Prefix{netip.PrefixFrom(v4(n), 24), netip.PrefixFrom(v6(n), 64)} {
		protocol := header.IPv4ProtocolNumber
		if a.Addr().Is6() {
			protocol = header.IPv6ProtocolNumber
		}
		with := tcpip.AddressWithPrefix{Address: tcpip.AddrFromSlice(a.Addr().AsSlice()), PrefixLen: a.Bits()}
		must(t, s.AddProtocolAddress(1, tcpip.ProtocolAddress{Protocol: protocol, AddressWithPrefix: with}, stack.AddressProperties{}))
		s.AddRoute(tcpip.Route{Destination: with.Subnet(), NIC: 1})
	}
	congestion, recovery := tcpip.CongestionControlOption("reno"), tcpip.TCPRecovery(0)
	must(t, s.SetTransportProtocolOption(tcp.ProtocolNumber, &congestion))
	must(t, s.SetTransportProtocolOption(tcp.ProtocolNumber, &recovery))
	// No datagram is lost because a test reads it late.
	must(t, s.SetOption(tcpip.ReceiveBufferSizeOption{Min: 4096, Default: 8 << 20, Max: 8 << 20}))
	t.Cleanup(s.Destroy)
	return &node{s, nic}
}

func must(t testing.TB, err tcpip.Error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// full is an address as stacks have it.
func full(a netip.AddrPort) (tcpip.FullAddress, tcpip.NetworkProtocolNumber) {
	protocol := header.IPv4ProtocolNumber
	if a.Addr().Is6() {
		protocol = header.IPv6ProtocolNumber
	}
	address := tcpip.FullAddress{NIC: 1, Port: a.Port()}
	if !a.Addr().IsUnspecified() {
		address.Addr = tcpip.AddrFromSlice(a.Addr().AsSlice())
	}
	return address, protocol
}

func (n *node) listen(t testing.TB, a netip.AddrPort) net.Listener {
	t.Helper()
	address, protocol := full(a)
	l, err := gonet.ListenTCP(n.Stack, address, protocol)
	if err != nil {
		t.Fatal(err)
	}
	return shutter{l}
}

// shutter is a listener of which Close wakes Accept.
type shutter struct{ *gonet.TCPListener }

func (s shutter) Close() error {
	s.Shutdown()
	return s.TCPListener.Close()
}

func (n *node) dial(ctx context.Context, a netip.AddrPort) (net.Conn, error) {
	address, protocol := full(a)
	return gonet.DialContextTCP(ctx, n.Stack, address, protocol)
}

func (n *node) packets(t testing.TB, local, remote netip.AddrPort) *gonet.UDPConn {
	t.Helper()
	var from, to *tcpip.FullAddress
	if local.IsValid() {
		a, _ := full(local)
		from = &a
	}
	if remote.IsValid() {
		a, _ := full(remote)
		to = &a
	}
	protocol := header.IPv4ProtocolNumber
	if local.Addr().Is6() || remote.Addr().Is6() {
		protocol = header.IPv6ProtocolNumber
	}
	conn, err := gonet.DialUDP(n.Stack, from, to, protocol)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// echo sends back what each connection brings until the listener is closed; done is then waited for.
func echo(l net.Listener) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}
	}()
	return done
}
