package preflight_test

import (
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/test/servers"
)

// TestGuestAtMariaDB: a look writes nothing into the log and reads no row. That the
// server counts is shown by a row that is read on purpose.
func TestGuestAtMariaDB(t *testing.T) {
	m := newMaria(t, servers.MariaDB(t, map[string]string{"userstat": "1"}))
	o := m.source(t, "guest")
	m.run(t, "CREATE TABLE guest.bare (a int, b varchar(9) CHARACTER SET sjis)")
	m.run(t, "INSERT INTO guest.student VALUES (1, 'x')")
	first := func(sql string, column int) string {
		t.Helper()
		res, err := m.admin.Execute(sql)
		if err != nil {
			t.Fatal(err)
		}
		if res.RowNumber() == 0 {
			return ""
		}
		s, err := res.GetString(0, column)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	m.run(t, "FLUSH LOCAL TABLE_STATISTICS")
	end := first("SHOW MASTER STATUS", 1)
	look(t, o)
	const read = "SELECT SUM(ROWS_READ) FROM information_schema.TABLE_STATISTICS WHERE TABLE_SCHEMA = 'guest'"
	if n := first(read, 0); n != "" && n != "0" {
		t.Errorf("%s rows were read", n)
	}
	if now := first("SHOW MASTER STATUS", 1); now != end {
		t.Errorf("the log ends at %s, ended at %s", now, end)
	}
	m.run(t, "SELECT * FROM guest.student")
	if n := first(read, 0); n != "1" {
		t.Errorf("the server doesn't count: %q", n)
	}
}

// TestGuestAtPostgres: the same there; and nothing is made.
func TestGuestAtPostgres(t *testing.T) {
	e := newElephant(t, servers.PostgresPrograms(t, nil))
	o := e.source(t, "guest")
	e.run(t, "INSERT INTO guest.student VALUES (1, 'x')")
	e.run(t, "DROP PUBLICATION tributary_330106_guest")
	scans := func() (n int) {
		t.Helper()
		e.run(t, "SELECT pg_stat_force_next_flush()") // what this connection has counted
		if err := e.admin.QueryRow(t.Context(), "SELECT seq_scan + idx_scan FROM pg_stat_user_tables WHERE relname = 'student'").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := scans()
	look(t, o)
	left := 1
	for deadline := time.Now().Add(limit); left > 0 && time.Now().Before(deadline); { // a session counts at its end
		if err := e.admin.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE usename = 'capture'").Scan(&left); err != nil {
			t.Fatal(err)
		}
	}
	if n := scans() - before; n != 0 || left > 0 {
		t.Errorf("the table was scanned %d times, %d sessions are left", n, left)
	}
	e.run(t, "SELECT * FROM guest.student")
	if n := scans() - before; n != 1 {
		t.Errorf("the server doesn't count: %d scans", n)
	}
	var made int
	if err := e.admin.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM pg_replication_slots) + (SELECT count(*) FROM pg_publication)").Scan(&made); err != nil || made != 0 {
		t.Errorf("%d slots and publications are there, %v", made, err)
	}
}
