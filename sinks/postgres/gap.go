package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// progress reads what the store knows of the partition's sources.
func progress(ctx context.Context, c *pgx.Conn, partition string) ([]worker.Progress, error) {
	rows, err := c.Query(ctx, `SELECT coalesce(p.source, s.source), coalesce(p.applied, ''), coalesce(p.commit_offset, -1), coalesce(p.producer_id, -1), coalesce(p.producer_epoch, -1),
			coalesce(p.open_offset, -1), coalesce(p.read_from, 0), coalesce(s.state = 'gap', false), coalesce(s.state = 'repairing', false),
			coalesce(g.code, ''), coalesce(g.reason, ''), coalesce(g.last_position, ''), g.found_at
		FROM tributary.progress p FULL JOIN tributary.source s USING (source)
		LEFT JOIN LATERAL (SELECT g.* FROM tributary.gap g WHERE g.source = s.source AND g.closed_at IS NULL ORDER BY g.id DESC LIMIT 1) g ON true
		WHERE p.partition = $1 OR p.source IS NULL AND s.state = 'gap'`, partition)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (worker.Progress, error) {
		var p worker.Progress
		var applied, last string
		var found *time.Time
		err := row.Scan(&p.Source, &applied, &p.Commit, &p.Producer.ID, &p.Producer.Epoch, &p.Open, &p.ReadFrom, &p.Gap, &p.Repairing, &p.Lost.Code, &p.Lost.Reason, &last, &found)
		if err == nil && applied != "" {
			p.Applied, err = event.ParsePosition(applied)
		}
		if err == nil && last != "" {
			p.Lost.Last, err = event.ParsePosition(last)
		}
		if found != nil {
			p.Lost.At = *found
		}
		return p, err
	})
}

// newGap notes a gap unless one of the source is open: $2 to $8 describe it.
const newGap = `INSERT INTO tributary.gap (source, last_position, last_committed_at, code, reason, log_offset, found_at, to_place)
	SELECT $1, $2, (SELECT committed_at FROM tributary.progress WHERE source = $1 AND applied = $2), $3, $4, $5, $6, nullif($7, '')`

func gapArgs(g *worker.Gap) []any {
	to := ""
	if !g.To.IsZero() {
		to = g.To.String()
	}
	return []any{g.Source, g.Last.String(), g.Code, g.Reason, int64(g.Offset), g.At, to}
}

// RecordGap implements worker.Store.
func (s *Store) RecordGap(ctx context.Context, claim worker.Claim, g worker.Gap) error {
	c, err := s.conn(claim.Partition)
	if err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		if err := checkClaim(ctx, tx, claim); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `INSERT INTO tributary.source AS s (source, state) VALUES ($1, 'gap')
			ON CONFLICT (source) DO UPDATE SET state = 'gap', since = now() WHERE s.state <> 'gap'`, g.Source)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		if _, err = tx.Exec(ctx, newGap, gapArgs(&g)...); err != nil {
			return err
		}
		// Nothing before the newest open record is read again; offsets of another log say nothing.
		_, err = tx.Exec(ctx, `UPDATE tributary.progress SET producer_id = $2, producer_epoch = $3, open_offset = $4,
			commit_offset = CASE WHEN $5 THEN -1 ELSE commit_offset END, read_from = CASE WHEN $5 THEN 0 ELSE read_from END WHERE source = $1`,
			g.Source, g.Producer.ID, int32(g.Producer.Epoch), int64(g.Open), g.Replaced)
		return err
	})
	if err != nil {
		return fmt.Errorf("record gap of %s: %w", g.Source, classify(err, false))
	}
	return nil
}

// repair begins or ends the repair of a source's gap with a batch.
func (a *applying) repair(b *worker.Batch, st *worker.Step) {
	switch st.Repair {
	case event.RepairBegun:
		a.queue.Queue(`INSERT INTO tributary.source AS s (source, state) VALUES ($1, 'repairing') ON CONFLICT (source) DO UPDATE SET state = 'repairing', since = now()`, st.Source.ID)
		if g := st.LostBefore; g != nil {
			a.queue.Queue(newGap+` WHERE NOT EXISTS (SELECT FROM tributary.gap WHERE source = $1 AND closed_at IS NULL)`, gapArgs(g)...)
		}
		a.queue.Queue(`UPDATE tributary.gap SET repaired_from = $2, repair_began_at = clock_timestamp() WHERE source = $1 AND closed_at IS NULL`, st.Source.ID, st.To.String())
		var loaded []string
		for _, l := range b.Loads {
			if l.Phase == event.LoadBegun {
				loaded = append(loaded, l.Table)
			}
		}
		// What stands in the store and isn't read again stays as it is, and says so.
		a.queue.Queue(`INSERT INTO tributary.anomaly (batch, source, dataset, code, rows, first_position, detail)
			SELECT $2, t.source, t.name, 'GAP_NOT_REREAD', 0, $3, t."table" FROM tributary.target t WHERE t.source = $1 AND NOT t."table" = ANY($4::text[])`,
			st.Source.ID, a.id, st.To.String(), loaded)
	case event.RepairEnded:
		a.queue.Queue(`UPDATE tributary.gap SET closed_at = clock_timestamp(), closed_position = $2, closed_batch = $3 WHERE source = $1 AND closed_at IS NULL`,
			st.Source.ID, st.To.String(), a.id)
		a.queue.Queue(`UPDATE tributary.source SET state = CASE WHEN EXISTS (SELECT FROM tributary.table_state WHERE source = $1 AND state = 'halted') THEN 'halted' ELSE 'streaming' END,
			since = now() WHERE source = $1`, st.Source.ID)
	}
}
