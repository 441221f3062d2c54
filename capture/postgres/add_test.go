package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/postgres"
	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/capture/snapshot/loadtest"
	"github.com/tributary-cdc/tributary/stream/event"
)

// another opens a further session on the rig's database.
func (g *rig) another() *pgx.Conn {
	g.t.Helper()
	c, err := pgx.Connect(g.t.Context(), g.sql.Config().ConnString())
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// testAdd adds a table that no pattern covers, while transactions that began before have
// written it and go on: nothing of them is lost, nor of what is written behind them.
func testAdd(t *testing.T, g *rig) { added(t, g, true) }

// testAddAlone is testAdd with nobody else at the table, so that what the server keeps in
// mind of it is what the transaction of before has left there.
func testAddAlone(t *testing.T, g *rig) { added(t, g, false) }

func added(t *testing.T, g *rig, beside bool) {
	t.Helper()
	run(t, g.sql, `CREATE TABLE a (k int PRIMARY KEY, v text); CREATE SCHEMA other; CREATE TABLE other.x (k int PRIMARY KEY, v text); INSERT INTO other.x VALUES (1, 'old'), (2, 'gone'), (3, 'same'), (8, repeat('v', 16))`)
	g.o.Caps = capture.Caps{"other.x": {"v": {Bytes: 15}}}
	f, m := g.feed(false), loadtest.Image{}
	idle := func(seg *event.Segment) bool { return seg.Kind == event.Idle }
	f.Until(m, idle)
	long := g.another()
	run(t, long, "BEGIN")
	run(t, long, "INSERT INTO other.x VALUES (4, 'before'); UPDATE other.x SET v = 'new' WHERE k = 1; DELETE FROM other.x WHERE k = 2")
	f.Add(g.o.Database + ".other.x")
	if err := f.Loader.Add(t.Context(), g.o.Database+".other.x"); !errors.Is(err, snapshot.ErrBusy) {
		t.Errorf("added twice: %v", err)
	}
	f.Until(m, func(seg *event.Segment) bool { return len(seg.Loads) > 0 })
	if beside {
		run(t, g.sql, "INSERT INTO other.x VALUES (5, 'beside')")
	}
	for range 3 { // views are tried meanwhile, and none of them may be taken
		f.Until(m, func(seg *event.Segment) bool {
			for _, r := range seg.Rows {
				if r.Op == event.Read {
					t.Fatal("a chunk came while a transaction of before goes on")
				}
			}
			return seg.Kind == event.Idle
		})
	}
	run(t, long, "INSERT INTO other.x VALUES (6, 'after'); COMMIT")
	f.Until(m, loadtest.Ended("x"))
	run(t, g.sql, "INSERT INTO other.x VALUES (7, 'behind'), (9, repeat('v', 16)); UPDATE other.x SET v = 'again' WHERE k = 3; INSERT INTO a VALUES (-1, 'last')")
	f.Until(m, func(*event.Segment) bool { return m["-1"] == "last" })
	if none := loadtest.Text(event.NullValue); m["8"] != none || m["9"] != none {
		t.Errorf("values above the cap of an added table: loaded %q, streamed %q", m["8"], m["9"])
	}
	for _, k := range []string{"-1", "8", "9"} {
		delete(m, k)
	}
	run(t, g.sql, "DELETE FROM other.x WHERE k IN (8, 9)")
	m.Compare(t, g.texts("SELECT k::text FROM other.x ORDER BY k"), g.texts("SELECT v FROM other.x ORDER BY k"))
	if err := f.Loader.Add(t.Context(), g.o.Database+".other.x"); !errors.Is(err, snapshot.ErrCaptured) {
		t.Errorf("added again: %v", err)
	}
	if got := f.Loader.Added(); len(got) != 1 || got[0] != g.o.Database+".other.x" {
		t.Errorf("added are %q", got)
	}
	if !beside {
		return
	}
	if err := f.Loader.Remove(t.Context(), g.o.Database+".public.a"); !errors.Is(err, snapshot.ErrNotAdded) {
		t.Errorf("remove a table of the patterns: %v", err)
	}
	if err := f.Loader.Remove(t.Context(), g.o.Database+".other.x"); err != nil {
		t.Fatal(err)
	}
	f.Until(m, loadtest.Removed("x"))
	run(t, g.sql, "UPDATE other.x SET v = 'passed over' WHERE k = 3; INSERT INTO a VALUES (-2, 'last')")
	f.Until(m, func(*event.Segment) bool { return m["-2"] == "last" })
	if m["3"] != "again" || len(f.Loader.Added()) > 0 {
		t.Errorf("a removed table: row 3 is %q, added are %q", m["3"], f.Loader.Added())
	}
	f.Add(g.o.Database + ".other.x")
	f.Until(m, loadtest.Ended("x"))
	run(t, g.sql, "UPDATE other.x SET v = 'back' WHERE k = 4")
	f.Until(m, func(*event.Segment) bool { return m["4"] == "back" })
	delete(m, "-2")
	m.Compare(t, g.texts("SELECT k::text FROM other.x ORDER BY k"), g.texts("SELECT v FROM other.x ORDER BY k"))
}

// testAddOfOthers adds a table of a publication that belongs to somebody else: the load
// says what its owner must do, and goes on once that is done.
func testAddOfOthers(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE TABLE a (k int PRIMARY KEY, v text); CREATE SCHEMA other; CREATE TABLE other.x (k int PRIMARY KEY, v text); INSERT INTO other.x VALUES (1, 'old')`)
	run(t, g.sql, "CREATE PUBLICATION mine FOR TABLE a, other.x")
	role := "role" + g.o.Database
	run(t, g.sql, fmt.Sprintf("CREATE ROLE %s LOGIN REPLICATION PASSWORD '%s'; GRANT USAGE ON SCHEMA other TO %s; GRANT SELECT ON a, other.x TO %s", role, g.o.Password, role, role))
	t.Cleanup(func() {
		run(t, g.sql, "DROP OWNED BY "+role)
		run(t, g.sql, "DROP ROLE "+role)
	})
	g.o.Publication, g.o.User = "mine", role
	f, m := g.feed(false), loadtest.Image{}
	f.Until(m, func(seg *event.Segment) bool { return seg.Kind == event.Idle })
	f.Add(g.o.Database + ".other.x")
	f.Until(m, func(*event.Segment) bool { return strings.Contains(f.Loader.Progress()[0].Error, "ALTER PUBLICATION") })
	said := f.Loader.Progress()[0].Error
	said = said[strings.Index(said, "BEGIN;"):]
	run(t, g.sql, said[:strings.Index(said, "COMMIT")+6])
	f.Until(m, loadtest.Ended("x"))
	if len(m) != 1 || m["1"] != "old" {
		t.Errorf("the store has %v", m)
	}
}

// testAddHeld adds a table of a publication for all tables while a commit of it is in the
// log, and was passed over, and can't be seen.
func testAddHeld(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE TABLE a (k int PRIMARY KEY, v text); CREATE SCHEMA other; CREATE TABLE other.x (k int PRIMARY KEY, v text); INSERT INTO other.x VALUES (1, 'old'), (2, 'gone')`)
	run(t, g.sql, "CREATE PUBLICATION mine FOR ALL TABLES")
	g.o.Publication = "mine"
	f, m := g.feed(false), loadtest.Image{}
	f.Until(m, func(seg *event.Segment) bool { return seg.Kind == event.Idle })
	release, held := g.hold(), g.another()
	done := make(chan error, 1)
	go func() {
		_, err := held.Exec(context.Background(), "UPDATE other.x SET v = 'new' WHERE k = 1; DELETE FROM other.x WHERE k = 2; INSERT INTO a VALUES (1, 'seen')")
		done <- err
	}()
	f.Until(m, func(*event.Segment) bool { return m["1"] == "seen" })
	delete(m, "1")
	f.Add(g.o.Database + ".other.x")
	f.Until(m, func(seg *event.Segment) bool { return len(seg.Loads) > 0 })
	for range 3 {
		f.Until(m, func(seg *event.Segment) bool {
			if len(seg.Rows) > 0 {
				t.Fatalf("a chunk came from a view that lacks a held commit: %+v", seg.Rows)
			}
			return seg.Kind == event.Idle
		})
	}
	release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	f.Until(m, loadtest.Ended("x"))
	if len(m) != 1 || m["1"] != "new" {
		t.Errorf("the store has %v, want 1 new", m)
	}
}

// testAddRefused: what can't be added is refused at once, with what a DBA has to do.
func testAddRefused(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE TABLE a (k int PRIMARY KEY, v text); CREATE SCHEMA other; CREATE TABLE other.x (k int PRIMARY KEY); CREATE TABLE other.nokey (k int); CREATE VIEW other.v AS SELECT 1 AS k`)
	g.first()
	role := "role" + g.o.Database
	run(t, g.sql, fmt.Sprintf("CREATE ROLE %s LOGIN REPLICATION PASSWORD '%s'; GRANT USAGE ON SCHEMA other TO %s", role, g.o.Password, role))
	t.Cleanup(func() {
		run(t, g.sql, "DROP OWNED BY "+role)
		run(t, g.sql, "DROP ROLE "+role)
	})
	include := func(user, table string) error {
		o := g.o
		if user != "" {
			o.User = user
		}
		r, err := postgres.New(o)
		if err != nil {
			t.Fatal(err)
		}
		src, err := r.Source(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = src.Close() }() // read only
		return src.Include(t.Context(), table)
	}
	db := g.o.Database
	for table, want := range map[string]error{db + ".public.a": snapshot.ErrCaptured, db + ".other.none": snapshot.ErrTable, db + ".other.nokey": snapshot.ErrTable,
		db + ".other.v": snapshot.ErrTable, "other.x": snapshot.ErrTable, "else.other.x": snapshot.ErrTable} {
		if err := include("", table); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", table, err, want)
		}
	}
	for _, want := range []string{"PG_ACCESS GRANT SELECT ON", "PG_PUBLICATION ALTER PUBLICATION"} {
		err := include(role, db+".other.x")
		code, hint := capture.CodeOf(err)
		if !strings.HasPrefix(code+" "+hint, want) || !strings.Contains(hint, `"other"."x"`) {
			t.Errorf("%v (%s: %s), want %s", err, code, hint, want)
		}
		run(t, g.sql, "GRANT SELECT ON other.x TO "+role)
	}
	if n := g.texts("SELECT count(*)::text FROM pg_publication_tables WHERE schemaname = 'other'")[0]; n != "0" {
		t.Errorf("%s refused tables stand in the publication", n)
	}
	if err := include("", db+".other.x"); err != nil { // as the owner
		t.Error(err)
	}
}

// testAddedStays: a reader that starts from the state of one with an added table delivers it.
func testAddedStays(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE TABLE a (k int PRIMARY KEY, v text); CREATE SCHEMA other; CREATE TABLE other.x (k int PRIMARY KEY, v text)`)
	run(t, g.sql, "CREATE PUBLICATION mine FOR ALL TABLES")
	g.o.Publication = "mine"
	res := g.first()
	run(t, g.sql, "INSERT INTO other.x VALUES (1, 'passed over')") // the server describes the table now, and not again
	run(t, g.sql, "INSERT INTO a VALUES (1, 'x')")
	if seg := g.busy(); len(seg.Rows) != 1 || seg.Rows[0].Table.Name != "a" {
		t.Fatalf("handed out %+v", seg.Rows)
	}
	g.r.Add(g.o.Database + ".other.x")
	for seg := g.next(); !strings.Contains(string(seg.State), `"added":["`+g.o.Database+`.other.x"]`); seg = g.next() {
		if seg.Kind != event.Idle {
			t.Fatalf("handed out %+v before the table was added", seg)
		}
	}
	for id := 2; id < 4; id++ {
		run(t, g.sql, fmt.Sprintf("INSERT INTO other.x VALUES (%d, 'x')", id))
		seg := g.busy()
		if len(seg.Rows) != 1 || seg.Rows[0].Table.Name != "x" {
			t.Fatalf("handed out %+v", seg.Rows)
		}
		res.Last, res.Restart = seg.Txn.Position, seg.Restart
		for res.Since = append(res.Since, seg.Txn.ID); id == 2; {
			if seg = g.next(); seg.Kind == event.Idle {
				res.State, res.Restart, res.Since = append([]byte(nil), seg.State...), seg.Restart, nil
				break
			}
		}
		if err := g.start(res); err != nil {
			t.Fatal(err)
		}
	}
}

// testRange reads parts of tables between keys of every kind: what the server finds there.
func testRange(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE TYPE mood AS ENUM ('丙', '乙', '甲')`)
	kinds := map[string]struct {
		typ, value, from, to string
		order                event.KeyOrder
	}{
		"int":     {"int", "i % 11 - 5", "-2", "3", event.OrderValue},
		"points":  {`text COLLATE "C"`, "chr(65 + i % 26) || chr(97 + i % 7)", "D", "Kd", event.OrderPoints},
		"icu":     {`text COLLATE "en-x-icu"`, "chr(65 + i % 26 + i % 2 * 32) || chr(97 + i % 7)", "d", "Kd", event.OrderForeign},
		"padded":  {"char(5)", "'a' || i % 7", "a2", "a4", event.OrderForeign},
		"bytea":   {"bytea", `decode(lpad(to_hex(i % 5 * 50), 4, '0'), 'hex')`, `\x0032`, `\x0096`, event.OrderValue},
		"num":     {"numeric(20,5)", "i % 11 - 5.5", "-2.5", "3", event.OrderValue},
		"date":    {"date", "date '2000-01-01' + (i % 9)", "2000-01-03", "2000-01-05", event.OrderValue},
		"tstz":    {"timestamptz", "timestamptz '1969-12-31 23:59:58.5+08' + (i % 9) * interval '1 second'", "1970-01-01 00:00:00+08", "1970-01-01 00:00:03+08", event.OrderValue},
		"uuid":    {"uuid", "md5((i % 9)::text)::uuid", "10000000-0000-0000-0000-000000000000", "ccffffff-ffff-ffff-ffff-ffffffffffff", event.OrderValue},
		"enum":    {"mood", "(enum_range(NULL::mood))[1 + i % 3]", "丙", "乙", event.OrderForeign},
		"boolean": {"boolean", "i % 2 = 0", "true", "true", event.OrderValue},
	}
	for name, k := range kinds {
		run(t, g.sql, fmt.Sprintf(`CREATE TABLE r_%s (k %s, n int, PRIMARY KEY (k, n)); INSERT INTO r_%s SELECT %s, i FROM generate_series(0, 199) i`, name, k.typ, name, k.value))
	}
	g.first()
	for name, k := range kinds {
		from, to := fmt.Sprintf("%q", k.from), fmt.Sprintf("%q", k.to)
		if name == "bytea" {
			from, to = k.from, k.to
		}
		for bounds, where := range map[string]string{
			from + ".." + to:             fmt.Sprintf("k >= '%s' AND k <= '%s'", k.from, k.to),
			from + "..":                  fmt.Sprintf("k >= '%s'", k.from),
			".." + to:                    fmt.Sprintf("k <= '%s'", k.to),
			from + ",50.." + to + ",150": fmt.Sprintf("(k, n) >= ('%s', 50) AND (k, n) <= ('%s', 150)", k.from, k.to),
			from + ",50.." + to:          fmt.Sprintf("(k, n) >= ('%s', 50) AND k <= '%s'", k.from, k.to),
		} {
			r, rows := loadtest.Part(t, g.r.Source, "r_"+name, bounds)
			want := g.texts("SELECT n::text AS x FROM r_" + name + " WHERE " + where + " ORDER BY k, n")
			if len(want) == 0 || len(want) == 200 && strings.Contains(bounds, "50") {
				t.Fatalf("%s %s: %d rows tell nothing", name, bounds, len(want))
			}
			var got []string
			for _, row := range rows {
				got = append(got, loadtest.Text(row.After[1]))
			}
			if strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("%s %s: %d rows %.80s, want %d %.80s", name, bounds, len(got), got, len(want), want)
			}
			if r.Columns[0].Order != k.order {
				t.Errorf("%s: order %d, want %d", name, r.Columns[0].Order, k.order)
			}
		}
	}
	src, err := g.r.Source(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = src.Close() }() // read only
	tables, err := src.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if table.Schema.Name != "r_int" {
			continue
		}
		for _, b := range []snapshot.Bounds{{From: []string{"one"}}, {From: []string{"1", "2", "3"}}, {To: []string{"1); DROP TABLE r_int; --"}}} {
			if _, err := src.Range(t.Context(), table.Schema, b); !errors.Is(err, snapshot.ErrBadBounds) {
				t.Errorf("%s: %v", b, err)
			}
		}
	}
}
