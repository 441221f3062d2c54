package mysql_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/test/servers"
)

// jsonWriter makes random documents, paths and values as SQL.
type jsonWriter struct{ *rand.Rand }

var jsonNames = []string{"a", "b", "ab", "z", "键", "k\"q", "a b", "", "$x", "back\\slash", "0", "line\n", strings.Repeat("long", 20), "a.b", "[0]"}

func (w jsonWriter) name() string { return jsonNames[w.IntN(len(jsonNames))] }

// literal gives JSON text.
func (w jsonWriter) literal(depth int) string {
	switch n := w.IntN(12); {
	case n < 2 && depth > 0:
		var parts []string
		for range w.IntN(5) {
			parts = append(parts, w.literal(depth-1))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case n < 4 && depth > 0:
		var parts []string
		for range w.IntN(5) {
			parts = append(parts, quoteJSON(w.name())+":"+w.literal(depth-1))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case n < 6:
		return fmt.Sprint(w.IntN(1<<w.IntN(40)) - 1000)
	case n < 7:
		return fmt.Sprint(w.Float64()*1e20, "")
	case n < 8:
		return []string{"true", "false", "null"}[w.IntN(3)]
	}
	return quoteJSON(strings.Repeat(w.name()+"文\u0007\"", w.IntN(4)))
}

func quoteJSON(s string) string {
	s = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\u0007", `\u0007`).Replace(s)
	return `"` + s + `"`
}

func quoteSQL(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(s) + "'"
}

// value gives an SQL expression, types that JSON has no words for included.
func (w jsonWriter) value() string {
	switch w.IntN(10) {
	case 0:
		return "CAST('2026-09-01' AS DATE)"
	case 1:
		return "CAST('2026-09-01 08:00:00.25' AS DATETIME(3))"
	case 2:
		return "12.50"
	case 3:
		return "CAST('-23:59:59' AS TIME)"
	case 4:
		return "18446744073709551615"
	case 5:
		return "CAST(x'00ff' AS BINARY)"
	}
	return "CAST(" + quoteSQL(w.literal(3)) + " AS JSON)"
}

func (w jsonWriter) path() string {
	out := "$"
	for range w.IntN(4) {
		if w.IntN(2) == 0 {
			out += fmt.Sprintf("[%d]", w.IntN(5))
		} else {
			out += "." + quoteJSON(w.name())
		}
	}
	return quoteSQL(out)
}

// change gives an expression that the server may log as differences.
func (w jsonWriter) change(column string) string {
	for range 1 + w.IntN(3) {
		f := []string{"JSON_SET", "JSON_REPLACE", "JSON_REMOVE"}[w.IntN(3)]
		args := ""
		for range 1 + w.IntN(3) {
			if p := w.path(); f != "JSON_REMOVE" {
				args += ", " + p + ", " + w.value()
			} else if p != "'$'" {
				args += ", " + p
			}
		}
		if args != "" {
			column = f + "(" + column + args + ")"
		}
	}
	return column
}

// TestPartialJSON has a server that logs differences of documents: the documents that
// arrive are the server's own, letter by letter, in transactions and images of all kinds.
func TestPartialJSON(t *testing.T) {
	db := servers.MySQL(t, nil)
	t.Run("random updates", func(t *testing.T) { testRandomDifferences(t, newRig(t, db, "random")) })
	t.Run("images", func(t *testing.T) { testPartialImages(t, newRig(t, db, "images")) })
}

func testRandomDifferences(t *testing.T, g *rig) {
	const seed = 11
	w := jsonWriter{rand.New(rand.NewPCG(seed, seed))}
	g.run("CREATE TABLE s (id int PRIMARY KEY, doc json, n int, other json)")
	for id := range 20 {
		g.run(fmt.Sprintf("INSERT INTO s VALUES (%d, CAST(%s AS JSON), 0, '{\"pad\": \"%s\"}')", id, quoteSQL(`{"a": `+w.literal(4)+`, "b": {"ab": [1, {"z": `+w.literal(3)+`}, "x"]}, "pad": "`+strings.Repeat("p", 200)+`"}`), strings.Repeat("q", 100)))
	}
	g.first()
	g.run("SET SESSION binlog_row_value_options = PARTIAL_JSON")
	for n := range 400 {
		id := w.IntN(20)
		sql := fmt.Sprintf("UPDATE s SET doc = %s, n = %d", w.change("doc"), n+1)
		if w.IntN(3) == 0 {
			sql += ", other = " + w.change("other")
		}
		if w.IntN(4) > 0 {
			sql += fmt.Sprintf(" WHERE id = %d", id)
		}
		if _, err := g.sql.Execute(sql); err != nil { // a path that the server doesn't take, nesting beyond its bound
			continue
		}
		seg := g.busy()
		if seg.Kind != event.Rows {
			t.Fatalf("seed %d, %s: %+v", seed, sql, seg.Stop)
		}
		for i := range seg.Rows {
			row := &seg.Rows[i]
			want := g.query(fmt.Sprintf("SELECT CONCAT(doc, '\n', other, '\n', n) FROM s WHERE id = %d", row.After[0].Int()))[0]
			if got := fmt.Sprintf("%s\n%s\n%d", row.After[1].B, row.After[3].B, row.After[2].Int()); got != want {
				t.Fatalf("seed %d, %s:\ngot  %s\nwant %s\nfrom %s\n%s", seed, sql, got, want, row.Before[1].B, row.Before[3].B)
			}
		}
		if w.IntN(25) == 0 { // documents neither grow without end nor end as scalars
			id := w.IntN(20)
			g.run(fmt.Sprintf("UPDATE s SET doc = CAST(%s AS JSON) WHERE id = %d", quoteSQL(`{"a": `+w.literal(4)+`, "b": [[1, 2], {"键": 3}]}`), id))
			g.busy()
		}
	}
	partial := slices.DeleteFunc(g.events("binlog.000001"), func(s string) bool { return s != "Update_rows_partial" })
	if len(partial) < 100 {
		t.Errorf("only %d events with differences: the updates are wrong", len(partial))
	}
	t.Logf("%d events with differences", len(partial))
}

// testPartialImages has images whose rows lack the document before.
func testPartialImages(t *testing.T, g *rig) {
	doc := `{"a": 1, "b": "` + strings.Repeat("x", 100) + `"}`
	changed := strings.Replace(doc, "1", "2", 1)
	g.run("CREATE TABLE good (id int PRIMARY KEY)")
	g.run("CREATE TABLE log (v int, doc json)")
	g.run("INSERT INTO log VALUES (1, '" + doc + "')")
	for _, image := range []string{"FULL", "NOBLOB", "MINIMAL"} {
		g.run("CREATE TABLE s_" + image + " (id int PRIMARY KEY, doc json, n int)")
		g.run("INSERT INTO s_" + image + " VALUES (1, '" + doc + "', 0)")
	}
	g.o.Keyless.Append = []string{"*.log"}
	g.first()
	g.run("SET SESSION binlog_row_value_options = PARTIAL_JSON")
	g.run("SET SESSION binlog_transaction_compression = ON")
	g.run("UPDATE s_FULL SET doc = JSON_SET(doc, '$.a', 2)")
	if row := g.busy().Rows[0]; string(row.After[1].B) != changed || string(row.Before[1].B) != doc {
		t.Errorf("compressed: %q", images([]event.Row{row}))
	}
	g.run("SET SESSION binlog_row_image = NOBLOB") // leaves out blobs, and a document isn't one
	g.run("UPDATE s_NOBLOB SET doc = JSON_SET(doc, '$.a', 2)")
	if row := g.busy().Rows[0]; string(row.After[1].B) != changed || string(row.Before[1].B) != doc {
		t.Errorf("without blobs: %q", images([]event.Row{row}))
	}
	g.run("SET SESSION binlog_row_image = MINIMAL")
	g.run("UPDATE s_MINIMAL SET n = 1") // the document isn't touched
	if row := g.busy().Rows[0]; row.After[1].State != event.Absent || row.After[2].Int() != 1 {
		t.Errorf("minimal: %q", images([]event.Row{row}))
	}
	for _, sql := range []string{"BEGIN", "UPDATE s_MINIMAL SET doc = JSON_SET(doc, '$.a', 2)", "INSERT INTO good VALUES (1)", "COMMIT"} {
		g.run(sql)
	}
	g.stops("PARTIAL_JSON", "SET GLOBAL binlog_row_image = 'FULL'", 1)
	g.run("UPDATE log SET doc = JSON_SET(doc, '$.a', 2)") // without a key the server logs all that was
	if row := g.busy().Rows[0]; string(row.After[1].B) != changed || row.After[0].Int() != 1 {
		t.Errorf("without a key: %q", images([]event.Row{row}))
	}
}
