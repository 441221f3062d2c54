package state

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/cmd/hub/alarm"
)

const reports = `
CREATE TABLE tributary.hub_report_sent (channel text NOT NULL, until timestamptz NOT NULL, at timestamptz NOT NULL, PRIMARY KEY (channel, until));
`

// reportsNoted is how long it is kept that a report was sent.
const reportsNoted = 7 * 24 * time.Hour

// reported are the columns of an alarm in a report.
const reported = `o.id, o.kind, o.object, o.org, concat_ws(' ', nullif(o.code, ''), o.detail), cardinality(o.sources) + o.more, o.opened, o.closed, o.acknowledged_by, o.note`

// Report gives what happened from one moment until another in the parts of the tree at the
// scopes, and what was open then.
func (s *State) Report(ctx context.Context, scopes []string, from, until time.Time) (*alarm.Report, error) {
	r := &alarm.Report{From: from, Until: until}
	err := s.within(ctx, func(tx pgx.Tx) error {
		ask := func(sql string, args ...any) (pgx.Rows, error) {
			return tx.Query(ctx, sql, append([]any{scopes, from, until}, args...)...)
		}
		rows, err := ask(`SELECT o.kind, count(*) FILTER (WHERE o.opened >= $2), count(*) FILTER (WHERE o.closed < $3), count(*) FILTER (WHERE o.closed IS NULL OR o.closed >= $3)
			FROM tributary.hub_alarm o WHERE ` + inScope(1) + ` AND o.opened < $3 AND (o.closed IS NULL OR o.closed >= $2) GROUP BY o.kind`)
		if err == nil {
			r.Kinds, err = pgx.CollectRows(rows, pgx.RowToStructByPos[alarm.Counted])
		}
		if err != nil {
			return err
		}
		slices.SortFunc(r.Kinds, func(a, b alarm.Counted) int {
			return slices.Index(alarm.Kinds, a.Kind) - slices.Index(alarm.Kinds, b.Kind)
		})
		for _, part := range []struct {
			into  *[]alarm.Reported
			where string
		}{{&r.Open, `(o.closed IS NULL OR o.closed >= $3)`}, {&r.Over, `o.closed >= $2 AND o.closed < $3`}} {
			rows, err := ask(`SELECT ` + reported + ` FROM tributary.hub_alarm o WHERE ` + inScope(1) + ` AND o.opened < $3 AND $2::timestamptz < $3 AND ` + part.where + `
				ORDER BY o.acknowledged IS NOT NULL, o.opened DESC, o.id DESC LIMIT 100`)
			if err == nil {
				*part.into, err = pgx.CollectRows(rows, pgx.RowToStructByPos[alarm.Reported])
			}
			if err != nil {
				return err
			}
		}
		rows, err = ask(`SELECT o.at, o.actor, o.action, o.org, o.object, o.detail FROM tributary.hub_audit o WHERE ` + inScope(1) + ` AND o.at >= $2 AND o.at < $3 AND o.outcome = 'done'
			AND split_part(o.action, '.', 1) IN ('request', 'alarm', 'maintenance', 'calendar', 'agent', 'invitation', 'org') AND o.action <> 'agent.renew' ORDER BY o.id DESC LIMIT 100`)
		if err == nil {
			r.Actions, err = pgx.CollectRows(rows, pgx.RowToStructByPos[alarm.Action])
		}
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT count(*) FROM tributary.hub_request q JOIN tributary.hub_org o ON o.code = q.org WHERE q.state = 'pending' AND `+inScope(1), scopes).Scan(&r.Pending)
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// DueReport implements alarm.Book.
func (s *State) DueReport(ctx context.Context, to string, from, until time.Time) (*alarm.Report, error) {
	due := false
	if err := s.within(ctx, func(tx pgx.Tx) error {
		now := s.o.Now()
		tag, err := tx.Exec(ctx, `INSERT INTO tributary.hub_report_sent AS t (channel, until, at, leased) VALUES ($1, $2, $3, $4)
			ON CONFLICT (channel, until) DO UPDATE SET at = excluded.at, leased = excluded.leased WHERE t.leased <= excluded.at`, to, until, now, now.Add(Lease))
		if due = tag.RowsAffected() == 1; err != nil || !due {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM tributary.hub_report_sent WHERE at < $1`, now.Add(-reportsNoted))
		return err
	}); err != nil || !due {
		return nil, err
	}
	r, err := s.Report(ctx, []string{""}, from, until)
	if err != nil {
		return nil, errors.Join(err, s.UnsentReport(context.WithoutCancel(ctx), to, until))
	}
	return r, nil
}

// SentReport implements alarm.Book.
func (s *State) SentReport(ctx context.Context, to string, until time.Time) error {
	_, err := s.pool.Exec(ctx, `UPDATE tributary.hub_report_sent SET leased = NULL WHERE channel = $1 AND until = $2`, to, until)
	return failed(err)
}

// UnsentReport implements alarm.Book.
func (s *State) UnsentReport(ctx context.Context, to string, until time.Time) error {
	_, err := s.pool.Exec(ctx, `DELETE FROM tributary.hub_report_sent WHERE channel = $1 AND until = $2`, to, until)
	return failed(err)
}
