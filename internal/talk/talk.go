// Package talk lets a person, or a program in a pipe, talk over a connection.
//
// [Connect] passes on bytes, as nc does; [Chat] speaks the protocol of the role chat. Both receive while they send. At a
// terminal ([Terminal]) the line that is being typed stays below what comes in; behind a pipe ([Pipe]) what comes in is
// written as it is.
package talk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"
)

// Conn is a connection of which one direction can be ended.
type Conn interface {
	net.Conn
	CloseWrite() error
}

// farewell bounds how long the other end's last words are waited for after this end has left.
const farewell = time.Second

// conversation is what Connect and Chat have in common.
type conversation struct {
	conn Conn
	left atomic.Bool // this end asked for the end of it
}

// hold sends and receives until the other end closes the connection, ctx ends, or this end has left. A send that is still
// under way then is not waited for. The error is ctx's, or tells why the connection broke, or is send's.
func (c *conversation) hold(ctx context.Context, send func() error, receive func() error) error {
	stop := context.AfterFunc(ctx, func() { c.conn.Close() })
	defer stop()
	defer c.conn.Close()
	sent := make(chan error, 1)
	go func() {
		err := send()
		if err != nil && !c.left.Load() {
			// What has come is still received. Fails on a connection that has ended, which ends the receiving too.
			_ = c.conn.SetReadDeadline(time.Now().Add(farewell))
		}
		sent <- err
	}()
	err := receive()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case c.left.Load():
		c.conn.Close()
		return <-sent
	case !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	}
	select {
	case err = <-sent:
		return err
	default:
		return nil
	}
}

// leave ends what is sent and leaves the other end a moment for its last words. Where that fails, the connection has ended
// already, which is what was wanted.
func (c *conversation) leave() {
	c.left.Store(true)
	_ = c.conn.SetReadDeadline(time.Now().Add(farewell))
	_ = c.conn.CloseWrite()
}

// visible makes text of others safe for a terminal: what could move the cursor, change colours or turn the writing round
// is shown as an escape, such as \x1b. Tabs and line feeds stay; carriage returns before line feeds are left out.
func visible(text []byte) string {
	var b strings.Builder
	for _, r := range string(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))) {
		const joiner = '\u200d' // part of many emoji
		switch {
		case r == '\n' || r == '\t' || r == joiner:
			b.WriteRune(r)
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Noncharacter_Code_Point) || r == '\u2028' || r == '\u2029':
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteRune(r) // U+FFFD for what is not UTF-8
		}
	}
	return b.String()
}

// whole cuts a character that has not come to its end yet from the end of text.
func whole(text []byte) (complete, rest []byte) {
	for i := 1; i < utf8.UTFMax && i <= len(text); i++ {
		if start := len(text) - i; utf8.RuneStart(text[start]) {
			if utf8.FullRune(text[start:]) {
				break
			}
			return text[:start], text[start:]
		}
	}
	return text, nil
}
