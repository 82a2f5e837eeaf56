package tests

import (
	"archive/tar"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"scenario/internal/needs"
)

// R8, R9, R29, R31: curl, dig, ping, traceroute and Chromium as nodes see the pages, names and hops that ours see.
func TestRealClients(t *testing.T) {
	needs.Docker(t)
	for _, program := range []string{"curl", "dig", "ping", "traceroute", "chromium"} {
		needs.Program(t, program)
	}
	file := testdata(t, "clients.yaml")
	scenario(t, t.TempDir(), "test", "--trust", file).expectCode(t, 0)
}

// curl, wget, OpenSSL and Chromium trust the scenario's authority and nobody else, and servers find their certificate,
// without an option that says so.
func TestRealClientsTrustTheAuthority(t *testing.T) {
	needs.Docker(t)
	for _, program := range []string{"curl", "wget", "openssl", "chromium"} {
		needs.Program(t, program)
	}
	scenario(t, t.TempDir(), "test", "--trust", testdata(t, "certificates.yaml")).expectCode(t, 0)
}

// R24: what nc and socat announce is heard, and they hear what is announced, by one datagram each or one for all.
func TestAnnouncementsOfOtherPrograms(t *testing.T) {
	needs.Docker(t)
	for _, program := range []string{"nc", "socat"} {
		needs.Program(t, program)
	}
	scenario(t, t.TempDir(), "test", "--trust", testdata(t, "announcements.yaml")).expectCode(t, 0)
}

// A user's image joins the network with its command, environment and files.
func TestImage(t *testing.T) {
	needs.Docker(t)
	needs.Program(t, "busybox")
	const image = "scenario-test-busybox:1"
	importBusybox(t, image)
	scenario(t, t.TempDir(), "test", "--trust", testdata(t, "image.yaml")).expectCode(t, 0)
}

// Without a person who can be asked, programs of an image or of this machine are not started unless --trust is given.
func TestTrustIsAskedFor(t *testing.T) {
	got := scenario(t, t.TempDir(), "test", testdata(t, "image.yaml"))
	got.expectCode(t, 2)
	if want := "--trust"; !bytes.Contains([]byte(got.stderr), []byte(want)) {
		t.Errorf("%s is not named:\n%s", want, got.stderr)
	}
}

func testdata(t testing.TB, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// importBusybox makes an image of one program, as somebody would who has no registry, and removes it with the test.
func importBusybox(t *testing.T, image string) {
	t.Helper()
	path, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var root bytes.Buffer
	w := tar.NewWriter(&root)
	if err := w.WriteHeader(&tar.Header{Name: "bin/busybox", Mode: 0o755, Size: int64(len(program))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(program); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("docker", "import", "-", image)
	cmd.Stdin = &root
	if got := runCommand(t, cmd); got.code != 0 {
		t.Fatalf("docker import: %s", got.stderr)
	}
	t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", image).Run() })
}

// R8, R20: nc and socat at the other end of our echo servers, and socat as the server of our client.
func TestRealSockets(t *testing.T) {
	needs.Docker(t)
	for _, program := range []string{"nc", "socat"} {
		needs.Program(t, program)
	}
	scenario(t, t.TempDir(), "test", "--trust", testdata(t, "sockets.yaml")).expectCode(t, 0)
}
