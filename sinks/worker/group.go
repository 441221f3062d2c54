package worker

import (
	"context"
	"fmt"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// flush commits what is complete, in groups of about BatchRows. With a backlog, what
// fills no group stays for the next call.
func (s *session) flush(ctx context.Context, next log.Offset, backlog bool) error {
	s.count()
	for len(s.asm.done) > 0 {
		rows, n := 0, 0
		for n < len(s.asm.done) && (n == 0 || rows+len(s.asm.done[n].changes) <= s.w.o.BatchRows) {
			rows += len(s.asm.done[n].changes)
			n++
		}
		if backlog && n == len(s.asm.done) && rows < s.w.o.BatchRows && len(s.asm.gaps) == 0 {
			return nil
		}
		group := s.asm.done[:n]
		s.asm.done = s.asm.done[n:]
		if err := s.apply(ctx, group, next); err != nil {
			return err
		}
	}
	s.asm.done = nil
	return s.flushGaps(ctx)
}

// flight is a batch on its way into the store. Its rows lie in a memory of its own,
// so that the next group can be decoded and merged meanwhile.
type flight struct {
	mem  *memory
	done chan error // receives once
}

// launch sends a batch to the store, after the one before it has arrived.
func (s *session) launch(ctx context.Context, b *Batch, times []Applied) error {
	if err := s.settle(); err != nil {
		return err
	}
	f := &flight{mem: s.mem, done: make(chan error, 1)}
	s.flight, s.mem, s.spare = f, s.spare, nil
	if s.mem == nil {
		s.mem = &memory{}
	}
	go func() {
		err := s.w.o.Store.Apply(ctx, b)
		if err == nil {
			s.arrived(b, times)
		}
		f.done <- err
	}()
	return nil
}

// settle waits until the batch under way is in the store.
func (s *session) settle() error {
	f := s.flight
	if f == nil {
		return nil
	}
	s.flight = nil
	err := <-f.done
	f.mem.reset()
	s.spare = f.mem
	if err == nil {
		s.applied++
	}
	return err
}

// apply sends a group of transactions to the store as one batch.
func (s *session) apply(ctx context.Context, group []*txn, next log.Offset) error {
	b := &Batch{Claim: s.claim, Topics: s.p.Topic, First: group[0].first, Last: group[len(group)-1].offset}
	steps := map[string]int{}
	mergers := map[*schema.Table]*merger{}
	var order []*merger
	var row event.Row
	s.before, s.after = nil, nil
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
			m := mergers[table]
			if m == nil {
				if k := keyOf(table); s.refused[k] != nil {
					s.skip(b, st, k, t.commit.Txn.Position)
					continue
				}
				if err := s.ensure(ctx, table); err != nil {
					return err
				}
				m = newMerger(s.mem, t.source, table)
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
	return s.launch(ctx, b, timesOf(group))
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
	return s.mem.dec.Decode(t, value, row, nil)
}

func (s *session) ensure(ctx context.Context, t *schema.Table) error {
	if s.ensured[t] {
		return nil
	}
	if err := s.settle(); err != nil { // the partition's connection is in use
		return err
	}
	if err := s.w.o.Store.EnsureTable(ctx, s.claim, t); err != nil {
		return err
	}
	s.ensured[t] = true
	return nil
}
