package sinktest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// logged is a row of a table in append mode, the order'th of its transaction.
func logged(op event.Op, order int, values ...event.Value) worker.NetRow {
	return worker.NetRow{Op: op, Order: order, New: true, Values: values}
}

// wantLog compares a table in append mode with rows of op, order and the table's columns,
// in the order of their positions.
func (x *fixture) wantLog(columns []string, rows ...string) {
	x.Helper()
	got := x.h.Rows(x.T, x.table.Dataset, append([]string{"_position", "_order", "_op"}, columns...)...)
	for i, r := range got {
		got[i] = r[len(x.at.String())+1:]
	}
	if !slices.Equal(got, rows) {
		x.Errorf("log %q, want %q", got, rows)
	}
}

// appends keeps each change of a table without a key: equal rows stay apart, nothing is
// merged, a replay changes nothing, and few, many and pieces end as the same.
func appends(x *fixture) {
	// The second one's values have no short form in every store.
	for name, typ := range map[string]schema.Type{"log": {Kind: schema.String}, "log_spans": {Kind: schema.Interval}} {
		x.table = &schema.Table{Source: "330106-xueji", Dataset: name, Database: "xueji", Name: name, Append: true, Columns: []schema.Column{
			{Name: "id", Type: schema.Type{Kind: schema.Int64}, Nullable: true}, {Name: "v", Type: typ, Nullable: true}}}
		if _, err := x.store.EnsureTable(x.Context(), x.claim, x.table); err != nil {
			x.Fatal(err)
		}
		one := []event.Value{event.Signed(1), event.NullValue}
		none := []event.Value{event.NullValue, event.NullValue}
		columns := []string{"id"}
		c := worker.TableChange{Upserts: []worker.NetRow{logged(event.Create, 0, one...), logged(event.Create, 1, one...)}}
		x.apply(c)
		b := x.batch(worker.TableChange{Upserts: []worker.NetRow{logged(worker.ImageBefore, 7, one...), logged(event.Update, 7, event.Signed(2), event.NullValue),
			logged(event.Delete, 8, one...), logged(event.Truncate, 9, none...)}})
		if err := x.store.Apply(x.Context(), b); err != nil {
			x.Fatal(err)
		}
		if err := x.store.Apply(x.Context(), b); !errors.Is(err, worker.ErrProgressMoved) {
			x.Errorf("the same batch again: %v", err)
		}
		x.at = b.Steps[0].To
		want := []string{"0|c|1", "1|c|1", "7|b|1", "7|u|2", "8|d|1", "9|t|~"}
		x.wantLog(columns, want...)

		var rows []worker.NetRow
		for i := range many {
			rows = append(rows, logged(event.Create, i, event.Signed(5), event.NullValue))
		}
		x.apply(worker.TableChange{Upserts: rows})
		x.large(worker.TableChange{Upserts: slices.Clone(rows)}, worker.TableChange{Upserts: []worker.NetRow{logged(event.Delete, many, one...)}})
		all := x.h.Rows(x.T, name, "_op", "id")
		slices.Sort(all)
		if got := fmt.Sprintf("%d of %s to %s", len(all), all[0], all[len(all)-1]); got != fmt.Sprintf("%d of b|1 to u|2", len(want)+2*many+1) {
			x.Errorf("the log has %s", got)
		}
		if n := len(slices.DeleteFunc(all, func(r string) bool { return r != "c|5" })); n != 2*many {
			x.Errorf("%d equal rows, want %d", n, 2*many)
		}
	}
	keyed := *x.table
	keyed.Append, keyed.Key = false, []int{0}
	if _, err := x.store.EnsureTable(x.Context(), x.claim, &keyed); !errors.Is(err, worker.ErrTableRefused) {
		x.Errorf("a table with a key takes over a log of changes: %v", err)
	}
	merged := *Table()
	merged.Append, merged.Key = true, nil
	if _, err := x.store.EnsureTable(x.Context(), x.claim, &merged); !errors.Is(err, worker.ErrTableRefused) {
		x.Errorf("a log of changes takes over a table with a key: %v", err)
	}
}

// appendQuarantine has a single row of a log in quarantine.
func appendQuarantine(x *fixture) {
	x.table = &schema.Table{Source: "330106-xueji", Dataset: "log", Database: "xueji", Name: "log", Append: true, Columns: []schema.Column{{Name: "id", Type: schema.Type{Kind: schema.Int64}}}}
	if _, err := x.store.EnsureTable(x.Context(), x.claim, x.table); err != nil {
		x.Fatal(err)
	}
	r := logged(event.Create, 3, event.Signed(1))
	q := worker.Quarantined{Table: x.table, ID: "\x02\x00x", Key: worker.AppendedKey(&r), First: x.at, Last: x.at, Changes: 1, Op: event.Create, Row: r.Values, Code: "C", Text: "why"}
	b := x.batch(worker.TableChange{})
	b.Quarantine, b.Steps[0].Quarantined = []worker.Quarantined{q}, 1
	if err := x.store.Apply(x.Context(), b); err != nil {
		x.Fatal(err)
	}
	x.at = b.Steps[0].To
	other := x.h.Open(x.T)
	got, err := other.Recall(x.Context(), x.take(other))
	want := worker.QuarantinedKey{Source: x.table.Source, Table: x.table.ID(), ID: q.ID}
	if err != nil || !slices.Equal(got.Keys, []worker.QuarantinedKey{want}) {
		x.Errorf("keys %+v, %v; want %+v", got.Keys, err, want)
	}
}
