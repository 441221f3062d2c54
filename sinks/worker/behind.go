package worker

import (
	"context"
	"errors"
	"slices"
)

// heldUp finds a source whose version of a table can't be prepared for before the large
// transaction that is under way has ended, because that holds the store's table; empty for none.
// Any other trouble is met again by who needs the table.
func (s *session) heldUp(ctx context.Context, group []*txn) (source string, err error) {
	if s.beside == nil {
		return "", nil
	}
	for _, t := range group {
		for _, id := range t.ids {
			table, err := s.build.table(ctx, t, id)
			if err != nil {
				return "", err
			}
			if k := keyOf(table); s.build.refused[k] != nil || s.versions.stored[k] == table {
				continue
			}
			if err := s.settle(ctx); err != nil { // the partition's connection is in use
				return "", err
			}
			if _, err := s.w.o.Store.EnsureTable(ctx, s.claim, table); errors.Is(err, ErrRetry) {
				return t.source, nil
			}
		}
	}
	return "", nil
}

// postpone has what a source has ready wait for the end of the large transaction that is
// under way, while the others go on.
func (s *session) postpone(source string) {
	f := s.asm.flows[source]
	var own []*txn
	s.ready = slices.DeleteFunc(s.ready, func(t *txn) bool {
		if t.source == source {
			own = append(own, t)
		}
		return t.source == source
	})
	later := f.queue
	f.queue, f.behind = nil, s.beside
	for _, t := range own {
		s.asm.queue(f, t)
	}
	f.queue = append(f.queue, later...)
	if !slices.Contains(s.blocked, f) {
		s.blocked = append(s.blocked, f)
	}
	s.versions.unfollow(source)
}
