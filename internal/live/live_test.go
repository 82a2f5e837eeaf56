package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"scenario/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeRun answers as a run would, and tells what it was asked.
type fakeRun struct {
	info  Info
	news  chan struct{}
	ended chan string // what a cancelled request was
	down  chan struct{}
	gone  chan struct{} // closed when nothing is left
}

func newFakeRun(name, folder string) *fakeRun {
	return &fakeRun{
		info:  Info{Name: name, State: Up, Engine: "fake", Folder: folder, Nodes: []Node{{Name: "laptop", Roles: []string{"client"}}}},
		news:  make(chan struct{}, 8),
		ended: make(chan string, 8),
		down:  make(chan struct{}, 8),
		gone:  make(chan struct{}),
	}
}

func (f *fakeRun) Info() Info { return f.info }

func (f *fakeRun) Do(_ context.Context, call Call) (json.RawMessage, error) {
	if call.Action == "fail" {
		return nil, errors.New("no such thing")
	}
	return json.Marshal(call)
}

func (f *fakeRun) Exec(ctx context.Context, node string, command engine.Command) (int, error) {
	switch command.Args[0] {
	case "cat":
		_, err := io.Copy(command.Stdout, command.Stdin)
		return 0, err
	case "sleep":
		fmt.Fprintln(command.Stdout, "asleep")
		<-ctx.Done()
		f.ended <- "sleep"
		return 0, ctx.Err()
	}
	fmt.Fprintf(command.Stdout, "out %s %v\n", node, command.Args)
	fmt.Fprintln(command.Stderr, "err")
	return 7, nil
}

func (f *fakeRun) Dial(ctx context.Context, node, network, addr string) (net.Conn, error) {
	if node != "laptop" {
		return nil, fmt.Errorf("no node %s", node)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, addr)
}

func (f *fakeRun) Watch(ctx context.Context, news func() error) error {
	for {
		select {
		case <-f.news:
			if err := news(); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *fakeRun) Down(context.Context) error {
	f.down <- struct{}{}
	<-f.gone
	return nil
}

// socketFolder is short, unlike t.TempDir, because a socket's path is bounded.
func socketFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "live")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func serve(t *testing.T, dir string, run *fakeRun) *Server {
	t.Helper()
	server, err := Serve(dir, run)
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func one(t *testing.T, dir string) *Client {
	t.Helper()
	found, err := List(t.Context(), dir)
	if err != nil || len(found) != 1 {
		t.Fatalf("List: %d runs, %v", len(found), err)
	}
	return found[0]
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	found, err := List(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range found {
		names = append(names, c.Info.Name+" "+c.Info.Folder)
	}
	return names
}

func TestRequests(t *testing.T) {
	dir := socketFolder(t)
	run := newFakeRun("browse", "/runs/browse")
	server := serve(t, dir, run)
	defer server.Close()
	client := one(t, dir)
	if diff := cmp.Diff(run.info, client.Info); diff != "" {
		t.Error("info: -want +got\n" + diff)
	}

	call := Call{Node: "laptop", Role: "client", Action: "ping", Args: json.RawMessage(`{"to":"a"}`)}
	result, err := client.Do(t.Context(), call)
	if want := `{"node":"laptop","role":"client","action":"ping","args":{"to":"a"}}`; err != nil || string(result) != want {
		t.Errorf("do: %s, %v", result, err)
	}
	if _, err := client.Do(t.Context(), Call{Action: "fail"}); err == nil || err.Error() != "no such thing" {
		t.Errorf("do that fails: %v", err)
	}

	var stdout, stderr bytes.Buffer
	code, err := client.Exec(t.Context(), "laptop", engine.Command{Args: []string{"ls", "-l"}, Stdout: &stdout, Stderr: &stderr})
	if err != nil || code != 7 || stdout.String() != "out laptop [ls -l]\n" || stderr.String() != "err\n" {
		t.Errorf("exec: %d, %v, %q, %q", code, err, &stdout, &stderr)
	}
}

func TestExecStreamsStandardInput(t *testing.T) {
	dir := socketFolder(t)
	server := serve(t, dir, newFakeRun("browse", "/runs/browse"))
	defer server.Close()
	text := strings.Repeat("a line of input\n", 20_000)
	var stdout bytes.Buffer
	command := engine.Command{Args: []string{"cat"}, Stdin: strings.NewReader(text), Stdout: &stdout, Stderr: io.Discard}
	if code, err := one(t, dir).Exec(t.Context(), "laptop", command); code != 0 || err != nil || stdout.String() != text {
		t.Errorf("exec: %d, %v, %d bytes of %d", code, err, stdout.Len(), len(text))
	}
}

func TestClientThatGoesCancelsItsRequest(t *testing.T) {
	dir := socketFolder(t)
	run := newFakeRun("browse", "/runs/browse")
	server := serve(t, dir, run)
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	asleep := writer(func([]byte) error { cancel(); return nil })
	_, err := one(t, dir).Exec(ctx, "laptop", engine.Command{Args: []string{"sleep"}, Stdout: asleep, Stderr: io.Discard})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("exec: %v", err)
	}
	<-run.ended
}

func TestDownAnswersWhenNothingIsLeft(t *testing.T) {
	dir := socketFolder(t)
	run := newFakeRun("browse", "/runs/browse")
	server := serve(t, dir, run)
	client := one(t, dir)
	answer := make(chan error)
	go func() { answer <- client.Down(t.Context()) }()
	<-run.down
	select {
	case err := <-answer:
		t.Fatalf("down answered %v while the run was up", err)
	default:
	}
	close(run.gone)
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := <-answer; err != nil {
		t.Error(err)
	}
	if found := names(t, dir); len(found) != 0 {
		t.Errorf("still there: %v", found)
	}
}

func TestRequestsEndWithTheRun(t *testing.T) {
	dir := socketFolder(t)
	run := newFakeRun("browse", "/runs/browse")
	server := serve(t, dir, run)
	client := one(t, dir)
	run.news <- struct{}{}
	watching, asleep := make(chan struct{}), make(chan struct{})
	watched, slept := make(chan error), make(chan error)
	go func() {
		watched <- client.Watch(t.Context(), func() error { close(watching); return nil })
	}()
	go func() {
		stdout := writer(func([]byte) error { close(asleep); return nil })
		_, err := client.Exec(t.Context(), "laptop", engine.Command{Args: []string{"sleep"}, Stdout: stdout, Stderr: io.Discard})
		slept <- err
	}()
	<-watching
	<-asleep
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := <-watched; err != nil {
		t.Errorf("watch: %v", err)
	}
	if err := <-slept; err == nil || err.Error() != ErrGone.Error() {
		t.Errorf("exec: %v", err)
	}
	if err := client.Watch(t.Context(), nil); err != nil {
		t.Errorf("watch after the end: %v", err)
	}
}

func TestListTellsFoldersApart(t *testing.T) {
	dir := socketFolder(t)
	for _, run := range []*fakeRun{newFakeRun("browse", "/b"), newFakeRun("browse", "/a"), newFakeRun("a-name-that-is-longer-than-a-socket-may-be", "/c")} {
		server := serve(t, dir, run)
		defer server.Close()
	}
	want := []string{"a-name-that-is-longer-than-a-socket-may-be /c", "browse /a", "browse /b"}
	if diff := cmp.Diff(want, names(t, dir)); diff != "" {
		t.Error("-want +got\n" + diff)
	}
}

// R41: a killed owner leaves a socket that nobody serves.
func TestListRemovesSocketsOfDeadOwners(t *testing.T) {
	dir := socketFolder(t)
	path := filepath.Join(dir, "dead-01234567"+suffix)
	listener, err := listen(path)
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	if found := names(t, dir); len(found) != 0 {
		t.Errorf("found %v", found)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestListNamesOwnersThatKeepSilent(t *testing.T) {
	dir := socketFolder(t)
	listener, err := listen(filepath.Join(dir, "silent-01234567"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	found, err := List(ctx, dir)
	if err != nil || len(found) != 1 || found[0].Info.Name != "silent" || found[0].Info.State != NotAnswering {
		t.Errorf("found %v, %v", found, err)
	}
}

func TestFolder(t *testing.T) {
	base := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", base)
	path, err := Folder()
	if err != nil || path != filepath.Join(base, "scenario") {
		t.Fatalf("%s, %v", path, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Folder(); err == nil || !strings.Contains(err.Error(), "open to other users") {
		t.Errorf("a folder that is open to others: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Folder(); err == nil || !strings.Contains(err.Error(), "not a folder") {
		t.Errorf("a file in its place: %v", err)
	}
}

func TestSocketIsTheUsersAlone(t *testing.T) {
	dir := socketFolder(t)
	server := serve(t, dir, newFakeRun("browse", "/runs/browse"))
	defer server.Close()
	if info, err := os.Stat(server.socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// A connection is carried with its errors and its ends.
func TestDial(t *testing.T) {
	dir := socketFolder(t)
	run := newFakeRun("shop", "/runs/shop")
	server := serve(t, dir, run)
	client := one(t, dir)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	accepted := make(chan net.Conn)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	conn, err := client.Dial(t.Context(), "laptop", "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	other := <-accepted
	fmt.Fprint(conn, "question")
	conn.(interface{ CloseWrite() error }).CloseWrite()
	if got, err := io.ReadAll(other); err != nil || string(got) != "question" {
		t.Errorf("%q, %v", got, err)
	}
	fmt.Fprint(other, "answer")
	other.Close()
	if got, err := io.ReadAll(conn); err != nil || string(got) != "answer" {
		t.Errorf("%q, %v", got, err)
	}
	conn.Close()

	if _, err := client.Dial(t.Context(), "shop", "tcp", addr); err == nil || err.Error() != "no node shop" {
		t.Errorf("no such node: %v", err)
	}
	if conn, err = client.Dial(t.Context(), "laptop", "tcp", addr); err != nil {
		t.Fatal(err)
	}
	other = <-accepted
	listener.Close()
	if _, err := client.Dial(t.Context(), "laptop", "tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("refused: %v", err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadAll(conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a connection of a run that has ended: %v", err)
	}
	conn.Close()
	other.Close()
	if _, err := client.Dial(t.Context(), "laptop", "tcp", addr); !errors.Is(err, ErrGone) || errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after the end: %v", err)
	}
}
