package sinktest

import (
	"slices"
	"time"

	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
)

// compared applies a batch with one step of a verification, and the rows that come with it.
func (x *fixture) compared(c worker.Check, upserts ...worker.NetRow) {
	x.Helper()
	for i := range upserts {
		upserts[i].Op = event.Read
	}
	b := x.batch(worker.TableChange{Upserts: upserts})
	c.Source, c.ID, c.Table, c.Dataset = x.table.Source, "v"+c.Since.String(), x.table.ID(), x.table.Dataset
	if c.Phase == event.CheckRows {
		if c.Schema == nil {
			c.Schema = x.table
		}
	}
	b.Checks = []worker.Check{c}
	if len(upserts) == 0 {
		b.Tables = nil
	}
	if err := x.store.Apply(x.Context(), b); err != nil {
		x.Fatal(err)
	}
	x.at = b.Steps[0].To
}

// named makes rows into those of a check.
func (x *fixture) named(rows ...worker.NetRow) (out []event.CheckedRow) {
	x.Helper()
	var d envelope.Digester
	for i := range rows {
		key, err := envelope.AppendKeyColumns(nil, x.table, rows[i].Values)
		if err != nil {
			x.Fatal(err)
		}
		out = append(out, event.CheckedRow{Key: key, Digest: d.Row(x.table, rows[i].Values)})
	}
	return out
}

func read(id int64, name, note event.Value) worker.NetRow {
	return worker.NetRow{Op: event.Read, Values: []event.Value{event.Signed(id), name, note}}
}

// verification begins one and gives its steps' common part.
func (x *fixture) verification(repair bool) worker.Check {
	x.Helper()
	since := event.Position{Epoch: 1, Place: event.Place{Offset: x.at.Place.Offset + 10}}
	c := worker.Check{Check: event.Check{Since: since, Repair: repair}, Held: func([]byte) bool { return false }}
	begun := c
	begun.By, begun.At = "a@b", time.Unix(1_700_000_000, 0)
	x.compared(begun)
	return c
}

// verified wants the newest verification to have come to this.
func (x *fixture) verified(want string) {
	x.Helper()
	if got := x.h.Verified(x.T); got != want {
		x.Errorf("verification %q, want %q", got, want)
	}
}

// checksWithout compares a table but for a column, in which store and source differ.
func checksWithout(x *fixture) {
	part, _ := x.table.Without([]string{"note"})
	narrow := func(rows ...worker.NetRow) (out []event.CheckedRow) {
		out = x.named(rows...)
		var d envelope.Digester
		for i := range out {
			out[i].Digest = d.Row(part, rows[i].Values)
		}
		return out
	}
	x.apply(worker.TableChange{Upserts: []worker.NetRow{read(1, text("a"), text("one")), read(2, text("b"), event.NullValue)}})
	for want, second := range map[string]string{"equal 2 0 0 0 0 0 0": "b", "unequal 2 0 0 1 0 0 0 different [2]": "B"} {
		c := x.verification(false)
		c.Without = []string{"note"}
		c.Phase, c.Schema, c.Rows = event.CheckRows, part, narrow(read(1, text("a"), text("another")), read(2, text(second), text("two")))
		x.compared(c)
		c.Phase, c.Schema, c.Rows, c.Total = event.CheckEnded, nil, nil, 2
		x.compared(c)
		x.verified(want)
	}
}

// checks compares a table that differs in each way, mends it, and finds it equal.
func checks(x *fixture) {
	source := []worker.NetRow{read(1, text("a"), text("one")), read(2, text(""), event.NullValue), read(3, event.NullValue, text("")), read(4, text("d"), text("four"))}
	x.apply(worker.TableChange{Upserts: slices.Clone(source)})
	for _, repair := range []bool{false, true} {
		// Row 1 is missing, 2 and 3 have empty for NULL and NULL for empty, 9 is too much.
		x.apply(worker.TableChange{Deletes: [][]event.Value{key(1)}, Upserts: []worker.NetRow{read(2, event.NullValue, text("")), read(3, text(""), event.NullValue), read(9, text("i"), text("nine"))}})
		c := x.verification(repair)
		c.Phase, c.Rows = event.CheckRows, x.named(source[:3]...)
		rows := slices.Clone(source[:3])
		if !repair {
			rows = nil
		}
		x.compared(c, rows...)
		// What the stream has written since isn't too much.
		x.apply(worker.TableChange{Upserts: []worker.NetRow{read(5, text("e"), text("five"))}})
		c.Rows = x.named(source[3])
		x.compared(c)
		x.verified(map[bool]string{false: "running 4 1 0 2 0 0 0 different [2] different [3] missing [1]", true: "running 4 1 0 2 3 0 0 different [2] different [3] missing [1]"}[repair])
		c.Phase, c.Rows, c.Total = event.CheckEnded, nil, 4
		x.compared(c)
		if repair {
			x.verified("repaired 4 1 1 2 4 0 0 different [2] different [3] missing [1] surplus [9]")
			x.want("1|a|one", "2||~", "3|~|", "4|d|four", "5|e|five")
		} else {
			x.verified("unequal 4 1 1 2 0 0 0 different [2] different [3] missing [1] surplus [9]")
			x.want("2|~|", "3||~", "4|d|four", "5|e|five", "9|i|nine")
		}
	}
	source = append(source, read(5, text("e"), text("five")))
	c := x.verification(true)
	c.Phase, c.Rows = event.CheckRows, x.named(source...)
	x.compared(c, slices.Clone(source)...)
	c.Phase, c.Rows, c.Total = event.CheckEnded, nil, 5
	x.compared(c)
	x.verified("equal 5 0 0 0 0 0 0")

	// A key in quarantine differs, and that is known; one that is too much stays, too.
	x.apply(worker.TableChange{Deletes: [][]event.Value{key(1)}, Upserts: []worker.NetRow{read(9, text("i"), text("nine"))}})
	held := x.named(read(1, text(""), text("")), read(9, text(""), text("")))
	c = x.verification(true)
	c.Held = func(key []byte) bool {
		return slices.ContainsFunc(held, func(r event.CheckedRow) bool { return string(r.Key) == string(key) })
	}
	c.Phase, c.Rows = event.CheckRows, x.named(source...)
	x.compared(c, slices.Clone(source)...)
	c.Phase, c.Rows, c.Total = event.CheckEnded, nil, 5
	x.compared(c)
	x.verified("equal 5 0 0 0 0 2 0")
	x.want("2||~", "3|~|", "4|d|four", "5|e|five", "9|i|nine")
}

// checksGivenUp: a verification that isn't whole says so, and nothing is written for it.
func checksGivenUp(x *fixture) {
	x.apply(worker.TableChange{Upserts: []worker.NetRow{read(1, text("a"), text("one"))}})
	const up = "given_up 0 0 0 0 0 0 0"
	c := x.verification(true)
	ended := c
	ended.Phase, ended.Total = event.CheckEnded, 1
	x.compared(ended) // a chunk hasn't come
	x.verified(up)
	c.Phase, c.Rows = event.CheckRows, x.named(read(1, text("A"), text("one")))
	x.compared(c, read(1, text("A"), text("one"))) // of one that isn't running any more
	x.want("1|a|one")

	x.compared(worker.Check{Check: event.Check{Phase: event.CheckGivenUp, Reason: "cancelled"}}) // nor is it any more
	x.verified(up)
}
