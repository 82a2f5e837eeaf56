package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"scenario/engine"
	"scenario/topology"
)

// BenchmarkBulk sends bulk TCP with iperf3 from node to node, and compares it with the same over a bridge and two veth
// pairs made by hand with iproute2, in turns.
func BenchmarkBulk(b *testing.B) {
	if _, err := exec.LookPath("iperf3"); err != nil {
		b.Skip("iperf3 is not installed")
	}
	e := requireDocker(b)
	machine := &topology.Program{RootFS: "host"}
	p := &topology.Plan{
		Name:     "docker-bench-bulk",
		Networks: []topology.Network{{Name: "lan"}},
		Nodes: []topology.Node{
			{Name: "client", Program: machine, Interfaces: []topology.Interface{itf("eth0", "lan", 1, "10.0.0.1/24")}},
			{Name: "server", Program: machine, Interfaces: []topology.Interface{itf("eth0", "lan", 2, "10.0.0.2/24")}},
		},
	}
	run, _ := start(b, e, p)
	ours := func(node string, args ...string) ([]byte, error) {
		var stdout bytes.Buffer
		code, err := run.Exec(b.Context(), node, engine.Command{Args: args, Stdout: &stdout})
		if err == nil && code != 0 {
			err = fmt.Errorf("%s: exit code %d", strings.Join(args, " "), code)
		}
		return stdout.Bytes(), err
	}
	bare := bareNetwork(b)
	var oursTotal, bareTotal float64
	for b.Loop() {
		oursTotal += bulk(b, ours)
		bareTotal += bulk(b, bare)
	}
	b.ReportMetric(oursTotal/float64(b.N), "Gbit/s")
	b.ReportMetric(bareTotal/float64(b.N), "Gbit/s-bare")
	b.ReportMetric(oursTotal/bareTotal, "ratio")
}

// bulk returns the throughput in Gbit/s between the nodes "client" and "server", whose address is 10.0.0.2.
func bulk(b *testing.B, on func(node string, args ...string) ([]byte, error)) float64 {
	b.Helper()
	if _, err := on("server", "iperf3", "--server", "--one-off", "--daemon", "--pidfile", "/tmp/iperf3.pid"); err != nil {
		b.Fatal(err)
	}
	text, err := on("client", "iperf3", "--client", "10.0.0.2", "--time", "3", "--omit", "1", "--json")
	if err != nil {
		b.Fatalf("%v\n%s", err, text)
	}
	var report struct {
		End struct {
			Received struct {
				BitsPerSecond float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		}
	}
	if err := json.Unmarshal(text, &report); err != nil {
		b.Fatal(err)
	}
	return report.End.Received.BitsPerSecond / 1e9
}

// bareNetwork makes the same network as a person would by hand, and takes it down with the benchmark.
func bareNetwork(b *testing.B) func(node string, args ...string) ([]byte, error) {
	b.Helper()
	if os.Getuid() != 0 {
		b.Skip("network namespaces need root")
	}
	name := func(node string) string { return fmt.Sprintf("scenario-bench-%d-%s", os.Getpid(), node) }
	ip := func(args string) {
		b.Helper()
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			b.Fatalf("ip %s: %v: %s", args, err, out)
		}
	}
	space := name("bridge")
	ip("netns add " + space)
	b.Cleanup(func() { _ = exec.Command("ip", "netns", "del", space).Run() })
	ip("-n " + space + " link add br0 type bridge")
	ip("-n " + space + " link set br0 up")
	for i, node := range []string{"client", "server"} {
		ip("netns add " + name(node))
		b.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name(node)).Run() })
		ip(fmt.Sprintf("-n %s link add port%d type veth peer name eth0 netns %s", space, i, name(node)))
		ip(fmt.Sprintf("-n %s link set port%d master br0 up", space, i))
		ip(fmt.Sprintf("-n %s addr add 10.0.0.%d/24 dev eth0", name(node), i+1))
		ip("-n " + name(node) + " link set eth0 up")
	}
	return func(node string, args ...string) ([]byte, error) {
		return exec.CommandContext(context.Background(), "ip", append([]string{"netns", "exec", name(node)}, args...)...).Output()
	}
}
