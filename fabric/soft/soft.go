// Package soft is what lies between nodes of one process: network cards, wires, switches and schedulers, on Ethernet
// frames in memory.
//
// Everything that takes frames is a [Sink], and networks are put together from sinks: a [NIC] sends into a [Wire], the wire
// into a [Switch], the switch into the wire to another NIC. Subpackage router is a router of our own. Frames are handed
// over in the sender's goroutine until they reach a NIC, which has a queue and a goroutine of its own, or a wire that
// takes time, whose frames the [Scheduler] sends on.
package soft

import (
	"gvisor.dev/gvisor/pkg/buffer"
)

// Frame is an Ethernet frame under way. Whoever has it owns it, and sends it on or releases it.
type Frame struct {
	// Head has the Ethernet header and the network and transport headers, as far as there are any, in one piece, and may
	// have some of what follows. A card puts fragments, ICMP and small frames there as a whole. It is the owner's alone,
	// who may write to it.
	Head *buffer.View
	// Payload is what follows. It may share its memory with other frames and is never written to.
	Payload buffer.Buffer
	// Segment is the most bytes of TCP payload that a frame on a wire may carry where this one is a super-packet, which has
	// more; else 0.
	Segment uint16
	// Partial says that the TCP checksum is not filled in: sender and receiver are in one memory. What stands in its place
	// does not matter. IPv4's header checksum always is.
	Partial bool
	// Suspect says that a wire may have changed bits: checksums must be verified before anything is believed.
	Suspect bool
}

// Sink takes frames.
type Sink interface {
	// Send takes the frame over. It may be called from any goroutine, and does not block.
	Send(f Frame)
}

// SinkFunc is a function that is a Sink.
type SinkFunc func(f Frame)

// Send calls the function.
func (s SinkFunc) Send(f Frame) { s(f) }

// Size is the frame's length in bytes.
func (f *Frame) Size() int { return f.Head.Size() + int(f.Payload.Size()) }

// Release gives the frame's memory back. The frame must not be used any more.
func (f *Frame) Release() {
	if f.Head != nil {
		f.Head.Release()
		f.Head = nil
	}
	f.Payload.Release()
}

// Clone returns a frame of the same content: the head copied, the payload shared.
func (f *Frame) Clone() Frame {
	c := *f
	c.Head = buffer.NewViewWithData(f.Head.AsSlice())
	c.Payload = f.Payload.Clone()
	return c
}

// Parts appends the frame's bytes, piece by piece, to parts. They are the frame's own: not to be changed, and gone with
// it.
func (f *Frame) Parts(parts [][]byte) [][]byte {
	parts = append(parts, f.Head.AsSlice())
	f.Payload.Apply(func(v *buffer.View) { parts = append(parts, v.AsSlice()) })
	return parts
}
