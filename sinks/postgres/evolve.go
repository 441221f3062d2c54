package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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
ALTER TABLE tributary.schema_version ADD COLUMN IF NOT EXISTS left_out text[] NOT NULL DEFAULT '{}';
`

// forgetVersion has the next version of a table held against none: a person has ordered
// the table to be read again as it is.
const forgetVersion = `UPDATE tributary.schema_version SET current = false WHERE source = $1 AND "table" = $2 AND current`

// Evolution says what becomes of a dataset's table when a source's table changes its shape.
type Evolution string

// The rules.
const (
	// EvolutionFollow lets the store's table become the union of all versions; what would lose
	// something stops the source's table.
	EvolutionFollow Evolution = "evolve"
	// EvolutionHalt stops the source's table at each change of its columns or its key.
	EvolutionHalt Evolution = "halt"
	// EvolutionIgnore leaves the store's table as it is: values of other columns are left out.
	// What the columns that there are have no room for stops the source's table.
	EvolutionIgnore Evolution = "ignore"
)

// Check refuses what isn't a rule.
func (e Evolution) Check() error {
	switch e {
	case "", EvolutionFollow, EvolutionHalt, EvolutionIgnore:
		return nil
	}
	return fmt.Errorf("evolution %q: %s, %s or %s", e, EvolutionFollow, EvolutionHalt, EvolutionIgnore)
}

// evolution gives a dataset's rule.
func (s *Store) evolution(dataset string) Evolution {
	return cmp.Or(s.o.Evolutions[dataset], s.o.Evolution, EvolutionFollow)
}

// following is how the store's table follows one version of a source's table.
type following struct {
	rule     Evolution
	before   *schema.Table // the present version; nil if there is none
	changed  bool          // it isn't this one
	accepted bool          // a person has accepted this one, whatever is lost
	loading  bool          // all rows come again
	leftOut  []string      // columns of the present version that the store's table never had
}

// lost reports whether a column that the store's table lacks is one that it had: somebody has dropped it.
func (f following) lost(column string) bool {
	return f.before != nil && !f.loading && f.before.Column(column) >= 0 && !slices.Contains(f.leftOut, column)
}

// follows looks how a version follows the present one, and refuses it by the dataset's rule
// or if something would be lost. A first version follows anything.
func (s *Store) follows(ctx context.Context, tx pgx.Tx, t *schema.Table) (f following, err error) {
	f.rule = s.evolution(t.Dataset)
	if f.before, err = currentVersion(ctx, tx, t.Source, t.ID()); err != nil {
		return f, err
	}
	f.changed = f.before == nil || f.before.Version() != t.Version()
	if f.before != nil {
		if err := tx.QueryRow(ctx, `SELECT left_out, EXISTS (SELECT FROM tributary.table_state s WHERE s.source = $1 AND s."table" = $2 AND s.state = 'loading')
			FROM tributary.schema_version WHERE source = $1 AND "table" = $2 AND current`, t.Source, t.ID()).Scan(&f.leftOut, &f.loading); err != nil {
			return f, err
		}
	}
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM tributary.table_state WHERE source = $1 AND "table" = $2 AND accepted_at IS NOT NULL AND version = $3)`,
		t.Source, t.ID(), string(t.Version())).Scan(&f.accepted); err != nil {
		return f, err
	}
	if f.before == nil || !f.changed || f.accepted {
		return f, nil
	}
	refused := schema.Lossy(f.before, t)
	if f.rule == EvolutionHalt {
		refused = schema.Reshaped(f.before, t)
	}
	if len(refused) > 0 {
		return f, lossyChange(t, strings.Join(refused, "; "))
	}
	return f, nil
}

// leave notes which columns of a version have no place in the store's table. What is new is
// an anomaly, so that nobody takes the table for whole.
func (f following) leave(ctx context.Context, tx pgx.Tx, t *schema.Table, left []int, batch int64) error {
	names := make([]string, len(left))
	for n, i := range left {
		names[n] = t.Columns[i].Name
	}
	tag, err := tx.Exec(ctx, `UPDATE tributary.schema_version SET left_out = $3 WHERE source = $1 AND "table" = $2 AND current AND left_out <> $3`, t.Source, t.ID(), names)
	if err != nil || tag.RowsAffected() == 0 || len(left) == 0 {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO tributary.anomaly (batch, source, dataset, code, rows, first_position, detail) VALUES ($1, $2, $3, $4, 0, '', $5)`,
		batch, t.Source, t.Dataset, worker.ColumnsLeftOut, strings.Join(names, ", "))
	return err
}

// leftOut gives the columns without a place in the store, by source and table.
func leftOut(ctx context.Context, c *pgx.Conn) (map[string]map[string][]string, error) {
	rows, err := c.Query(ctx, `SELECT source, "table", left_out FROM tributary.schema_version WHERE current AND left_out <> '{}'`)
	if err != nil {
		return nil, err
	}
	out := map[string]map[string][]string{}
	var source, table string
	var names []string
	_, err = pgx.ForEachRow(rows, []any{&source, &table, &names}, func() error {
		if out[source] == nil {
			out[source] = map[string][]string{}
		}
		out[source][table] = slices.Clone(names)
		return nil
	})
	return out, err
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

// widen gives the column number i of a version room for its values, or refuses the version.
// Where no type has room for both, a person's word makes it text, which has.
func (f following) widen(ctx context.Context, tx pgx.Tx, t *schema.Table, table string, i int, got, want string) error {
	column := t.Columns[i].Name
	wide, ok := union(got, want)
	if !ok && !t.IsKey(i) && (f.accepted || got == "text" && f.had(&t.Columns[i])) {
		wide, ok = "text", true
	}
	if !ok || f.rule == EvolutionIgnore && wide != got && !f.accepted {
		others, err := neighbours(ctx, tx, t, column)
		if err != nil {
			return err
		}
		return lossyChange(t, fmt.Sprintf("column %q of the store's table %s is %s%s, wanted %s", column, table, got, others, want))
	}
	if wide == got {
		return nil
	}
	name := ident(column)
	_, err := tx.Exec(ctx, "ALTER TABLE "+table+" ALTER COLUMN "+name+" TYPE "+wide+" USING "+name+"::"+wide)
	return err
}

// had reports whether the present version has a column of the same type in the store.
func (f following) had(c *schema.Column) bool {
	if f.before == nil {
		return false
	}
	i := f.before.Column(c.Name)
	return i >= 0 && columnType(f.before.Columns[i].Type) == columnType(c.Type)
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
