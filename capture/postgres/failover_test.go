package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/postgres"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/servers"
)

// withFailover is a release whose standbys can keep a logical slot.
const withFailover = "18.1"

// couple is a primary and its standby, and a reader of the primary.
type couple struct {
	*rig
	standby servers.DB
}

func newCouple(t *testing.T) *couple {
	db := servers.Start(t, "PostgreSQL", withFailover, nil)
	c := alone(t, db)
	c.standby = servers.Standby(t, db, withFailover, nil)
	return c
}

// alone is a reader of a server that may end before the test does.
func alone(t *testing.T, db servers.DB) *couple {
	const database = "renshi"
	run(t, open(t, db, "postgres"), "CREATE DATABASE "+database)
	g := &rig{t: t, db: db, sql: open(t, db, database), o: postgres.Options{
		Source: event.Source{ID: "330108-" + database, Org: "330108", Engine: event.Postgres, Agent: "a1"},
		Host:   "127.0.0.1", Port: db.Port, Database: database, User: "postgres", Password: db.Password, Tables: []string{"public.s"}}}
	run(t, g.sql, "CREATE TABLE s (id int PRIMARY KEY)")
	t.Cleanup(func() {
		if g.r != nil {
			if err := g.r.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return &couple{rig: g}
}

// until waits for a condition that a server answers.
func (c *couple) until(db servers.DB, database, what, condition string) {
	c.t.Helper()
	conn := open(c.t, db, database)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-tick.C {
		var ok bool
		if err := conn.QueryRow(context.Background(), "SELECT coalesce(("+condition+"), false)").Scan(&ok); err != nil {
			c.t.Fatal(err)
		}
		if ok {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%s didn't come within 30 s", what)
		}
	}
}

// row writes one at a server, reads it, and notes how far the reader is.
func (c *couple) row(res *capture.Resume, id int) {
	c.t.Helper()
	run(c.t, c.sql, "INSERT INTO s VALUES ($1)", id)
	c.takes(res, id)
}

// takes reads one row, and nothing before it.
func (c *couple) takes(res *capture.Resume, id int) *event.Segment {
	c.t.Helper()
	seg := c.busy()
	if len(seg.Rows) != 1 || seg.Rows[0].After[0].Int() != int64(id) {
		c.t.Fatalf("%+v came, want row %d", seg, id)
	}
	res.Last, res.Restart = seg.Txn.Position, seg.Restart
	if seg.State != nil {
		res.State, res.Since = append([]byte(nil), seg.State...), nil
	} else {
		res.Since = append(res.Since, seg.Txn.ID)
	}
	c.r.Ack(seg.Restart)
	return seg
}

// kept has the standby keep the reader's slot. It can as soon as the slot has gone beyond
// what the standby has, which takes snapshots in the log and a reader that acknowledges.
func (c *couple) kept() {
	c.t.Helper()
	standby := open(c.t, c.standby, "postgres")
	c.r.Pace(50)
	for deadline := time.Now().Add(30 * time.Second); ; {
		run(c.t, c.sql, "SELECT pg_log_standby_snapshot()")
		for seg := c.next(); ; seg = c.next() {
			if c.r.Ack(seg.Restart); seg.Kind == event.Idle {
				break
			}
		}
		run(c.t, standby, "SELECT pg_sync_replication_slots()")
		var ok bool
		if err := standby.QueryRow(context.Background(), "SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name LIKE 'tributary%' AND synced AND NOT temporary AND failover)").Scan(&ok); err != nil {
			c.t.Fatal(err)
		}
		if ok {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatal("the standby doesn't keep the slot")
		}
	}
}

// caughtUp waits until the standby has all that the primary has written.
func (c *couple) caughtUp() {
	c.t.Helper()
	var end string
	if err := c.sql.QueryRow(context.Background(), "SELECT pg_current_wal_insert_lsn()::text").Scan(&end); err != nil {
		c.t.Fatal(err)
	}
	c.until(c.standby, "postgres", "the primary's log", "SELECT pg_last_wal_replay_lsn() >= '"+end+"'")
}

// promote kills the primary and sends the reader to the standby.
func (c *couple) promote() {
	c.t.Helper()
	if err := c.r.Close(); err != nil {
		c.t.Fatal(err)
	}
	c.r = nil
	if err := c.db.Server.Kill(); err != nil {
		c.t.Fatal(err)
	}
	run(c.t, open(c.t, c.standby, "postgres"), "SELECT pg_promote()")
	c.o.Port, c.o.Password, c.sql = c.standby.Port, c.standby.Password, open(c.t, c.standby, c.o.Database)
}

// TestFailover: a standby that has kept the slot and all that was read is promoted, and the
// reader goes on there in a new epoch, with what it hadn't read.
func TestFailover(t *testing.T) {
	c := newCouple(t)
	res := c.first()
	c.row(&res, 1)
	c.kept()
	c.row(&res, 2)
	if err := c.r.Close(); err != nil {
		t.Fatal(err)
	}
	run(t, c.sql, "INSERT INTO s VALUES (3)") // not read
	c.caughtUp()
	c.promote()
	for range 2 { // killed before anything came, it does the same again
		if err := c.start(res); err != nil {
			t.Fatal(err)
		}
	}
	run(t, c.sql, "INSERT INTO s VALUES (4)")
	was := res.Last
	seg := c.takes(&res, 3)
	if now := seg.Txn.Position; now.Epoch <= was.Epoch || now.Compare(was) <= 0 {
		t.Errorf("position %s after %s: want a later epoch", now, was)
	}
	c.takes(&res, 4)
	if res.State == nil || json.Unmarshal(res.State, &struct{}{}) != nil {
		t.Fatalf("state %q", res.State)
	}
	if err := c.start(res); err != nil { // on the new timeline it goes on as ever
		t.Fatal(err)
	}
	c.row(&res, 5)
	if res.Last.Epoch != seg.Txn.Position.Epoch {
		t.Errorf("epoch %d after a restart, was %d", res.Last.Epoch, seg.Txn.Position.Epoch)
	}
}

// TestFailoverLosesTransactions: the standby that is promoted never got a transaction that
// was read, or hasn't kept the slot.
func TestFailoverLosesTransactions(t *testing.T) {
	c := newCouple(t)
	res := c.first()
	c.row(&res, 1)
	c.kept()
	c.caughtUp()
	run(t, open(t, c.standby, "postgres"), "ALTER SYSTEM SET primary_conninfo = ''")
	run(t, open(t, c.standby, "postgres"), "SELECT pg_reload_conf()")
	c.until(c.db, "postgres", "the end of the replication", "SELECT NOT active FROM pg_replication_slots WHERE slot_name = '"+servers.StandbySlot+"'")
	before := res
	before.Restart.Offset += 1 << 30 // silence was read that the standby never had
	c.row(&res, 2)
	c.promote()
	c.gap(res, "OTHER_TIMELINE")
	run(t, c.sql, "INSERT INTO s VALUES (3)") // its place may be that of the other
	c.gap(res, "OTHER_TIMELINE")
	lost := before
	if err := c.start(before); err != nil { // who hasn't read it goes on
		t.Fatal(err)
	}
	c.takes(&before, 3)
	if err := c.r.Close(); err != nil {
		t.Fatal(err)
	}
	c.inactive()
	run(t, c.sql, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()")
	err := c.start(lost)
	if gap, ok := errors.AsType[*capture.GapError](err); !ok || gap.Code != "OTHER_TIMELINE" || !strings.Contains(gap.Reason, "wasn't kept") {
		t.Errorf("without its slot: %v", err)
	}
}

// TestAttack22SetBack: a server comes back from a copy of its files that is older than what was
// read, and has written on beyond that place before the reader looks. Only what stands in
// the place of the last transaction tells.
func TestAttack22SetBack(t *testing.T) {
	for name, others := range map[string]int{"another transaction": 40, "nothing there": 0} {
		t.Run(name, func(t *testing.T) {
			db := servers.PostgresPrograms(t, nil)
			c := alone(t, db)
			run(t, c.sql, "CREATE TABLE other (v text)")
			res := c.first()
			c.row(&res, 1)
			ctx, data := context.Background(), filepath.Join(db.Server.Dir, "data")
			offline := func(do func() error) {
				t.Helper()
				if err := errors.Join(c.r.Close(), db.Server.Stop(ctx), do(), db.Server.Start(ctx)); err != nil {
					t.Fatal(err)
				}
				c.sql = open(t, db, c.o.Database)
			}
			cp := func(from, to string) error { return exec.Command("cp", "-a", from, to).Run() }
			offline(func() error { return cp(data, data+".old") })
			if err := c.start(res); err != nil {
				t.Fatal(err)
			}
			for id := 2; id < 5; id++ {
				c.row(&res, id)
			}
			unchanged := res
			offline(func() error { return nil })
			if err := c.start(unchanged); err != nil { // the same server goes on
				t.Fatal(err)
			}
			c.row(&res, 5)
			offline(func() error { return errors.Join(os.RemoveAll(data), os.Rename(data+".old", data)) })
			for n := range others {
				run(t, c.sql, "INSERT INTO s VALUES ($1)", 100+n)
			}
			for n := 0; others == 0; n++ { // nothing that is captured
				run(t, c.sql, "INSERT INTO other VALUES (repeat('x', 1000))")
				var beyond bool
				if err := c.sql.QueryRow(ctx, "SELECT pg_current_wal_lsn() > $1::text::pg_lsn", pglogrepl.LSN(res.Restart.Offset).String()).Scan(&beyond); err != nil {
					t.Fatal(err)
				}
				if beyond {
					break
				}
			}
			for range 2 { // a restart doesn't change it
				err := c.start(res)
				for err == nil {
					var seg *event.Segment
					if seg, err = c.r.Next(ctx); err == nil && seg.Kind != event.Idle {
						t.Fatalf("%+v came", seg)
					}
				}
				if gap, ok := errors.AsType[*capture.GapError](err); !ok || gap.Code != "LOG_RESET" || gap.From != res.Last {
					t.Fatalf("%v, want the gap LOG_RESET after %s", err, res.Last)
				}
			}
		})
	}
}
