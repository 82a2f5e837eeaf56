package cli

import "syscall"

// detachedProcess is DETACHED_PROCESS of the Windows API: no console is inherited.
const detachedProcess = 0x00000008

// ownSession keeps a process apart from this one's console and its signals.
func ownSession() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: detachedProcess | syscall.CREATE_NEW_PROCESS_GROUP}
}
