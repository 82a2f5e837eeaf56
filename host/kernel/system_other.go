//go:build !unix || aix || solaris

package kernel

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// ListenBacklog implements [host.Backlog]: on this system the backlog cannot be set, and the error says so.
func (h *Host) ListenBacklog(_ context.Context, network, addr string, _ int) (net.Listener, error) {
	return nil, fmt.Errorf("listen %s %s with a backlog: %w on this system", network, addr, errors.ErrUnsupported)
}

// lockFolder says that folders cannot be locked.
func lockFolder(string) (unlock func(), err error) { return nil, errors.ErrUnsupported }
