package snapshot

import (
	"slices"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
)

// window is what the stream delivers for one table while chunks of it are under way.
type window struct {
	changes []event.Row
	size    int // bytes, about
	arena   event.Arena
}

// note keeps a copy of a change.
func (w *window) note(row *event.Row) {
	c := event.Row{Op: row.Op, Table: row.Table, Before: w.image(row.Before), After: w.image(row.After), Anomalies: row.Anomalies}
	w.changes = append(w.changes, c)
}

func (w *window) image(in []event.Value) []event.Value {
	if in == nil {
		return nil
	}
	out := make([]event.Value, len(in))
	w.size += imageSize(in)
	for i, v := range in {
		if v.B != nil {
			v.B = w.arena.Copy(v.B)
		}
		out[i] = v
	}
	return out
}

// drop forgets the oldest n changes.
func (w *window) drop(n int) {
	for i := range w.changes[:n] {
		w.size -= imageSize(w.changes[i].Before) + imageSize(w.changes[i].After)
	}
	w.changes = slices.Delete(w.changes, 0, n)
}

func imageSize(image []event.Value) (n int) {
	for i := range image {
		n += 40 + len(image[i].B)
	}
	return n
}

// clear forgets everything; nobody looks at it any more.
func (w *window) clear() { w.changes, w.arena, w.size = nil, event.Arena{}, 0 }

// sameShape reports whether images of two versions of a table mean the same slot by slot.
func sameShape(a, b *schema.Table) bool {
	if a == b {
		return true
	}
	if len(a.Columns) != len(b.Columns) || len(a.Key) != len(b.Key) {
		return false
	}
	for i := range a.Columns {
		if a.Columns[i].Name != b.Columns[i].Name || a.Columns[i].Type.Kind != b.Columns[i].Type.Kind {
			return false
		}
	}
	for i := range a.Key {
		if a.Key[i] != b.Key[i] {
			return false
		}
	}
	return true
}

// overlay brings a chunk up to date with the changes of its window, in their order. A
// row that a change moved away, or removed, leaves the chunk; one that is changed in
// part keeps the rest of what was read, unless its key changes at the same time: the view
// may be younger, and have another row under the old key. Rows that the chunk doesn't
// hold are the stream's own business. It reports false if the chunk can't be brought up to date and
// must be read again.
func overlay(t *schema.Table, rows []event.Row, changes []event.Row) ([]event.Row, bool, error) {
	if len(changes) == 0 {
		return rows, true, nil
	}
	at := make(map[string]int, len(rows))
	gone := make([]bool, len(rows), len(rows)+len(changes))
	var scratch []byte
	key := func(image []event.Value) (string, error) {
		var err error
		scratch, err = envelope.AppendKeyColumns(scratch[:0], t, image)
		return string(scratch), err
	}
	for i := range rows {
		k, err := key(rows[i].After)
		if err != nil {
			return nil, false, err
		}
		at[k] = i
	}
	for i := range changes {
		c := &changes[i]
		if c.Op == event.Truncate || !sameShape(t, c.Table) {
			return nil, false, nil
		}
		if c.Op == event.Delete {
			k, err := key(c.Before)
			if err != nil {
				return nil, false, err
			}
			if n, ok := at[k]; ok {
				gone[n] = true
				delete(at, k)
			}
			continue
		}
		now, err := key(c.After)
		if err != nil {
			return nil, false, err
		}
		was := now
		if c.Before != nil {
			if was, err = key(c.Before); err != nil {
				return nil, false, err
			}
		}
		n, ok := at[was]
		if ok && was != now { // moved: it stands under its new key from here on
			delete(at, was)
			gone[n] = true
			if m, there := at[now]; there {
				n = m
			} else if partial(c.After) {
				continue // the row that was read may be one that took the key later
			} else {
				rows, gone = append(rows, event.Row{Op: event.Read, Table: rows[n].Table, After: make([]event.Value, len(c.After))}), append(gone, false)
				n = len(rows) - 1
				at[now] = n
			}
		} else if !ok {
			if n, ok = at[now]; !ok {
				continue
			}
		}
		lay(&rows[n], c)
	}
	out := rows[:0]
	for i := range rows {
		if !gone[i] {
			out = append(out, rows[i])
		}
	}
	return out, true, nil
}

// lay puts what a change carries over a row.
func lay(row *event.Row, c *event.Row) {
	after := append([]event.Value(nil), row.After...)
	changed := map[int]bool{}
	for i, v := range c.After {
		if v.State != event.Absent {
			after[i], changed[i] = v, true
		}
	}
	row.After = after
	var left []event.Anomaly
	for _, a := range row.Anomalies {
		if !changed[a.Column] {
			left = append(left, a)
		}
	}
	for _, a := range c.Anomalies {
		if !a.Before {
			left = append(left, a)
		}
	}
	row.Anomalies = left
}
