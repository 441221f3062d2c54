package mysql_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/mysql"
	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/capture/snapshot/loadtest"
	"github.com/tributary-cdc/tributary/stream/event"
)

// loaded reads a table by its load, in one chunk.
func (g *rig) loaded(table string) *snapshot.Chunk {
	g.t.Helper()
	return loadtest.Chunk(g.t, g.r.Source, table, snapshot.Request{Rows: 1000, Bytes: 64 << 20})
}

func (g *rig) feed(first bool) *loadtest.Feed {
	g.t.Helper()
	r, err := mysql.New(g.o)
	if err != nil {
		g.t.Fatal(err)
	}
	return loadtest.Start(g.t, r, r.Source, first)
}

// half gives the beginning of the names of the settings that hold commits between log and
// visibility; empty where the server has none.
func (g *rig) half() string {
	switch {
	case !g.maria():
		if len(g.query("SHOW GLOBAL VARIABLES LIKE 'rpl_semi_sync_source_enabled'")) == 0 {
			g.run("INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'")
		}
		return "rpl_semi_sync_source"
	case len(g.query("SHOW GLOBAL VARIABLES LIKE 'rpl_semi_sync_master_enabled'")) == 0:
		g.t.Log("NOT RUN: a plugin before MariaDB 10.3, which the package of this release lacks")
		return ""
	}
	return "rpl_semi_sync_master"
}

// place gives the end of the server's log.
func (g *rig) place() event.Place {
	g.t.Helper()
	res, err := g.sql.Execute("SHOW MASTER STATUS")
	if err != nil { // MySQL from 8.4 on
		res, err = g.sql.Execute("SHOW BINARY LOG STATUS")
	}
	if err != nil {
		g.t.Fatal(err)
	}
	file, err := res.GetString(0, 0)
	if err != nil {
		g.t.Fatal(err)
	}
	number, err := strconv.ParseUint(file[strings.LastIndexByte(file, '.')+1:], 10, 32)
	if err != nil {
		g.t.Fatal(err)
	}
	offset, err := res.GetUint(0, 1)
	if err != nil {
		g.t.Fatal(err)
	}
	return event.Place{File: uint32(number), Offset: offset}
}

// testAttack1 holds commits between log and visibility while their rows are read: the
// newer value must win, and the deleted row stay away.
func testAttack1(t *testing.T, g *rig) {
	half := g.half()
	if half == "" {
		return
	}
	g.run("CREATE TABLE h (k int PRIMARY KEY, v varchar(20))")
	g.run("INSERT INTO h VALUES (1, 'old'), (2, 'deleted'), (3, 'same')")
	f, m := g.feed(false), loadtest.Image{}
	f.Until(m, func(seg *event.Segment) bool { return seg.Kind == event.Idle })
	g.run("SET GLOBAL " + half + "_wait_point = 'AFTER_SYNC'")
	g.run("SET GLOBAL " + half + "_timeout = 3600000")
	g.run("SET GLOBAL " + half + "_enabled = ON")
	defer g.run("SET GLOBAL " + half + "_enabled = OFF")
	held := g.db.Connect(t, g.name)
	done := make(chan error, 1)
	go func() {
		_, err := held.Execute("UPDATE h SET v = 'new' WHERE k = 1")
		if err == nil {
			_, err = held.Execute("DELETE FROM h WHERE k = 2")
		}
		done <- err
	}()
	f.Until(m, func(seg *event.Segment) bool { return len(seg.Rows) > 0 }) // in the log, not to be seen yet
	if got := g.query("SELECT v FROM h WHERE k = 1"); got[0] != "old" {
		t.Fatalf("the held row shows %q: nothing is held", got[0])
	}
	f.Held(m, g.name+".h", func() {
		g.run("SET GLOBAL " + half + "_enabled = OFF")
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
	if len(m) != 2 || m["1"] != "new" || m["3"] != "same" {
		t.Errorf("the store has %v, want 1 new and 3 same", m)
	}
}

// testRaces loads a table again and again while its rows are written, and compares.
func testRaces(t *testing.T, g *rig) {
	g.run("CREATE TABLE r (k int PRIMARY KEY, v varchar(60), INDEX (v))")
	var rows []string
	for k := range 3000 {
		rows = append(rows, fmt.Sprintf("(%d, 'v%d')", 2*k, k))
	}
	g.run("INSERT INTO r VALUES " + strings.Join(rows, ", "))
	f, m := g.feed(true), loadtest.Image{}
	stop := make(chan struct{})
	wrote := make(chan error, 2)
	for w := range 2 {
		c, rng := g.db.Connect(t, g.name), rand.New(rand.NewPCG(uint64(w), 3))
		go func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					wrote <- nil
					return
				default:
				}
				sql := fmt.Sprintf("UPDATE IGNORE r SET v = 'w%d-%d' WHERE k = %d", w, n, rng.IntN(6000))
				switch rng.IntN(4) {
				case 0:
					sql = fmt.Sprintf("DELETE FROM r WHERE k = %d", rng.IntN(6000))
				case 1:
					sql = fmt.Sprintf("INSERT IGNORE INTO r VALUES (%d, 'i%d-%d')", rng.IntN(6000), w, n)
				case 2:
					sql = fmt.Sprintf("UPDATE IGNORE r SET k = %d WHERE k = %d", rng.IntN(6000), rng.IntN(6000))
				}
				if _, err := c.Execute(sql); err != nil && !strings.Contains(err.Error(), "1213") { // a deadlock is rolled back
					wrote <- err
					return
				}
			}
		}()
	}
	f.Races(m, g.name+".r", 8)
	close(stop)
	for range 2 {
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
	}
	g.run("INSERT INTO r VALUES (-1, 'last')")
	f.Until(m, func(*event.Segment) bool { return m["-1"] == "last" })
	m.Compare(t, g.query("SELECT k FROM r ORDER BY k"), g.query("SELECT v FROM r ORDER BY k"))
}

// testKeys pages through keys of every kind that a chunk can begin behind.
func testKeys(t *testing.T, g *rig) {
	g.run("CREATE TABLE any_table (id int PRIMARY KEY)")
	g.first()
	g.run("CREATE TABLE `any.table` (id int PRIMARY KEY)")
	g.run("INSERT INTO `any.table` VALUES (7)")
	if c := loadtest.Chunk(t, g.r.Source, "any.table", snapshot.Request{Rows: 9, Bytes: 1 << 20}); len(c.Rows) != 1 {
		t.Errorf("a table with a dot in its name: %d rows", len(c.Rows))
	}
	for name, def := range map[string]string{
		"ci":     "k varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
		"gbk":    "k varchar(20) CHARACTER SET gbk",
		"bin":    "k varbinary(20)",
		"dec":    "k decimal(20,5)",
		"date":   "k date",
		"stamp":  "k timestamp(3)",
		"time":   "k time(6)",
		"double": "k double",
		"float":  "k float",
		"u":      "k bigint unsigned",
		"enum":   "k enum('丙','乙','甲')",
		"set":    "k set('z','y','x')",
	} {
		t.Run(name, func(t *testing.T) {
			g := &rig{t: t, db: g.db, name: g.name, sql: g.sql, o: g.o, r: g.r}
			g.run("SET SESSION time_zone = '+00:00'")
			g.run("CREATE TABLE k_" + name + " (" + def + ", n int, v int, PRIMARY KEY (k, n))")
			source := map[string]string{"ci": "CONCAT('Ab中', seq %% 7, CHAR(65 + seq %% 26))", "gbk": "CONCAT('镕', seq %% 7)", "bin": "UNHEX(LPAD(HEX(seq %% 5 * 50), 4, '0'))",
				"dec": "seq %% 11 - 5.5", "date": "'2000-01-01' + INTERVAL seq %% 9 DAY", "stamp": "'2000-01-01 00:00:00.123' + INTERVAL seq %% 9 SECOND",
				"time": "SEC_TO_TIME(seq %% 9 - 4.5)", "double": "(seq %% 9 - 4) / 3", "float": "(seq %% 9 - 4) / 3", "u": "18446744073709551615 - seq %% 9", "enum": "1 + seq %% 3", "set": "seq %% 8"}[name]
			var rows []string
			for n := range 200 {
				rows = append(rows, "("+strings.ReplaceAll(strings.ReplaceAll(source, "%%", "%"), "seq", fmt.Sprint(n))+fmt.Sprintf(", %d, %d)", n, n))
			}
			g.run("INSERT INTO k_" + name + " VALUES " + strings.Join(rows, ", "))
			src, err := g.r.Source(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = src.Close() }() // read only
			tables, err := src.Tables(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, table := range tables {
				if table.Schema.Name != "k_"+name {
					continue
				}
				seen := map[int64]bool{}
				req := snapshot.Request{Table: table.Schema, Rows: 7, Bytes: 1 << 20}
				for {
					c, err := src.Read(t.Context(), req)
					if err != nil {
						t.Fatal(err)
					}
					for _, r := range c.Rows {
						if n := r.After[1].Int(); seen[n] {
							t.Fatalf("row %d came twice", n)
						} else {
							seen[n] = true
						}
					}
					if c.End {
						break
					}
					req.After = c.Last
				}
				if len(seen) != 200 {
					t.Errorf("%d of 200 rows", len(seen))
				}
				c, err := src.Read(t.Context(), snapshot.Request{Table: table.Schema, Keys: [][]event.Value{req.After}, Rows: 9, Bytes: 1 << 20})
				if err != nil || len(c.Rows) != 1 || !c.End {
					t.Errorf("by its key: %+v, %v", c, err)
				}
			}
		})
	}
}

// testSizes reads chunks that are full before their rows are all, where a short rest keeps
// the connection; a row that takes two frames; and none while the server prepares nothing.
func testSizes(t *testing.T, g *rig) {
	g.run("CREATE TABLE sizes (id int PRIMARY KEY, c longtext)")
	var rows []string
	for id := range 400 {
		rows = append(rows, fmt.Sprintf("(%d, REPEAT('%d', 6000))", id, id%10))
	}
	g.run("INSERT INTO sizes VALUES " + strings.Join(rows, ", "))
	g.first()
	src, err := g.r.Source(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = src.Close() }() // read only
	tables, err := src.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	table := tables[slices.IndexFunc(tables, func(x snapshot.Table) bool { return x.Schema.Name == "sizes" })].Schema
	memory := &snapshot.Memory{}
	for _, tt := range []struct {
		bytes, chunks int
		connects      bool
	}{{64 << 10, 3, true}, {2 << 20, 2, false}} {
		before, seen := 0, 0
		req := snapshot.Request{Table: table, Rows: 1000, Bytes: tt.bytes, Memory: memory}
		for n := range tt.chunks {
			if n == 1 {
				before = g.connections()
			}
			c, err := src.Read(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range c.Rows {
				if r.After[0].Int() != int64(seen) || string(r.After[1].B) != strings.Repeat(strconv.Itoa(seen%10), 6000) {
					t.Fatalf("row %d is %d, %.20q", seen, r.After[0].Int(), r.After[1].B)
				}
				seen++
			}
			if c.Bytes > tt.bytes+10_000 || c.End != (seen == 400) || c.Last[0].Int() != int64(seen-1) {
				t.Errorf("%d bytes for %d, up to %+v, after row %d the end: %t", c.Bytes, tt.bytes, c.Last, seen, c.End)
			}
			req.After, memory.Rows = c.Last, c.Rows
		}
		if connects := g.connections() > before; connects != tt.connects {
			t.Errorf("chunks of %d bytes on new connections: %t", tt.bytes, connects)
		}
	}

	g.run("SET GLOBAL max_prepared_stmt_count = 0")
	_, err = src.Read(t.Context(), snapshot.Request{Table: table, Rows: 1, Bytes: 1 << 20})
	g.run("SET GLOBAL max_prepared_stmt_count = 16382")
	if code, _ := capture.CodeOf(err); code != "MYSQL_PREPARED" || capture.ActionOf(err) != capture.AskOperator {
		t.Errorf("nothing can be prepared: %v", err)
	}

	g.run("SET GLOBAL max_allowed_packet = 64 << 20")
	g.again()
	g.run("INSERT INTO sizes VALUES (-1, REPEAT('0123456789abcdef', 1310720))")
	c, err := src.Read(t.Context(), snapshot.Request{Table: table, Rows: 2, Bytes: 64 << 20}) // reconnects, and so has the new limit
	if err != nil || len(c.Rows) != 2 || string(c.Rows[0].After[1].B) != strings.Repeat("0123456789abcdef", 1310720) || c.Rows[1].After[0].Int() != 0 {
		t.Errorf("a row of 20 MiB, and another one: %+v, %v", c, err)
	}
}

// connections counts those that the server has ever taken.
func (g *rig) connections() int {
	g.t.Helper()
	res, err := g.sql.Execute("SHOW GLOBAL STATUS LIKE 'Connections'")
	if err != nil {
		g.t.Fatal(err)
	}
	text, err := res.GetString(0, 1)
	if err != nil {
		g.t.Fatal(err)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		g.t.Fatal(err)
	}
	return n
}
