package worker

import (
	"testing"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
)

// TestMovedKeyOutlivesItsBatch: a key that came to quarantine by a change of another one is
// known there also when the memory of that batch is used for the next.
func TestMovedKeyOutlivesItsBatch(t *testing.T) {
	table := &schema.Table{Source: "s", Dataset: "t", Database: "d", Name: "t", Key: []int{0}, Columns: []schema.Column{{Name: "id", Type: schema.Type{Kind: schema.Int64}}}}
	image := func(id int64) []event.Value { return []event.Value{event.Signed(id)} }
	u := newBuilder(&Worker{}, "topic", map[tableKey]*stop{})
	held := u.keysOf("s").table("d.t")
	held.ids[canonical(table, image(1))] = reason{}
	change := func(before, after int64) bool {
		t.Helper()
		m := newMerger(u.mem, "s", table)
		m.held = held
		row := event.Row{Op: event.Update, Table: table, Before: image(before), After: image(after)}
		diverted, err := u.divert(m, &txn{source: "s", commit: &envelope.Commit{}}, &row)
		if err != nil {
			t.Fatal(err)
		}
		return diverted
	}
	if !change(1, 2) {
		t.Error("a row in quarantine changed its key, and went to the table")
	}
	u.reset()
	for id := range int64(100) {
		change(1000+id, 1000+id) // others, in the same memory
	}
	if !change(2, 2) || !change(1, 1) {
		t.Error("what followed for the new key went to the table")
	}
}
