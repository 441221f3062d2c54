package sinktest

import (
	"slices"
	"strings"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// later gives a position behind all that was applied.
func (x *fixture) later() event.Position {
	return event.Position{Epoch: 1, Place: event.Place{Offset: x.at.Place.Offset + 10}}
}

// ids is a range of the suite's table.
func ids(from, to int64) *event.KeyRange {
	return &event.KeyRange{Columns: []event.KeyColumn{{Name: "id", Kind: schema.Int64}}, From: key(from), To: key(to)}
}

// again is a row that a load brings.
func again(id int64, name string) worker.NetRow {
	return worker.NetRow{Op: event.Read, Values: []event.Value{event.Signed(id), text(name), text("")}}
}

// parts reads a part of a table again: rows of it that don't come leave, the others and
// what is known of the table stay.
func parts(x *fixture) {
	all := func() {
		x.apply(worker.TableChange{Upserts: []worker.NetRow{again(1, "a"), again(2, "b"), again(3, "c"), again(4, "d"), again(5, "e")}})
	}
	all()
	l := event.Load{Phase: event.LoadBegun, Since: x.later(), Sweep: true, Range: ids(2, 4)}
	x.load(l, worker.TableChange{})
	if got := x.loading(); len(got) != 1 || got[0].Range == nil || got[0].Since != l.Since || !got[0].Sweep {
		x.Errorf("loads %+v, want one of a part since %s", got, l.Since)
	}
	l.Phase = event.LoadEnded
	x.load(l, worker.TableChange{Loading: true, Upserts: []worker.NetRow{again(3, "C")}})
	x.want("1|a|", "3|C|", "5|e|")
	if got := x.loading(); len(got) != 0 {
		x.Errorf("loads that have ended: %+v", got)
	}

	all()
	for _, open := range []*event.KeyRange{{Columns: ids(0, 0).Columns, From: key(4)}, {Columns: ids(0, 0).Columns, To: key(2)}} {
		l = event.Load{Phase: event.LoadBegun, Since: x.later(), Sweep: true, Range: open}
		x.load(l, worker.TableChange{})
		l.Phase = event.LoadEnded
		x.load(l, worker.TableChange{})
	}
	x.want("3|c|")

	all()
	kept := ids(1, 5)
	kept.Keep = true
	l = event.Load{Phase: event.LoadBegun, Since: x.later(), Sweep: true, Range: kept}
	x.load(l, worker.TableChange{})
	l.Phase = event.LoadEnded
	x.load(l, worker.TableChange{})
	x.want("1|a|", "2|b|", "3|c|", "4|d|", "5|e|")

	// A table that isn't complete isn't so after a part of it, either.
	whole := event.Load{Phase: event.LoadBegun, Since: x.later()}
	x.load(whole, worker.TableChange{})
	l = event.Load{Phase: event.LoadBegun, Since: x.later(), Sweep: true, Range: ids(2, 4)}
	x.load(l, worker.TableChange{})
	l.Phase = event.LoadEnded
	x.load(l, worker.TableChange{})
	if got := x.loading(); len(got) != 1 || got[0].Range != nil || got[0].Since != whole.Since {
		x.Errorf("loads %+v, want the whole table's", got)
	}
	x.want("1|a|", "2|b|", "3|c|", "4|d|", "5|e|")
}

// haltOutlivesPart: a table that has stopped stays so when a part of it is read again,
// and loses no row.
func haltOutlivesPart(x *fixture) {
	x.apply(worker.TableChange{Upserts: []worker.NetRow{again(3, "c")}})
	b := x.batch(worker.TableChange{})
	want := worker.Halt{Source: x.table.Source, Table: x.table.ID(), Since: b.Steps[0].To, Error: "altered"}
	b.Halts = []worker.Halt{want}
	if err := x.store.Apply(x.Context(), b); err != nil {
		x.Fatal(err)
	}
	x.at = b.Steps[0].To
	l := event.Load{Phase: event.LoadBegun, Since: x.later(), Sweep: true, Range: ids(2, 4)}
	x.load(l, worker.TableChange{})
	l.Phase = event.LoadEnded
	x.load(l, worker.TableChange{})
	x.want("3|c|")
	other := x.h.Open(x.T)
	if r, err := other.Recall(x.Context(), x.take(other)); err != nil || !slices.Equal(timeless(r.Halts), []worker.Halt{want}) {
		x.Errorf("halts %+v, %v; want %+v", r.Halts, err, want)
	}
}

// keyOrders has the store tell which keys lie between two, as the source's server orders
// them: each row's key of two columns, a text and a value.
func keyOrders(x *fixture) {
	for name, c := range map[string]struct {
		kind     schema.Kind
		order    event.KeyOrder
		keys     []event.Value // as the server orders them
		from, to int           // places in keys
	}{
		"integer":  {schema.Int32, event.OrderValue, signed(-10, -9, 0, 9, 10), 1, 3},
		"unsigned": {schema.Uint64, event.OrderValue, signed(9, 10, 1<<62, -2, -1), 1, 3},
		"decimal":  {schema.Decimal, event.OrderValue, written("-10.5", "-9.25", "0.00", "9.10", "10.00"), 1, 3},
		"date":     {schema.Date, event.OrderValue, signed(-800_000, -1, 0, 1, 20_000), 1, 3},
		"datetime": {schema.DateTime, event.OrderValue, signed(-5_000_000, -1, 0, 1, 1_700_000_000_000_001), 1, 3},
		"instant":  {schema.Timestamp, event.OrderValue, signed(-5_000_000, -1, 0, 1, 1_700_000_000_000_001), 1, 3},
		"bytes":    {schema.Bytes, event.OrderValue, written("", "\x00", "\x00\xff", "\x01", "\xff"), 1, 3},
		"points":   {schema.String, event.OrderPoints, written("a", "a\t", "a b", "张", "𠮷"), 1, 3},
		"padded":   {schema.String, event.OrderPadded, written("a\t", "a", "a!", "a#", "b"), 1, 3},
	} {
		t := &schema.Table{Source: x.table.Source, Dataset: "k_" + name, Database: "xueji", Name: "k_" + name, Key: []int{0, 1}, Columns: []schema.Column{
			{Name: "K", Type: schema.Type{Kind: c.kind}}, {Name: "n", Type: schema.Type{Kind: schema.Int64}}}}
		was := x.table
		x.table = t
		if _, err := x.store.EnsureTable(x.Context(), x.claim, t); err != nil {
			x.Fatal(err)
		}
		var rows []worker.NetRow
		for i, k := range c.keys {
			for n := range int64(3) {
				rows = append(rows, worker.NetRow{Op: event.Read, New: true, Values: []event.Value{k, event.Signed(int64(i)*10 + n)}})
			}
		}
		columns := []event.KeyColumn{{Name: "K", Kind: c.kind, Order: c.order}, {Name: "n", Kind: schema.Int64}}
		for _, r := range []struct {
			what string
			*event.KeyRange
			want string
		}{
			{"both columns", &event.KeyRange{Columns: columns, From: []event.Value{c.keys[c.from], event.Signed(int64(c.from)*10 + 1)}, To: []event.Value{c.keys[c.to], event.Signed(int64(c.to)*10 + 1)}}, "0 1 10 2 32 40 41 42"},
			{"the first column", &event.KeyRange{Columns: columns[:1], From: c.keys[c.from : c.from+1], To: c.keys[c.to : c.to+1]}, "0 1 2 40 41 42"},
			{"ends of two lengths", &event.KeyRange{Columns: columns, From: c.keys[c.from : c.from+1], To: []event.Value{c.keys[c.to], event.Signed(int64(c.to)*10 + 0)}}, "0 1 2 31 32 40 41 42"},
		} {
			x.apply(worker.TableChange{Upserts: rows})
			l := event.Load{Phase: event.LoadBegun, Since: x.later(), Sweep: true, Range: r.KeyRange}
			x.load(l, worker.TableChange{})
			l.Phase = event.LoadEnded
			x.load(l, worker.TableChange{})
			if got := strings.Join(x.h.Rows(x.T, t.Dataset, "n"), " "); got != r.want {
				x.Errorf("%s, %s: left are %s, want %s", name, r.what, got, r.want)
			}
			for i := range rows {
				rows[i].New = false
			}
		}
		x.table = was
	}
}

func signed(ns ...int64) (out []event.Value) {
	for _, n := range ns {
		out = append(out, event.Signed(n))
	}
	return out
}

func written(texts ...string) (out []event.Value) {
	for _, s := range texts {
		out = append(out, text(s))
	}
	return out
}
