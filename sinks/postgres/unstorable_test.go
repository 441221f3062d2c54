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
	"github.com/tributary-cdc/tributary/test/servers"
)

// noText has texts with U+0000, which PostgreSQL holds in no type: the rest of the row is
// written, and the text leaves its trace; as a key it stops the table.
func noText(t *testing.T, s worker.Store, c *pgx.Conn) {
	claim := claimed(t, s)
	for _, n := range []int{1, 150} { // by statements, by COPY
		table := sinktest.Table()
		table.Source, table.Dataset = fmt.Sprint("s", n), fmt.Sprint("student", n)
		if _, err := s.EnsureTable(t.Context(), claim, table); err != nil {
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
	if _, err := s.EnsureTable(t.Context(), claim, keyed); err != nil {
		t.Fatal(err)
	}
	err := s.Apply(t.Context(), one(claim, keyed, 1, worker.NetRow{New: true, Values: []event.Value{event.Raw([]byte("x\x00y"))}}))
	if te := (*worker.TableError)(nil); !errors.As(err, &te) || te.Table != keyed || !errors.Is(err, worker.ErrTableRefused) || !strings.Contains(err.Error(), `xh: x\x00y`) {
		t.Errorf("%v, want the table stopped with the key", err)
	}
}

// TestInfinitiesOfOldStores: what a newer release calls infinite is NULL with a trace in
// the oldest one, and itself in the newest.
func TestInfinitiesOfOldStores(t *testing.T) {
	for release, want := range map[string]struct {
		row       string
		anomalies int
	}{
		servers.OldestStore: {"1||||{1,NaN}", 3},
		"18.1":              {"1|Infinity|-infinity|{1,-Infinity}|{1,NaN}", 0},
	} {
		t.Run("PostgreSQL "+release, func(t *testing.T) {
			b := &bench{db: servers.PostgresRelease(t, release)}
			h, c := b.fresh(t)
			s := h.Open(t)
			claim := claimed(t, s)
			table := func(source string) *schema.Table {
				numeric := schema.Type{Kind: schema.Decimal}
				return &schema.Table{Source: source, Dataset: source, Database: "d", Name: "t", Key: []int{0}, Columns: []schema.Column{{Name: "id", Type: schema.Type{Kind: schema.Int32}},
					{Name: "n", Type: numeric}, {Name: "i", Type: schema.Type{Kind: schema.Interval}}, {Name: "a", Type: schema.Type{Kind: schema.Array, Elem: &numeric}},
					{Name: "b", Type: schema.Type{Kind: schema.Array, Elem: &numeric}}}}
			}
			for _, n := range []int{1, 150} { // by statements, by COPY
				tab := table(fmt.Sprint("s", n))
				if _, err := s.EnsureTable(t.Context(), claim, tab); err != nil {
					t.Fatal(err)
				}
				rows := make([]worker.NetRow, n)
				for i := range rows {
					rows[i] = worker.NetRow{New: true, Values: []event.Value{event.Signed(int64(i + 1)), event.Raw([]byte("Infinity")), event.Raw([]byte("-infinity")), event.Raw([]byte("{1,-Infinity}")), event.Raw([]byte("{1,NaN}"))}}
				}
				if err := s.Apply(t.Context(), one(claim, tab, 1, rows...)); err != nil {
					t.Fatal(err)
				}
				got := texts(t, c, "SELECT id || '|' || coalesce(n::text, '') || '|' || coalesce(i::text, '') || '|' || coalesce(a::text, '') || '|' || coalesce(b::text, '') FROM ods."+tab.Dataset+" ORDER BY id")
				if len(got) != n || got[0] != want.row {
					t.Errorf("%d rows, the first is %q, want %q", len(got), got[0], want.row)
				}
				traces := texts(t, c, "SELECT coalesce(sum(rows), 0)::text FROM tributary.anomaly WHERE source = '"+tab.Source+"' AND code = 'VALUE_NULLED'")
				if traces[0] != fmt.Sprint(n*want.anomalies) {
					t.Errorf("%s values with a trace, want %d", traces[0], n*want.anomalies)
				}
			}
			keyed := table("keyed")
			keyed.Key = []int{1}
			if _, err := s.EnsureTable(t.Context(), claim, keyed); err != nil {
				t.Fatal(err)
			}
			err := s.Apply(t.Context(), one(claim, keyed, 1, worker.NetRow{New: true, Values: []event.Value{event.Signed(1), event.Raw([]byte("Infinity")), event.NullValue, event.NullValue, event.NullValue}}))
			if te := (*worker.TableError)(nil); (err != nil) != (want.anomalies > 0) || err != nil && (!errors.As(err, &te) || !errors.Is(err, worker.ErrTableRefused)) {
				t.Errorf("%v from an infinite key", err)
			}
		})
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
		if _, err := s.EnsureTable(t.Context(), claim, table); !errors.Is(err, worker.ErrTableRefused) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// wideTables have more columns than the store's can have, or rows that fit into no page: each
// is told of by the table's name, and stops nothing else.
func wideTables(t *testing.T, s worker.Store) {
	claim := claimed(t, s)
	wide := func(dataset string, n int) (*schema.Table, []event.Value) {
		table := &schema.Table{Source: "s", Dataset: dataset, Database: "d", Name: dataset, Key: []int{0}}
		var values []event.Value
		for i := range n {
			table.Columns, values = append(table.Columns, schema.Column{Name: fmt.Sprint("c", i), Type: schema.Type{Kind: schema.Int64}}), append(values, event.Signed(int64(i)))
		}
		return table, values
	}
	table, _ := wide("sheet", 2000)
	if _, err := s.EnsureTable(t.Context(), claim, table); !errors.Is(err, worker.ErrTableRefused) || !strings.Contains(err.Error(), "2006 columns, PostgreSQL takes 1600") {
		t.Error(err)
	}
	table, values := wide("long", 1500)
	if _, err := s.EnsureTable(t.Context(), claim, table); err != nil {
		t.Fatal(err)
	}
	err := s.Apply(t.Context(), one(claim, table, 1, worker.NetRow{New: true, Values: values}))
	if te, re := (*worker.TableError)(nil), (*worker.RowsError)(nil); !errors.As(err, &te) && !errors.As(err, &re) {
		t.Errorf("a row of 12 kB in one page: %v", err)
	}
}
