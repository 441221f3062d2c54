package mysql_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/mysql"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestReader runs the reader's rules against one real server, each in a database
// of its own.
func TestReader(t *testing.T) {
	db := servers.MariaDB(t, nil)
	n := 0
	for name, f := range map[string]func(*testing.T, *rig){
		"values": testValues,
		"values without metadata": func(t *testing.T, g *rig) {
			g.run("SET GLOBAL binlog_row_metadata = MINIMAL")
			g.again()
			testValues(t, g)
		},
		"large transaction in parts": testParts,
		"rollback and savepoint":     testRollback,
		"table without transactions": testMyISAM,
		"minimal images":             testMinimal,
		"compressed events":          testCompressed,
		"idle":                       testIdle,
		"table without key": func(t *testing.T, g *rig) {
			testStopped(t, g, "id int", "VALUES (1)", "TABLE_NO_KEY", "ADD PRIMARY KEY")
		},
		"unsupported type": func(t *testing.T, g *rig) {
			testStopped(t, g, "id int PRIMARY KEY, p point", "(id) VALUES (1)", "TYPE_UNSUPPORTED", `column "p"`)
		},
		"table changed":              testChanged,
		"table changed while away":   testChangedAway,
		"truncate":                   testTruncate,
		"statement in the log":       testStatement,
		"restart":                    testRestart,
		"restart over rotated files": testRotated,
		"no first start":             testNoFirstStart,
		"wrong password": func(t *testing.T, g *rig) {
			g.o.Password = "not-the-password-8Jx"
			g.refuses("MYSQL_LOGIN", "Access denied")
		},
		"no table matches": func(t *testing.T, g *rig) {
			g.o.Tables = []string{"nothing.*"}
			g.refuses("MYSQL_NO_TABLE", "nothing.*")
		},
		"missing grant": testMissingGrant,
		"binlog_format": testBinlogFormat,
		"XA":            testXA,
	} {
		n++
		t.Run(name, func(t *testing.T) { f(t, newRig(t, db, fmt.Sprintf("db%d", n))) })
	}
}

// TestGaps loses continuity in every way, each on a server of its own.
func TestGaps(t *testing.T) {
	for code, f := range map[string]func(*rig){
		"BINLOG_PURGED": func(g *rig) {
			g.run("FLUSH BINARY LOGS")
			g.run("FLUSH BINARY LOGS")
			for files := g.query("SHOW BINARY LOGS"); len(files) > 1; files = g.query("SHOW BINARY LOGS") {
				g.run("PURGE BINARY LOGS TO '" + files[len(files)-1] + "'") // without effect while the old reader's thread lives
			}
		},
		"LOG_RESET": func(g *rig) {
			g.run("RESET MASTER")
			for i := range 50 { // the new log is longer than the old one
				g.run(fmt.Sprintf("INSERT INTO s VALUES (%d)", 100+i))
			}
		},
		"OTHER_SERVER": func(g *rig) { g.run("SET GLOBAL server_id = 77"); g.again() },
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, servers.MariaDB(t, nil), "gap")
			g.run("CREATE TABLE s (id int PRIMARY KEY)")
			res := g.first()
			g.run("INSERT INTO s VALUES (1)")
			g.take(&res, g.busy())
			if err := g.r.Close(); err != nil {
				t.Fatal(err)
			}
			f(g)
			err := g.start(res)
			var gap *capture.GapError
			if !errors.As(err, &gap) || gap.Code != code && !(code == "LOG_RESET" && gap.Code == "GTID_UNKNOWN") || gap.From != res.Last {
				t.Errorf("%v, want the gap %s after %s", err, code, res.Last)
			}
		})
	}
}

type rig struct {
	t    *testing.T
	db   servers.DB
	name string
	sql  *client.Conn
	o    mysql.Options
	r    *mysql.Reader
}

func newRig(t *testing.T, db servers.DB, name string) *rig {
	g := &rig{t: t, db: db, name: name, sql: db.Connect(t, "")}
	g.run("SET GLOBAL binlog_row_metadata = FULL")
	g.run("CREATE DATABASE " + name + " CHARACTER SET utf8mb4")
	g.again()
	g.o = mysql.Options{Source: event.Source{ID: "330106-" + name, Org: "330106", Engine: event.MariaDB, Agent: "a1"},
		Host: db.Host, Port: db.Port, User: db.User, Password: db.Password, Tables: []string{name + ".*"}}
	t.Cleanup(func() {
		if g.r != nil {
			if err := g.r.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return g
}

// again opens a new session, which sees global variables as they are now.
func (g *rig) again() { g.sql = g.db.Connect(g.t, g.name) }

func (g *rig) run(sql string) {
	g.t.Helper()
	if _, err := g.sql.Execute(sql); err != nil {
		g.t.Fatalf("%.100s: %v", sql, err)
	}
}

// query gives the first column.
func (g *rig) query(sql string) (out []string) {
	g.t.Helper()
	res, err := g.sql.Execute(sql)
	if err != nil {
		g.t.Fatal(err)
	}
	for i := range res.RowNumber() {
		s, err := res.GetString(i, 0)
		if err != nil {
			g.t.Fatal(err)
		}
		out = append(out, strings.Clone(s))
	}
	return out
}

func (g *rig) start(res capture.Resume) error {
	g.t.Helper()
	if g.r == nil {
		r, err := mysql.New(g.o)
		if err != nil {
			g.t.Fatal(err)
		}
		g.r = r
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, err := g.r.Start(ctx, res)
	return err
}

func (g *rig) first() capture.Resume {
	g.t.Helper()
	if err := g.start(capture.Resume{FirstStart: true}); err != nil {
		g.t.Fatal(err)
	}
	seg := g.next()
	if seg.Kind != event.Idle || seg.State == nil {
		g.t.Fatalf("the first segment is %+v, want an idle one with the state", seg)
	}
	return capture.Resume{Restart: seg.Restart, State: append([]byte(nil), seg.State...)}
}

// take follows what the log would hold.
func (g *rig) take(res *capture.Resume, seg *event.Segment) {
	res.Last, res.Restart = seg.Txn.Position, seg.Restart
	res.Since = append(res.Since, seg.Txn.ID)
	if seg.State != nil {
		res.State, res.Since = append([]byte(nil), seg.State...), nil
	}
}

func (g *rig) next() *event.Segment {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	seg, err := g.r.Next(ctx)
	if err != nil {
		g.t.Fatal(err)
	}
	return seg
}

func (g *rig) busy() *event.Segment {
	g.t.Helper()
	for {
		if seg := g.next(); seg.Kind != event.Idle {
			return seg
		}
	}
}

func (g *rig) refuses(code string, texts ...string) {
	g.t.Helper()
	err := g.start(capture.Resume{FirstStart: true})
	var coded *capture.Coded
	if !errors.As(err, &coded) || coded.Code != code || capture.ActionOf(err) != capture.AskOperator {
		g.t.Fatalf("%v, want %s", err, code)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error()+coded.Hint, text) {
			g.t.Errorf("%v (%s) doesn't say %q", err, coded.Hint, text)
		}
	}
	if strings.Contains(err.Error(), g.o.Password) || strings.Contains(err.Error(), g.db.Password) {
		g.t.Errorf("the error holds a password: %v", err)
	}
}

func testValues(t *testing.T, g *rig) {
	text := func(s string) event.Value { return event.Raw([]byte(s)) }
	micro := func(s string) event.Value {
		v, err := time.Parse("2006-01-02 15:04:05.999999", s)
		if err != nil {
			t.Fatal(err)
		}
		return event.Signed(v.UnixMicro())
	}
	values := []struct {
		typ, literal string
		want         event.Value
		anomaly      string
	}{
		{"tinyint", "-128", event.Signed(-128), ""},
		{"tinyint unsigned", "255", event.Number(255), ""},
		{"bool", "true", event.Signed(1), ""},
		{"smallint", "-32768", event.Signed(math.MinInt16), ""},
		{"mediumint", "-8388608", event.Signed(-8388608), ""},
		{"mediumint unsigned", "16777215", event.Number(16777215), ""},
		{"int", "-2147483648", event.Signed(math.MinInt32), ""},
		{"int unsigned", "4294967295", event.Number(math.MaxUint32), ""},
		{"bigint", "-9223372036854775808", event.Signed(math.MinInt64), ""},
		{"bigint unsigned", "18446744073709551615", event.Number(math.MaxUint64), ""},
		{"decimal(5,1)", "-9999.9", text("-9999.9"), ""},
		{"decimal(65,30)", "12345678901234567890123456789012345.012345678901234567890123456789", text("12345678901234567890123456789012345.012345678901234567890123456789"), ""},
		{"float", "1.5", event.Number(uint64(math.Float32bits(1.5))), ""},
		{"double", "-1e300", event.Number(math.Float64bits(-1e300)), ""},
		{"bit(12)", "b'101010101011'", text("101010101011"), ""},
		{"char(4)", "'杭州'", text("杭州"), ""},
		{"char(200)", "'西湖区𠮷'", text("西湖区𠮷"), ""},
		{"varchar(20)", "''", text(""), ""},
		{"varchar(300)", "'学籍'", text("学籍"), ""},
		{"varchar(20) CHARACTER SET gbk", "'镕喆'", text("镕喆"), ""},
		{"varchar(20) CHARACTER SET latin1", "'é€'", text("é€"), ""},
		{"varchar(20) CHARACTER SET ascii", "'abc'", text("abc"), ""},
		{"text CHARACTER SET utf8mb3", "'数学'", text("数学"), ""},
		{"mediumtext", "REPEAT('语', 30000)", text(strings.Repeat("语", 30000)), ""},
		{"binary(4)", "X'0100'", event.Raw([]byte{1, 0, 0, 0}), ""},
		{"varbinary(9)", "X'00ff00'", event.Raw([]byte{0, 255, 0}), ""},
		{"blob", "X'00'", event.Raw([]byte{0}), ""},
		{"date", "'2026-09-01'", event.Signed(time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC).Unix() / 86400), ""},
		{"date", "'0000-00-00'", event.NullValue, "0000-00-00"},
		{"date", "'2010-02-00'", event.NullValue, "2010-02-00"},
		{"time", "'-838:59:59'", event.Signed(-(838*3600 + 59*60 + 59) * 1e6), ""},
		{"time(6)", "'-00:00:00.000001'", event.Signed(-1), ""},
		{"time(3)", "'12:34:56.789'", event.Signed((12*3600+34*60+56)*1e6 + 789000), ""},
		{"datetime", "'9999-12-31 23:59:59'", micro("9999-12-31 23:59:59"), ""},
		{"datetime(6)", "'2026-09-01 08:05:59.000001'", micro("2026-09-01 08:05:59.000001"), ""},
		{"datetime(3)", "'0000-00-00'", event.NullValue, "0000-00-00 00:00:00.000"},
		{"timestamp(6) NULL", "'2026-09-01 00:00:00.123456'", micro("2026-09-01 00:00:00.123456"), ""},
		{"timestamp NULL", "'0000-00-00 00:00:00'", event.NullValue, "0000-00-00 00:00:00"},
		{"year", "2155", event.Number(2155), ""},
		{"enum('男','女')", "'女'", text("女"), ""},
		{"enum('初','高') CHARACTER SET gbk", "'高'", text("高"), ""},
		{"set('语','数','外')", "'语,外'", text("语,外"), ""},
		{"json", `'{"a": 1.0}'`, text(`{"a": 1.0}`), ""},
	}
	defs, literals := []string{"id int PRIMARY KEY"}, []string{"1"}
	for i, v := range values {
		typ := v.typ
		if !strings.HasSuffix(typ, "NULL") {
			typ += " NULL"
		}
		defs, literals = append(defs, fmt.Sprintf("c%d %s", i, typ)), append(literals, v.literal)
	}
	g.run("SET SESSION sql_mode = ''")
	g.run("SET SESSION time_zone = '+00:00'")
	g.run("CREATE TABLE v (" + strings.Join(defs, ", ") + ")")
	g.first()
	g.run("INSERT INTO v VALUES (" + strings.Join(literals, ", ") + ")")
	g.run("INSERT INTO v (id) VALUES (2)")
	row := g.busy().Rows[0]
	anomalies := map[int]string{}
	for _, a := range row.Anomalies {
		anomalies[a.Column] = a.Raw
	}
	for i, v := range values {
		got := row.After[i+1]
		if got.State != v.want.State || got.N != v.want.N || string(got.B) != string(v.want.B) || anomalies[i+1] != v.anomaly {
			t.Errorf("%s %.60s = state %d, %d, %.60q, anomaly %q; want %d %.60q", v.typ, v.literal, got.State, int64(got.N), got.B, anomalies[i+1], int64(v.want.N), v.want.B)
		}
	}
	row = g.busy().Rows[0]
	for i, v := range values {
		if row.After[i+1].State != event.Null || len(row.Anomalies) != 0 {
			t.Errorf("%s: %+v, want NULL", v.typ, row.After[i+1])
		}
	}
}

func testParts(t *testing.T, g *rig) {
	g.run("CREATE TABLE big (id int PRIMARY KEY, body text)")
	g.first()
	g.run("INSERT INTO big SELECT seq, REPEAT('x', 1000) FROM seq_1_to_5000")
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

func testCompressed(t *testing.T, g *rig) {
	g.run("SET GLOBAL log_bin_compress = ON")
	defer g.run("SET GLOBAL log_bin_compress = OFF")
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

func testIdle(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	g.run("CREATE DATABASE IF NOT EXISTS other_idle")
	g.run("CREATE TABLE IF NOT EXISTS other_idle.o (id int PRIMARY KEY)")
	res := g.first()
	g.run("INSERT INTO other_idle.o VALUES (1)")
	for deadline := time.Now().Add(15 * time.Second); ; {
		seg := g.next()
		if seg.Kind != event.Idle {
			t.Fatalf("segment %+v of a table that nobody asked for", seg)
		}
		if seg.Restart.Compare(res.Restart) > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the restart doesn't move")
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

func testChanged(t *testing.T, g *rig) {
	g.run("CREATE TABLE moving (id int PRIMARY KEY)")
	g.run("CREATE TABLE good (id int PRIMARY KEY)")
	g.first()
	g.run("ALTER TABLE moving ADD note text")
	for _, sql := range []string{"BEGIN", "INSERT INTO moving VALUES (2, 'x')", "INSERT INTO good VALUES (1)", "COMMIT"} {
		g.run(sql)
	}
	g.stops("TABLE_CHANGED", "ADD note", 1)
}

// testChangedAway changes the table while nobody reads, and begins anew with the
// state: the statement stands in the log.
func testChangedAway(t *testing.T, g *rig) {
	g.run("CREATE TABLE moving (id int PRIMARY KEY)")
	g.run("CREATE TABLE good (id int PRIMARY KEY)")
	res := g.first()
	g.run("INSERT INTO moving VALUES (1)")
	g.take(&res, g.busy())
	if err := g.r.Close(); err != nil {
		t.Fatal(err)
	}
	g.run("RENAME TABLE moving TO moved, moved TO moving")
	for _, sql := range []string{"BEGIN", "INSERT INTO moving VALUES (2)", "INSERT INTO good VALUES (1)", "COMMIT"} {
		g.run(sql)
	}
	if err := g.start(res); err != nil {
		t.Fatal(err)
	}
	if seg := g.busy(); seg.Kind != event.TableStopped || seg.Stop.Table != g.name+".moving" {
		t.Fatalf("segment %+v", seg)
	}
	g.stops("TABLE_CHANGED", "RENAME", 1)
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

func testMissingGrant(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	g.run("CREATE OR REPLACE USER 'poor'@'127.0.0.1' IDENTIFIED BY 'poor-password-1'")
	g.run("GRANT SELECT ON " + g.name + ".* TO 'poor'@'127.0.0.1'")
	g.o.User, g.o.Password = "poor", "poor-password-1"
	g.refuses("MYSQL_GRANT", "REPLICATION SLAVE")
}

func testBinlogFormat(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	g.run("SET GLOBAL binlog_format = MIXED")
	defer g.run("SET GLOBAL binlog_format = ROW")
	g.refuses("MYSQL_BINLOG_FORMAT", "binlog_format is MIXED", "SET GLOBAL binlog_format = 'ROW'")
}

func testXA(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	g.first()
	for _, sql := range []string{"XA START 'a'", "INSERT INTO s VALUES (1)", "XA END 'a'", "XA PREPARE 'a'"} {
		g.run(sql)
	}
	defer g.run("XA COMMIT 'a'")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		seg, err := g.r.Next(ctx)
		var coded *capture.Coded
		if errors.As(err, &coded) && coded.Code == "MYSQL_XA" && capture.ActionOf(err) == capture.StopSource {
			return
		}
		if err != nil || seg.Kind == event.Rows {
			t.Fatalf("%+v, %v; want the source to stop", seg, err)
		}
	}
}
