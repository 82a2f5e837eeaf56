package secure

//lint:file-ignore SA1019 net/http has no client of HTTP/2 alone on a connection that is given to it, before Go 1.27.

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/miekg/dns"
	"golang.org/x/net/http2"

	"scenario/dnsd/wire"
)

// exchanges is an HTTP/2 connection, with a request for each question.
type exchanges struct {
	conn   *http2.ClientConn
	server string // the authority of URLs
}

var _ session = (*exchanges)(nil)

// newHTTPS begins HTTP/2, which is what RFC 8484, section 5.2 recommends: questions side by side on one connection.
func newHTTPS(conn *tls.Conn, server netip.AddrPort) (*exchanges, error) {
	if got := conn.ConnectionState().NegotiatedProtocol; got != http2.NextProtoTLS {
		return nil, fmt.Errorf("the resolver does not speak HTTP/2 (its ALPN is %q)", got)
	}
	authority := server.String()
	if server.Port() == HTTPS.Port() {
		authority = server.Addr().String()
		if server.Addr().Is6() {
			authority = "[" + authority + "]"
		}
	}
	transport := &http2.Transport{DisableCompression: true, MaxHeaderListSize: 16 << 10}
	begun, err := transport.NewClientConn(conn)
	if err != nil {
		return nil, fmt.Errorf("begin HTTP/2: %w", err)
	}
	return &exchanges{conn: begun, server: authority}, nil
}

func (x *exchanges) usable() bool { return x.conn.CanTakeNewRequest() }

func (x *exchanges) close() { x.conn.Close() }

func (x *exchanges) exchange(ctx context.Context, query *dns.Msg) (*dns.Msg, int, error) {
	packed, err := query.Pack()
	if err != nil {
		return nil, 0, fmt.Errorf("pack the query: %w", err)
	}
	where := url.URL{Scheme: "https", Host: x.server, Path: Path}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, where.String(), bytes.NewReader(packed))
	if err != nil {
		return nil, 0, fmt.Errorf("make the request: %w", err)
	}
	// Nothing else is said: it would tell clients apart (section 8.2).
	request.Header = http.Header{"Content-Type": {MediaType}, "Accept": {MediaType}, "User-Agent": {""}}
	response, err := x.conn.RoundTrip(request)
	if err != nil {
		return nil, 0, x.failed(ctx, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("the resolver answered with HTTP status %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	}
	if kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type")); err != nil || kind != MediaType {
		return nil, 0, fmt.Errorf("%w: it is of the type %q", errNoMessage, response.Header.Get("Content-Type"))
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, dns.MaxMsgSize+1))
	if err != nil {
		return nil, 0, x.failed(ctx, err)
	}
	message := new(dns.Msg)
	switch err := message.Unpack(body); {
	case len(body) > dns.MaxMsgSize:
		return nil, 0, fmt.Errorf("%w: it is longer than any can be", errNoMessage)
	case err != nil:
		return nil, 0, fmt.Errorf("%w: %w", errNoMessage, err)
	case !wire.Answers(query, message):
		return nil, 0, errors.New("the resolver answered another question than was asked")
	}
	return message, len(body), nil
}

// failed is the error of a request that failed with err: [ErrEnded] where the connection is no more.
func (x *exchanges) failed(ctx context.Context, err error) error {
	if ctx.Err() == nil && !x.usable() {
		return fmt.Errorf("%w: %w", ErrEnded, err)
	}
	return err
}
