package main

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	writers = 8 // each row has its own, so that one slow commit delays few
	warmUp  = 3 // seconds of pings that don't count
)

// rates of one-row transactions per second.
var rates = []int{200, 500, 1000}

func latencyFigure(rate int) string {
	return fmt.Sprintf("commit to visible, %d one-row transactions/s", rate)
}

// way is from a table of the source to where the store shows its rows.
type way struct {
	insert string // one row of id and clock at the source
	query  string // ids and clocks of the store from $1 on, in the order of ids
	next   int64  // first id that isn't taken
}

// latency measures commit to visible with an agent and a worker running.
func (b *bench) latency(ctx context.Context, r *report) error {
	if err := b.calm(ctx, r); err != nil {
		return err
	}
	s := b.mariaSource(b.codecs[0])
	agent, err := b.agent(ctx, s)
	if err != nil {
		return err
	}
	worker, err := b.worker(ctx, mariaOrg)
	if err != nil {
		return err
	}
	w := &way{insert: "INSERT INTO xueji.ping VALUES (?, ?)", query: "SELECT id, at FROM ods.ping WHERE _source = '" + s.org + "-" + s.name + "' AND id >= $1 ORDER BY id", next: 1}
	if err := b.opened(ctx, w); err != nil {
		return err
	}
	if err := b.rated(ctx, r, w, latencyFigure); err != nil {
		return err
	}
	for _, p := range []struct {
		name string
		*process
	}{{"worker in the latency runs", worker}, {"agent in the latency runs", agent}} {
		_, peak, err := usage(p.PID())
		if err != nil {
			return err
		}
		r.add(p.name, sample{Resident: peak})
		if err := p.finish(true); err != nil {
			return err
		}
	}
	return nil
}

// calm lets the servers end what the parts before have left to do: a latency would
// measure that.
func (b *bench) calm(ctx context.Context, r *report) error {
	r.step("let the servers tidy up")
	for of, db := range map[string]*sql.DB{"store": b.sdb, "source": b.pdb} {
		if err := tidy(ctx, db); err != nil {
			return fmt.Errorf("tidy the %s: %w", of, err)
		}
	}
	const dirty = "SET GLOBAL innodb_max_dirty_pages_pct = %d"
	if _, err := b.mdb.ExecContext(ctx, fmt.Sprintf(dirty, 0)); err != nil {
		return fmt.Errorf("tidy the source: %w", err)
	}
	if err := until(ctx, 2*time.Minute, "MariaDB's rest", func() (bool, error) {
		var history, pages int64
		err := b.mdb.QueryRowContext(ctx, `SELECT (SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'Innodb_history_list_length'),
			(SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'Innodb_buffer_pool_pages_dirty')`).Scan(&history, &pages)
		return history < 1000 && pages < 1000, err
	}); err != nil {
		return err
	}
	if _, err := b.mdb.ExecContext(ctx, fmt.Sprintf(dirty, 90)); err != nil {
		return fmt.Errorf("tidy the source: %w", err)
	}
	syscall.Sync() // what the brokers and stores have written without it
	return nil
}

// tidy has PostgreSQL end what writing has left. Of another database than the connection's it
// only writes the pages.
func tidy(ctx context.Context, db *sql.DB) error {
	for _, q := range []string{"VACUUM ANALYZE", "CHECKPOINT"} {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// opened waits for the first row, and so for everything before it.
func (b *bench) opened(ctx context.Context, w *way) error {
	if _, err := b.mdb.ExecContext(ctx, w.insert, w.next, time.Now().UnixMicro()); err != nil {
		return err
	}
	first := w.next
	w.next++
	return until(ctx, 2*time.Minute, "the first row", func() (bool, error) {
		rows, err := b.sdb.QueryContext(ctx, w.query, first)
		if err != nil {
			return false, err // the table may not be there yet
		}
		there := rows.Next()
		if err := rows.Err(); err != nil {
			return false, err
		}
		return there, rows.Close()
	})
}

// rated measures a way at each rate.
func (b *bench) rated(ctx context.Context, r *report, w *way, name func(rate int) string) error {
	r.step("commit to visible: warm up")
	if _, err := b.pings(ctx, w, 500, warmUp); err != nil {
		return err
	}
	for _, rate := range rates {
		s, err := b.pings(ctx, w, rate, b.seconds)
		if err != nil {
			return err
		}
		r.add(name(rate), s)
	}
	return nil
}

// pings writes one-row transactions at a steady rate and looks when the store shows
// them. The sample's rate is the one that was reached.
func (b *bench) pings(ctx context.Context, w *way, rate, seconds int) (sample, error) {
	first, count := w.next, rate*seconds
	w.next += int64(count)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*3*time.Second+30*time.Second)
	defer cancel()
	answered := make([]time.Time, count) // when the source had committed; each writer has its own places
	var wg sync.WaitGroup
	errs := make([]error, writers)
	begun := time.Now()
	for n := range writers {
		wg.Go(func() {
			for i := n; i < count && errs[n] == nil; i += writers {
				due := time.NewTimer(time.Until(begun.Add(time.Duration(i) * time.Second / time.Duration(rate))))
				<-due.C
				_, errs[n] = b.mdb.ExecContext(ctx, w.insert, first+int64(i), time.Now().UnixMicro())
				answered[i] = time.Now()
			}
		})
	}
	seen, err := b.visible(ctx, w, first, count)
	wg.Wait()
	for _, e := range append(errs, err) {
		if e != nil {
			return sample{}, e
		}
	}
	row, after := make([]float64, count), make([]float64, count)
	for i, s := range seen {
		row[i], after[i] = ms(s.at.Sub(time.UnixMicro(s.clock))), ms(max(0, s.at.Sub(answered[i])))
	}
	slices.Sort(row)
	slices.Sort(after)
	took := slices.MaxFunc(answered, time.Time.Compare).Sub(begun)
	return sample{Rows: count, Rate: float64(count) / took.Seconds(), P50: percentile(row, 50), P99: percentile(row, 99), AfterP50: percentile(after, 50), AfterP99: percentile(after, 99)}, nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// percentile is the smallest value that at least p of 100 don't exceed.
func percentile(sorted []float64, p int) float64 { return sorted[(len(sorted)*p+99)/100-1] }

// sight is a row in the store: when it was seen, and the clock in it.
type sight struct {
	at    time.Time
	clock int64 // microseconds since 1970
}

// visible asks the store once a millisecond until it has shown all of count rows.
func (b *bench) visible(ctx context.Context, w *way, first int64, count int) ([]sight, error) {
	c, err := pgx.Connect(ctx, b.store.PostgresURL("postgres"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }() // only this measurement's
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	seen, lowest, missing := make([]sight, count), 0, count
	for missing > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d rows didn't become visible: %w", missing, count, ctx.Err())
		}
		rows, err := c.Query(ctx, w.query, first+int64(lowest))
		if err != nil {
			return nil, err
		}
		var id, clock int64
		var at time.Time
		if _, err := pgx.ForEachRow(rows, []any{&id, &clock}, func() error {
			if at.IsZero() {
				at = time.Now()
			}
			if i := id - first; i < int64(count) && seen[i].at.IsZero() {
				seen[i] = sight{at: at, clock: clock}
				missing--
			}
			return nil
		}); err != nil {
			return nil, err
		}
		for lowest < count && !seen[lowest].at.IsZero() {
			lowest++
		}
	}
	return seen, nil
}
