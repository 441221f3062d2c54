package mysql

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/tributary-cdc/tributary/capture/mysql/definition"
	"github.com/tributary-cdc/tributary/stream/event"
)

// many gives definitions of tables of 15 columns; alike says that all are the same.
func many(t *testing.T, n int, alike bool) definitions {
	t.Helper()
	d := definitions{databases: map[string]string{"db": "utf8mb4"}, tables: map[string]defined{}, seen: event.Place{File: 3, Offset: 7}}
	for i := range n {
		prefix := "column"
		if !alike {
			prefix = fmt.Sprintf("c%x", i*7919)
		}
		var columns []definition.Column
		for c, typ := range []string{"bigint(20) unsigned", "varchar(40)", "varchar(255)", "enum('a','b')", "datetime", "int(11)", "int(11)", "decimal(10,2)", "text", "date", "timestamp", "char(18)", "tinyint(1)", "double", "json"} {
			columns = append(columns, definition.Column{Name: fmt.Sprintf("%s_%d", prefix, c), Type: typ, Charset: "utf8mb4"})
		}
		table, err := definition.New("utf8mb4", columns, []definition.Key{{Name: "PRIMARY", Unique: true, Parts: []definition.Part{{Column: columns[0].Name}}}})
		if err != nil {
			t.Fatal(err)
		}
		d.tables[fmt.Sprintf("db.table_%05d", i)] = defined{table: table, until: event.Place{File: 1, Offset: 1234}}
	}
	d.tables["db.lost"] = defined{why: "nobody knows"}
	return d
}

func TestPack(t *testing.T) {
	d := many(t, 20, false)
	d.tables["db.awaited"] = defined{awaited: d.tables["db.table_00001"].table, until: event.Place{File: 2, Offset: 1}, why: "not followed"}
	d.awaiting = []string{"db.awaited"}
	packed, err := d.pack()
	if err != nil {
		t.Fatal(err)
	}
	got, err := unpack(packed)
	if err != nil || !reflect.DeepEqual(got, d) {
		t.Errorf("%+v, %v; want %+v", got, err, d)
	}
	for n := range packed {
		if _, err := unpack(packed[:n]); !errors.Is(err, errMalformed) {
			t.Fatalf("%d of %d bytes: %v", n, len(packed), err)
		}
	}
	if none, err := unpack(nil); err != nil || none.tables != nil {
		t.Errorf("%+v, %v", none, err)
	}
}

// TestPackBounds says how large the state gets, and what is left out of it.
func TestPackBounds(t *testing.T) {
	for _, tt := range []struct {
		alike bool
		most  int // bytes a table
		whole bool
	}{{true, 12, true}, {false, 200, false}} {
		d := many(t, 6000, tt.alike)
		packed, err := d.pack()
		if err != nil {
			t.Fatal(err)
		}
		got, err := unpack(packed)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("alike %v: %d bytes for %d tables", tt.alike, len(packed), len(got.tables))
		if len(packed) > maxDefinitions || len(packed) > tt.most*len(got.tables) || got.partial == tt.whole || (len(got.tables) == len(d.tables)) != tt.whole {
			t.Errorf("alike %v: %d bytes for %d tables of %d, partial %v", tt.alike, len(packed), len(got.tables), len(d.tables), got.partial)
		}
	}
}

func TestElsewhere(t *testing.T) {
	d := many(t, 1, false)
	table := d.tables["db.table_00000"].table
	d.elsewhere(event.Place{File: 1, Offset: 1234})
	if e := d.tables["db.table_00000"]; e.table != table || !e.until.IsZero() || !d.seen.IsZero() {
		t.Errorf("%+v, seen %s", e, d.seen)
	}
	d = many(t, 1, false)
	d.tables["db.awaited"] = defined{awaited: table, until: event.Place{File: 2, Offset: 1}}
	d.elsewhere(event.Place{File: 1, Offset: 1233})
	if e := d.tables["db.awaited"]; e.awaited != nil || e.table != nil || e.why == "" {
		t.Errorf("%+v is awaited at a place of another server", e)
	}
	if e := d.tables["db.table_00000"]; e.table != nil || e.why == "" {
		t.Errorf("%+v: the catalogue may have known more than the log", e)
	}
}
