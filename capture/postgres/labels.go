package postgres

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

const enumLabels = `
WITH RECURSIVE base(oid) AS (SELECT atttypid FROM pg_attribute WHERE attrelid = $1 AND attname = $2
  UNION ALL SELECT t.typbasetype FROM base JOIN pg_type t ON t.oid = base.oid WHERE t.typtype = 'd')
SELECT e.enumlabel::text FROM pg_enum e JOIN base ON base.oid = e.enumtypid ORDER BY e.enumsortorder`

// relabel gives a table another version if an image has a label that the present one
// doesn't know: the server tells of ALTER TYPE ADD VALUE by nothing else. A label that
// the catalogue doesn't have either, because it was renamed since, comes last.
func (r *Reader) relabel(ctx context.Context, id uint32, rel *relation, image []event.Value) error {
	for i := range image {
		v, typ := &image[i], &rel.table.Columns[i].Type
		if typ.Kind != schema.Enum || v.State != event.Present || has(typ.Labels, v.B) {
			continue
		}
		t := *rel.table
		t.Columns = slices.Clone(t.Columns)
		for c := range t.Columns {
			if t.Columns[c].Type.Kind != schema.Enum {
				continue
			}
			rows, err := r.sql.Query(ctx, enumLabels, id, t.Columns[c].Name)
			if err != nil {
				return connection("read the labels of an enum of table "+t.ID(), err)
			}
			if t.Columns[c].Type.Labels, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
				return connection("read the labels of an enum of table "+t.ID(), err)
			}
		}
		if labels := &t.Columns[i].Type.Labels; !has(*labels, v.B) {
			*labels = append(*labels, string(v.B))
		}
		rel.table = &t
	}
	return nil
}

func has(labels []string, label []byte) bool {
	return slices.ContainsFunc(labels, func(l string) bool { return l == string(label) })
}
