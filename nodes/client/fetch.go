package client

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"scenario/event"
	"scenario/host"
	"scenario/nodes/client/sock"
	"scenario/nodes/role"
)

// Bounds of what a fetch keeps, in bytes.
const (
	maxBody = 64 << 10  // of the body, in the result
	maxRaw  = 16 << 10  // of the response as it came over the wire, in the event
	maxHead = 256 << 10 // of the head; a longer one is an error
)

// Phases of a fetch after the connection stands.
const (
	phaseRequest  = "request"
	phaseResponse = "response"
)

// FetchArgs are the arguments of the action fetch.
type FetchArgs struct {
	URL     string            `json:"url" jsonschema_description:"an http:// URL" jsonschema:"required"`
	Method  string            `json:"method,omitempty" jsonschema:"default=GET"`
	Headers map[string]string `json:"headers,omitempty" jsonschema_description:"header fields of the request"`
	Body    string            `json:"body,omitempty" jsonschema_description:"the request's body"`
	Timeout role.Duration     `json:"timeout,omitempty" jsonschema_description:"give up after so long; 0: only with the step" jsonschema:"default=10s"`
}

// FetchResult is what the action fetch saw.
type FetchResult struct {
	URL        string            `json:"url"`
	Status     int               `json:"status" jsonschema_description:"0 where no response came"`
	Headers    map[string]string `json:"headers" jsonschema_description:"by canonical name; several lines of one field are joined by a comma, Set-Cookie lines by a line end"`
	Body       string            `json:"body" jsonschema_description:"its first 64 KiB; empty where it is no text"`
	BodyBase64 string            `json:"body_base64,omitempty" jsonschema_description:"the same where it is no text"`
	Size       int64             `json:"size" jsonschema_description:"bytes of the whole body"`
	Local      string            `json:"local" jsonschema_description:"this end's IP:port"`
	Remote     string            `json:"remote" jsonschema_description:"the server's IP:port"`
	Duration   float64           `json:"duration_s" jsonschema_description:"from the lookup to the last byte"`
	sock.Outcome
}

func defaultFetch() FetchArgs {
	return FetchArgs{Method: http.MethodGet, Timeout: role.Duration(10 * time.Second)}
}

func (c *client) fetch(ctx context.Context, h host.Host, args FetchArgs) (any, error) {
	request, target, err := args.request()
	if err != nil {
		return nil, err
	}
	limited, cancel := within(ctx, args.Timeout)
	defer cancel()
	result := FetchResult{URL: args.URL, Headers: map[string]string{}}
	start := time.Now()
	conn, err := c.dialer(h).Dial(limited, target)
	phase := sock.PhaseConnect
	var failure *sock.Error
	switch {
	case err == nil:
		result.Local, result.Remote = conn.Local(), conn.Remote()
		phase, err = exchange(limited, h, conn, request, &result)
	case errors.As(err, &failure):
		result.Remote = failure.Remote
	}
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	result.Duration = time.Since(start).Seconds()
	result.Outcome = sock.OutcomeOf(phase, err)
	return result, nil
}

// request makes the HTTP request and says where it goes.
func (args FetchArgs) request() (*http.Request, sock.Target, error) {
	fail := func(why string) (*http.Request, sock.Target, error) {
		return nil, sock.Target{}, fmt.Errorf("url %q: %s", args.URL, why)
	}
	u, err := url.Parse(args.URL)
	switch {
	case err != nil:
		return nil, sock.Target{}, err
	case u.Scheme != "http":
		return fail("fetch speaks http:// only")
	case u.Hostname() == "":
		return fail("it names no host")
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	target, err := sock.ParseTarget(net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return fail(err.Error())
	}
	request, err := http.NewRequest(args.Method, args.URL, strings.NewReader(args.Body))
	if err != nil {
		return nil, sock.Target{}, err
	}
	request.Close = true // Connection: close
	request.Header.Set("User-Agent", "scenario")
	request.Header.Set("Accept", "*/*")
	for name, value := range args.Headers {
		if http.CanonicalHeaderKey(name) == "Host" {
			request.Host = value
			continue
		}
		request.Header.Set(name, value)
	}
	return request, target, nil
}

// exchange sends the request, reads the response into result and closes the connection. phase is what an error ended.
func exchange(ctx context.Context, h host.Host, conn *sock.Conn, request *http.Request, result *FetchResult) (phase string, err error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	told := event.HTTPResponse{
		Side: event.SideClient, Local: result.Local, Remote: result.Remote, Method: request.Method, URL: result.URL,
	}
	ctx, err = send(conn, h, request, told)
	sent := time.Now()
	in := &tap{from: conn}
	phase = phaseRequest
	if err == nil {
		phase = phaseResponse
		err = receive(in, request, result)
	}
	told.Status, told.Size = result.Status, result.Size
	told.ContentType, told.Location = result.Headers["Content-Type"], result.Headers["Location"]
	told.Raw, told.RawBase64 = text(in.kept, in.total > int64(len(in.kept)))
	told.Truncated = in.total - int64(len(in.kept))
	told.Duration = time.Since(sent).Seconds()
	if !in.first.IsZero() {
		told.TTFB = in.first.Sub(sent).Seconds()
	}
	reason := "response complete"
	if err != nil {
		told.Error, reason = err.Error(), err.Error()
	}
	event.Emit(ctx, h.Log(), told)
	// What there was to read has been read: a failed close changes nothing.
	_ = conn.CloseFor(reason)
	return phase, err
}

// send writes the request as one piece and tells of it; what follows from it has the context that is returned.
func send(conn *sock.Conn, h host.Host, request *http.Request, told event.HTTPResponse) (context.Context, error) {
	var wire strings.Builder
	if err := request.Write(&wire); err != nil {
		return conn.Context(), err
	}
	raw, encoded := text([]byte(wire.String()[:min(wire.Len(), maxRaw)]), wire.Len() > maxRaw)
	ctx := event.Begin(conn.Context(), h.Log(), event.HTTPRequest{
		Side: event.SideClient, Local: told.Local, Remote: told.Remote, Method: request.Method, URL: told.URL,
		Proto: request.Proto, Host: request.Host, UserAgent: request.UserAgent(), Cookie: request.Header.Get("Cookie"),
		Raw: raw, RawBase64: encoded, Truncated: int64(max(0, wire.Len()-maxRaw)),
	})
	_, err := io.WriteString(conn, wire.String())
	return ctx, err
}

// receive reads the response to request. Interim responses (RFC 9110, section 15.2) are passed over.
func receive(in *tap, request *http.Request, result *FetchResult) error {
	reader := bufio.NewReader(in)
	response, err := http.ReadResponse(reader, request)
	for err == nil && response.StatusCode < 200 && response.StatusCode != http.StatusSwitchingProtocols {
		response, err = http.ReadResponse(reader, request)
	}
	if err != nil {
		return err
	}
	in.inBody = true
	result.Status = response.StatusCode
	for name, lines := range response.Header {
		separator := ", "
		if name == "Set-Cookie" {
			separator = "\n"
		}
		result.Headers[name] = strings.Join(lines, separator)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	result.Size = int64(len(body))
	if err == nil {
		var rest int64
		rest, err = io.Copy(io.Discard, response.Body)
		result.Size += rest
	}
	result.Body, result.BodyBase64 = text(body, result.Size > int64(len(body)))
	return err
}

// tap reads from a connection and keeps the first bytes.
type tap struct {
	from   io.Reader
	inBody bool // the head has been read
	kept   []byte
	total  int64
	first  time.Time // when the first byte came
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.from.Read(p)
	if n > 0 && t.total == 0 {
		t.first = time.Now()
	}
	t.total += int64(n)
	t.kept = append(t.kept, p[:min(n, maxRaw-len(t.kept))]...)
	if err == nil && !t.inBody && t.total > maxHead {
		err = errors.New("the head of the response is longer than 256 KiB")
	}
	return n, err
}

// text returns b as it is where it is UTF-8, else in base64. Where b was cut its last character may be incomplete.
func text(b []byte, cut bool) (plain, encoded string) {
	whole := b
	for i := 1; cut && i < utf8.UTFMax && i <= len(b) && !utf8.Valid(whole); i++ {
		whole = b[:len(b)-i]
	}
	if utf8.Valid(whole) {
		return string(whole), ""
	}
	return "", base64.StdEncoding.EncodeToString(b)
}
