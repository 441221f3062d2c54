package postgres_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
)

// testPublicationByDBA starts as a role that may make no publication of the tables: it is
// told the statement for a DBA, and starts once that has been run as it stands.
func testPublicationByDBA(t *testing.T, g *rig) {
	role := g.o.Database
	run(t, g.sql, `CREATE TABLE s (id int PRIMARY KEY); CREATE TABLE "Odd one" (id int PRIMARY KEY); CREATE ROLE `+role+` LOGIN REPLICATION PASSWORD 'role-password-1'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO `+role)
	g.o.User, g.o.Password = role, "role-password-1"
	g.refuses("PG_PUBLICATION", "permission denied", "CREATE PUBLICATION", `"public"."s"`, `"public"."Odd one"`)
	if n := g.texts("SELECT count(*)::text FROM pg_replication_slots WHERE database = current_database()")[0]; n != "0" {
		t.Errorf("%s slots are left at the server", n)
	}
	var coded *capture.Coded
	if err := g.start(capture.Resume{FirstStart: true}); !errors.As(err, &coded) {
		t.Fatal(err)
	}
	run(t, g.sql, coded.Hint)
	g.first()
	for i, table := range []string{"s", `"Odd one"`} {
		run(t, g.sql, fmt.Sprintf("INSERT INTO %s VALUES (%d)", table, i+1))
		if seg := g.busy(); len(seg.Rows) != 1 || seg.Rows[0].After[0].Int() != int64(i+1) {
			t.Errorf("segment %+v", seg)
		}
	}
}
