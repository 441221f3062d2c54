// Package oracle judges stores: it looks for half transactions while they are
// written, and compares every row in the end. It decides what is lost, doubled or
// out of order; it knows nothing of how rows came there.
package oracle

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/tributary-cdc/tributary/test/workload"
)

// Verdict is what was found. All but the counters must be 0.
type Verdict struct {
	Lost       int `json:"lost"`              // rows of a source that a store lacks or has otherwise
	Doubled    int `json:"doubled"`           // rows of a store that its source doesn't have
	Half       int `json:"half_transactions"` // polls that saw a part of a transaction
	OutOfOrder int `json:"out_of_order"`      // batches that don't begin where the source's last one ended
	Gaps       int `json:"gaps"`
	Polls      int `json:"polls"` // of the store with the fewest
	Rows       int `json:"rows"`  // compared, at the sources
	// Empty are tables of sources without a row, about which a comparison says nothing.
	Empty []string `json:"empty_tables,omitempty"`
}

// Diff counts what of want is missing in got, and what got has beyond it.
func Diff(want, got []string) (lost, doubled int) {
	count := map[string]int{}
	for _, s := range want {
		count[s]++
	}
	for _, s := range got {
		if count[s]--; count[s] < 0 {
			doubled++
		}
	}
	for _, n := range count {
		lost += max(n, 0)
	}
	return lost, doubled
}

// poll is one statement, so that it sees one moment of the store.
const poll = `SELECT (SELECT coalesce(sum(head_count), 0) FROM ods.school) - (SELECT count(*) FROM ods.student),
	(SELECT coalesce(sum(n), 0) FROM ods.score_sheet) - (SELECT count(*) FROM ods.score)`

// Poll looks at a store until ctx ends. It counts from the moment all tables are there.
func Poll(ctx context.Context, store *sql.DB) (polls, half int) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return polls, half
		case <-tick.C:
		}
		var heads, scores int64
		if err := store.QueryRowContext(ctx, poll).Scan(&heads, &scores); err != nil {
			continue // no table yet; too few polls are a failure of their own
		}
		polls++
		if heads != 0 || scores != 0 {
			half++
		}
	}
}

// Compare waits until the store has what the sources have, or the time is over,
// and adds what differs then.
func Compare(ctx context.Context, store *sql.DB, districts []*workload.District, v *Verdict) error {
	deadline := time.Now().Add(90 * time.Second)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for _, d := range districts {
		for _, t := range d.Tables {
			want, err := d.Rows(ctx, t)
			if err != nil {
				return err
			}
			if len(want) == 0 && !slices.Contains(v.Empty, d.ID+"."+t.Name) {
				v.Empty = append(v.Empty, d.ID+"."+t.Name)
			}
			for {
				got, err := workload.Strings(ctx, store, "SELECT "+t.Store+" FROM ods."+t.Name+" WHERE _source = '"+d.ID+"'")
				lost, doubled := len(want), 0
				if err == nil {
					lost, doubled = Diff(want, got)
				}
				if lost+doubled > 0 && time.Now().Before(deadline) {
					select {
					case <-tick.C:
						continue
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				v.Lost, v.Doubled, v.Rows = v.Lost+lost, v.Doubled+doubled, v.Rows+len(want)
				break
			}
		}
	}
	return Order(ctx, store, v)
}

// Order adds the gaps of a store, and the batches that don't follow the ones before them,
// but for those that apply what a stopped table has held.
func Order(ctx context.Context, store *sql.DB, v *Verdict) error {
	return store.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM tributary.gap),
		(SELECT count(*) FROM (SELECT from_position f, lag(to_position) OVER (PARTITION BY source ORDER BY batch) p
			FROM tributary.batch_source s JOIN tributary.batch b ON b.id = s.batch WHERE b.transactions > 0) x WHERE p IS NOT NULL AND f <> p)`).
		Scan(add{&v.Gaps}, add{&v.OutOfOrder})
}

// add scans a number onto another.
type add struct{ to *int }

// Scan implements sql.Scanner.
func (a add) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("a count as %T", src)
	}
	*a.to += int(n)
	return nil
}

// Lag gives percentiles of the time from the source's clock in a row to its
// store's, in milliseconds.
func Lag(ctx context.Context, store *sql.DB) (p50, p99 float64, err error) {
	err = store.QueryRowContext(ctx, `SELECT coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY l), 0), coalesce(percentile_cont(0.99) WITHIN GROUP (ORDER BY l), 0)
		FROM (SELECT extract(epoch FROM _applied_at - changed AT TIME ZONE 'UTC') * 1000 l FROM ods.student WHERE _op IN ('c', 'u')
		UNION ALL SELECT extract(epoch FROM _applied_at - changed AT TIME ZONE 'UTC') * 1000 FROM ods.score WHERE _op IN ('c', 'u')) x`).Scan(&p50, &p99)
	return p50, p99, err
}
