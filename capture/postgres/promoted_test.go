package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/postgres"
	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/capture/snapshot/loadtest"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/servers"
)

// loads is a couple whose reader loads tables as well, and what a store would have of x.
type loads struct {
	*couple
	l   *snapshot.Loader
	res capture.Resume
	m   loadtest.Image
}

// adds orders that other.x be added, and does something once its load has begun.
func (p *loads) adds(then func()) {
	p.t.Helper()
	done := make(chan error, 1)
	go func() { done <- p.l.Add(context.Background(), p.o.Database+".other.x") }()
	p.comes("the beginning of the load", func(seg *event.Segment) bool { return len(seg.Loads) > 0 })
	if err := <-done; err != nil {
		p.t.Fatal(err)
	}
	then()
}

// opens starts a reader where the last one was.
func (p *loads) opens() {
	p.t.Helper()
	if err := p.begins(); err != nil {
		p.t.Fatal(err)
	}
	p.res.FirstStart = false
}

// begins is opens, with what Start says.
func (p *loads) begins() error {
	p.t.Helper()
	r, err := postgres.New(p.o)
	if err != nil {
		p.t.Fatal(err)
	}
	if p.l, err = snapshot.New(snapshot.Options{Reader: r, Open: r.Source}); err != nil {
		p.t.Fatal(err)
	}
	p.r = r // the rig closes it
	_, err = p.l.Start(context.Background(), p.res)
	return err
}

// step takes one segment as a pipeline does.
func (p *loads) step() *event.Segment {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	seg, err := p.l.Next(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	if len(seg.Rows) > 0 && seg.Rows[0].Table.Name == "x" {
		p.m.Apply(seg)
	}
	if seg.Kind == event.TableStopped || seg.Kind == event.TableAltered || !seg.Last && seg.Kind != event.Idle {
		return seg
	}
	p.res.Restart = seg.Restart
	if seg.Kind != event.Idle {
		p.res.Last = seg.Txn.Position
	}
	switch {
	case seg.State != nil:
		p.res.State, p.res.Since = append([]byte(nil), seg.State...), nil
	case seg.Txn.ID != "":
		p.res.Since = append(p.res.Since, seg.Txn.ID)
	}
	p.l.Ack(seg.Restart)
	return seg
}

// comes steps until something is there.
func (p *loads) comes(what string, wanted func(*event.Segment) bool) {
	p.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !wanted(p.step()); {
		if time.Now().After(deadline) {
			p.t.Fatalf("%s didn't come within 30 s; %+v", what, p.l.Progress())
		}
	}
}

// newLoads is a couple whose standby keeps the reader's slot, beside a table other.x that
// nobody captures.
func newLoads(t *testing.T) *loads {
	t.Helper()
	p := &loads{couple: newCouple(t), res: capture.Resume{FirstStart: true}, m: loadtest.Image{}}
	run(t, p.sql, `CREATE SCHEMA other; CREATE TABLE other.x (k int PRIMARY KEY, v text); INSERT INTO other.x SELECT i, 'old' || i FROM generate_series(1, 500) i`)
	p.opens()
	idle := func(seg *event.Segment) bool { return seg.Kind == event.Idle }
	p.comes("the beginning", idle)
	standby := open(t, p.standby, "postgres")
	p.r.Pace(50)
	for deadline := time.Now().Add(30 * time.Second); ; {
		run(t, p.sql, "SELECT pg_log_standby_snapshot()")
		p.comes("silence", idle)
		run(t, standby, "SELECT pg_sync_replication_slots()")
		var kept bool
		if err := standby.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name LIKE 'tributary%' AND synced AND NOT temporary AND failover)").Scan(&kept); err != nil {
			t.Fatal(err)
		}
		if kept {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the standby doesn't keep the slot")
		}
	}
	return p
}

// TestPromotedAfterAnAddition: a table is added, and the standby is promoted as soon as it is
// loaded: the slot that it has kept is from before the publication held the table. Nothing of
// it is lost, neither what was read, nor what was written behind the load and not read.
func TestPromotedAfterAnAddition(t *testing.T) {
	p := newLoads(t)
	long := p.another() // has begun before, and ends while the order waits for that
	run(t, long, "BEGIN; INSERT INTO other.x VALUES (1000, 'before'); UPDATE other.x SET v = 'new' WHERE k = 1; DELETE FROM other.x WHERE k = 2")
	p.adds(func() {
		run(t, long, "COMMIT")
		run(t, p.sql, "INSERT INTO other.x VALUES (1001, 'beside')")
	})
	p.comes("the end of the load", loadtest.Ended("x"))
	run(t, p.sql, "INSERT INTO other.x VALUES (1002, 'not read'); UPDATE other.x SET v = 'not read' WHERE k = 3; DELETE FROM other.x WHERE k = 4")
	p.caughtUp()

	if err := p.l.Close(); err != nil {
		t.Fatal(err)
	}
	p.promote()
	p.opens()
	was := p.res.Last
	p.comes("what had not been read", func(*event.Segment) bool { return p.m["1002"] == "not read" })
	if now := p.res.Last; now.Epoch <= was.Epoch {
		t.Errorf("position %s after %s: want a later epoch", now, was)
	}
	if got := p.l.Added(); len(got) != 1 {
		t.Errorf("added are %q", got)
	}
	run(t, p.sql, "UPDATE other.x SET v = 'after' WHERE k = 5; INSERT INTO other.x VALUES (1003, 'after')")
	p.comes("what is written at the new primary", func(*event.Segment) bool { return p.m["1003"] == "after" })
	p.m.Compare(t, p.texts("SELECT x.k::text FROM other.x ORDER BY x.k"), p.texts("SELECT v FROM other.x ORDER BY k"))
}

// TestPromotedWithoutAnAddition: the standby never got what was written of a table before it
// was added, nor that the publication holds it, and has all that the stream has delivered. The
// chunk has shown more: going on would leave rows in stores that no server has, and lose what
// is written from there on.
func TestPromotedWithoutAnAddition(t *testing.T) {
	p := newLoads(t)
	p.caughtUp()
	run(t, open(t, p.standby, "postgres"), "ALTER SYSTEM SET primary_conninfo = ''")
	run(t, open(t, p.standby, "postgres"), "SELECT pg_reload_conf()")
	p.until(p.db, "postgres", "the end of the replication", "SELECT NOT active FROM pg_replication_slots WHERE slot_name = '"+servers.StandbySlot+"'")
	run(t, p.sql, "INSERT INTO other.x VALUES (1000, 'never got')")
	p.adds(func() {})
	p.comes("the end of the load", loadtest.Ended("x"))
	if p.m["1000"] != "never got" {
		t.Fatalf("the load brought %q", p.m["1000"])
	}
	if err := p.l.Close(); err != nil {
		t.Fatal(err)
	}
	p.promote()
	err := p.begins()
	if gap, ok := errors.AsType[*capture.GapError](err); !ok || gap.Code != "OTHER_TIMELINE" || !strings.Contains(gap.Reason, "tables were read as they were") {
		t.Errorf("%v, want the gap OTHER_TIMELINE", err)
	}
}
