package postgres

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// columnType gives the store's type of a portable type.
func columnType(t schema.Type) string {
	switch t.Kind {
	case schema.Bool:
		return "boolean"
	case schema.Int8, schema.Int16, schema.Uint8, schema.Year:
		return "smallint"
	case schema.Int32, schema.Uint16:
		return "integer"
	case schema.Int64, schema.Uint32:
		return "bigint"
	case schema.Uint64:
		return "numeric(20)"
	case schema.Decimal:
		return "numeric" // the source bounds it; a wider source then needs no change here
	case schema.Float32:
		return "real"
	case schema.Float64:
		return "double precision"
	case schema.Bytes:
		return "bytea"
	case schema.Date:
		return "date"
	case schema.Time:
		if t.Wide {
			return "interval"
		}
		return "time"
	case schema.DateTime:
		return "timestamp"
	case schema.Timestamp:
		return "timestamptz"
	case schema.Interval:
		return "interval"
	case schema.JSON:
		return "json"
	case schema.UUID:
		return "uuid"
	case schema.Bit:
		return "bit varying"
	case schema.Array:
		if t.Elem != nil {
			return columnType(*t.Elem) + "[]"
		}
	case schema.Text:
		switch {
		case native[t.Native]:
			return t.Native
		case t.Native == "inet4" || t.Native == "inet6": // MariaDB's addresses
			return "inet"
		}
	}
	return "text"
}

// native are the types without a portable kind that every PostgreSQL since 12 has, and
// that read what any other prints. Those of extensions are kept as text: the store may
// not have the extension.
var native = map[string]bool{"time with time zone": true, "inet": true, "cidr": true, "macaddr": true, "macaddr8": true, "int4range": true, "int8range": true,
	"numrange": true, "tsrange": true, "tstzrange": true, "daterange": true, "tsvector": true, "tsquery": true, "point": true, "line": true, "lseg": true,
	"box": true, "path": true, "polygon": true, "circle": true, "pg_lsn": true}

// argument renders a slot as a statement's parameter, in text form where the
// driver has no cheaper way.
func argument(k schema.Kind, v event.Value) any {
	if v.State != event.Present {
		return nil
	}
	switch k {
	case schema.Bool:
		return v.N == 1
	case schema.Uint64:
		return strconv.FormatUint(v.N, 10)
	case schema.Float32:
		return math.Float32frombits(uint32(v.N))
	case schema.Float64:
		return math.Float64frombits(v.N)
	case schema.Date:
		return civil(v.Int(), 24*time.Hour, "2006-01-02")
	case schema.Time:
		return clock(v.Int())
	case schema.DateTime:
		return civil(v.Int(), time.Microsecond, "2006-01-02 15:04:05.999999")
	case schema.Timestamp:
		return civil(v.Int(), time.Microsecond, "2006-01-02 15:04:05.999999+00")
	case schema.Bytes:
		return `\x` + hex.EncodeToString(v.B)
	}
	if k.Numeric() {
		return v.Int()
	}
	return string(v.B)
}

// civil renders n units since 1970. Years below 1 are written as BC
// (PostgreSQL 15 manual, 8.5.1.1).
func civil(n int64, unit time.Duration, layout string) string {
	switch n {
	case event.PosInfinity:
		return "infinity"
	case event.NegInfinity:
		return "-infinity"
	}
	perDay := int64(24 * time.Hour / unit)
	days, rest := n/perDay, n%perDay
	if rest < 0 {
		days, rest = days-1, rest+perDay
	}
	t := time.Unix(days*86400, rest*int64(unit)).UTC()
	if y := t.Year(); y <= 0 {
		// Go knows the year 0; PostgreSQL calls it 1 BC. Both are leap years alike.
		text := t.Format(layout)
		at := strings.Index(text[1:], "-") + 1
		return fmt.Sprintf("%04d%s BC", 1-y, text[at:])
	}
	return t.Format(layout)
}

// clock renders microseconds as a time or a span, 24:00:00 and negative ones included.
func clock(us int64) string {
	sign := ""
	if us < 0 {
		sign, us = "-", -us
	}
	s := us / 1_000_000
	return fmt.Sprintf("%s%02d:%02d:%02d.%06d", sign, s/3600, s/60%60, s%60, us%1_000_000)
}

type lineageColumn struct{ name, typ string }

// lineage are the columns that each dataset table has beside the source's own.
var lineage = []lineageColumn{
	{"_source", "text"}, {"_position", "text"}, {"_op", "text"},
	{"_committed_at", "timestamp with time zone"}, {"_applied_at", "timestamp with time zone"}, {"_batch", "bigint"},
}

// lineageOf gives the lineage columns of a table of the store.
func lineageOf(t *schema.Table) []lineageColumn {
	if t.Append {
		return append(slices.Clone(lineage), lineageColumn{placed, "bigint"})
	}
	return lineage
}

// EnsureTable implements worker.Store. A missing table is created, a missing column
// added, a narrower one widened; anything else that differs is refused. A table that
// somebody holds for longer than a second gives ErrRetry.
func (s *Store) EnsureTable(ctx context.Context, claim worker.Claim, t *schema.Table) (left []int, err error) {
	l, err := s.lane(claim.Partition)
	if err != nil {
		return nil, err
	}
	h := s.home(t.Source, t.Dataset)
	refuse := func(format string, args ...any) error {
		return &worker.TableError{Table: t, Err: fmt.Errorf("store table %s: %s: %w", h, fmt.Sprintf(format, args...), worker.ErrTableRefused)}
	}
	if err := refuseNames(t, refuse); err != nil {
		return nil, err
	}
	if err := s.refuseSchema(h, refuse); err != nil {
		return nil, err
	}
	err = pgx.BeginFunc(ctx, l.conn, func(tx pgx.Tx) error {
		// Whoever waits for a table lets all others wait behind it.
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '1s'"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext($1))`, "tributary "+h.String()); err != nil {
			return err
		}
		f, err := s.follows(ctx, tx, t)
		if err != nil {
			return err
		}
		if err := h.settle(ctx, tx, t, refuse); err != nil {
			return err
		}
		if err := h.create(ctx, tx, t, f, refuse); err != nil {
			return err
		}
		if left, err = h.compare(ctx, tx, t, f, refuse); err != nil {
			return err
		}
		if f.changed {
			if err := adopt(ctx, tx, t); err != nil {
				return err
			}
		}
		return f.leave(ctx, tx, t, left, l.batch)
	})
	if err != nil {
		return nil, fmt.Errorf("table %s for %s: %w", h, t.ID(), classify(err, false))
	}
	return left, nil
}

// create makes the table. One that was made before and isn't there any more has taken its
// rows with it: only an order to read all of the source's table brings them back.
func (h home) create(ctx context.Context, tx pgx.Tx, t *schema.Table, f following, refuse func(string, ...any) error) error {
	if f.before != nil && !f.loading {
		var there bool
		if err := tx.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", h.ident()).Scan(&there); err != nil {
			return err
		}
		if !there {
			return refuse("somebody has dropped it: tributary table reread %s %s makes it again, with its rows", t.Source, t.ID())
		}
	}
	_, err := tx.Exec(ctx, h.createSQL(t))
	return err
}

func (h home) createSQL(t *schema.Table) string {
	cols := []string{`_source text COLLATE "C" NOT NULL`}
	for i, col := range t.Columns {
		def := ident(col.Name) + " " + columnType(col.Type)
		if t.IsKey(i) {
			if columnType(col.Type) == "text" {
				def += ` COLLATE "C"`
			}
			def += " NOT NULL"
		}
		cols = append(cols, def)
	}
	keys := h.primary(t)
	for i := range keys {
		keys[i] = ident(keys[i])
	}
	cols = append(cols, `_position text COLLATE "C" NOT NULL`, "_op text NOT NULL", "_committed_at timestamptz NOT NULL",
		"_applied_at timestamptz NOT NULL", "_batch bigint NOT NULL")
	if t.Append {
		cols = append(cols, placed+" bigint NOT NULL")
	}
	cols = append(cols, "PRIMARY KEY ("+strings.Join(keys, ", ")+")")
	return "CREATE TABLE IF NOT EXISTS " + h.ident() + " (" + strings.Join(cols, ", ") + ") WITH (fillfactor = 80)"
}

// maxColumns is how many columns a table can have (PostgreSQL manual, "PostgreSQL Limits").
const maxColumns = 1600

// maxName is the longest name in bytes; PostgreSQL cuts longer ones (manual, "Identifiers
// and Key Words").
const maxName = 63

// refuseNames refuses names that the store's table can't have.
func refuseNames(t *schema.Table, refuse func(string, ...any) error) error {
	if len(t.Dataset) > maxName {
		return refuse("the name has %d bytes, PostgreSQL takes %d: name the dataset in the agent's configuration", len(t.Dataset), maxName)
	}
	if n := len(t.Columns) + len(lineageOf(t)); n > maxColumns {
		return refuse("it would have %d columns, PostgreSQL takes %d", n, maxColumns)
	}
	for _, col := range t.Columns {
		if len(col.Name) > maxName {
			return refuse("column %q has a name of %d bytes, PostgreSQL takes %d", col.Name, len(col.Name), maxName)
		}
		for _, l := range lineageOf(t) {
			if col.Name == l.name {
				return refuse("column %q has the name of a lineage column", col.Name)
			}
		}
	}
	return nil
}

func (h home) compare(ctx context.Context, tx pgx.Tx, t *schema.Table, f following, refuse func(string, ...any) error) (left []int, err error) {
	table := h.ident()
	rows, err := tx.Query(ctx, `SELECT attname, format_type(atttypid, CASE atttypid WHEN 'numeric'::regtype THEN atttypmod END), $1::regclass IS NOT NULL FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped`, table)
	if err != nil {
		return nil, err
	}
	have := map[string]string{}
	var name, typ string
	var there bool
	if _, err := pgx.ForEachRow(rows, []any{&name, &typ, &there}, func() error { have[name] = typ; return nil }); err != nil {
		return nil, err
	}
	for _, l := range lineageOf(t) {
		if have[l.name] != l.typ {
			return nil, refuse("column %s is %q, wanted %q", l.name, have[l.name], l.typ)
		}
	}
	for i, col := range t.Columns {
		want, err := canonical(ctx, tx, columnType(col.Type))
		if err != nil {
			return nil, err
		}
		switch got := have[col.Name]; {
		case got != "":
			if err := f.widen(ctx, tx, t, table, i, got, want); err != nil {
				return nil, err
			}
		case t.IsKey(i):
			return nil, refuse("key column %q is missing: DROP TABLE it, then tributary table reread %s %s makes it again, with its rows", col.Name, t.Source, t.ID())
		case f.rule == EvolutionIgnore && !f.accepted:
			left = append(left, i)
		case f.lost(col.Name) && !f.accepted:
			return nil, refuse("somebody has dropped column %q: tributary table reread %s %s makes it again, with its values; tributary table accept, without those of before", col.Name, t.Source, t.ID())
		default:
			if _, err := tx.Exec(ctx, "ALTER TABLE "+table+" ADD COLUMN "+ident(col.Name)+" "+columnType(col.Type)); err != nil {
				return nil, err
			}
		}
	}
	return left, h.compareKeys(ctx, tx, t, f, refuse)
}

// compareKeys refuses another primary key and any further unique index: an
// upsert would then hit another row than its own.
func (h home) compareKeys(ctx context.Context, tx pgx.Tx, t *schema.Table, f following, refuse func(string, ...any) error) error {
	rows, err := tx.Query(ctx, `SELECT i.indexrelid::regclass::text, i.indisprimary,
		ARRAY(SELECT attname::text FROM unnest(i.indkey) WITH ORDINALITY k(n, o) JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n ORDER BY o)
		FROM pg_index i WHERE i.indrelid = $1::regclass AND i.indisunique`, h.ident())
	if err != nil {
		return err
	}
	want := h.primary(t)
	var index string
	var primary, found bool
	var cols, is []string
	_, err = pgx.ForEachRow(rows, []any{&index, &primary, &cols}, func() error {
		if !primary {
			return refuse("unique index %s: DROP INDEX it", index)
		}
		found, is = true, slices.Clone(cols)
		return nil
	})
	switch {
	case err != nil:
		return err
	case !found:
		return refuse("no primary key, wanted %v", want)
	case !slices.Equal(is, want):
		return h.rekey(ctx, tx, t, f, is, func(why string) error { return refuse("primary key is %v, wanted %v%s", is, want, why) })
	}
	return nil
}

// rekey gives the table another primary key than it has (is), if a person has accepted that and no other
// source has rows in it.
func (h home) rekey(ctx context.Context, tx pgx.Tx, t *schema.Table, f following, is []string, refuse func(why string) error) error {
	var alone bool
	var constraint string
	err := tx.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM tributary.target WHERE schema = $1 AND name = $2 AND source <> $3), (SELECT conname::text FROM pg_constraint WHERE conrelid = $4::regclass AND contype = 'p')`,
		h.schema, h.table, t.Source, h.ident()).Scan(&alone, &constraint)
	if err != nil {
		return err
	}
	if !f.accepted || !alone {
		return refuse("")
	}
	var keys []string
	for _, name := range h.primary(t) {
		keys = append(keys, ident(name))
	}
	change := "ALTER TABLE " + h.ident() + " DROP CONSTRAINT " + ident(constraint) + ", ADD PRIMARY KEY (" + strings.Join(keys, ", ") + ")"
	for _, name := range is { // what was in the key may be NULL from now on, or be gone
		ours := func(l lineageColumn) bool { return l.name == name }
		if !slices.Contains(h.primary(t), name) && name != placed && !slices.ContainsFunc(lineage, ours) {
			change += ", ALTER COLUMN " + ident(name) + " DROP NOT NULL"
		}
	}
	_, err = tx.Exec(ctx, change)
	var pe *pgconn.PgError
	if errors.As(err, &pe) && refusesData(pe.Code) { // rows of before have no value there, or the same one
		return refuse(": " + pe.Message)
	}
	return err
}

// canonical gives a type's name as the catalogue prints it.
func canonical(ctx context.Context, tx pgx.Tx, typ string) (string, error) {
	if typ == "numeric(20)" {
		return "numeric(20,0)", nil
	}
	var name string
	err := tx.QueryRow(ctx, `SELECT format_type($1::regtype, NULL)`, typ).Scan(&name)
	return name, err
}
