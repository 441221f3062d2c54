package postgres_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/postgres"
	"github.com/tributary-cdc/tributary/capture/snapshot"
)

// source connects to load tables by a role's rights.
func (g *rig) source(o postgres.Options) (snapshot.Source, snapshot.Request) {
	g.t.Helper()
	r, err := postgres.New(o)
	if err != nil {
		g.t.Fatal(err)
	}
	s, err := r.Source(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			g.t.Error(err)
		}
	})
	tables, err := s.Tables(g.t.Context())
	if err != nil || len(tables) != 1 {
		g.t.Fatalf("%+v, %v", tables, err)
	}
	return s, snapshot.Request{Table: tables[0].Schema, Rows: 10, Bytes: 1 << 20}
}

// testRewritten rewrites a table between a chunk's view and its rows: that view shows none of
// them, and only the high mark behind the rewriting has the chunk read again.
func testRewritten(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE TABLE w (k int PRIMARY KEY, v int); INSERT INTO w VALUES (1, 1), (2, 2)`)
	g.first()
	s, req := g.source(g.o)
	other := g.another()
	run(t, other, "BEGIN; LOCK TABLE w IN ACCESS EXCLUSIVE MODE")
	type answer struct {
		c   *snapshot.Chunk
		err error
	}
	done := make(chan answer, 1)
	go func() {
		c, err := s.Read(context.WithoutCancel(t.Context()), req)
		done <- answer{c, err}
	}()
	for !slices.Equal(g.texts("SELECT count(*)::text FROM pg_locks WHERE relation = 'w'::regclass AND NOT granted"), []string{"1"}) {
		select {
		case a := <-done:
			t.Fatalf("it didn't wait: %+v, %v", a.c, a.err)
		default:
		}
	}
	run(t, other, "ALTER TABLE w ALTER v TYPE int USING v + 0")
	var before uint64
	if err := other.QueryRow(t.Context(), "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint").Scan(&before); err != nil {
		t.Fatal(err)
	}
	run(t, other, "COMMIT")
	a := <-done
	if a.err != nil {
		t.Fatal(a.err)
	}
	if a.c.Len() != 0 {
		t.Errorf("a view from before the rewriting shows %d rows: the test tests nothing", a.c.Len())
	}
	if a.c.High.Offset <= before {
		t.Errorf("high mark %d isn't behind the rewriting, which ends beyond %d", a.c.High.Offset, before)
	}
}

// testViewEnds: what goes wrong at a view's end is told as it is, and leaves no transaction.
func testViewEnds(t *testing.T, g *rig) {
	role := strings.ReplaceAll(g.o.Database, "-", "_") + "_loads"
	run(t, g.sql, `CREATE TABLE e (k int PRIMARY KEY); INSERT INTO e VALUES (1)`)
	g.first()
	run(t, g.sql, `CREATE ROLE `+role+` LOGIN REPLICATION PASSWORD 'loads-only-here'; GRANT SELECT ON e TO `+role+`; REVOKE EXECUTE ON FUNCTION pg_current_wal_insert_lsn() FROM PUBLIC`)
	o := g.o
	o.User, o.Password = role, "loads-only-here"
	s, req := g.source(o)
	for range 2 { // the second one finds the session as the first one has left it
		_, err := s.Read(t.Context(), req)
		if err == nil || !strings.Contains(err.Error(), "read the end of the log") || strings.Contains(err.Error(), "25P02") || capture.ActionOf(err) != capture.AskOperator {
			t.Errorf("%v (%v)", err, capture.ActionOf(err))
		}
		if left := g.texts("SELECT state FROM pg_stat_activity WHERE usename = '" + role + "' AND state <> 'idle'"); len(left) > 0 {
			t.Errorf("sessions are left %q", left)
		}
	}
	run(t, g.sql, "GRANT EXECUTE ON FUNCTION pg_current_wal_insert_lsn() TO PUBLIC")
	if c, err := s.Read(t.Context(), req); err != nil || c.Len() != 1 {
		t.Errorf("%+v, %v", c, err)
	}
}
