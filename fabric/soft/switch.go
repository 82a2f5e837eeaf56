package soft

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
)

// Switch is a learning Ethernet switch: it sends a frame to the port where its destination was last heard, and to all
// others where that is not known or is a group. What it has learnt it never forgets.
//
// It has no queues: what is slow comes after it.
type Switch struct {
	mu       sync.Mutex // of writers; whoever reads takes what is published
	ports    atomic.Pointer[[]Sink]
	stations atomic.Pointer[stations]
}

// NewSwitch makes a switch without ports.
func NewSwitch() *Switch {
	s := &Switch{}
	s.ports.Store(&[]Sink{})
	s.stations.Store(newStations(16))
	return s
}

// Attach adds a port, of which egress takes what leaves the switch; what enters there is to be sent to ingress. Floods go to
// ports in the order in which they were attached. There are at most 65536.
func (s *Switch) Attach(egress Sink) (ingress Sink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Whoever reads the ports of before never looks behind them: so they need not be copied.
	ports := append(*s.ports.Load(), egress)
	s.ports.Store(&ports)
	return &switchPort{s, uint16(len(ports) - 1)}
}

// switchPort is where frames enter.
type switchPort struct {
	of     *Switch
	number uint16
}

func (p *switchPort) Send(f Frame) {
	head := f.Head.AsSlice()
	if len(head) < ethernetSize {
		f.Release()
		return
	}
	to, from := station(head), station(head[macSize:])
	if number, ok := p.of.stations.Load().find(from); (!ok || number != p.number) && isUnicast(from) {
		p.of.learn(from, p.number)
	}
	ports := *p.of.ports.Load()
	if number, ok := p.of.stations.Load().find(to); ok && isUnicast(to) {
		if number == p.number {
			f.Release()
			return
		}
		ports[number].Send(f)
		return
	}
	last := len(ports) - 1
	if last == int(p.number) {
		last--
	}
	if last < 0 {
		f.Release()
		return
	}
	for i, port := range ports[:last] {
		if i != int(p.number) {
			port.Send(f.Clone())
		}
	}
	ports[last].Send(f)
}

func (s *Switch) learn(address uint64, port uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.stations.Load()
	if 2*known.count >= len(known.slots) {
		known = known.grown()
		s.stations.Store(known)
	}
	known.put(address, port)
}

// station is a MAC address as a number.
func station(mac []byte) uint64 {
	return uint64(binary.BigEndian.Uint32(mac))<<16 | uint64(binary.BigEndian.Uint16(mac[4:]))
}

// isUnicast says whether the address is that of one card.
func isUnicast(address uint64) bool { return address != 0 && address>>40&1 == 0 }

// stations says at which port which MAC address was heard. It is a hash table with open addressing, of which a slot has an
// address in the upper 48 bits and the port in the lower 16, and is never emptied: so it is read without a lock, while one
// writes.
type stations struct {
	slots []atomic.Uint64 // a power of two, at most half of them in use
	count int
}

func newStations(size int) *stations { return &stations{slots: make([]atomic.Uint64, size)} }

// slot is where the address stands, or would.
func (s *stations) slot(address uint64) *atomic.Uint64 {
	mask := uint64(len(s.slots) - 1)
	for i := address * 0x9e3779b97f4a7c15 >> 32; ; i++ { // Fibonacci hashing, since MAC addresses often count up
		slot := &s.slots[i&mask]
		if held := slot.Load(); held == 0 || held>>16 == address {
			return slot
		}
	}
}

func (s *stations) find(address uint64) (port uint16, ok bool) {
	held := s.slot(address).Load()
	return uint16(held), held>>16 == address
}

func (s *stations) put(address uint64, port uint16) {
	slot := s.slot(address)
	if slot.Load() == 0 {
		s.count++
	}
	slot.Store(address<<16 | uint64(port))
}

func (s *stations) grown() *stations {
	larger := newStations(2 * len(s.slots))
	for i := range s.slots {
		if held := s.slots[i].Load(); held != 0 {
			larger.put(held>>16, uint16(held))
		}
	}
	return larger
}
