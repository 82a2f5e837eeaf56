//go:build !linux

package kernel

import "syscall"

// saveSYN does nothing: only Linux keeps it.
func saveSYN(string, string, syscall.RawConn) error { return nil }
