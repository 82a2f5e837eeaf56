package tests

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"scenario/internal/needs"
)

// slowReader is backpressure.yaml in short: small enough to keep all of its packets.
const slowReader = `
networks:
  lan: {subnet: 192.168.1.0/24, capture: true}
nodes:
  reader: {networks: {lan: 192.168.1.10}}
  sender: {networks: {lan: 192.168.1.11}}
steps:
  - {node: reader, listen: "192.168.1.10:9000"}
  - {node: sender, open: "192.168.1.10:9000"}
  - {node: reader, accept: {}}
  - name: stuck
    node: sender
    send: {size: 20000000, timeout: 2s}
    expect: ["!result.complete"]
  - {node: sender, shutdown: {}}
  - name: late
    node: reader
    recv: {end: true}
    expect: [result.sha256 == steps.stuck.sha256]
`

// R32: the reader that does not read closes its window; the sender sends nothing but asks again and again; the window opens
// when the reader reads. So it stands on the wire, as Wireshark sees it.
func TestZeroWindow(t *testing.T) {
	needs.Program(t, "tshark")
	for _, way := range ways {
		if way.docker {
			continue // that engine keeps no packets
		}
		t.Run(way.name, func(t *testing.T) {
			dir := openFolder(t)
			write(t, dir, "slow.yaml", slowReader)
			withoutDocker(t, dir, append([]string{"test", "slow.yaml"}, way.args...)...).expectCode(t, 0)
			capture := filepath.Join(dir, ".scenario", "slow", "captures", "reader-lan.pcapng")
			for filter, atLeast := range map[string]int{
				"ip.src == 192.168.1.10 && tcp.analysis.zero_window":                                              3,
				"ip.src == 192.168.1.11 && tcp.len == 1 && frame.time_relative > 0.1":                             2, // probes
				"ip.src == 192.168.1.10 && tcp.analysis.window_update && frame.time_relative > 1.9":               1,
				"ip.src == 192.168.1.11 && frame.time_relative > 0.1 && frame.time_relative < 1.9 && tcp.len > 1": -1,
			} {
				out, err := exec.CommandContext(t.Context(), "tshark", "-r", capture, "-Y", filter, "-T", "fields", "-e", "frame.number").Output()
				if err != nil {
					t.Fatalf("tshark: %v", err)
				}
				if n := len(strings.Fields(string(out))); n < atLeast || atLeast < 0 && n > 0 {
					t.Errorf("%d packets with %s, want %d at least (-1: none)", n, filter, atLeast)
				}
			}
		})
	}
}
