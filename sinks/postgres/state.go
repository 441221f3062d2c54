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
		r.LeftOut, err = leftOut(ctx, c)
	}
	if err == nil {
		r.Unequal, err = unequal(ctx, c)
	}
	if err != nil {
		return worker.Recalled{}, fmt.Errorf("read what is stopped: %w", classify(err, false))
	}
	return r, nil
}

// haltColumns are what scanHalt reads of table_state.
const haltColumns = `source, "table", since_position, error, coalesce(version, ''), since, held_rows, held_bytes, accepted_at IS NOT NULL, reread`

func halts(ctx context.Context, c *pgx.Conn) ([]worker.Halt, error) {
	rows, err := c.Query(ctx, `SELECT `+haltColumns+` FROM tributary.table_state WHERE state = 'halted' ORDER BY 1, 2`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanHalt)
}

func scanHalt(row pgx.CollectableRow) (worker.Halt, error) {
	var h worker.Halt
	var since string
	err := row.Scan(&h.Source, &h.Table, &since, &h.Error, &h.Version, &h.At, &h.Rows, &h.Bytes, &h.Accepted, &h.Reread)
	if err == nil {
		h.Since, err = event.ParsePosition(since)
	}
	return h, err
}

// halt notes a stopped table with the first batch that misses its rows. A load that goes on
// is kept beside it.
func (a *applying) halt(h worker.Halt) {
	a.queue.Queue(`INSERT INTO tributary.table_state (source, "table", state, since_position, error, batch, version, remedy) VALUES ($1, $2, 'halted', $3, $4, $5, nullif($6, ''), $7)
		ON CONFLICT (source, "table") DO UPDATE SET state = 'halted', load_since = table_state.since_position, load_part = table_state.state = 'rereading', since_position = excluded.since_position,
		error = excluded.error, batch = excluded.batch, version = excluded.version, remedy = excluded.remedy, accepted_at = NULL, since = now()
		WHERE table_state.state IN ('loading', 'rereading')`, h.Source, h.Table, h.Since.String(), h.Error, a.id, string(h.Version), h.Remedy())
	a.queue.Queue(`UPDATE tributary.source SET state = 'halted', since = now() WHERE source = $1 AND state = 'streaming'`, h.Source)
}

// unhalted lets a source go on once no table of it is stopped.
const unhalted = `UPDATE tributary.source SET state = 'streaming', since = now() WHERE source = $1 AND state = 'halted'
	AND NOT EXISTS (SELECT FROM tributary.table_state WHERE source = $1 AND state = 'halted')`

// anomaly notes something about rows that nobody may lose sight of.
func (a *applying) anomaly(c *worker.TableChange, code string, rows int64, first event.Position, detail string) {
	if rows > 0 {
		a.queue.Queue(`INSERT INTO tributary.anomaly (batch, source, dataset, code, rows, first_position, detail) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			a.id, c.Source, c.Table.Dataset, code, rows, first.String(), detail)
	}
}
