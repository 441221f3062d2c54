package mysql_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/mysql"
	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/capture/snapshot/loadtest"
	"github.com/tributary-cdc/tributary/stream/event"
)

// other makes the rig read one table of its database, and gives the name of another.
func (g *rig) other() string {
	g.run("CREATE TABLE a (k int PRIMARY KEY, v varchar(20))")
	g.run("CREATE TABLE x (k int PRIMARY KEY, v varchar(20))")
	g.run("INSERT INTO x VALUES (1, 'old'), (2, 'gone'), (3, 'same')")
	g.o.Tables = []string{g.name + ".a"}
	return g.name + ".x"
}

// testAdd adds a table that no pattern covers, while a transaction that began before has
// written it and goes on.
func testAdd(t *testing.T, g *rig) {
	table := g.other()
	g.o.Caps = capture.Caps{table: {"v": {Bytes: 15}}}
	f, m := g.feed(false), loadtest.Image{}
	f.Until(m, func(seg *event.Segment) bool { return seg.Kind == event.Idle })
	g.run("INSERT INTO x VALUES (5, 'passed over')") // its description is known from here on
	g.run("INSERT INTO a VALUES (-1, 'seen')")
	f.Until(m, func(*event.Segment) bool { return m["-1"] == "seen" })
	long := g.db.Connect(t, g.name)
	for _, sql := range []string{"BEGIN", "INSERT INTO x VALUES (4, 'before')", "UPDATE x SET v = 'new' WHERE k = 1", "DELETE FROM x WHERE k = 2"} {
		if _, err := long.Execute(sql); err != nil {
			t.Fatal(err)
		}
	}
	f.Add(table)
	if err := f.Loader.Add(t.Context(), table); !errors.Is(err, snapshot.ErrBusy) {
		t.Errorf("added twice: %v", err)
	}
	f.Until(m, loadtest.Ended("x"))
	if m["1"] != "old" || m["5"] != "passed over" || m["4"] != "" {
		t.Errorf("after the load the store has %v", m)
	}
	if _, err := long.Execute("COMMIT"); err != nil {
		t.Fatal(err)
	}
	g.run("UPDATE x SET v = 'again' WHERE k = 3")
	g.run("INSERT INTO a VALUES (-2, 'last')")
	f.Until(m, func(*event.Segment) bool { return m["-2"] == "last" })
	delete(m, "-1")
	delete(m, "-2")
	m.Compare(t, g.query("SELECT k FROM x ORDER BY k"), g.query("SELECT v FROM x ORDER BY k"))
	for name, want := range map[string]error{table: snapshot.ErrCaptured, g.name + ".a": snapshot.ErrCaptured, g.name + ".none": snapshot.ErrTable} {
		if err := f.Loader.Add(t.Context(), name); !errors.Is(err, want) {
			t.Errorf("add %s: %v, want %v", name, err, want)
		}
	}
	g.run("CREATE TABLE nokey (k int)")
	if err := f.Loader.Add(t.Context(), g.name+".nokey"); !errors.Is(err, snapshot.ErrTable) {
		t.Errorf("a table without a key: %v", err)
	}
	if got := f.Loader.Added(); !slices.Equal(got, []string{table}) {
		t.Errorf("added are %q", got)
	}
	if err := f.Loader.Remove(t.Context(), g.name+".a"); !errors.Is(err, snapshot.ErrNotAdded) {
		t.Errorf("remove a table of the patterns: %v", err)
	}
	if err := f.Loader.Remove(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	f.Until(m, loadtest.Removed("x"))
	g.run("UPDATE x SET v = 'passed over' WHERE k = 3")
	g.run("INSERT INTO a VALUES (-3, 'last')")
	f.Until(m, func(*event.Segment) bool { return m["-3"] == "last" })
	if m["3"] != "again" || len(f.Loader.Added()) > 0 {
		t.Errorf("a removed table: row 3 is %q, added are %q", m["3"], f.Loader.Added())
	}
	g.run("INSERT INTO x VALUES (6, REPEAT('v', 16))")
	f.Add(table)
	f.Until(m, loadtest.Ended("x"))
	g.run("INSERT INTO x VALUES (7, REPEAT('v', 16))")
	g.run("UPDATE x SET v = 'back' WHERE k = 4")
	f.Until(m, func(*event.Segment) bool { return m["4"] == "back" })
	if none := loadtest.Text(event.NullValue); m["6"] != none || m["7"] != none {
		t.Errorf("values above the cap of an added table: loaded %q, streamed %q", m["6"], m["7"])
	}
	for _, k := range []string{"-3", "6", "7"} {
		delete(m, k)
	}
	g.run("DELETE FROM x WHERE k IN (6, 7)")
	m.Compare(t, g.query("SELECT k FROM x ORDER BY k"), g.query("SELECT v FROM x ORDER BY k"))
}

// testAddHeld adds a table while a commit of it is in the log, was passed over, and can't
// be seen.
func testAddHeld(t *testing.T, g *rig) {
	half := g.half()
	if half == "" {
		return
	}
	table := g.other()
	f, m := g.feed(false), loadtest.Image{}
	f.Until(m, func(seg *event.Segment) bool { return seg.Kind == event.Idle })
	g.run("SET GLOBAL " + half + "_wait_point = 'AFTER_SYNC'")
	g.run("SET GLOBAL " + half + "_timeout = 3600000")
	g.run("SET GLOBAL " + half + "_enabled = ON")
	defer g.run("SET GLOBAL " + half + "_enabled = OFF")
	held := g.db.Connect(t, g.name)
	done := make(chan error, 1)
	before := g.place()
	go func() {
		_, err := held.Execute("UPDATE x SET v = 'new' WHERE k = 1")
		if err == nil {
			_, err = held.Execute("DELETE FROM x WHERE k = 2")
		}
		done <- err
	}()
	f.Until(m, func(seg *event.Segment) bool { return seg.Kind == event.Idle && seg.Restart.Compare(before) > 0 }) // in the log
	if got := g.query("SELECT v FROM x WHERE k = 1"); got[0] != "old" {
		t.Fatalf("the held row shows %q: nothing is held", got[0])
	}
	f.Add(table)
	f.Until(m, func(seg *event.Segment) bool { return len(seg.Loads) > 0 })
	for range 3 {
		f.Until(m, func(seg *event.Segment) bool {
			if len(seg.Rows) > 0 {
				t.Fatalf("a chunk came from a view that lacks a held commit: %+v", seg.Rows)
			}
			return seg.Kind == event.Idle
		})
	}
	g.run("SET GLOBAL " + half + "_enabled = OFF")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	f.Until(m, loadtest.Ended("x"))
	g.run("INSERT INTO a VALUES (-2, 'last')")
	f.Until(m, func(*event.Segment) bool { return m["-2"] == "last" })
	delete(m, "-2")
	m.Compare(t, g.query("SELECT k FROM x ORDER BY k"), g.query("SELECT v FROM x ORDER BY k"))
}

// testAddedStays: a reader that starts from the state of one with an added table delivers it.
func testAddedStays(t *testing.T, g *rig) {
	table := g.other()
	res := g.first()
	g.run("INSERT INTO x VALUES (7, 'passed over')")
	g.run("INSERT INTO a VALUES (1, 'x')")
	if seg := g.busy(); len(seg.Rows) != 1 || seg.Rows[0].Table.Name != "a" {
		t.Fatalf("handed out %+v", seg.Rows)
	}
	g.r.Add(table)
	seg := g.next()
	for ; !strings.Contains(string(seg.State), `"added":["`+table+`"]`); seg = g.next() {
		if seg.Kind != event.Idle {
			t.Fatalf("handed out %+v before the table was added", seg)
		}
	}
	for id := 10; id < 12; id++ {
		g.run(fmt.Sprintf("INSERT INTO x VALUES (%d, 'x')", id))
		seg := g.busy()
		if len(seg.Rows) != 1 || seg.Rows[0].Table.Name != "x" {
			t.Fatalf("handed out %+v", seg.Rows)
		}
		g.take(&res, seg)
		for id == 10 {
			if seg = g.next(); seg.Kind == event.Idle {
				res.State, res.Restart, res.Since = append([]byte(nil), seg.State...), seg.Restart, nil
				break
			}
		}
		if err := g.start(res); err != nil {
			t.Fatal(err)
		}
	}
}

// testRange reads parts of tables between keys of every kind: what the server finds there.
func testRange(t *testing.T, g *rig) {
	g.run("SET SESSION time_zone = '+00:00'")
	kinds := map[string]struct {
		def, value, from, to string
		order                event.KeyOrder
	}{
		"i":      {"int", "%d % 11 - 5", "-2", "3", event.OrderValue},
		"u":      {"bigint unsigned", "18446744073709551615 - %d % 9", "18446744073709551609", "18446744073709551613", event.OrderValue},
		"ci":     {"varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", "CONCAT(CHAR(65 + %d % 13 + %d % 2 * 32), '中')", "c中", "F中", event.OrderForeign},
		"bin":    {"varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "CONCAT(CHAR(65 + %d % 13 + %d % 2 * 32), '中')", "C中", "d中", event.OrderPadded},
		"gbk":    {"varchar(20) CHARACTER SET gbk", "CONCAT('镕', %d % 7)", "镕2", "镕4", event.OrderForeign},
		"bytes":  {"varbinary(20)", "UNHEX(LPAD(HEX(%d % 5 * 50), 4, '0'))", `\x0032`, `\x0096`, event.OrderValue},
		"dec":    {"decimal(20,5)", "%d % 11 - 5.5", "-2.5", "3", event.OrderValue},
		"day":    {"date", "'2000-01-01' + INTERVAL %d % 9 DAY", "2000-01-03", "2000-01-05", event.OrderValue},
		"moment": {"datetime(3)", "'2000-01-01 00:00:00.5' + INTERVAL %d % 9 DAY", "2000-01-03", "2000-01-05 00:00:00.500", event.OrderValue},
		"stamp":  {"timestamp(3)", "'2000-01-01 00:00:00.5' + INTERVAL %d % 9 DAY", "2000-01-03", "2000-01-05 00:00:00.500", event.OrderValue},
		"clock":  {"time(6)", "SEC_TO_TIME(%d % 9 - 4.5)", "-00:00:02.500000", "00:00:02", event.OrderValue},
		"label":  {"enum('丙','乙','甲')", "1 + %d % 3", "丙", "乙", event.OrderForeign},
	}
	for name, k := range kinds {
		g.run("CREATE TABLE r_" + name + " (k " + k.def + ", n int, PRIMARY KEY (k, n))")
		var rows []string
		for n := range 200 {
			rows = append(rows, "("+strings.ReplaceAll(k.value, "%d", fmt.Sprint(n))+fmt.Sprintf(", %d)", n))
		}
		g.run("INSERT INTO r_" + name + " VALUES " + strings.Join(rows, ", "))
	}
	g.first()
	for name, k := range kinds {
		from, to := k.from, k.to
		lo, hi := "'"+k.from+"'", "'"+k.to+"'"
		switch name {
		case "bytes":
			lo, hi = "X'0032'", "X'0096'"
		case "clock":
			lo, hi = "TIME "+lo, "TIME "+hi
		case "label":
			lo, hi = "1", "2"
		case "i", "u", "dec":
			lo, hi = k.from, k.to
		}
		for bounds, where := range map[string]string{
			from + ".." + to:             "k >= " + lo + " AND k <= " + hi,
			from + "..":                  "k >= " + lo,
			".." + to:                    "k <= " + hi,
			from + ",50.." + to + ",150": "(k, n) >= (" + lo + ", 50) AND (k, n) <= (" + hi + ", 150)",
			from + ",50.." + to:          "(k, n) >= (" + lo + ", 50) AND k <= " + hi,
		} {
			r, rows := loadtest.Part(t, g.r.Source, "r_"+name, bounds)
			want := g.query("SELECT n FROM r_" + name + " WHERE " + where + " ORDER BY k, n")
			var got []string
			for _, row := range rows {
				got = append(got, loadtest.Text(row.After[1]))
			}
			if !slices.Equal(got, want) || len(want) == 0 {
				t.Errorf("%s %s: %d rows %.80s, want %d %.80s", name, bounds, len(got), got, len(want), want)
			}
			if r.Columns[0].Order != k.order {
				t.Errorf("%s: order %d, want %d", name, r.Columns[0].Order, k.order)
			}
		}
	}
	r, err := mysql.New(g.o)
	if err != nil {
		t.Fatal(err)
	}
	src, err := r.Source(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = src.Close() }() // read only
	tables, err := src.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		for _, bad := range []string{"1); DROP TABLE r_i; --", "'"} {
			b := snapshot.Bounds{From: []string{bad}}
			if _, err := src.Range(t.Context(), table.Schema, b); !errors.Is(err, snapshot.ErrBadBounds) && table.Schema.Name != "r_ci" && table.Schema.Name != "r_bin" && table.Schema.Name != "r_gbk" {
				t.Errorf("%s, %s: %v", table.ID, b, err)
			}
		}
		if _, err := src.Range(t.Context(), table.Schema, snapshot.Bounds{To: []string{"1", "2", "3"}}); !errors.Is(err, snapshot.ErrBadBounds) {
			t.Errorf("%s, three columns: %v", table.ID, err)
		}
	}
}
