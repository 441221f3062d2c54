package mysql_test

import (
	"strings"
	"testing"
)

// testSequences: sequences of captured databases are left out, whenever they were made and
// whatever they are called since; a table that gets such a name is captured.
func testSequences(t *testing.T, g *rig) {
	if !g.maria() || strings.HasPrefix(g.query("SELECT VERSION()")[0], "10.2.") { // they are of MariaDB 10.3
		return
	}
	g.run("CREATE TABLE s (id int PRIMARY KEY)")
	g.run("CREATE SEQUENCE before_us")
	g.run("CREATE TABLE not_yet (id int PRIMARY KEY)")
	res := g.first()
	counted := 0
	quiet := func(sequences ...string) { // nothing but the row comes
		t.Helper()
		for _, name := range sequences {
			g.run("DO NEXTVAL(" + name + ")")
		}
		counted++
		g.run("INSERT INTO s VALUES (" + strings.Repeat("1", counted) + ")")
		g.take(&res, g.comes("s", "id int32", strings.Repeat("1", counted)))
	}
	quiet("before_us")
	g.run("CREATE OR REPLACE SEQUENCE made START WITH 5 CACHE 10")
	g.run("CREATE TABLE IF NOT EXISTS made (id int PRIMARY KEY)")
	quiet("made")
	g.run("RENAME TABLE made TO renamed")
	g.run("ALTER TABLE before_us RENAME TO renamed_too")
	quiet("renamed", "renamed_too")
	g.run("INSERT INTO not_yet VALUES (1)")
	g.take(&res, g.comes("not_yet", "id int32", "1"))
	if err := g.r.Close(); err != nil {
		t.Fatal(err)
	}
	g.run("DO NEXTVAL(renamed)") // and it is gone before anybody looks
	g.run("DROP SEQUENCE renamed")
	if err := g.start(res); err != nil {
		t.Fatal(err)
	}
	quiet("renamed_too")
	g.run("CREATE TABLE renamed (id int PRIMARY KEY)")
	g.run("INSERT INTO renamed VALUES (1)")
	g.comes("renamed", "id int32", "1")
	g.run("DROP TABLE renamed_too") // so may a sequence be dropped
	g.run("CREATE TABLE renamed_too (id int PRIMARY KEY)")
	g.run("INSERT INTO renamed_too VALUES (1)")
	g.comes("renamed_too", "id int32", "1")
}
