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
	said  pgoutput.Msg  // the Relation message
	name  string        // schema.table, of one that nobody has asked for
	table *schema.Table // nil if the table is stopped, or nobody asked for it
	stop  *event.TableStop
}

// describe asks the catalogue for what a Relation message lacks: domains' base types,
// enum labels, and, of columns that still are as the message says, nullability and the
// key's order, and whether the publication leaves out a part of the key. The message is of
// the time when the rows were written, the catalogue of today. Columns of the catalogue that
// only newer servers have are read through JSON.
const describe = `
WITH RECURSIVE base(n, name, typ, oid, typmod) AS (
  SELECT n, name, typ, typ, typmod FROM unnest($1::text[], $2::oid[], $3::int[]) WITH ORDINALITY u(name, typ, typmod, n)
  UNION ALL SELECT n, name, typ, t.typbasetype, t.typtypmod FROM base JOIN pg_type t ON t.oid = base.oid WHERE t.typtype = 'd')
SELECT b.n::int - 1, coalesce(a.attnotnull, false), format_type(b.oid, NULL), t.typtype::text, coalesce(format_type(nullif(t.typelem, 0), NULL), ''),
  t.typcategory::text, CASE WHEN b.typmod >= 0 AND b.oid = 1700 THEN (b.typmod - 4) >> 16 ELSE 0 END, CASE WHEN b.typmod >= 0 AND b.oid = 1700 THEN ((b.typmod - 4) & 2047 # 1024) - 1024 ELSE 0 END,
  ARRAY(SELECT enumlabel::text FROM pg_enum e WHERE e.enumtypid = b.oid ORDER BY enumsortorder),
  coalesce((SELECT array_position(i.indkey::int[], a.attnum::int) FROM pg_index i WHERE i.indrelid = a.attrelid AND CASE WHEN $5 THEN i.indisreplident ELSE i.indisprimary END), -1),
  EXISTS (SELECT FROM pg_index i JOIN pg_publication_rel pr ON pr.prrelid = i.indrelid JOIN pg_publication p ON p.oid = pr.prpubid, unnest(i.indkey::int[]) part
    WHERE i.indrelid = $4 AND CASE WHEN $5 THEN i.indisreplident ELSE i.indisprimary END AND p.pubname = $6
      AND part::text <> ALL ((SELECT string_to_array(translate(to_jsonb(pr)->>'prattrs', '[],', ''), ' '))::text[]) IS TRUE)
FROM base b JOIN pg_type t ON t.oid = b.oid LEFT JOIN pg_attribute a ON a.attrelid = $4 AND a.attname = b.name AND a.atttypid = b.typ AND a.attnum > 0 AND NOT a.attisdropped
WHERE t.typtype <> 'd' ORDER BY b.n`

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
	return &relation{said: kept(m), stop: &event.TableStop{Table: id, Code: code, Reason: reason}}
}

// kept copies what is kept of a Relation message.
func kept(m *pgoutput.Msg) pgoutput.Msg {
	return pgoutput.Msg{Kind: m.Kind, RelationID: m.RelationID, Namespace: m.Namespace, Name: m.Name, Identity: m.Identity, Columns: slices.Clone(m.Columns)}
}

func (rel *relation) says(m *pgoutput.Msg) bool {
	return rel.said.Namespace == m.Namespace && rel.said.Name == m.Name && rel.said.Identity == m.Identity && slices.Equal(rel.said.Columns, m.Columns)
}

// announce takes a Relation message. It returns what the table is from here on.
func (r *Reader) announce(ctx context.Context, m *pgoutput.Msg) (*relation, error) {
	old := r.relations[m.RelationID]
	name := m.Namespace + "." + m.Name
	if stop := r.state.stopOf(r.o.Database + "." + name); stop != nil && !left(stop) {
		return &relation{said: kept(m), stop: stop}, nil
	}
	asked := r.wanted(name)
	if asked {
		part, err := r.within(ctx, m.RelationID)
		if err != nil {
			return nil, err
		}
		asked = !part
	}
	if !asked {
		return &relation{name: name, said: kept(m)}, nil
	}
	if r.conn != nil { // not for a load: what is loaded is of now
		changed, err := r.look(ctx, m.RelationID)
		if err != nil || !changed && old != nil && old.says(m) {
			return old, err
		}
	}
	if stop := r.state.stopOf(r.o.Database + "." + name); stop != nil {
		return &relation{said: kept(m), stop: stop}, nil
	}
	return r.describe(ctx, m, old)
}

// describe makes a table's version of a Relation message and the catalogue.
func (r *Reader) describe(ctx context.Context, m *pgoutput.Msg, old *relation) (*relation, error) {
	name := m.Namespace + "." + m.Name
	t := &schema.Table{Source: r.o.Source.ID, Dataset: m.Name, Database: r.o.Database, Schema: m.Namespace, Name: m.Name}
	if d := r.o.Datasets[name]; d != "" {
		t.Dataset = d
	}
	types, mods := make([]uint32, len(m.Columns)), make([]int32, len(m.Columns))
	for i, c := range m.Columns {
		types[i], mods[i] = c.TypeOID, c.Modifier
	}
	rows, err := r.sql.Query(ctx, describe, names(m.Columns), types, mods, m.RelationID, m.Identity == 'i', r.o.Publication)
	if err != nil {
		return nil, connection("describe table "+name, err)
	}
	type keyed struct{ at, column int }
	var key []keyed
	var c struct {
		native, kind, elem, category  string
		notNull                       bool
		column, precision, scale, key int
		labels                        []string
		partKey                       bool
	}
	lost := 0
	_, err = pgx.ForEachRow(rows, []any{&c.column, &c.notNull, &c.native, &c.kind, &c.elem, &c.category, &c.precision, &c.scale, &c.labels, &c.key, &c.partKey}, func() error {
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
			key = append(key, keyed{c.key, c.column})
		}
		if c.column != len(t.Columns) {
			lost++
		}
		t.Columns = append(t.Columns, schema.Column{Name: m.Columns[c.column].Name, Type: typ, Nullable: !c.notNull})
		return nil
	})
	if err != nil {
		return nil, connection("describe table "+name, err)
	}
	slices.SortFunc(key, func(a, b keyed) int { return a.at - b.at })
	for _, k := range key {
		t.Key = append(t.Key, k.column)
	}
	if lost > 0 || len(t.Columns) != len(m.Columns) {
		return r.stopped(m, "TABLE_CHANGED", fmt.Sprintf("the log has the columns %v, and the type of one of them doesn't exist any more", names(m.Columns))), nil
	}
	t.Key = keyThen(t.Key, m, old)
	if c.partKey && r.o.Keyless.Key(name, asIs) == nil {
		return r.stopped(m, "TABLE_NO_KEY", fmt.Sprintf("publication %s leaves out a column of the key of table %s", r.o.Publication, name)), nil
	}
	if code, reason, err := r.identify(ctx, t, m); err != nil {
		return nil, err
	} else if code != "" {
		return r.stopped(m, code, reason), nil
	}
	if reason, err := r.parts(ctx, t, m.RelationID); err != nil {
		return nil, err
	} else if reason != "" {
		return r.stopped(m, "TABLE_NO_KEY", reason), nil
	}
	for _, i := range t.Key {
		t.Columns[i].Nullable = false
	}
	if err := t.Validate(); err != nil {
		return r.stopped(m, "TABLE_REFUSED", err.Error()), nil
	}
	if old != nil && old.table != nil && old.table.Version() == t.Version() {
		t = old.table // plans are kept per pointer
	}
	return &relation{said: kept(m), table: t}, nil
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

// keyThen gives the key that a table had when a Relation message was written, by the
// columns' places. The message marks its columns, without their order; today's key, or
// that of the version before, has the order if it has the same columns.
func keyThen(today []int, m *pgoutput.Msg, old *relation) []int {
	var marked []int
	for i, c := range m.Columns {
		if c.Key {
			marked = append(marked, i)
		}
	}
	if m.Identity == 'f' || len(marked) == 0 { // all are marked; or it had no key, and only inserts
		return today
	}
	same := func(key []int) bool {
		sorted := slices.Sorted(slices.Values(key))
		return slices.Equal(sorted, marked)
	}
	if same(today) {
		return today
	}
	if old != nil && old.table != nil {
		var before []int
		for _, i := range old.table.Key {
			before = append(before, slices.IndexFunc(m.Columns, func(c pgoutput.Column) bool { return c.Name == old.table.Columns[i].Name }))
		}
		if same(before) {
			return before
		}
	}
	return marked
}

func names(cs []pgoutput.Column) []string {
	out := make([]string, len(cs))
	for i, c := range cs {
		out[i] = c.Name
	}
	return out
}
