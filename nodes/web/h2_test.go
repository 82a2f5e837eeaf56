package web

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"scenario/event"
	"scenario/host/hosttest/memnet"
)

// hasty is a stream to a client that goes as soon as it has what it asked for: a write to it returns when it has gone.
type hasty struct {
	net.Conn
	served, gone chan struct{}
}

func (h hasty) Write(p []byte) (int, error) {
	close(h.served)
	<-h.gone
	return len(p), nil
}

func (h hasty) Close() error {
	close(h.gone)
	return nil
}

// R16: a response that was sent whole is told as such, however fast the client goes.
func TestHastyClient(t *testing.T) {
	var fields, request, response bytes.Buffer
	packed := hpack.NewEncoder(&fields)
	head := func(to io.Writer, all ...hpack.HeaderField) {
		fields.Reset()
		for _, f := range all {
			if err := packed.WriteField(f); err != nil {
				t.Fatal(err)
			}
		}
		err := http2.NewFramer(to, nil).WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields.Bytes(), EndStream: true, EndHeaders: true})
		if err != nil {
			t.Fatal(err)
		}
	}
	head(&request, hpack.HeaderField{Name: ":method", Value: "GET"}, hpack.HeaderField{Name: ":path", Value: "/"})
	packed = hpack.NewEncoder(&fields)
	head(&response, hpack.HeaderField{Name: ":status", Value: "304"})

	h := memnet.New().Host("server", "192.0.2.80")
	inner, _ := net.Pipe()
	l := newLink(context.Background(), h.Log(), inner, func() event.SocketAccept { return event.SocketAccept{} }, false)
	l.onClose = func(*link) {}
	stream := hasty{inner, make(chan struct{}), make(chan struct{})}
	c := newH2Conn(l, stream, &allowance{ctx: t.Context(), log: h.Log(), limit: -1}, 0)
	c.watch.Lock()
	c.filter.look(request.Bytes())
	c.watch.Unlock()
	written := make(chan error, 1)
	go func() {
		_, err := c.Write(response.Bytes())
		written <- err
	}()
	<-stream.served
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
	told := memnet.Told[event.HTTPResponse](h)
	if len(told) != 1 || told[0].Status != 304 || told[0].Error != "" {
		t.Errorf("told: %+v", told)
	}
}
