package worker

import (
	"fmt"
	"strings"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
)

// RowsError reports rows that a store refuses because of what is in them. Nothing
// of the batch, or of the piece, was written.
type RowsError struct{ Rows []Refusal }

// Error tells the first one.
func (e *RowsError) Error() string {
	r := e.Rows[0]
	return fmt.Sprintf("%d rows refused by the store, the first one in table %s: %s %s", len(e.Rows), r.Table.ID(), r.Code, r.Text)
}

// Refusal is one refused row, and why.
type Refusal struct {
	Table *schema.Table
	// Key is the row's, in the order of KeyKinds. It is as valid as the batch.
	Key  []event.Value
	Code string // the store's own, e.g. an SQLSTATE
	Text string // the store's message
}

// Quarantined is what a batch, or a piece, has for one key that is in quarantine: the
// key's first row there, if the store has none yet, else what follows.
type Quarantined struct {
	Table *schema.Table
	ID    string        // the key's canonical form (envelope.AppendKeyColumns)
	Key   []event.Value // in the order of KeyKinds
	// First and Last are the positions of the changes, of which there are Changes.
	First, Last event.Position
	Changes     int
	// Op is the last one, and Row its image; nil if the key is gone.
	Op  event.Op
	Row []event.Value
	// Code and Text say why, for the key's first row.
	Code, Text string
}

// QuarantinedKey names a key that is in quarantine.
type QuarantinedKey struct{ Source, Table, ID string }

// KeysQuarantined is the code that tells people of keys in quarantine.
const KeysQuarantined = "KEYS_QUARANTINED"

// followsCode marks keys that came to quarantine by a change of a key that was there.
const followsCode = "KEY_MOVED"

// reason is why a key is in quarantine. It is empty for one of an earlier claim.
type reason struct{ code, text string }

// heldKeys are the keys of one table that are in quarantine.
type heldKeys struct{ ids map[string]reason }

// sourceKeys are those of one source, by schema.Table.ID.
type sourceKeys map[string]*heldKeys

func (k sourceKeys) table(id string) *heldKeys {
	h := k[id]
	if h == nil {
		h = &heldKeys{ids: map[string]reason{}}
		k[id] = h
	}
	return h
}

func (k sourceKeys) count() (n int) {
	for _, h := range k {
		n += len(h.ids)
	}
	return n
}

// keysOf gives a source's keys. While a large transaction of the source is under way
// they are its builder's.
func (u *builder) keysOf(source string) sourceKeys {
	k := u.keys[source]
	if k == nil {
		k = sourceKeys{}
		u.keys[source] = k
	}
	return k
}

// refuse puts keys into quarantine: what was merged before must be merged again.
func (u *builder) refuse(e *RowsError) {
	for _, r := range e.Rows {
		u.keysOf(r.Table.Source).table(r.Table.ID()).ids[canonical(r.Table, r.Key)] = reason{r.Code, r.Text}
	}
	first := e.Rows[0] // values stand in the store, not in logs
	u.w.o.Logger.Error("rows in quarantine", "source", first.Table.Source, "table", first.Table.ID(), "rows", len(e.Rows), "code", first.Code)
}

// canonical gives a key's canonical form (envelope.AppendKeyColumns).
func canonical(t *schema.Table, key []event.Value) string {
	var id []byte
	for n, kind := range KeyKinds(t) {
		id = envelope.AppendKeyValue(id, kind, key[n])
	}
	return string(id)
}

// divert keeps a change of a key in quarantine away from the table, and tells
// whether it did. A row that changes its key takes the quarantine with it.
func (u *builder) divert(m *merger, t *txn, row *event.Row) (bool, error) {
	image, ids := row.After, m.held.ids
	if image == nil {
		image = row.Before
	}
	id, key, err := m.keyOf(image)
	if err != nil {
		return false, err
	}
	oldID, oldKey := id, key
	if row.After != nil && row.Before != nil {
		if oldID, oldKey, err = m.keyOf(row.Before); err != nil {
			return false, err
		}
	}
	_, held := ids[id]
	_, oldHeld := ids[oldID]
	switch {
	case !held && !oldHeld:
		return false, nil
	case oldID == id:
	case !oldHeld: // it leaves the table
		m.at(oldID, oldKey).live = nil
	default:
		u.note(m, Quarantined{ID: oldID, Key: oldKey, Op: event.Delete}, t)
		if !held {
			ids[strings.Clone(id)] = reason{followsCode, "a row in quarantine got this key"} // id lies in the batch's memory
		}
	}
	u.note(m, Quarantined{ID: id, Key: key, Op: row.Op, Row: row.After}, t)
	return true, nil
}

// note adds a change to what the batch has for its key.
func (u *builder) note(m *merger, q Quarantined, t *txn) {
	k := QuarantinedKey{m.table.Source, m.table.ID(), q.ID}
	i, ok := u.noted[k]
	if !ok {
		i = len(u.quarantine)
		u.noted[k] = i
		why := m.held.ids[q.ID]
		q.Table, q.First, q.Code, q.Text = m.table, t.commit.Txn.Position, why.code, why.text
		u.quarantine = append(u.quarantine, q)
	}
	e := &u.quarantine[i]
	e.Last, e.Op, e.Row = t.commit.Txn.Position, q.Op, q.Row
	e.Changes++
}
