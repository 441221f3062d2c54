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
			seg := g.busy()
			if seg.Kind != event.TableStopped || seg.Stop.Code != tt.code || !strings.Contains(seg.Stop.Reason, tt.text) || !strings.Contains(seg.Stop.Reason, tt.repair) {
				t.Fatalf("%+v %+v", seg, seg.Stop)
			}
			if seg = g.busy(); len(seg.Rows) != 1 || seg.Skipped != 1 {
				t.Errorf("%d rows, %d skipped", len(seg.Rows), seg.Skipped)
			}
			if tt.repair == "" {
				return
			}
			if err := g.r.Close(); err != nil {
				t.Fatal(err)
			}
			g.r = nil
			deadline := time.Now().Add(10 * time.Second)
			for !g.can("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()") {
				if time.Now().After(deadline) {
					t.Fatal("the slot is still in use")
				}
			}
			run(t, g.sql, tt.repair)
			g.first()
			run(t, g.sql, "INSERT INTO "+name+" VALUES "+strings.Replace(values, "1", "2", 1))
			if seg = g.busy(); len(seg.Rows) != 1 || seg.Rows[0].Table.Name != name {
				t.Errorf("after %s: %+v %+v", tt.repair, seg, seg.Stop)
			}
		})
	}
}
