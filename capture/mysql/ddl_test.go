package mysql_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
)

var (
	comment = regexp.MustCompile(` /\*.*?\*/`)
	literal = regexp.MustCompile(`'[^']*'`)
)

// alters reads the next segment, which says that a table was altered; of a statement that
// is its reason no comment and no literal is told.
func (g *rig) alters(table, reason string, reread, resumed bool) {
	g.t.Helper()
	reason = literal.ReplaceAllString(comment.ReplaceAllString(reason, ""), "'…'")
	seg := g.busy()
	a := seg.Altered
	if seg.Kind != event.TableAltered || a.Table != g.name+"."+table || !strings.Contains(a.Reason, reason) || a.Reread != reread || a.Resumed != resumed {
		g.t.Fatalf("segment %+v (%+v, %+v), want table %s altered by %q, read again %v, resumed %v", seg, a, seg.Stop, table, reason, reread, resumed)
	}
}

// halts reads the next segment, which says that a table has stopped.
func (g *rig) halts(table, code, reason string) {
	g.t.Helper()
	if seg := g.busy(); seg.Kind != event.TableStopped || seg.Stop.Table != g.name+"."+table || seg.Stop.Code != code || !strings.Contains(seg.Stop.Reason, reason) {
		g.t.Fatalf("segment %+v (%+v), want table %s stopped with %s and %q", seg, seg.Stop, table, code, reason)
	}
}

// comes reads the next segment, which has rows of a table.
func (g *rig) comes(table, columns string, after ...string) *event.Segment {
	g.t.Helper()
	seg := g.busy()
	if seg.Kind != event.Rows || len(seg.Rows) != len(after) || seg.Skipped != 0 {
		g.t.Fatalf("segment %+v (%+v), want %d rows of %s", seg, seg.Stop, len(after), table)
	}
	for i, want := range after {
		row := seg.Rows[i]
		var have []string
		for _, c := range row.Table.Columns {
			have = append(have, c.Name+" "+c.Type.String())
		}
		var values []string
		for n, v := range row.After {
			switch {
			case v.State != event.Present:
				values = append(values, "~")
			case row.Table.Columns[n].Type.Kind.Numeric():
				values = append(values, fmt.Sprint(v.Int()))
			default:
				values = append(values, string(v.B))
			}
		}
		if got := strings.Join(have, ", "); row.Table.Name != table || got != columns {
			g.t.Errorf("table %s has %s, want %s of %s", row.Table.Name, got, columns, table)
		}
		if got := strings.Join(values, " "); got != want {
			g.t.Errorf("row %s, want %s", got, want)
		}
	}
	return seg
}

// testChanged alters a table while its rows come.
func testChanged(t *testing.T, g *rig) {
	g.run("CREATE TABLE moving (id int PRIMARY KEY)")
	g.run("CREATE TABLE good (id int PRIMARY KEY)")
	g.first()
	g.run("INSERT INTO moving VALUES (1)")
	g.comes("moving", "id int32", "1")
	g.run("ALTER TABLE moving ADD note text")
	for _, sql := range []string{"BEGIN", "INSERT INTO moving VALUES (2, 'x')", "INSERT INTO good VALUES (1)", "COMMIT"} {
		g.run(sql)
	}
	g.alters("moving", "ADD note", false, false)
	if seg := g.busy(); len(seg.Rows) != 2 || len(seg.Rows[0].Table.Columns) != 2 {
		t.Errorf("segment %+v", seg)
	}
	for _, step := range []struct {
		sql    string
		reread bool
		row    string
		want   string
		after  string
	}{
		{"ALTER TABLE moving ADD n tinyint DEFAULT 5 FIRST", true, "(1, 3, 'y')", "n int8, id int32, note string", "1 3 y"},
		{"ALTER TABLE moving MODIFY n bigint unsigned", true, "(18446744073709551615, 4, 'y')", "n uint64, id int32, note string", "-1 4 y"},
		{"ALTER TABLE moving CHANGE note remark varchar(9) CHARACTER SET gbk", true, "(2, 5, '学')", "n uint64, id int32, remark string(9)", "2 5 学"},
		{"ALTER TABLE moving DROP n", false, "(6, 'z')", "id int32, remark string(9)", "6 z"},
		{"ALTER TABLE moving ADD note int", true, "(7, 'z', 7)", "id int32, remark string(9), note int32", "7 z 7"}, // the store has a note
		{"ALTER TABLE moving DROP note, ADD note int", true, "(71, 'z', 7)", "id int32, remark string(9), note int32", "71 z 7"},
		{"ALTER TABLE moving DROP note, ADD k int NOT NULL DEFAULT 1, DROP PRIMARY KEY, ADD PRIMARY KEY (id, k)", true, "(8, 'z', 8)", "id int32, remark string(9), k int32", "8 z 8"},
		{"ALTER TABLE moving COMMENT 'x', FORCE", false, "(9, 'z', 9)", "id int32, remark string(9), k int32", "9 z 9"},
	} {
		g.run(step.sql)
		g.run("INSERT INTO moving VALUES " + step.row)
		g.alters("moving", step.sql, step.reread, false)
		g.comes("moving", step.want, step.after)
	}
}

// testChangedAway changes tables over and over while nobody reads: each row comes as the
// table was when it was written, whatever the catalogue says by now.
func testChangedAway(t *testing.T, g *rig) {
	g.run("CREATE TABLE moving (id int PRIMARY KEY, a int)")
	g.run("CREATE TABLE brief (id int PRIMARY KEY)")
	g.run("CREATE TABLE emptied (id int PRIMARY KEY)")
	res := g.first()
	g.run("INSERT INTO moving VALUES (1, 1)")
	g.take(&res, g.busy())
	if err := g.r.Close(); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"TRUNCATE TABLE emptied", "INSERT INTO moving VALUES (2, 2)", "ALTER TABLE moving CHANGE a b varchar(9), ADD c int DEFAULT 7", "INSERT INTO moving VALUES (3, 'x', 1)",
		"ALTER TABLE moving DROP b", "ALTER TABLE moving ADD b date", "INSERT INTO moving VALUES (4, 1, '2026-09-01')", "INSERT INTO brief VALUES (1)", "DROP TABLE brief"} {
		g.run(sql)
	}
	if err := g.start(res); err != nil {
		t.Fatal(err)
	}
	if g.describes() {
		g.alters("emptied", "emptied", true, false)
	} else if seg := g.busy(); len(seg.Rows) != 1 || seg.Rows[0].Op != event.Truncate || seg.Rows[0].Table.Name != "emptied" {
		t.Errorf("segment %+v, want the table emptied", seg)
	}
	g.comes("moving", "id int32, a int32", "2 2")
	g.alters("moving", "CHANGE a b", true, false)
	g.comes("moving", "id int32, b string(9), c int32", "3 x 1")
	g.alters("moving", "DROP b", false, false)
	g.alters("moving", "ADD b", true, false)
	g.comes("moving", "id int32, c int32, b date", "4 1 20697")
	g.comes("brief", "id int32", "1")
	g.halts("brief", "TABLE_DROPPED", "dropped")
}

// testTables renames, drops and makes tables anew.
func testTables(t *testing.T, g *rig) {
	g.o.Tables = []string{g.name + ".s*"}
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	g.run("CREATE TABLE s_new (id int PRIMARY KEY, n int)")
	g.first()
	g.run("INSERT INTO s VALUES (1)")
	g.comes("s", "id int32", "1")
	g.run("RENAME TABLE s TO old, s_new TO s") // as gh-ost and pt-online-schema-change end
	g.halts("s_new", "TABLE_DROPPED", "renamed to "+g.name+".s")
	g.alters("s", "RENAME", true, false)
	g.run("INSERT INTO s VALUES (2, 2)")
	g.comes("s", "id int32, n int32", "2 2")
	g.run("ALTER TABLE s RENAME TO s2")
	g.halts("s", "TABLE_DROPPED", "renamed to "+g.name+".s2")
	g.alters("s2", "RENAME", true, false)
	g.run("INSERT INTO s2 VALUES (3, 3)")
	g.comes("s2", "id int32, n int32", "3 3")
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	g.alters("s", "created again", true, true)
	g.run("INSERT INTO s VALUES (4)")
	g.comes("s", "id int32", "4")
	g.run("DROP TABLE s, s2")
	g.halts("s", "TABLE_DROPPED", "dropped")
	g.halts("s2", "TABLE_DROPPED", "dropped")
	g.run("RENAME TABLE old TO s")
	g.alters("s", "RENAME", true, true)
	g.run("INSERT INTO s VALUES (5)")
	g.comes("s", "id int32", "5")
	g.run("ALTER TABLE s ADD n int") // the store has an n, of the table that had the name
	g.alters("s", "ADD n", true, false)
	g.run("INSERT INTO s VALUES (51, 1)")
	g.comes("s", "id int32, n int32", "51 1")
	g.run("CREATE TABLE s_fresh (id int PRIMARY KEY)")
	g.run("INSERT INTO s_fresh VALUES (6)")
	g.comes("s_fresh", "id int32", "6")
}

// testRestartTable delivers a stopped table again when a person says so.
func testRestartTable(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY, a int)")
	res := g.first()
	g.run("SET GLOBAL binlog_format = STATEMENT")
	g.again()
	g.run("INSERT INTO s VALUES (1, 1)")
	g.halts("s", "STATEMENT_LOGGED", "")
	g.run("SET GLOBAL binlog_format = ROW")
	g.again()
	g.take(&res, g.busy())
	g.r.Restart(g.name + ".s")
	g.r.Restart(g.name + ".other")
	g.alters("s", "ordered", true, true)
	g.run("INSERT INTO s VALUES (2, 2)")
	seg := g.busy()
	if len(seg.Rows) != 1 || seg.State == nil || strings.Contains(string(seg.State), "STATEMENT_LOGGED") {
		t.Errorf("segment %+v with the state %s", seg, seg.State)
	}
}

// testLostInAGap: after a gap a new column has its table read again only if the log has had one
// of that name and the table lost it, or if the log doesn't know the table. A restart knows.
func testLostInAGap(t *testing.T, g *rig) {
	g.run("CREATE TABLE moving (id int PRIMARY KEY, a int)")
	g.run("CREATE TABLE unknown (id int PRIMARY KEY)")
	g.first()
	if err := g.r.Close(); err != nil {
		t.Fatal(err)
	}
	res := capture.Resume{Last: event.Position{Epoch: 1, Place: event.Place{File: 1, Offset: 4}}, Repair: true, Had: map[string][]string{g.name + ".moving": {"id", "a", "Gone"}, g.name + ".former": {"id", "b"}, "other.x": {"id"}}}
	if err := g.start(res); err != nil {
		t.Fatal(err)
	}
	seg := g.next()
	res = capture.Resume{Restart: seg.Restart, State: bytes.Clone(seg.State)}
	if err := g.r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := g.start(res); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		table, add string
		reread     bool
	}{{"moving", "b", false}, {"moving", "gone", true}, {"moving", "c", false}, {"unknown", "a", true}} {
		sql := "ALTER TABLE " + c.table + " ADD " + c.add + " int"
		g.run(sql)
		g.alters(c.table, sql, c.reread, false)
	}
	g.run("CREATE TABLE former (id int PRIMARY KEY)")
	g.run("ALTER TABLE former ADD a int, ADD b int")
	g.alters("former", "ADD b", true, false)
}
