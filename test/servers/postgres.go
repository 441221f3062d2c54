// Package servers starts real database servers for tests: programs that are
// installed on the machine, on a private port and folder, stopped with the test.
// It decides nothing about what is tested.
package servers

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// DB says how to reach a server.
type DB struct {
	Host     string
	Port     uint16
	User     string
	Password string
	Database string
}

// URL gives the address for pgx.
func (d DB) URL() string {
	return fmt.Sprintf("postgres://%s:%s@%s:%d/%s?sslmode=disable", d.User, d.Password, d.Host, d.Port, d.Database)
}

// Postgres starts a server with logical replication on and the given settings,
// and stops it with the test. Without PostgreSQL on the machine the test fails.
func Postgres(t testing.TB, settings map[string]string) DB {
	t.Helper()
	bin := postgresBin(t)
	dir, err := os.MkdirTemp("", "tributary-pg-") // t.TempDir's parents aren't open to another user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	cred := unprivileged(t)
	if cred != nil {
		if err := os.Chown(dir, int(cred.Uid), int(cred.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	db := DB{Host: "127.0.0.1", Port: freePort(t), User: "postgres", Password: rand.Text(), Database: "postgres"}
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte(db.Password+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	run := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		cmd.Dir = dir
		cmd.Env = []string{"LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred, Setpgid: true}
		return cmd
	}
	if out, err := run("initdb", "-D", data, "-U", db.User, "-A", "scram-sha-256", "--pwfile="+secret, "-E", "UTF8", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	args := []string{"-D", data, "-p", strconv.Itoa(int(db.Port)), "-k", dir, "-c", "listen_addresses=127.0.0.1",
		"-c", "wal_level=logical", "-c", "fsync=off", "-c", "max_wal_senders=10", "-c", "wal_sender_timeout=30s"}
	for k, v := range settings {
		args = append(args, "-c", k+"="+v)
	}
	logFile, err := os.Create(filepath.Join(dir, "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	server := run("postgres", args...)
	server.Stdout, server.Stderr = logFile, logFile
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- server.Wait() }()
	t.Cleanup(func() {
		if err := server.Process.Signal(syscall.SIGQUIT); err == nil {
			<-exited
		}
		if err := logFile.Close(); err != nil {
			t.Error(err)
		}
	})
	awaitPostgres(t, db, exited, logFile.Name())
	t.Logf("PostgreSQL from %s on port %d", bin, db.Port)
	return db
}

func awaitPostgres(t testing.TB, db DB, exited <-chan error, logName string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := pgx.Connect(ctx, db.URL())
		if err == nil {
			if err := c.Close(ctx); err != nil {
				t.Error(err)
			}
			return
		}
		select {
		case <-tick.C:
			continue
		case werr := <-exited:
			err = werr
		case <-ctx.Done():
		}
		text, rerr := os.ReadFile(logName)
		t.Fatalf("PostgreSQL doesn't answer: %v, %v\n%s", err, rerr, text)
	}
}

// postgresBin finds the newest installed version's programs.
func postgresBin(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		t.Fatal(err)
	}
	if len(found) > 0 {
		return filepath.Dir(slices.Max(found))
	}
	if p, err := exec.LookPath("postgres"); err == nil {
		return filepath.Dir(p)
	}
	t.Fatalf("no PostgreSQL server on this machine: install the package postgresql (%s)", runtime.GOOS)
	return ""
}

// unprivileged gives the user that servers run as when the test is root, who
// they refuse; nil to run as the present user.
func unprivileged(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func freePort(t testing.TB) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}
