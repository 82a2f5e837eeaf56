package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"scenario/event"
	"scenario/host"
	"scenario/host/tlsinfo"
)

const (
	// maxPartitions bounds the network partitions whose sessions are kept.
	maxPartitions = 100
	// sessionsPerPartition bounds the sessions of one.
	sessionsPerPartition = 64
)

// sessions are those of TLS that can be resumed, apart for each network partition: else a resumption would tell two sites
// that the same browser visits both (RFC 8446, appendix C.4).
type sessions struct {
	roots  *x509.CertPool
	caches map[string]tls.ClientSessionCache
}

// of returns the sessions of a partition. They are forgotten when other authorities are trusted.
func (s *sessions) of(partition string, roots *x509.CertPool) tls.ClientSessionCache {
	if s.caches == nil || len(s.caches) >= maxPartitions || !s.roots.Equal(roots) {
		s.roots, s.caches = roots, make(map[string]tls.ClientSessionCache)
	}
	cache := s.caches[partition]
	if cache == nil {
		cache = tls.NewLRUClientSessionCache(sessionsPerPartition)
		s.caches[partition] = cache
	}
	return cache
}

// secure does the TLS handshake of a connection and tells what came of it; where it fails, the connection is closed.
func (t *Transport) secure(ctx context.Context, b *base, offers []string) error {
	name := strings.Trim(b.origin.host, "[]")
	roots := t.roots()
	t.mu.Lock()
	cache := t.sessions.of(b.origin.partition, roots)
	t.mu.Unlock()
	conn := tls.Client(buffered{b.wire, bufio.NewReaderSize(b.wire, readBuffer)}, &tls.Config{
		RootCAs: roots, ServerName: name, NextProtos: offers, ClientSessionCache: cache,
		KeyLogWriter: t.options.KeyLog, Time: time.Now, Rand: t.random,
	})
	limited, cancel := context.WithTimeout(ctx, t.options.ConnectTimeout)
	defer cancel()
	begun := time.Now()
	err := conn.HandshakeContext(limited)
	state := conn.ConnectionState()
	leaf := tlsinfo.Leaf(state, err)
	told := tlsinfo.Handshake(event.SideClient, state, leaf, time.Since(begun))
	told.Local, told.Remote, told.ServerName = b.local, b.remote, name
	if err == nil {
		event.Emit(ctx, t.host.Log(), told)
		b.nc, b.state = conn, &state
		return nil
	}
	if limited.Err() != nil {
		err = limited.Err()
	}
	reason, meaning := tlsinfo.Explain(err, name, time.Now())
	if reason == tlsinfo.Untrusted && t.trusted(err, name) {
		reason, meaning = tlsinfo.ExplainDistrust(leaf)
	}
	told.Reason, told.Meaning, told.Error = reason, meaning, err.Error()
	event.Emit(ctx, t.host.Log(), told)
	by := byLocal
	if reason == tlsinfo.Closed && ctx.Err() == nil {
		by = byRemote
	}
	b.closed(by, "the TLS handshake failed")
	return &Error{Phase: PhaseTLS, Reason: reason, Meaning: meaning, Err: fmt.Errorf("TLS with %s at %s: %w", name, b.remote, err)}
}

// trusted says that the host trusts the authority of a certificate that was refused.
func (t *Transport) trusted(err error, name string) bool {
	var refused *tls.CertificateVerificationError
	if !errors.As(err, &refused) || len(refused.UnverifiedCertificates) == 0 {
		return false
	}
	between := x509.NewCertPool()
	for _, cert := range refused.UnverifiedCertificates[1:] {
		between.AddCert(cert)
	}
	_, err = refused.UnverifiedCertificates[0].Verify(x509.VerifyOptions{
		DNSName: name, Roots: host.Roots(t.host), Intermediates: between, CurrentTime: time.Now(),
	})
	return err == nil
}

// random is randomness of a host's source for any goroutine.
type random struct {
	mu   sync.Mutex
	from *rand.Rand
}

func newRandom(source rand.Source) io.Reader { return &random{from: rand.New(source)} }

func (r *random) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for left := p; len(left) > 0; {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], r.from.Uint64())
		left = left[copy(left, word[:]):]
	}
	return len(p), nil
}
