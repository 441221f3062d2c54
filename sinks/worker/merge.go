package worker

import (
	"errors"
	"fmt"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
)

// errShape reports a change that can't follow from those before it.
var errShape = errors.New("change doesn't fit the table's history")

// merger folds the changes of one table into their net effect. Slots are kept
// as they come; they must outlive the merger.
type merger struct {
	mem      *memory
	scratch  []byte
	table    *schema.Table
	narrow   *narrow   // of which table is; nil if the store has all columns
	held     *heldKeys // what goes elsewhere; the merger itself doesn't look
	source   string
	truncate bool
	loading  bool // rows may be missing in the store
	sweep    bool // they were there before the load
	rows     map[string]*net
	nulled   Nulled
	order    []*net   // as first touched, so that the result doesn't depend on map order
	log      []NetRow // of a table in append mode
}

// net is what is known of one key at this point of the batch.
type net struct {
	key  []event.Value
	live *NetRow // nil: the key is gone
}

func newMerger(mem *memory, source string, t *schema.Table) *merger {
	return &merger{mem: mem, table: t, source: source, rows: mem.index()}
}

func (m *merger) keyOf(image []event.Value) (id string, key []event.Value, err error) {
	if m.scratch, err = envelope.AppendKeyColumns(m.scratch[:0], m.table, image); err != nil {
		return "", nil, err
	}
	key = m.mem.slots.take(len(m.table.Key))
	for n, i := range m.table.Key {
		key[n] = image[i]
	}
	return m.mem.key(m.scratch), key, nil
}

// live makes a row of the batch's memory.
func (m *merger) live(r NetRow) *NetRow {
	out := &m.mem.rows.take(1)[0]
	*out = r
	return out
}

func (m *merger) at(id string, key []event.Value) *net {
	n := m.rows[id]
	if n == nil {
		n = &m.mem.nets.take(1)[0]
		n.key = key
		m.rows[id] = n
		m.order = append(m.order, n)
	}
	return n
}

// clear takes a truncate: nothing before it matters.
func (m *merger) clear() {
	m.truncate = true
	clear(m.rows)
	m.order = m.order[:0]
}

// add takes one row change. Its images must stay valid until the batch is applied.
func (m *merger) add(row *event.Row, pos event.Position, committed time.Time) error {
	m.anomalies(row, pos)
	switch row.Op {
	case event.Create, event.Read:
		return m.insert(row, pos, committed)
	case event.Update:
		return m.update(row, pos, committed)
	case event.Delete:
		id, key, err := m.keyOf(row.Before)
		if err != nil {
			return err
		}
		m.at(id, key).live = nil
		return nil
	}
	return fmt.Errorf("op %q in table %s: %w", row.Op, m.table.ID(), errShape)
}

func (m *merger) anomalies(row *event.Row, pos event.Position) {
	for _, a := range row.Anomalies {
		if a.Before { // it was told when it came
			continue
		}
		if m.nulled.Values++; m.nulled.Values == 1 {
			m.nulled.First, m.nulled.Detail = pos, fmt.Sprintf("%s: %.200s", m.table.Columns[a.Column].Name, a.Raw)
		}
	}
}

func (m *merger) insert(row *event.Row, pos event.Position, committed time.Time) error {
	id, key, err := m.keyOf(row.After)
	if err != nil {
		return err
	}
	for i := range row.After {
		if row.After[i].State == event.Absent {
			return fmt.Errorf("inserted row of table %s lacks column %q: %w", m.table.ID(), m.table.Columns[i].Name, errShape)
		}
	}
	_, known := m.rows[id]
	m.at(id, key).live = m.live(NetRow{Op: row.Op, Position: pos, Committed: committed, Values: row.After, New: !known && (row.Op == event.Create || m.loading && !m.sweep)})
	return nil
}

func (m *merger) update(row *event.Row, pos event.Position, committed time.Time) error {
	id, key, err := m.keyOf(row.After)
	if err != nil {
		return err
	}
	oldID, oldKey := id, key
	if row.Before != nil {
		if oldID, oldKey, err = m.keyOf(row.Before); err != nil {
			return err
		}
	}
	old, touched := m.rows[oldID]
	next := m.live(NetRow{Op: row.Op, Position: pos, Committed: committed, Values: row.After, Base: oldKey})
	if touched {
		if old.live == nil {
			return fmt.Errorf("update of a deleted row of table %s: %w", m.table.ID(), errShape)
		}
		next.Base, next.New = old.live.Base, old.live.New
		if next.New {
			next.Op = event.Create
		}
		for i := range next.Values {
			if next.Values[i].State == event.Absent {
				next.Values[i] = old.live.Values[i]
			}
		}
	} else if m.truncate {
		return fmt.Errorf("update of a row of table %s that was truncated: %w", m.table.ID(), errShape)
	}
	if oldID != id {
		m.at(oldID, oldKey).live = nil
		_, known := m.rows[id]
		next.New = next.New && !known
	}
	m.at(id, key).live = next
	return nil
}

// result gives the net effect.
func (m *merger) result() TableChange {
	if m.table.Append {
		return TableChange{Source: m.source, Table: m.table, Nulled: m.nulled, Upserts: m.log}
	}
	c := TableChange{Source: m.source, Table: m.table, Truncate: m.truncate, Loading: m.loading, Nulled: m.nulled, Upserts: m.mem.result.take(len(m.order))[:0]}
	for _, n := range m.order {
		if n.live == nil {
			c.Deletes = append(c.Deletes, n.key)
		} else {
			c.Upserts = append(c.Upserts, *n.live)
		}
	}
	return c
}
