package talk

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
)

// Options are how [Connect] and [ConnectPipe] send lines.
type Options struct {
	CRLF bool   // lines end in "\r\n"
	Exit string // the line that ends the conversation; empty: none does
}

// Connect lets a person talk over conn until the other end closes it. The end of the input ends what is sent, and what
// comes is still received. It closes conn.
func Connect(ctx context.Context, conn Conn, t *Terminal, o Options) error {
	c := &conversation{conn: conn}
	return c.hold(ctx, func() error {
		for {
			line, err := t.Line()
			switch {
			case errors.Is(err, io.EOF):
				t.Done()
				return c.done()
			case err != nil:
				return err
			case o.Exit != "" && line == o.Exit:
				t.Done()
				c.leave()
				return nil
			}
			if _, err := conn.Write(o.ended([]byte(line + "\n"))); err != nil {
				return err
			}
		}
	}, func() error { return receive(conn, t.Receive) })
}

// ConnectPipe passes in on to conn and what comes to out, byte by byte where no option wants lines, until the other end
// closes conn. The end of in ends what is sent. It closes conn; a read of in that is under way then is not waited for.
func ConnectPipe(ctx context.Context, conn Conn, in io.Reader, out io.Writer, o Options) error {
	c := &conversation{conn: conn}
	return c.hold(ctx, func() error {
		if !o.CRLF && o.Exit == "" {
			if _, err := io.Copy(conn, in); err != nil {
				return err
			}
			return c.done()
		}
		return c.sendLines(bufio.NewReaderSize(in, maxLine), o)
	}, func() error {
		return receive(conn, func(p []byte) error {
			_, err := out.Write(p)
			return err
		})
	})
}

// sendLines sends in line by line; one that is longer than the reader's buffer, in pieces.
func (c *conversation) sendLines(in *bufio.Reader, o Options) error {
	var cut []byte // a carriage return at the end of a piece: what follows tells whether the line ends there
	begin := true
	for {
		piece, err := in.ReadSlice('\n')
		if o.Exit != "" && begin && string(bytes.TrimRight(piece, "\r\n")) == o.Exit {
			c.leave()
			return nil
		}
		begin = err == nil
		piece, cut = append(cut, piece...), nil
		if n := len(piece); err != nil && n > 0 && piece[n-1] == '\r' && !errors.Is(err, io.EOF) {
			piece, cut = piece[:n-1], []byte("\r")
		}
		if _, err := c.conn.Write(o.ended(piece)); err != nil {
			return err
		}
		switch {
		case errors.Is(err, io.EOF):
			return c.done()
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

// done ends what is sent. That a connection which was there is not there any more means that the other end broke it off:
// whichever call comes first is told so, and this one is told less.
func (c *conversation) done() error {
	err := c.conn.CloseWrite()
	if errors.Is(err, syscall.ENOTCONN) {
		return fmt.Errorf("end of what is sent: %w", syscall.ECONNRESET)
	}
	return err
}

// ended gives a line the end that is wanted.
func (o Options) ended(line []byte) []byte {
	if text, ok := bytes.CutSuffix(line, []byte("\n")); ok && o.CRLF && !bytes.HasSuffix(text, []byte("\r")) {
		return append(text[:len(text):len(text)], "\r\n"...)
	}
	return line
}

// receive hands on what comes until its end, which is io.EOF.
func receive(conn io.Reader, to func([]byte) error) error {
	buffer := make([]byte, 32<<10)
	for {
		n, err := conn.Read(buffer)
		if n > 0 {
			if err := to(buffer[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}
