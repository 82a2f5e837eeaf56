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
	"sync"
	"time"

	"scenario/engine"
)

// farewell bounds how long Close waits for a client to take its last lines.
const farewell = time.Second

// Server answers for a run until it is closed.
type Server struct {
	run      Run
	listener net.Listener
	socket   string
	ctx      context.Context // of all requests but down
	cancel   context.CancelFunc
	closed   chan struct{} // the socket is gone
	requests sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
}

// Serve makes run reachable through a socket in dir, which [Folder] returned, with mode 0600. The run folder tells runs
// of one name apart: it must be this owner's alone.
func Serve(dir string, run Run) (*Server, error) {
	info := run.Info()
	socket, err := socketPath(dir, info.Name, info.Folder)
	if err != nil {
		return nil, err
	}
	listener, err := listen(socket)
	if err != nil {
		return nil, fmt.Errorf("socket of run %s: %w", info.Name, err)
	}
	s := &Server{run: run, listener: listener, socket: socket, closed: make(chan struct{}), conns: make(map[net.Conn]bool)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.requests.Go(s.accept)
	return s, nil
}

// listen binds under another name first: whoever finds the socket under its final name can connect, so that a refused
// connection always means that its owner is gone.
func listen(socket string) (net.Listener, error) {
	early := socket + "~"
	if err := os.Remove(early); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: early, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false)
	if err = os.Chmod(early, 0o600); err == nil {
		err = os.Rename(early, socket)
	}
	if err != nil {
		return nil, errors.Join(err, listener.Close(), os.Remove(early))
	}
	return listener, nil
}

// Close removes the socket, ends what others asked for, lets those who asked for the end know, and returns when all
// requests have ended. Call it when nothing of the run is left.
func (s *Server) Close() error {
	err := errors.Join(os.Remove(s.socket), s.listener.Close())
	close(s.closed)
	s.mu.Lock()
	s.cancel()
	for conn := range s.conns {
		// One that has been answered is closed before it is forgotten.
		if late := conn.SetWriteDeadline(time.Now().Add(farewell)); !errors.Is(late, net.ErrClosed) {
			err = errors.Join(err, late)
		}
	}
	s.mu.Unlock()
	s.requests.Wait()
	return err
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return // only Close ends a listener on a socket
		}
		if !s.keep(conn) {
			conn.Close()
			return
		}
		s.requests.Go(func() {
			s.answer(conn)
			s.mu.Lock()
			delete(s.conns, conn)
			s.mu.Unlock()
		})
	}
}

// keep notes an open connection; false after Close.
func (s *Server) keep(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.conns[conn] = true
	return true
}

// answer carries out the request of one connection.
func (s *Server) answer(conn net.Conn) {
	defer conn.Close()
	stop := context.AfterFunc(s.ctx, func() { conn.SetReadDeadline(time.Now()) })
	defer stop()
	in := json.NewDecoder(conn)
	var req request
	if err := in.Decode(&req); err != nil {
		return
	}
	if req.Op == opDial {
		s.carry(conn, in, req.Node)
		return
	}
	out := &replies{to: json.NewEncoder(conn)}
	last := reply{Done: true}
	if err := s.carryOut(req, in, out, &last); err != nil {
		last.Error = err.Error()
	}
	out.send(last) // a client that has gone does not want to know
}

func (s *Server) carryOut(req request, in *json.Decoder, out *replies, last *reply) error {
	if req.Op == opDown {
		err := s.run.Down(context.Background())
		<-s.closed
		return err
	}
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	stdin := newInputs(ctx, out)
	go func() {
		// Ends when the client has gone, or when Close sets the deadline, and at the latest when answer closes conn.
		defer cancel()
		stdin.read(in)
	}()
	var err error
	switch {
	case req.Op == opInfo:
		info := s.run.Info()
		last.Info = &info
	case req.Op == opDo && req.Call != nil:
		last.Result, err = s.run.Do(ctx, *req.Call)
	case req.Op == opExec && len(req.Command) > 0:
		last.Exit, err = s.run.Exec(ctx, req.Node, engine.Command{
			Args:   req.Command,
			Stdin:  stdin,
			Stdout: writer(func(p []byte) error { return out.send(reply{Stdout: p}) }),
			Stderr: writer(func(p []byte) error { return out.send(reply{Stderr: p}) }),
		})
	case req.Op == opWatch:
		err = s.run.Watch(ctx, func() error { return out.send(reply{News: true}) })
		if s.ctx.Err() != nil {
			err = nil // the run's end is the answer
		}
	default:
		err = fmt.Errorf("the owner of run %s does not know the request %q: it is another version of this program", s.run.Info().Name, req.Op)
	}
	if err != nil && s.ctx.Err() != nil {
		return ErrGone
	}
	return err
}

// replies sends whole lines from any goroutine.
type replies struct {
	mu sync.Mutex
	to *json.Encoder
}

func (r *replies) send(line reply) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.to.Encode(line)
}

// writer makes a function an io.Writer.
type writer func([]byte) error

func (w writer) Write(p []byte) (int, error) {
	if err := w(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// inputs is the client's standard input as a program's reader. It asks for each piece when the program reads, so that
// at most one is under way and the connection can be watched for its end all the time.
type inputs struct {
	ctx    context.Context
	out    *replies
	pieces chan input
	rest   []byte
	eof    bool
}

func newInputs(ctx context.Context, out *replies) *inputs {
	return &inputs{ctx: ctx, out: out, pieces: make(chan input, 1)}
}

// read takes the client's lines until there are no more. One that was not asked for breaks the protocol and ends it.
func (i *inputs) read(from *json.Decoder) {
	for {
		var piece input
		if from.Decode(&piece) != nil {
			return
		}
		select {
		case i.pieces <- piece:
		default:
			return
		}
	}
}

func (i *inputs) Read(p []byte) (int, error) {
	for len(i.rest) == 0 {
		if i.eof {
			return 0, io.EOF
		}
		if err := i.out.send(reply{More: true}); err != nil {
			return 0, err
		}
		select {
		case piece := <-i.pieces:
			i.rest, i.eof = piece.Stdin, piece.EOF
		case <-i.ctx.Done():
			return 0, i.ctx.Err()
		}
	}
	n := copy(p, i.rest)
	i.rest = i.rest[n:]
	return n, nil
}
