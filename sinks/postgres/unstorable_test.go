package postgres_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/sinktest"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// noText has texts with U+0000, which PostgreSQL holds in no type: the rest of the row is
// written, and the text leaves its trace; as a key it stops the table.
func noText(t *testing.T, s worker.Store, c *pgx.Conn) {
	claim := claimed(t, s)
	for _, n := range []int{1, 150} { // by statements, by COPY
		table := sinktest.Table()
		table.Source, table.Dataset = fmt.Sprint("s", n), fmt.Sprint("student", n)
		if err := s.EnsureTable(t.Context(), claim, table); err != nil {
			t.Fatal(err)
		}
		rows := make([]worker.NetRow, n)
		for i := range rows {
			rows[i] = worker.NetRow{New: true, Values: []event.Value{event.Signed(int64(i)), event.Raw([]byte("镕")), event.Raw([]byte("a\x00b"))}}
		}
		b := one(claim, table, 1, rows...)
		b.Tables[0].Nulled = worker.Nulled{Values: 2, First: event.Position{Epoch: 1}, Detail: "name: gbk"}
		if err := s.Apply(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if got := texts(t, c, "SELECT concat_ws(' ', count(*), count(note), min(name)) FROM ods."+table.Dataset); got[0] != fmt.Sprintf("%d 0 镕", n) {
			t.Errorf("rows, notes and name: %q", got)
		}
		if err := s.Apply(t.Context(), one(claim, table, 2, worker.NetRow{New: true, Values: []event.Value{event.Signed(1000), event.NullValue, event.Raw([]byte("c\x00"))}})); err != nil {
			t.Fatal(err)
		}
		got := texts(t, c, "SELECT concat_ws(' ', code, rows, detail) FROM tributary.anomaly WHERE source = '"+table.Source+"' ORDER BY id")
		want := []string{fmt.Sprintf("VALUE_NULLED %d name: gbk", n+2), `VALUE_NULLED 1 note: c\x00`}
		if !slices.Equal(got, want) {
			t.Errorf("anomalies %q, want %q", got, want)
		}
	}
	keyed := &schema.Table{Source: "k", Dataset: "keyed", Database: "d", Name: "keyed", Key: []int{0}, Columns: []schema.Column{{Name: "xh", Type: schema.Type{Kind: schema.String}}}}
	if err := s.EnsureTable(t.Context(), claim, keyed); err != nil {
		t.Fatal(err)
	}
	err := s.Apply(t.Context(), one(claim, keyed, 1, worker.NetRow{New: true, Values: []event.Value{event.Raw([]byte("x\x00y"))}}))
	if te := (*worker.TableError)(nil); !errors.As(err, &te) || te.Table != keyed || !errors.Is(err, worker.ErrTableRefused) || !strings.Contains(err.Error(), `xh: x\x00y`) {
		t.Errorf("%v, want the table stopped with the key", err)
	}
}

// badNames has names that the store would cut, or that lineage uses.
func badNames(t *testing.T, s worker.Store) {
	claim := claimed(t, s)
	long := strings.Repeat("列", 22)
	for want, table := range map[string]*schema.Table{
		"has a name of 66 bytes":   {Source: "s", Dataset: "a", Name: "a", Columns: []schema.Column{{Name: "id", Type: schema.Type{Kind: schema.Int64}}, {Name: long, Type: schema.Type{Kind: schema.Int64}}}},
		"the name has 66 bytes":    {Source: "s", Dataset: long, Name: "b", Columns: []schema.Column{{Name: "id", Type: schema.Type{Kind: schema.Int64}}}},
		"name of a lineage column": {Source: "s", Dataset: "c", Name: "c", Columns: []schema.Column{{Name: "id", Type: schema.Type{Kind: schema.Int64}}, {Name: "_op", Type: schema.Type{Kind: schema.Int64}}}},
	} {
		table.Database, table.Key = "d", []int{0}
		if err := s.EnsureTable(t.Context(), claim, table); !errors.Is(err, worker.ErrTableRefused) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
