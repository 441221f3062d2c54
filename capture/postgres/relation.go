package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/capture/postgres/pgoutput"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// relation is what the reader knows of a table that the server has announced.
type relation struct {
	name    string        // schema.table, of one that nobody has asked for
	table   *schema.Table // nil if the table is stopped
	columns []pgoutput.Column
	ident   byte
	stop    *event.TableStop
}

// describe asks the catalogue for what a Relation message lacks: domains' base
// types, enum labels, nullability, the key's order, and which columns may be missing in
// the log: those that the server computes, and those that the publication leaves out.
// Columns of the catalogue that only newer servers have are read through JSON.
const describe = `
WITH RECURSIVE base(n, oid, typmod) AS (
  SELECT attnum, atttypid, atttypmod FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped
  UNION ALL SELECT n, t.typbasetype, t.typtypmod FROM base JOIN pg_type t ON t.oid = base.oid WHERE t.typtype = 'd')
SELECT a.attname, a.atttypid, a.attnotnull, format_type(b.oid, NULL), t.typtype::text, coalesce(format_type(nullif(t.typelem, 0), NULL), ''),
  t.typcategory::text, CASE WHEN b.typmod >= 0 AND b.oid = 1700 THEN (b.typmod - 4) >> 16 ELSE 0 END, CASE WHEN b.typmod >= 0 AND b.oid = 1700 THEN ((b.typmod - 4) & 2047 # 1024) - 1024 ELSE 0 END,
  ARRAY(SELECT enumlabel::text FROM pg_enum e WHERE e.enumtypid = b.oid ORDER BY enumsortorder),
  coalesce((SELECT array_position(i.indkey::int[], a.attnum::int) FROM pg_index i WHERE i.indrelid = a.attrelid AND CASE WHEN $2 THEN i.indisreplident ELSE i.indisprimary END), -1),
  coalesce(to_jsonb(a)->>'attgenerated', '') <> '' OR a.attnum::text <> ALL ((SELECT string_to_array(to_jsonb(pr)->>'prattrs', ' ') FROM pg_publication_rel pr JOIN pg_publication p ON p.oid = pr.prpubid
    WHERE p.pubname = $3 AND pr.prrelid = a.attrelid)::text[]) IS TRUE
FROM pg_attribute a JOIN base b ON b.n = a.attnum JOIN pg_type t ON t.oid = b.oid
WHERE a.attrelid = $1 AND t.typtype <> 'd' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`

// kinds are the portable kinds of the server's types, by name.
var kinds = map[string]schema.Kind{
	"boolean": schema.Bool, "smallint": schema.Int16, "integer": schema.Int32, "bigint": schema.Int64,
	"numeric": schema.Decimal, "real": schema.Float32, "double precision": schema.Float64,
	"text": schema.String, "character varying": schema.String, "character": schema.String, "bpchar": schema.String, "name": schema.String,
	"bytea": schema.Bytes, "date": schema.Date, "time without time zone": schema.Time, "time with time zone": schema.Text,
	"timestamp without time zone": schema.DateTime, "timestamp with time zone": schema.Timestamp, "interval": schema.Interval,
	"uuid": schema.UUID, "json": schema.JSON, "jsonb": schema.JSON,
}

func (r *Reader) stopped(m *pgoutput.Msg, code, reason string) *relation {
	id := r.o.Database + "." + m.Namespace + "." + m.Name
	return &relation{columns: slices.Clone(m.Columns), ident: m.Identity, stop: &event.TableStop{Table: id, Code: code, Reason: reason}}
}

// announce takes a Relation message. It returns what the table is from here on.
func (r *Reader) announce(ctx context.Context, m *pgoutput.Msg) (*relation, error) {
	if old := r.relations[m.RelationID]; old != nil {
		if old.stop != nil || slices.Equal(old.columns, m.Columns) && old.ident == m.Identity {
			return old, nil
		}
		return r.stopped(m, "TABLE_CHANGED", fmt.Sprintf("columns were %v, now %v", names(old.columns), names(m.Columns))), nil
	}
	name := m.Namespace + "." + m.Name
	if stop := r.state.stopOf(r.o.Database + "." + name); stop != nil {
		return &relation{columns: slices.Clone(m.Columns), ident: m.Identity, stop: stop}, nil
	}
	if !r.wanted(name) {
		return &relation{name: name, columns: slices.Clone(m.Columns), ident: m.Identity}, nil
	}
	t := &schema.Table{Source: r.o.Source.ID, Dataset: m.Name, Database: r.o.Database, Schema: m.Namespace, Name: m.Name}
	if d := r.o.Datasets[name]; d != "" {
		t.Dataset = d
	}
	rows, err := r.sql.Query(ctx, describe, m.RelationID, m.Identity == 'i', r.o.Publication)
	if err != nil {
		return nil, connection("describe table "+name, err)
	}
	type keyed struct{ at, column int }
	var key []keyed
	var got []pgoutput.Column
	var c struct {
		name, native, kind, elem, category string
		oid                                uint32
		notNull                            bool
		precision, scale, key              int
		labels                             []string
		optional                           bool
	}
	partKey := false
	_, err = pgx.ForEachRow(rows, []any{&c.name, &c.oid, &c.notNull, &c.native, &c.kind, &c.elem, &c.category, &c.precision, &c.scale, &c.labels, &c.key, &c.optional}, func() error {
		if c.optional && !slices.ContainsFunc(m.Columns, func(p pgoutput.Column) bool { return p.Name == c.name }) {
			partKey = partKey || c.key >= 0
			return nil
		}
		typ := schema.Type{Native: c.native}
		typ.Precision, typ.Scale = bounds(c.precision, c.scale)
		elem, isElem := kinds[c.elem]
		switch {
		case c.kind == "e":
			typ.Kind, typ.Labels = schema.Enum, slices.Clone(c.labels)
		case kinds[c.native] != schema.Invalid:
			typ.Kind = kinds[c.native]
		case c.category == "A" && isElem:
			typ.Kind, typ.Elem = schema.Array, &schema.Type{Kind: elem, Native: c.elem}
		case c.native == "bit" || c.native == "bit varying":
			typ.Kind = schema.Bit
		default: // as the server prints it: ranges, composite types, networks, those of extensions
			typ.Kind = schema.Text
		}
		if c.key >= 0 {
			key = append(key, keyed{c.key, len(t.Columns)})
		}
		t.Columns = append(t.Columns, schema.Column{Name: c.name, Type: typ, Nullable: !c.notNull})
		got = append(got, pgoutput.Column{Name: c.name, TypeOID: c.oid})
		return nil
	})
	if err != nil {
		return nil, connection("describe table "+name, err)
	}
	slices.SortFunc(key, func(a, b keyed) int { return a.at - b.at })
	for _, k := range key {
		t.Key = append(t.Key, k.column)
	}
	same := slices.EqualFunc(got, m.Columns, func(a, b pgoutput.Column) bool { return a.Name == b.Name && a.TypeOID == b.TypeOID })
	if !same {
		return r.stopped(m, "TABLE_CHANGED", fmt.Sprintf("the log has the columns %v, the catalogue %v", names(m.Columns), names(got))), nil
	}
	if partKey && r.o.Keyless.Key(m.Namespace+"."+m.Name, asIs) == nil {
		return r.stopped(m, "TABLE_NO_KEY", fmt.Sprintf("publication %s leaves out a column of the key of table %s", r.o.Publication, name)), nil
	}
	if code, reason, err := r.identify(ctx, t, m); err != nil {
		return nil, err
	} else if code != "" {
		return r.stopped(m, code, reason), nil
	}
	if err := t.Validate(); err != nil {
		return r.stopped(m, "TABLE_REFUSED", err.Error()), nil
	}
	return &relation{table: t, columns: slices.Clone(m.Columns), ident: m.Identity}, nil
}

// bounds gives digits and scale of a decimal that holds all that numeric(precision,
// scale) does. From PostgreSQL 15 on a scale may be negative or beyond the precision
// (manual, 8.1.2).
func bounds(precision, scale int) (int, int) {
	if scale < 0 {
		return precision - scale, 0
	}
	return max(precision, scale), scale
}

func names(cs []pgoutput.Column) (out []string) {
	for _, c := range cs {
		out = append(out, c.Name)
	}
	return out
}
