package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Range implements snapshot.Source. The server reads the values and prints them as it does
// in rows.
func (l *loader) Range(ctx context.Context, t *schema.Table, b snapshot.Bounds) (*event.KeyRange, error) {
	n := max(len(b.From), len(b.To))
	if n > len(t.Key) {
		return nil, fmt.Errorf("%s has values for %d columns, the key of table %s has %d: %w", b, n, t.ID(), len(t.Key), snapshot.ErrBadBounds)
	}
	r := &event.KeyRange{}
	for _, i := range t.Key[:n] {
		order, err := l.order(ctx, t, i)
		if err != nil {
			return nil, err
		}
		r.Columns = append(r.Columns, event.KeyColumn{Name: t.Columns[i].Name, Kind: t.Columns[i].Type.Kind, Order: order})
	}
	for _, end := range []struct {
		text []string
		into *[]event.Value
	}{{b.From, &r.From}, {b.To, &r.To}} {
		for k, text := range end.text {
			v, err := l.written(ctx, &t.Columns[t.Key[k]].Type, text)
			if err != nil {
				return nil, fmt.Errorf("key column %q of table %s: %w", r.Columns[k].Name, t.ID(), err)
			}
			*end.into = append(*end.into, v)
		}
	}
	return r, nil
}

// written reads a value that a person has written.
func (l *loader) written(ctx context.Context, t *schema.Type, text string) (event.Value, error) {
	printed := text
	if t.Kind != schema.Enum { // whose labels are compared as they are
		if err := l.r.sql.QueryRow(ctx, "SELECT ($1::text"+cast(t)+")::text", text).Scan(&printed); err != nil {
			return event.Value{}, fmt.Errorf("%q as %s: %w: %w", text, t, snapshot.ErrBadBounds, connection("read a bound", err))
		}
	}
	if t.Kind == schema.Bool {
		printed = printed[:1] // as rows have it
	}
	var a event.Arena
	v, err := parse(t, []byte(printed), &a)
	if err != nil {
		return v, fmt.Errorf("%q as %s: %w: %w", text, t, snapshot.ErrBadBounds, err)
	}
	return v, nil
}

// collation tells whether text of a column is ordered by its code points. The collation
// 100 is the database's (PostgreSQL source, pg_collation.dat: DEFAULT_COLLATION_OID).
const collation = `SELECT CASE
	WHEN c.oid = 100 THEN CASE coalesce(to_jsonb(d)->>'datlocprovider', 'c') WHEN 'b' THEN true WHEN 'c' THEN d.datcollate IN ('C', 'POSIX') ELSE false END
	ELSE c.collprovider = 'b' OR c.collprovider = 'c' AND c.collcollate IN ('C', 'POSIX') END
	FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation, pg_database d
	WHERE a.attrelid = $1::regclass AND a.attname = $2 AND d.datname = current_database()`

// order tells how the server orders a column.
func (l *loader) order(ctx context.Context, t *schema.Table, column int) (event.KeyOrder, error) {
	typ := &t.Columns[column].Type
	switch typ.Kind {
	case schema.Decimal, schema.Bytes, schema.UUID, schema.Interval:
		return event.OrderValue, nil
	case schema.String:
		if typ.Native == "character" || typ.Native == "bpchar" { // trailing spaces don't count
			return event.OrderForeign, nil
		}
		points := false
		err := l.r.sql.QueryRow(ctx, collation, pgx.Identifier{t.Schema, t.Name}.Sanitize(), t.Columns[column].Name).Scan(&points)
		if err != nil {
			return 0, connection("read the collation of table "+t.ID(), err)
		}
		if points {
			return event.OrderPoints, nil
		}
		return event.OrderForeign, nil
	}
	if typ.Kind.Numeric() {
		return event.OrderValue, nil
	}
	return event.OrderForeign, nil
}
