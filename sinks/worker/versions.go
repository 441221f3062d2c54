package worker

import (
	"context"
	"errors"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// versions are those that a session's tables have.
type versions struct {
	// ids are schema ids of a version that is the latest one of its table, tables are
	// these, as far as transactions have been looked at.
	ids    map[uint32]bool
	tables map[tableKey]*schema.Table
	// stored are the versions that the store is prepared for.
	stored map[tableKey]*schema.Table
}

func newVersions() versions {
	return versions{ids: map[uint32]bool{}, tables: map[tableKey]*schema.Table{}, stored: map[tableKey]*schema.Table{}}
}

// follow reports whether a transaction brings another version of a table than the
// transactions before it: all of them must be in the store before the store's table is
// changed. It notes the versions if there are none before it in the group, or none of
// its versions is another one.
func (v *versions) follow(ctx context.Context, u *builder, t *txn, first bool) (changed bool, err error) {
	var fresh []uint32
	for _, id := range t.ids {
		if !v.ids[id] {
			fresh = append(fresh, id)
		}
	}
	found := make([]*schema.Table, len(fresh))
	for i, id := range fresh {
		if found[i], err = u.table(ctx, t, id); err != nil {
			return false, err
		}
		last := v.tables[keyOf(found[i])]
		changed = changed || last != nil && last != found[i]
	}
	if changed && !first {
		return true, nil
	}
	for i, id := range fresh {
		k := keyOf(found[i])
		if last := v.tables[k]; last != nil && last != found[i] {
			clear(v.ids) // each is looked up again once
		}
		v.tables[k] = found[i]
		v.ids[id] = true
	}
	return changed, nil
}

// begun forgets what the store is prepared for where a load begins: a person may have
// repaired the store's table.
func (v *versions) begun(loads []Load) {
	for _, l := range loads {
		if l.Phase == event.LoadBegun {
			delete(v.stored, tableKey{l.Source, l.Table})
		}
	}
}

// prepared is for tables that were ensured before.
func prepared(context.Context, *schema.Table) error { return nil }

// ensure prepares the store for a version of a table.
func (s *session) ensure(ctx context.Context, t *schema.Table) error {
	k := keyOf(t)
	if s.versions.stored[k] == t {
		return nil
	}
	if err := s.settle(ctx); err != nil { // the partition's connection is in use
		return err
	}
	err := s.w.o.Store.EnsureTable(ctx, s.claim, t)
	// A large transaction holds the table against being altered.
	for s.beside != nil && errors.Is(err, ErrRetry) {
		if err = s.finish(<-s.beside.done); err == nil {
			err = s.w.o.Store.EnsureTable(ctx, s.claim, t)
		}
	}
	if err != nil {
		return err
	}
	s.versions.stored[k] = t
	return nil
}
