package netstack

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/ports"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"scenario/host"
)

// echoHeader is the length of an echo message before its payload, in bytes (RFC 792, RFC 4443 section 4.1).
const echoHeader = 8

// maxPayload is what fits into an IPv4 packet beside its header.
const maxPayload = 65535 - header.IPv4MinimumSize - echoHeader

// Ping implements [host.Pinger].
func (h *Host) Ping(ctx context.Context, echo host.Echo) (host.Pong, error) {
	if ctx.Err() != nil {
		return host.Pong{}, ctx.Err()
	}
	pong, err := h.machine.ping(ctx, echo)
	if err != nil && ctx.Err() != nil {
		return host.Pong{}, ctx.Err()
	}
	if err != nil {
		return host.Pong{}, fmt.Errorf("ping %s: %w", echo.To, err)
	}
	return pong, nil
}

// ping is an echo that is not answered yet. For the stack it is a transport endpoint, which gets the reply, and is told when
// who is next on the way has no link address. All other errors come by the icmpTap.
type ping struct {
	key      pingKey
	sequence uint16
	route    *stack.Route
	answered chan host.Pong
	ended    chan struct{} // has an element when the machine is closed
}

var _ stack.TransportEndpoint = (*ping)(nil)

// answer notes the first answer.
func (p *ping) answer(pong host.Pong) {
	select {
	case p.answered <- pong:
	default:
	}
}

// HandlePacket implements [stack.TransportEndpoint].
func (p *ping) HandlePacket(id stack.TransportEndpointID, pkt *stack.PacketBuffer) {
	message := pkt.TransportHeader().Slice()
	reply := byte(header.ICMPv4EchoReply)
	if p.key.v6 {
		reply = byte(header.ICMPv6EchoReply)
	}
	if len(message) >= echoHeader && message[0] == reply && binary.BigEndian.Uint16(message[6:]) == p.sequence {
		p.answer(host.Pong{From: addrOf(id.RemoteAddress), Kind: host.EchoReply})
	}
}

// HandleError implements [stack.TransportEndpoint]. Errors that came by the network have been answered before.
func (p *ping) HandleError(fault stack.TransportError, _ *stack.PacketBuffer) {
	if fault.Kind() != stack.DestinationHostUnreachableTransportError {
		return
	}
	code := int(header.ICMPv4HostUnreachable)
	if p.key.v6 {
		code = int(header.ICMPv6AddressUnreachable)
	}
	p.answer(host.Pong{From: addrOf(p.route.LocalAddress()), Kind: host.DestinationUnreachable, Code: code})
}

// ids are by what the stack finds a ping: by its identifier as the local port for replies, and as the remote port for errors.
func (p *ping) ids() [2]stack.TransportEndpointID {
	return [2]stack.TransportEndpointID{
		{LocalAddress: p.route.LocalAddress(), LocalPort: p.key.identifier},
		{LocalAddress: p.route.LocalAddress(), RemoteAddress: p.route.RemoteAddress(), RemotePort: p.key.identifier},
	}
}

func (p *ping) protocols() ([]tcpip.NetworkProtocolNumber, tcpip.TransportProtocolNumber) {
	transport := header.ICMPv4ProtocolNumber
	if p.key.v6 {
		transport = header.ICMPv6ProtocolNumber
	}
	return []tcpip.NetworkProtocolNumber{p.route.NetProto()}, transport
}

func (p *ping) register(s *stack.Stack) tcpip.Error {
	networks, transport := p.protocols()
	for i, id := range p.ids() {
		if fault := s.RegisterTransportEndpoint(networks, transport, id, p, ports.Flags{}, 0); fault != nil {
			if i > 0 {
				s.UnregisterTransportEndpoint(networks, transport, p.ids()[0], p, ports.Flags{}, 0)
			}
			return fault
		}
	}
	return nil
}

func (p *ping) unregister(s *stack.Stack) {
	networks, transport := p.protocols()
	for _, id := range p.ids() {
		s.UnregisterTransportEndpoint(networks, transport, id, p, ports.Flags{}, 0)
	}
}

// Abort implements [stack.TransportEndpoint].
func (p *ping) Abort() {
	select {
	case p.ended <- struct{}{}:
	default:
	}
}

// Wait implements [stack.TransportEndpoint].
func (p *ping) Wait() {}

func (m *Machine) ping(ctx context.Context, echo host.Echo) (host.Pong, error) {
	if !echo.To.IsValid() {
		return host.Pong{}, errors.New("no address")
	}
	if echo.Size < 0 || echo.Size > maxPayload {
		return host.Pong{}, fmt.Errorf("%d bytes of payload: at most %d fit", echo.Size, maxPayload)
	}
	echo.To = echo.To.Unmap()
	m.await("ping %s ttl %d sequence %d size %d", echo.To, echo.TTL, echo.Sequence, echo.Size)
	route, err := m.routeTo(echo)
	if err != nil {
		return host.Pong{}, err
	}
	defer route.Release()
	p, err := m.icmp.begin(echo, route)
	if err != nil {
		return host.Pong{}, err
	}
	defer m.icmp.end(p)
	sent := time.Now()
	if fault := p.send(echo); fault != nil {
		return host.Pong{}, failed("sendto", fault)
	}
	m.Kick()
	select {
	case pong := <-p.answered:
		pong.RTT = time.Since(sent)
		return pong, nil
	case <-p.ended:
		return host.Pong{}, errClosed
	case <-ctx.Done():
		return host.Pong{}, ctx.Err()
	}
}

// routeTo is the way of an echo.
func (m *Machine) routeTo(echo host.Echo) (*stack.Route, error) {
	if echo.To.Is6() && !m.dual {
		return nil, failed("sendto", &tcpip.ErrNetworkUnreachable{})
	}
	full, err := m.target(netip.AddrPortFrom(echo.To, 0))
	if err != nil {
		return nil, err
	}
	if id, own := m.cards[echo.To]; own {
		// By way of the loopback interface, the stack would not answer for an IPv4 address of another.
		full.NIC = id
	}
	route, fault := m.stack.FindRoute(full.NIC, tcpip.Address{}, full.Addr, protocol(echo.To), false)
	if fault != nil {
		return nil, failed("sendto", fault)
	}
	return route, nil
}

// send writes the echo request into the network.
func (p *ping) send(echo host.Echo) tcpip.Error {
	message := make([]byte, echoHeader+echo.Size)
	for i := range echo.Size {
		message[echoHeader+i] = byte(i)
	}
	binary.BigEndian.PutUint16(message[4:], p.key.identifier)
	binary.BigEndian.PutUint16(message[6:], echo.Sequence)
	params := stack.NetworkHeaderParams{TTL: uint8(echo.TTL)}
	if p.key.v6 {
		message[0] = byte(header.ICMPv6EchoRequest)
		params.Protocol = header.ICMPv6ProtocolNumber
		sum := checksum.Checksum(message, p.route.PseudoHeaderChecksum(header.ICMPv6ProtocolNumber, uint16(len(message))))
		binary.BigEndian.PutUint16(message[2:], ^sum)
	} else {
		message[0] = byte(header.ICMPv4Echo)
		params.Protocol = header.ICMPv4ProtocolNumber
		binary.BigEndian.PutUint16(message[2:], ^checksum.Checksum(message, 0))
	}
	if params.TTL == 0 {
		params.TTL = p.route.DefaultTTL()
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: int(p.route.MaxHeaderLength()) + echoHeader,
		Payload:            buffer.MakeWithData(message[echoHeader:]),
	})
	defer pkt.DecRef()
	pkt.TransportProtocolNumber = params.Protocol
	copy(pkt.TransportHeader().Push(echoHeader), message)
	return p.route.WritePacket(params, pkt)
}
