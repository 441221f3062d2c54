package postgres_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/postgres"
	"github.com/tributary-cdc/tributary/test/servers"
)

// waits starts the reader for the first time behind something that holds its slot up, wants
// that to be told with each of the texts, ends it, and expects the start to go on.
func (g *rig) waits(hint string, end func(), texts ...string) {
	g.t.Helper()
	var err error
	if g.r, err = postgres.New(g.o); err != nil {
		g.t.Fatal(err)
	}
	started := make(chan error, 1)
	go func() { started <- g.start(capture.Resume{FirstStart: true}) }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for err = g.r.Waiting(); err == nil; err = g.r.Waiting() {
		select {
		case <-tick.C:
		case err := <-started:
			g.t.Fatalf("the start ended with %v and never told what it waits for", err)
		}
	}
	var coded *capture.Coded
	if !errors.As(err, &coded) || coded.Code != "PG_SLOT_WAITS" || !strings.Contains(coded.Hint, hint) {
		g.t.Errorf("%+v, want PG_SLOT_WAITS and %q", coded, hint)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			g.t.Errorf("%v doesn't say %q", err, text)
		}
	}
	end()
	if err := <-started; err != nil {
		g.t.Errorf("the start: %v", err)
	}
	if err := g.r.Waiting(); err != nil {
		g.t.Errorf("still waiting: %v", err)
	}
}

// testSlotWaits has a transaction in another database that was open before the slot.
func testSlotWaits(t *testing.T, g *rig) {
	run(t, g.sql, `CREATE TABLE s (id int PRIMARY KEY)`)
	other := open(t, g.db, "postgres")
	for _, sql := range []string{"SET application_name = 'nightly export'", "BEGIN", "SELECT txid_current()"} {
		run(t, other, sql)
	}
	end := fmt.Sprintf("SELECT pg_terminate_backend(%d)", other.PgConn().PID())
	g.waits(end, func() { run(t, g.sql, end) }, fmt.Sprintf("pid %d (postgres, nightly export, database postgres, idle in transaction) since 20", other.PgConn().PID()), "tributary_330108_"+g.o.Database)
}

// TestSlotBehindAPreparedTransaction: it has no session that could be ended. The reader's role
// sees of other sessions no more than that they are there.
func TestSlotBehindAPreparedTransaction(t *testing.T) {
	g := newRig(t, servers.Postgres(t, map[string]string{"max_prepared_transactions": "4"}))
	role := g.o.Database
	run(t, g.sql, `CREATE ROLE `+role+` LOGIN REPLICATION PASSWORD 'role-password-1'; CREATE TABLE s (id int PRIMARY KEY); ALTER TABLE s OWNER TO `+role+`; GRANT CREATE ON DATABASE `+role+` TO `+role)
	g.o.User, g.o.Password = role, "role-password-1"
	other := open(t, g.db, "postgres")
	for _, sql := range []string{"BEGIN", "SELECT txid_current()", "PREPARE TRANSACTION 'it''s left'"} {
		run(t, other, sql)
	}
	const end = "ROLLBACK PREPARED 'it''s left'"
	g.waits("COMMIT PREPARED 'it''s left' or "+end, func() { run(t, other, end) }, "prepared transaction 'it''s left' of postgres in postgres, prepared at 20")
	if err := g.r.Close(); err != nil {
		t.Fatal(err)
	}
	g.inactive()
	run(t, g.sql, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()`)
	for _, sql := range []string{"BEGIN", "SELECT txid_current()"} {
		run(t, other, sql)
	}
	pid := other.PgConn().PID()
	g.waits(fmt.Sprintf("pg_terminate_backend(%d)", pid), func() { run(t, other, "COMMIT") }, fmt.Sprintf("pid %d (postgres, database postgres) since a time that %s may not see", pid, role))
}
