package contract

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"

	"github.com/tributary-cdc/tributary/capture/pipeline"
	pgcapture "github.com/tributary-cdc/tributary/capture/postgres"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

var errKilled = errors.New("killed")

// mortal ends its agent at the n-th append, before the log has it or after it.
type mortal struct {
	log.Appender
	mu    sync.Mutex
	left  int
	after bool
	dead  chan struct{}
}

func (m *mortal) Append(ctx context.Context, r *log.Records) (o log.Offset, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left--
	if m.left > 0 {
		return m.Appender.Append(ctx, r)
	}
	if m.left == 0 {
		if m.after {
			_, err = m.Appender.Append(ctx, r)
		}
		close(m.dead)
	}
	return 0, errors.Join(errKilled, err)
}

// heard reads what the log says of the source: up to where it has been read, its
// rows, and its gaps.
func (r *rig) heard(source string) (restart event.Place, rows, gaps int) {
	r.Helper()
	_, err := r.client.ReadAll(r.Context(), r.part(0), func(_ log.Offset, rec *log.Record) error {
		class, name := envelope.Classify(rec)
		if string(name) != source {
			return nil
		}
		if class == envelope.RowRecord {
			rows++
			return nil
		}
		c, err := envelope.ParseControl(rec)
		switch {
		case err != nil:
			return err
		case c.Heartbeat != nil:
			restart = c.Heartbeat.Restart
		case c.Commit != nil:
			restart = c.Commit.Restart
		case c.Gap != nil:
			gaps++
		}
		return nil
	})
	if err != nil {
		r.Fatal(err)
	}
	return restart, rows, gaps
}

// TestAttack31IdleDatabase ends the agent of an idle database at each of its
// heartbeats, while another database of the server writes. The server may forget
// only what the log has; the next start finds no gap and loses no row from the first
// heartbeat on.
func TestAttack31IdleDatabase(t *testing.T) {
	for n := 1; n <= 5; n++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("append %d, after it %t", n, after), func(t *testing.T) { killedIdle(newRig(t, true, 1), n, after) })
		}
	}
}

func killedIdle(r *rig, n int, after bool) {
	name := "idle" + r.org
	if _, err := r.sql.Exec(r.Context(), "CREATE DATABASE "+name); err != nil {
		r.Fatal(err)
	}
	idle := r.open(name)
	if _, err := idle.Exec(r.Context(), "CREATE TABLE student (id int PRIMARY KEY)"); err != nil {
		r.Fatal(err)
	}
	source := r.org + "-renshi"
	start := func(a log.Appender) *agent {
		reader, err := pgcapture.New(pgcapture.Options{Source: event.Source{ID: source, Org: r.org, Engine: event.Postgres, Agent: "a"}, Host: store.Host, Port: store.Port,
			Database: name, User: store.User, Password: store.Password, Tables: []string{"public.*"}})
		if err != nil {
			r.Fatal(err)
		}
		return r.agent("a/1", &origin{table: pupils(source)}, func(o *pipeline.Options) { o.Reader, o.Log, o.HeartbeatEvery = reader, a, 20*time.Millisecond })
	}
	noise := func() {
		if _, err := r.sql.Exec(r.Context(), "CREATE TABLE IF NOT EXISTS noise (id serial PRIMARY KEY, t text); INSERT INTO noise (t) SELECT repeat('x', 1000) FROM generate_series(1, 100)"); err != nil {
			r.Fatal(err)
		}
	}
	m := &mortal{Appender: r.producer(source, 0), left: n, after: after, dead: make(chan struct{})}
	a := start(m)
	r.await("the agent's end", func() bool {
		noise()
		select {
		case <-m.dead:
			return true
		default:
			return false
		}
	})
	a.stop()
	var flushed string
	r.await("the slot", func() bool {
		slots := r.texts(`SELECT coalesce(confirmed_flush_lsn, '0/0')::text FROM pg_replication_slots WHERE database = $1 AND NOT active`, name)
		if len(slots) == 1 {
			flushed = slots[0]
		}
		return len(slots) == 1 || n == 1 // before its open record an agent makes no slot
	})
	restart, _, _ := r.heard(source)
	begun := n > 2 || n == 2 && after // the second append is the first heartbeat
	if restart.IsZero() == begun {
		r.Fatalf("the log has heard up to %s", pglogrepl.LSN(restart.Offset))
	}
	if flushed != "" && !restart.IsZero() {
		lsn, err := pglogrepl.ParseLSN(flushed)
		if err != nil {
			r.Fatal(err)
		}
		if uint64(lsn) > restart.Offset {
			r.Errorf("the server has forgotten everything up to %s, the log has heard up to %s", lsn, pglogrepl.LSN(restart.Offset))
		}
	}
	if _, err := idle.Exec(r.Context(), "INSERT INTO student VALUES (1)"); err != nil {
		r.Fatal(err)
	}
	b := start(r.producer(source, 0))
	if !begun { // the log has heard of no place: the first start is now, whatever slot is left
		r.await("reading", func() bool { return b.Status().State == pipeline.Streaming })
		if _, err := idle.Exec(r.Context(), "INSERT INTO student VALUES (2)"); err != nil {
			r.Fatal(err)
		}
	}
	r.await("the row", func() bool { _, rows, _ := r.heard(source); return rows == 1 })
	noise()
	b.stop()
	if _, rows, gaps := r.heard(source); rows != 1 || gaps != 0 {
		r.Errorf("%d rows and %d gaps in the log, want the one row", rows, gaps)
	}
	if _, err := r.sql.Exec(context.Background(), `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1 AND NOT active`, name); err != nil {
		r.Error(err)
	}
}
