package postgres_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
)

// alters reads the next segment, which says that a table was altered.
func (g *rig) alters(table, reason string, reread, resumed bool) {
	g.t.Helper()
	seg := g.busy()
	a := seg.Altered
	if seg.Kind != event.TableAltered || a.Table != g.o.Database+".public."+table || !strings.Contains(a.Reason, reason) || a.Reread != reread || a.Resumed != resumed {
		g.t.Fatalf("segment %+v (%+v, %+v), want table %s altered by %q, read again %v, resumed %v", seg, a, seg.Stop, table, reason, reread, resumed)
	}
}

// halts reads the next segment, which says that a table has stopped.
func (g *rig) halts(table, code string) {
	g.t.Helper()
	if seg := g.busy(); seg.Kind != event.TableStopped || seg.Stop.Table != g.o.Database+".public."+table || seg.Stop.Code != code {
		g.t.Fatalf("segment %+v (%+v), want table %s stopped with %s", seg, seg.Stop, table, code)
	}
}

// comes reads the next segment, which has rows of a table, each as "columns: values".
func (g *rig) comes(rows ...string) *event.Segment {
	g.t.Helper()
	seg := g.busy()
	if got := said(seg); fmt.Sprint(got) != fmt.Sprint(rows) {
		g.t.Fatalf("%q, want %q", got, rows)
	}
	return seg
}

// meets reads on until all of some things have come, in any order, and nothing else. It
// gives the order.
func (g *rig) meets(want ...string) (order []string) {
	g.t.Helper()
	for len(want) > 0 {
		for _, got := range said(g.busy()) {
			i := slices.Index(want, got)
			if i < 0 {
				g.t.Fatalf("%q, want one of %q", got, want)
			}
			want, order = slices.Delete(want, i, i+1), append(order, got)
		}
	}
	return order
}

// said is what a segment says, a text for each thing.
func said(seg *event.Segment) (out []string) {
	switch {
	case seg.Kind == event.TableStopped:
		return []string{fmt.Sprintf("%s stops: %s", seg.Stop.Table[strings.LastIndexByte(seg.Stop.Table, '.')+1:], seg.Stop.Code)}
	case seg.Kind == event.TableAltered:
		return []string{fmt.Sprintf("%s altered, %s, reread %v, resumed %v", seg.Altered.Table[strings.LastIndexByte(seg.Altered.Table, '.')+1:], seg.Altered.Reason, seg.Altered.Reread, seg.Altered.Resumed)}
	case seg.Skipped > 0:
		out = append(out, fmt.Sprint("skipped ", seg.Skipped))
	}
	for _, row := range seg.Rows {
		var columns, values []string
		for n, c := range row.Table.Columns {
			columns = append(columns, c.Name+" "+c.Type.String())
			switch v := row.After[n]; {
			case v.State != event.Present:
				values = append(values, "~")
			case c.Type.Kind.Numeric():
				values = append(values, fmt.Sprint(v.Int()))
			default:
				values = append(values, string(v.B))
			}
		}
		out = append(out, row.Table.Name+" "+strings.Join(columns, ", ")+": "+strings.Join(values, " "))
	}
	return out
}

// testChanged alters a table while its rows come.
func testChanged(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE TABLE moving (id int PRIMARY KEY)`)
	g.first()
	run(t, g.sql, `INSERT INTO moving VALUES (1)`)
	g.comes("moving id int32: 1")
	for _, step := range []struct {
		sql, how string
		reread   bool
		row      string
		want     string
		rewrites bool // before PostgreSQL 11 a default does, too
	}{
		{"ADD note varchar(9)", "added", false, "(2, 'x')", "id int32, note string: 2 x", false},
		{"ALTER note TYPE varchar(20)", "altered", false, "(3, 'y')", "id int32, note string: 3 y", false},
		{"ADD n smallint NOT NULL DEFAULT 5", "added", true, "(4, 'y', 4)", "id int32, note string, n int16: 4 y 4", true},
		{"ALTER n TYPE bigint", "another type", true, "(5, 'y', 5)", "id int32, note string, n int64: 5 y 5", true},
		{"ALTER n TYPE bigint USING 2 * n", "another file", true, "(6, 'y', 6)", "id int32, note string, n int64: 6 y 6", true},
		{"ALTER n DROP NOT NULL", "altered", false, "(7, 'y', NULL)", "id int32, note string, n int64: 7 y ~", false},
		{"RENAME note TO remark", "renamed", true, "(8, 'y', 8)", "id int32, remark string, n int64: 8 y 8", false},
		{"ADD note varchar(5)", "added", true, "(81, 'y', 8, 'z')", "id int32, remark string, n int64, note string: 81 y 8 z", false}, // the store has a note
		{"DROP note", "dropped", true, "(82, 'y', 8)", "id int32, remark string, n int64: 82 y 8", false},
		{"DROP n", "dropped", true, "(9, 'y')", "id int32, remark string: 9 y", false},
		{"ADD n int", "added", true, "(10, 'y', 10)", "id int32, remark string, n int32: 10 y 10", false}, // the store has an n
		{"DROP CONSTRAINT moving_pkey, ALTER remark SET NOT NULL, ADD PRIMARY KEY (remark, id)", "altered", false, "(11, 'z', 11)", "id int32, remark string, n int32: 11 z 11", false},
	} {
		if strings.HasPrefix(step.sql, "DROP CONSTRAINT") {
			run(t, g.sql, "DELETE FROM moving")
			g.busy()
		}
		run(t, g.sql, "ALTER TABLE moving "+step.sql)
		run(t, g.sql, "INSERT INTO moving VALUES "+step.row)
		// Where a rewrite may be a TRUNCATE, only once all of before has come.
		late := step.rewrites && !g.can(`SELECT pubtruncate FROM pg_publication`)
		if !late {
			g.alters("moving", step.how, step.reread, false)
		}
		seg := g.comes("moving " + step.want)
		if late {
			g.alters("moving", step.how, step.reread, false)
		}
		if strings.HasPrefix(step.sql, "DROP CONSTRAINT") && fmt.Sprint(seg.Rows[0].Table.Key) != "[1 0]" {
			t.Errorf("key %v", seg.Rows[0].Table.Key)
		}
	}
}

// testChangedAway changes tables over and over while nobody reads: each row comes as the
// table was when it was written, whatever the catalogue says by now.
func testChangedAway(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE TABLE moving (id int PRIMARY KEY, a numeric(5,2)); CREATE TABLE brief (id int PRIMARY KEY); CREATE TABLE same (id int PRIMARY KEY)`)
	res := g.first()
	run(t, g.sql, `INSERT INTO moving VALUES (1, 1)`)
	seg := g.comes("moving id int32, a decimal(5,2): 1 1.00")
	res.Last, res.Restart = seg.Txn.Position, seg.Restart
	if err := g.r.Close(); err != nil {
		t.Fatal(err)
	}
	g.inactive()
	for _, sql := range []string{"INSERT INTO moving VALUES (2, 2)", "ALTER TABLE moving ALTER a TYPE numeric(9,4)", "INSERT INTO moving VALUES (3, 3)",
		"ALTER TABLE moving DROP a", "ALTER TABLE moving ADD a date", "INSERT INTO moving VALUES (4, '2026-09-01')", "INSERT INTO brief VALUES (1)", "DROP TABLE brief", "INSERT INTO same VALUES (1)"} {
		run(t, g.sql, sql)
	}
	if err := g.start(res); err != nil {
		t.Fatal(err)
	}
	late := !g.can(`SELECT pubtruncate FROM pg_publication`) // it may have been truncated as well
	if !late {
		g.alters("moving", "dropped", true, false)
	}
	g.comes("moving id int32, a decimal(5,2): 2 2.00")
	g.comes("moving id int32, a decimal(9,4): 3 3.0000")
	g.comes("moving id int32, a date: 4 20697")
	g.comes("brief id int32: 1")
	g.comes("same id int32: 1")
	if late {
		g.meets("moving altered, columns were dropped, renamed or got another type, reread true, resumed false", "brief stops: TABLE_DROPPED")
		return
	}
	g.halts("brief", "TABLE_DROPPED")
}

// testAttack29 changes a table within a transaction, and back.
func testAttack29(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE TABLE moving (id int PRIMARY KEY)`)
	g.first()
	run(t, g.sql, `BEGIN; INSERT INTO moving VALUES (1); ALTER TABLE moving ADD a int DEFAULT 7; INSERT INTO moving VALUES (2, 2); ALTER TABLE moving DROP a; INSERT INTO moving VALUES (3); COMMIT`)
	seg := g.comes("moving id int32: 1", "moving id int32, a int32: 2 2", "moving id int32: 3")
	if !seg.First || !seg.Last {
		t.Errorf("the transaction was split: %+v", seg)
	}
	if !g.can(`SELECT pubtruncate FROM pg_publication`) {
		g.alters("moving", "another file", true, false) // to fill the column the server rewrote the table
	}
}

// testDottedSchema takes a table out of the publication whose schema has a dot in its name:
// it is still there.
func testDottedSchema(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE SCHEMA "v.1"; CREATE TABLE "v.1".t (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)`)
	g.o.Tables = append(g.o.Tables, `v\.1.*`)
	g.first()
	run(t, g.sql, `ALTER PUBLICATION "tributary_`+strings.ReplaceAll(strings.ToLower(g.o.Source.ID), "-", "_")+`" DROP TABLE "v.1".t`)
	if seg := g.busy(); seg.Kind != event.TableStopped || seg.Stop.Table != g.o.Database+".v.1.t" || seg.Stop.Code != "TABLE_UNPUBLISHED" {
		t.Errorf("segment %+v (%+v), want the table stopped with TABLE_UNPUBLISHED", seg, seg.Stop)
	}
}

// testTables renames, drops and makes tables anew.
func testTables(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE TABLE s (id int PRIMARY KEY); CREATE TABLE s_new (id int PRIMARY KEY, n int)`)
	g.first()
	publication := "tributary_" + strings.ReplaceAll(strings.ToLower(g.o.Source.ID), "-", "_")
	run(t, g.sql, `INSERT INTO s VALUES (1)`)
	g.comes("s id int32: 1")
	run(t, g.sql, `INSERT INTO s VALUES (11)`) // of the table that has the name no more
	run(t, g.sql, `BEGIN; ALTER TABLE s RENAME TO s_old; ALTER TABLE s_new RENAME TO s; COMMIT`)
	run(t, g.sql, `INSERT INTO s VALUES (2, 2)`)
	run(t, g.sql, `INSERT INTO s_old VALUES (3)`)
	const gone, altered = "s id int32: 11", "s altered, another table has its name, reread true, resumed false"
	order := g.meets(gone, altered, "s id int32, n int32: 2 2",
		"s_old altered, the publication has got it, reread true, resumed false", "s_old id int32: 3", "s_new stops: TABLE_DROPPED")
	if slices.Index(order, gone) > slices.Index(order, altered) {
		t.Errorf("read again before all rows of the other table have come: %q", order)
	}
	run(t, g.sql, `DROP TABLE s`)
	g.halts("s", "TABLE_DROPPED")
	run(t, g.sql, `CREATE TABLE s (id int PRIMARY KEY)`)
	g.halts("s", "TABLE_UNPUBLISHED") // it is there again
	run(t, g.sql, `ALTER PUBLICATION "`+publication+`" ADD TABLE s`)
	run(t, g.sql, `INSERT INTO s VALUES (4)`)
	g.meets("s altered, the publication has got it, reread true, resumed true", "s id int32: 4")
	run(t, g.sql, `ALTER TABLE s ADD n int`) // the store has an n, of the table that had the name
	run(t, g.sql, `INSERT INTO s VALUES (5, 5)`)
	g.meets("s altered, columns were added, reread true, resumed false", "s id int32, n int32: 5 5")
}

// testRestartTable delivers a stopped table again when a person says so.
func testRestartTable(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE TABLE s (id int); ALTER TABLE s REPLICA IDENTITY FULL`)
	g.first()
	run(t, g.sql, `INSERT INTO s VALUES (1)`)
	g.halts("s", "TABLE_NO_KEY")
	if seg := g.busy(); seg.Skipped != 1 {
		t.Errorf("segment %+v", seg)
	}
	run(t, g.sql, `ALTER TABLE s ADD PRIMARY KEY (id)`)
	g.r.Restart(g.o.Database + ".public.s")
	g.r.Restart(g.o.Database + ".public.other")
	g.meets("s altered, columns were altered, reread false, resumed false", "s altered, a person has ordered it, reread true, resumed true")
	run(t, g.sql, `INSERT INTO s VALUES (2)`)
	g.comes("s id int32: 2")
}

// testLostInAGap: after a gap a new column has its table read again only if the table lost one
// that the log has had, or if the log doesn't know the table. A restart knows.
func testLostInAGap(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE TABLE same (id int PRIMARY KEY, "a b" int); CREATE TABLE poorer (id int PRIMARY KEY); CREATE TABLE unknown (id int PRIMARY KEY)`)
	res := g.first()
	if err := g.r.Close(); err != nil {
		t.Fatal(err)
	}
	g.inactive()
	in := g.o.Database + ".public."
	if err := g.start(capture.Resume{Last: event.Position{Epoch: 1}, Restart: res.Restart, State: res.State, Repair: true, Had: map[string][]string{in + "same": {"a b", "id"}, in + "poorer": {"id", "gone"}}}); err != nil {
		t.Fatal(err)
	}
	seg := g.next()
	res = capture.Resume{Restart: seg.Restart, State: bytes.Clone(seg.State)}
	if err := g.r.Close(); err != nil {
		t.Fatal(err)
	}
	g.inactive()
	if err := g.start(res); err != nil {
		t.Fatal(err)
	}
	for table, reread := range map[string]bool{"same": false, "poorer": true, "unknown": true} {
		run(t, g.sql, "ALTER TABLE "+table+" ADD n int")
		run(t, g.sql, "INSERT INTO "+table+" (id, n) VALUES (1, 2)")
		columns, values := "id int32, n int32", "1 2"
		if table == "same" {
			columns, values = "id int32, a b int32, n int32", "1 ~ 2"
		}
		g.meets(fmt.Sprintf("%s altered, columns were added, reread %t, resumed false", table, reread), table+" "+columns+": "+values)
	}
}
