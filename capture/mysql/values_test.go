package mysql_test

import (
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/values"
)

// testValues sends every type by stream and by load, and compares with what the values
// mean and with each other.
func testValues(t *testing.T, g *rig) {
	g.run("SET SESSION sql_mode = ''")
	g.run("SET SESSION time_zone = '+00:00'")
	for _, group := range values.For(g.query("SELECT VERSION()")[0]) {
		g.run(group.Create())
	}
	g.first()
	for _, group := range values.For(g.query("SELECT VERSION()")[0]) {
		g.values(&group)
	}
}

// testTimeZone has a server whose clock is that of China: an instant is the instant, whoever
// looks, and a civil time what was written, by stream and by load.
func testTimeZone(t *testing.T, g *rig) {
	g.run("SET GLOBAL time_zone = '+08:00'")
	defer g.run("SET GLOBAL time_zone = 'SYSTEM'")
	g.again()
	g.run("CREATE TABLE s (id int PRIMARY KEY, t timestamp(3) NULL, d datetime(3))")
	g.first()
	g.run("INSERT INTO s VALUES (1, '2026-09-01 06:00:00.5', '2026-09-01 06:00:00.5')")
	row := g.rowOf()
	if row == nil {
		return
	}
	civil := time.Date(2026, 9, 1, 6, 0, 0, 500_000_000, time.UTC)
	for way, r := range map[string]*event.Row{"stream": row, "load": &g.loaded("s").Rows[0]} {
		if got, want := r.After[1].Int(), civil.Add(-8*time.Hour).UnixMicro(); got != want {
			t.Errorf("by %s the instant is %s, want %s", way, time.UnixMicro(got).UTC(), time.UnixMicro(want).UTC())
		}
		if got := r.After[2].Int(); got != civil.UnixMicro() {
			t.Errorf("by %s the civil time is %s, want %s", way, time.UnixMicro(got).UTC(), civil)
		}
	}
}

// values inserts a group and compares both ways.
func (g *rig) values(group *values.Group) {
	g.t.Helper()
	g.run(group.Insert(1))
	g.run("INSERT INTO " + group.Name + " (id) VALUES (2)")
	full, empty := g.rowOf(), g.rowOf()
	if full == nil || empty == nil {
		return
	}
	g.compare("stream", group, full, empty)
	chunk := g.loaded(group.Name)
	if len(chunk.Rows) != 2 || !chunk.End {
		g.t.Fatalf("%s: %d rows by load, want 2", group.Name, len(chunk.Rows))
	}
	g.compare("load", group, &chunk.Rows[0], &chunk.Rows[1])
	if got := chunk.Rows[0].Table; got.Version() != full.Table.Version() {
		g.t.Errorf("load and stream have different versions of the table:\n%+v\n%+v", got, full.Table)
	}
}

// rowOf gives the next row of the stream.
func (g *rig) rowOf() *event.Row {
	g.t.Helper()
	seg := g.busy()
	if len(seg.Rows) != 1 {
		g.t.Errorf("segment with %d rows, %+v", len(seg.Rows), seg.Stop)
		return nil
	}
	row := seg.Rows[0]
	row.After = append([]event.Value(nil), row.After...)
	for i := range row.After { // the segment's memory ends with the next one
		row.After[i].B = append([]byte(nil), row.After[i].B...)
	}
	return &row
}

func (g *rig) compare(way string, group *values.Group, full, empty *event.Row) {
	g.t.Helper()
	anomalies := map[int]string{}
	for _, a := range full.Anomalies {
		anomalies[a.Column] = a.Raw
	}
	for i, v := range group.Values {
		at := i + values.Columns
		got := full.After[at]
		if got.State != v.Want.State || got.N != v.Want.N || string(got.B) != string(v.Want.B) || anomalies[at] != v.Anomaly {
			g.t.Errorf("%s: %s %.60s = state %d, %d, %.60q, anomaly %q; want %d %.60q %q", way, v.Type, v.Literal, got.State, int64(got.N), got.B, anomalies[at], int64(v.Want.N), v.Want.B, v.Anomaly)
		}
		if null := empty.After[at]; !v.Generated() && null.State != event.Null {
			g.t.Errorf("%s: %s: %+v, want NULL", way, v.Type, null)
		}
	}
	if len(empty.Anomalies) != 0 {
		g.t.Errorf("%s: anomalies of NULL: %+v", way, empty.Anomalies)
	}
}
