package netstack

import "gvisor.dev/gvisor/pkg/tcpip/stack"

func (m *Machine) Stack() *stack.Stack { return m.stack }
