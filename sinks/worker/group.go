package worker

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/tributary-cdc/tributary/stream/log"
)

// flush commits what is complete, in groups of about BatchRows. What lies below next
// has been read. With a backlog, what fills no group stays for the next call, unless a
// large transaction is next: what its source has ready must be in the store before it.
func (s *session) flush(ctx context.Context, next log.Offset, backlog bool) error {
	s.count()
	s.sort()
	for len(s.ready) > 0 {
		n, rows, size := 0, 0, int64(0)
		for _, t := range s.ready {
			rows, size = rows+t.rows, size+t.size
			changed, err := s.versions.follow(ctx, s.build, t, n == 0)
			if err != nil {
				return err
			}
			if n > 0 && (changed || t.alone() || s.ready[0].alone() || rows > s.w.o.BatchRows || size > int64(s.w.o.SpoolBytes)) {
				break
			}
			n++
		}
		if backlog && n == len(s.ready) && rows < s.w.o.BatchRows && len(s.asm.gaps) == 0 && s.nextLarge() < 0 {
			break
		}
		source, err := s.heldUp(ctx, s.ready[:n])
		if err != nil {
			return err
		}
		if source != "" {
			s.postpone(source)
			continue
		}
		// A load that begins lets go what had stopped, and one that ends makes missing rows an
		// error again: no batch before it may be merged anew after that.
		alone := s.ready[0].alone()
		if alone {
			if err := s.settle(ctx); err != nil {
				return err
			}
		}
		if err := s.apply(ctx, n, next); err != nil {
			return err
		}
		if alone {
			if err := s.settle(ctx); err != nil {
				return err
			}
		}
	}
	if err := s.beginLarge(ctx, next); err != nil {
		return err
	}
	return s.flushGaps(ctx)
}

// sort divides complete transactions into those that are ready and those that wait.
// A source's own order always stays.
func (s *session) sort() {
	was := len(s.blocked)
	still := s.blocked[:0]
	for _, f := range s.blocked {
		if f.behind != s.beside {
			f.behind = nil
		}
		for !f.busy && f.behind == nil && len(f.queue) > 0 && !s.large(f.queue[0]) {
			s.ready = append(s.ready, s.unqueue(f))
		}
		if f.busy || len(f.queue) > 0 {
			still = append(still, f)
		}
	}
	s.blocked = still
	for _, t := range s.asm.done {
		f := s.asm.flows[t.source]
		waits := f.busy || len(f.queue) > 0
		if !waits && !s.large(t) {
			s.ready = append(s.ready, t)
			continue
		}
		if !waits {
			s.blocked = append(s.blocked, f)
		}
		s.asm.queue(f, t)
	}
	clear(s.asm.done)
	s.asm.done = s.asm.done[:0]
	if was > 0 {
		slices.SortFunc(s.ready, func(a, b *txn) int { return cmp.Compare(a.offset, b.offset) })
	}
}

func (s *session) unqueue(f *flow) *txn {
	t := f.queue[0]
	f.queue = f.queue[1:]
	s.asm.leave(f, t)
	return t
}

// apply sends the first n ready transactions to the store as one batch.
func (s *session) apply(ctx context.Context, n int, next log.Offset) error {
	group, rest := slices.Clone(s.ready[:n]), s.ready[n:]
	b := &Batch{}
	for again := true; again; { // the batch before may put keys into quarantine
		changed := s.changed
		var err error
		if b, err = s.merge(ctx, s.build, group, b.Halts); err == nil {
			err = s.settle(ctx)
		}
		if err != nil {
			return err
		}
		if again = changed != s.changed; again {
			s.build.loading = b.loading
		}
	}
	s.versions.begun(b.Loads)
	for i := range b.Steps {
		s.asm.flows[b.Steps[i].Source.ID].kept = b.Steps[i].Commit
	}
	if s.beside != nil {
		rest = append(slices.Clip(rest), s.beside.t)
	}
	b.readFrom(s.asm.readFrom(next, rest))
	s.launch(ctx, b, group)
	s.ready = slices.Delete(s.ready, 0, n)
	return nil
}

// merge makes a batch of transactions. Its rows lie in the builder's memory.
func (s *session) merge(ctx context.Context, u *builder, group []*txn, halts []Halt) (*Batch, error) {
	u.reset()
	u.content.Reset()
	b := &Batch{Claim: s.claim, Topics: s.p.Topic, Halts: halts, HeldLimit: s.w.o.Held, loading: maps.Clone(u.loading)}
	for _, t := range group {
		if err := u.txn(ctx, b, t); err != nil {
			return b, err
		}
	}
	b.ends(group)
	b.Tables, b.Quarantine, b.Held, b.Content = u.result(), u.quarantine, u.held, u.content.Sum()
	for i := range b.Steps {
		b.Steps[i].Keys = u.keysOf(b.Steps[i].Source.ID).count()
	}
	return b, nil
}

func (b *Batch) readFrom(o log.Offset) {
	for i := range b.Steps {
		b.Steps[i].ReadFrom = o
	}
}

// flight is a batch on its way into the store. Its rows lie in a memory of its own,
// so that the next group can be decoded and merged meanwhile.
type flight struct {
	mem   *memory
	batch *Batch
	group []*txn
	done  chan error // receives once
}

// launch sends a batch to the store. The one before it has arrived.
func (s *session) launch(ctx context.Context, b *Batch, group []*txn) {
	f := &flight{mem: s.build.mem, batch: b, group: group, done: make(chan error, 1)}
	next := s.spare
	if next == nil {
		next = &memory{}
	}
	s.flight, s.spare = f, nil
	times := timesOf(group)
	go func() {
		err := s.w.o.Store.Apply(ctx, b)
		if err == nil {
			s.arrived(b, times)
		}
		f.done <- err
	}()
	next.reset() // not before the store has work again
	s.build.leave(next)
}

// settle waits until the batch under way is in the store, if need be without rows
// that the store refuses.
func (s *session) settle(ctx context.Context) error {
	f := s.flight
	if f == nil {
		return nil
	}
	s.flight = nil
	err := <-f.done
	for re := (*RowsError)(nil); errors.As(err, &re); {
		err = s.again(ctx, f, re)
	}
	s.spare = f.mem
	if err == nil {
		s.applied++
		s.stored(f.batch)
		s.build.halted(f.batch.Halts)
		s.dropped(f.batch.Held)
		if len(f.batch.Halts) > 0 { // to be shown
			s.looked = time.Time{}
		}
	}
	for _, t := range f.group {
		s.asm.reuse(t)
		err = errors.Join(err, t.drop())
	}
	return err
}

// again applies a batch whose refused rows go to quarantine.
func (s *session) again(ctx context.Context, f *flight, refused *RowsError) error {
	s.build.refuse(refused)
	s.changed++
	u := newBuilder(s.w, s.p.Topic, s.build.refused)
	u.mem, u.keys, u.recorded, u.ensure = f.mem, s.build.keys, s.build.recorded, s.versions.prepared()
	u.loading = f.batch.loading
	b, err := s.merge(ctx, u, f.group, f.batch.Halts)
	if err != nil {
		return err
	}
	b.readFrom(f.batch.Steps[0].ReadFrom)
	f.batch = b
	if err := s.w.o.Store.Apply(ctx, b); err != nil {
		return err
	}
	s.arrived(b, timesOf(f.group))
	return nil
}
