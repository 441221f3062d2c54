package postgres

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/tributary-cdc/tributary/capture/postgres/pgoutput"
	"github.com/tributary-cdc/tributary/stream/event"
)

// buffer is a segment with the memory of its rows. It is filled again once the
// reader's caller has asked for the next segment.
type buffer struct {
	seg   event.Segment
	slots []event.Value
	bytes []byte
	size  int // of the values' text
}

// image returns n slots, all Absent, that stay the buffer's.
func (b *buffer) image(n int) []event.Value {
	if cap(b.slots)-len(b.slots) < n {
		b.slots = make([]event.Value, 0, max(2*cap(b.slots), 64*n)) // images made before keep the old ones
	}
	at := len(b.slots)
	b.slots = b.slots[:at+n]
	out := b.slots[at : at+n : at+n]
	clear(out)
	return out
}

// recycle keeps a buffer for later, unless one huge row has made it a burden.
func (r *Reader) recycle(b *buffer) {
	if cap(b.bytes) > 4*segmentBytes || len(r.free) >= 4 {
		return
	}
	clear(b.seg.Rows)
	*b = buffer{seg: event.Segment{Rows: b.seg.Rows[:0]}, slots: b.slots[:0], bytes: b.bytes[:0]}
	r.free = append(r.free, b)
}

func (r *Reader) segment(txn event.Txn, first bool) *buffer {
	b := &buffer{}
	if n := len(r.free); n > 0 {
		b, r.free = r.free[n-1], r.free[:n-1]
	}
	b.seg.Txn, b.seg.First = txn, first
	return b
}

// push hands out a segment without rows.
func (r *Reader) push(s event.Segment) { r.queue = append(r.queue, &buffer{seg: s}) }

func (r *Reader) commit(m *pgoutput.Msg) error {
	b := r.seg
	r.seg = nil
	if b == nil {
		return fmt.Errorf("commit without begin: %w", pgoutput.ErrMalformed)
	}
	seg := &b.seg
	r.end = event.Place{Offset: m.EndLSN}
	if r.skip || seg.First && len(seg.Rows) == 0 && r.skipped == 0 {
		r.skip = false
		r.recycle(b)
		return nil
	}
	seg.Last, seg.Skipped, seg.Restart = true, r.skipped, r.end
	if time.Since(r.stateAt) > time.Second {
		state, err := json.Marshal(r.state)
		if err != nil {
			return fmt.Errorf("write the reader's state: %w", err)
		}
		seg.State, r.stateAt = state, time.Now()
	}
	r.last = seg.Txn.Position
	r.queue = append(r.queue, b)
	return nil
}

// image decodes one image of a row. With keyOnly the other columns are Absent.
func (r *Reader) image(rel *relation, vs []pgoutput.Value, keyOnly bool) ([]event.Value, error) {
	if len(vs) != len(rel.table.Columns) {
		return nil, fmt.Errorf("image of %d values for table %s: %w", len(vs), rel.table.ID(), pgoutput.ErrMalformed)
	}
	out := r.seg.image(len(vs))
	for i := range vs {
		v := &vs[i]
		r.seg.size += len(v.Data) + 8
		switch {
		case keyOnly && !rel.columns[i].Key, v.Kind == pgoutput.UnchangedToast:
		case v.Kind == pgoutput.NullValue:
			out[i] = event.NullValue
		default:
			var err error
			if out[i], err = parse(&rel.table.Columns[i].Type, v.Data, &r.seg.bytes); err != nil {
				return nil, fmt.Errorf("column %q of table %s: %w", rel.table.Columns[i].Name, rel.table.ID(), err)
			}
		}
	}
	return out, nil
}

func (r *Reader) row(m *pgoutput.Msg) error {
	rel := r.relations[m.RelationID]
	if rel == nil {
		return fmt.Errorf("row of relation %d before its description: %w", m.RelationID, pgoutput.ErrMalformed)
	}
	row := event.Row{Table: rel.table}
	if rel.table == nil || r.skip || r.seg == nil {
		return r.add(rel, row)
	}
	var err error
	if m.OldKind != 0 {
		if row.Before, err = r.image(rel, m.Old, m.OldKind == 'K'); err != nil {
			return err
		}
	}
	if m.Kind != pgoutput.Delete {
		if row.After, err = r.image(rel, m.New, false); err != nil {
			return err
		}
	}
	switch m.Kind {
	case pgoutput.Insert:
		row.Op = event.Create
	case pgoutput.Update:
		row.Op = event.Update
	case pgoutput.Delete:
		row.Op = event.Delete
	}
	return r.add(rel, row)
}

// add puts a row into the transaction under way, and hands out a part that is full.
func (r *Reader) add(rel *relation, row event.Row) error {
	switch {
	case r.seg == nil:
		return fmt.Errorf("row outside a transaction: %w", pgoutput.ErrMalformed)
	case r.skip:
		return nil
	case rel.stop != nil:
		r.skipped++
		return nil
	case rel.table == nil: // not asked for
		return nil
	}
	r.seg.seg.Rows = append(r.seg.seg.Rows, row)
	if r.seg.size >= segmentBytes {
		full := r.seg
		r.queue = append(r.queue, full)
		r.seg = r.segment(full.seg.Txn, false)
	}
	return nil
}
