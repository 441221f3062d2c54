package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/guard"
	"github.com/tributary-cdc/tributary/capture/postgres"
)

// guest lets a role of its own read, with the least privileges.
func (g *rig) guest() {
	run(g.t, g.sql, `CREATE TABLE s (id int PRIMARY KEY); CREATE PUBLICATION mine FOR TABLE s`)
	role := "role" + g.o.Database
	run(g.t, g.sql, fmt.Sprintf("CREATE ROLE %s LOGIN REPLICATION PASSWORD '%s'; GRANT SELECT ON s TO %s", role, g.o.Password, role))
	g.t.Cleanup(func() {
		run(g.t, g.sql, "DROP OWNED BY "+role)
		run(g.t, g.sql, "DROP ROLE "+role)
	})
	g.o.Publication, g.o.User = "mine", role
}

// guard watches the rig's source.
func (g *rig) guard(o guard.Options) *guard.Guard {
	g.t.Helper()
	room, err := postgres.NewRoom(g.o)
	if err != nil {
		g.t.Fatal(err)
	}
	o.Source, o.File, o.Window = g.o.Source.ID, filepath.Join(g.t.TempDir(), "guard.json"), time.Minute
	if o.Server == nil {
		o.Server = room
	}
	out, err := guard.New(o)
	if err != nil {
		g.t.Fatal(err)
	}
	return out
}

// wal lets the server write megabytes of WAL.
func (g *rig) wal(megabytes int) {
	g.t.Helper()
	run(g.t, g.sql, `SELECT pg_logical_emit_message(true, 'filler', repeat('x', 1 << 20)) FROM generate_series(1, $1)`, megabytes)
}

func (g *rig) slots() (n int) {
	g.t.Helper()
	if err := g.sql.QueryRow(g.t.Context(), `SELECT count(*) FROM pg_replication_slots WHERE database = current_database()`).Scan(&n); err != nil {
		g.t.Fatal(err)
	}
	return n
}

// testFuse gives the slot up while a reader is at it, with the reader's own privileges; the
// reader then finds the gap, whose reason the guard knows.
func testFuse(t *testing.T, g *rig) {
	g.guest()
	res := g.first()
	w := g.guard(guard.Options{Fuse: guard.Fuse{Size: 8 << 20}})
	w.Look(t.Context())
	if s := w.Status(); s.Looked.IsZero() || g.slots() != 1 {
		t.Fatalf("%+v, %d slots", s, g.slots())
	}
	run(t, g.sql, `INSERT INTO s VALUES (1)`)
	seg := g.busy()
	res.Last, res.Restart = seg.Txn.Position, seg.Restart
	var end string
	g.wal(9)
	if err := g.sql.QueryRow(t.Context(), "SELECT pg_current_wal_lsn()::text").Scan(&end); err != nil {
		t.Fatal(err)
	}
	w.Look(t.Context())
	if g.slots() != 0 || w.Blown() == nil {
		t.Fatalf("%d slots, %v, %+v", g.slots(), w.Blown(), w.Status())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var err error
	for err == nil {
		_, err = g.r.Next(ctx)
	}
	if capture.ActionOf(err) != capture.Retry {
		t.Errorf("the reader ended by %v", err)
	}
	var gap *capture.GapError
	if err := g.start(res); !errors.As(err, &gap) {
		t.Fatalf("started again: %v", err)
	}
	told := w.Explain(gap)
	if told.Code != "FUSE_BLOWN" || told.From != res.Last || told.To.Offset <= res.Restart.Offset || !strings.Contains(told.Reason, "fuse.size is 8.0 MB") {
		t.Errorf("%+v, the log ended at %s", told, end)
	}
}

// testFuseOfOthers leaves a slot of the same name alone that somebody else has made.
func testFuseOfOthers(t *testing.T, g *rig) {
	g.guest()
	g.o.Slot = "other_" + g.o.Database
	run(t, g.sql, `SELECT pg_create_logical_replication_slot($1, 'test_decoding')`, g.o.Slot)
	g.wal(2)
	w := g.guard(guard.Options{Fuse: guard.Fuse{Size: 1 << 20}})
	w.Look(t.Context())
	if g.slots() != 1 || w.Blown() != nil || w.Status().Looked.IsZero() {
		t.Errorf("%d slots, %v", g.slots(), w.Blown())
	}
}

// halting kills the agent between its decision and the drop.
type halting struct{ guard.Server }

func (halting) GiveUp(context.Context) error { return errors.New("killed") }

// testFuseKilled: a slot that was about to be given up is looked at again by the next
// process.
func testFuseKilled(t *testing.T, g *rig) {
	g.guest()
	g.first()
	room, err := postgres.NewRoom(g.o)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "guard.json")
	g.wal(2)
	for i, s := range []guard.Server{halting{room}, room} {
		w, err := guard.New(guard.Options{Source: g.o.Source.ID, Server: s, File: file, Fuse: guard.Fuse{Size: 1 << 20}})
		if err != nil {
			t.Fatal(err)
		}
		w.Look(t.Context())
		if blown := w.Blown() != nil; blown != (i == 1) || g.slots() != 1-i {
			t.Errorf("process %d: blown %t, %d slots", i, blown, g.slots())
		}
	}
}

// testRoomWarns: what a slot holds is warned of by its size, by what the server lets it
// keep and by the server's own word; and no more once it is read.
func testRoomWarns(t *testing.T, g *rig) {
	g.guest()
	res := g.first()
	if err := g.r.Close(); err != nil {
		t.Fatal(err)
	}
	g.inactive()
	bounded := g.can(`SELECT 1 / count(*) FROM pg_settings WHERE name = 'max_slot_wal_keep_size'`)
	if bounded {
		run(t, g.sql, "ALTER SYSTEM SET max_slot_wal_keep_size = '64MB'")
		run(t, g.sql, "SELECT pg_reload_conf()")
		t.Cleanup(func() {
			run(t, g.sql, "ALTER SYSTEM RESET max_slot_wal_keep_size")
			run(t, g.sql, "SELECT pg_reload_conf()")
		})
	}
	changes := 0
	w := g.guard(guard.Options{WarnHeld: 20 << 20, OnChange: func() { changes++ }})
	w.Look(t.Context())
	if s := w.Status(); len(s.Warnings) > 0 {
		t.Errorf("%+v", s)
	}
	g.wal(24)
	look := func(done func(guard.Status) bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; {
			w.Look(t.Context())
			s := w.Status()
			if done(s) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%+v", s)
			}
		}
	}
	warned := func(s guard.Status, code, text string) bool {
		for _, x := range s.Warnings {
			if x.Code == code && strings.Contains(x.Text, text) {
				return true
			}
		}
		return false
	}
	look(func(s guard.Status) bool {
		return warned(s, "SLOT_HOLDS_WAL", "MB for the slot") && (!bounded || warned(s, "SOURCE_LOG_SHORT", "max_slot_wal_keep_size") && s.LeftBy == "max_slot_wal_keep_size")
	})
	advance := `SELECT pg_replication_slot_advance(slot_name, pg_current_wal_lsn()) FROM pg_replication_slots WHERE database = current_database()`
	if !g.can(`SELECT 'pg_replication_slot_advance'::regproc`) {
		advance = `SELECT count(*) FROM pg_replication_slots, pg_logical_slot_get_binary_changes(slot_name, NULL, NULL, 'proto_version', '1', 'publication_names', 'mine') WHERE database = current_database()`
	}
	look(func(s guard.Status) bool {
		run(t, g.sql, "CHECKPOINT") // which logs what the slot needs to move
		run(t, g.sql, advance)
		return len(s.Warnings) == 0
	})
	if changes < 2 {
		t.Errorf("%d changes were told", changes)
	}
	if bounded {
		g.wal(120)
		look(func(s guard.Status) bool { return warned(s, "SOURCE_LOG_SHORT", "") })
		run(t, g.sql, "CHECKPOINT")
		look(func(s guard.Status) bool { return s.Held == 0 && s.Left == nil }) // lost: a gap, which the reader finds
		g.gap(res, "SLOT_INVALIDATED")
	}
}

// testLeave: what a source has at its server is taken away as far as its user may, and told
// for the rest; again it takes away nothing, and what only has its name stays.
func testLeave(t *testing.T, g *rig) {
	owner := g.o.User
	g.guest()
	g.first()
	leave := func() string {
		t.Helper()
		room, err := postgres.NewRoom(g.o)
		if err != nil {
			t.Fatal(err)
		}
		remains, err := room.Leave(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(remains, "; ")
	}
	run(t, g.sql, "ALTER ROLE "+g.o.User+" NOREPLICATION")
	if err := g.r.Close(); err != nil {
		t.Fatal(err)
	}
	g.inactive()
	slot := "SELECT pg_drop_replication_slot('" + g.slot() + "')"
	if got := leave(); got != slot+`; DROP PUBLICATION "mine"` || g.slots() != 1 {
		t.Errorf("%q, %d slots", got, g.slots())
	}
	run(t, g.sql, "ALTER ROLE "+g.o.User+" REPLICATION")
	for range 2 {
		if got := leave(); got != `DROP PUBLICATION "mine"` || g.slots() != 0 {
			t.Errorf("%q, %d slots", got, g.slots())
		}
	}
	g.o.User = owner
	if got := leave(); got != "" || g.can("SELECT 1 / count(*) FROM pg_publication WHERE pubname = 'mine'") {
		t.Errorf("%q is left", got)
	}
}

// slot is the name of the rig's.
func (g *rig) slot() (name string) {
	g.t.Helper()
	if err := g.sql.QueryRow(g.t.Context(), `SELECT slot_name FROM pg_replication_slots WHERE database = current_database()`).Scan(&name); err != nil {
		g.t.Fatal(err)
	}
	return name
}
