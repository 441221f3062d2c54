package mysql_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/snapshot/loadtest"
	"github.com/tributary-cdc/tributary/stream/event"
)

// images gives rows as op, what was and what is.
func images(rows []event.Row) (out []string) {
	text := func(image []event.Value) (s string) {
		for _, v := range image {
			s += "," + loadtest.Text(v)
		}
		return "[" + strings.TrimPrefix(s, ",") + "]"
	}
	for _, r := range rows {
		out = append(out, fmt.Sprintf("%c%s%s", r.Op, text(r.Before), text(r.After)))
	}
	return out
}

// testAppend takes a table without a key: each change has whole images, with minimal
// ones in the log as well, since the server can't tell its rows either.
func testAppend(t *testing.T, g *rig) {
	g.o.Keyless.Append = []string{g.name + ".log*"}
	g.run("CREATE TABLE log1 (id int, v varchar(9), b blob)")
	g.first()
	for n, image := range []string{"FULL", "NOBLOB", "MINIMAL"} {
		g.run("SET SESSION binlog_row_image = " + image)
		for _, sql := range []string{"BEGIN", "INSERT INTO log1 VALUES (1, 'a', 'x'), (1, 'a', 'x')", "UPDATE log1 SET v = 'b' LIMIT 1", "DELETE FROM log1 WHERE v = 'a'", "DELETE FROM log1", "COMMIT"} {
			g.run(sql)
		}
		seg := g.busy()
		if seg.Kind != event.Rows {
			t.Fatalf("%s: %+v", image, seg.Stop)
		}
		if table := seg.Rows[0].Table; !table.Append || table.Key != nil || table.Validate() != nil {
			t.Errorf("table %+v", table)
		}
		want := []string{"c[][1,a,x]", "c[][1,a,x]", "u[1,a,x][1,b,x]", "d[1,a,x][]", "d[1,b,x][]"}
		if got := images(seg.Rows); !slices.Equal(got, want) {
			t.Errorf("%s (%d): %q, want %q", image, n, got, want)
		}
	}
	g.run("TRUNCATE TABLE log1")
	if got := images(g.busy().Rows); !slices.Equal(got, []string{"t[][]"}) {
		t.Errorf("truncate: %q", got)
	}
}

// testOtherKeys has tables without a primary key in which the server knows rows by a
// unique one: that is their key, by stream and load, whatever the metadata. Where the
// configuration names another one, minimal images lack it.
func testOtherKeys(t *testing.T, g *rig) {
	g.o.Keyless = capture.Keyless{Append: []string{"*.*"}, Keys: map[string][]string{g.name + ".keyed": {"k"}}}
	g.run("CREATE TABLE log (v varchar(9), a int NOT NULL, b int, id int NOT NULL, UNIQUE (b), INDEX (v), UNIQUE (id, a))")
	g.run("CREATE TABLE keyed (u int NOT NULL UNIQUE, k int NOT NULL, v varchar(9))")
	g.run("CREATE TABLE good (id int PRIMARY KEY)")
	g.first()
	for _, metadata := range []string{"FULL", "MINIMAL"} {
		if g.metadata() {
			g.run("SET GLOBAL binlog_row_metadata = " + metadata)
		}
		g.again()
		g.run("SET SESSION binlog_row_image = MINIMAL")
		g.run("INSERT INTO log VALUES ('a', 1, NULL, 2)")
		g.run("UPDATE log SET v = 'b'")
		g.run("DELETE FROM log")
		for n, want := range []string{"c[][a,1,1,2]", "u[0,1,0,2][b,1,0,2]", "d[0,1,0,2][]"} {
			row := g.busy().Rows[0]
			got := images([]event.Row{row})
			got[0] = strings.Replace(got[0], "u[a,", "u[0,", 1) // MariaDB 10.2 has what changes as well
			if got[0] != want || !slices.Equal(row.Table.Key, []int{3, 1}) || row.Table.Append {
				t.Errorf("%s, change %d: %q with the key %v, want %q", metadata, n, got[0], row.Table.Key, want)
			}
		}
	}
	g.run("INSERT INTO log VALUES ('a', 1, NULL, 2)")
	if c := g.loaded("log"); !slices.Equal(c.Rows[0].Table.Key, []int{3, 1}) {
		t.Errorf("by load the key is %v", c.Rows[0].Table.Key)
	}
	g.run("INSERT INTO keyed VALUES (1, 2, 'a')")
	g.busy()
	g.busy()
	for _, sql := range []string{"BEGIN", "UPDATE keyed SET v = 'b'", "INSERT INTO good VALUES (1)", "COMMIT"} {
		g.run(sql)
	}
	g.stops("IMAGE_INCOMPLETE", "by which a row is known", 1)
}

// testConfiguredKey streams and loads a table by columns that the configuration names.
func testConfiguredKey(t *testing.T, g *rig) {
	g.o.Keyless.Keys = map[string][]string{g.name + ".k": {"K"}}
	g.run("CREATE TABLE k (k varchar(20) CHARACTER SET gbk NOT NULL, v varchar(20), INDEX (k))")
	var rows []string
	for n := range 2500 {
		rows = append(rows, fmt.Sprintf("('镕%d', 'v%d')", n, n))
	}
	g.run("INSERT INTO k VALUES " + strings.Join(rows, ", "))
	f, m := g.feed(true), loadtest.Image{}
	f.Until(m, loadtest.Ended("k"))
	g.run("UPDATE k SET v = 'changed' WHERE k = '镕7'")
	g.run("UPDATE k SET k = '喆' WHERE k = '镕8'")
	g.run("DELETE FROM k WHERE k = '镕9'")
	g.run("INSERT INTO k VALUES ('last', 'last')")
	f.Until(m, func(seg *event.Segment) bool {
		for _, r := range seg.Rows {
			if !slices.Equal(r.Table.Key, []int{0}) || r.Table.Append {
				t.Fatalf("table %+v", r.Table)
			}
		}
		return m["last"] == "last"
	})
	m.Compare(t, g.query("SELECT CONVERT(k USING utf8mb4) FROM k ORDER BY v, k"), g.query("SELECT v FROM k ORDER BY v, k"))
}

// testKeylessRefused has tables that can't be taken, and what repairs them: the server
// takes the statement that the reason has.
func testKeylessRefused(t *testing.T, g *rig) {
	g.o.Keyless.Keys = map[string][]string{g.name + ".nullable": {"id"}, g.name + ".missing": {"nowhere"}}
	g.run("CREATE TABLE nullable (id int, v int)")
	g.run("CREATE TABLE missing (id int, v int)")
	g.run("CREATE TABLE keyless (v int)")
	g.run("CREATE TABLE good (id int PRIMARY KEY)")
	g.first()
	n := 0
	stops := func(table, code, text string) string {
		t.Helper()
		n++
		for _, sql := range []string{"BEGIN", "INSERT INTO " + table + " (v) VALUES (1)", fmt.Sprintf("INSERT INTO good VALUES (%d)", n), "COMMIT"} {
			g.run(sql)
		}
		seg := g.busy()
		if seg.Kind != event.TableStopped || seg.Stop.Code != code || !strings.Contains(seg.Stop.Reason, text) {
			t.Fatalf("%s: %+v %+v", table, seg, seg.Stop)
		}
		if next := g.busy(); len(next.Rows) != 1 || next.Skipped != 1 {
			t.Errorf("%s: %d rows, %d skipped", table, len(next.Rows), next.Skipped)
		}
		return seg.Stop.Reason
	}
	stops("missing", "TABLE_KEY_REFUSED", `"nowhere"`)
	stops("nullable", "TABLE_KEY_REFUSED", "MODIFY `id`")
	reason := stops("keyless", "TABLE_NO_KEY", "ADD PRIMARY KEY")
	_, repair, _ := strings.Cut(reason, ", or ")
	repair, _, _ = strings.Cut(repair, " (MySQL")
	if g.maria() && g.db.Server != nil && strings.HasPrefix(g.query("SELECT VERSION()")[0], "10.2") {
		return // it has no invisible columns
	}
	g.run(repair)
	g.run("INSERT INTO keyless (v) VALUES (2)") // as people write it who don't know the column
	if err := g.r.Close(); err != nil {
		t.Fatal(err)
	}
	g.r = nil
	g.first()
	g.run("INSERT INTO keyless (v) VALUES (3)")
	if got := images(g.busy().Rows); !slices.Equal(got, []string{"c[][3,3]"}) {
		t.Errorf("after %s: %q", repair, got)
	}
}
