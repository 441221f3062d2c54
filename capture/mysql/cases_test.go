package mysql_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/mysql"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/values"
)

func testParts(t *testing.T, g *rig) {
	g.run("CREATE TABLE big (id int PRIMARY KEY, body text)")
	g.first()
	var values []string
	for i := range 5000 {
		values = append(values, fmt.Sprintf("(%d, REPEAT('x', 1000))", i+1))
	}
	g.run("INSERT INTO big VALUES " + strings.Join(values, ", "))
	var rows, parts int
	var pos event.Position
	for {
		seg := g.busy()
		if (parts == 0) != seg.First || parts > 0 && seg.Txn.Position != pos {
			t.Fatalf("part %d: first %v, position %s after %s", parts, seg.First, seg.Txn.Position, pos)
		}
		for _, r := range seg.Rows {
			rows++
			if r.After[0].Int() != int64(rows) || len(r.After[1].B) != 1000 {
				t.Fatalf("row %d is %d with %d bytes", rows, r.After[0].Int(), len(r.After[1].B))
			}
		}
		pos, parts = seg.Txn.Position, parts+1
		if seg.Last {
			if seg.Restart.Offset <= pos.Offset+5_000_000 {
				t.Errorf("restart %v isn't behind the rows of %v", seg.Restart, pos)
			}
			break
		}
	}
	if rows != 5000 || parts < 4 {
		t.Errorf("%d rows in %d parts", rows, parts)
	}
}

func testRollback(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	g.first()
	for _, sql := range []string{"BEGIN", "INSERT INTO s VALUES (1)", "ROLLBACK", "BEGIN", "INSERT INTO s VALUES (2)", "SAVEPOINT a",
		"INSERT INTO s VALUES (3)", "ROLLBACK TO a", "INSERT INTO s VALUES (4)", "UPDATE s SET id = 5 WHERE id = 4", "DELETE FROM s WHERE id = 2", "COMMIT"} {
		g.run(sql)
	}
	seg := g.busy()
	var got []string
	for _, r := range seg.Rows {
		got = append(got, fmt.Sprintf("%c %d %d", r.Op, first(r.Before), first(r.After)))
	}
	if want := "[c 0 2 c 0 4 u 4 5 d 2 0]"; fmt.Sprint(got) != want || seg.Txn.ID == "" || seg.Txn.Committed.IsZero() {
		t.Errorf("rows %v, want %s; %+v", got, want, seg.Txn)
	}
}

func first(vs []event.Value) int64 {
	if len(vs) == 0 {
		return 0
	}
	return vs[0].Int()
}

func testMyISAM(t *testing.T, g *rig) {
	g.run("CREATE TABLE m (id int PRIMARY KEY) ENGINE=MyISAM")
	g.first()
	g.run("INSERT INTO m VALUES (1)")
	if seg := g.busy(); len(seg.Rows) != 1 || !seg.First || !seg.Last {
		t.Errorf("segment %+v", seg)
	}
}

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

// testIdle writes to a table that nobody asked for: reading must come to the end of the
// server's log all the same, also into a new file, as the one who asks for that end sees it.
func testIdle(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	g.run("CREATE DATABASE IF NOT EXISTS other_idle")
	g.run("CREATE TABLE IF NOT EXISTS other_idle.o (id int PRIMARY KEY)")
	g.first()
	g.run("INSERT INTO other_idle.o VALUES (1)")
	g.run("FLUSH BINARY LOGS")
	room, err := mysql.NewRoom(g.o)
	if err != nil {
		t.Fatal(err)
	}
	end, err := room.Room(t.Context(), event.Place{})
	if err != nil || end.Server == "" || end.Server != g.r.Server() || end.Unwritten != 0 {
		t.Fatalf("the server that is read is %q: %+v, %v", g.r.Server(), end, err)
	}
	for deadline := time.Now().Add(15 * time.Second); ; {
		seg := g.next()
		if seg.Kind != event.Idle {
			t.Fatalf("segment %+v of a table that nobody asked for", seg)
		}
		if seg.Restart.Compare(end.End) >= 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the restart is %s, the log ends at %s", seg.Restart, end.End)
		}
	}
}

func (g *rig) stops(code, text string, rows int) {
	g.t.Helper()
	seg := g.busy()
	if seg.Kind != event.TableStopped || seg.Stop.Code != code || !strings.Contains(seg.Stop.Reason, text) {
		g.t.Fatalf("segment %+v (%+v), want the table stopped with %s and %q", seg, seg.Stop, code, text)
	}
	seg = g.busy()
	if len(seg.Rows) != rows || seg.Skipped < 1 || rows > 0 && seg.Rows[0].Table.Name != "good" {
		g.t.Errorf("the transaction has %d rows, %d skipped; the good table must flow", len(seg.Rows), seg.Skipped)
	}
}

func testStopped(t *testing.T, g *rig, columns, values, code, text string) {
	g.run("CREATE TABLE bad (" + columns + ")")
	g.run("CREATE TABLE good (id int PRIMARY KEY)")
	g.first()
	for _, sql := range []string{"BEGIN", "INSERT INTO bad " + values, "INSERT INTO good VALUES (1)", "COMMIT"} {
		g.run(sql)
	}
	g.stops(code, text, 1)
}

// testHarmless writes statements into the log that name captured tables and
// change none of them, as the start of an application does.
func testHarmless(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	g.first()
	g.run("INSERT INTO s VALUES (1)")
	g.busy()
	g.run("CREATE TABLE IF NOT EXISTS s (id int PRIMARY KEY)")
	g.run("CREATE TEMPORARY TABLE tmp (id int PRIMARY KEY)")
	g.run("DROP TEMPORARY TABLE tmp")
	g.run("ANALYZE TABLE s")
	g.run("INSERT INTO s VALUES (2)")
	if seg := g.busy(); seg.Kind != event.Rows || len(seg.Rows) != 1 || seg.Skipped != 0 {
		t.Errorf("segment %+v, %+v", seg, seg.Stop)
	}
	if !g.maria() {
		return
	}
	g.run("CREATE OR REPLACE TABLE s (id int PRIMARY KEY)")
	g.alters("s", "created anew", true, false)
}

// testFunction changes rows inside a function, with only its call in the log.
func testFunction(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	g.run("SET GLOBAL log_bin_trust_function_creators = ON")
	g.run("CREATE FUNCTION enrol(n int) RETURNS int BEGIN INSERT INTO s VALUES (n); RETURN n; END")
	g.first()
	g.run("SET SESSION binlog_format = STATEMENT")
	g.run("DO enrol(1)")
	seg, err := g.until(func(seg *event.Segment) bool { return seg.Kind != event.Idle })
	var coded *capture.Coded
	if !errors.As(err, &coded) || coded.Code != "MYSQL_STATEMENT" || capture.ActionOf(err) != capture.StopSource || !strings.Contains(err.Error(), "enrol") {
		t.Errorf("%+v, %v; want the source to stop", seg, err)
	}
}

// testNoState has a log with transactions of the source, an order for a first
// start that nobody took back, and no state.
func testNoState(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	res := g.first()
	g.run("INSERT INTO s VALUES (1)")
	g.take(&res, g.busy())
	res.State, res.FirstStart = nil, true
	var gap *capture.GapError
	if err := g.start(res); !errors.As(err, &gap) || gap.Code != "NO_STATE" || gap.From != res.Last {
		t.Errorf("%v, want a gap", err)
	}
}

func testTruncate(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY, note varchar(20), seen timestamp(3) NULL)")
	g.run("INSERT INTO s (id) VALUES (1)")
	g.first()
	g.run("TRUNCATE TABLE s")
	seg := g.busy()
	if len(seg.Rows) != 1 || seg.Rows[0].Op != event.Truncate {
		t.Fatalf("rows %+v", seg.Rows)
	}
	before := seg.Rows[0].Table.Version() // from the catalogue: no row has shown the table yet
	g.run("INSERT INTO s (id) VALUES (2)")
	if seg = g.busy(); seg.Rows[0].Table.Version() != before {
		t.Errorf("the table of the rows is another version than the truncated one: %+v", seg.Rows[0].Table)
	}
}

func testStatement(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	g.first()
	g.run("SET SESSION binlog_format = STATEMENT")
	g.run("INSERT INTO s VALUES (1)")
	g.stops("STATEMENT_LOGGED", "binlog_format", 0)
}

func testRestart(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	res := g.first()
	for i := range 3 {
		g.run(fmt.Sprintf("INSERT INTO s VALUES (%d)", i))
		seg := g.busy()
		if len(seg.Rows) != 1 || seg.Rows[0].After[0].Int() != int64(i) || seg.Txn.Position.Compare(res.Last) <= 0 {
			t.Fatalf("segment %d is %+v after %s", i, seg, res.Last)
		}
		g.take(&res, seg)
		if err := g.start(res); err != nil {
			t.Fatal(err)
		}
	}
}

// testRestartIdle restarts with transactions that are younger than the state, and again
// before there was another one: the state of the idle time between must know the last.
func testRestartIdle(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	res := g.first()
	idle := func() {
		t.Helper()
		seg, err := g.until(func(s *event.Segment) bool { return s.Kind == event.Idle })
		if err != nil {
			t.Fatal(err)
		}
		res.Restart, res.State, res.Since = seg.Restart, bytes.Clone(seg.State), nil
	}
	for i := range 2 {
		g.run(fmt.Sprintf("INSERT INTO s VALUES (%d)", i))
		seg := g.busy()
		res.Last, res.Restart, res.Since = seg.Txn.Position, seg.Restart, append(res.Since, seg.Txn.ID)
		if i == 0 {
			idle()
		}
	}
	if err := g.start(res); err != nil {
		t.Fatal(err)
	}
	idle()
	if err := g.start(res); err != nil {
		t.Fatal(err)
	}
	g.run("INSERT INTO s VALUES (7)")
	if seg := g.busy(); len(seg.Rows) != 1 || seg.Rows[0].After[0].Int() != 7 {
		t.Errorf("segment %+v", seg)
	}
}

func testRotated(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	res := g.first()
	g.run("INSERT INTO s VALUES (1)")
	g.take(&res, g.busy())
	for i := range 3 {
		g.run("FLUSH BINARY LOGS")
		g.run(fmt.Sprintf("INSERT INTO s VALUES (%d)", 10+i))
	}
	for range 2 { // live, and again from where it was
		for i := range 3 {
			seg := g.busy()
			if len(seg.Rows) != 1 || seg.Rows[0].After[0].Int() != int64(10+i) {
				t.Fatalf("segment %+v", seg)
			}
		}
		if err := g.start(res); err != nil {
			t.Fatal(err)
		}
	}
}

func testNoFirstStart(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	if err := g.start(capture.Resume{}); !errors.Is(err, capture.ErrNoFirstStart) || capture.ActionOf(err) != capture.AskOperator {
		t.Errorf("%v, want %v", err, capture.ErrNoFirstStart)
	}
}

// testMissingGrant gives a user some of what it needs.
func testMissingGrant(t *testing.T, g *rig, grants string) {
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	g.run("CREATE USER '" + g.name + "'@'127.0.0.1' IDENTIFIED BY 'poor-password-1'")
	g.run("GRANT " + grants + " ON *.* TO '" + g.name + "'@'127.0.0.1'")
	g.o.User, g.o.Password = g.name, "poor-password-1"
	g.refuses("MYSQL_GRANT", "REPLICATION SLAVE", "REPLICATION CLIENT")
}

func testBinlogFormat(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	g.run("SET GLOBAL binlog_format = MIXED")
	defer g.run("SET GLOBAL binlog_format = ROW")
	g.refuses("MYSQL_BINLOG_FORMAT", "binlog_format is MIXED", "SET GLOBAL binlog_format = 'ROW'")
}

// testXA prepares a transaction. To a server that logs that it is a gap, and so is its end
// to a reader that came after the PREPARE; one that logs the rows only at XA COMMIT
// (MariaDB before 10.5) has an ordinary transaction.
func testXA(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	res := g.first()
	g.run("INSERT INTO s VALUES (0)")
	g.take(&res, g.busy())
	for _, sql := range []string{"XA START 'a'", "INSERT INTO s VALUES (1)", "XA END 'a'", "XA PREPARE 'a'"} {
		g.run(sql)
	}
	if files := g.query("SHOW BINARY LOGS"); !strings.Contains(strings.ToUpper(fmt.Sprint(g.events(files[len(files)-1]))), "XA") {
		g.run("XA COMMIT 'a'")
		if seg := g.busy(); len(seg.Rows) != 1 || seg.Rows[0].After[0].Int() != 1 || !seg.Last {
			t.Errorf("segment %+v", seg)
		}
		return
	}
	gap := func(after event.Position) {
		t.Helper()
		seg, err := g.until(func(seg *event.Segment) bool { return seg.Kind != event.Idle })
		var gap *capture.GapError
		if !errors.As(err, &gap) || gap.Code != "MYSQL_XA" || gap.From != after || !strings.Contains(gap.Reason, "XA") {
			t.Fatalf("%+v, %v; want the gap MYSQL_XA after %s", seg, err, after)
		}
	}
	gap(res.Last)
	g.first()
	g.run("XA COMMIT 'a'")
	gap(event.Position{})
}
