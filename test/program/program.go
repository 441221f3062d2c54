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
	"syscall"
	"testing"

	"github.com/tributary-cdc/tributary/deploy/local"
)

// Process is one of our programs, started again as often as it is killed.
type Process struct {
	Name string   // in messages
	Args []string // of the program
	// Expected is in the errors that it may log; empty for none.
	Expected string

	t       testing.TB
	run     local.Process
	secrets []string
}

// PasswordVariable is set to the first secret of a process.
const PasswordVariable = "TRIBUTARY_TEST_PASSWORD"

// Start runs the program bin for the first time, with its output in a file of dir.
// None of the secrets may stand there. Once the test ends the process is killed and
// its output judged.
func (p *Process) Start(t testing.TB, bin, dir string, secrets ...string) {
	t.Helper()
	p.t, p.secrets = t, secrets
	p.run.Name, p.run.Path, p.run.Args, p.run.Out = p.Name, bin, p.Args, filepath.Join(dir, p.Name+".out")
	p.run.Env = []string{PasswordVariable + "=" + secrets[0]}
	p.Again()
	t.Cleanup(func() { p.Signal(syscall.SIGKILL); p.judge() })
}

// Again runs it once more.
func (p *Process) Again() {
	p.t.Helper()
	if err := p.run.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// Signal reports whether the process was alive to get it, and waits for its end.
func (p *Process) Signal(s syscall.Signal) bool {
	if p.run.Signal(s) != nil {
		return false
	}
	<-p.run.Done()
	return true
}

// Pause stops the process with SIGSTOP, or lets it go on with SIGCONT. It reports
// whether the process was alive to get it.
func (p *Process) Pause(on bool) bool {
	s := syscall.SIGCONT
	if on {
		s = syscall.SIGSTOP
	}
	return p.run.Signal(s) == nil
}

// Clean reports whether the last run ended by itself with code 0.
func (p *Process) Clean() bool { return p.run.Clean() }

// Build compiles the program for this test, without cgo: as it is shipped.
func Build(t testing.TB) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "tributary")
	cmd := exec.Command("go", "build", "-o", bin, "github.com/tributary-cdc/tributary/cmd/tributary")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
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
	b, err := os.ReadFile(p.run.Out)
	if err != nil {
		p.t.Error(err)
		return
	}
	for _, secret := range p.secrets {
		if strings.Contains(string(b), secret) {
			p.t.Errorf("%s printed a password", p.Name)
		}
	}
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, "level=ERROR") && (p.Expected == "" || !strings.Contains(line, p.Expected)) {
			p.t.Errorf("%s logged an error: %s", p.Name, line)
		}
	}
	if !p.t.Failed() {
		return
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	p.t.Logf("%s:\n%s", p.Name, strings.Join(lines[max(0, len(lines)-30):], "\n"))
}
