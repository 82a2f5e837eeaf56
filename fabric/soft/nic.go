package soft

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const (
	// superSize is the size in bytes of the largest IP packet that a stack hands to its card.
	superSize = 64 << 10
	// smallSize is the size in bytes up to which a frame is copied as a whole, which costs less than sharing its payload.
	smallSize = 256
	// queueSize is how many frames wait for a stack unless it is said otherwise: more than a TCP window of 8 MiB has.
	queueSize = 8192
)

// NICOptions say what a network card is like.
type NICOptions struct {
	MAC [6]byte
	// MTU is the size in bytes of the largest IP packet.
	MTU int
	// Resolve has the stack find out its neighbours' MAC addresses by ARP and neighbour discovery. Without it, frames go
	// out with a destination of zeros, and all that comes in is taken: a cable between a router and its own stack.
	Resolve bool
	// Scheduler delivers in virtual time. In real time, and without one, the card has a goroutine of its own.
	Scheduler Scheduler
	// Delivered, if set, is called after each frame that was handed to the stack, on the same goroutine.
	Delivered func()
	// Accept, if set, is shown the head of each frame that comes in, and says whether the stack gets it.
	Accept func(head []byte) bool
	// Addresses, if set, are those of the stack's that ARP is to be answered for. Questions about others, which everybody on a
	// network hears, then cost nothing: the stack would ignore them.
	Addresses []netip.Addr
	// Queue is how many frames may wait for the stack; 0 means 8192.
	Queue int
}

// NICDrops counts frames that came in and were not handed to the stack.
type NICDrops struct {
	Overflow uint64 // the stack was too slow
	Checksum uint64 // a checksum was wrong
	Filtered uint64 // not accepted
}

// NIC is a network card: a link endpoint for a gVisor stack, and the sink that takes the frames from its wire.
//
// Frames that come in wait in a queue, and a goroutine hands them to the stack from when the stack attaches the card until
// [NIC.Close], which a stack calls that is destroyed. In virtual time the scheduler does.
type NIC struct {
	options    NICOptions
	mtu        atomic.Uint32
	to         atomic.Pointer[Sink]
	dispatcher atomic.Pointer[stack.NetworkDispatcher]
	virtual    Sink // delivers what the scheduler sends; nil in real time
	queue      queue
	running    sync.WaitGroup

	paths paths

	// distrust has the stack verify the checksums of what is being delivered.
	distrust atomic.Bool

	overflow, checksum, filtered atomic.Uint64
}

var (
	_ stack.LinkEndpoint = (*NIC)(nil)
	_ stack.GSOEndpoint  = (*NIC)(nil)
	_ Sink               = (*NIC)(nil)
)

// NewNIC makes a card that no stack has yet and that is not connected.
func NewNIC(options NICOptions) *NIC {
	if options.Queue == 0 {
		options.Queue = queueSize
	}
	n := &NIC{options: options}
	n.mtu.Store(uint32(options.MTU))
	n.queue.init(options.Queue)
	if options.Scheduler != nil && options.Scheduler.Virtual() {
		n.virtual = SinkFunc(n.deliver)
	}
	return n
}

// Connect sets where the stack's frames go. Until then they are lost.
func (n *NIC) Connect(to Sink) { n.to.Store(&to) }

// Drops counts what did not reach the stack.
func (n *NIC) Drops() NICDrops {
	return NICDrops{Overflow: n.overflow.Load(), Checksum: n.checksum.Load(), Filtered: n.filtered.Load()}
}

// Send takes a frame from the wire. Those for other cards, which switches flood, go no further.
func (n *NIC) Send(f Frame) {
	if n.dispatcher.Load() == nil || !n.isFor(f.Head.AsSlice()) {
		f.Release()
		return
	}
	if n.virtual != nil {
		n.options.Scheduler.Send(n.options.Scheduler.Now(), f, n.virtual)
		return
	}
	if !n.queue.push(f) {
		n.overflow.Add(1)
		f.Release()
	}
}

// isFor says whether a frame is for this card, for all or for a group.
func (n *NIC) isFor(head []byte) bool {
	switch {
	case len(head) < ethernetSize:
		return false
	case !n.options.Resolve || [macSize]byte(head) == n.options.MAC:
		return true
	}
	return head[0]&1 != 0 && !n.asksOthers(head)
}

// asksOthers says whether a frame is an ARP request (RFC 826) for an address of somebody else's.
func (n *NIC) asksOthers(head []byte) bool {
	if len(n.options.Addresses) == 0 || len(head) < ethernetSize+header.ARPSize ||
		binary.BigEndian.Uint16(head[2*macSize:]) != uint16(header.ARPProtocolNumber) {
		return false
	}
	arp := header.ARP(head[ethernetSize:])
	target := netip.AddrFrom4([4]byte(arp.ProtocolAddressTarget()))
	return arp.IsValid() && arp.Op() == header.ARPRequest && !slices.Contains(n.options.Addresses, target)
}

// deliver hands a frame to the stack.
func (n *NIC) deliver(f Frame) {
	dispatcher := n.dispatcher.Load()
	head := f.Head.AsSlice()
	switch {
	case dispatcher == nil:
		f.Release()
		return
	case f.Suspect && !Verify(&f):
		n.checksum.Add(1)
		f.Release()
		return
	case n.options.Accept != nil && !n.options.Accept(head):
		n.filtered.Add(1)
		f.Release()
		return
	}
	if f.Suspect {
		// Of fragments only the stack sees when the packet is whole.
		n.distrust.Store(true)
		defer n.distrust.Store(false)
	}
	kind := tcpip.PacketHost
	if [macSize]byte(head) == ([macSize]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) {
		kind = tcpip.PacketBroadcast
	} else if head[0]&1 != 0 {
		kind = tcpip.PacketMulticast
	}
	n.paths.learn(head)
	protocol := tcpip.NetworkProtocolNumber(binary.BigEndian.Uint16(head[2*macSize:]))
	data := buffer.MakeWithView(f.Head)
	data.Merge(&f.Payload)
	packet := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: data})
	n.ParseHeader(packet)
	packet.PktType = kind
	(*dispatcher).DeliverNetworkPacket(protocol, packet)
	packet.DecRef()
	if n.options.Delivered != nil {
		n.options.Delivered()
	}
}

// WritePackets takes the stack's packets. It is part of stack.LinkEndpoint, as all that follows.
func (n *NIC) WritePackets(packets stack.PacketBufferList) (int, tcpip.Error) {
	to := n.to.Load()
	if to == nil {
		return packets.Len(), nil
	}
	for _, packet := range packets.AsSlice() {
		n.paths.send(frameOf(packet), *to)
	}
	return packets.Len(), nil
}

// frameOf makes a frame of a stack's packet, which stays the stack's. Headers are copied, since the stack keeps pointers to
// them; packets without a transport header of their own (fragments, raw ones) and ICMP are copied as a whole, so that
// whatever a router may want to read or rewrite is in the head.
func frameOf(packet *stack.PacketBuffer) Frame {
	headers, size := packet.HeaderSize(), packet.Size()
	super := packet.GSOOptions.Type != stack.GSONone && size-headers > int(packet.GSOOptions.MSS)
	copied := headers
	if !super && (size <= smallSize || packet.TransportProtocolNumber != header.TCPProtocolNumber &&
		packet.TransportProtocolNumber != header.UDPProtocolNumber || len(packet.TransportHeader().Slice()) == 0) {
		copied = size
	}
	f := Frame{
		Head:    buffer.NewView(copied),
		Partial: packet.GSOOptions.Type != stack.GSONone && packet.GSOOptions.NeedsCsum,
	}
	if super {
		f.Segment = packet.GSOOptions.MSS
	}
	views, skip := packet.AsViewList()
	for v := views.Front(); v != nil; v = v.Next() {
		data := v.AsSlice()
		if skip >= len(data) {
			skip -= len(data)
			continue
		}
		begin := skip
		skip = 0
		if copied > 0 {
			n := min(copied, len(data)-begin)
			_, _ = f.Head.Write(data[begin : begin+n]) // there is room for it
			copied -= n
			begin += n
		}
		if begin < len(data) {
			part := v.Clone()
			part.TrimFront(begin)
			rest := buffer.MakeWithView(part)
			f.Payload.Merge(&rest)
		}
	}
	return f
}

// Attach is called with the stack's NIC, and with nil when that is removed.
func (n *NIC) Attach(dispatcher stack.NetworkDispatcher) {
	if dispatcher == nil {
		n.dispatcher.Store(nil)
		return
	}
	first := n.dispatcher.Swap(&dispatcher) == nil
	if first && n.virtual == nil && n.queue.open() {
		n.running.Go(func() { n.queue.run(n.deliver) })
	}
}

// IsAttached says whether a stack has the card.
func (n *NIC) IsAttached() bool { return n.dispatcher.Load() != nil }

// Close ends the card's goroutine and waits for that. Frames that wait are lost.
func (n *NIC) Close() {
	n.dispatcher.Store(nil)
	n.queue.close()
	n.running.Wait()
}

// Wait does nothing: the stack calls it with locks held that the goroutine may need to finish a delivery, and Close after
// it has let them go.
func (n *NIC) Wait() {}

// SetOnCloseAction does nothing: cards are there before their stacks.
func (n *NIC) SetOnCloseAction(func()) {}

// MTU is the size in bytes of the largest IP packet.
func (n *NIC) MTU() uint32 { return n.mtu.Load() }

// SetMTU changes the MTU.
func (n *NIC) SetMTU(mtu uint32) { n.mtu.Store(mtu) }

// MaxHeaderLength is the size of an Ethernet header.
func (n *NIC) MaxHeaderLength() uint16 { return ethernetSize }

// LinkAddress is the card's MAC address.
func (n *NIC) LinkAddress() tcpip.LinkAddress { return tcpip.LinkAddress(n.options.MAC[:]) }

// SetLinkAddress does nothing: MAC addresses are the plan's.
func (n *NIC) SetLinkAddress(tcpip.LinkAddress) {}

// Capabilities says that checksums of what comes in are verified by the card.
func (n *NIC) Capabilities() stack.LinkEndpointCapabilities {
	capabilities := stack.CapabilityNone
	if !n.distrust.Load() {
		capabilities |= stack.CapabilityRXChecksumOffload
	}
	if n.options.Resolve {
		capabilities |= stack.CapabilityResolutionRequired
	}
	return capabilities
}

// GSOMaxSize is the size in bytes of the largest super-packet.
func (n *NIC) GSOMaxSize() uint32 { return superSize }

// SupportedGSO says that super-packets are cut later, or never.
func (n *NIC) SupportedGSO() stack.SupportedGSO { return stack.HostGSOSupported }

// ARPHardwareType is Ethernet.
func (n *NIC) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }

// AddHeader writes the Ethernet header of a packet that goes out.
func (n *NIC) AddHeader(packet *stack.PacketBuffer) {
	header.Ethernet(packet.LinkHeader().Push(ethernetSize)).Encode(&header.EthernetFields{
		SrcAddr: packet.EgressRoute.LocalLinkAddress,
		DstAddr: packet.EgressRoute.RemoteLinkAddress,
		Type:    packet.NetworkProtocolNumber,
	})
}

// ParseHeader marks the Ethernet header of a packet that came in.
func (n *NIC) ParseHeader(packet *stack.PacketBuffer) bool {
	_, ok := packet.LinkHeader().Consume(ethernetSize)
	return ok
}

// queue holds frames until a goroutine has time for them. It changes hands as a whole, so that the lock is taken once for
// many frames where many come.
type queue struct {
	mu     sync.Mutex
	wake   sync.Cond // there is something, or it is closed
	frames []Frame
	limit  int
	opened bool
	closed bool
}

func (q *queue) init(limit int) {
	q.limit = limit
	q.wake.L = &q.mu
}

// push is false where the queue is full or closed; the frame is then still the caller's.
func (q *queue) push(f Frame) bool {
	q.mu.Lock()
	if q.closed || len(q.frames) >= q.limit {
		q.mu.Unlock()
		return false
	}
	q.frames = append(q.frames, f)
	first := len(q.frames) == 1
	q.mu.Unlock()
	if first {
		q.wake.Signal()
	}
	return true
}

// open says whether a goroutine is needed: only the first time.
func (q *queue) open() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.opened || q.closed {
		return false
	}
	q.opened = true
	return true
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	frames := q.frames
	q.frames = nil
	q.mu.Unlock()
	q.wake.Broadcast()
	for i := range frames {
		frames[i].Release()
	}
}

// run hands over frames, segments that arrive together joined, until the queue is closed.
func (q *queue) run(deliver func(Frame)) {
	var batch []Frame
	for {
		q.mu.Lock()
		for len(q.frames) == 0 && !q.closed {
			q.wake.Wait()
		}
		if q.closed {
			q.mu.Unlock()
			return
		}
		batch, q.frames = q.frames, batch[:0]
		q.mu.Unlock()
		for i := 0; i < len(batch); {
			var train joiner
			train.start(batch[i])
			i++
			for i < len(batch) && train.add(&batch[i]) {
				i++
			}
			deliver(train.done())
		}
		clear(batch)
	}
}
