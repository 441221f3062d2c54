package sinktest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// unheld is a limit that the suite doesn't reach.
var unheld = worker.HeldLimit{Rows: 1000, Bytes: 1 << 20}

// halts is the next batch, in which n rows of the table are held; the first one halts it.
func (x *fixture) halts(n int) *worker.Batch {
	b := x.batch(worker.TableChange{})
	b.HeldLimit = unheld
	b.Halts = []worker.Halt{{Source: x.table.Source, Table: x.table.ID(), Since: b.Steps[0].To, Error: "altered", Version: x.table.Version()}}
	b.Steps[0].Held = n
	b.Held = []worker.Held{x.held(b.Steps[0].To, n)}
	return b
}

func (x *fixture) held(at event.Position, n int) worker.Held {
	h := worker.Held{Source: x.table.Source, Table: x.table.ID(), Rows: int64(n), Bytes: int64(n)}
	for i := range n {
		h.Changes = append(h.Changes, worker.HeldChange{HeldPlace: worker.HeldPlace{Position: at, Order: i}, Committed: time.Unix(1_700_000_000, 0), Op: event.Update,
			Table: x.table, Key: key(int64(i)), Topic: partition.Topic, SchemaID: 7, Record: []byte{byte(i)}, Loading: i%2 == 1, Sweep: i%2 == 1})
	}
	return h
}

func (x *fixture) commit(b *worker.Batch) {
	x.Helper()
	if err := x.store.Apply(x.Context(), b); err != nil {
		x.Fatal(err)
	}
	x.at = b.Steps[0].To
}

// halted gives the only halt, without its time.
func (x *fixture) halted() worker.Halt {
	x.Helper()
	all, err := x.store.Halts(x.Context(), x.claim)
	if err != nil || len(all) != 1 {
		x.Fatalf("halts %+v, %v", all, err)
	}
	return timeless(all)[0]
}

// kept reads what is held, as "position/order op record loading", and ends of loads as such.
func (x *fixture) kept(limit worker.HeldLimit) (out []string, more bool) {
	x.Helper()
	changes, more, err := x.store.Held(x.Context(), x.claim, x.table.Source, x.table.ID(), limit)
	if err != nil {
		x.Fatal(err)
	}
	for _, c := range changes {
		if c.Load != nil {
			out = append(out, fmt.Sprintf("%d/%d end of %d", c.Position.Offset, c.Order, c.Load.Since.Offset))
			continue
		}
		if c.Topic != partition.Topic || c.SchemaID != 7 || !c.Committed.Equal(time.Unix(1_700_000_000, 0)) || c.Sweep != c.Loading {
			x.Errorf("held change %+v", c)
		}
		out = append(out, fmt.Sprintf("%d/%d %c %d %t", c.Position.Offset, c.Order, c.Op, c.Record, c.Loading))
	}
	return out, more
}

// resume applies rows in the place of held changes.
func (x *fixture) resume(r worker.Resume, rows ...worker.NetRow) error {
	r.Source, r.Table, r.Version = x.table.Source, x.table.ID(), x.table.Version()
	b := x.batch(worker.TableChange{Upserts: rows, Late: true})
	b.Steps, b.Resume = nil, &r
	return x.store.Apply(x.Context(), b)
}

// heldRows: what is held comes back in order, leaves with the batch that applies it, and the
// table goes on once nothing is held any more.
func heldRows(x *fixture) {
	if _, err := x.store.Accept(x.Context(), x.table.Source, x.table.ID()); !errors.Is(err, worker.ErrNotHalted) {
		x.Errorf("a table that goes on was accepted: %v", err)
	}
	x.commit(x.halts(3))
	b := x.batch(worker.TableChange{})
	b.HeldLimit, b.Held = unheld, []worker.Held{x.held(b.Steps[0].To, 1)}
	x.commit(b)
	want := worker.Halt{Source: x.table.Source, Table: x.table.ID(), Since: event.Position{Epoch: 1, Place: event.Place{Offset: 10}}, Error: "altered",
		Version: x.table.Version(), Rows: 4, Bytes: 4}
	if got := x.halted(); got != want {
		x.Errorf("halt %+v, want %+v", got, want)
	}
	if got, more := x.kept(worker.HeldLimit{Rows: 2, Bytes: 100}); !more || !slices.Equal(got, []string{"10/0 u [0] false", "10/1 u [1] true"}) {
		x.Errorf("the first two: %q, %t", got, more)
	}
	if got, more := x.kept(worker.HeldLimit{Rows: 9, Bytes: 3}); !more || len(got) != 3 {
		x.Errorf("three bytes: %q, %t", got, more)
	}
	got, err := x.store.Accept(x.Context(), x.table.Source, x.table.ID())
	if want.Accepted = true; err != nil || timeless([]worker.Halt{got})[0] != want || x.halted() != want {
		x.Errorf("accepted %+v, %v", got, err)
	}
	if err := x.store.HaltAgain(x.Context(), x.claim, worker.Halt{Source: x.table.Source, Table: x.table.ID(), Error: "again", Version: "v"}); err != nil {
		x.Fatal(err)
	}
	if got := x.halted(); got.Accepted || got.Error != "again" || got.Version != "v" || got.Rows != 4 {
		x.Errorf("stopped again: %+v", got)
	}
	first, second := worker.HeldPlace{Position: want.Since}, worker.HeldPlace{Position: want.Since, Order: 2}
	if err := x.resume(worker.Resume{First: first, Last: second}, made(1, "a", "one")); err != nil {
		x.Fatal(err)
	}
	x.want("1|a|one")
	if got, more := x.kept(unheld); more || !slices.Equal(got, []string{"20/0 u [0] false"}) || x.halted().Rows != 1 {
		x.Errorf("left are %q, %t, counted %d", got, more, x.halted().Rows)
	}
	held := x.claim
	x.claim = x.take(x.h.Open(x.T)) // somebody else's now
	x.claim.Fence = held.Fence
	last := worker.HeldPlace{Position: x.at}
	if err := x.resume(worker.Resume{First: last, Last: last, Done: true}, made(2, "b", "two")); err == nil {
		x.Error("the former holder could apply what is held")
	}
	x.claim = x.take(x.store)
	if err := x.resume(worker.Resume{First: last, Last: last, Done: true}, made(2, "b", "two")); err != nil {
		x.Fatal(err)
	}
	x.want("1|a|one", "2|b|two")
	if all, err := x.store.Halts(x.Context(), x.claim); err != nil || len(all) != 0 {
		x.Errorf("halts %+v, %v", all, err)
	}
	x.apply(worker.TableChange{Upserts: []worker.NetRow{moved(2, 2, text("B"))}}) // the source goes on where it is
	x.want("1|a|one", "2|B|two")
}

// heldLimits: beyond the limit nothing is held, and only reading the table again helps.
func heldLimits(x *fixture) {
	for name, change := range map[string]func(*worker.Batch){
		"rows":       func(b *worker.Batch) { b.HeldLimit.Rows = 4 },
		"bytes":      func(b *worker.Batch) { b.HeldLimit.Bytes = 4 },
		"over alone": func(b *worker.Batch) { b.Held[0].Over, b.Held[0].Changes = true, nil },
	} {
		b := x.halts(3)
		b.HeldLimit.Rows = 3
		x.commit(b)
		if b.Held[0].Dropped {
			x.Fatalf("%s: dropped at the limit", name)
		}
		b = x.batch(worker.TableChange{})
		b.HeldLimit, b.Held = unheld, []worker.Held{x.held(b.Steps[0].To, 2)}
		change(b)
		x.commit(b)
		h := x.halted()
		if got, _ := x.kept(unheld); len(got) > 0 || !b.Held[0].Dropped || !h.Reread || h.Rows != 0 || h.Bytes != 0 {
			x.Errorf("%s: held are %q, dropped %t, %+v", name, got, b.Held[0].Dropped, h)
		}
		b = x.batch(worker.TableChange{}) // which was made before anybody knew
		b.HeldLimit, b.Held = unheld, []worker.Held{x.held(b.Steps[0].To, 2)}
		x.commit(b)
		if got, _ := x.kept(unheld); len(got) > 0 || !b.Held[0].Dropped || x.halted() != h {
			x.Errorf("%s: later held are %q, dropped %t, %+v", name, got, b.Held[0].Dropped, x.halted())
		}
		if h, err := x.store.Accept(x.Context(), x.table.Source, x.table.ID()); err != nil || !h.Reread {
			x.Errorf("%s: accepted %+v, %v", name, h, err)
		}
		since := x.later()
		l := event.Load{Phase: event.LoadBegun, Since: since, Sweep: true, Ordered: true}
		x.load(l, worker.TableChange{})
		l.Phase = event.LoadEnded
		x.load(l, worker.TableChange{})
		if all, err := x.store.Halts(x.Context(), x.claim); err != nil || len(all) != 0 {
			x.Errorf("%s: after the load %+v, %v", name, all, err)
		}
	}
}

// heldPieces: a large transaction holds rows piece by piece, and counts them at its end.
func heldPieces(x *fixture) {
	for _, limit := range []int64{3, 4} {
		b := x.halts(0)
		b.HeldLimit.Rows = limit
		tx := x.begin(x.store, x.claim)
		one, two := x.held(b.Steps[0].To, 2), x.held(b.Steps[0].To, 4)
		two.Changes = two.Changes[2:]
		for _, h := range []worker.Held{one, two} {
			if err := tx.Write(x.Context(), nil, nil, []worker.Held{h}); err != nil {
				x.Fatal(err)
			}
		}
		b.Held = []worker.Held{{Source: x.table.Source, Table: x.table.ID(), Rows: 4, Bytes: 4}}
		if err := errors.Join(tx.Commit(x.Context(), b), tx.Close()); err != nil {
			x.Fatal(err)
		}
		x.at = b.Steps[0].To
		got, _ := x.kept(unheld)
		if h := x.halted(); h.Reread != (limit == 3) || b.Held[0].Dropped != h.Reread || len(got) != int(h.Rows) || !h.Reread && h.Rows != 4 {
			x.Errorf("limit %d: held are %q, %+v", limit, got, h)
		}
		x.load(event.Load{Phase: event.LoadBegun, Since: x.later()}, worker.TableChange{}) // all of it comes again
		if got, _ := x.kept(unheld); len(got) > 0 {
			x.Errorf("held while all is read again: %q", got)
		}
		x.load(event.Load{Phase: event.LoadEnded, Since: x.at}, worker.TableChange{})
	}
}

// heldLoads: a load that ends while its table is halted sweeps once its rows are applied; one
// that goes on is known to whoever has the table next.
func heldLoads(x *fixture) {
	x.apply(worker.TableChange{Upserts: []worker.NetRow{made(1, "a", "one")}})
	l := event.Load{Phase: event.LoadBegun, Since: x.later(), Sweep: true}
	x.load(l, worker.TableChange{})
	x.commit(x.halts(1))
	if got := x.loading(); len(got) != 1 || got[0].Since != l.Since || !got[0].Sweep || got[0].Range != nil {
		x.Errorf("loads that go on: %+v", got)
	}
	end := l
	end.Phase, end.Table, end.Dataset = event.LoadEnded, x.table.ID(), x.table.Dataset
	b := x.batch(worker.TableChange{})
	place := worker.HeldPlace{Position: b.Steps[0].To}
	b.HeldLimit, b.Loads = unheld, []worker.Load{{Source: x.table.Source, Load: end}}
	b.Held = []worker.Held{{Source: x.table.Source, Table: x.table.ID(), Changes: []worker.HeldChange{{HeldPlace: place, Committed: time.Unix(1, 0), Load: &end, Topic: partition.Topic}}}}
	x.commit(b)
	if got := x.loading(); len(got) > 0 {
		x.Errorf("loads that have ended: %+v", got)
	}
	x.want("1|a|one")
	got, more := x.kept(unheld)
	if want := []string{fmt.Sprintf("%d/0 u [0] false", place.Position.Offset-10), fmt.Sprintf("%d/0 end of %d", place.Position.Offset, l.Since.Offset)}; more || !slices.Equal(got, want) {
		x.Errorf("held are %q, want %q", got, want)
	}
	r := worker.Resume{First: worker.HeldPlace{Position: l.Since}, Last: place, Done: true, Load: &worker.Load{Source: x.table.Source, Load: end}}
	if err := x.resume(r, made(2, "b", "two")); err != nil {
		x.Fatal(err)
	}
	x.want("2|b|two")
}
