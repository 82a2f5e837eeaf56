package chat

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// rawWeb is a WebSocket as somebody has it who makes every byte by hand.
type rawWeb struct {
	net.Conn
	t  testing.TB
	in *bufio.Reader
}

const handshake = "GET /chat HTTP/1.1\r\nHost: chat.example:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"

// dialWeb shakes hands, with more fields.
func (w *world) dialWeb(addr, fields string) *rawWeb {
	w.t.Helper()
	r := w.ask(addr, handshake+fields+"\r\n")
	response, err := http.ReadResponse(r.in, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		w.t.Fatalf("handshake: %+v, %v", response, err)
	}
	// RFC 6455, section 1.3, has this key as its example.
	if got, want := response.Header.Get("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="; got != want {
		w.t.Errorf("accepted with %q, want %q", got, want)
	}
	return r
}

// ask sends bytes to the port of the WebSocket.
func (w *world) ask(addr, request string) *rawWeb {
	w.t.Helper()
	c, err := w.net.Host(addr, addr).Dial(w.ctx, "tcp", webAddr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	r := &rawWeb{c, w.t, bufio.NewReader(c)}
	r.send(request)
	return r
}

func (r *rawWeb) send(bytes string) {
	r.t.Helper()
	if _, err := io.WriteString(r, bytes); err != nil {
		r.t.Fatalf("send %q: %v", bytes, err)
	}
}

// masked is a frame of a client's: the first byte has the opcode and bits.
func masked(first byte, payload string) string {
	head := []byte{first}
	switch n := len(payload); {
	case n < 126:
		head = append(head, 0x80|byte(n))
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 0x80|126), uint16(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 0x80|127), uint64(n))
	}
	mask := [4]byte{1, 2, 3, 4}
	head = append(head, mask[:]...)
	for i := range len(payload) {
		head = append(head, payload[i]^mask[i%4])
	}
	return string(head)
}

// text and closing are frames as next returns them.
func text(line string) string { return "81 " + line }

func closing(code int, reason string) string { return fmt.Sprintf("88 %d %s", code, reason) }

// next returns a frame of the server's: its first byte in hexadecimal and its payload.
func (r *rawWeb) next() (string, error) {
	var head [2]byte
	if _, err := io.ReadFull(r.in, head[:]); err != nil {
		return "", err
	}
	size := int(head[1])
	if size == 126 {
		var long [2]byte
		if _, err := io.ReadFull(r.in, long[:]); err != nil {
			return "", err
		}
		size = int(binary.BigEndian.Uint16(long[:]))
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(r.in, payload); err != nil {
		return "", err
	}
	if head[0] == 0x88 && size >= 2 {
		return closing(int(binary.BigEndian.Uint16(payload)), string(payload[2:])), nil
	}
	return fmt.Sprintf("%02x %s", head[0], payload), nil
}

func (r *rawWeb) want(frames ...string) {
	r.t.Helper()
	for _, want := range frames {
		if got, err := r.next(); got != want {
			r.t.Fatalf("received %q (%v), want %q", got, err, want)
		}
	}
}

// end fails the test unless the server closes the connection. It resets one where not all that came has been read.
func (r *rawWeb) end() {
	r.t.Helper()
	if rest, err := io.ReadAll(r.in); len(rest) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		r.t.Errorf("at the end: %q, %v", rest, err)
	}
}

// R17, R23: what breaks the rules ends the connection with the code that says so, and the room goes on.
func TestBadFrames(t *testing.T) {
	for name, test := range map[string]struct {
		send string
		want string
		left string // as the others are told
	}{
		"binary":                   {masked(0x82, "hello"), closing(1003, "only text is taken here"), "only text is taken here (1003)"},
		"not UTF-8":                {masked(0x81, "a\xffb"), closing(1007, "the text is not UTF-8"), "the text is not UTF-8 (1007)"},
		"half a character":         {masked(0x81, "a\xe2\x98"), closing(1007, "the text is not UTF-8"), "the text is not UTF-8 (1007)"},
		"too long":                 {masked(0x81, strings.Repeat("x", 1025)), closing(1009, "read limited at 1025 bytes"), "read limited at 1025 bytes (1009)"},
		"too long in pieces":       {masked(0x01, strings.Repeat("x", 1000)) + masked(0x80, strings.Repeat("x", 100)), closing(1009, "read limited at 1025 bytes"), "read limited at 1025 bytes (1009)"},
		"announced far too long":   {"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04" + strings.Repeat("x", 3000), closing(1009, "read limited at 1025 bytes"), "read limited at 1025 bytes (1009)"},
		"no mask":                  {"\x81\x05hello", closing(1002, "the frames of a client are masked"), "the frames of a client are masked (1002)"},
		"reserved bit 1":           {masked(0xc1, "hello"), closing(1002, "received header with unexpected rsv bits set: true:false:false"), ""},
		"reserved bit 2":           {masked(0xa1, "hello"), closing(1002, "received header with unexpected rsv bits set: false:true:false"), ""},
		"reserved bit 3":           {masked(0x91, "hello"), closing(1002, "received header with unexpected rsv bits set: false:false:true"), ""},
		"reserved opcode":          {masked(0x83, "hello"), closing(1002, "received unknown opcode opcode(3)"), ""},
		"reserved control opcode":  {masked(0x8b, ""), closing(1002, "received unknown opcode opcode(11)"), ""},
		"a piece of nothing":       {masked(0x80, "hello"), closing(1002, "received continuation frame without text or binary frame"), ""},
		"a message in another":     {masked(0x01, "hel") + masked(0x81, "lo"), closing(1002, "received new data message without finishing the previous message"), ""},
		"a ping in pieces":         {masked(0x09, "hello"), closing(1002, "received fragmented control frame"), ""},
		"a ping too long":          {masked(0x89, strings.Repeat("x", 126)), closing(1002, "received control frame payload with invalid length: 126"), ""},
		"a close of one byte":      {masked(0x88, "x"), closing(1002, `received invalid close payload: close payload "x" too small, cannot even contain the 2 byte status code`), ""},
		"a close that may not be":  {masked(0x88, "\x03\xee"), closing(1002, "received invalid close payload: invalid status code StatusAbnormalClosure"), ""},
		"a close without a code":   {masked(0x88, ""), "88 ", "* bad left"},
		"a close on purpose":       {masked(0x88, "\x03\xe8bye"), closing(1000, "bye"), "* bad left"},
		"a close of a page":        {masked(0x88, "\x03\xe9"), closing(1001, ""), "* bad left: the page was left (1001)"},
		"a close with a complaint": {masked(0x88, "\x03\xefyou are too long"), closing(1007, "you are too long"), "you are too long (1007)"},
		"half a head":              {"\x81", "", "connection closed"},
		"half a mask":              {"\x81\x85\x01\x02", "", "connection closed"},
		"half a payload":           {masked(0x81, "hello")[:8], "", "connection"},
		"half a message":           {masked(0x01, "hello"), "", "connection closed"},
		"a head alone":             {masked(0x81, "hello")[:6], "", "connection closed"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorldOf(t, onWeb(), func(t *testing.T, w *world) {
				ann := w.raw("10.0.0.2")
				ann.send("ann\n")
				ann.want("* ann joined")
				bad := w.dialWeb("10.0.0.3", "")
				bad.want(text("# what is your name?"))
				bad.send(masked(0x81, "bad"))
				bad.want(text("* bad joined"), text("# ann is here"))
				ann.want("* bad joined")
				sent := make(chan struct{})
				go func() { // the server may not wait for the rest
					defer close(sent)
					_, _ = io.WriteString(bad, test.send)
				}()
				if test.want == "" {
					<-sent
					bad.Close()
				} else {
					bad.want(test.want)
					_, _ = io.WriteString(bad, masked(0x88, "\x03\xe8"))
					bad.end()
				}
				if line, err := ann.in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "* bad left") || !strings.Contains(line, test.left) {
					t.Errorf("ann is told %q (%v), want %q", line, err, test.left)
				}
				carol := w.raw("10.0.0.4")
				carol.send("carol\n")
				ann.want("* carol joined")
				synctest.Wait()
				if told := w.frames("10.0.0.1"); !strings.HasPrefix(told[len(told)-1], "ws.close ") {
					t.Errorf("the end is not told: %q", told)
				}
			})
		})
	}
}

// R17, R27: requests that make no WebSocket are told why, and the page is there.
func TestRequests(t *testing.T) {
	for name, test := range map[string]struct{ request, status, body string }{
		"the page":       {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "200 OK", "new WebSocket("},
		"elsewhere":      {"GET /else HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "404 Not Found", "404 page not found"},
		"no upgrade":     {"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "426 Upgrade Required", `Connection header "close" does not contain Upgrade`},
		"another method": {strings.Replace(handshake, "GET", "POST", 1) + "\r\n", "405 Method Not Allowed", "not GET but"},
		"no key":         {strings.Replace(handshake, "-Key:", "-Kez:", 1) + "\r\n", "400 Bad Request", "missing Sec-WebSocket-Key"},
		"a short key":    {strings.Replace(handshake, "ZQ==", "==", 1) + "\r\n", "400 Bad Request", "invalid Sec-WebSocket-Key"},
		"version 8":      {strings.Replace(handshake, "13", "8", 1) + "\r\n", "400 Bad Request", "only 13 is supported"},
		"no HTTP":        {"hello\r\n\r\n", "400 Bad Request", ""},
		"no Host":        {"GET /chat HTTP/1.1\r\n\r\n", "400 Bad Request: missing required Host header", ""},
		"a huge head":    {"GET /chat HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 40000) + "\r\n\r\n", "431 Request Header Fields Too Large", ""},
	} {
		t.Run(name, func(t *testing.T) {
			inWorldOf(t, onWeb(), func(t *testing.T, w *world) {
				r := w.ask("10.0.0.3", "")
				go io.WriteString(r, test.request)
				response, err := http.ReadResponse(r.in, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(io.LimitReader(response.Body, max(response.ContentLength, 0)))
				if response.Status != test.status || !strings.Contains(string(body), test.body) || err != nil {
					t.Errorf("%s: %s (%v), want %s and %q", response.Status, body, err, test.status, test.body)
				}
				r.Close()
				time.Sleep(time.Second) // net/http takes half a second to close after a refusal
				want := []string{"http.request", "http.response " + test.status[:3]}
				if diff := cmp.Diff(want, w.frames("10.0.0.1")); diff != "" {
					t.Errorf("what is told differs (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// A subprotocol that nobody here speaks is not agreed on, and that is for the client to judge (RFC 6455, section 4.2.2).
func TestSubprotocols(t *testing.T) {
	for offer, want := range map[string]string{"": "", "soap": "", "soap, chat.scenario": "chat.scenario"} {
		inWorldOf(t, onWeb(), func(t *testing.T, w *world) {
			r := w.ask("10.0.0.3", handshake+"Sec-WebSocket-Protocol: "+offer+"\r\n\r\n")
			response, err := http.ReadResponse(r.in, nil)
			if err != nil || response.StatusCode != 101 || response.Header.Get("Sec-WebSocket-Protocol") != want {
				t.Errorf("offered %q: %+v, %v; want %q", offer, response, err, want)
			}
		})
	}
}

// R23, R27: any bytes end in a close of some kind, and the room goes on.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{
		masked(0x81, "bad") + masked(0x81, "hello"), masked(0x01, "b") + masked(0x89, "") + masked(0x80, "ad"),
		masked(0x82, "x"), "\x81\x05hello", masked(0x88, "\x03\xe8"), "\x81\xff\x7f", masked(0xf1, ""),
		masked(0x81, "bad") + masked(0x81, "exit") + masked(0x81, "after"),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		if len(wire) > 16<<10 {
			return
		}
		inWorldOf(t, onWeb(), func(t *testing.T, w *world) {
			bad := w.dialWeb("10.0.0.3", "")
			go func() {
				_, _ = bad.Write(wire)
				_ = bad.Conn.(interface{ CloseWrite() error }).CloseWrite()
			}()
			for {
				frame, err := bad.next()
				if err != nil {
					break
				}
				if !strings.HasPrefix(frame, "81 ") && !strings.HasPrefix(frame, "8a ") && !strings.HasPrefix(frame, "88 ") {
					t.Errorf("the server sent %q", frame)
				}
			}
			bad.Close()
			synctest.Wait()
			if told := w.frames("10.0.0.1"); !strings.HasPrefix(told[len(told)-1], "ws.close ") {
				t.Errorf("the end is not told: %q", told)
			}
			ann := w.raw("10.0.0.2")
			ann.send("ann-is-here\n")
			ann.want("* ann-is-here joined")
		})
	})
}
