package dnsd

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"scenario/dnsd/zone"
	"scenario/host/hosttest/memnet"
)

// manyAddresses is a server of a name with n addresses.
func manyAddresses(t *testing.T, n int) *Server {
	t.Helper()
	var records []string
	for i := range n {
		records = append(records, fmt.Sprintf("@ A 192.0.2.%d", i))
	}
	z, err := zone.Parse(zone.Config{Origin: "many.example", Records: records})
	if err != nil {
		t.Fatal(err)
	}
	set, err := zone.NewSet(z)
	if err != nil {
		t.Fatal(err)
	}
	return New(memnet.New().Host("ns", "198.51.100.3"), Options{Zones: set})
}

func packedQuestion(t *testing.T) []byte {
	t.Helper()
	packed, err := new(dns.Msg).SetQuestion("many.example.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// A client that is silent, or takes no response, does not hold a connection for ever; nor does it outlive the server.
func TestConnectionEnds(t *testing.T) {
	query := packedQuestion(t)
	tests := []struct {
		name string
		sent []byte
		stop time.Duration // when the server ends
		want time.Duration // when the connection does
	}{
		{"response not taken", append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...), time.Hour, writeTimeout},
		{"half a length", []byte{0}, time.Hour, idleTimeout},
		{"half a query", []byte{0, 30, 1, 2}, time.Hour, idleTimeout},
		{"server ends", nil, time.Second, time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), test.stop)
				defer cancel()
				s := manyAddresses(t, 1)
				began := time.Now()
				near, far := net.Pipe()
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					s.serveConn(ctx, far, peer{transport: "tcp", idle: idleTimeout})
				}()
				if _, err := near.Write(test.sent); err != nil {
					t.Fatal(err)
				}
				<-ended
				if took := time.Since(began); took != test.want {
					t.Errorf("ended after %s, want %s", took, test.want)
				}
			})
		})
	}
}

// Answers at once share the zone's records, which are packed and cut but not changed: the race detector sees to it.
func TestAnswersAtOnce(t *testing.T) {
	s, query := manyAddresses(t, 100), packedQuestion(t)
	var group sync.WaitGroup
	for _, transport := range []string{"udp", "tcp", "udp", "tcp"} {
		group.Go(func() {
			for range 20 {
				if s.answer(s.begin(t.Context()), peer{transport: transport}, query) == nil {
					t.Errorf("no response over %s", transport)
				}
			}
		})
	}
	group.Wait()
}
