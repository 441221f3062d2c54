package snapshot

import (
	"testing"

	"github.com/tributary-cdc/tributary/stream/event"
)

// TestMovedInPartIsNotGuessed: a view that is younger than a change may show another row
// under the key that the change left, so what the change lacks isn't taken from it.
func TestMovedInPartIsNotGuessed(t *testing.T) {
	table := modelTable()
	moved := func(from, to, a int64) event.Row {
		after := image(to, row{a, 0})
		after[2] = event.Value{}
		return event.Row{Op: event.Update, Table: table, Before: image(from, row{})[:1:1], After: after}
	}
	read := func(id int64, r row) event.Row { return event.Row{Op: event.Read, Table: table, After: image(id, r)} }
	// Row 10 moves to 20, and row 5 takes 10: the view has both already.
	changes := []event.Row{moved(10, 20, 1), moved(5, 10, 2)}
	for _, v := range []struct {
		name string
		rows []event.Row
		want map[int64]row
	}{
		{"both keys in the chunk", []event.Row{read(10, row{2, 52}), read(20, row{1, 11})}, map[int64]row{20: {1, 11}}},
		{"the new key outside of it", []event.Row{read(10, row{2, 52})}, map[int64]row{}},
		{"an older view", []event.Row{read(5, row{7, 52}), read(10, row{7, 11})}, map[int64]row{}},
	} {
		got, ok, err := overlay(table, v.rows, changes)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		if len(got) != len(v.want) {
			t.Errorf("%s: %d rows, want %d", v.name, len(got), len(v.want))
		}
		for _, r := range got {
			if now := (row{r.After[1].Int(), r.After[2].Int()}); now != v.want[r.After[0].Int()] {
				t.Errorf("%s: row %d is %v", v.name, r.After[0].Int(), now)
			}
		}
	}
}
