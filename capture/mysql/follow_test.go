package mysql_test

import (
	"testing"

	"github.com/tributary-cdc/tributary/stream/event"
)

// step is a statement, what its alteration says, and a row behind it.
type step struct {
	sql     string
	reread  bool
	insert  string // values; empty for none
	columns string
	row     string
}

// followed are statements whose effect stands nowhere in a TABLE_MAP without metadata:
// names, signs, labels, character sets.
var followed = []step{
	{"ALTER TABLE s MODIFY a varchar(9) AFTER b", true, "(1, 'b', 'a')", "id int32, b string(9), a string(9)", "1 b a"},
	{"ALTER TABLE s CHANGE a b varchar(9), CHANGE b a varchar(9)", true, "(2, 'a', 'b')", "id int32, a string(9), b string(9)", "2 a b"},
	{"ALTER TABLE s MODIFY a varchar(9) CHARACTER SET gbk, MODIFY b text CHARACTER SET latin1", true, "(3, '学镕', 'é')", "id int32, a string(9), b string", "3 学镕 é"},
	{"ALTER TABLE s CONVERT TO CHARACTER SET utf8mb4", true, "(4, '𠮷', '€')", "id int32, a string(9), b string", "4 𠮷 €"},
	{"ALTER TABLE s ADD k enum('男','女') FIRST", false, "('女', 5, 'a', 'b')", "k enum, id int32, a string(9), b string", "女 5 a b"},
	{"ALTER TABLE s MODIFY k enum('女','男')", true, "('女', 6, 'a', 'b')", "k enum, id int32, a string(9), b string", "女 6 a b"},
	{"ALTER TABLE s DROP k, DROP b, MODIFY id int unsigned, DEFAULT CHARACTER SET gbk", true, "(4294967295, 'a')", "id uint32, a string(9)", "4294967295 a"},
	{"ALTER TABLE s ADD b varchar(9) FIRST /* in the table's set */", true, "('镕', 8, 'a')", "b string(9), id uint32, a string(9)", "镕 8 a"},
	{"ALTER TABLE s ADD (d timestamp NULL, e decimal(5,2), f datetime(3))", true, "('x', 9, 'a', NULL, 1.5, NULL)", "b string(9), id uint32, a string(9), d timestamp, e decimal(5,2), f datetime(3)", "x 9 a ~ 1.50 ~"},
	{"ALTER TABLE s DROP d, DROP e, DROP f", false, "('x', 10, 'a')", "b string(9), id uint32, a string(9)", "x 10 a"},
	{"ALTER TABLE s ADD KEY (a), ADD UNIQUE u (id, a)", false, "('x', 11, 'a')", "b string(9), id uint32, a string(9)", "x 11 a"},
}

// testFollowed has the columns of a table by the statements of the log alone.
func testFollowed(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY, a varchar(9), b varchar(9))")
	g.first()
	for _, step := range followed {
		g.run(step.sql)
		g.run("INSERT INTO s VALUES " + step.insert)
		g.alters("s", step.sql, step.reread, false)
		g.comes("s", step.columns, step.row)
	}
	// New tables, in the character set of the database.
	g.run("ALTER DATABASE CHARACTER SET gbk")
	g.run("CREATE TABLE fresh (id int PRIMARY KEY, a varchar(9), b enum('学','生'))")
	g.run("CREATE TABLE IF NOT EXISTS fresh (id int)")
	g.run("CREATE TABLE alike LIKE fresh")
	g.run("ALTER TABLE alike ADD c varchar(9) NOT NULL AFTER id, DROP PRIMARY KEY, ADD UNIQUE (c)")
	g.run("INSERT INTO fresh VALUES (1, '镕', '生')")
	g.alters("alike", "ADD c", true, false)
	g.comes("fresh", "id int32, a string(9), b enum", "1 镕 生")
	g.run("INSERT INTO alike VALUES (1, '喆', '镕', '学')")
	seg := g.busy()
	if table := seg.Rows[0].Table; len(table.Key) != 1 || table.Columns[table.Key[0]].Name != "c" {
		t.Errorf("key %v", table.Key)
	}
	g.run("CREATE UNIQUE INDEX i ON alike (id)")
	g.run("DROP INDEX c ON alike")
	g.alters("alike", "DROP INDEX", true, false)
	g.run("INSERT INTO alike VALUES (2, '喆', '镕', '学')")
	seg = g.busy()
	if table := seg.Rows[0].Table; len(table.Key) != 1 || table.Columns[table.Key[0]].Name != "id" || string(seg.Rows[0].After[1].B) != "喆" {
		t.Errorf("key %v, row %+v", table.Key, seg.Rows[0].After)
	}
	// A swap as online tools do it: the ghost table isn't captured under its name.
	g.run("RENAME TABLE fresh TO old_fresh, alike TO fresh")
	g.halts("alike", "TABLE_DROPPED", "renamed")
	g.alters("fresh", "RENAME", true, false)
	g.alters("old_fresh", "RENAME", true, false)
	g.run("INSERT INTO fresh VALUES (3, '喆', '镕', '学')")
	g.comes("fresh", "id int32, c string(9), a string(9), b enum", "3 喆 镕 学")
	g.run("SET NAMES gbk")
	g.run("ALTER TABLE fresh ADD e enum('\xd1\xa7','\xc9\xfa'), MODIFY a varchar(9) FIRST") // 学 and 生
	g.run("SET NAMES utf8mb4")
	g.run("INSERT INTO fresh VALUES ('镕', 4, '镕', '学', '生')")
	g.alters("fresh", "ADD e enum('学','生')", true, false)
	g.comes("fresh", "a string(9), id int32, c string(9), b enum, e enum", "镕 4 镕 学 生")
}

// testFollowedAway lets all of that happen while nobody reads, and reads it in many parts: each
// one goes on from the state of the one before, or from an older one as after a crash.
func testFollowedAway(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY, a varchar(9), b varchar(9))")
	res := g.first()
	g.run("INSERT INTO s VALUES (100, 'a', 'b')")
	g.take(&res, g.busy())
	if err := g.r.Close(); err != nil {
		t.Fatal(err)
	}
	for _, step := range followed {
		g.run(step.sql)
		g.run("INSERT INTO s VALUES " + step.insert)
	}
	for i, step := range followed {
		if err := g.start(res); err != nil {
			t.Fatal(err)
		}
		g.alters("s", step.sql, step.reread, false)
		if i%3 == 1 { // it dies between the statement and the row, and again before it tells the log
			if err := g.start(res); err != nil {
				t.Fatal(err)
			}
			g.alters("s", step.sql, step.reread, false)
		}
		seg := g.comes("s", step.columns, step.row)
		if seg.State == nil || !seg.Durable {
			t.Fatalf("the row behind %s doesn't bring a durable state", step.sql)
		}
		g.take(&res, seg)
		if i%3 == 2 { // the newest state is an idle one, of behind the next statement
			idle, err := g.until(func(seg *event.Segment) bool { return seg.Kind == event.TableAltered || seg.Kind == event.Idle })
			if err != nil {
				t.Fatal(err)
			}
			if idle.Kind == event.Idle {
				res.State, res.Restart, res.Since = append([]byte(nil), idle.State...), idle.Restart, nil
			}
		}
	}
}

// testRefusedStatement has statements that can't be followed: the table stops, saying why,
// and goes on as it is once a person says so.
func testRefusedStatement(t *testing.T, g *rig) {
	g.run("CREATE TABLE s (id int PRIMARY KEY, a varchar(9))")
	res := g.first()
	refused := "ALTER TABLE s ADD c nchar(9) FIRST"
	g.run(refused)
	g.halts("s", "TABLE_CHANGED", "the word nchar")
	g.run("ALTER TABLE s ADD d int")
	g.run("INSERT INTO s VALUES ('学', 1, 'x', 1)")
	seg := g.busy()
	if len(seg.Rows) != 0 || seg.Skipped != 1 {
		t.Errorf("segment %+v", seg)
	}
	g.take(&res, seg)
	g.r.Restart(g.name + ".s")
	g.alters("s", "ordered", true, true)
	g.run("INSERT INTO s VALUES ('生', 2, 'y', 2)")
	g.take(&res, g.comes("s", "c string(9), id int32, a string(9), d int32", "生 2 y 2"))
	if err := g.r.Close(); err != nil {
		t.Fatal(err)
	}
	// One that has been renamed from beyond what is captured.
	g.run("CREATE DATABASE " + g.name + "_far")
	g.run("CREATE TABLE " + g.name + "_far.x (id int PRIMARY KEY)")
	g.run("RENAME TABLE " + g.name + "_far.x TO x")
	if err := g.start(res); err != nil {
		t.Fatal(err)
	}
	g.halts("x", "TABLE_CHANGED", "wasn't captured")
}
