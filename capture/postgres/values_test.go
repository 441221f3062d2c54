package postgres_test

import (
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/values"
)

// extensions are those of the server's that the values use.
func (g *rig) extensions() []string {
	g.t.Helper()
	return g.texts("SELECT name::text FROM pg_available_extensions WHERE name = ANY('{" + strings.Join(values.Extensions, ",") + "}') ORDER BY name")
}

// testValues sends every type by stream and by load, and compares with what the values
// mean and with each other.
func testValues(t *testing.T, g *rig) {
	version, extensions := g.texts("SHOW server_version")[0], g.extensions()
	for _, sql := range values.Prepare(version, extensions) {
		run(t, g.sql, sql)
	}
	groups := values.Postgres(version, extensions)
	for _, group := range groups {
		run(t, g.sql, group.Create())
	}
	g.first()
	for i := range groups {
		g.values(&groups[i])
	}
}

// values inserts a group and compares both ways.
func (g *rig) values(group *values.Group) {
	g.t.Helper()
	run(g.t, g.sql, group.Insert(1))
	run(g.t, g.sql, "INSERT INTO "+group.Name+" (id) VALUES (2)")
	full, empty := g.rowOf(group.Name), g.rowOf(group.Name)
	g.compare("stream", group, full, empty)
	chunk := g.loaded(group.Name, snapshot.Request{Rows: 10, Bytes: 1 << 20})
	if len(chunk.Rows) != 2 || !chunk.End {
		g.t.Fatalf("%s: %d rows by load, want 2", group.Name, len(chunk.Rows))
	}
	g.compare("load", group, &chunk.Rows[0], &chunk.Rows[1])
	if got := chunk.Rows[0].Table; got.Version() != full.Table.Version() {
		g.t.Errorf("load and stream have different versions of the table:\n%+v\n%+v", got, full.Table)
	}
}

// rowOf gives the next row of the stream, which must be of the table.
func (g *rig) rowOf(table string) *event.Row {
	g.t.Helper()
	seg := g.busy()
	if len(seg.Rows) != 1 || seg.Rows[0].Table.Name != table {
		g.t.Fatalf("segment with %d rows, %+v; want one of %s", len(seg.Rows), seg.Stop, table)
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
		got, typ := full.After[at], full.Table.Columns[at].Type
		if got.State != v.Want.State || got.N != v.Want.N || string(got.B) != string(v.Want.B) || anomalies[at] != v.Anomaly || typ.Kind != v.Kind {
			g.t.Errorf("%s: %s %.60s = %s, state %d, %d, %.60q, anomaly %q; want %s %d %.60q %q", way, v.Type, v.Literal, typ, got.State, int64(got.N), got.B, anomalies[at], v.Kind, int64(v.Want.N), v.Want.B, v.Anomaly)
		}
		if null := empty.After[at]; !v.Filled && null.State != event.Null {
			g.t.Errorf("%s: %s: %+v, want NULL", way, v.Type, null)
		}
	}
	if len(empty.Anomalies) != 0 {
		g.t.Errorf("%s: anomalies of NULL: %+v", way, empty.Anomalies)
	}
}
