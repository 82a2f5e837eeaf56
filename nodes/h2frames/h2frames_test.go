package h2frames

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// client is the bytes that a client may begin a connection with.
func client(t testing.TB) []byte {
	t.Helper()
	var out, block bytes.Buffer
	out.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&out, nil)
	encoder := hpack.NewEncoder(&block)
	head := func(fields ...string) []byte {
		block.Reset()
		for i := 0; i < len(fields); i += 2 {
			if err := encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}); err != nil {
				t.Fatal(err)
			}
		}
		return slices.Clone(block.Bytes())
	}
	first := head(":method", "GET", ":path", "/")
	second := head(":method", "GET", ":path", "/", "cookie", "a=1")
	for _, err := range []error{
		framer.WriteSettings(http2.Setting{ID: http2.SettingEnablePush}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 70000}),
		framer.WriteWindowUpdate(0, 1000),
		framer.WriteHeaders(http2.HeadersFrameParam{
			StreamID: 1, BlockFragment: first, EndStream: true, EndHeaders: true, PadLength: 7,
			Priority: http2.PriorityParam{StreamDep: 0, Weight: 3},
		}),
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: second[:1]}),
		framer.WriteContinuation(3, true, second[1:]),
		framer.WriteData(3, true, []byte("hello")),
		framer.WriteRSTStream(3, http2.ErrCodeCancel),
		framer.WritePing(true, [8]byte{}),
		framer.WriteGoAway(0, http2.ErrCodeNo, []byte("bye")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// watch feeds the bytes in pieces of a size and returns what is told.
func watch(data []byte, size int) []string {
	var told []string
	w := New(func(f Frame) {
		e := f.Event("client", "a", "b", "sent")
		told = append(told, strings.TrimSpace(fmt.Sprintf("%s %d %d %s %s", e.Type, e.Stream, e.Bytes, e.Flags, e.Detail)))
	}, func(h Head) {
		told = append(told, fmt.Sprintf("head %d wire=%d plain=%d end=%t %q", h.Stream, h.Wire, h.Plain(), h.End, Text(h.Fields)))
	})
	for len(data) > 0 {
		n := min(size, len(data))
		w.Feed(data[:n])
		data = data[n:]
	}
	return told
}

// R13
func TestWatch(t *testing.T) {
	want := []string{
		"SETTINGS 0 12  ENABLE_PUSH=0 INITIAL_WINDOW_SIZE=70000",
		"WINDOW_UPDATE 0 4  +1000 bytes",
		"HEADERS 1 15 END_STREAM END_HEADERS PADDED PRIORITY",
		`head 1 wire=2 plain=26 end=true ":method: GET\r\n:path: /\r\n\r\n"`,
		"HEADERS 3 1",
		"CONTINUATION 3 5 END_HEADERS",
		`head 3 wire=6 plain=39 end=false ":method: GET\r\n:path: /\r\ncookie: a=1\r\n\r\n"`,
		"DATA 3 5 END_STREAM",
		"RST_STREAM 3 4  CANCEL",
		"PING 0 8 ACK",
		`GOAWAY 0 11  NO_ERROR last_stream=0 "bye"`,
	}
	for _, size := range []int{1, 3, 10, 1 << 20} {
		if got := watch(client(t), size); !slices.Equal(got, want) {
			t.Errorf("in pieces of %d:\n%s\nwant\n%s", size, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// What is no HTTP/2 ends the watch, and a head of any size is told without keeping it.
func TestWatchHostile(t *testing.T) {
	if got := watch([]byte("POST / HTTP/1.1\r\n\r\n"), 4); len(got) != 0 {
		t.Errorf("of HTTP/1.1: %q", got)
	}
	var out bytes.Buffer
	framer := http2.NewFramer(&out, nil)
	fragment := bytes.Repeat([]byte{0x82}, 16<<10)
	if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fragment}); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if err := framer.WriteContinuation(1, i == 19, fragment); err != nil {
			t.Fatal(err)
		}
	}
	got := watch(out.Bytes(), 1000)
	if want := `head 1 wire=344064 plain=2 end=false "\r\n"`; got[len(got)-1] != want {
		t.Errorf("%q, want %q", got[len(got)-1], want)
	}
}

func FuzzWatch(f *testing.F) {
	f.Add(client(f), uint16(5))
	f.Add(client(f)[len(http2.ClientPreface):], uint16(300))
	f.Fuzz(func(t *testing.T, data []byte, size uint16) {
		whole := watch(data, len(data)+1)
		if got := watch(data, int(size)+1); !slices.Equal(got, whole) {
			t.Errorf("in pieces of %d: %q, whole: %q", size+1, got, whole)
		}
	})
}
