package sinktest

import (
	"errors"

	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// begin opens a large transaction that the test closes at its end.
func (x *fixture) begin(s worker.Store, c worker.Claim) worker.Large {
	x.Helper()
	tx, err := s.Begin(x.Context(), c)
	if err != nil {
		x.Fatal(err)
	}
	return tx
}

func (x *fixture) write(tx worker.Large, c worker.TableChange) {
	x.Helper()
	if err := tx.Write(x.Context(), x.batch(c).Tables, nil, nil); err != nil {
		x.Fatal(err)
	}
}

// large applies the pieces of one transaction.
func (x *fixture) large(pieces ...worker.TableChange) {
	x.Helper()
	tx := x.begin(x.store, x.claim)
	for _, c := range pieces {
		x.write(tx, c)
	}
	b := x.batch(worker.TableChange{})
	b.Tables = nil
	if err := tx.Commit(x.Context(), b); err != nil {
		x.Fatal(err)
	}
	if err := tx.Close(); err != nil {
		x.Fatal(err)
	}
	x.at = b.Steps[0].To
}

// pieces are seen together or not at all, while batches of others go on.
func pieces(x *fixture) {
	x.apply(worker.TableChange{Upserts: []worker.NetRow{made(1, "a", "one")}})
	tx := x.begin(x.store, x.claim)
	x.write(tx, worker.TableChange{Upserts: []worker.NetRow{made(2, "b", "two"), moved(1, 1, text("A"))}})
	x.write(tx, worker.TableChange{Deletes: [][]event.Value{key(2)}, Upserts: []worker.NetRow{moved(2, 3, text("c"))}})
	other := x.batch(worker.TableChange{})
	other.Tables, other.Steps[0].Source.ID = nil, "330108-other"
	other.Steps[0].From = event.Position{}
	if err := x.store.Apply(x.Context(), other); err != nil {
		x.Errorf("another source's batch meanwhile: %v", err)
	}
	x.want("1|a|one")
	b := x.batch(worker.TableChange{})
	b.Tables = nil
	if err := tx.Commit(x.Context(), b); err != nil {
		x.Fatal(err)
	}
	if err := tx.Close(); err != nil {
		x.Error(err)
	}
	x.want("1|A|one", "3|c|two")
	// The same again is refused at its end, one that isn't committed leaves nothing.
	tx = x.begin(x.store, x.claim)
	x.write(tx, worker.TableChange{Truncate: true})
	if err := tx.Commit(x.Context(), b); !errors.Is(err, worker.ErrProgressMoved) {
		x.Errorf("the same transaction again: %v", err)
	}
	if err := tx.Close(); err != nil {
		x.Error(err)
	}
	x.want("1|A|one", "3|c|two")
}

// lostPieces: a new holder ends the former one's large transaction, and needn't wait
// for it.
func lostPieces(x *fixture) {
	tx := x.begin(x.store, x.claim)
	x.write(tx, worker.TableChange{Upserts: []worker.NetRow{made(1, "a", "one")}})
	other := x.h.Open(x.T)
	fresh := x.take(other)
	b := x.batch(worker.TableChange{})
	b.Tables = nil
	if err := tx.Commit(x.Context(), b); err == nil {
		x.Error("the former holder could commit")
	}
	_ = tx.Close() // its connection is broken
	x.want()
	if late, err := x.store.Begin(x.Context(), x.claim); !errors.Is(err, worker.ErrClaimLost) {
		x.Errorf("begin with the old fence: %v, %v", late, err)
	}
	x.store, x.claim = other, fresh
	x.large(worker.TableChange{Upserts: []worker.NetRow{made(1, "a", "one")}})
	x.want("1|a|one")
}
