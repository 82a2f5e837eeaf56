//go:build unix

package cli

import "syscall"

// ownSession keeps a process apart from this one's terminal and its signals.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
