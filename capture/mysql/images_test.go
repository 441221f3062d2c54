package mysql_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/values"
)

func testMinimal(t *testing.T, g *rig) {
	g.run("SET SESSION binlog_row_image = MINIMAL")
	g.run("CREATE TABLE s (id int PRIMARY KEY, a int, b varchar(9))")
	g.first()
	g.run("INSERT INTO s VALUES (1, 2, 'x')")
	g.run("UPDATE s SET a = 3")
	g.busy()
	row := g.busy().Rows[0]
	if row.After[0].Int() != 1 || row.After[1].Int() != 3 || row.After[2].State != event.Absent || row.Before[1].State != event.Absent {
		t.Errorf("before %v, after %v", row.Before, row.After)
	}
}

// testLaterDefault has an insert that leaves a column out, and only the catalogue of after
// another default to tell its value: the statement between them has the table read again,
// also after a restart.
func testLaterDefault(t *testing.T, g *rig) {
	g.run("SET SESSION binlog_row_image = MINIMAL")
	g.run("CREATE TABLE s (id int PRIMARY KEY, n int DEFAULT 1)")
	res := g.first()
	g.run("INSERT INTO s VALUES (1, 1)")
	g.take(&res, g.busy())
	if err := g.r.Close(); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"INSERT INTO s (id) VALUES (2)", "ALTER TABLE s ALTER n SET DEFAULT 2", "INSERT INTO s (id) VALUES (3)"} {
		g.run(sql)
	}
	if err := g.start(res); err != nil {
		t.Fatal(err)
	}
	seg := g.busy()
	if !seg.Durable || seg.State == nil {
		t.Error("the state doesn't go with the row")
	}
	g.take(&res, seg)
	if err := g.r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := g.start(res); err != nil {
		t.Fatal(err)
	}
	g.alters("s", "SET DEFAULT", true, false)
	g.comes("s", "id int32, n int32", "3 2")
	g.run("ALTER TABLE s ALTER n SET DEFAULT 3")
	g.alters("s", "SET DEFAULT", false, false)
}

// testMinimalInsert has inserts that leave columns to their defaults, which minimal images
// leave out as well.
func testMinimalInsert(t *testing.T, g *rig) {
	g.run("SET SESSION sql_mode = ''")
	g.run("SET SESSION time_zone = '+00:00'")
	g.run("SET SESSION binlog_row_image = MINIMAL")
	g.run(`CREATE TABLE s (id int PRIMARY KEY, a int NOT NULL DEFAULT 7, b varchar(9) CHARACTER SET gbk DEFAULT '镕''\\', c int, d timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
		e int NOT NULL, f blob, g enum('x','y') NOT NULL DEFAULT 'y', h int AS (a + 1) STORED, i decimal(5,2) DEFAULT 1, j bit(3) DEFAULT b'10', k date NOT NULL, l varchar(9) NOT NULL DEFAULT '',
		m datetime(3) DEFAULT '2026-09-01 08:00:00.5', n double DEFAULT -1.5, o bigint unsigned DEFAULT 18446744073709551615)`)
	g.first()
	g.run("INSERT INTO s (id) VALUES (1)")
	row := g.rowOf()
	if row == nil {
		return
	}
	load := g.loaded("s").Rows[0]
	for i, v := range row.After {
		if l := load.After[i]; v.State != l.State || v.N != l.N || string(v.B) != string(l.B) {
			t.Errorf("column %s: %+v %q by stream, %+v %q by load", row.Table.Columns[i].Name, v, v.B, l, l.B)
		}
	}
	if len(row.Anomalies) != 1 || row.Anomalies[0].Raw != "0000-00-00" {
		t.Errorf("anomalies %+v", row.Anomalies)
	}
	g.run("CREATE TABLE good (id int PRIMARY KEY)")
	g.run("CREATE TABLE virtual_column (id int PRIMARY KEY, a int, v int AS (a + 1) VIRTUAL)")
	if !g.maria() {
		g.run("INSERT INTO virtual_column (id, a) VALUES (1, 2)")
		if row := g.rowOf(); row != nil && row.After[2].Int() != 3 {
			t.Errorf("%+v", row.After)
		}
		return
	}
	for _, sql := range []string{"BEGIN", "INSERT INTO virtual_column (id, a) VALUES (1, 2)", "INSERT INTO good VALUES (1)", "COMMIT"} {
		g.run(sql)
	}
	g.stops("IMAGE_INCOMPLETE", `virtual column "v"`, 1)
}

// testVirtual updates what a virtual column is computed from, with full images.
func testVirtual(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY, a int, v int AS (a + 1) VIRTUAL)")
	g.run("CREATE TABLE good (id int PRIMARY KEY)")
	g.first()
	old := strings.HasPrefix(g.query("SELECT VERSION()")[0], "10.2.")
	for i, change := range []string{"INSERT INTO s (id, a) VALUES (1, 2)", "UPDATE s SET a = 5"} {
		for _, sql := range []string{"BEGIN", change, fmt.Sprintf("INSERT INTO good VALUES (%d)", i), "COMMIT"} {
			g.run(sql)
		}
		if old {
			g.stops("IMAGE_INCOMPLETE", `virtual column "v"`, 1)
			return
		}
		if seg := g.busy(); len(seg.Rows) != 2 || seg.Rows[0].After[2].Int() != []int64{3, 6}[i] {
			t.Errorf("%s: %+v, %+v", change, seg, seg.Stop)
		}
	}
}

// testZlibFrames has compressed values in zlib's frame, which a variable of MariaDB 10.3
// and newer brings.
func testZlibFrames(t *testing.T, g *rig) {
	if len(g.query("SHOW VARIABLES LIKE 'column_compression_zlib_wrap'")) == 0 {
		return
	}
	g.run("SET SESSION column_compression_zlib_wrap = ON")
	g.run("CREATE TABLE s (id int PRIMARY KEY, a text COMPRESSED)")
	g.first()
	g.run("INSERT INTO s VALUES (1, REPEAT('学', 300))")
	if row := g.rowOf(); row != nil && string(row.After[1].B) != strings.Repeat("学", 300) {
		t.Errorf("%.60q", row.After[1].B)
	}
}

// testOldFractions has MariaDB's temporal types in the form of 5.3, whose fractions the
// log doesn't tell.
func testOldFractions(t *testing.T, g *rig) {
	if !g.maria() {
		return
	}
	g.run("SET GLOBAL mysql56_temporal_format = OFF")
	defer g.run("SET GLOBAL mysql56_temporal_format = ON")
	g.again()
	g.run("SET SESSION sql_mode = ''")
	g.run("SET SESSION time_zone = '+00:00'")
	var old []values.Group
	for _, group := range values.For(g.query("SELECT VERSION()")[0]) {
		if group.Name == "times" {
			old = append(old, group)
			g.run(group.Create())
		}
	}
	g.first()
	for _, group := range old {
		g.values(&group)
	}
}

func testCompressed(t *testing.T, g *rig) {
	if g.maria() {
		g.run("SET GLOBAL log_bin_compress = ON")
		defer g.run("SET GLOBAL log_bin_compress = OFF")
	} else if len(g.query("SHOW GLOBAL VARIABLES LIKE 'binlog_transaction_compression'")) == 0 {
		t.Log("NOT RUN: transactions are compressed from MySQL 8.0.20 on")
		return
	} else {
		g.run("SET SESSION binlog_transaction_compression = ON")
	}
	g.run("CREATE TABLE s (id int PRIMARY KEY, body text)")
	g.first()
	g.run("INSERT INTO s VALUES (1, REPEAT('x', 3000))")
	g.run("UPDATE s SET body = REPEAT('y', 3000)")
	g.run("DELETE FROM s")
	for i, op := range []event.Op{event.Create, event.Update, event.Delete} {
		row := g.busy().Rows[0]
		image := row.After
		if op == event.Delete {
			image = row.Before
		}
		if row.Op != op || len(image[1].B) != 3000 {
			t.Errorf("row %d is %c with %d bytes", i, row.Op, len(image[1].B))
		}
	}
}
