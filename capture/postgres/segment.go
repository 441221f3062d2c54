package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/postgres/pgoutput"
	"github.com/tributary-cdc/tributary/stream/event"
)

func (r *Reader) commit(m *pgoutput.Msg) error {
	b := r.seg
	r.seg = nil
	if b == nil {
		return fmt.Errorf("commit without begin: %w", pgoutput.ErrMalformed)
	}
	seg := &b.Segment
	r.end.Offset = max(r.end.Offset, m.EndLSN)
	if r.skip || seg.First && len(seg.Rows) == 0 && r.skipped == 0 {
		r.skip = false
		r.queue.Drop(b)
		return nil
	}
	seg.Last, seg.Skipped, seg.Restart = true, r.skipped, r.end
	r.state.LastID = seg.Txn.ID
	if time.Since(r.stateAt) > max(time.Second, r.stateEvery()) {
		var err error
		if seg.State, err = r.encode(); err != nil {
			return err
		}
		r.stateAt = time.Now()
	}
	r.last = seg.Txn.Position
	r.queue.Push(b)
	return nil
}

// image decodes one image of a row. With keyOnly the other columns are Absent.
func (r *Reader) image(rel *relation, vs []pgoutput.Value, keyOnly bool, anomalies *[]event.Anomaly) ([]event.Value, error) {
	if len(vs) != len(rel.table.Columns) {
		return nil, fmt.Errorf("image of %d values for table %s: %w", len(vs), rel.table.ID(), pgoutput.ErrMalformed)
	}
	out := r.seg.Image(len(vs))
	for i := range vs {
		v := &vs[i]
		r.seg.Size += len(v.Data) + 8
		switch {
		case keyOnly && !rel.said.Columns[i].Key, v.Kind == pgoutput.UnchangedToast:
		case v.Kind == pgoutput.NullValue:
			out[i] = event.NullValue
		default:
			var err error
			if out[i], err = slot(rel.table, i, v.Data, &r.seg.Arena, anomalies); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func (r *Reader) row(ctx context.Context, m *pgoutput.Msg) error {
	rel := r.relations[m.RelationID]
	if rel == nil {
		return fmt.Errorf("row of relation %d before its description: %w", m.RelationID, pgoutput.ErrMalformed)
	}
	var row event.Row
	if rel.table == nil || r.skip || r.seg == nil {
		return r.add(rel, row)
	}
	var err error
	if m.OldKind != 0 {
		if row.Before, err = r.image(rel, m.Old, m.OldKind == 'K', &row.Anomalies); err != nil {
			return err
		}
		for i := range row.Anomalies {
			row.Anomalies[i].Before = true
		}
	}
	if m.Kind != pgoutput.Delete {
		if row.After, err = r.image(rel, m.New, false, &row.Anomalies); err != nil {
			return err
		}
	}
	for _, image := range [...][]event.Value{row.Before, row.After} {
		if err := r.relabel(ctx, m.RelationID, rel, image); err != nil {
			return err
		}
	}
	row.Table = rel.table
	switch m.Kind {
	case pgoutput.Insert:
		row.Op = event.Create
	case pgoutput.Update:
		row.Op = event.Update
	case pgoutput.Delete:
		row.Op = event.Delete
	}
	if !r.named(&row) {
		rel, row = r.relations[m.RelationID], event.Row{}
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
	r.seg.Rows = append(r.seg.Rows, row)
	if r.seg.Size >= capture.SegmentBytes {
		full := r.seg
		r.queue.Push(full)
		r.seg = r.queue.Begin(full.Txn, false)
	}
	return nil
}
