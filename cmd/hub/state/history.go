package state

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/cmd/hub/watch"
)

// history has one row per org and minute, or half an hour, with the figures of its sources in
// arrays: 10,000 sources of 100 orgs are 100 rows a minute and some 200 MB in all.
const history = `
CREATE TABLE tributary.hub_series (n int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source text COLLATE "C" NOT NULL UNIQUE, seen timestamptz NOT NULL);
CREATE TABLE tributary.hub_minute (org text COLLATE "C" NOT NULL, at timestamptz NOT NULL, lag real, rate real, series int[] NOT NULL, lags real[] NOT NULL, rates real[] NOT NULL, PRIMARY KEY (org, at));
CREATE INDEX ON tributary.hub_minute (at);
CREATE TABLE tributary.hub_half_hour (org text COLLATE "C" NOT NULL, at timestamptz NOT NULL, lag real, top real, rate real,
  series int[] NOT NULL, lags real[] NOT NULL, tops real[] NOT NULL, rates real[] NOT NULL, PRIMARY KEY (org, at));
CREATE INDEX ON tributary.hub_half_hour (at);
`

// How long history is kept, and by what it is rolled up. A slot is rolled up a while after
// its end, so that minutes that waited for the database are in it.
const (
	minutesKept = 25 * time.Hour
	slotsKept   = 30 * 24 * time.Hour
	slot        = 30 * time.Minute
	settles     = 11 * time.Minute
)

// KeepMinute implements watch.Diary, and rolls up and removes what has come to its end. A
// minute that is older than what is kept isn't noted.
func (s *State) KeepMinute(ctx context.Context, at time.Time, orgs []watch.OrgMinute) error {
	now := s.o.Now()
	if now.Sub(at) > minutesKept {
		return nil
	}
	var sources []string
	for _, o := range orgs {
		sources = append(sources, o.Sources...)
	}
	if err := s.within(ctx, func(tx pgx.Tx) error {
		// A number that conflicts would be lost, so known ones don't ask for one.
		if _, err := tx.Exec(ctx, `INSERT INTO tributary.hub_series (source, seen) SELECT x, $2 FROM unnest($1::text[]) x
			WHERE NOT EXISTS (SELECT FROM tributary.hub_series h WHERE h.source = x) ON CONFLICT DO NOTHING`, sources, now); err != nil {
			return err
		}
		var b pgx.Batch
		for _, o := range orgs {
			lags, rates := make([]*float32, len(o.Points)), make([]*float32, len(o.Points))
			for i, p := range o.Points {
				lags[i], rates[i] = p.Lag, p.Rate
			}
			b.Queue(`INSERT INTO tributary.hub_minute (org, at, lag, rate, series, lags, rates)
				SELECT $1, $2, $3, $4, coalesce(array_agg(h.n), '{}'), coalesce(array_agg(p.lag), '{}'), coalesce(array_agg(p.rate), '{}')
				FROM unnest($5::text[], $6::real[], $7::real[]) p(source, lag, rate) JOIN tributary.hub_series h ON h.source = p.source
				ON CONFLICT DO NOTHING`, o.Org, at, o.All.Lag, o.All.Rate, o.Sources, lags, rates)
		}
		return tx.SendBatch(ctx, &b).Close()
	}); err != nil {
		return err
	}
	return s.rollUp(ctx, now, sources)
}

// rollUp makes half hours of the minutes of each slot that is over and has none yet.
func (s *State) rollUp(ctx context.Context, now time.Time, sources []string) error {
	return s.within(ctx, func(tx pgx.Tx) error {
		end := now.Add(-settles).UTC().Truncate(slot)
		var last, first *time.Time
		if err := tx.QueryRow(ctx, `SELECT (SELECT max(at) FROM tributary.hub_half_hour), (SELECT min(at) FROM tributary.hub_minute)`).Scan(&last, &first); err != nil {
			return err
		}
		if first == nil || !first.Before(end) || last != nil && !last.Before(end.Add(-slot)) {
			return nil
		}
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('tributary history', 0))`); err != nil {
			return err
		}
		from := first.UTC().Truncate(slot)
		if last != nil && !last.Before(from) {
			from = last.Add(slot)
		}
		for at := from; at.Before(end); at = at.Add(slot) {
			if _, err := tx.Exec(ctx, halfHour, at, at.Add(slot)); err != nil {
				return err
			}
		}
		for sql, until := range map[string]time.Time{
			`DELETE FROM tributary.hub_minute WHERE at < $1`:    now.Add(-minutesKept),
			`DELETE FROM tributary.hub_half_hour WHERE at < $1`: now.Add(-slotsKept),
			`DELETE FROM tributary.hub_series WHERE seen < $1`:  now.Add(-slotsKept - 48*time.Hour),
		} {
			if _, err := tx.Exec(ctx, sql, until); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `UPDATE tributary.hub_series SET seen = $2 WHERE source = ANY($1) AND seen < $3`, sources, now, now.AddDate(0, 0, -1))
		return err
	})
}

// halfHour gives the median and the longest lag and the mean rate of a slot.
const halfHour = `INSERT INTO tributary.hub_half_hour (org, at, lag, top, rate, series, lags, tops, rates)
	SELECT o.org, $1, o.lag, o.top, o.rate, coalesce(s.series, '{}'), coalesce(s.lags, '{}'), coalesce(s.tops, '{}'), coalesce(s.rates, '{}')
	FROM (SELECT org, percentile_disc(0.5) WITHIN GROUP (ORDER BY lag) AS lag, max(lag) AS top, avg(rate)::real AS rate FROM tributary.hub_minute WHERE at >= $1 AND at < $2 GROUP BY org) o
	LEFT JOIN (SELECT org, array_agg(n) AS series, array_agg(lag) AS lags, array_agg(top) AS tops, array_agg(rate) AS rates
		FROM (SELECT m.org, u.n, percentile_disc(0.5) WITHIN GROUP (ORDER BY u.lag) AS lag, max(u.lag) AS top, avg(u.rate)::real AS rate
			FROM tributary.hub_minute m CROSS JOIN LATERAL unnest(m.series, m.lags, m.rates) u(n, lag, rate) WHERE m.at >= $1 AND m.at < $2 GROUP BY m.org, u.n) x GROUP BY org) s USING (org)
	ON CONFLICT DO NOTHING`

// Past is how something was in one step of a history, which begins at At. What nobody knew is
// nil; steps of which nothing is known aren't there.
type Past struct {
	At time.Time `json:"at"`
	// Lag is the longest of a minute, or the median of half an hour's minutes, Top the longest
	// of both; in seconds.
	Lag  *float32 `json:"lag_seconds"`
	Top  *float32 `json:"longest_lag_seconds"`
	Rate *float32 `json:"rows_per_second"`
}

// Span is a length of time that history can be asked for.
type Span struct {
	Name         string
	Length, Step time.Duration
}

// Day and Month are those that there are.
var (
	Day   = Span{"24h", 24 * time.Hour, time.Minute}
	Month = Span{"30d", slotsKept, slot}
)

// OrgHistory gives how an org with all below it was, the oldest first.
func (s *State) OrgHistory(ctx context.Context, org string, span Span) ([]Past, error) {
	since := s.o.Now().Add(-span.Length)
	if span == Month {
		return list[Past](ctx, s, `SELECT at, lag, top, rate FROM tributary.hub_half_hour WHERE org = $1 AND at >= $2 ORDER BY at`, org, since)
	}
	return list[Past](ctx, s, `SELECT at, lag, lag, rate FROM tributary.hub_minute WHERE org = $1 AND at >= $2 ORDER BY at`, org, since)
}

// SourceHistory gives how a source of an org was, the oldest first.
func (s *State) SourceHistory(ctx context.Context, org, source string, span Span) ([]Past, error) {
	since := s.o.Now().Add(-span.Length)
	if span == Month {
		return list[Past](ctx, s, `SELECT at, lags[i], tops[i], rates[i] FROM (SELECT m.*, array_position(m.series, h.n) AS i FROM tributary.hub_half_hour m, tributary.hub_series h
			WHERE h.source = $2 AND m.org = $1 AND m.at >= $3) x WHERE i IS NOT NULL ORDER BY at`, org, source, since)
	}
	return list[Past](ctx, s, `SELECT at, lags[i], lags[i], rates[i] FROM (SELECT m.*, array_position(m.series, h.n) AS i FROM tributary.hub_minute m, tributary.hub_series h
		WHERE h.source = $2 AND m.org = $1 AND m.at >= $3) x WHERE i IS NOT NULL ORDER BY at`, org, source, since)
}
