package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"scenario/engine"
)

// ErrGone is the error of a request whose run ended before it was answered.
var ErrGone = errors.New("the run has ended")

// patience bounds how long List waits for an owner to tell its state.
const patience = 3 * time.Second

// Client asks the owner of one run.
type Client struct {
	Info   Info // when it was found
	socket string
}

// List returns the runs that are up, by name and folder, and removes the sockets that nobody serves. dir is what [Folder]
// returned.
func List(ctx context.Context, dir string) ([]*Client, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found := make([]*Client, len(entries))
	var asking sync.WaitGroup
	for i, entry := range entries {
		if strings.HasSuffix(entry.Name(), suffix) {
			asking.Go(func() { found[i] = find(ctx, filepath.Join(dir, entry.Name())) })
		}
	}
	asking.Wait()
	found = slices.DeleteFunc(found, func(c *Client) bool { return c == nil })
	slices.SortFunc(found, func(a, b *Client) int {
		return strings.Compare(a.Info.Name+"\x00"+a.Info.Folder, b.Info.Name+"\x00"+b.Info.Folder)
	})
	return found, nil
}

// find asks who serves socket; nil where nobody does.
func find(ctx context.Context, socket string) *Client {
	c := &Client{socket: socket}
	last, err := c.ask(ctx, request{Op: opInfo}, nil)
	switch {
	case err == nil && last.Info != nil:
		c.Info = *last.Info
		return c
	case errors.Is(err, syscall.ECONNREFUSED):
		os.Remove(socket) // where another did so first, all the better
		return nil
	case errors.Is(err, ErrGone), errors.Is(err, fs.ErrNotExist):
		return nil
	}
	c.Info = Info{Name: runName(socket), State: NotAnswering}
	return c
}

// Do has a role of a node carry out an action and returns its result as JSON.
func (c *Client) Do(ctx context.Context, call Call) (json.RawMessage, error) {
	last, err := c.ask(ctx, request{Op: opDo, Call: &call}, nil)
	return last.Result, err
}

// Exec runs a program on a node with the command's arguments and streams, and returns its exit code. A read of
// command.Stdin that is under way when the program ends is not waited for.
func (c *Client) Exec(ctx context.Context, node string, command engine.Command) (int, error) {
	last, err := c.ask(ctx, request{Op: opExec, Node: node, Command: command.Args}, func(r reply, send *json.Encoder) error {
		var err error
		switch {
		case r.More:
			go feed(command.Stdin, send)
		case len(r.Stdout) > 0:
			_, err = command.Stdout.Write(r.Stdout)
		case len(r.Stderr) > 0:
			_, err = command.Stderr.Write(r.Stderr)
		}
		return err
	})
	return last.Exit, err
}

// feed sends one piece of in, or its end. The owner asks for one at a time, so feeds never meet.
func feed(in io.Reader, send *json.Encoder) {
	piece := input{EOF: true}
	if in != nil {
		buffer := make([]byte, 32<<10)
		n, err := in.Read(buffer)
		piece = input{Stdin: buffer[:n], EOF: err != nil}
	}
	send.Encode(piece) // where it fails, the reader of the replies finds out
}

// Watch calls news after something was recorded, until ctx or the run ends. It returns nil when the run has ended.
func (c *Client) Watch(ctx context.Context, news func() error) error {
	_, err := c.ask(ctx, request{Op: opWatch}, func(reply, *json.Encoder) error { return news() })
	if errors.Is(err, ErrGone) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Down takes the run down and returns when nothing of it is left. The error is [ErrGone] where its owner died meanwhile.
func (c *Client) Down(ctx context.Context) error {
	_, err := c.ask(ctx, request{Op: opDown}, nil)
	return err
}

// ask sends one request, hands each line of the answer but the last to each, and returns the last.
func (c *Client) ask(ctx context.Context, req request, each func(reply, *json.Encoder) error) (reply, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", c.socket)
	if err != nil {
		return reply{}, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	fail := func(err error) (reply, error) {
		if ctx.Err() != nil {
			return reply{}, ctx.Err()
		}
		return reply{}, err
	}
	send, lines := json.NewEncoder(conn), json.NewDecoder(conn)
	if err := send.Encode(req); err != nil {
		return fail(fmt.Errorf("%w: %w", ErrGone, err))
	}
	for {
		var line reply
		if err := lines.Decode(&line); err != nil {
			return fail(fmt.Errorf("%w: %w", ErrGone, err))
		}
		if line.Done {
			if line.Error != "" {
				return line, errors.New(line.Error)
			}
			return line, nil
		}
		if each == nil {
			continue
		}
		if err := each(line, send); err != nil {
			return fail(err)
		}
	}
}
