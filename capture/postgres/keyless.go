package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/postgres/pgoutput"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// The values of pg_class.relreplident (PostgreSQL manual, "pg_class").
const (
	identityFull    = 'f'
	identityNothing = 'n'
)

// exactly finds a unique index on a table's columns that may be its replica identity
// (manual, "ALTER TABLE", "REPLICA IDENTITY").
const exactly = `SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1 AND i.indisunique AND i.indimmediate AND i.indpred IS NULL
	AND (SELECT array_agg(attname ORDER BY attname) FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)) = (SELECT array_agg(x ORDER BY x) FROM unnest($2::name[]) x)
	ORDER BY 1 LIMIT 1`

func asIs(name string) string { return name }

// identify gives a table the key of the configuration, or takes it in append mode, or
// says why it must stop. t has the key that the server knows.
func (r *Reader) identify(ctx context.Context, t *schema.Table, m *pgoutput.Msg) (code, reason string, err error) {
	name, table := m.Namespace+"."+m.Name, pgx.Identifier{m.Namespace, m.Name}.Sanitize()
	if cols := r.o.Keyless.Key(name, asIs); cols != nil {
		return r.configured(ctx, t, m, cols)
	}
	switch {
	case len(t.Key) > 0 && m.Identity != identityNothing:
		return "", "", nil
	case len(t.Key) > 0:
		return "TABLE_NO_KEY", fmt.Sprintf("changes carry no key: ALTER TABLE %s REPLICA IDENTITY DEFAULT", table), nil
	case !r.o.Keyless.Appends(name, asIs):
		return "TABLE_NO_KEY", fmt.Sprintf("no key: ALTER TABLE %s ADD PRIMARY KEY (...), or ALTER TABLE %[1]s ADD COLUMN row_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY; or name unique columns in keys, or the table in append", table), nil
	case m.Identity != identityFull:
		return "TABLE_NO_KEY", fmt.Sprintf("append mode needs whole old rows: ALTER TABLE %s REPLICA IDENTITY FULL", table), nil
	}
	t.Key, t.Append = nil, true
	return "", "", nil
}

// Caps implements snapshot.Capper.
func (r *Reader) Caps(t *schema.Table) map[int]capture.Cap {
	return r.o.Caps.Columns(t, t.Schema+"."+t.Name, asIs, func(a, b string) bool { return a == b })
}

// configured takes the key of the configuration, if each change carries it.
func (r *Reader) configured(ctx context.Context, t *schema.Table, m *pgoutput.Msg, cols []string) (code, reason string, err error) {
	carried, table := t.Key, pgx.Identifier{m.Namespace, m.Name}.Sanitize()
	if m.Identity == identityNothing {
		carried = nil
	}
	t.Key = nil
	for _, c := range cols {
		i := t.Column(c)
		switch {
		case i < 0:
			return "TABLE_KEY_REFUSED", fmt.Sprintf("the configuration's key has the column %q, the table hasn't", c), nil
		case t.Columns[i].Nullable:
			return "TABLE_KEY_REFUSED", fmt.Sprintf("column %q of the configuration's key may be NULL: ALTER TABLE %s ALTER COLUMN %s SET NOT NULL", c, table, pgx.Identifier{c}.Sanitize()), nil
		}
		t.Key = append(t.Key, i)
	}
	if m.Identity == identityFull || !slices.ContainsFunc(t.Key, func(i int) bool { return !slices.Contains(carried, i) }) {
		return "", "", nil
	}
	rows, err := r.sql.Query(ctx, exactly, m.RelationID, cols)
	if err != nil {
		return "", "", connection("look for an index of table "+t.ID(), err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", "", connection("look for an index of table "+t.ID(), err)
	}
	repair := "FULL"
	if len(found) > 0 {
		repair = "USING INDEX " + pgx.Identifier{found[0]}.Sanitize()
	}
	return "TABLE_KEY_REFUSED", fmt.Sprintf("changes don't carry the configuration's key (%s): ALTER TABLE %s REPLICA IDENTITY %s", strings.Join(cols, ", "), table, repair), nil
}

// whole completes the images of a row in append mode: what an update leaves out, unchanged
// TOAST, is as it was. It reports whether nothing is missing then.
func whole(row *event.Row) bool {
	if row.Op != event.Create && row.Before == nil {
		return false
	}
	for i := range row.After {
		if row.After[i].State == event.Absent && row.Before != nil {
			row.After[i] = row.Before[i]
		}
	}
	for _, image := range [2][]event.Value{row.Before, row.After} {
		for i := range image {
			if image[i].State == event.Absent {
				return false
			}
		}
	}
	return true
}
