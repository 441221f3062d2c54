package sinktest

import (
	"slices"

	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// load makes a batch in which a table's load begins or ends.
func (x *fixture) load(l event.Load, c worker.TableChange) {
	x.Helper()
	b := x.batch(c)
	l.Table, l.Dataset = x.table.ID(), x.table.Dataset
	b.Loads = []worker.Load{{Source: x.table.Source, Load: l}}
	if err := x.store.Apply(x.Context(), b); err != nil {
		x.Fatal(err)
	}
	x.at = b.Steps[0].To
}

// loading gives the loads that go on, as another worker finds them.
func (x *fixture) loading() []worker.Load {
	x.Helper()
	other := x.h.Open(x.T)
	got, err := other.Recall(x.Context(), x.take(other))
	if err != nil {
		x.Fatal(err)
	}
	x.claim = x.take(x.store)
	return got.Loads
}

// loads begins a load, brings rows and changes of rows that aren't there yet, ends it, and
// reads the table again after rows have vanished at the source.
func loads(x *fixture) {
	since := event.Position{Epoch: 1, Place: event.Place{Offset: x.at.Place.Offset + 10}}
	x.load(event.Load{Phase: event.LoadBegun, Since: since}, worker.TableChange{})
	want := []worker.Load{{Source: x.table.Source, Load: event.Load{Table: x.table.ID(), Since: since}}}
	if got := x.loading(); !slices.Equal(got, want) {
		x.Errorf("loads %+v, want %+v", got, want)
	}
	// Changes of a part of rows that the load hasn't brought have no effect, be they few or many.
	x.apply(worker.TableChange{Loading: true, Deletes: [][]event.Value{key(8)}, Upserts: []worker.NetRow{moved(1, 1, text("A")), moved(2, 3, text("C"))}})
	var many []worker.NetRow
	for id := range int64(300) {
		many = append(many, moved(1000+id, 1000+id, text("many")))
	}
	x.apply(worker.TableChange{Loading: true, Upserts: many})
	x.want()
	x.load(event.Load{Phase: event.LoadEnded, Since: since}, worker.TableChange{Loading: true, Upserts: []worker.NetRow{made(1, "a", "one"), made(2, "b", "two")}})
	x.want("1|a|one", "2|b|two")
	if got := x.loading(); len(got) != 0 {
		x.Errorf("loads that have ended: %+v", got)
	}

	// The second load doesn't bring row 1: it doesn't exist any more.
	again := event.Position{Epoch: 1, Place: event.Place{Offset: x.at.Place.Offset + 10}}
	x.load(event.Load{Phase: event.LoadBegun, Since: again, Sweep: true}, worker.TableChange{})
	x.apply(worker.TableChange{Loading: true, Upserts: []worker.NetRow{{Op: event.Read, Values: []event.Value{event.Signed(2), text("b"), text("two")}}}})
	x.want("1|a|one", "2|b|two")
	x.load(event.Load{Phase: event.LoadEnded, Since: again, Sweep: true}, worker.TableChange{})
	x.want("2|b|two")
}

// loadEndsHalt: a table that had stopped is whole again after its load.
func loadEndsHalt(x *fixture) {
	b := x.batch(worker.TableChange{})
	b.Halts = []worker.Halt{{Source: x.table.Source, Table: x.table.ID(), Since: b.Steps[0].To, Error: "altered"}}
	if err := x.store.Apply(x.Context(), b); err != nil {
		x.Fatal(err)
	}
	x.at = b.Steps[0].To
	since := event.Position{Epoch: 1, Place: event.Place{Offset: x.at.Place.Offset + 10}}
	x.load(event.Load{Phase: event.LoadBegun, Since: since}, worker.TableChange{})
	other := x.h.Open(x.T)
	if r, err := other.Recall(x.Context(), x.take(other)); err != nil || len(r.Halts) != 0 {
		x.Errorf("halts %+v, %v while the table is loaded anew", r.Halts, err)
	}
}

// tableLeft: a table that isn't captured any more keeps its rows, is neither stopped nor
// loaded, and is loaded again like any other.
func tableLeft(x *fixture) {
	x.apply(worker.TableChange{Upserts: []worker.NetRow{made(1, "a", "one"), made(2, "b", "two")}})
	b := x.batch(worker.TableChange{})
	b.Halts = []worker.Halt{{Source: x.table.Source, Table: x.table.ID(), Since: b.Steps[0].To, Error: "altered"}}
	if err := x.store.Apply(x.Context(), b); err != nil {
		x.Fatal(err)
	}
	x.at = b.Steps[0].To
	x.load(event.Load{Phase: event.TableRemoved, Since: x.later()}, worker.TableChange{})
	other := x.h.Open(x.T)
	if r, err := other.Recall(x.Context(), x.take(other)); err != nil || len(r.Halts)+len(r.Loads) != 0 {
		x.Errorf("a table that was left: halts %+v, loads %+v, %v", r.Halts, r.Loads, err)
	}
	x.claim = x.take(x.store)
	x.want("1|a|one", "2|b|two")
	l := event.Load{Phase: event.LoadBegun, Since: x.later(), Sweep: true}
	x.load(l, worker.TableChange{})
	if got := x.loading(); len(got) != 1 {
		x.Errorf("loads %+v, want one", got)
	}
	l.Phase = event.LoadEnded
	x.load(l, worker.TableChange{Loading: true, Upserts: []worker.NetRow{{Op: event.Read, Values: []event.Value{event.Signed(2), text("b"), text("two")}}}})
	x.want("2|b|two")
}

// tableGone: a table that doesn't exist at the source any more keeps its rows, whether it was
// being loaded or not; what a person may still accept stays held. One of its name is loaded.
func tableGone(x *fixture) {
	x.apply(worker.TableChange{Upserts: []worker.NetRow{made(1, "a", "one"), made(2, "b", "two")}})
	gone := event.Load{Phase: event.TableDropped, Since: x.later()}
	x.commit(x.halts(2))
	x.load(gone, worker.TableChange{})
	if h, _ := x.kept(unheld); len(h) != 2 || x.halted().Reread {
		x.Errorf("held are %q, %+v", h, x.halted())
	}
	l := event.Load{Phase: event.LoadBegun, Since: x.later(), Sweep: true}
	x.load(l, worker.TableChange{})
	x.load(gone, worker.TableChange{})
	if got := x.loading(); len(got) != 0 {
		x.Errorf("a table that is gone is loaded: %+v", got)
	}
	if all, err := x.store.Halts(x.Context(), x.claim); err != nil || len(all) != 0 {
		x.Errorf("halts %+v, %v", all, err)
	}
	l.Phase = event.LoadEnded // of a load that isn't known any more
	x.load(l, worker.TableChange{})
	x.want("1|a|one", "2|b|two")
	l = event.Load{Phase: event.LoadBegun, Since: x.later(), Sweep: true}
	x.load(l, worker.TableChange{})
	l.Phase = event.LoadEnded
	x.load(l, worker.TableChange{Loading: true, Upserts: []worker.NetRow{{Op: event.Read, Values: []event.Value{event.Signed(2), text("b"), text("two")}}}})
	x.want("2|b|two")
}

// haltWhileLoaded: a table that stops during its load stays stopped, and the load's end
// takes no row away.
func haltWhileLoaded(x *fixture) {
	x.apply(worker.TableChange{Upserts: []worker.NetRow{made(1, "a", "one")}})
	since := event.Position{Epoch: 1, Place: event.Place{Offset: x.at.Place.Offset + 10}}
	l := event.Load{Phase: event.LoadBegun, Since: since, Sweep: true}
	x.load(l, worker.TableChange{})
	b := x.batch(worker.TableChange{})
	want := worker.Halt{Source: x.table.Source, Table: x.table.ID(), Since: b.Steps[0].To, Error: "altered"}
	b.Halts = []worker.Halt{want}
	if err := x.store.Apply(x.Context(), b); err != nil {
		x.Fatal(err)
	}
	x.at = b.Steps[0].To
	l.Phase = event.LoadEnded
	x.load(l, worker.TableChange{})
	x.want("1|a|one")
	other := x.h.Open(x.T)
	r, err := other.Recall(x.Context(), x.take(other))
	if err != nil || !slices.Equal(timeless(r.Halts), []worker.Halt{want}) || len(r.Loads) != 0 {
		x.Errorf("halts %+v and loads %+v, %v, want the halt and no load", r.Halts, r.Loads, err)
	}
}
