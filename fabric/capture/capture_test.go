package capture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"scenario/fabric/capture"
	"scenario/internal/needs"
)

// The frames of these tests: a UDP datagram there and one back.
func frames() [][]byte {
	return [][]byte{udp(2, 1, 5000, 53, "ask"), udp(1, 2, 53, 5000, "answer!")}
}

// start has digits in every place of a nanosecond.
func start() time.Time { return time.Date(2026, 9, 5, 12, 0, 0, 123456789, time.UTC) }

// R37
func TestReadBack(t *testing.T) {
	var file bytes.Buffer
	w, err := capture.NewWriter(&file, capture.Link{Name: "laptop-home", Description: "laptop's port on home"})
	if err != nil {
		t.Fatal(err)
	}
	frames := frames()
	long := strings.Repeat("long ", 20_000)
	for _, err := range []error{
		w.Packet(start(), capture.Outbound, frames[0][:14], nil, frames[0][14:43], frames[0][43:]),
		w.TLSKeys([]byte("CLIENT_RANDOM 00 11\n")),
		w.Remarked(start().Add(time.Nanosecond), capture.Inbound, "lost by the link", frames[1]),
		w.Remarked(start(), capture.Unknown, long, bytes.Repeat([]byte{1}, 1<<16)),
		w.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}

	r, err := pcapgo.NewNgReader(&file, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		at        time.Time
		data      []byte
		direction pcapgo.NgEpbFlag
		comment   string
	}{
		{start(), frames[0], pcapgo.NgEpbFlagDirectionOutbound, ""},
		{start().Add(time.Nanosecond), frames[1], pcapgo.NgEpbFlagDirectionInbound, "lost by the link"},
		{start(), bytes.Repeat([]byte{1}, 1<<16), pcapgo.NgEpbFlagDirectionUnknown, long[:1<<16-1]},
	} {
		data, info, options, err := r.ReadPacketDataWithOptions()
		if err != nil {
			t.Fatal(err)
		}
		if !info.Timestamp.Equal(want.at) || info.Length != len(want.data) || !bytes.Equal(data, want.data) {
			t.Errorf("read %d of %d bytes at %s: %.50x, want %d at %s: %.50x", len(data), info.Length, info.Timestamp, data, len(want.data), want.at, want.data)
		}
		if options.Flags.Direction != want.direction {
			t.Errorf("direction %v, want %v", options.Flags.Direction, want.direction)
		}
		if got := strings.Join(options.Comments, ""); got != want.comment {
			t.Errorf("comment %.80q, want %.80q", got, want.comment)
		}
	}
	if _, _, err := r.ReadPacketData(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v, want EOF", err)
	}
	itf, err := r.Interface(0)
	if err != nil {
		t.Fatal(err)
	}
	if itf.Name != "laptop-home" || itf.Description != "laptop's port on home" || itf.LinkType != layers.LinkTypeEthernet || itf.SnapLength != 0 {
		t.Errorf("interface %+v", itf)
	}
	if section := r.SectionInfo(); section != (pcapgo.NgSectionInfo{Application: "scenario"}) {
		t.Errorf("section %+v", section)
	}
}

// R37: Wireshark reads it without a malformed packet.
func TestTshark(t *testing.T) {
	needs.Program(t, "tshark")
	path := filepath.Join(t.TempDir(), "laptop-home.pcapng")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := capture.NewWriter(file, capture.Link{Name: "laptop-home"})
	if err != nil {
		t.Fatal(err)
	}
	frames := frames()
	err = errors.Join(
		w.TLSKeys([]byte("# none yet\n")),
		w.Packet(start(), capture.Outbound, frames[0][:14], frames[0][14:]),
		w.Remarked(start().Add(time.Second+time.Nanosecond), capture.Inbound, "lost by the link", frames[1]),
		w.Close(), file.Close(),
	)
	if err != nil {
		t.Fatal(err)
	}
	fields := []string{"frame.interface_name", "frame.packet_flags_direction", "frame.time_epoch", "frame.comment", "udp.length", "udp.checksum.status"}
	args := []string{"-r", path, "-d", "udp.port==53,data", "-o", "udp.check_checksum:TRUE", "-T", "fields", "-E", "separator=|", "-e", "_ws.malformed"}
	for _, field := range fields {
		args = append(args, "-e", field)
	}
	cmd := exec.Command("tshark", args...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v\n%s", err, &complaints)
	}
	want := "|laptop-home|0x00000002|1788609600.123456789||11|1\n" +
		"|laptop-home|0x00000001|1788609601.123456790|lost by the link|15|1\n"
	if string(out) != want {
		t.Errorf("tshark says\n%swant\n%s", out, want)
	}
	if strings.Contains(complaints.String(), path) {
		t.Errorf("tshark complains: %s", &complaints)
	}
}

func TestSameBytes(t *testing.T) {
	write := func() string {
		var file bytes.Buffer
		w, err := capture.NewWriter(&file, capture.Link{Name: "a"})
		if err != nil {
			t.Fatal(err)
		}
		for i, frame := range frames() {
			if err := w.Packet(start().Add(time.Duration(i)), capture.Inbound, frame); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		return file.String()
	}
	if first, second := write(), write(); first != second {
		t.Errorf("%x\n%x", first, second)
	}
}

func TestConcurrentUse(t *testing.T) {
	var file bytes.Buffer
	w, err := capture.NewWriter(&file, capture.Link{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 4, 100
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() {
			for range each {
				if err := w.Packet(start(), capture.Inbound, bytes.Repeat([]byte{byte(i)}, 60+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewNgReader(&file, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for range writers * each {
		data, _, err := r.ReadPacketData()
		if err != nil {
			t.Fatal(err)
		}
		if i := data[0]; !bytes.Equal(data, bytes.Repeat([]byte{i}, 60+int(i))) {
			t.Fatalf("a frame in pieces: %x", data)
		}
	}
}

func TestErrors(t *testing.T) {
	full := errors.New("disk full")
	w, err := capture.NewWriter(failing{full}, capture.Link{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Packet(time.Date(1969, 7, 20, 20, 17, 0, 0, time.UTC), capture.Inbound, []byte{1}); err == nil {
		t.Error("a frame before 1970 is taken")
	}
	if err := w.Flush(); !errors.Is(err, full) {
		t.Errorf("flush: %v", err)
	}
	if err := w.Packet(start(), capture.Inbound, []byte{1}); !errors.Is(err, full) {
		t.Errorf("a frame after a failure: %v", err)
	}
	if err := w.Close(); !errors.Is(err, full) {
		t.Errorf("close: %v", err)
	}
	for name, err := range map[string]error{
		"packet": w.Packet(start(), capture.Inbound, []byte{1}), "keys": w.TLSKeys(nil), "flush": w.Flush(), "close": w.Close(),
	} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s after close: %v", name, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// udp is a frame with a datagram from 10.0.0.FROM to 10.0.0.TO.
func udp(from, to byte, sport, dport uint16, text string) []byte {
	payload := []byte(text)
	datagram := binary.BigEndian.AppendUint16(nil, sport)
	datagram = binary.BigEndian.AppendUint16(datagram, dport)
	datagram = binary.BigEndian.AppendUint16(datagram, uint16(8+len(payload)))
	datagram = append(datagram, 0, 0)
	datagram = append(datagram, payload...)
	addresses := []byte{10, 0, 0, from, 10, 0, 0, to}
	pseudo := append(append([]byte{}, addresses...), 0, 17, 0, byte(len(datagram)))
	binary.BigEndian.PutUint16(datagram[6:], checksum(append(pseudo, datagram...)))

	ip := []byte{0x45, 0, 0, byte(20 + len(datagram)), 0, 0, 0, 0, 64, 17, 0, 0}
	ip = append(ip, addresses...)
	binary.BigEndian.PutUint16(ip[10:], checksum(ip))
	frame := []byte{2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 8, 0}
	return append(append(frame, ip...), datagram...)
}

// checksum is that of RFC 1071.
func checksum(data []byte) uint16 {
	if len(data)%2 == 1 {
		data = append(data, 0)
	}
	sum := uint32(0)
	for i := 0; i < len(data); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(data[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
