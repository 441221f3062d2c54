package sinktest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"pgregory.net/rapid"

	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// row is what a naive store would hold under a key.
type row struct{ name, note string }

// histories applies random batches, small and large, with every kind of change at
// once, and compares the store with a naive model after each.
func histories(x *fixture) {
	model := map[int64]row{}
	x.random(func(r *rapid.T) {
		next := maps.Clone(model)
		c := change(r, next)
		x.apply(c)
		model = next
		x.compare(model)
	})
}

// pieceHistories applies each random history as the pieces of one large transaction.
func pieceHistories(x *fixture) {
	model := map[int64]row{}
	x.random(func(r *rapid.T) {
		next := maps.Clone(model)
		var all []worker.TableChange
		for range rapid.IntRange(1, 4).Draw(r, "pieces") {
			all = append(all, change(r, next))
		}
		x.large(all...)
		model = next
		x.compare(model)
	})
}

// random takes random steps, each of which goes on where the one before ended.
func (x *fixture) random(step func(*rapid.T)) {
	if !x.h.Brief {
		rapid.Check(x.T, step)
		return
	}
	steps := rapid.Custom(func(r *rapid.T) bool { step(r); return true })
	for seed := range briefSteps {
		steps.Example(seed)
	}
}

// briefSteps is the number of random steps of a brief suite.
const briefSteps = 15

func (x *fixture) compare(model map[int64]row) {
	x.Helper()
	var want []string
	for id, v := range model {
		want = append(want, fmt.Sprintf("%d|%s|%s", id, v.name, v.note))
	}
	slices.Sort(want)
	if got := x.h.Rows(x.T, x.table.Dataset, "id", "name", "note"); !slices.Equal(got, want) {
		x.Fatalf("%d rows, want %d; the first that differs: %s", len(got), len(want), firstDifference(got, want))
	}
}

func firstDifference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return got[i] + ", want " + want[i]
		}
	}
	return "one list is longer"
}

// change draws a batch's net effect on the model, and brings the model there.
func change(r *rapid.T, model map[int64]row) worker.TableChange {
	const keys = 900
	var c worker.TableChange
	c.Truncate = rapid.IntRange(0, 15).Draw(r, "truncate") == 0
	if c.Truncate {
		clear(model)
	}
	before := maps.Clone(model)
	touched := slices.Sorted(maps.Keys(before))
	size := rapid.SampledFrom([]int{0, 3, 20, 150, 400}).Draw(r, "rows")
	rng := rapid.Uint64().Draw(r, "seed")
	pick := func(n int) int { // one draw for the whole batch; the steps follow from it
		rng = rng*6364136223846793005 + 1442695040888963407
		return int(rng>>33) % n
	}
	for i := range touched {
		j := i + pick(len(touched)-i)
		touched[i], touched[j] = touched[j], touched[i]
	}
	touched = touched[:min(len(touched), size)]
	for _, id := range touched { // all leave their place first: swaps and chains
		delete(model, id)
	}
	free := func() int64 {
		for {
			if id := int64(pick(keys)); !has(model, id) {
				return id
			}
		}
	}
	for n, id := range touched {
		old, to := before[id], id
		switch pick(4) {
		case 0: // deleted
			continue
		case 1:
			to = free()
		}
		if has(model, to) {
			to = free()
		}
		v := row{name: "n" + strconv.Itoa(n), note: old.note}
		u := worker.NetRow{Base: key(id), Values: []event.Value{event.Signed(to), text(v.name), {}}}
		if pick(3) > 0 {
			v.note = "t" + strconv.Itoa(pick(1000))
			u.Values[2] = text(v.note)
		}
		model[to] = v
		c.Upserts = append(c.Upserts, u)
	}
	for range min(pick(size+1), keys*2/3-len(model)) { // some keys stay free
		id := free()
		v := row{name: "new", note: strconv.Itoa(pick(1000))}
		model[id] = v
		u := made(id, v.name, v.note)
		u.New = !has(before, id)
		c.Upserts = append(c.Upserts, u)
	}
	for id := range before {
		if !has(model, id) {
			c.Deletes = append(c.Deletes, key(id))
		}
	}
	return c
}

func has(m map[int64]row, id int64) bool { _, ok := m[id]; return ok }

// many are enough rows for any store's way of loading in bulk.
const many = 300

// thereAlready: a row that is new at the source stands in the store, as after a
// table was read again.
func thereAlready(x *fixture) {
	x.apply(worker.TableChange{Upserts: []worker.NetRow{made(7, "old", "old")}})
	var c worker.TableChange
	model := map[int64]row{}
	for id := range int64(many) {
		c.Upserts = append(c.Upserts, made(id, "n", "x"))
		model[id] = row{"n", "x"}
	}
	x.apply(c)
	x.compare(model)
}

// manyWithoutBase: rows that came without a column, and that the store doesn't have,
// can't be made up. With shared keys another source has taken them.
func manyWithoutBase(x *fixture) {
	var c worker.TableChange
	for id := range int64(many) {
		c.Upserts = append(c.Upserts, moved(id, id, text("n")))
	}
	err := x.store.Apply(x.Context(), x.batch(c))
	var te *worker.TableError
	if x.h.Shared && err != nil || !x.h.Shared && (!errors.Is(err, worker.ErrTableRefused) || !errors.As(err, &te) || te.Table != x.table) {
		x.Errorf("rows without a base: %v", err)
	}
	x.want()
}
