package agent

import (
	"errors"

	"scenario/engine/docker/tunnel"
	"scenario/nodes/visitor"
)

// TunnelSocket is where, in the node's container, the agent makes connections for the engine after [OpTunnel].
const TunnelSocket = "/run/scenario-tunnel"

// tunnel opens the socket, the first time it is asked to.
func (a *agent) tunnel() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.hostFor == nil:
		return errors.New("the node has not been started")
	case a.closeTunnel != nil:
		return nil
	}
	visits := visitor.New(a.hostFor(visitor.Name))
	var err error
	a.closeTunnel, err = tunnel.Listen(TunnelSocket, visits.Dial)
	return err
}

// endTunnel closes the socket and what came over it.
func (a *agent) endTunnel() {
	a.mu.Lock()
	end := a.closeTunnel
	a.mu.Unlock()
	if end != nil {
		end()
	}
}
