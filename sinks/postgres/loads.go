package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// unfinished gives the loads that have begun and not ended.
func unfinished(ctx context.Context, c *pgx.Conn) ([]worker.Load, error) {
	rows, err := c.Query(ctx, `SELECT source, "table", coalesce(load_since, since_position), sweep, coalesce(load_part, state = 'rereading')
		FROM tributary.table_state WHERE state IN ('loading', 'rereading') OR load_since IS NOT NULL`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (worker.Load, error) {
		var l worker.Load
		var since string
		var part bool
		err := row.Scan(&l.Source, &l.Table, &since, &l.Sweep, &part)
		if part {
			l.Range = &event.KeyRange{}
		}
		if err == nil {
			l.Since, err = event.ParsePosition(since)
		}
		return l, err
	})
}

// loads notes which tables aren't complete, and sweeps those that are again: rows that
// neither the load nor the stream has brought since it began don't exist any more.
func (a *applying) loads(ctx context.Context, loads []worker.Load) error {
	for _, l := range loads {
		if l.Phase == event.LoadBegun && l.Range != nil { // what is incomplete, or has stopped, stays so
			a.queue.Queue(`INSERT INTO tributary.table_state (source, "table", state, since_position, error, batch, sweep) VALUES ($1, $2, 'rereading', $3, '', $4, $5)
				ON CONFLICT (source, "table") DO UPDATE SET since_position = excluded.since_position, batch = excluded.batch, since = now()
				WHERE table_state.state = 'rereading'`, l.Source, l.Table, l.Since.String(), a.id, l.Sweep)
			a.queue.Queue(`UPDATE tributary.table_state SET load_since = $3, load_part = true, sweep = $4 WHERE source = $1 AND "table" = $2 AND state = 'halted' AND (load_since IS NULL OR load_part)`,
				l.Source, l.Table, l.Since.String(), l.Sweep)
			continue
		}
		if l.Phase != event.LoadEnded {
			state, why := "loading", "the table is read again"
			switch l.Phase {
			case event.TableRemoved:
				state, why = "removed", "the table isn't captured any more"
			case event.TableDropped:
				state, why = "dropped", "the table doesn't exist at the source any more"
			}
			if l.Ordered {
				a.queue.Queue(forgetVersion, l.Source, l.Table)
			}
			// The order to read a stopped table again accepts what has stopped it.
			a.queue.Queue(`INSERT INTO tributary.table_state AS s (source, "table", state, since_position, error, batch, sweep) VALUES ($1, $2, $7, $3, '', $4, $5)
				ON CONFLICT (source, "table") DO UPDATE SET state = excluded.state, since_position = excluded.since_position, error = '', batch = excluded.batch,
				since = now(), sweep = excluded.sweep, remedy = NULL, reread = false, held_rows = 0, held_bytes = 0, load_since = NULL, load_part = NULL,
				accepted_at = CASE WHEN $6 AND s.state = 'halted' THEN coalesce(s.accepted_at, now()) ELSE s.accepted_at END
				WHERE excluded.state <> 'dropped' OR s.state <> 'halted' OR s.reread`,
				l.Source, l.Table, l.Since.String(), a.id, l.Sweep, l.Ordered, state)
			// All of it comes again, or nothing more: what a person may still accept is kept then.
			a.queue.Queue(`DELETE FROM tributary.held h USING tributary.table_state s WHERE h.source = $1 AND h."table" = $2 AND s.source = $1 AND s."table" = $2 AND s.state <> 'halted'`, l.Source, l.Table)
			a.queue.Queue(`UPDATE tributary.table_state SET load_since = NULL, load_part = NULL WHERE source = $1 AND "table" = $2 AND state = 'halted'`, l.Source, l.Table)
			if err := a.abandon(ctx, l.Source, l.Table, why); err != nil {
				return err
			}
			a.queue.Queue(`DELETE FROM tributary.quarantine WHERE source = $1 AND "table" = $2`, l.Source, l.Table) // no key waits for a change any more
			if l.Phase != event.LoadBegun {
				a.queue.Queue(unhalted, l.Source)
			}
			if l.Dataset == "" || l.Phase != event.LoadBegun { // an older agent didn't know the dataset yet
				continue
			}
			a.queue.Queue(`DELETE FROM tributary.loaded WHERE source = $1 AND "table" = $2 AND dataset <> $3`, l.Source, l.Table, l.Dataset)
			h := a.store.home(l.Source, l.Dataset) // as does what stands elsewhere
			a.queue.Queue(`DELETE FROM tributary.target WHERE source = $1 AND "table" = $2 AND (target, key, schema, name) <> ($3, $4, $5, $6)`,
				l.Source, l.Table, string(h.Target), string(h.Key), h.schema, h.table)
			continue
		}
		if err := a.send(ctx); err != nil {
			return err
		}
		tag, err := a.conn.Exec(ctx, `DELETE FROM tributary.table_state WHERE source = $1 AND "table" = $2
			AND CASE WHEN $3 THEN state = 'rereading' AND since_position = $4 ELSE state = 'loading' END`, l.Source, l.Table, l.Range != nil, l.Since.String())
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 { // it has stopped: what the load's end means is held with its rows
			a.queue.Queue(`UPDATE tributary.table_state SET load_since = NULL, load_part = NULL WHERE source = $1 AND "table" = $2 AND load_part = $3 AND ($3 = false OR load_since = $4)`,
				l.Source, l.Table, l.Range != nil, l.Since.String())
			continue
		}
		a.queue.Queue(unhalted, l.Source)
		if l.Range == nil && l.Dataset != "" {
			a.queue.Queue(`INSERT INTO tributary.loaded VALUES ($1, $2, $3) ON CONFLICT (source, "table") DO UPDATE SET dataset = excluded.dataset`, l.Source, l.Table, l.Dataset)
		}
		if l.Sweep && (l.Range == nil || !l.Range.Keep) {
			if err := a.sweep(ctx, l); err != nil {
				return err
			}
		}
	}
	return a.send(ctx)
}

func (a *applying) sweep(ctx context.Context, l worker.Load) error {
	table := a.store.home(l.Source, l.Dataset).ident()
	var there bool
	if err := a.conn.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, table).Scan(&there); err != nil || !there {
		return err
	}
	where, args := "_source = $1 AND _position < $2", []any{l.Source, l.Since.String()}
	if l.Range != nil {
		part, err := a.within(ctx, table, l.Range, &args)
		if err != nil {
			return err
		}
		where += part
	}
	tag, err := a.conn.Exec(ctx, "DELETE FROM "+table+" WHERE "+where, args...)
	if err != nil {
		return err
	}
	if n := tag.RowsAffected(); n > 0 {
		a.queue.Queue(`INSERT INTO tributary.anomaly (batch, source, dataset, code, rows, first_position, detail) VALUES ($1, $2, $3, 'ROW_SURPLUS', $4, $5, '')`,
			a.id, l.Source, l.Dataset, n, l.Since.String())
	}
	return nil
}
