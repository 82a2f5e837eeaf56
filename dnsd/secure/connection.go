package secure

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"scenario/dnsd/counted"
	"scenario/event"
	"scenario/host"
	"scenario/host/errno"
	"scenario/host/tlsinfo"
)

// session is what is said over a connection.
type session interface {
	// exchange returns the response to query and its size in bytes. The error is [ErrEnded] where the connection ends first.
	exchange(ctx context.Context, query *dns.Msg) (*dns.Msg, int, error)
	// usable says whether a further question can be sent.
	usable() bool
	// close ends the connection, and what runs on it.
	close()
}

// connection is a connection to a server, or one that is being made.
type connection struct {
	client *Client
	server netip.AddrPort
	ready  chan struct{} // closed when it is made, or cannot be

	// From ready on.
	conn    *counted.Conn
	session session
	err     error

	// Under the lock of the client.
	users  int
	silent bool // an answer did not come in time
	idle   *time.Timer
}

// connection returns the connection to a server, for one question; made says that it was made for it. The caller releases it.
func (c *Client) connection(ctx context.Context, server netip.AddrPort) (k *connection, made bool, err error) {
	k, made, err = c.take(ctx, server)
	if err != nil {
		return nil, false, err
	}
	select {
	case <-k.ready:
		err = k.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		k.release()
		return nil, false, err
	}
	return k, made, nil
}

// take counts a user of the connection to a server, which it begins to make where there is none.
func (c *Client) take(ctx context.Context, server netip.AddrPort) (k *connection, made bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return nil, false, ErrClosed
	}
	k = c.kept[server]
	if k == nil || k.spent() {
		made = true
		k = &connection{client: c, server: server, ready: make(chan struct{})}
		c.kept[server] = k
		c.running.Go(func() { k.make(ctx) })
	}
	k.users++
	if k.idle != nil {
		k.idle.Stop()
	}
	return k, made, nil
}

// spent says whether the connection was made and takes no more questions.
func (k *connection) spent() bool {
	select {
	case <-k.ready:
		return k.err != nil || !k.session.usable()
	default:
		return false
	}
}

// release is called when the question has been answered, or given up. A connection that nobody uses is closed after a while;
// at once where none of the next questions will use it.
func (k *connection) release() {
	c := k.client
	c.mu.Lock()
	k.users--
	unused, kept, reason := k.users == 0, c.kept[k.server] == k, "another connection has taken its place"
	if k.silent {
		reason = "an answer did not come in time"
	}
	if unused && kept {
		k.idle = time.AfterFunc(idleTimeout, k.expire)
	}
	c.mu.Unlock()
	if unused && !kept {
		k.close(reason)
	}
}

// expire closes the connection unless somebody uses it again.
func (k *connection) expire() {
	k.client.mu.Lock()
	unused := k.users == 0
	if unused && k.client.kept[k.server] == k {
		delete(k.client.kept, k.server)
	}
	k.client.mu.Unlock()
	if unused {
		k.close("idle timeout")
	}
}

// retire has no further question use the connection; silent says that an answer did not come in time.
func (k *connection) retire(silent bool) {
	k.client.mu.Lock()
	defer k.client.mu.Unlock()
	k.silent = k.silent || silent
	if k.client.kept[k.server] == k {
		delete(k.client.kept, k.server)
	}
}

// close closes the connection, once it is made or has failed.
func (k *connection) close(reason string) {
	<-k.ready
	k.client.mu.Lock()
	if k.idle != nil {
		k.idle.Stop()
	}
	k.client.mu.Unlock()
	if k.err != nil {
		return
	}
	k.conn.Because(reason)
	k.session.close()
}

func (k *connection) local() string { return k.conn.LocalAddr().String() }

// exchange asks over the connection. One on which an answer did not come in time is not used again: the server may have lost
// it.
func (k *connection) exchange(ctx context.Context, query *dns.Msg) (*dns.Msg, int, error) {
	response, size, err := k.session.exchange(ctx, query)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		k.retire(true)
	}
	return response, size, err
}

// make connects and tells of it, below the question that is the first to need the connection. It goes on when that is
// given up: others may wait for it.
func (k *connection) make(ctx context.Context) {
	defer close(k.ready)
	c := k.client
	ctx = context.WithoutCancel(ctx)
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	if k.err = k.dial(ctx, limited); k.err != nil {
		k.err = cause(limited, k.err)
		k.retire(false)
	}
}

// dial makes the connection within the time of limited and tells of it in the chain of ctx.
func (k *connection) dial(ctx, limited context.Context) error {
	c, began := k.client, time.Now()
	plain, err := c.host.Dial(limited, "tcp", k.server.String())
	if err != nil {
		err = cause(limited, err)
		event.Emit(ctx, c.host.Log(), event.SocketError{
			Network: "tcp", Op: "connect", Remote: k.server.String(), Socket: event.SocketConnection,
			Errno: errno.Name(err), Error: err.Error(), Meaning: errno.Meaning(err), Duration: time.Since(began).Seconds(),
		})
		return err
	}
	ctx = event.Begin(ctx, c.host.Log(), event.SocketConnect{
		Network: "tcp", Local: plain.LocalAddr().String(), Remote: k.server.String(), Socket: event.SocketConnection,
		Duration: time.Since(began).Seconds(),
	})
	k.conn = counted.New(ctx, c.host.Log(), plain)
	secured, err := k.handshake(ctx, limited)
	if err == nil {
		k.session, err = k.begin(secured)
	}
	if err != nil {
		k.conn.Because("the handshake failed")
		k.conn.Close()
	}
	return err
}

// handshake has the server prove its address.
func (k *connection) handshake(ctx, limited context.Context) (*tls.Conn, error) {
	c, began := k.client, time.Now()
	config := &tls.Config{
		ServerName: k.server.Addr().String(), RootCAs: host.Roots(c.host), KeyLogWriter: host.KeyLog(c.host),
		ClientSessionCache: c.sessions, MinVersion: tls.VersionTLS12, NextProtos: []string{"dot"},
	}
	if c.protocol == HTTPS {
		config.NextProtos = []string{"h2"}
	}
	secured := tls.Client(k.conn, config)
	err := cause(limited, secured.HandshakeContext(limited))
	state := secured.ConnectionState()
	told := tlsinfo.Handshake(event.SideClient, state, tlsinfo.Leaf(state, err), time.Since(began))
	told.Local, told.Remote = k.local(), k.server.String()
	if err != nil {
		told.Reason, told.Meaning = tlsinfo.Explain(err, k.server.Addr().String(), time.Now())
		err = refused(err, told.Reason, told.Meaning)
		told.Error = err.Error()
	}
	event.Emit(ctx, c.host.Log(), told)
	return secured, err
}

// begin starts the session of the protocol.
func (k *connection) begin(secured *tls.Conn) (session, error) {
	if k.client.protocol == HTTPS {
		return newHTTPS(secured, k.server)
	}
	return newStream(secured, k.conn, &k.client.running), nil
}
