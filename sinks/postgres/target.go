package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/schema"
)

// Target says in which table of the store a source's table stands.
type Target string

// The targets.
const (
	// TargetDataset is one table per dataset, in the schema of Options, for all its sources.
	TargetDataset Target = "dataset"
	// TargetMirror is one schema per source, of the source's id as it is, with a table per
	// table of the source and the key that it has there.
	TargetMirror Target = "mirror"
)

// Key says what identifies a row in a dataset's table.
type Key string

// The keys of the target dataset.
const (
	// KeySource is the source and the source's primary key, so that two schools' row 17
	// never collide.
	KeySource Key = "source"
	// KeyContract is the primary key that all sources of the dataset have alike, without
	// the source: a row has one owner, the source that inserted it last.
	KeyContract Key = "contract"
)

// Layout is how a dataset stands in the store.
type Layout struct {
	Target Target // default dataset
	Key    Key    // of the target dataset; default source
}

// Check refuses what doesn't exist or doesn't go together.
func (l Layout) Check() error {
	switch {
	case l.Target != "" && l.Target != TargetDataset && l.Target != TargetMirror:
		return fmt.Errorf("target %q: %s or %s", l.Target, TargetDataset, TargetMirror)
	case l.Key != "" && l.Key != KeySource && l.Key != KeyContract:
		return fmt.Errorf("key %q: %s or %s", l.Key, KeySource, KeyContract)
	case l.Target == TargetMirror && l.Key != "":
		return fmt.Errorf("key %q: a %s has the keys of its source", l.Key, TargetMirror)
	}
	return nil
}

// home is where the rows of one table of one source stand.
type home struct {
	Layout
	schema, table string
}

// home finds the place of a source's rows of a dataset.
func (s *Store) home(source, dataset string) home {
	l := s.layout(dataset)
	if l.Target == TargetMirror {
		return home{l, source, dataset}
	}
	return home{l, s.o.Schema, dataset}
}

// layout gives a dataset's, without empty fields but the key of a mirror.
func (s *Store) layout(dataset string) Layout {
	l := s.o.Datasets[dataset]
	if l.Target == "" && l.Key == "" {
		l.Target = s.o.Target
	}
	if l.Target != TargetMirror {
		l.Target = TargetDataset
		if l.Key == "" {
			l.Key = KeySource
		}
	}
	return l
}

// Shared reports whether rows of several sources share the keys of a dataset's table, so
// that the order of their changes among each other counts.
func (s *Store) Shared(dataset string) bool { return s.layout(dataset).Key == KeyContract }

func (h home) String() string { return h.schema + "." + h.table }

// ident is the table's quoted name.
func (h home) ident() string { return ident(h.schema, h.table) }

// primary are the columns of the table's primary key.
func (h home) primary(t *schema.Table) (names []string) {
	if t.Append {
		return slices.Clone(appendKey)
	}
	if h.Key == KeySource {
		names = append(names, "_source")
	}
	for _, i := range t.Key {
		names = append(names, t.Columns[i].Name)
	}
	return names
}

// settle makes the schema if need be, and notes where a source's table stands. It refuses
// a place that somebody else has, and another one than that where the rows stand already.
func (h home) settle(ctx context.Context, tx pgx.Tx, t *schema.Table, refuse func(string, ...any) error) error {
	var was home
	err := tx.QueryRow(ctx, `SELECT target, key, schema, name FROM tributary.target WHERE source = $1 AND "table" = $2`, t.Source, t.ID()).
		Scan(&was.Target, &was.Key, &was.schema, &was.table)
	switch {
	case err == nil && was == h:
		return nil
	case err == nil:
		return refuse("the rows stand in %s with the key %q: set target and dataset back, or read the table again (tributary table reread)", was, was.Key)
	case !errors.Is(err, pgx.ErrNoRows):
		return err
	}
	var other string
	err = tx.QueryRow(ctx, `SELECT "table" FROM tributary.target WHERE source = $1 AND schema = $2 AND name = $3`, t.Source, h.schema, h.table).Scan(&other)
	switch {
	case err == nil:
		return refuse("it has the rows of the source's table %s: give one of the two a dataset of its own in the agent's configuration", other)
	case !errors.Is(err, pgx.ErrNoRows):
		return err
	}
	if h.Target == TargetMirror {
		if err := h.found(ctx, tx, refuse); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `INSERT INTO tributary.target (source, "table", target, key, schema, name) VALUES ($1, $2, $3, $4, $5, $6)`,
		t.Source, t.ID(), string(h.Target), string(h.Key), h.schema, h.table)
	return err
}

// found makes a mirror's schema. One that is there may be empty, or ours.
func (h home) found(ctx context.Context, tx pgx.Tx, refuse func(string, ...any) error) error {
	var there, foreign bool
	err := tx.QueryRow(ctx, `SELECT to_regnamespace($1) IS NOT NULL, EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace($1))
		AND NOT EXISTS (SELECT FROM tributary.target WHERE schema = $2 AND target = 'mirror')`, ident(h.schema), h.schema).Scan(&there, &foreign)
	switch {
	case err != nil:
		return err
	case foreign:
		return refuse("the schema has tables that are no mirror's: rename or drop it")
	case there:
		return nil
	}
	_, err = tx.Exec(ctx, "CREATE SCHEMA "+ident(h.schema))
	return err
}

// refuseSchema refuses a source whose id can't be its mirror's schema.
func (s *Store) refuseSchema(h home, refuse func(string, ...any) error) error {
	switch {
	case h.Target != TargetMirror:
		return nil
	case len(h.schema) > maxName:
		return refuse("the source's id has %d bytes, a schema of PostgreSQL takes %d: give it a shorter name, or its datasets the target dataset", len(h.schema), maxName)
	case h.schema == s.o.Schema || Reserved(h.schema):
		return refuse("the source's id is the name of a schema that has another purpose")
	}
	return nil
}

// Reserved tells schemas that can hold no dataset.
func Reserved(schema string) bool {
	return schema == "tributary" || schema == "information_schema" || strings.HasPrefix(schema, "pg_")
}
