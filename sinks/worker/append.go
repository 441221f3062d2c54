package worker

import (
	"fmt"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Rows of a table in append mode have no identity, so nothing is merged: the store gets
// each change as it came. An update is two rows, what was and what is, as otherwise
// nobody could tell which of the rows it changed: what the table holds follows from the
// log by counting equal rows.

// ImageBefore marks, in a store's table in append mode, the row that an update changed;
// the row that it became has event.Update.
const ImageBefore event.Op = 'b'

// appendKinds are those of the key of a row in append mode: position, order and op.
var appendKinds = []schema.Kind{schema.String, schema.Int64, schema.String}

// KeyKinds gives the kinds of the values that name a row of a table in the store: those
// of its key's columns, or in append mode position, order and op (see AppendedKey).
func KeyKinds(t *schema.Table) []schema.Kind {
	if t.Append {
		return appendKinds
	}
	out := make([]schema.Kind, len(t.Key))
	for n, i := range t.Key {
		out[n] = t.Columns[i].Type.Kind
	}
	return out
}

// AppendedKey gives the values that name a row in append mode.
func AppendedKey(r *NetRow) []event.Value {
	return []event.Value{event.Raw([]byte(r.Position.String())), event.Signed(int64(r.Order)), event.Raw([]byte{byte(r.Op)})}
}

// append adds one change of a table in append mode. Rows that the store refuses go to
// quarantine one by one: nothing can follow for their keys.
func (u *builder) append(m *merger, st *Step, t *txn, c *change) error {
	row := event.Row{Op: event.Truncate}
	if c.kind != truncateChange {
		if err := u.decode(u.latest[keyOf(m.table)], c.value, &u.row); err != nil {
			return fmt.Errorf("transaction %s of %s: %w", t.commit.Txn.Position, t.source, err)
		}
		if m.narrow != nil {
			m.narrow.row(&u.row)
		}
		row = u.row
		if row.Before != nil { // the store gets it
			u.before = nil
		}
	}
	m.anomalies(&row, t.commit.Txn.Position)
	rows, err := m.logged(&row)
	if err != nil {
		return &TableError{Table: m.table, Err: fmt.Errorf("transaction %s: %w", t.commit.Txn.Position, err)}
	}
	diverted := false
	for _, r := range rows {
		r.Position, r.Committed, r.Order, r.New = t.commit.Txn.Position, t.commit.Txn.Committed, c.order, true
		if len(m.held.ids) > 0 {
			key := AppendedKey(&r)
			id := canonical(m.table, key)
			if _, held := m.held.ids[id]; held {
				u.note(m, Quarantined{ID: id, Key: key, Op: r.Op, Row: r.Values}, t)
				diverted = true
				continue
			}
		}
		m.log = append(m.log, r)
	}
	if diverted {
		st.Quarantined++
	}
	return nil
}

// logged gives the rows that a change is in a store's table in append mode.
func (m *merger) logged(row *event.Row) (out []NetRow, err error) {
	switch row.Op {
	case event.Create, event.Read:
		out = []NetRow{{Op: row.Op, Values: row.After}}
	case event.Update:
		out = []NetRow{{Op: ImageBefore, Values: row.Before}, {Op: event.Update, Values: row.After}}
	case event.Delete:
		out = []NetRow{{Op: event.Delete, Values: row.Before}}
	case event.Truncate:
		none := m.mem.slots.take(len(m.table.Columns))
		for i := range none {
			none[i] = event.NullValue
		}
		out = []NetRow{{Op: event.Truncate, Values: none}}
	default:
		return nil, fmt.Errorf("op %q in table %s: %w", row.Op, m.table.ID(), errShape)
	}
	for _, r := range out {
		if len(r.Values) != len(m.table.Columns) {
			return nil, fmt.Errorf("op %q in table %s without an image: %w", row.Op, m.table.ID(), errShape)
		}
		for i := range r.Values {
			if r.Values[i].State == event.Absent {
				return nil, fmt.Errorf("image of op %q in table %s lacks column %q: %w", row.Op, m.table.ID(), m.table.Columns[i].Name, errShape)
			}
		}
	}
	return out, nil
}
