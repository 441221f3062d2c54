package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/worker"
)

// versionTable has each version of a source's table that the store was prepared for, and
// which one is the present one: the next is held against it.
const versionTable = `
CREATE TABLE IF NOT EXISTS tributary.schema_version (source text COLLATE "C" NOT NULL, "table" text COLLATE "C" NOT NULL, version text COLLATE "C" NOT NULL,
  dataset text NOT NULL, definition json NOT NULL, current boolean NOT NULL, since timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (source, "table", version));
`

// forgetVersion has the next version of a table held against none: a person has ordered
// the table to be read again as it is.
const forgetVersion = `UPDATE tributary.schema_version SET current = false WHERE source = $1 AND "table" = $2 AND current`

// follows tells whether a version is another one than the present one, and refuses it if
// something would be lost. A first version follows anything.
func follows(ctx context.Context, tx pgx.Tx, t *schema.Table) (changed bool, err error) {
	before, err := currentVersion(ctx, tx, t.Source, t.ID())
	if err != nil || before == nil {
		return err == nil, err
	}
	if before.Version() == t.Version() {
		return false, nil
	}
	if lossy := schema.Lossy(before, t); len(lossy) > 0 {
		return false, lossyChange(t, strings.Join(lossy, "; "))
	}
	return true, nil
}

// asker is a connection, or a transaction on it.
type asker interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// currentVersion gives the present version of a source's table; nil if there is none.
func currentVersion(ctx context.Context, c asker, source, table string) (*schema.Table, error) {
	var version schema.Version
	var definition []byte
	err := c.QueryRow(ctx, `SELECT version, definition FROM tributary.schema_version WHERE source = $1 AND "table" = $2 AND current`, source, table).Scan(&version, &definition)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	t := &schema.Table{}
	if err := json.Unmarshal(definition, t); err != nil {
		return nil, fmt.Errorf("read version %s of table %s: %w", version, table, err)
	}
	return t, nil
}

func lossyChange(t *schema.Table, text string) error {
	return &worker.TableError{Table: t, Err: fmt.Errorf("%s: %w", text, worker.ErrLossyChange)}
}

// adopt makes a version the present one of its table.
func adopt(ctx context.Context, tx pgx.Tx, t *schema.Table) error {
	definition, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("write version %s of table %s: %w", t.Version(), t.ID(), err)
	}
	if _, err := tx.Exec(ctx, forgetVersion, t.Source, t.ID()); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO tributary.schema_version (source, "table", version, dataset, definition, current) VALUES ($1, $2, $3, $4, $5, true)
		ON CONFLICT (source, "table", version) DO UPDATE SET current = true, since = now()`, t.Source, t.ID(), string(t.Version()), t.Dataset, string(definition))
	return err
}

// chains are types of which each has room for all values of those before it.
var chains = [][]string{{"smallint", "integer", "bigint", "numeric(20,0)", "numeric"}, {"real", "double precision"}, {"time without time zone", "interval"}}

// union gives the type that has room for the values of both, if one of them has.
func union(a, b string) (string, bool) {
	ea, aIsArray := strings.CutSuffix(a, "[]")
	eb, bIsArray := strings.CutSuffix(b, "[]")
	if aIsArray && bIsArray {
		e, ok := union(ea, eb)
		return e + "[]", ok
	}
	if a == b {
		return a, true
	}
	for _, chain := range chains {
		found := 0
		for _, typ := range chain {
			if typ == a || typ == b {
				if found++; found == 2 {
					return typ, true
				}
			}
		}
	}
	return "", false
}

// widen gives a column room for a version's values, or refuses the version.
func widen(ctx context.Context, tx pgx.Tx, t *schema.Table, table, column, got, want string) error {
	wide, ok := union(got, want)
	if !ok {
		others, err := neighbours(ctx, tx, t, column)
		if err != nil {
			return err
		}
		return lossyChange(t, fmt.Sprintf("column %q of the store's table %s is %s%s, wanted %s", column, table, got, others, want))
	}
	if wide == got {
		return nil
	}
	_, err := tx.Exec(ctx, "ALTER TABLE "+table+" ALTER COLUMN "+ident(column)+" TYPE "+wide)
	return err
}

// neighbours names the other tables of the same dataset that have a column.
func neighbours(ctx context.Context, tx pgx.Tx, t *schema.Table, column string) (string, error) {
	rows, err := tx.Query(ctx, `SELECT source || ' ' || "table" FROM tributary.schema_version v WHERE current AND dataset = $1 AND (source, "table") <> ($2, $3)
		AND EXISTS (SELECT FROM json_array_elements(definition->'columns') c WHERE c->>'name' = $4) ORDER BY 1 LIMIT 3`, t.Dataset, t.Source, t.ID(), column)
	if err != nil {
		return "", err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(names) == 0 {
		return "", err
	}
	return " for " + strings.Join(names, ", "), nil
}

// fit finds out whether COPY may go into the table itself: only if the columns have
// exactly the types that the plan writes, since binary values aren't converted. Another
// source's version may have widened them; the lock keeps that away until the commit.
func (a *applying) fit(ctx context.Context, p *plan) error {
	p.exact = p.direct
	if !p.direct {
		return nil
	}
	a.queue.Queue("LOCK TABLE " + p.table + " IN ROW EXCLUSIVE MODE")
	a.queue.Queue(`SELECT count(*) = 0 FROM unnest($2::text::text[], $3::text::text[]) w(n, t) LEFT JOIN pg_attribute a ON a.attrelid = $1::regclass AND a.attname = w.n AND NOT a.attisdropped
		WHERE a.atttypid IS DISTINCT FROM w.t::regtype`, p.table, p.have, p.want).QueryRow(func(row pgx.Row) error { return row.Scan(&p.exact) })
	return a.send(ctx)
}
