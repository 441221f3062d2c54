package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Recall implements worker.Store.
func (s *Store) Recall(ctx context.Context, claim worker.Claim) (worker.Recalled, error) {
	c, err := s.conn(claim.Partition)
	if err != nil {
		return worker.Recalled{}, err
	}
	var r worker.Recalled
	if r.Halts, err = halts(ctx, c); err == nil {
		r.Keys, err = heldKeys(ctx, c)
	}
	if err == nil {
		r.Loads, err = unfinished(ctx, c)
	}
	if err == nil {
		r.Unequal, err = unequal(ctx, c)
	}
	if err != nil {
		return worker.Recalled{}, fmt.Errorf("read what is stopped: %w", classify(err, false))
	}
	return r, nil
}

func halts(ctx context.Context, c *pgx.Conn) ([]worker.Halt, error) {
	rows, err := c.Query(ctx, `SELECT source, "table", since_position, error FROM tributary.table_state WHERE state = 'halted'`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (worker.Halt, error) {
		var h worker.Halt
		var since string
		err := row.Scan(&h.Source, &h.Table, &since, &h.Error)
		if err == nil {
			h.Since, err = event.ParsePosition(since)
		}
		return h, err
	})
}

// halt notes a stopped table with the first batch that misses its rows.
func (a *applying) halt(h worker.Halt) {
	a.queue.Queue(`INSERT INTO tributary.table_state (source, "table", state, since_position, error, batch) VALUES ($1, $2, 'halted', $3, $4, $5)
		ON CONFLICT (source, "table") DO UPDATE SET state = 'halted', since_position = excluded.since_position, error = excluded.error, batch = excluded.batch, since = now()
		WHERE table_state.state IN ('loading', 'rereading')`, h.Source, h.Table, h.Since.String(), h.Error, a.id)
	a.queue.Queue(`UPDATE tributary.source SET state = 'halted', since = now() WHERE source = $1 AND state = 'streaming'`, h.Source)
}

// anomaly notes something about rows that nobody may lose sight of.
func (a *applying) anomaly(c *worker.TableChange, code string, rows int64, first event.Position, detail string) {
	if rows > 0 {
		a.queue.Queue(`INSERT INTO tributary.anomaly (batch, source, dataset, code, rows, first_position, detail) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			a.id, c.Source, c.Table.Dataset, code, rows, first.String(), detail)
	}
}
