// Package capture writes what goes over a link as a pcapng file, one file a link, for Wireshark and its kin.
//
// The format is draft-ietf-opsawg-pcapng: a section header, one interface description with the link's name, then an
// enhanced packet block for each frame, with its time in nanoseconds and its direction. The blocks are written here
// rather than by pcapgo.NgWriter, which knows flags, comments and keys too, but wants a frame in one piece and makes the
// program 3.5 MB larger, by decoders of a hundred protocols. The tests read the files back with its reader and tshark.
//
// Nothing but what is passed in gets into a file: no clock, no name of the machine. The same frames give the same bytes.
package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"time"
)

// Link is what a file says of the link that it is about.
type Link struct {
	Name        string // as an interface's name: laptop-home
	Description string // in a few words; may be empty
}

// Direction is which way a frame goes, as seen from the end that the link is named after.
type Direction uint8

// The directions, numbered as in the flags of a packet block (section 4.3.1 of the draft).
const (
	Unknown  Direction = iota
	Inbound            // to that end
	Outbound           // from that end
)

// Writer writes the file of one link. Its methods may be called from any goroutine.
type Writer struct {
	mu     sync.Mutex
	out    *bufio.Writer
	block  block // the one in the making; kept for its memory
	closed bool
}

// NewWriter writes the head of a file to w, buffered. w remains the caller's to close, after Close.
func NewWriter(w io.Writer, link Link) (*Writer, error) {
	c := &Writer{out: bufio.NewWriterSize(w, 1<<16)}
	section := func(b *block) {
		b.number(byteOrderMagic)
		b.number(1)                              // version 1.0, two numbers of 16 bits
		b.number(math.MaxUint32, math.MaxUint32) // the section's length is not known
		b.option(optionApplication, "scenario")
		b.endOptions()
	}
	itf := func(b *block) {
		b.number(linkEthernet)
		b.number(0) // frames are never cut short
		b.option(optionName, link.Name)
		b.option(optionDescription, link.Description)
		b.option(optionResolution, "\x09") // nanoseconds
		b.endOptions()
	}
	if err := errors.Join(c.write(blockSection, section), c.write(blockInterface, itf)); err != nil {
		return nil, fmt.Errorf("capture of %s: %w", link.Name, err)
	}
	return c, nil
}

// Packet writes a frame, from the Ethernet header on, whose pieces are parts in order; they are not kept. Frames stand in
// the file in the order of the calls, whatever their times.
func (w *Writer) Packet(at time.Time, direction Direction, parts ...[]byte) error {
	return w.Remarked(at, direction, "", parts...)
}

// Remarked writes a frame as Packet does, with a comment on it: what became of it, say.
func (w *Writer) Remarked(at time.Time, direction Direction, comment string, parts ...[]byte) error {
	nanoseconds := uint64(at.UnixNano())
	if at.Before(time.Unix(0, 0)) {
		return fmt.Errorf("capture of a frame at %s: the format begins in 1970", at)
	}
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	return w.write(blockPacket, func(b *block) {
		b.number(0) // the only interface
		b.number(uint32(nanoseconds>>32), uint32(nanoseconds))
		b.number(uint32(size), uint32(size)) // as captured, and as it was
		b.bytes(parts...)
		b.option(optionComment, comment)
		b.option(optionFlags, string([]byte{byte(direction), 0, 0, 0}))
		b.endOptions()
	})
}

// TLSKeys writes keys in the format of SSLKEYLOGFILE (RFC 9850). Readers need them before the packets that they open.
func (w *Writer) TLSKeys(log []byte) error {
	return w.write(blockSecrets, func(b *block) {
		b.number(secretsTLS, uint32(len(log)))
		b.bytes(log)
	})
}

// Flush hands all frames so far to the underlying writer.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return os.ErrClosed
	}
	return w.out.Flush()
}

// Close flushes. All that is called afterwards fails with os.ErrClosed.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return os.ErrClosed
	}
	w.closed = true
	return w.out.Flush()
}

// write writes a block of that type, whose body fill makes.
func (w *Writer) write(kind uint32, fill func(*block)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return os.ErrClosed
	}
	w.block = w.block[:0]
	w.block.number(kind, 0)
	fill(&w.block)
	length := uint32(len(w.block) + 4)
	w.block.number(length)
	binary.LittleEndian.PutUint32(w.block[4:], length)
	_, err := w.out.Write(w.block)
	return err
}
