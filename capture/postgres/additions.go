package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/snapshot"
)

// Add implements snapshot.Adder.
func (r *Reader) Add(table string) { r.additions.Add(table) }

// Remove implements snapshot.Adder. The publication stays as it is.
func (r *Reader) Remove(table string) { r.additions.Remove(table) }

// Configured implements snapshot.Adder.
func (r *Reader) Configured(table string) bool {
	name, ok := strings.CutPrefix(table, r.o.Database+".")
	return ok && capture.Matches(r.o.Tables, name)
}

// addTables takes up tables that were added, and leaves those that were removed, between
// two transactions, and hands out the state that says so. The server doesn't describe a table twice, so one that it has
// described, and nobody had asked for, is looked at again.
func (r *Reader) addTables(ctx context.Context) error {
	fresh, left := r.additions.Take()
	if len(fresh)+len(left) == 0 {
		return nil
	}
	for _, name := range left {
		r.leave(name)
	}
	r.state.Added = r.additions.List()
	now, err := r.shapes(ctx, 0) // as they are now they will be loaded
	if err != nil {
		return err
	}
	for _, name := range fresh {
		if f := now[name]; f != nil {
			r.state.Shapes[name] = f.worn(true)
		}
	}
	for id, old := range r.relations {
		if !slices.Contains(fresh, r.o.Database+"."+old.name) {
			continue
		}
		if err := r.describeAgain(ctx, id, old); err != nil {
			return err
		}
	}
	return r.idle()
}

// leave passes a table over from here on.
func (r *Reader) leave(table string) {
	name := strings.TrimPrefix(table, r.o.Database+".")
	if r.Configured(table) {
		return
	}
	delete(r.state.Shapes, table)
	delete(r.suspects, table)
	r.unstop(table)
	for id, old := range r.relations {
		if old.said.Namespace+"."+old.said.Name == name {
			r.relations[id] = &relation{name: name, said: old.said}
		}
	}
}

// errNotAdded rolls back.
var errNotAdded = errors.New("not added")

// Include implements snapshot.Source.
func (l *loader) Include(ctx context.Context, table string) error {
	database, name, _ := strings.Cut(table, ".")
	schema, name, ok := strings.Cut(name, ".")
	if !ok || database != l.r.o.Database {
		return fmt.Errorf("table %s: want %s.SCHEMA.TABLE: %w", table, l.r.o.Database, snapshot.ErrTable)
	}
	ident := pgx.Identifier{schema, name}.Sanitize()
	c := candidate{schema: schema, name: name}
	var kind string
	var readable, published bool
	err := l.r.sql.QueryRow(ctx, `SELECT c.oid, c.relreplident::text, `+exposed+`, c.relkind::text, has_table_privilege(c.oid, 'SELECT'),
		EXISTS (SELECT FROM pg_publication_tables WHERE pubname = $3 AND schemaname = $1 AND tablename = $2)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`, schema, name, l.r.o.Publication).Scan(&c.id, &c.identity, &c.exposed, &kind, &readable, &published)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("table %s doesn't exist: %w", table, snapshot.ErrTable)
	case err != nil:
		return connection("look for table "+table, err)
	case published && l.r.wanted(schema+"."+name):
		return fmt.Errorf("table %s: %w", table, snapshot.ErrCaptured)
	case kind != "r":
		return fmt.Errorf("table %s is no ordinary table (%s): %w", table, kind, snapshot.ErrTable)
	case !readable:
		return &capture.Coded{Code: "PG_ACCESS", Hint: "GRANT SELECT ON " + ident + " TO " + pgx.Identifier{l.r.o.User}.Sanitize(),
			Err: fmt.Errorf("table %s can't be read: %w", table, capture.ErrAccess)}
	}
	l.r.additions.Reset(append(l.r.additions.List(), table))
	if !published && len(c.exposed) > 0 {
		stop, err := l.r.unidentified(ctx, &c)
		if err != nil {
			return err
		}
		return fmt.Errorf("table %s: %s: %w", table, stop.Reason, snapshot.ErrTable)
	}
	var refused error
	err = pgx.BeginFunc(ctx, l.r.sql, func(tx pgx.Tx) error {
		if !published {
			if refused = l.publish(ctx, tx, ident); refused != nil {
				return errNotAdded
			}
		}
		if refused = l.loadable(ctx, table); refused != nil {
			return errNotAdded
		}
		return nil
	})
	if errors.Is(err, errNotAdded) {
		return refused
	}
	if err != nil {
		return connection("add table "+table, err)
	}
	return nil
}

// publish puts a table into the publication. It waits for nobody longer than a few seconds.
func (l *loader) publish(ctx context.Context, tx pgx.Tx, ident string) error {
	if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '3s'"); err != nil {
		return connection("set the session", err)
	}
	sql := "ALTER PUBLICATION " + pgx.Identifier{l.r.o.Publication}.Sanitize() + " ADD TABLE " + ident
	if _, err := tx.Exec(ctx, sql); err != nil {
		return &capture.Coded{Code: "PG_PUBLICATION", Hint: sql, Err: connection("add "+ident+" to the publication", err)}
	}
	return nil
}

// loadable reports why a published table can't be captured or loaded.
func (l *loader) loadable(ctx context.Context, table string) error {
	tables, err := l.Tables(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(tables, func(t snapshot.Table) bool { return t.ID == table })
	switch {
	case i < 0:
		return fmt.Errorf("table %s isn't in the publication %s: %w", table, l.r.o.Publication, snapshot.ErrTable)
	case tables[i].Schema == nil:
		return fmt.Errorf("table %s: %s: %w", table, tables[i].Refused, snapshot.ErrTable)
	case tables[i].Schema.Append:
		return fmt.Errorf("table %s: %w", table, snapshot.ErrAppend)
	}
	return nil
}
