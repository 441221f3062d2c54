package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/capture/snapshot/loadtest"
	"github.com/tributary-cdc/tributary/stream/event"
)

// images gives rows as op, what was and what is.
func images(rows []event.Row) (out []string) {
	text := func(image []event.Value) (s string) {
		for _, v := range image {
			s += "," + loadtest.Text(v)
		}
		return "[" + strings.TrimPrefix(s, ",") + "]"
	}
	for _, r := range rows {
		out = append(out, fmt.Sprintf("%c%s%s", r.Op, text(r.Before), text(r.After)))
	}
	return out
}

// testAppend takes a table without a key: each change has whole images, long values
// that didn't change included.
func testAppend(t *testing.T, g *rig) {
	g.o.Keyless.Append = []string{"public.log*"}
	run(t, g.sql, `CREATE TABLE log1 (id int, v text, b text); ALTER TABLE log1 ALTER b SET STORAGE EXTERNAL; ALTER TABLE log1 REPLICA IDENTITY FULL`)
	g.first()
	run(t, g.sql, `BEGIN; INSERT INTO log1 VALUES (1, 'a', repeat('x', 5000)), (1, 'a', repeat('x', 5000)), (NULL, NULL, NULL); UPDATE log1 SET v = 'b' WHERE ctid = '(0,1)';
		DELETE FROM log1 WHERE v = 'a'; COMMIT`)
	seg := g.busy()
	if seg.Kind != event.Rows {
		t.Fatalf("%+v", seg.Stop)
	}
	if table := seg.Rows[0].Table; !table.Append || table.Key != nil || table.Validate() != nil {
		t.Errorf("table %+v", table)
	}
	got := images(seg.Rows)
	for i := range got {
		got[i] = strings.ReplaceAll(got[i], strings.Repeat("x", 5000), "x")
	}
	want := []string{"c[][1,a,x]", "c[][1,a,x]", "c[][1,1,1]", "u[1,a,x][1,b,x]", "d[1,a,x][]"} // NULL is state 1
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if !g.can(`SELECT pubtruncate FROM pg_publication`) {
		return
	}
	run(t, g.sql, `TRUNCATE log1`)
	if got := images(g.busy().Rows); !slices.Equal(got, []string{"t[][]"}) {
		t.Errorf("truncate: %q", got)
	}
}

// testConfiguredKey streams and loads a table by columns that the configuration names,
// which are in its replica identity by an index or because all are.
func testConfiguredKey(t *testing.T, g *rig) {
	for table, identity := range map[string]string{"all_columns": "FULL", "by_index": "USING INDEX by_index_k"} {
		t.Run(table, func(t *testing.T) {
			g := newRig(t, g.db)
			g.o.Keyless.Keys = map[string][]string{"public." + table: {"k"}}
			run(t, g.sql, fmt.Sprintf(`CREATE TABLE %[1]s (k text NOT NULL, v text); CREATE UNIQUE INDEX %[1]s_k ON %[1]s (k); ALTER TABLE %[1]s REPLICA IDENTITY %[2]s;
				INSERT INTO %[1]s SELECT '镕' || i, 'v' || i FROM generate_series(1, 2500) i`, table, identity))
			f, m := g.feed(true), loadtest.Image{}
			f.Until(m, loadtest.Ended(table))
			run(t, g.sql, strings.ReplaceAll(`UPDATE x SET v = 'changed' WHERE k = '镕7'; UPDATE x SET k = '喆' WHERE k = '镕8'; DELETE FROM x WHERE k = '镕9'; INSERT INTO x VALUES ('last', 'last')`, " x ", " "+table+" "))
			f.Until(m, func(seg *event.Segment) bool {
				for _, r := range seg.Rows {
					if !slices.Equal(r.Table.Key, []int{0}) || r.Table.Append {
						t.Fatalf("table %+v", r.Table)
					}
				}
				return m["last"] == "last"
			})
			m.Compare(t, g.texts("SELECT k FROM "+table+" ORDER BY k"), g.texts("SELECT v FROM "+table+" ORDER BY k"))
		})
	}
}

// testKeylessRefused has tables that can't be taken, and what repairs them: the server
// takes the statement that the reason has, and then the table is taken.
func testKeylessRefused(t *testing.T, g *rig) {
	for name, tt := range map[string]struct{ def, code, text, repair string }{
		"nullable":  {"(k int, v int); ALTER TABLE nullable REPLICA IDENTITY FULL", "TABLE_KEY_REFUSED", "may be NULL", `ALTER TABLE "public"."nullable" ALTER COLUMN "k" SET NOT NULL`},
		"missing":   {"(id int, v int)", "TABLE_KEY_REFUSED", `has the column "k"`, ""},
		"uncarried": {"(k int NOT NULL, v int)", "TABLE_KEY_REFUSED", "don't carry", `ALTER TABLE "public"."uncarried" REPLICA IDENTITY FULL`},
		"indexed": {"(k int NOT NULL, v int); CREATE INDEX other ON indexed (v); CREATE UNIQUE INDEX \"Index K\" ON indexed (k)", "TABLE_KEY_REFUSED", "don't carry",
			`ALTER TABLE "public"."indexed" REPLICA IDENTITY USING INDEX "Index K"`},
		"log":     {"(k int, v int)", "TABLE_NO_KEY", "append mode needs whole old rows", `ALTER TABLE "public"."log" REPLICA IDENTITY FULL`},
		"nothing": {"(id int PRIMARY KEY, v int); ALTER TABLE nothing REPLICA IDENTITY NOTHING", "TABLE_NO_KEY", "carry no key", `ALTER TABLE "public"."nothing" REPLICA IDENTITY DEFAULT`},
		"nokey":   {"(v int)", "TABLE_NO_KEY", "ADD PRIMARY KEY (...)", `ALTER TABLE "public"."nokey" ADD COLUMN row_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY`},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, g.db)
			run(t, g.sql, "CREATE TABLE good (id int PRIMARY KEY); CREATE TABLE "+name+" "+tt.def)
			if tt.code == "TABLE_KEY_REFUSED" {
				g.o.Keyless.Keys = map[string][]string{"public." + name: {"k"}}
			}
			g.o.Keyless.Append = []string{"public.log"}
			g.first()
			values := "(1, 1)"
			if name == "nokey" {
				values = "(1)"
			}
			run(t, g.sql, "BEGIN; INSERT INTO "+name+" VALUES "+values+"; INSERT INTO good VALUES (1); COMMIT")
			skipped := 0
			if name == "nullable" { // the only one that could be published
				stop := g.busy()
				g.out, skipped = append(g.out, stop.Stop), 1
			}
			if len(g.out) != 1 || g.out[0] == nil || g.out[0].Code != tt.code || !strings.Contains(g.out[0].Reason, tt.text) || !strings.Contains(g.out[0].Reason, tt.repair) {
				t.Fatalf("%+v", g.out)
			}
			seg := g.busy()
			if len(seg.Rows) != 1 || seg.Skipped != skipped {
				t.Errorf("%d rows, %d skipped", len(seg.Rows), seg.Skipped)
			}
			if tt.repair == "" {
				return
			}
			run(t, g.sql, tt.repair)
			if skipped == 0 {
				run(t, g.sql, "ALTER PUBLICATION tributary_330108_"+g.o.Database+" ADD TABLE "+name)
			}
			g.again()
			g.first()
			run(t, g.sql, "INSERT INTO "+name+" VALUES "+strings.Replace(values, "1", "2", 1))
			if seg = g.busy(); len(seg.Rows) != 1 || seg.Rows[0].Table.Name != name {
				t.Errorf("after %s: %+v %+v", tt.repair, seg, seg.Stop)
			}
		})
	}
}

// testNoKey: a guest breaks nothing in the house. A table whose updates and deletes would
// fail once it was published is left out of the agent's publication and stops; what the
// reason says makes it one that can be published.
func testNoKey(t *testing.T, g *rig) {
	cases := map[string]struct{ def, code, repair string }{
		"nokey":    {"(id int, v int)", "TABLE_NO_KEY", "ADD COLUMN row_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"},
		"deferred": {"(id int PRIMARY KEY DEFERRABLE, v int)", "TABLE_NO_KEY", "REPLICA IDENTITY FULL"},
		"nothing":  {"(id int PRIMARY KEY, v int); ALTER TABLE nothing REPLICA IDENTITY NOTHING", "TABLE_NO_KEY", "REPLICA IDENTITY DEFAULT"},
		"logged":   {"(id int, v int)", "TABLE_NO_KEY", "REPLICA IDENTITY FULL"},
		"named":    {"(id int NOT NULL, v int)", "TABLE_KEY_REFUSED", "REPLICA IDENTITY FULL"},
		"whole":    {"(id int, v int); ALTER TABLE whole REPLICA IDENTITY FULL", "", ""}, // the server can bear it
		"good":     {"(id int PRIMARY KEY, v int)", "", ""},
	}
	if g.version() >= 13 {
		cases["parted"] = struct{ def, code, repair string }{"(id int, v int, PRIMARY KEY (id)) PARTITION BY RANGE (id); CREATE TABLE parted_1 PARTITION OF parted DEFAULT; ALTER TABLE parted_1 REPLICA IDENTITY NOTHING",
			"TABLE_NO_KEY", `"parted_1" REPLICA IDENTITY DEFAULT`}
	}
	for name, c := range cases {
		run(t, g.sql, "CREATE TABLE "+name+" "+c.def)
		run(t, g.sql, "INSERT INTO "+name+" VALUES (1, 1), (2, 1)")
	}
	g.o.Keyless.Append, g.o.Keyless.Keys = []string{"public.logged"}, map[string][]string{"public.named": {"id"}}
	write := func(name string) {
		t.Helper()
		run(t, g.sql, "UPDATE "+name+" SET v = v + 1 WHERE id = 1; DELETE FROM "+name+" WHERE id = 2; INSERT INTO "+name+" VALUES (2, 1)")
	}
	g.first()
	stops := map[string]*event.TableStop{}
	for _, s := range g.out {
		stops[s.Table[strings.LastIndexByte(s.Table, '.')+1:]] = s
	}
	for name, c := range cases {
		s := stops[name]
		if (s == nil) != (c.code == "") || s != nil && (s.Code != c.code || !strings.Contains(s.Reason, c.repair)) {
			t.Errorf("%s: %+v, want %s with %s", name, s, c.code, c.repair)
		}
		write(name) // as applications do
	}
	g.r.Restart(g.o.Database + ".public.nothing") // in vain: nothing of it would arrive
	run(t, g.sql, "INSERT INTO good VALUES (9, 9)")
	for last := false; !last; {
		seg := g.busy()
		if seg.Kind == event.TableStopped && seg.Stop.Table != g.o.Database+".public.whole" {
			t.Errorf("stopped %+v", seg.Stop)
		}
		if seg.Kind == event.TableAltered {
			t.Errorf("it goes on: %+v", seg.Altered)
		}
		for _, r := range seg.Rows {
			if last = r.Op == event.Create && r.After[0].Int() == 9; r.Table.Name != "good" {
				t.Errorf("a row of %s", r.Table.Name)
			}
		}
	}
	for name, s := range stops {
		at := strings.Index(s.Reason, "ALTER TABLE")
		if name == "nokey" {
			at = strings.Index(s.Reason, "or ALTER TABLE") + 3
		}
		alter, publish, _ := strings.Cut(s.Reason[at:], "; then ")
		alter, _, _ = strings.Cut(alter, "; or name")
		publish, _, _ = strings.Cut(publish, ", which")
		run(t, g.sql, alter)
		run(t, g.sql, publish)
		write(name)
	}
	g.r.Restart(g.o.Database + ".public.nothing")
	run(t, g.sql, "INSERT INTO good VALUES (10, 1)")
	seg := g.busy()
	for ; seg.Kind == event.Rows; seg = g.busy() {
	}
	if seg.Kind != event.TableAltered || !seg.Altered.Resumed || seg.Altered.Table != g.o.Database+".public.nothing" {
		t.Errorf("%+v", seg)
	}
	// The publication is there at another first start, and what is in it isn't left out.
	g.again()
	if g.first(); len(g.out) > 0 {
		t.Errorf("after the repairs %+v", g.out[0])
	}
}

// again ends the reader and takes its slot away, for another first start.
func (g *rig) again() {
	g.t.Helper()
	if err := g.r.Close(); err != nil {
		g.t.Fatal(err)
	}
	g.r = nil
	deadline := time.Now().Add(30 * time.Second)
	for !g.can("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()") {
		if time.Now().After(deadline) {
			g.t.Fatal("the slot is still in use")
		}
	}
}
