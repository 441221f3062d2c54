package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/postgres"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/servers"
)

// TestReader runs every rule of the reader against real servers.
func TestReader(t *testing.T) {
	servers.Each(t, "PostgreSQL", func(t *testing.T, start servers.Starter) {
		db := start(t, nil)
		db.Part(t, servers.Parts[0])
		testReader(t, db)
	})
}

// testReader runs the rules against one server, each in a database of its own.
func testReader(t *testing.T, db servers.DB) {
	for name, f := range map[string]func(*testing.T, *rig){
		"attack 2, held commits":          testAttack2,
		"attack 3, asynchronous commit":   testAttack3,
		"load while rows are written":     testRaces,
		"rewritten under a view":          testRewritten,
		"a view that can't be ended":      testViewEnds,
		"altered under a load":            testAlteredUnderLoad,
		"keys":                            testKeys,
		"a table is added":                testAdd,
		"added over a held commit":        testAddHeld,
		"added alone":                     testAddAlone,
		"added by another's leave":        testAddOfOthers,
		"added in vain":                   testAddRefused,
		"added for good":                  testAddedStays,
		"parts of tables":                 testRange,
		"values":                          testValues,
		"unchanged TOAST is absent":       testToast,
		"large transaction in parts":      testParts,
		"rollback and savepoint":          testRollback,
		"idle database holds no WAL":      testIdle,
		"table without key":               testNoKey,
		"identity of partitions":          testPartitionIdentity,
		"append mode":                     testAppend,
		"key of the configuration":        testConfiguredKey,
		"keys that are refused":           testKeylessRefused,
		"table changed":                   testChanged,
		"truncate":                        testTruncate,
		"partitioned table":               testPartitioned,
		"partitions unseen":               testPartitionsUnseen,
		"generated and left out":          testLeftOut,
		"enum that grows":                 testEnumGrows,
		"lost connection":                 testLostConnection,
		"no first start":                  testNoFirstStart,
		"a first start again":             testFirstStartAgain,
		"a table changed at first":        testChangedAtFirst,
		"wrong password":                  testWrongPassword,
		"role without REPLICATION":        testNoReplication,
		"role that may publish nothing":   testPublicationByDBA,
		"no table matches":                testNoTable,
		"gap: slot dropped":               testSlotDropped,
		"gap: no state":                   testNoState,
		"attack 22, slot made again":      testSlotAgain,
		"attack 22, slot advanced":        testSlotAdvanced,
		"gap: another server":             testOtherServer,
		"attack 22, log ends before us":   testLogReset,
		"table changed while away":        testChangedAway,
		"attack 29, DDL in a transaction": testAttack29,
		"tables come and go":              testTables,
		"a schema with a dot":             testDottedSchema,
		"columns lost in a gap":           testLostInAGap,
		"a table is dropped meanwhile":    testDroppedMeanwhile,
		"a table is dropped at first":     testDroppedAtFirst,
		"a stopped table again":           testRestartTable,
		"a slot that waits":               testSlotWaits,
		"fuse":                            testFuse,
		"fuse of somebody else's slot":    testFuseOfOthers,
		"fuse, killed before the drop":    testFuseKilled,
		"warnings about the slot":         testRoomWarns,
		"leaving the server":              testLeave,
	} {
		t.Run(name, func(t *testing.T) { f(t, newRig(t, db)) })
	}
}

type rig struct {
	t   *testing.T
	db  servers.DB
	sql *pgx.Conn
	o   postgres.Options
	r   *postgres.Reader
	out []*event.TableStop // what stopped at the first start
}

func newRig(t *testing.T, db servers.DB) *rig {
	name := "db" + fmt.Sprint(time.Now().UnixNano())
	admin := open(t, db, "postgres")
	run(t, admin, "CREATE DATABASE "+name)
	rg := &rig{t: t, db: db, sql: open(t, db, name), o: postgres.Options{
		Source: event.Source{ID: "330108-" + name, Org: "330108", Engine: event.Postgres, Agent: "a1"},
		Host:   "127.0.0.1", Port: db.Port, Database: name, User: "postgres", Password: db.Password, Tables: []string{"public.*"}}}
	t.Cleanup(func() { // a slot left behind would hold the server's log for the tests to come
		if rg.r != nil {
			if err := rg.r.Close(); err != nil {
				t.Error(err)
			}
		}
		for deadline := time.Now().Add(10 * time.Second); ; {
			_, err := admin.Exec(context.Background(), `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1`, name)
			if err == nil {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	})
	return rg
}

func open(t *testing.T, db servers.DB, name string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(context.Background(), fmt.Sprintf("host=127.0.0.1 port=%d dbname=%s user=postgres password=%s sslmode=disable", db.Port, name, db.Password))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func run(t *testing.T, c *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := c.Exec(context.Background(), sql, args...); err != nil {
		t.Fatalf("%.100s: %v", sql, err)
	}
}

// can reports whether the server knows how to do something harmless.
func (g *rig) can(sql string) bool {
	_, err := g.sql.Exec(context.Background(), sql)
	return err == nil
}

// start starts the reader; a first start if res is zero.
func (g *rig) start(res capture.Resume) error {
	g.t.Helper()
	if g.r == nil {
		r, err := postgres.New(g.o)
		if err != nil {
			g.t.Fatal(err)
		}
		g.r = r
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		_, err := g.r.Start(ctx, res)
		if pe, ok := errors.AsType[*pgconn.PgError](err); ok && pe.Code == "55006" { // the former reader's session isn't gone yet
			continue
		}
		return err
	}
}

// first starts the reader at the present end and returns where that is.
func (g *rig) first() capture.Resume {
	g.t.Helper()
	if err := g.start(capture.Resume{FirstStart: true}); err != nil {
		g.t.Fatal(err)
	}
	seg := g.next()
	for g.out = nil; seg.Kind == event.TableStopped; seg = g.next() {
		g.out = append(g.out, seg.Stop)
	}
	if seg.Kind != event.Idle || seg.State == nil {
		g.t.Fatalf("the first segment is %+v, want an idle one with the state", seg)
	}
	return capture.Resume{Restart: seg.Restart, State: append([]byte(nil), seg.State...)}
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

// busy returns the next segment that isn't idle.
func (g *rig) busy() *event.Segment {
	g.t.Helper()
	for {
		if seg := g.next(); seg.Kind != event.Idle {
			return seg
		}
	}
}

func slot(t *testing.T, seg *event.Segment, column string) event.Value {
	t.Helper()
	row := seg.Rows[0]
	i := row.Table.Column(column)
	if i < 0 {
		t.Fatalf("no column %s in %v", column, row.Table.Columns)
	}
	return row.After[i]
}

func testToast(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE TABLE photo (id int PRIMARY KEY, note text, body text); ALTER TABLE photo ALTER body SET STORAGE EXTERNAL;
		INSERT INTO photo VALUES (1, 'a', repeat('x', 5000))`)
	g.first()
	run(t, g.sql, `UPDATE photo SET note = 'b'`)
	seg := g.busy()
	if body, note := slot(t, seg, "body"), slot(t, seg, "note"); body.State != event.Absent || string(note.B) != "b" || seg.Rows[0].Before != nil {
		t.Errorf("body %v, note %q, before %v", body.State, note.B, seg.Rows[0].Before)
	}
	run(t, g.sql, `UPDATE photo SET id = 9`)
	seg = g.busy()
	row := seg.Rows[0]
	if row.Before == nil || row.Before[0].Int() != 1 || row.Before[1].State != event.Absent || row.After[0].Int() != 9 || slot(t, seg, "body").State != event.Absent {
		t.Errorf("key change is %+v", row)
	}
}

func testParts(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE TABLE big (id int PRIMARY KEY, body text)`)
	g.first()
	run(t, g.sql, `INSERT INTO big SELECT i, repeat('x', 1000) FROM generate_series(1, 5000) i`)
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
			if seg.Restart.Offset <= pos.Offset {
				t.Errorf("restart %v isn't after the commit %v", seg.Restart, pos)
			}
			break
		}
	}
	if rows != 5000 || parts < 4 {
		t.Errorf("%d rows in %d parts", rows, parts)
	}
}

func testRollback(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE TABLE s (id int PRIMARY KEY)`)
	g.first()
	run(t, g.sql, `BEGIN; INSERT INTO s VALUES (1); ROLLBACK`)
	run(t, g.sql, `BEGIN; INSERT INTO s VALUES (2); SAVEPOINT a; INSERT INTO s VALUES (3); ROLLBACK TO a; INSERT INTO s VALUES (4); COMMIT`)
	seg := g.busy()
	if len(seg.Rows) != 2 || seg.Rows[0].After[0].Int() != 2 || seg.Rows[1].After[0].Int() != 4 {
		t.Errorf("rows %+v", seg.Rows)
	}
}

// testIdle writes only to a table that nobody asked for: the slot must follow
// all the same once the idle segments are acknowledged, and reading must come to the end of
// the server's log as the one who asks for that end sees it.
func testIdle(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE TABLE s (id int PRIMARY KEY); CREATE TABLE other (id int)`)
	g.o.Tables = []string{"public.s"}
	g.first()
	var target uint64
	if err := g.sql.QueryRow(context.Background(), `INSERT INTO other SELECT generate_series(1, 10000) RETURNING (pg_current_wal_lsn() - '0/0')::bigint`).Scan(&target); err != nil {
		t.Fatal(err)
	}
	room, err := postgres.NewRoom(g.o)
	if err != nil {
		t.Fatal(err)
	}
	end, err := room.Room(t.Context(), event.Place{})
	if err != nil || end.Server == "" || end.Server != g.r.Server() || end.Unwritten != 600*time.Millisecond {
		t.Fatalf("the server that is read is %q: %+v, %v", g.r.Server(), end, err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		seg := g.next()
		if seg.Kind != event.Idle {
			t.Fatalf("segment %+v of a table that nobody asked for", seg)
		}
		g.r.Ack(seg.Restart)
		var flushed uint64
		if err := g.sql.QueryRow(context.Background(), `SELECT confirmed_flush_lsn - '0/0' FROM pg_replication_slots WHERE database = current_database()`).Scan(&flushed); err != nil {
			t.Fatal(err)
		}
		if flushed >= target && seg.Restart.Compare(end.End) >= 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the slot stands at %d, before %d", flushed, target)
		}
	}
}

func (g *rig) stops(code, text string) {
	g.t.Helper()
	seg := g.busy()
	if seg.Kind != event.TableStopped || seg.Stop.Code != code || !strings.Contains(seg.Stop.Reason, text) {
		g.t.Fatalf("segment %+v, %+v, want the table stopped with %s and %q", seg, seg.Stop, code, text)
	}
	seg = g.busy()
	if len(seg.Rows) != 1 || seg.Rows[0].Table.Name != "good" || seg.Skipped != 1 {
		g.t.Errorf("the transaction has %d rows, %d skipped; the good table must flow", len(seg.Rows), seg.Skipped)
	}
}

func testTruncate(t *testing.T, g *rig) {
	if !g.can(`SELECT pubtruncate FROM pg_publication`) {
		testTruncateUnseen(t, g)
		return
	}
	run(t, g.sql, `CREATE TABLE s (id int PRIMARY KEY)`)
	g.first()
	run(t, g.sql, `BEGIN; INSERT INTO s VALUES (1); TRUNCATE s; INSERT INTO s VALUES (2); COMMIT`)
	seg := g.busy()
	if len(seg.Rows) != 3 || seg.Rows[1].Op != event.Truncate || seg.Rows[1].Table.Name != "s" {
		t.Errorf("rows %+v", seg.Rows)
	}
}

// testTruncateUnseen has a server that doesn't tell of TRUNCATE: the table is read again,
// also if it was truncated before.
func testTruncateUnseen(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE TABLE s (id int PRIMARY KEY); CREATE TABLE away (id int PRIMARY KEY); CREATE TABLE good (id int PRIMARY KEY)`)
	res := g.first()
	run(t, g.sql, `INSERT INTO s VALUES (1)`)
	g.busy()
	run(t, g.sql, `TRUNCATE s`)
	g.alters("s", "another file", true, false)
	run(t, g.sql, `BEGIN; INSERT INTO s VALUES (2); INSERT INTO good VALUES (1); COMMIT`)
	seg := g.busy()
	if len(seg.Rows) != 2 || seg.Skipped != 0 {
		t.Errorf("segment %+v", seg)
	}
	res.Last, res.Restart = seg.Txn.Position, seg.Restart
	res.State = append([]byte(nil), seg.State...)
	if err := g.r.Close(); err != nil {
		t.Fatal(err)
	}
	run(t, g.sql, `TRUNCATE away`)
	if err := g.start(res); err != nil {
		t.Fatal(err)
	}
	g.alters("away", "another file", true, false)
	run(t, g.sql, `INSERT INTO good VALUES (2)`)
	if seg = g.busy(); len(seg.Rows) != 1 || seg.Skipped != 0 {
		t.Errorf("segment %+v", seg)
	}
}

// testLostConnection ends the walsender in the middle of the stream: the reader
// asks to be tried again, and goes on without a transaction twice or lost.
func testLostConnection(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE TABLE s (id int PRIMARY KEY)`)
	res := g.first()
	run(t, g.sql, `INSERT INTO s VALUES (1)`)
	seg := g.busy()
	res.Last, res.Restart = seg.Txn.Position, seg.Restart
	run(t, g.sql, `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = current_database()`)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var err error
	for err == nil {
		_, err = g.r.Next(ctx)
	}
	if capture.ActionOf(err) != capture.Retry {
		t.Fatalf("%v: action %d, want a retry", err, capture.ActionOf(err))
	}
	run(t, g.sql, `INSERT INTO s VALUES (2)`)
	for err = g.start(res); err != nil; err = g.start(res) { // the server may hold the slot a moment longer
		if capture.ActionOf(err) != capture.Retry || ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	if seg := g.busy(); len(seg.Rows) != 1 || seg.Rows[0].After[0].Int() != 2 || seg.Txn.Position.Epoch != res.Last.Epoch {
		t.Errorf("segment %+v after the restart", seg)
	}
}

func testNoFirstStart(t *testing.T, g *rig) {
	if err := g.start(capture.Resume{}); !errors.Is(err, capture.ErrNoFirstStart) || capture.ActionOf(err) != capture.AskOperator {
		t.Errorf("%v, want %v", err, capture.ErrNoFirstStart)
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

func testWrongPassword(t *testing.T, g *rig) {
	g.o.Password = "not-the-password-8Jx"
	g.refuses("PG_ACCESS", "password authentication failed", "correct user and password")
}

func testNoReplication(t *testing.T, g *rig) {
	role := g.o.Database
	run(t, g.sql, `CREATE TABLE s (id int PRIMARY KEY); CREATE ROLE `+role+` LOGIN PASSWORD 'role-password-1'`)
	g.o.User, g.o.Password = role, "role-password-1"
	g.refuses("PG_ACCESS", "REPLICATION", "GRANT")
	run(t, g.sql, `ALTER ROLE `+role+` NOLOGIN`)
	g.refuses("PG_ACCESS", "not permitted to log in", "LOGIN")
}

func testNoTable(t *testing.T, g *rig) {
	g.o.Tables = []string{"public.nothing*"}
	g.refuses("PG_NO_TABLE", "nothing*")
}

// TestPostgres96 meets a server that is too old.
func TestPostgres96(t *testing.T) {
	db := servers.OldPostgres(t)
	if !strings.HasPrefix(db.Server.Version, "9.6.") {
		t.Fatalf("the server is %s", db.Server.Version)
	}
	g := newRig(t, db)
	g.refuses("PG_VERSION", "9.6.24", "PostgreSQL 10 or newer")
}

// TestServerSettings starts a server as a DBA left it.
func TestServerSettings(t *testing.T) {
	g := newRig(t, servers.Postgres(t, map[string]string{"wal_level": "replica"}))
	g.refuses("PG_WAL_LEVEL", "wal_level is replica", "ALTER SYSTEM SET wal_level")
}
