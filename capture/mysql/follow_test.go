package mysql_test

import (
	"fmt"
	"slices"
	"strings"
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

// testServersOwn follows what only the servers have, as far as each has it.
func testServersOwn(t *testing.T, g *rig) {
	g.run("SET SESSION sql_mode = ''")
	g.run("CREATE TABLE s (id int PRIMARY KEY, a varchar(9) CHARACTER SET gbk)")
	g.first()
	ran := 0
	for _, sql := range []string{
		"ALTER TABLE s ADD b nchar(5) INVISIBLE", "ALTER TABLE s ADD b nchar(5) AFTER id, DROP COLUMN c", "ALTER TABLE s ADD c national varchar(5), ADD d char(3) ascii FIRST, ADD e char(4) byte",
		"ALTER TABLE s ADD f varchar(99) COMPRESSED", "ALTER ONLINE TABLE s ADD f2 int DEFAULT (1 + 1) COMMENT ', DROP id'", "ALTER IGNORE TABLE s ADD COLUMN IF NOT EXISTS g inet6, ADD IF NOT EXISTS g2 uuid",
		"ALTER TABLE s WAIT 5 ADD h int CHECK (h > 0) NOT NULL", "ALTER TABLE s NOWAIT DROP COLUMN IF EXISTS h, DROP INDEX IF EXISTS zz", "SET STATEMENT lock_wait_timeout = 5 FOR ALTER TABLE s ADD i date DEFAULT DATE '2026-09-01'",
		"ALTER TABLE s ADD j point, ADD k geometry", "ALTER TABLE s ADD o int DEFAULT (1 + 1) INVISIBLE", "ALTER TABLE s ADD p national varchar(5), ADD q char(3) ascii FIRST", "/*!50000 ALTER TABLE s */ ADD l int /*M!100000 UNIQUE */ /*!999999 , DROP a */", "ALTER TABLE s CONVERT TO CHARACTER SET utf8mb4, ADD m int FIRST, DROP l",
		"ALTER TABLE s ADD n varchar(9) AS (upper(a)) PERSISTENT, ADD CONSTRAINT x CHECK (id <> 5)", "ALTER TABLE s ADD UNIQUE KEY IF NOT EXISTS ua (a) COMMENT 'x', ADD FULLTEXT f (a), ADD KEY k USING BTREE (m DESC)",
		"ALTER TABLE s MODIFY m bigint PARTITION BY HASH (id) PARTITIONS 2", "ALTER TABLE s ADD PARTITION PARTITIONS 1", "ALTER TABLE s DROP m REMOVE PARTITIONING",
		"ALTER TABLE s ALTER a SET DEFAULT NULL, ENGINE=InnoDB, ORDER BY a, id", "CREATE OR REPLACE INDEX k2 ON s (a) COMMENT 'x'", "SET STATEMENT lock_wait_timeout = 5 FOR DROP INDEX IF EXISTS k2 ON s WAIT 5",
		"RENAME TABLE s WAIT 5 TO s2, s2 TO s", "ALTER TABLE s WAIT 5 RENAME TO s3; ALTER TABLE s3 RENAME TO s", "ALTER TABLE s RENAME s3; ALTER TABLE s3 RENAME AS s",
		"CREATE OR REPLACE TABLE s (id int PRIMARY KEY, a inet6, b varchar(9) COMPRESSED, c int INVISIBLE) DEFAULT CHARSET=ascii COMMENT='PRIMARY KEY'", "CREATE OR REPLACE TABLE s (PRIMARY KEY (id)) SELECT 1 AS id, 'x' AS b",
	} {
		first, second, _ := strings.Cut(sql, "; ")
		if _, err := g.sql.Execute(first); err != nil { // this server doesn't have it
			continue
		}
		if second != "" {
			g.run(second)
		}
		ran++
		g.run(fmt.Sprintf("INSERT INTO s (id) VALUES (%d)", 1000+ran))
		var seg *event.Segment
		for seg == nil || seg.Kind != event.Rows || seg.Rows[0].Table.Name != "s" || seg.Rows[0].After[seg.Rows[0].Table.Key[0]].Int() != int64(1000+ran) {
			if seg = g.busy(); seg.Skipped > 0 || seg.Kind == event.TableStopped && seg.Stop.Code != "TABLE_DROPPED" {
				t.Fatalf("%s: segment %+v (%+v)", sql, seg, seg.Stop)
			}
		}
		var have []string
		for _, c := range seg.Rows[0].Table.Columns {
			have = append(have, c.Name)
		}
		if want := g.query("SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 's' ORDER BY ORDINAL_POSITION"); !slices.Equal(have, want) {
			t.Errorf("%s: columns %q, want %q", sql, have, want)
		}
	}
	if ran < 8 {
		t.Errorf("%d statements ran", ran)
	}
}

// testAsked has statements that can't be followed. Where reading is at the log's end, the
// catalogue tells the table at once.
func testAsked(t *testing.T, g *rig) {
	g.o.Tables = []string{g.name + ".s*"}
	g.run("CREATE TABLE s (id int PRIMARY KEY, a varchar(9))")
	g.run("CREATE TABLE _s_new LIKE s")
	res := g.first()
	const refused = ", MODIFY a varchar(9), CONVERT TO CHARACTER SET gbk"
	g.run("ALTER TABLE s ADD c varchar(9) FIRST" + refused)
	g.alters("s", "ADD c", true, false)
	g.run("INSERT INTO s VALUES ('学', 1, 'x')")
	g.take(&res, g.comes("s", "c string(9), id int32, a string(9)", "学 1 x"))
	g.run("ALTER TABLE _s_new ADD d varchar(9)" + refused) // of a table that isn't captured yet
	g.run("INSERT INTO s VALUES ('学', 2, 'x')")
	g.take(&res, g.comes("s", "c string(9), id int32, a string(9)", "学 2 x"))
	g.run("RENAME TABLE s TO _s_old, _s_new TO s")
	g.alters("s", "RENAME", true, false)
	g.run("INSERT INTO s VALUES (3, '生', 'y')")
	g.take(&res, g.comes("s", "id int32, a string(9), d string(9)", "3 生 y"))
	g.run("CREATE DATABASE " + g.name + "_far")
	g.run("CREATE TABLE " + g.name + "_far.x (id int PRIMARY KEY)")
	g.run("RENAME TABLE " + g.name + "_far.x TO s_far")
	g.alters("s_far", "RENAME", true, false)
	g.run("INSERT INTO s_far VALUES (1)")
	g.take(&res, g.comes("s_far", "id int32", "1"))
	if err := g.r.Close(); err != nil {
		t.Fatal(err)
	}
	// Elsewhere it stops until reading is where the catalogue was asked, so no row is read
	// by columns that it hadn't.
	for _, sql := range []string{"ALTER TABLE s DROP d" + refused, "INSERT INTO s VALUES (4, 'z')", "ALTER TABLE s CHANGE a b varchar(9), ADD a varchar(9) FIRST", "INSERT INTO s VALUES ('a', 5, 'b')",
		"CREATE TABLE s_brief (id int PRIMARY KEY, e enum(x'41'))", "INSERT INTO s_brief VALUES (1, 'A')", "DROP TABLE s_brief", "INSERT INTO s VALUES ('c', 6, 'd')"} {
		g.run(sql)
	}
	if err := g.start(res); err != nil {
		t.Fatal(err)
	}
	seg, err := g.until(func(seg *event.Segment) bool { return seg.Kind == event.TableStopped })
	if err != nil || seg.Stop.Code != "TABLE_CHANGED" || seg.Stop.Table != g.name+".s" {
		t.Fatalf("segment %+v (%+v), %v", seg, seg.Stop, err)
	}
	for _, text := range []string{"the ALTER TABLE at ", "isn't followed", "goes on by itself", "DROP d"} {
		if !strings.Contains(seg.Stop.Reason, text) {
			t.Errorf("the reason %q doesn't say %q", seg.Stop.Reason, text)
		}
	}
	if seg := g.busy(); len(seg.Rows) != 0 || seg.Skipped != 1 {
		t.Errorf("segment %+v", seg)
	} else {
		g.take(&res, seg)
	}
	if err := g.start(res); err != nil { // it dies meanwhile
		t.Fatal(err)
	}
	seg, err = g.until(func(seg *event.Segment) bool {
		if len(seg.Rows) > 0 && seg.Rows[0].Table.Name == "s" {
			t.Errorf("row %+v of %+v", seg.Rows[0], seg.Rows[0].Table)
		}
		return seg.Kind == event.TableAltered && seg.Altered.Table == g.name+".s"
	})
	if err != nil || !seg.Altered.Reread || !seg.Altered.Resumed {
		t.Fatalf("segment %+v (%+v), %v", seg, seg.Altered, err)
	}
	g.run("INSERT INTO s VALUES ('e', 7, 'f')")
	g.comes("s", "a string(9), id int32, b string(9)", "e 7 f")
	if stops := string(res.State); !strings.Contains(stops, "TABLE_CHANGED") {
		t.Errorf("state %s", stops)
	}
	g.run("ALTER TABLE s ADD c varchar(9)" + strings.Replace(refused, "a varchar", "b varchar", 1))
	g.alters("s", "ADD c", true, false)
}
