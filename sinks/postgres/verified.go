package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/sinks/verify"
)

// Wanted says which verifications are meant. Empty fields mean all.
type Wanted struct {
	ID     string
	Source string
	Table  string
	// Newest wants the last one of each table only.
	Newest bool
	// Rows is the number of rows that each names at most.
	Rows int
}

// Verifications gives what the store has of verifications, by source and table, the newest
// first.
func (s *Store) Verifications(ctx context.Context, w Wanted) (found []verify.Report, err error) {
	err = s.briefly(ctx, func(c *pgx.Conn) error {
		found, err = verifications(ctx, c, w)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read verifications: %w", classify(err, false))
	}
	return found, nil
}

// LeftOut gives the columns of sources' tables without a place in the store, by source and
// table.
func (s *Store) LeftOut(ctx context.Context) (found map[string]map[string][]string, err error) {
	err = s.briefly(ctx, func(c *pgx.Conn) error {
		found, err = leftOut(ctx, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read which columns are left out: %w", classify(err, false))
	}
	return found, nil
}

// unequal gives the tables of each source of which the last verification that has come to an
// end has found a difference that stands.
func unequal(ctx context.Context, c *pgx.Conn) (map[string][]string, error) {
	rows, err := c.Query(ctx, `SELECT source, "table" FROM tributary.verification v WHERE state = 'unequal' AND NOT EXISTS (SELECT FROM tributary.verification n
		WHERE n.source = v.source AND n."table" = v."table" AND n.number > v.number AND n.state IN ('equal', 'repaired', 'unequal')) ORDER BY 1, 2`)
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	var source, table string
	_, err = pgx.ForEachRow(rows, []any{&source, &table}, func() error { out[source] = append(out[source], table); return nil })
	return out, err
}

func verifications(ctx context.Context, c *pgx.Conn, w Wanted) ([]verify.Report, error) {
	rows, err := c.Query(ctx, `SELECT number, id, source, "table", dataset, state, error, asked_by, repair, chunks, rows, missing, surplus, different, repaired,
			quarantined, owned, asked_at, begun_at, ended_at FROM tributary.verification v
		WHERE ($1 = '' OR id = $1) AND ($2 = '' OR source = $2) AND ($3 = '' OR "table" = $3)
			AND (NOT $4 OR NOT EXISTS (SELECT FROM tributary.verification n WHERE n.source = v.source AND n."table" = v."table" AND n.number > v.number))
		ORDER BY source, "table", number DESC`, w.ID, w.Source, w.Table, w.Newest)
	if err != nil {
		return nil, err
	}
	var numbers []int64
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r verify.Report, err error) {
		var n int64
		var ended *time.Time
		err = row.Scan(&n, &r.ID, &r.Source, &r.Table, &r.Dataset, &r.State, &r.Error, &r.By, &r.Repair, &r.Chunks, &r.Rows, &r.Missing, &r.Surplus, &r.Different, &r.Repaired,
			&r.Quarantined, &r.Owned, &r.Asked, &r.Begun, &ended)
		if ended != nil {
			r.Ended = *ended
		}
		numbers = append(numbers, n)
		return r, err
	})
	if err != nil {
		return nil, err
	}
	for i := range found {
		found[i].Named = []verify.Difference{}
		if w.Rows == 0 || found[i].Differences() == 0 {
			continue
		}
		rows, err := c.Query(ctx, `SELECT kind, key, repaired FROM tributary.verification_row WHERE verification = $1 ORDER BY found_at, key LIMIT $2`, numbers[i], w.Rows)
		if err != nil {
			return nil, err
		}
		if found[i].Named, err = pgx.CollectRows(rows, pgx.RowToStructByPos[verify.Difference]); err != nil {
			return nil, err
		}
	}
	return found, nil
}
