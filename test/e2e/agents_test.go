package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/deploy/local"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// unit is an agent as systemd runs it: started again whenever it ends.
type unit struct {
	*testing.T
	local.Process
	ends int
}

// twins is one configuration on two machines.
type twins struct {
	*testing.T
	bin, dir string
	port     int
	source   servers.DB
	client   *kafka.Client
}

func newTwins(t *testing.T) *twins {
	x := &twins{T: t, bin: program.Build(t), dir: t.TempDir(), port: program.Port(t), source: servers.MariaDB(t, nil)}
	for _, sql := range []string{"CREATE DATABASE xueji", "CREATE TABLE xueji.student (id int PRIMARY KEY)"} {
		if _, err := x.source.Connect(t, "").Execute(sql); err != nil {
			t.Fatal(err)
		}
	}
	l := &program.Process{Name: "log", Args: []string{"log", "--config", program.Write(t, filepath.Join(x.dir, "log.yml"), "data_dir: %s\nport: %d\n", filepath.Join(x.dir, "log"), x.port)}}
	l.Start(t, x.bin, x.dir, x.source.Password)
	c, err := kafka.New(kafka.Options{Brokers: []string{fmt.Sprintf("127.0.0.1:%d", x.port)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	x.client = c
	return x
}

// machine starts the agent on a machine of its own, whose data folder is dir.
func (x *twins) machine(name, dir string) *unit {
	x.Helper()
	secret := program.Write(x, filepath.Join(x.dir, "password"), "%s\n", x.source.Password)
	file := program.Write(x, filepath.Join(x.dir, name+".yml"), `
name: a1
org: "330106"
data_dir: %s
log: {brokers: ["127.0.0.1:%d"], embedded: true}
sources:
  - {name: xueji, engine: mariadb, host: 127.0.0.1, port: %d, user: root, password_file: %s, tables: ["xueji.*"], first_start: now}
`, dir, x.port, x.source.Port, secret)
	u := &unit{T: x.T, Process: local.Process{Name: name, Path: x.bin, Args: []string{"agent", "--config", file, "--lang", "zh-CN"}, Out: filepath.Join(x.dir, name+".out")}}
	u.start()
	x.Cleanup(func() {
		if !u.Dead() {
			_ = u.Kill()
		}
	})
	return u
}

func (u *unit) start() {
	u.Helper()
	if err := u.Start(); err != nil {
		u.Fatal(err)
	}
}

func (u *unit) said() string {
	b, err := os.ReadFile(u.Out)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		u.Error(err)
	}
	return string(b)
}

// refused waits until the agent has ended by itself, and starts it again.
func (u *unit) refused(code string) {
	u.Helper()
	select {
	case <-u.Done():
	case <-time.After(20 * time.Second):
		u.Fatalf("%s goes on, want %s:\n%s", u.Name, code, u.said())
	}
	if u.Clean() {
		u.Errorf("%s ended with 0", u.Name)
	}
	u.ends++
	if got := strings.Count(u.said(), "tributary: ["+code+"]"); got == 0 {
		u.Fatalf("end %d of %s doesn't say %s:\n%s", u.ends, u.Name, code, u.said())
	}
	if err := os.Truncate(u.Out, 0); err != nil {
		u.Error(err)
	}
	u.start()
}

// owner is the agent of the log's latest open record, and how many there are.
func (x *twins) owner() (agent string, opens int) {
	_, err := x.client.ReadAll(x.Context(), log.Partition{Topic: kafka.Changes("330106")}, func(_ log.Offset, r *log.Record) error {
		if class, _ := envelope.Classify(r); class == envelope.ControlRecord {
			c, err := envelope.ParseControl(r)
			if err != nil {
				return err
			}
			if c.Open != nil {
				agent, opens = c.Open.Agent, opens+1
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, log.ErrUnknownTopic) && !errors.Is(err, log.ErrUnavailable) {
		x.Error(err)
	}
	return agent, opens
}

// flows inserts a row and waits until it is in the log.
func (x *twins) flows(id int) {
	x.Helper()
	if _, err := x.source.Connect(x, "xueji").Execute(fmt.Sprintf("INSERT INTO student VALUES (%d)", id)); err != nil {
		x.Fatal(err)
	}
	await(x.T, fmt.Sprintf("row %d in the log", id), func() bool {
		n := 0
		_, err := x.client.ReadAll(x.Context(), log.Partition{Topic: kafka.Changes("330106")}, func(_ log.Offset, r *log.Record) error {
			if class, _ := envelope.Classify(r); class == envelope.RowRecord {
				n++
			}
			return nil
		})
		return err == nil && n == id
	})
}

var instanceID = regexp.MustCompile(`^a1/[A-Z2-7]{12}$`)

// TestAttack32CopiedDataFolder: a second machine with a copy of configuration and
// data folder is refused, again and again, while the first one works.
func TestAttack32CopiedDataFolder(t *testing.T) {
	x := newTwins(t)
	home, copied := filepath.Join(x.dir, "home"), filepath.Join(x.dir, "copied")
	first := x.machine("first", home)
	await(t, "the first agent's open record", func() bool { _, n := x.owner(); return n == 1 })
	x.flows(1)
	if err := os.CopyFS(copied, os.DirFS(home)); err != nil {
		t.Fatal(err)
	}
	second := x.machine("second", copied)
	for range 3 {
		second.refused("OTHER_AGENT")
	}
	x.flows(2)
	if agent, n := x.owner(); n != 1 || !instanceID.MatchString(agent) {
		t.Errorf("%d open records, the last one of %s", n, agent)
	}
	third := x.machine("third", home) // on the same machine, by mistake
	select {
	case <-third.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("two agents on one data folder")
	}
	if !strings.Contains(third.said(), "in use by another agent") {
		t.Errorf("the third said:\n%s", third.said())
	}
	if first.Dead() {
		t.Errorf("the first agent has ended:\n%s", first.said())
	}
}

// TestAttack32ClonedMachine: a clone that can't be told from its origin takes the
// source. The origin stops and stays down, though it is started again and again.
func TestAttack32ClonedMachine(t *testing.T) {
	x := newTwins(t)
	home, clone := filepath.Join(x.dir, "home"), filepath.Join(x.dir, "clone")
	origin := x.machine("origin", home)
	await(t, "the origin's open record", func() bool { _, n := x.owner(); return n == 1 })
	x.flows(1)
	if err := os.MkdirAll(clone, 0o700); err != nil {
		t.Fatal(err)
	}
	// The same file number under the same machine id, as on a copied disk.
	if err := os.Link(filepath.Join(home, "instance"), filepath.Join(clone, "instance")); err != nil {
		t.Fatal(err)
	}
	second := x.machine("clone", clone)
	await(t, "the clone's open record", func() bool { _, n := x.owner(); return n == 2 })
	x.flows(2)
	origin.refused("AGENT_FENCED")
	for range 3 {
		origin.refused("OTHER_AGENT")
	}
	x.flows(3)
	if _, n := x.owner(); n != 2 {
		t.Errorf("%d open records, want the two", n)
	}
	if second.Dead() {
		t.Errorf("the clone has ended:\n%s", second.said())
	}
	if err := second.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	<-second.Done()
	if !second.Clean() {
		t.Errorf("the clone didn't end with 0:\n%s", second.said())
	}
}
