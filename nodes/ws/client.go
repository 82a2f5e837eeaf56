package ws

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"

	"scenario/event"
	"scenario/nodes/client/sock"
)

// Dialer makes WebSockets for a client.
type Dialer struct {
	sock.Dialer
	Rand         rand.Source // of the key and the masks; for one goroutine
	Subprotocols []string    // that are offered, best first
	Origin       string      // of the page that the client says to be; empty: none
	Limit        int64       // bytes of a message
}

// Handshake is what came of one.
type Handshake struct {
	Status        int // of the response; 0: there was none
	Local, Remote string
}

// ParseURL reads "ws://host[:port]/path"; the port is 80 where none is given.
func ParseURL(text string) (sock.Target, error) {
	u, err := url.Parse(text)
	if err != nil {
		return sock.Target{}, err
	}
	switch {
	case u.Scheme != "ws":
		return sock.Target{}, fmt.Errorf("%q is not ws://host:port/path: there is no other scheme here", text)
	case u.User != nil || u.Fragment != "":
		return sock.Target{}, fmt.Errorf("%q: a WebSocket's address has no user and no fragment", text)
	}
	host := u.Host
	if u.Port() == "" {
		host = strings.TrimSuffix(host, ":") + ":80"
	}
	return sock.ParseTarget(host)
}

// IsURL says whether text is meant for [ParseURL].
func IsURL(text string) bool {
	return strings.HasPrefix(text, "ws:") || strings.HasPrefix(text, "wss:")
}

// Dial connects to a URL. The error is a [*sock.Error], or says why the server refused.
func (d Dialer) Dial(ctx context.Context, address string) (*Conn, Handshake, error) {
	target, err := ParseURL(address)
	if err != nil {
		return nil, Handshake{}, err
	}
	socket, err := d.Dialer.Dial(ctx, target)
	if err != nil {
		return nil, Handshake{}, err
	}
	c := newConn()
	c.stream = newStream(socket, d.Host.Log(), event.SideClient)
	result := Handshake{Local: socket.Local(), Remote: socket.Remote()}
	random := rand.New(d.Rand)
	header := http.Header{"User-Agent": {"scenario-chat/1"}}
	if d.Origin != "" {
		header.Set("Origin", d.Origin)
	}
	inner, response, err := websocket.Dial(ctx, address, &websocket.DialOptions{
		HTTPClient: &http.Client{
			Transport:     &handshake{c.stream, random},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		HTTPHeader: header, Subprotocols: d.Subprotocols,
		OnPongReceived: func(context.Context, []byte) { c.pong() },
	})
	if response != nil {
		result.Status = response.StatusCode
	}
	if err != nil {
		err = refusal(response, err)
		c.stream.answered()
		c.stream.closeFor("no WebSocket")
		return nil, result, err
	}
	c.stream.upgraded(event.WSOpen{URL: address, Origin: d.Origin, Subprotocol: inner.Subprotocol()}, func() (mask [4]byte) {
		binary.BigEndian.PutUint32(mask[:], random.Uint32())
		return mask
	})
	return c.start(inner, d.Limit), result, nil
}

// refusal says what a server answered that made no WebSocket.
func refusal(r *http.Response, err error) error {
	if r == nil || r.StatusCode == http.StatusSwitchingProtocols {
		return err
	}
	text := fmt.Sprintf("the server answered %d %s", r.StatusCode, http.StatusText(r.StatusCode))
	if body, _ := io.ReadAll(r.Body); len(body) > 0 { // of a body that ended too soon, what there is
		line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
		text += ": " + line
	}
	return errors.New(text)
}

// handshake is an http.RoundTripper for the one request of a connection. It takes the key from the node's randomness, for
// package websocket has that of the machine.
type handshake struct {
	stream *stream
	random *rand.Rand
}

func (t *handshake) RoundTrip(r *http.Request) (*http.Response, error) {
	const keyField, acceptField = "Sec-WebSocket-Key", "Sec-WebSocket-Accept"
	var key [16]byte
	binary.BigEndian.PutUint64(key[:8], t.random.Uint64())
	binary.BigEndian.PutUint64(key[8:], t.random.Uint64())
	ours, theirs := base64.StdEncoding.EncodeToString(key[:]), r.Header.Get(keyField)
	ctx := r.Context()
	r = r.Clone(ctx)
	r.Header.Set(keyField, ours)

	stop := context.AfterFunc(ctx, func() { _ = t.stream.SetDeadline(time.Unix(1, 0)) })
	in := bufio.NewReader(t.stream)
	response, err := t.exchange(r, in)
	if !stop() {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	if response.Header.Get(acceptField) == acceptOf(ours) {
		response.Header.Set(acceptField, acceptOf(theirs))
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		response.Body = upgradedBody{in, t.stream}
	}
	return response, nil
}

func (t *handshake) exchange(r *http.Request, in *bufio.Reader) (*http.Response, error) {
	if err := r.Write(t.stream); err != nil {
		return nil, err
	}
	t.stream.requested(r)
	return http.ReadResponse(in, r)
}

// acceptOf is what a server answers to a key (RFC 6455, section 4.2.2).
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
