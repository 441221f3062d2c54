package postgres_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"

	"github.com/tributary-cdc/tributary/test/servers"
)

// TestManyTables: a source of TABLES tables, each of which has been written to, is read
// on after a restart within five seconds, and its state fits a record of the log.
func TestManyTables(t *testing.T) {
	tables := int(servers.Number(t, "TABLES", 500))
	g := newRig(t, servers.PostgresPrograms(t, map[string]string{"max_locks_per_transaction": "20000"}))
	var create, insert strings.Builder
	for n := range tables {
		fmt.Fprintf(&create, "CREATE TABLE t%d (id int PRIMARY KEY, name varchar(40), born date, score numeric(5,2));", n)
		fmt.Fprintf(&insert, "INSERT INTO t%d VALUES (1, '张三', '2015-09-01', 98.5);", n)
	}
	run(t, g.sql, create.String())
	began := time.Now()
	res := g.first()
	t.Logf("first start with %d tables: %s, state of %d bytes", tables, time.Since(began), len(res.State))
	run(t, g.sql, insert.String())
	began = time.Now()
	for n := 0; n < tables; {
		seg := g.busy()
		n += len(seg.Rows)
		if seg.Last {
			res.Last, res.Restart, res.Since = seg.Txn.Position, seg.Restart, append(res.Since, seg.Txn.ID)
		}
	}
	t.Logf("a row of each: %s", time.Since(began))
	seg := g.next()
	for told := false; !told; seg = g.next() {
		g.r.Ack(res.Restart)
		if err := g.sql.QueryRow(t.Context(), "SELECT bool_and(confirmed_flush_lsn >= $1::text::pg_lsn) FROM pg_replication_slots", pglogrepl.LSN(res.Restart.Offset).String()).Scan(&told); err != nil {
			t.Fatal(err)
		}
	}
	res.Restart, res.State, res.Since = seg.Restart, append([]byte(nil), seg.State...), nil
	t.Logf("state of %d bytes", len(res.State))
	if len(res.State) > 1<<20 {
		t.Errorf("a state of %d bytes doesn't fit a record", len(res.State))
	}
	if err := g.r.Close(); err != nil {
		t.Fatal(err)
	}
	g.inactive()
	began = time.Now()
	if err := g.start(res); err != nil {
		t.Fatal(err)
	}
	t.Logf("start: %s", time.Since(began))
	run(t, g.sql, "INSERT INTO t7 VALUES (2, '李四', NULL, NULL)")
	if seg := g.busy(); len(seg.Rows) != 1 || seg.Rows[0].After[0].Int() != 2 {
		t.Errorf("%+v", seg)
	}
	const limit = 5 * time.Second
	took := time.Since(began)
	if t.Logf("first row after a restart: %s", took); took > limit {
		t.Errorf("a restart with %d tables takes %s, want %s at most", tables, took, limit)
	}
}
