package embedded_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/tributary-cdc/tributary/stream/embedded"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
)

// Set in a child process: where its log lies, and how large a file may grow.
const (
	dirVariable   = "EMBEDDED_TEST_DIR"
	limitVariable = "EMBEDDED_TEST_FILE_LIMIT"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(dirVariable); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child serves a log until it is killed or fails.
func child(dir string) error {
	if text := os.Getenv(limitVariable); text != "" {
		limit, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return err
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
			return err
		}
	}
	s, err := embedded.Start(embedded.Options{Dir: dir})
	if err != nil {
		return err
	}
	fmt.Println(s.Addr())
	<-s.Failed()
	return s.Close()
}

// serve runs a log in a process of its own.
func serve(t *testing.T, dir, limit string) (addr string, p *process) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), dirVariable+"="+dir, limitVariable+"="+limit)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p = &process{cmd: cmd}
	cmd.Stderr = &p.said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	line := bufio.NewScanner(out)
	if !line.Scan() {
		t.Fatal("the log's process printed no address")
	}
	return line.Text(), p
}

// process is a running child.
type process struct {
	cmd  *exec.Cmd
	said bytes.Buffer // on standard error; complete once it has ended
	once sync.Once
}

func (p *process) kill() { _ = p.cmd.Process.Kill(); p.wait() }

func (p *process) wait() { p.once.Do(func() { _ = p.cmd.Wait() }) }

func connect(t *testing.T, addr string) *kafka.Client {
	t.Helper()
	c, err := kafka.New(kafka.Options{Brokers: []string{addr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

var changes = log.Partition{Topic: kafka.Changes("330106")}

// values reads the partition.
func values(t *testing.T, c *kafka.Client) (got []string) {
	t.Helper()
	if _, err := c.ReadAll(t.Context(), changes, func(_ log.Offset, r *log.Record) error {
		got = append(got, string(r.Value))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func producer(t *testing.T, c *kafka.Client) *kafka.Producer {
	t.Helper()
	if err := c.CreateTopics(t.Context(), "330106", kafka.TopicOptions{}); err != nil {
		t.Fatal(err)
	}
	p := c.Producer(kafka.ProducerOptions{Partition: changes, TransactionalID: "a"})
	if _, err := p.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFolderInUse(t *testing.T) {
	dir := t.TempDir()
	s, err := embedded.Start(embedded.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Start(embedded.Options{Dir: dir}); !errors.Is(err, embedded.ErrInUse) {
		t.Errorf("a second log on one folder: %v, want ErrInUse", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = embedded.Start(embedded.Options{Dir: dir}); err != nil {
		t.Fatalf("after a close: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := embedded.Start(embedded.Options{}); err == nil {
		t.Error("no folder, no error")
	}
}

func TestKilledLogKeepsWhatItAcknowledged(t *testing.T) {
	dir := t.TempDir()
	var wanted []string
	for round := range 3 {
		addr, server := serve(t, dir, "")
		c := connect(t, addr)
		if round > 0 {
			if got := values(t, c); fmt.Sprint(got) != fmt.Sprint(wanted) {
				t.Fatalf("after SIGKILL: %q, want %q", got, wanted)
			}
		}
		p := producer(t, c)
		for i := range 5 {
			v := fmt.Sprint(round, i)
			var r log.Records
			r.Add([]byte("k"), []byte(v))
			if _, err := p.Append(t.Context(), &r); err != nil {
				t.Fatal(err)
			}
			wanted = append(wanted, v)
		}
		server.kill()
	}
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	addr, server := serve(t, dir, strconv.Itoa(1<<20))
	c := connect(t, addr)
	p := producer(t, c)
	kept := 0
	var refused error
	for range 64 { // 8 MiB against a limit of 1 MiB
		var r log.Records
		r.Add([]byte("k"), make([]byte, 128<<10))
		if _, refused = p.Append(t.Context(), &r); refused != nil {
			break
		}
		kept++
	}
	if !errors.Is(refused, log.ErrUnknownOutcome) || kept == 0 {
		t.Fatalf("%d appends, then %v; want ErrUnknownOutcome", kept, refused)
	}
	c.Close()
	server.wait()
	if !strings.Contains(server.said.String(), "can't write its data folder") || !strings.Contains(server.said.String(), "file too large") {
		t.Errorf("the log's process said %q", server.said.String())
	}
	addr, _ = serve(t, dir, "")
	if got := values(t, connect(t, addr)); len(got) != kept && len(got) != kept+1 {
		t.Errorf("%d records after there is room again, %d were acknowledged", len(got), kept)
	}
}
