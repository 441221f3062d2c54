// Package local starts real database servers on loopback for a first run and
// for tests: programs that are installed on the machine, else fetched ones, on a
// free port, below one data folder. It decides nothing about what is done with them.
package local

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Options says where a server lives and how it is set.
type Options struct {
	// Dir is the server's own folder. It is made if it isn't there, and used again if it is.
	Dir string
	// Settings are added to the server's command line.
	Settings map[string]string
	// Binaries says whose programs run: "" those of this machine and, where there
	// are none, fetched ones; "installed" or "fetch" only the one or the other.
	// Empty, the environment's TRIBUTARY_BINARIES counts.
	Binaries string
	// Release asks for one release, which is fetched, e.g. "18.1". Empty for any.
	Release string
	// Tell gets a line for people at least every 2 s while programs are fetched. nil
	// for none.
	Tell func(string)
}

// Server is a running server. User is its administrator; there are no default
// credentials, the password is made anew for each data folder and lies there in
// a file that only its owner can read.
type Server struct {
	Engine   string // "PostgreSQL", "MariaDB" or "MySQL"
	Version  string // as the server tells it
	How      string // which programs run
	Host     string
	Port     uint16
	User     string
	Password string
	Dir      string

	bin   string // folder of the programs
	args  []string
	stop  syscall.Signal
	abort syscall.Signal // ends it at once; 0 for SIGKILL
	ready func(context.Context) error

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{}
}

// Program gives the path of a program that belongs to the server, e.g. "psql".
func (s *Server) Program(name string) string { return filepath.Join(s.bin, name) }

// PID is the server's process id, 0 if it doesn't run.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return 0
	}
	return s.cmd.Process.Pid
}

// credential gives the user that servers run as when we are root, whom they
// refuse; nil to run as the present user.
func credential() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		return nil, fmt.Errorf("find an unprivileged user: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user id %q: %w", u.Uid, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("group id %q: %w", u.Gid, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// prepare makes the folder and the password, or finds them.
func prepare(dir string) (password string, fresh bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", false, fmt.Errorf("make the data folder: %w", err)
	}
	cred, err := credential()
	if err != nil {
		return "", false, err
	}
	secret := filepath.Join(dir, "password")
	b, err := os.ReadFile(secret)
	if err == nil {
		return strings.TrimSpace(string(b)), false, nil
	}
	password = rand.Text()
	if err := os.WriteFile(secret, []byte(password+"\n"), 0o600); err != nil {
		return "", false, fmt.Errorf("write the password's file: %w", err)
	}
	if cred != nil {
		for _, p := range []string{dir, secret} {
			if err := os.Chown(p, int(cred.Uid), int(cred.Gid)); err != nil {
				return "", false, fmt.Errorf("give the data folder to the server's user: %w", err)
			}
		}
	}
	return password, true, nil
}

// command makes a command that runs as the server's user and ends with us.
func command(dir, path string, args ...string) (*exec.Cmd, error) {
	cred, err := credential()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	cmd.Env = []string{"LC_ALL=C.UTF-8", "PATH=" + filepath.Dir(path) + ":/usr/bin:/bin", "HOME=" + dir, "TMPDIR=" + dir}
	if libs := filepath.Join(filepath.Dir(path), "..", "libs"); exists(libs) { // fetched programs bring libraries along
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+libs)
	}
	cmd.SysProcAttr = attributes(cred)
	return cmd, nil
}

// setUp runs a command that makes a server's files, and ends it, with all that it has
// started, once ctx ends.
func setUp(ctx context.Context, dir, path string, args ...string) error {
	cmd, err := command(dir, path, args...)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	defer context.AfterFunc(ctx, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })() // its group; it may have ended
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(path), errors.Join(ctx.Err(), err), out.Bytes())
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// FreePort gives a port of loopback that was free a moment ago.
func FreePort() (uint16, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	return port, l.Close()
}

// find looks for the newest of the programs that match the patterns, then in PATH.
func find(program, hint string, patterns ...string) (string, error) {
	for _, p := range patterns {
		found, err := filepath.Glob(p)
		if err != nil {
			return "", fmt.Errorf("look for %s: %w", program, err)
		}
		if len(found) > 0 {
			return slices.Max(found), nil
		}
	}
	if p, err := exec.LookPath(program); err == nil {
		return p, nil
	}
	return "", fmt.Errorf("no %s on this machine: install %s", program, hint)
}

// Start starts the server again after Stop or Kill, and waits until it answers.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		return errors.New("the server runs already")
	}
	log, err := os.OpenFile(filepath.Join(s.Dir, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the server's log: %w", err)
	}
	cmd, err := command(s.Dir, s.args[0], s.args[1:]...)
	if err != nil {
		return errors.Join(err, log.Close())
	}
	cmd.Stdout, cmd.Stderr = log, log
	started, exited := make(chan error, 1), make(chan struct{})
	go func() {
		// The kernel ends the server when the thread that started it ends, so
		// this thread stays until the server has gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(exited)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended stands in its log
		}
		_ = log.Close()
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", s.Engine, err)
	}
	s.cmd, s.exited = cmd, exited
	if err := s.await(ctx, exited); err != nil {
		_ = cmd.Process.Kill()
		<-exited
		s.cmd = nil
		return fmt.Errorf("%s on port %d: %w\n%s", s.Engine, s.Port, err, tail(log.Name()))
	}
	return nil
}

func (s *Server) await(ctx context.Context, exited <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute) // a new data folder takes its time on a busy machine
	defer cancel()
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-exited:
			return errors.New("the server has ended")
		case <-ctx.Done():
			return fmt.Errorf("no answer: %w", err)
		}
	}
}

// tail gives the last lines of a server's log.
func tail(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}

// Restart stops the server in good order and starts it again on the same port.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(ctx); err != nil {
		return err
	}
	return s.Start(ctx)
}

// Stop ends the server in good order. It is safe to call twice.
func (s *Server) Stop(ctx context.Context) error { return s.end(ctx, s.stop) }

// Kill ends the server with SIGKILL, as a power cut would.
func (s *Server) Kill() error { return s.end(context.Background(), syscall.SIGKILL) }

// mostAbort is how long Abort waits until it kills.
const mostAbort = 10 * time.Second

// Abort ends the server at once, in no good order, as one that isn't needed any more. Unlike
// Kill it leaves nothing beside the folder: PostgreSQL, if killed, leaves a segment of shared
// memory, of which the system has only so many (SHMMNI in shmget(2)), until it is started again
// on the same folder.
func (s *Server) Abort() error {
	if s.abort == 0 {
		return s.Kill()
	}
	ctx, cancel := context.WithTimeout(context.Background(), mostAbort)
	defer cancel()
	return s.end(ctx, s.abort)
}

func (s *Server) end(ctx context.Context, sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return nil
	}
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end %s: %w", s.Engine, err)
	}
	select {
	case <-s.exited:
	case <-ctx.Done():
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
	s.cmd = nil
	return nil
}
