package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/envelope"
)

// completeTables hold up to which moment the store has what a source has committed, per
// dataset. A moment that is held back stays where it was, and held_by says why: the first of
// gap, repairing, halted, loading, rereading, quarantine, and missing for tables that the
// log doesn't have, because they have stopped at the source or wait for their load. A table that
// was dropped at the source brings nothing more, and holds nothing back.
// tributary.loaded has tables whose load has ended, also without a row: those have no place in
// the store yet, and are complete all the same.
const completeTables = `
CREATE TABLE IF NOT EXISTS tributary.reached (dataset text COLLATE "C" NOT NULL, source text COLLATE "C" NOT NULL, until timestamptz, missing text[] NOT NULL DEFAULT '{}',
  told_at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (dataset, source));
CREATE INDEX IF NOT EXISTS reached_source ON tributary.reached (source);
CREATE TABLE IF NOT EXISTS tributary.loaded (source text COLLATE "C" NOT NULL, "table" text COLLATE "C" NOT NULL, dataset text COLLATE "C" NOT NULL, PRIMARY KEY (source, "table"));
CREATE OR REPLACE VIEW tributary.part AS SELECT source, "table", name AS dataset FROM tributary.target
  UNION SELECT l.source, l."table", l.dataset FROM tributary.loaded l WHERE NOT EXISTS (SELECT FROM tributary.target t WHERE t.source = l.source AND t."table" = l."table");
CREATE OR REPLACE VIEW tributary.held_back AS
  SELECT t.dataset, t.source, CASE s.state WHEN 'gap' THEN 1 ELSE 2 END AS rank, s.state AS held_by, s.since, NULL::text AS "table"
    FROM tributary.source s JOIN tributary.part t USING (source) WHERE s.state IN ('gap', 'repairing')
  UNION ALL SELECT t.dataset, t.source, CASE h.state WHEN 'halted' THEN 3 WHEN 'loading' THEN 4 ELSE 5 END, h.state, h.since, h."table"
    FROM tributary.table_state h JOIN tributary.part t USING (source, "table") WHERE h.state IN ('halted', 'loading', 'rereading')
  UNION ALL SELECT t.dataset, t.source, 6, 'quarantine', min(q.since), t."table"
    FROM tributary.quarantine q JOIN tributary.part t USING (source, "table") GROUP BY t.dataset, t.source, t."table";
CREATE OR REPLACE VIEW tributary.complete_until AS
  SELECT t.dataset, t.source, r.until, CASE WHEN h.source IS NOT NULL THEN h.held_by WHEN cardinality(r.missing) > 0 THEN 'missing' END AS held_by,
    h.since AS held_since, CASE WHEN h.source IS NOT NULL THEN h.tables WHEN cardinality(r.missing) > 0 THEN r.missing END AS held_tables, r.told_at
  FROM (SELECT DISTINCT dataset, source FROM tributary.part) t LEFT JOIN tributary.reached r USING (dataset, source)
  LEFT JOIN (SELECT dataset, source, (array_agg(held_by ORDER BY rank))[1] AS held_by, min(since) AS since, array_remove(array_agg(DISTINCT "table"), NULL) AS tables
    FROM tributary.held_back GROUP BY dataset, source) h USING (dataset, source);
`

// reach moves what isn't held back: $1 are sources with the moments $2, $3 and $4 sources
// with tables that the log doesn't have, $5 is the name of any table.
const reach = `INSERT INTO tributary.reached AS r (dataset, source, until, missing)
	SELECT t.dataset, t.source, CASE WHEN count(m."table") = 0 AND NOT EXISTS (SELECT FROM tributary.held_back h WHERE h.source = t.source AND h.dataset = t.dataset) THEN u.until END,
		coalesce(array_agg(DISTINCT m."table") FILTER (WHERE m."table" IS NOT NULL), '{}')
	FROM unnest($1::text[], $2::timestamptz[]) u(source, until) JOIN tributary.part t USING (source)
	LEFT JOIN unnest($3::text[], $4::text[]) m(source, "table") ON m.source = t.source AND (m."table" = t."table" OR m."table" = $5)
	GROUP BY t.dataset, t.source, u.until
	ON CONFLICT (dataset, source) DO UPDATE SET until = greatest(r.until, excluded.until), missing = excluded.missing, told_at = clock_timestamp()`

// Reach implements worker.Store.
func (s *Store) Reach(ctx context.Context, claim worker.Claim, all []worker.Reached) error {
	c, err := s.conn(claim.Partition)
	if err != nil {
		return err
	}
	var sources, missing, tables []string
	var moments []time.Time
	for _, r := range all {
		sources, moments = append(sources, r.Source), append(moments, r.At)
		for _, table := range r.Missing {
			missing, tables = append(missing, r.Source), append(tables, table)
		}
	}
	err = pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		if err := checkClaim(ctx, tx, claim); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, reach, sources, moments, missing, tables, envelope.AllTables)
		return err
	})
	if err != nil {
		return fmt.Errorf("note up to when sources are complete: %w", classify(err, false))
	}
	return nil
}

// Complete is up to which moment a source's share of a dataset is in the store, and what
// holds it back.
type Complete struct {
	Dataset, Source string
	Until           *time.Time // nil for not yet
	HeldBy          *string    // as completeTables says; nil if nothing is held back
	HeldSince       *time.Time
	HeldTables      []string
}

// Trouble is what the store keeps apart of a source.
type Trouble struct {
	Source string
	// Keys are in quarantine, Held are rows of halted tables that wait, Anomalies are the
	// rows of the last 24 h that came otherwise than they should, of the newest 50,000 entries.
	Keys, Anomalies, Held int64
}

// ErrNotShown: the store has nothing of the kind, because no worker of this version has
// prepared it, or the viewer may not read it.
var ErrNotShown = errors.New("the store doesn't show it")

func shown(what string, err error) error {
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok && (pe.Code == "42P01" || pe.Code == "42703" || pe.Code == "42501" || pe.Code == "3F000") {
		err = fmt.Errorf("%w: %w", ErrNotShown, err)
	}
	return fmt.Errorf("read %s: %w", what, err)
}

// Complete gives all sources' shares of datasets, by dataset and source.
func (v *Viewer) Complete(ctx context.Context) (found []Complete, err error) {
	err = v.ask(ctx, func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, `SELECT dataset, source, until, held_by, held_since, held_tables FROM tributary.complete_until ORDER BY dataset, source`)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Complete])
		return err
	})
	if err != nil {
		return nil, shown("up to when sources are complete", err)
	}
	return found, nil
}

// Troubles gives the sources of which something is kept apart, by source.
func (v *Viewer) Troubles(ctx context.Context) (found []Trouble, err error) {
	err = v.ask(ctx, func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, `SELECT source, coalesce(q.n, 0), coalesce(a.n, 0), coalesce(h.n, 0)
			FROM (SELECT source, count(*) AS n FROM tributary.quarantine GROUP BY source) q
			FULL JOIN (SELECT source, sum(rows)::bigint AS n FROM tributary.anomaly WHERE id > (SELECT max(id) FROM tributary.anomaly) - 50000 AND found_at > now() - interval '24 hours' GROUP BY source) a USING (source)
			FULL JOIN (SELECT source, sum(held_rows)::bigint AS n FROM tributary.table_state WHERE held_rows > 0 GROUP BY source) h USING (source)
			ORDER BY source`)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Trouble])
		return err
	})
	if err != nil {
		return nil, shown("what is kept apart", err)
	}
	return found, nil
}
