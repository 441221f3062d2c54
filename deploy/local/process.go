package local

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Process is one of our own programs as a child: started, killed, paused, started
// again. Name, Args and Out are set before the first Start.
type Process struct {
	Name string   // in messages
	Path string   // of the program
	Args []string // of the program
	Env  []string // beside our own environment
	Out  string   // file that its output is added to

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// Start runs the program in a process group of its own, so that a terminal's Ctrl-C
// reaches only us. On Linux it gets SIGTERM when we die.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	out, err := os.OpenFile(p.Out, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", p.Name, err)
	}
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = out, out, append(os.Environ(), p.Env...)
	cmd.SysProcAttr = attributes(nil)
	started, done := make(chan error, 1), make(chan struct{})
	go func() {
		// The kernel ends the program when the thread that started it ends, so this
		// thread stays until the program has gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // a killed process fails; Clean tells
		}
		_ = out.Close()
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.cmd, p.done = cmd, done
	return nil
}

// PID is the process id of the last start.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Pid
}

// Done is closed when the last start has ended.
func (p *Process) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}

// Dead reports whether the last start has ended.
func (p *Process) Dead() bool {
	select {
	case <-p.Done():
		return true
	default:
		return false
	}
}

// Signal sends a signal to the live process; it is an error if it was dead.
func (p *Process) Signal(s syscall.Signal) error {
	p.mu.Lock()
	cmd := p.cmd
	p.mu.Unlock()
	if p.Dead() {
		return fmt.Errorf("%s was dead already, see %s", p.Name, p.Out)
	}
	if err := cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	return nil
}

// Kill ends the live process with SIGKILL and waits for its end. It is an error if the
// process had ended by itself.
func (p *Process) Kill() error {
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.Done()
	p.mu.Lock()
	defer p.mu.Unlock()
	if w, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !w.Signaled() || w.Signal() != syscall.SIGKILL {
		return fmt.Errorf("%s ended by itself with %s, see %s", p.Name, p.cmd.ProcessState, p.Out)
	}
	return nil
}

// Clean reports whether the last start has ended by itself with code 0.
func (p *Process) Clean() bool {
	if !p.Dead() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.ProcessState.Success()
}

// End asks the process to drain, for 20 s at most, and reports if it didn't end well.
func (p *Process) End() error {
	if err := p.Signal(syscall.SIGTERM); err != nil && !p.Dead() {
		return err
	}
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	select {
	case <-p.Done():
	case <-limit.C:
		_ = p.Signal(syscall.SIGKILL) // it may end at this moment
		<-p.Done()
	}
	if !p.Clean() {
		return fmt.Errorf("%s ended with %s, see %s", p.Name, p.cmd.ProcessState, p.Out)
	}
	return nil
}
