package postgres_test

import (
	"fmt"
	"testing"
)

// testFirstStartAgain has an agent that died between making its slot and its first record. What
// was written since then, and is gone by what the stream doesn't tell, mustn't come.
func testFirstStartAgain(t *testing.T, g *rig) {
	run(t, g.sql, "CREATE TABLE emptied (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)")
	g.first()
	if err := g.r.Close(); err != nil {
		t.Fatal(err)
	}
	run(t, g.sql, "INSERT INTO emptied VALUES (1), (2)")
	run(t, g.sql, "INSERT INTO other VALUES (1), (2)")
	run(t, g.sql, "TRUNCATE emptied")
	run(t, g.sql, "DROP TABLE other; CREATE TABLE other (id int PRIMARY KEY); ALTER PUBLICATION tributary_330108_"+g.o.Database+" ADD TABLE other")
	g.first()
	run(t, g.sql, "INSERT INTO emptied VALUES (3)")
	g.comes("emptied id int32: 3")
	run(t, g.sql, "INSERT INTO other VALUES (4)")
	g.comes("other id int32: 4")
	if n := g.slots(); n != 1 {
		t.Errorf("the source has %d slots, want 1", n)
	}
}

// testChangedAtFirst has a table made anew while the first start waits for its slot: its rows of
// before come with the stream, so it is read again behind them.
func testChangedAtFirst(t *testing.T, g *rig) {
	run(t, g.sql, "CREATE TABLE s (id int PRIMARY KEY)")
	old, writer := open(t, g.db, "postgres"), g.another()
	for _, sql := range []string{"BEGIN", "SELECT txid_current()"} {
		run(t, old, sql)
	}
	g.waits("pg_terminate_backend", func() {
		run(t, writer, "DROP TABLE s; CREATE TABLE s (id int PRIMARY KEY); ALTER PUBLICATION tributary_330108_"+g.o.Database+" ADD TABLE s")
		run(t, old, "COMMIT")
	}, fmt.Sprintf("pid %d", old.PgConn().PID()))
	g.alters("s", "another table has its name", true, false)
}
