package worker

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// pieceBytes bounds the row data of one piece of a large transaction.
const pieceBytes = 8 << 20

// beside is a large transaction on its way to the store, while the partition's other
// sources go on.
type beside struct {
	f     *flow
	t     *txn
	batch *Batch
	build *builder
	raw   event.Arena // the piece's values
	piece []change
	done  chan error // gets the outcome, once
}

// large tells a transaction that is too big for a group. A chunk that is verified never is:
// the agent bounds it, and a store looks at all of it before it writes.
func (s *session) large(t *txn) bool {
	return t.checks == 0 && (t.rows > s.w.o.BatchRows || t.size > int64(s.w.o.SpoolBytes))
}

// nextLarge finds the large transaction that can begin, in blocked; -1 if there is none or
// one is under way. Of a source whose wait has just ended small ones may be first: they go
// the usual way.
func (s *session) nextLarge() int {
	if s.beside != nil {
		return -1
	}
	return slices.IndexFunc(s.blocked, func(f *flow) bool { return !f.busy && len(f.queue) > 0 && s.large(f.queue[0]) })
}

// beginLarge starts the next large transaction, if there is one and none is under way.
func (s *session) beginLarge(ctx context.Context, next log.Offset) error {
	i := s.nextLarge()
	if i < 0 {
		return nil
	}
	if err := s.settle(ctx); err != nil { // the reading that the store needs mustn't hang on another batch
		return err
	}
	f := s.blocked[i]
	t := f.queue[0]
	shared := false
	for _, id := range t.ids {
		table, err := s.build.table(ctx, t, id)
		if err == nil && s.build.refused[keyOf(table)] == nil {
			shared = shared || s.w.o.Shared(table.Dataset)
			_, err = s.ensure(ctx, table)
		}
		if err != nil {
			return err
		}
	}
	s.unqueue(f)
	f.busy = true
	b := &Batch{Claim: s.claim, Topics: s.p.Topic, HeldLimit: s.w.o.Held}
	// What the store needs once it has this transaction. Until then it needs more.
	kept := f.kept
	f.kept = t.offset
	b.step(t).ReadFrom = s.asm.readFrom(next, s.ready)
	f.kept = kept
	b.ends([]*txn{t})
	l := &beside{f: f, t: t, batch: b, done: make(chan error, 1), build: newBuilder(s.w, s.p.Topic, maps.Clone(s.build.refused))}
	l.build.recorded, l.build.ensure = maps.Clone(s.build.recorded), s.versions.prepared()
	l.build.loading = maps.Clone(s.build.loading)
	l.build.keys[t.source] = s.build.keysOf(t.source) // nobody else looks at them meanwhile
	s.build.loads(b, t)
	b.Held, s.build.held = s.build.held, nil // ends of loads
	s.beside = l
	go func() { l.done <- l.run(ctx, s.w.o.Store) }()
	if shared { // a batch beside it could wait for one of its keys, and it for that batch
		return s.finish(<-l.done)
	}
	return nil
}

// run writes the transaction piece by piece into one store transaction. All of its
// rows are at hand, so nothing is waited for meanwhile.
func (l *beside) run(ctx context.Context, store Store) (err error) {
	tx, err := store.Begin(ctx, l.batch.Claim)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tx.Close()) }()
	for rows, more := l.t.read(), true; more; {
		if more, err = l.read(ctx, rows); err == nil {
			err = l.write(ctx, tx)
		}
		if err != nil {
			return err
		}
	}
	st := &l.batch.Steps[0]
	st.Keys, l.batch.Content = l.build.keysOf(l.t.source).count(), l.build.content.Sum()
	for k, n := range l.build.heldBefore {
		l.batch.holds(k, n)
	}
	return tx.Commit(ctx, l.batch)
}

// read takes the next changes, as many as a batch may have.
func (l *beside) read(ctx context.Context, rows *cursor) (more bool, err error) {
	l.raw.Reset()
	l.piece = l.piece[:0]
	for size := int64(0); len(l.piece) < l.build.w.o.BatchRows && size < pieceBytes; {
		c, ok, err := rows.next(&l.raw)
		if err != nil || !ok {
			return false, err
		}
		table, err := l.build.table(ctx, l.t, c.schemaID)
		if err == nil {
			err = l.build.cover(&l.batch.Steps[0], l.t, table, &c)
		}
		if err != nil {
			return false, err
		}
		size += c.size()
		l.piece = append(l.piece, c)
	}
	return true, nil
}

// write merges the piece and writes it, if need be without rows that the store refuses.
func (l *beside) write(ctx context.Context, tx Large) error {
	st := &l.batch.Steps[0]
	for before := *st; ; *st = before {
		l.build.reset()
		for i := range l.piece {
			table, err := l.build.table(ctx, l.t, l.piece[i].schemaID)
			if err == nil {
				err = l.build.add(ctx, l.batch, st, l.t, table, &l.piece[i])
			}
			if err != nil {
				return err
			}
		}
		err := tx.Write(ctx, l.build.result(), l.build.quarantine, l.build.held)
		var refused *RowsError
		if !errors.As(err, &refused) {
			l.build.count()
			return err
		}
		l.build.refuse(refused)
	}
}

// finished is ready when the large transaction has its outcome; never without one.
func (s *session) finished() <-chan error {
	if s.beside == nil {
		return nil
	}
	return s.beside.done
}

// finish takes the outcome of the large transaction. Its source goes on.
func (s *session) finish(err error) error {
	l := s.beside
	s.beside = nil
	err = errors.Join(err, l.t.drop())
	if err != nil {
		return err
	}
	l.f.busy, l.f.kept = false, l.t.offset
	// Others that wait for the same come first.
	if i := slices.Index(s.blocked, l.f); i >= 0 {
		s.blocked = append(slices.Delete(s.blocked, i, i+1), l.f)
	}
	s.stored(l.batch)
	s.build.halted(l.batch.Halts)
	s.dropped(l.batch.Held)
	s.arrived(l.batch, timesOf([]*txn{l.t}))
	s.applied++
	return nil
}
