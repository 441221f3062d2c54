package postgres

import (
	"bytes"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Halted implements worker.Store.
func (s *Store) Halted(ctx context.Context, claim worker.Claim) ([]worker.Halt, error) {
	c, err := s.conn(claim.Partition)
	if err != nil {
		return nil, err
	}
	rows, err := c.Query(ctx, `SELECT source, "table", since_position, error FROM tributary.table_state WHERE state = 'halted'`)
	if err != nil {
		return nil, fmt.Errorf("read stopped tables: %w", classify(err, false))
	}
	halts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (worker.Halt, error) {
		var h worker.Halt
		var since string
		err := row.Scan(&h.Source, &h.Table, &since, &h.Error)
		if err == nil {
			h.Since, err = event.ParsePosition(since)
		}
		return h, err
	})
	if err != nil {
		return nil, fmt.Errorf("read stopped tables: %w", classify(err, false))
	}
	return halts, nil
}

// recordHalts notes stopped tables with the first batch that misses their rows.
func recordHalts(ctx context.Context, tx pgx.Tx, halts []worker.Halt, batch int64) error {
	for _, h := range halts {
		if _, err := tx.Exec(ctx, `INSERT INTO tributary.table_state (source, "table", state, since_position, error, batch) VALUES ($1, $2, 'halted', $3, $4, $5)
			ON CONFLICT DO NOTHING`, h.Source, h.Table, h.Since.String(), h.Error, batch); err != nil {
			return err
		}
	}
	return nil
}

// drift counts rows that were changed at the source but weren't in the store:
// somebody else has removed them, or they were never there.
type drift struct {
	rows  int64
	first event.Position
}

// inPlace reports whether a row keeps its key; the upsert itself then tells
// whether it was there.
func (d *drift) inPlace(t *schema.Table, u *worker.NetRow) bool {
	for n, i := range t.Key {
		if u.Base[n].N != u.Values[i].N || !bytes.Equal(u.Base[n].B, u.Values[i].B) {
			return false
		}
	}
	return true
}

func (d *drift) look(row pgx.Row, u *worker.NetRow) error {
	var inserted bool
	if err := row.Scan(&inserted); err != nil {
		return err
	}
	if inserted {
		if d.rows == 0 {
			d.first = u.Position
		}
		d.rows++
	}
	return nil
}

func (d *drift) record(ctx context.Context, tx pgx.Tx, c *worker.TableChange, batch int64) error {
	if d.rows == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO tributary.anomaly (batch, source, dataset, code, rows, first_position) VALUES ($1, $2, $3, 'ROW_MISSING', $4, $5)`,
		batch, c.Source, c.Table.Dataset, d.rows, d.first.String())
	return err
}
