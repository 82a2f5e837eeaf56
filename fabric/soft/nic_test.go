package soft_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"scenario/fabric/soft"
)

// listener stands for a stack, and tells what it is given.
type listener chan received

type received struct {
	protocol tcpip.NetworkProtocolNumber
	kind     tcpip.PacketType
	bytes    []byte // without the Ethernet header
}

func (l listener) DeliverNetworkPacket(protocol tcpip.NetworkProtocolNumber, packet *stack.PacketBuffer) {
	data := packet.Data().AsRange().ToSlice()
	l <- received{protocol, packet.PktType, data}
}

func (listener) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {}

// noLeaks fails the test where goroutines are left when it is over.
func noLeaks(t *testing.T) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
}

func TestWhoseFrames(t *testing.T) {
	noLeaks(t)
	for _, test := range []struct {
		name    string
		to      [6]byte
		resolve bool
		want    bool
		kind    tcpip.PacketType
	}{
		{"its own", mac(1), true, true, tcpip.PacketHost},
		{"another's", mac(2), true, false, 0},
		{"nobody's", [6]byte{}, true, false, 0},
		{"everybody's", [6]byte{255, 255, 255, 255, 255, 255}, true, true, tcpip.PacketBroadcast},
		{"a group's", [6]byte{0x33, 0x33, 0, 0, 0, 1}, true, true, tcpip.PacketMulticast},
		{"on a cable without addresses", [6]byte{}, false, true, tcpip.PacketHost},
	} {
		t.Run(test.name, func(t *testing.T) {
			nic := soft.NewNIC(soft.NICOptions{MAC: mac(1), MTU: 1500, Resolve: test.resolve})
			got := make(listener, 2)
			nic.Attach(got)
			defer nic.Close()
			nic.Send(addressed(mac(9), test.to))
			nic.Send(addressed(mac(9), mac(1))) // arrives when the one before would have
			first := <-got
			if test.want {
				<-got
			}
			if len(got) > 0 || test.want && first.kind != test.kind || string(first.bytes) != "payload" || first.protocol != 0x800 {
				t.Errorf("%+v, and %d more", first, len(got))
			}
		})
	}
}

// What overflows is dropped and counted; what waits when the card is closed is released.
func TestQueueOverflow(t *testing.T) {
	noLeaks(t)
	nic := soft.NewNIC(soft.NICOptions{MAC: mac(1), MTU: 1500, Resolve: true, Queue: 3})
	got := make(listener) // holds up the card
	nic.Send(addressed(mac(9), mac(1)))
	nic.Attach(got)
	if nic.IsAttached(); nic.Drops() != (soft.NICDrops{}) {
		t.Errorf("%+v", nic.Drops())
	}
	nic.Send(addressed(mac(9), mac(1)))
	for nic.Drops().Overflow == 0 { // one or none is under way already
		nic.Send(addressed(mac(9), mac(1)))
	}
	for range 3 {
		<-got
	}
	go func() {
		for range got {
		}
	}()
	nic.Close()
	nic.Close()
	close(got)
	nic.Send(addressed(mac(9), mac(1)))
}

func TestFirewallAndChecksums(t *testing.T) {
	noLeaks(t)
	accept, err := soft.Dropping(soft.Match{Protocol: "udp", Port: 53})
	if err != nil {
		t.Fatal(err)
	}
	nic := soft.NewNIC(soft.NICOptions{MAC: mac(2), MTU: 1500, Resolve: true, Accept: accept})
	got := make(listener, 10)
	nic.Attach(got)
	defer nic.Close()
	broken := datagram(false, header.UDPProtocolNumber, udpTo(54, "broken"))
	broken.Head.AsSlice()[broken.Size()-1] ^= 1
	broken.Suspect = true
	good := datagram(false, header.UDPProtocolNumber, udpTo(54, "good"))
	good.Suspect = true
	nic.Send(broken)
	nic.Send(datagram(false, header.UDPProtocolNumber, udpTo(53, "dropped")))
	nic.Send(good)
	if r := <-got; !bytes.HasSuffix(r.bytes, []byte("good")) {
		t.Errorf("%q", r.bytes)
	}
	if want := (soft.NICDrops{Checksum: 1, Filtered: 1}); nic.Drops() != want {
		t.Errorf("%+v", nic.Drops())
	}
}

// In virtual time each frame is an event of its own, and Delivered comes after each.
func TestVirtualCard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		scheduler := soft.NewVirtualTime(nil)
		defer scheduler.Close()
		var told []string
		nic := soft.NewNIC(soft.NICOptions{
			MAC: mac(2), MTU: 1500, Resolve: true, Scheduler: scheduler, Delivered: func() { told = append(told, "delivered") },
		})
		got := make(listener, 10)
		nic.Attach(got)
		for i := range uint32(3) {
			nic.Send(segment{from: 1, to: 2, flags: header.TCPFlagAck, seq: i * 10, payload: pattern(10)}.frame())
		}
		if len(got) > 0 {
			t.Error("delivered by the sender")
		}
		pause(time.Millisecond)
		if len(got) != 3 || len(told) != 3 {
			t.Errorf("%d delivered, %d told", len(got), len(told))
		}
		nic.Close()
		nic.Send(addressed(mac(1), mac(2)))
		pause(time.Millisecond)
		if len(got) != 3 {
			t.Error("delivered when closed")
		}
	})
}

func TestUnconnectedCard(t *testing.T) {
	noLeaks(t)
	n := newNode(t, 1, soft.NICOptions{MTU: 1280})
	if n.nic.MTU() != 1280 {
		t.Error(n.nic.MTU())
	}
	if n.nic.SetMTU(1400); n.nic.MTU() != 1400 {
		t.Error(n.nic.MTU())
	}
	conn := n.packets(t, addrPort(v4(1), 9), addrPort(v4(2), 9))
	defer conn.Close()
	_, _ = conn.Write([]byte("into the void"))
}
