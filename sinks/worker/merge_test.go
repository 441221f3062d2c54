package worker

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

var pupils = &schema.Table{Source: "s", Dataset: "t", Database: "d", Name: "t", Key: []int{0}, Columns: []schema.Column{
	{Name: "id", Type: schema.Type{Kind: schema.Int64}}, {Name: "a", Type: schema.Type{Kind: schema.Int64}}, {Name: "b", Type: schema.Type{Kind: schema.String}}}}

// model is a table as the source has it.
type model map[int64][2]event.Value

func (m model) copy() model {
	out := model{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

func (m model) String() string {
	s := ""
	for k := range int64(6) {
		if v, ok := m[k]; ok {
			s += fmt.Sprintf("%d:%d/%s ", k, v[0].N, v[1].B)
		}
	}
	return s
}

// apply does what a store must do with a net change.
func apply(t *rapid.T, before model, c TableChange) model {
	rows := make([][2]event.Value, len(c.Upserts))
	for i, u := range c.Upserts {
		rows[i] = [2]event.Value{u.Values[1], u.Values[2]}
		for n := range rows[i] {
			if rows[i][n].State != event.Absent {
				continue
			}
			if u.Base == nil {
				t.Fatalf("row %d lacks a column and has no base", u.Values[0].N)
			}
			base, ok := before[u.Base[0].Int()]
			if !ok {
				t.Fatalf("base %d of row %d isn't in the store", u.Base[0].N, u.Values[0].N)
			}
			rows[i][n] = base[n]
		}
	}
	after := before.copy()
	if c.Truncate {
		after = model{}
	}
	for _, k := range c.Deletes {
		delete(after, k[0].Int())
	}
	for i, u := range c.Upserts {
		k := u.Values[0].Int()
		if _, there := after[k]; there && u.New {
			t.Fatalf("row %d was said to be new", k)
		}
		after[k] = rows[i]
	}
	return after
}

// Any history of one table, merged and applied at once, ends as it does step by
// step: moves, chains, swaps through a third key, absent columns, truncates.
func TestAttack28MergeEqualsSequence(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		start := model{}
		for k := range int64(rapid.IntRange(0, 4).Draw(r, "rows")) {
			start[k] = [2]event.Value{event.Signed(k + 100), event.Raw([]byte("long"))}
		}
		now := start.copy()
		m := newMerger(&memory{}, "s", pupils)
		serial := int64(1000)
		for range rapid.IntRange(1, 12).Draw(r, "changes") {
			k := rapid.Int64Range(0, 5).Draw(r, "key")
			old, there := now[k]
			serial++
			row := event.Row{Table: pupils}
			fresh := [2]event.Value{event.Signed(serial), event.Raw(fmt.Append(nil, "v", serial))}
			image := func(k int64, v [2]event.Value) []event.Value { return []event.Value{event.Signed(k), v[0], v[1]} }
			switch {
			case rapid.IntRange(0, 19).Draw(r, "truncate") == 0:
				m.clear()
				now = model{}
				continue
			case !there:
				row.Op, row.After = event.Create, image(k, fresh)
				now[k] = fresh
			case rapid.Bool().Draw(r, "delete"):
				row.Op, row.Before = event.Delete, []event.Value{event.Signed(k), {}, {}}
				delete(now, k)
			default:
				to := k
				if free := rapid.Int64Range(0, 5).Draw(r, "to"); free != k {
					if _, taken := now[free]; !taken {
						to = free
						row.Before = []event.Value{event.Signed(k), {}, {}}
					}
				}
				row.Op, row.After = event.Update, image(to, fresh)
				kept := fresh
				if rapid.Bool().Draw(r, "absent") { // the long column wasn't changed
					row.After[2], kept[1] = event.Value{}, old[1]
				}
				delete(now, k)
				now[to] = kept
			}
			if err := m.add(&row, event.Position{}, time.Time{}); err != nil {
				r.Fatal(err)
			}
		}
		if got := apply(r, start, m.result()); got.String() != now.String() {
			r.Fatalf("from %s\ngot  %s\nwant %s", start, got, now)
		}
	})
}
