package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/postgres"
	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/capture/snapshot/loadtest"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// loaded reads one chunk of a table.
func (g *rig) loaded(table string, req snapshot.Request) *snapshot.Chunk {
	g.t.Helper()
	return loadtest.Chunk(g.t, g.r.Source, table, req)
}

func (g *rig) feed(first bool) *loadtest.Feed {
	g.t.Helper()
	r, err := postgres.New(g.o)
	if err != nil {
		g.t.Fatal(err)
	}
	return loadtest.Start(g.t, r, r.Source, first)
}

// texts gives the first column.
func (g *rig) texts(sql string) []string {
	g.t.Helper()
	rows, err := g.sql.Query(context.Background(), sql)
	if err != nil {
		g.t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		g.t.Fatal(err)
	}
	return out
}

// hold makes commits stay invisible, until it is released, although they are in the log.
func (g *rig) hold() (release func()) {
	g.t.Helper()
	set := func(sql string) {
		for _, sql := range []string{sql, "SELECT pg_reload_conf()"} {
			if _, err := g.sql.Exec(context.Background(), sql); err != nil {
				g.t.Fatal(err)
			}
		}
	}
	release = func() { set("ALTER SYSTEM RESET synchronous_standby_names") }
	g.t.Cleanup(release) // whatever fails: everything else on the server would wait
	set("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
	probe, err := pgx.Connect(g.t.Context(), g.sql.Config().ConnString())
	if err != nil {
		g.t.Fatal(err)
	}
	// The server takes it up some time later: from then on a probe waits.
	for waits := false; !waits; {
		done := make(chan error, 1)
		go func() {
			_, err := probe.Exec(context.Background(), "SELECT pg_logical_emit_message(true, 'probe', '')")
			done <- err
		}()
		for ended := false; !ended && !waits; {
			select {
			case err = <-done:
				ended = true
			default:
				waits = g.texts(fmt.Sprintf("SELECT count(*)::text FROM pg_stat_activity WHERE pid = %d AND wait_event = 'SyncRep'", probe.PgConn().PID()))[0] == "1"
			}
		}
		if waits {
			run(g.t, g.sql, fmt.Sprintf("SELECT pg_cancel_backend(%d)", probe.PgConn().PID())) // it ends the waiting
			err = <-done
		}
		if err != nil {
			g.t.Fatal(err)
		}
	}
	if err := probe.Close(context.Background()); err != nil {
		g.t.Fatal(err)
	}
	return release
}

// testAttack2 holds commits between log and visibility while their rows are read: the
// newer value must win, and the deleted row stay away.
func testAttack2(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE TABLE h (k int PRIMARY KEY, v text); INSERT INTO h VALUES (1, 'old'), (2, 'deleted'), (3, 'same')`)
	f, m := g.feed(false), loadtest.Image{}
	f.Until(m, func(seg *event.Segment) bool { return seg.Kind == event.Idle })
	release := g.hold()
	held, err := pgx.Connect(t.Context(), g.sql.Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := held.Exec(t.Context(), `UPDATE h SET v = 'new' WHERE k = 1; DELETE FROM h WHERE k = 2`)
		done <- err
	}()
	f.Until(m, func(seg *event.Segment) bool { return len(seg.Rows) > 0 }) // in the log, not to be seen yet
	if got := g.texts("SELECT v FROM h WHERE k = 1"); got[0] != "old" {
		t.Fatalf("the held row shows %q: nothing is held", got[0])
	}
	f.Held(m, g.o.Database+".public.h", func() {
		release()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
	if len(m) != 2 || m["1"] != "new" || m["3"] != "same" {
		t.Errorf("the store has %v, want 1 new and 3 same", m)
	}
	if err := held.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// testAttack3 commits asynchronously: a view shows the row, and its commit is in the log but
// not in what the server has flushed of it. A chunk with the row must wait for that commit.
func testAttack3(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE TABLE a (k int PRIMARY KEY, v int)`)
	run(t, g.sql, `INSERT INTO a VALUES (1, 0)`)
	for _, sql := range []string{"ALTER SYSTEM SET wal_writer_delay = '10s'", "SELECT pg_reload_conf()", "SET synchronous_commit = off"} {
		run(t, g.sql, sql)
	}
	t.Cleanup(func() {
		run(t, g.sql, "ALTER SYSTEM RESET wal_writer_delay")
		run(t, g.sql, "SELECT pg_reload_conf()")
	})
	g.first()
	place := func(function string) (at uint64) {
		t.Helper()
		if err := g.sql.QueryRow(context.Background(), "SELECT ("+function+"() - '0/0')::bigint").Scan(&at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	for v := int64(1); v <= 100; v++ { // somebody else may have the log flushed
		run(t, g.sql, fmt.Sprintf("UPDATE a SET v = %d", v))
		committed := place("pg_current_wal_insert_lsn")
		c := g.loaded("a", snapshot.Request{Rows: 9, Bytes: 1 << 20})
		if len(c.Rows) != 1 || c.Rows[0].After[1].Int() != v {
			t.Fatalf("chunk %+v, want the value %d", c.Rows, v)
		}
		if place("pg_current_wal_flush_lsn") >= committed {
			continue
		}
		if c.High.Offset < committed {
			t.Errorf("the chunk waits for %d, and has a row whose commit ends at %d", c.High.Offset, committed)
		}
		return
	}
	t.Error("each commit was flushed at once: nothing is shown")
}

// testRaces loads a table again and again while its rows are written and moved, with
// updates that lack an unchanged large value.
func testRaces(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE TABLE r (k int PRIMARY KEY, body text, n int); ALTER TABLE r ALTER body SET STORAGE EXTERNAL;
		INSERT INTO r SELECT 2 * i, repeat('b' || i, 800), 0 FROM generate_series(0, 999) i`)
	f, m := g.feed(true), loadtest.Image{}
	stop := make(chan struct{})
	wrote := make(chan error, 2)
	for w := range 2 {
		c, err := pgx.Connect(t.Context(), g.sql.Config().ConnString())
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(uint64(w), 3))
		go func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					wrote <- c.Close(context.Background())
					return
				case <-f.Turns:
				}
				k := rng.IntN(2000)
				sql := fmt.Sprintf("UPDATE r SET n = n + 1 WHERE k = %d", k)
				switch rng.IntN(5) {
				case 0:
					sql = fmt.Sprintf("DELETE FROM r WHERE k = %d", k)
				case 1:
					sql = fmt.Sprintf("INSERT INTO r VALUES (%d, repeat('i%d-%d', 800), 1) ON CONFLICT DO NOTHING", k, w, n)
				case 2:
					sql = fmt.Sprintf("UPDATE r SET k = %d WHERE k = %d", rng.IntN(2000), k)
				case 3:
					sql = fmt.Sprintf("UPDATE r SET body = repeat('u%d-%d', 800) WHERE k = %d", w, n, k)
				}
				tag, err := c.Exec(context.Background(), sql)
				if err != nil && !strings.Contains(err.Error(), "23505") && !strings.Contains(err.Error(), "40P01") {
					wrote <- err
					return
				}
				if tag.RowsAffected() == 0 {
					f.Turn()
				}
			}
		}()
	}
	f.Races(m, g.o.Database+".public.r", 8)
	close(stop)
	for range 2 {
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
	}
	run(t, g.sql, `INSERT INTO r VALUES (-1, 'last', 0)`)
	f.Until(m, func(*event.Segment) bool { return m["-1"] == "last" })
	m.Compare(t, g.texts("SELECT k::text FROM r ORDER BY r.k"), g.texts("SELECT body FROM r ORDER BY k"))
}

// testKeys pages through keys of every kind that a chunk can begin behind.
func testKeys(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE TYPE mood AS ENUM ('丙', '乙', '甲')`)
	kinds := map[string][2]string{
		"text": {"text", "'Ab中''' || i % 7 || E'\\\\'"}, "icu": {`varchar(20) COLLATE "en-x-icu"`, "chr(65 + i % 26) || chr(97 + i % 7)"}, "bytea": {"bytea", `decode(lpad(to_hex(i % 5 * 50), 4, '0'), 'hex')`},
		"num": {"numeric(20,5)", "i % 11 - 5.5"}, "date": {"date", "date '2000-01-01' - 800000 + (i % 9)"}, "ts": {"timestamp", "timestamp '1969-12-31 23:59:58.5' + (i % 9) * interval '1 second'"},
		"tstz": {"timestamptz", "timestamptz '1969-12-31 23:59:58.5+08' + (i % 9) * interval '1 second'"}, "time": {"time", "time '00:00:00.5' + (i % 9) * interval '1 hour'"},
		"double": {"double precision", "(i % 9 - 4) / 3.0::double precision"}, "real": {"real", "((i % 9 - 4) / 3.0)::real"}, "uuid": {"uuid", "md5((i % 9)::text)::uuid"},
		"enum": {"mood", "(enum_range(NULL::mood))[1 + i % 3]"}, "bool": {"boolean", "i % 2 = 0"}, "char": {"char(9)", "'abc' || i % 9"}, "bit": {"bit(9)", "(i % 9)::bit(9)"}, "varbit": {"bit varying", "(i % 9)::bit(9)::varbit"},
	}
	for name, k := range kinds {
		run(t, g.sql, fmt.Sprintf(`CREATE TABLE k_%s (k %s, n int, PRIMARY KEY (k, n)); INSERT INTO k_%s SELECT %s, i FROM generate_series(0, 199) i`, name, k[0], name, k[1]))
	}
	g.first()
	for name := range kinds {
		seen := map[int64]bool{}
		req := snapshot.Request{Rows: 7, Bytes: 1 << 20}
		for {
			c := g.loaded("k_"+name, req)
			for _, r := range c.Rows {
				if n := r.After[1].Int(); seen[n] {
					t.Fatalf("%s: row %d came twice", name, n)
				} else {
					seen[n] = true
				}
			}
			if c.End {
				break
			}
			req.After = c.Last
		}
		if len(seen) != 200 {
			t.Errorf("%s: %d of 200 rows", name, len(seen))
		}
		if c := g.loaded("k_"+name, snapshot.Request{Keys: [][]event.Value{req.After}, Rows: 9, Bytes: 1 << 20}); len(c.Rows) != 1 || !c.End {
			t.Errorf("%s by its key: %+v", name, c)
		}
	}
}

// testAlteredUnderLoad alters a column between its table's description and its rows. Some
// bytes can't be read as the old type, others can, as another value; neither must come.
func testAlteredUnderLoad(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE DOMAIN counted AS bigint; CREATE TABLE a (id int PRIMARY KEY, v smallint, d counted); INSERT INTO a VALUES (1, 2, 3)`)
	g.first()
	src, err := g.r.Source(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	}()
	read := func(table *schema.Table, coded bool) error {
		_, err := src.Read(t.Context(), snapshot.Request{Table: table, Rows: 10, Bytes: 1 << 20, Coded: coded})
		return err
	}
	for _, typ := range []string{"bigint", "double precision", "timestamp USING 'epoch'", "time USING '10:00'", "text", "interval USING '1 day'", "date USING 'epoch'", "bytea USING 'abc'", "counted USING 1"} {
		tables, err := src.Tables(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		run(t, g.sql, "ALTER TABLE a ALTER v TYPE "+typ)
		for _, coded := range []bool{true, false} {
			if err := read(tables[0].Schema, coded); !errors.Is(err, snapshot.ErrTable) || capture.ActionOf(err) != capture.Retry || !strings.Contains(err.Error(), `column "v"`) {
				t.Errorf("to %s: %v, want the column that isn't as it was described", typ, err)
			}
		}
		if tables, err = src.Tables(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(read(tables[0].Schema, true), read(tables[0].Schema, false)); err != nil {
			t.Errorf("described anew as %s: %v", typ, err)
		}
	}
}
