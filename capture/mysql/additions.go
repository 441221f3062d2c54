package mysql

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Add implements snapshot.Adder. Include has seen to it that the name is as the server keeps it.
func (r *Reader) Add(table string) { r.additions.Add(table) }

// Remove implements snapshot.Adder.
func (r *Reader) Remove(table string) { r.additions.Remove(table) }

// Configured implements snapshot.Adder.
func (r *Reader) Configured(table string) bool { return Wanted(r.o.Tables, table, r.caseless) }

// addTables takes up tables that were added, and leaves those that were removed, between
// two transactions, and hands out the state that says so.
func (r *Reader) addTables() error {
	fresh, left := r.additions.Take()
	if len(fresh)+len(left) == 0 {
		return nil
	}
	for _, name := range left {
		if r.Configured(name) {
			continue
		}
		delete(r.known, name)
		delete(r.relations, name)
		r.forget(name)
		r.state.Stopped = slices.DeleteFunc(r.state.Stopped, func(s event.TableStop) bool { return s.Table == name })
	}
	for _, name := range fresh {
		r.known[name] = true
		if rel := r.relations[name]; rel != nil && rel.table == nil && rel.stop == nil {
			delete(r.relations, name)
		}
	}
	if err := r.define(fresh...); err != nil {
		return err
	}
	r.maps = map[uint64]*relation{} // the log describes tables anew before their next rows
	return r.idle()
}

// addedIn reads which tables were added, as a durable state has them.
func addedIn(b []byte) ([]string, error) {
	if b == nil {
		return nil, nil
	}
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("read the reader's state: %w", err)
	}
	return s.Added, nil
}

// Include implements snapshot.Source. The log has every table's changes already.
func (l *loader) Include(ctx context.Context, table string) error {
	defer interrupt(ctx, l.r.sql)()
	name := l.r.fold(table)
	if name != table {
		return fmt.Errorf("table %s: the server calls it %s: %w", table, name, snapshot.ErrTable)
	}
	if l.r.wanted(name) {
		return fmt.Errorf("table %s: %w", table, snapshot.ErrCaptured)
	}
	l.r.additions.Reset(append(l.r.additions.List(), name))
	tables, err := l.Tables(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(tables, func(t snapshot.Table) bool { return t.ID == name })
	switch {
	case i < 0:
		return fmt.Errorf("table %s doesn't exist, or the capture user may not SELECT from it: %w", table, snapshot.ErrTable)
	case tables[i].Schema == nil:
		return fmt.Errorf("table %s: %s: %w", table, tables[i].Refused, snapshot.ErrTable)
	case tables[i].Schema.Append:
		return fmt.Errorf("table %s: %w", table, snapshot.ErrAppend)
	}
	return nil
}

// settle finds out, once, which transactions of before may have changed a table that was
// passed over then and can't be seen yet. MariaDB's views say at which place they are.
func (l *loader) settle(d snapshot.Delivered) error {
	if !d.Unnamed || l.settled || l.r.mariadb {
		return nil
	}
	owned, err := l.r.ownedGTIDs()
	if err != nil {
		return err
	}
	l.owned, l.settled = slices.Concat(l.owned, owned), true
	return nil
}
