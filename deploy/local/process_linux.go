package local

import "syscall"

// attributes make a server run as its own user, in its own process group (so
// that Ctrl-C reaches only us), and end when we do.
func attributes(cred *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: cred, Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
