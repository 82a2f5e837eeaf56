package netstack

import "scenario/host"

var _ host.Turner = (*Host)(nil)

// Turn implements [host.Turner]; in real time it returns at once.
func (h *Host) Turn(key string) { h.machine.await("%s", key) }
