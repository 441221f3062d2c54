// Package program runs our own programs as processes of a test: started, killed,
// paused, started again. It decides nothing about what is tested.
package program

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Process is one of our programs, started again as often as it is killed.
type Process struct {
	Name string   // in messages
	Args []string // of the program

	t       testing.TB
	bin     string
	out     string // file of its output
	secrets []string

	mu    sync.Mutex
	cmd   *exec.Cmd
	alive bool
	done  chan struct{}
}

// PasswordVariable is set to the first secret of a process.
const PasswordVariable = "TRIBUTARY_TEST_PASSWORD"

// Start runs the program bin for the first time, with its output in a file of dir.
// None of the secrets may stand there. Once the test ends the process is killed and
// its output judged.
func (p *Process) Start(t testing.TB, bin, dir string, secrets ...string) {
	t.Helper()
	p.t, p.bin, p.out, p.secrets = t, bin, filepath.Join(dir, p.Name+".out"), secrets
	p.Again()
	t.Cleanup(func() { p.Signal(syscall.SIGKILL); p.judge() })
}

// Again runs it once more.
func (p *Process) Again() {
	p.t.Helper()
	f, err := os.OpenFile(p.out, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command(p.bin, p.Args...)
	cmd.Stdout, cmd.Stderr = f, f
	cmd.Env = append(os.Environ(), PasswordVariable+"="+p.secrets[0])
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	done := make(chan struct{})
	p.mu.Lock()
	p.cmd, p.alive, p.done = cmd, true, done
	p.mu.Unlock()
	go func() {
		_ = cmd.Wait() // a killed process fails; what matters is told by alive
		_ = f.Close()
		p.mu.Lock()
		p.alive = false
		p.mu.Unlock()
		close(done)
	}()
}

// Signal reports whether the process was alive to get it, and waits for its end.
func (p *Process) Signal(s syscall.Signal) bool {
	p.mu.Lock()
	alive, cmd, done := p.alive, p.cmd, p.done
	p.mu.Unlock()
	if !alive || cmd.Process.Signal(s) != nil {
		return false
	}
	<-done
	return true
}

// Pause stops the process with SIGSTOP, or lets it go on with SIGCONT. It reports
// whether the process was alive to get it.
func (p *Process) Pause(on bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := syscall.SIGCONT
	if on {
		s = syscall.SIGSTOP
	}
	return p.alive && p.cmd.Process.Signal(s) == nil
}

// Clean reports whether the last run ended by itself with code 0.
func (p *Process) Clean() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.alive && p.cmd.ProcessState.ExitCode() == 0
}

// Build compiles the program for this test.
func Build(t testing.TB) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "tributary")
	if out, err := exec.Command("go", "build", "-o", bin, "github.com/tributary-cdc/tributary/cmd/tributary").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

// Port gives a free port on loopback.
func Port(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// Write writes a file that only this user can read, and returns its name.
func Write(t testing.TB, name, format string, args ...any) string {
	t.Helper()
	if err := os.WriteFile(name, fmt.Appendf(nil, format, args...), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// judge fails the test if the output has a secret or an error, and prints its end
// if the test has failed.
func (p *Process) judge() {
	p.t.Helper()
	b, err := os.ReadFile(p.out)
	if err != nil {
		p.t.Error(err)
		return
	}
	for _, secret := range p.secrets {
		if strings.Contains(string(b), secret) {
			p.t.Errorf("%s printed a password", p.Name)
		}
	}
	if strings.Contains(string(b), "level=ERROR") {
		p.t.Errorf("%s logged an error", p.Name)
	}
	if !p.t.Failed() {
		return
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	p.t.Logf("%s:\n%s", p.Name, strings.Join(lines[max(0, len(lines)-30):], "\n"))
}
