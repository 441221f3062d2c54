package holdings

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-cdc/tributary/test/values"
)

// bare is a type without lengths and labels, with its character set.
func bare(def string) string {
	def = regexp.MustCompile(`\([^()]*(\([^()]*\))*[^()]*\)|NULL|COLLATE \w+`).ReplaceAllString(def, "")
	return strings.Join(strings.Fields(def), " ")
}

// TestEveryTypeIsThere: the types are those whose values are tested one by one.
func TestEveryTypeIsThere(t *testing.T) {
	var have []string
	for _, k := range mariadb.kinds {
		have = append(have, bare(k.def))
	}
	for _, g := range values.For("10.11.4-MariaDB") {
		for _, v := range g.Values {
			if !slices.Contains(have, bare(v.Type)) {
				t.Errorf("no table has a column of type %s (%s)", v.Type, bare(v.Type))
			}
		}
	}
}

// TestDatabaseOfASeed: the same seed gives the same database, with every type, every kind
// of key, empty tables and large ones.
func TestDatabaseOfASeed(t *testing.T) {
	for _, postgres := range []bool{false, true} {
		check(t, Options{Seed: 7, Tables: 300, Rows: 1_000_000, Source: "s", Postgres: postgres})
	}
}

func check(t *testing.T, o Options) {
	t.Helper()
	d, again := New(o), New(o)
	types, used := map[string]bool{}, map[string]bool{}
	var rows, empty, most int
	for i, table := range d.Tables {
		if other := again.Tables[i]; strings.Join(table.create(), ";") != strings.Join(other.create(), ";") || d.statement(table) != again.statement(other) {
			t.Errorf("table %s isn't the same a second time", table.Name)
		}
		var key []string
		for _, c := range table.columns {
			if c.key {
				key = append(key, c.def+c.expr)
			} else {
				types[c.def+c.expr] = true
			}
		}
		used[strings.Join(key, ",")+table.index] = true
		rows, most = rows+table.Rows, max(most, table.Rows)
		if table.Rows == 0 {
			empty++
		}
		if o := d.Oracle(table); len(o.Columns) != len(table.columns) || len(o.Key) != len(key) {
			t.Errorf("table %s: %d of %d columns are compared", table.Name, len(o.Columns), len(table.columns))
		}
	}
	if len(types) != len(d.kinds)+1 || len(used) != len(d.keys) || rows < o.Rows*99/100 || rows > o.Rows || empty < 10 || most < 20*o.Rows/o.Tables/4 {
		t.Errorf("%d types, %d kinds of keys, %d rows, %d empty tables, %d rows in the largest", len(types), len(used), rows, empty, most)
	}
}
