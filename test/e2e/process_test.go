package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// process is one of our programs, started again as often as it is killed.
type process struct {
	t    testing.TB
	name string
	bin  string
	args []string
	out  string

	mu    sync.Mutex
	cmd   *exec.Cmd
	alive bool
	done  chan struct{}
}

func (p *process) start() {
	p.t.Helper()
	f, err := os.OpenFile(p.out, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command(p.bin, p.args...)
	cmd.Stdout, cmd.Stderr = f, f
	cmd.Env = append(os.Environ(), "TRIBUTARY_TEST_PASSWORD="+secret)
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

// signal reports whether the process was alive to get it, and waits for its end.
func (p *process) signal(s syscall.Signal) bool {
	p.mu.Lock()
	alive, cmd, done := p.alive, p.cmd, p.done
	p.mu.Unlock()
	if !alive || cmd.Process.Signal(s) != nil {
		return false
	}
	<-done
	return true
}

// secret is the database password of this run.
var secret string

func build(t testing.TB) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "tributary")
	if out, err := exec.Command("go", "build", "-o", bin, "github.com/tributary-cdc/tributary/cmd/tributary").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

func port(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func write(t testing.TB, name, format string, args ...any) string {
	t.Helper()
	if err := os.WriteFile(name, fmt.Appendf(nil, format, args...), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// tell prints the end of a process's output, and fails if the password is in it.
func (p *process) tell(t testing.TB) {
	b, err := os.ReadFile(p.out)
	if err != nil {
		t.Error(err)
		return
	}
	if strings.Contains(string(b), secret) {
		t.Errorf("%s printed the password", p.name)
	}
	if strings.Contains(string(b), "level=ERROR") {
		t.Errorf("%s logged an error", p.name)
	}
	if !t.Failed() {
		return
	}
	var lines []string
	for s := bufio.NewScanner(strings.NewReader(string(b))); s.Scan(); {
		lines = append(lines, s.Text())
	}
	t.Logf("%s:\n%s", p.name, strings.Join(lines[max(0, len(lines)-30):], "\n"))
}

// column gives a query's only column.
func column(t testing.TB, c *pgx.Conn, sql string) []string {
	t.Helper()
	rows, err := c.Query(context.Background(), sql)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return out
}
