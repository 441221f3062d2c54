package worker

import (
	"context"
	"errors"
	"slices"

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
	// narrow are those versions of which the store leaves columns out.
	narrow map[*schema.Table]*narrow
}

func newVersions() versions {
	return versions{ids: map[uint32]bool{}, tables: map[tableKey]*schema.Table{}, stored: map[tableKey]*schema.Table{}, narrow: map[*schema.Table]*narrow{}}
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

// unfollow has the versions that a source's transactions bring begin a group once more.
func (v *versions) unfollow(source string) {
	for k := range v.tables {
		if k.source != source {
			continue
		}
		if was := v.stored[k]; was != nil {
			v.tables[k] = was
		} else {
			delete(v.tables, k)
		}
	}
	clear(v.ids)
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

// ensure prepares the store for a version of a table. It gives the version without the
// columns that the store leaves out, or nil if there are none.
func (s *session) ensure(ctx context.Context, t *schema.Table) (*narrow, error) {
	k := keyOf(t)
	if s.versions.stored[k] == t {
		return s.versions.narrow[t], nil
	}
	if err := s.settle(ctx); err != nil { // the partition's connection is in use
		return nil, err
	}
	left, err := s.w.o.Store.EnsureTable(ctx, s.claim, t)
	// A large transaction may have begun to hold the table against being altered.
	for s.beside != nil && errors.Is(err, ErrRetry) {
		if err = s.finish(<-s.beside.done); err == nil {
			left, err = s.w.o.Store.EnsureTable(ctx, s.claim, t)
		}
	}
	if err != nil {
		return nil, err
	}
	s.versions.stored[k] = t
	n := s.leftOut(t, left)
	if was := s.versions.narrow[t]; n == nil {
		delete(s.versions.narrow, t)
	} else if was == nil || !slices.Equal(was.keep, n.keep) { // the store knows it by its address
		s.versions.narrow[t] = n
	}
	return s.versions.narrow[t], nil
}
