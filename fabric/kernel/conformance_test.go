//go:build linux

package kernel

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"scenario/fabric/fabrictest"
	"scenario/host"
	hostkernel "scenario/host/kernel"
	"scenario/internal/needs"
	"scenario/topology"
)

// R28, R29, R30, R31, R34, R35
func TestConformance(t *testing.T) {
	needs.Root(t)
	fabrictest.Run(t, func(t *testing.T, plan *topology.Plan) map[string]host.Host {
		hosts := make(map[string]host.Host)
		for name, ns := range wire(t, plan) {
			ns.impatient(t, plan.Node(name))
			hosts[name] = nodeHost{hostkernel.New(hostkernel.Options{Seed: plan.Node(name).Seed}), ns}
		}
		return hosts
	})
}

// impatient has a node give up soon on neighbours that do not answer, so that no case waits for the seconds that it takes
// otherwise.
func (n namespace) impatient(t *testing.T, node *topology.Node) {
	t.Helper()
	settings := make(map[string]string)
	for _, itf := range node.Interfaces {
		settings["ipv4/neigh/"+itf.Name+"/retrans_time_ms"] = "20"
		settings["ipv6/neigh/"+itf.Name+"/retrans_time_ms"] = "20"
	}
	n.sysctl(t, settings)
}

// nodeHost is a Host in the node's network namespace: what it opens is opened there, and stays.
type nodeHost struct {
	*hostkernel.Host
	ns namespace
}

func (h nodeHost) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return inside(h.ns, func() (net.Conn, error) { return h.Host.Dial(ctx, network, addr) })
}

func (h nodeHost) Listen(ctx context.Context, network, addr string) (net.Listener, error) {
	return inside(h.ns, func() (net.Listener, error) { return h.Host.Listen(ctx, network, addr) })
}

func (h nodeHost) ListenPacket(ctx context.Context, network, addr string) (net.PacketConn, error) {
	return inside(h.ns, func() (net.PacketConn, error) { return h.Host.ListenPacket(ctx, network, addr) })
}

func (h nodeHost) Interfaces() ([]host.Interface, error) { return inside(h.ns, h.Host.Interfaces) }

func (h nodeHost) Ping(ctx context.Context, echo host.Echo) (host.Pong, error) {
	return inside(h.ns, func() (host.Pong, error) { return h.Host.Ping(ctx, echo) })
}

// inside calls f on a thread in the namespace, which ends with it.
func inside[T any](ns namespace, f func() (T, error)) (result T, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err = unix.Setns(int(ns.file.Fd()), unix.CLONE_NEWNET); err != nil {
			err = fmt.Errorf("enter the node's network: %w", err)
			return
		}
		result, err = f()
	}()
	<-done
	return result, err
}
