package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/test/program"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestFuse: the log is down, the source's server keeps more and more for the slot. The
// agent gives the slot up and says so; it is killed before the log could be told; the next
// one tells it, with the place of the last transaction that the log has.
func TestFuse(t *testing.T) {
	db := servers.Postgres(t, nil)
	mustExec(t, connect(t, db, "postgres"), "CREATE DATABASE xueji")
	c := connect(t, db, "xueji")
	mustExec(t, c, "CREATE TABLE student (xh bigint PRIMARY KEY, xm text)")
	bin, dir := program.Build(t), t.TempDir()
	logPort, port := program.Port(t), program.Port(t)
	secret := program.Write(t, filepath.Join(dir, "password"), "%s\n", db.Password)
	run := func(p *program.Process) *program.Process {
		p.Start(t, bin, dir, db.Password)
		return p
	}
	logFile := program.Write(t, filepath.Join(dir, "log.yml"), "data_dir: %s\nport: %d\n", filepath.Join(dir, "log"), logPort)
	server := run(&program.Process{Name: "log", Args: []string{"log", "--config", logFile}})
	file := program.Write(t, filepath.Join(dir, "agent.yml"), `
name: a1
org: "330106"
data_dir: %s
http: 127.0.0.1:%d
log: {brokers: ["127.0.0.1:%d"], embedded: true}
sources:
  - {name: xueji, engine: postgres, host: 127.0.0.1, port: %d, database: xueji, user: postgres, password_file: %s, tables: ["public.*"], first_start: now, fuse: {size: 48MB, age: 10h}}
`, filepath.Join(dir, "agent"), port, logPort, db.Port, secret)
	agent := run(&program.Process{Name: "agent", Args: []string{"agent", "--config", file}, Expected: "FUSE_BLOWN"})
	said := func() (s struct {
		State, Code, Error string
		Position           string
		Transactions       int
		Needs              bool `json:"needs_person"`
	}) {
		code, body := ask(t, port, "/api/status")
		var answer struct {
			Data struct{ Sources []json.RawMessage }
		}
		if code != 200 {
			return s
		}
		if err := json.Unmarshal([]byte(body), &answer); err != nil || len(answer.Data.Sources) != 1 {
			t.Fatalf("%s: %v", body, err)
		}
		if err := json.Unmarshal(answer.Data.Sources[0], &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	await(t, "the source streaming", func() bool { return said().State == "streaming" })
	mustExec(t, c, "INSERT INTO student VALUES (1, '甲')")
	await(t, "the row in the log", func() bool { return said().Transactions == 1 })
	last := said().Position

	server.Signal(syscall.SIGKILL)
	mustExec(t, c, "INSERT INTO student SELECT i, repeat('x', 1000) FROM generate_series(2, 60000) i")
	await(t, "the gap, while the log is down", func() bool { s := said(); return s.State == "gap" && s.Code == "FUSE_BLOWN" && s.Needs })
	if s := said(); s.Position != last || !strings.Contains(s.Error, "the log doesn't have the gap yet") {
		t.Errorf("%+v", s)
	}
	var slots int
	if err := c.QueryRow(t.Context(), "SELECT count(*) FROM pg_replication_slots").Scan(&slots); err != nil || slots != 0 {
		t.Errorf("%d slots are left, %v", slots, err)
	}
	if _, metrics := ask(t, port, "/metrics"); !strings.Contains(metrics, `tributary_source_log_warning{code="FUSE_BLOWN",source="330106-xueji"} 1`) ||
		!strings.Contains(metrics, `tributary_source_state{source="330106-xueji",state="gap"} 1`) {
		t.Error("the metrics say nothing of the fuse")
	}
	agent.Signal(syscall.SIGKILL)
	server.Again()
	agent.Again()

	client, err := kafka.New(kafka.Options{Brokers: []string{fmt.Sprintf("127.0.0.1:%d", logPort)}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var gap *envelope.Gap
	await(t, "the gap in the log", func() bool {
		_, err := client.ReadAll(t.Context(), log.Partition{Topic: kafka.Changes("330106")}, func(_ log.Offset, r *log.Record) error {
			if class, _ := envelope.Classify(r); class == envelope.ControlRecord {
				if c, err := envelope.ParseControl(r); err != nil {
					return err
				} else if c.Gap != nil {
					gap = c.Gap
				}
			}
			return nil
		})
		return err == nil && gap != nil
	})
	if gap.Code != "FUSE_BLOWN" || gap.Last.String() != last || gap.To.Offset <= gap.Last.Offset || !strings.Contains(gap.Reason, "fuse.size is 48.0 MB") {
		t.Errorf("%+v, the last transaction was %s", gap, last)
	}
}
