package mysql_test

import (
	"fmt"
	"testing"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/servers"
)

// moments are what happens to table s in the middle of a first start: its columns change
// their names, or another table gets its name. Neither shows in the types of its columns.
var moments = [][]string{
	{"INSERT INTO s VALUES (1, 'a', 'b')", "ALTER TABLE s CHANGE a b varchar(9), CHANGE b a varchar(9)", "INSERT INTO s (id, a, b) VALUES (2, 'a', 'b')"},
	{"INSERT INTO s VALUES (1, 'a', 'b')", "CREATE TABLE s_new (id int PRIMARY KEY, b varchar(9), a varchar(9))", "INSERT INTO s_new (id, a, b) VALUES (1, 'a', 'b')", "RENAME TABLE s TO s_old, s_new TO s",
		"INSERT INTO s (id, a, b) VALUES (2, 'a', 'b')", "INSERT INTO s_old (id, a, b) VALUES (2, 'a', 'b')"},
	{"INSERT INTO s VALUES (1, 'a', 'b')", "DROP TABLE s", "CREATE TABLE IF NOT EXISTS s (id int PRIMARY KEY, b varchar(9), a varchar(9))", "INSERT INTO s (id, a, b) VALUES (2, 'a', 'b')"},
}

// testFirstMoment has DDL at each question of a first start, from the listing of tables to
// the request for the log. Each row that comes has its values in the columns that it had,
// a table that stopped is read again, and goes on.
func testFirstMoment(t *testing.T, g *rig) {
	link := servers.NewLink(t, fmt.Sprintf("%s:%d", g.db.Host, g.db.Port))
	g.o.Port = uint16(link.Port())
	reset := func() {
		if g.r != nil {
			if err := g.r.Close(); err != nil {
				t.Fatal(err)
			}
			g.r = nil
		}
		g.run("DROP TABLE IF EXISTS s, s_new, s_old")
		g.run("CREATE TABLE s (id int PRIMARY KEY, a varchar(9), b varchar(9))")
	}
	reset()
	before := link.Requests()
	g.first()
	requests := link.Requests() - before
	if requests < 8 {
		t.Fatalf("a first start makes %d requests", requests)
	}
	for n := 1; n <= requests; n++ {
		reset()
		statements := moments[n%len(moments)]
		link.Before(n, func() {
			for _, sql := range statements {
				if _, err := g.sql.Execute(sql); err != nil {
					t.Errorf("%s: %v", sql, err)
				}
			}
		})
		if err := g.start(capture.Resume{FirstStart: true}); err != nil {
			t.Fatalf("%q before request %d: %v", statements[1], n, err)
		}
		stopped := map[string]bool{}
		for id := 10; ; id++ { // until the table goes on
			g.run(fmt.Sprintf("INSERT INTO s (id, a, b) VALUES (%d, 'a', 'b')", id))
			seg, err := g.until(func(seg *event.Segment) bool {
				switch {
				case seg.Kind == event.TableStopped:
					stopped[seg.Stop.Table] = true
				case seg.Kind == event.TableAltered && seg.Altered.Resumed:
					if !seg.Altered.Reread {
						t.Errorf("%q before request %d: %+v isn't read again", statements[1], n, seg.Altered)
					}
					delete(stopped, seg.Altered.Table)
				}
				for _, row := range seg.Rows {
					for i, c := range row.Table.Columns {
						if c.Name != "id" && string(row.After[i].B) != c.Name {
							t.Errorf("%q before request %d: column %s of row %d has %q", statements[1], n, c.Name, first(row.After), row.After[i].B)
						}
					}
				}
				return seg.Kind == event.Rows && (seg.Skipped > 0 || first(seg.Rows[0].After) == int64(id))
			})
			if err != nil {
				t.Fatalf("%q before request %d: %v", statements[1], n, err)
			}
			if len(seg.Rows) > 0 && first(seg.Rows[0].After) == int64(id) {
				break
			}
			if id > 30 {
				t.Fatalf("%q before request %d: the table doesn't go on: %v", statements[1], n, stopped)
			}
		}
		if stopped[g.name+".s"] {
			t.Errorf("%q before request %d: rows come and nothing says that the table goes on", statements[1], n)
		}
	}
}
