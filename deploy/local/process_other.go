//go:build unix && !linux

package local

import "syscall"

// attributes make a server run as its own user and in its own process group, so
// that Ctrl-C reaches only us. Nothing here ends it if we are killed.
func attributes(cred *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: cred, Setpgid: true}
}
