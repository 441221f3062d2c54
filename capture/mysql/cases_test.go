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

// testNewFile: what tells a file of the log from one that is made anew after the server was set
// back stands in the log with the file's first rows.
func testNewFile(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	g.first()
	for id := range 3 {
		g.run("FLUSH BINARY LOGS")
		g.run(fmt.Sprintf("INSERT INTO s VALUES (%d)", id))
		seg := g.busy()
		if created := fmt.Sprintf(`"created":{"%d":`, seg.Txn.Position.File); !seg.Durable || !bytes.Contains(seg.State, []byte(created)) {
			t.Errorf("the rows at %s come with the state %s, durable %t; want %s", seg.Txn.Position, seg.State, seg.Durable, created)
		}
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
