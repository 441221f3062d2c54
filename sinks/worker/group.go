package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// flush commits what is complete, in groups of about BatchRows.
func (s *session) flush(ctx context.Context, next log.Offset) error {
	s.w.mu.Lock()
	s.w.counts = s.asm.counts
	s.w.mu.Unlock()
	for len(s.asm.done) > 0 {
		rows, n := 0, 0
		for n < len(s.asm.done) && (n == 0 || rows+len(s.asm.done[n].changes) <= s.w.o.BatchRows) {
			rows += len(s.asm.done[n].changes)
			n++
		}
		group := s.asm.done[:n]
		s.asm.done = s.asm.done[n:]
		if err := s.apply(ctx, group, next); err != nil {
			return err
		}
		s.applied++
	}
	s.asm.done = nil
	return s.flushGaps(ctx)
}

// apply commits a group of transactions as one batch.
func (s *session) apply(ctx context.Context, group []*txn, next log.Offset) error {
	b := &Batch{Claim: s.claim, Topics: s.p.Topic, First: group[0].first, Last: group[len(group)-1].offset}
	steps := map[string]int{}
	mergers := map[*schema.Table]*merger{}
	var order []*merger
	var row event.Row
	defer func() { s.mem.reset(); s.before, s.after = nil, nil }()
	for _, t := range group {
		b.First = min(b.First, t.first)
		i, ok := steps[t.source]
		if !ok {
			i = len(b.Steps)
			steps[t.source] = i
			b.Steps = append(b.Steps, Step{Source: event.Source{ID: t.source}, From: t.from})
		}
		st := &b.Steps[i]
		st.To, st.Commit, st.Committed, st.TxnID, st.File = t.commit.Txn.Position, t.offset, t.commit.Txn.Committed, t.commit.Txn.ID, t.commit.Txn.File
		// What was written later, by a newer producer perhaps, isn't in the store yet.
		st.Producer, st.Open = t.producer, t.open
		st.Txns++
		st.Rows += len(t.changes)
		st.Skipped += t.commit.Skipped
		for _, c := range t.changes {
			table, err := s.w.o.Schemas.Table(ctx, s.p.Topic, c.schemaID)
			if err != nil {
				return fmt.Errorf("schema %d of %s: %w", c.schemaID, s.p.Topic, err)
			}
			if table.Source != t.source {
				return fmt.Errorf("source %s at offset %d uses a table of source %s: %w", t.source, t.offset, table.Source, envelope.ErrMalformed)
			}
			if k := keyOf(table); s.refused[k] != nil {
				s.skip(b, st, k, t.commit.Txn.Position)
				continue
			}
			m := mergers[table]
			if m == nil {
				if err := s.ensure(ctx, table); err != nil {
					return err
				}
				m = newMerger(&s.mem, t.source, table)
				mergers[table] = m
				order = append(order, m)
			}
			if c.truncate {
				m.clear()
				continue
			}
			if err := s.decode(table, c.value, &row); err != nil {
				return fmt.Errorf("transaction %s of %s: %w", t.commit.Txn.Position, t.source, err)
			}
			if err := m.add(&row, t.commit.Txn.Position, t.commit.Txn.Committed); err != nil {
				return &TableError{Table: table, Err: fmt.Errorf("transaction %s: %w", t.commit.Txn.Position, err)}
			}
		}
	}
	for _, m := range order {
		b.Tables = append(b.Tables, m.result())
	}
	for i := range b.Steps {
		s.asm.flows[b.Steps[i].Source.ID].kept = b.Steps[i].Commit
	}
	from := s.asm.readFrom(next, s.asm.done)
	for i := range b.Steps {
		b.Steps[i].ReadFrom = from
	}
	if err := s.w.o.Store.Apply(ctx, b); err != nil {
		return err
	}
	now := time.Now()
	for _, st := range b.Steps {
		s.w.update(st.Source.ID, func(c *SourceStatus) {
			c.Applied, c.Committed, c.At = st.To, st.Committed, now
			c.Txns += int64(st.Txns)
			c.Rows += int64(st.Rows)
			c.Skipped += int64(st.Skipped)
		})
	}
	return nil
}

// decode reads a row whose images live as long as the batch.
func (s *session) decode(t *schema.Table, value []byte, row *event.Row) error {
	n := len(t.Columns)
	if cap(s.before) < n { // the merger keeps only key values of it
		s.before = s.mem.slots.take(n)[:0]
	}
	if row.After != nil || cap(s.after) < n { // else the image is still free
		s.after = s.mem.slots.take(n)[:0]
	}
	row.Before, row.After, row.Anomalies = s.before, s.after, nil
	return envelope.Decode(t, value, row, nil)
}

func (s *session) ensure(ctx context.Context, t *schema.Table) error {
	if s.ensured[t] {
		return nil
	}
	if err := s.w.o.Store.EnsureTable(ctx, s.claim, t); err != nil {
		return err
	}
	s.ensured[t] = true
	return nil
}
