package sinktest

import (
	"errors"
	"time"

	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
)

// completeUntil moves a dataset's moment on, and never while something of it is held back:
// by a table that the log doesn't have, a load, a halt, a key in quarantine, a gap or its
// repair; a table that is gone at the source holds nothing back. It stays visible where it stood, and moves on once that is over.
func completeUntil(x *fixture) {
	second := int64(100)
	reach := func(missing ...string) {
		x.Helper()
		second += 10
		if err := x.store.Reach(x.Context(), x.claim, []worker.Reached{{Source: x.table.Source, At: time.Unix(second, 0), Missing: missing}, {Source: "nobody-knows", At: time.Unix(second, 0)}}); err != nil {
			x.Fatal(err)
		}
	}
	want := func(until, when string) {
		x.Helper()
		if got := x.h.Until(x.T); got != until {
			x.Errorf("%s: %q, want %q", when, got, until)
		}
	}
	table := x.table.ID()
	change := func(f func(*worker.Batch)) {
		x.Helper()
		b := x.batch(worker.TableChange{})
		f(b)
		if err := x.store.Apply(x.Context(), b); err != nil {
			x.Fatal(err)
		}
		x.at = b.Steps[0].To
	}
	load := func(phase event.LoadPhase) {
		x.Helper()
		change(func(b *worker.Batch) {
			b.Loads = []worker.Load{{Source: x.table.Source, Load: event.Load{Table: table, Dataset: x.table.Dataset, Phase: phase, Since: x.at}}}
		})
	}
	x.apply(worker.TableChange{Upserts: []worker.NetRow{made(1, "a", "one")}})
	want("0", "before anything is told")
	reach()
	want("110", "told")
	if err := x.store.Reach(x.Context(), x.claim, []worker.Reached{{Source: x.table.Source, At: time.Unix(50, 0)}}); err != nil {
		x.Fatal(err)
	}
	want("110", "an older moment")
	reach("other.table")
	want("120", "another table is missing")
	reach(table)
	want("120 missing", "the table isn't in the log")
	reach(envelope.AllTables)
	want("120 missing", "any table may be missing")
	reach()
	want("150", "it is there again")
	load(event.LoadBegun)
	reach()
	want("150 loading", "while it is loaded")
	load(event.LoadEnded)
	want("150", "loaded, and nothing told since")
	reach()
	want("170", "loaded")
	change(func(b *worker.Batch) {
		b.Halts = []worker.Halt{{Source: x.table.Source, Table: table, Since: x.at, Error: "x"}}
	})
	reach()
	want("170 halted", "halted")
	load(event.LoadBegun)
	load(event.LoadEnded)
	reach()
	want("190", "read again after the halt")
	if err := x.store.RecordGap(x.Context(), x.claim, worker.Gap{Source: x.table.Source, Last: x.at, Code: "SLOT_LOST", At: time.Unix(1_700_000_000, 0)}); err != nil {
		x.Fatal(err)
	}
	reach()
	want("190 gap", "in a gap")
	x.repair(event.RepairBegun, nil)
	reach()
	want("190 repairing", "while the gap is repaired")
	x.repair(event.RepairEnded, nil)
	reach()
	want("220", "repaired")
	load(event.LoadBegun)
	reach()
	want("220 loading", "read again")
	load(event.TableDropped)
	reach()
	want("240", "dropped at the source while it was loaded")
	before := x.claim
	x.claim = x.take(x.store)
	if err := x.store.Reach(x.Context(), before, []worker.Reached{{Source: x.table.Source, At: time.Unix(999, 0)}}); !errors.Is(err, worker.ErrClaimLost) {
		x.Errorf("without the claim: %v", err)
	}
	want("240", "told by a worker that has lost the claim")
}

// completeEmpty: a table whose load has ended without a row is complete, as far as nothing else
// holds it back, as one with rows is.
func completeEmpty(x *fixture) {
	load := func(phase event.LoadPhase) {
		x.Helper()
		b := x.batch(worker.TableChange{})
		b.Tables = nil
		b.Loads = []worker.Load{{Source: x.table.Source, Load: event.Load{Table: "xueji.empty", Dataset: "empty", Phase: phase, Since: x.at}}}
		if err := x.store.Apply(x.Context(), b); err != nil {
			x.Fatal(err)
		}
		x.at = b.Steps[0].To
	}
	second := int64(100)
	reach := func(want string) {
		x.Helper()
		second += 10
		if err := x.store.Reach(x.Context(), x.claim, []worker.Reached{{Source: x.table.Source, At: time.Unix(second, 0)}}); err != nil {
			x.Fatal(err)
		}
		if got := x.h.Until(x.T); got != want {
			x.Errorf("%q, want %q", got, want)
		}
	}
	x.apply(worker.TableChange{Upserts: []worker.NetRow{made(1, "a", "one")}})
	load(event.LoadBegun)
	reach("110")
	load(event.LoadEnded)
	reach("120; 120")
	load(event.LoadBegun)
	reach("120 loading; 130")
	load(event.LoadEnded)
	reach("140; 140")
	load(event.TableRemoved)
	reach("150; 150")
}
