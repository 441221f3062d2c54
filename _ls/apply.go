package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Names of figures that others are compared with.
const (
	insertsFigure = "Kafka to PostgreSQL, inserts"
	updatesFigure = "Kafka to PostgreSQL, updates"
)

// applied measures a worker that has so many rows of the log before it.
func (b *bench) applied(ctx context.Context, name string, rows int) (sample, error) {
	var fence, fenceNow, before int64
	if err := b.storeFigures(ctx, &fence, &before); err != nil {
		return sample{}, err
	}
	p, err := b.worker(ctx, mariaOrg)
	if err != nil {
		return sample{}, err
	}
	if err := until(ctx, time.Minute, "the worker's claim", func() (bool, error) {
		err := b.storeFigures(ctx, &fenceNow, new(int64))
		return fenceNow > fence, err
	}); err != nil {
		return sample{}, err
	}
	w, err := b.begin(ctx, p, name)
	if err != nil {
		return sample{}, err
	}
	if err := until(ctx, 10*time.Minute, "the backlog in the store", func() (bool, error) {
		var now int64
		err := errors.Join(b.storeFigures(ctx, new(int64), &now), alive(p.PID()))
		return now >= before+int64(rows), err
	}); err != nil {
		return sample{}, err
	}
	s, err := w.took(rows)
	if err != nil {
		return sample{}, err
	}
	if err := w.end(ctx, &s, "tributary_store_rows_total", ""); err != nil {
		return sample{}, err
	}
	return s, p.finish(true)
}

// storeFigures reads the claim's fence and the rows applied so far; both are 0
// before the first worker has made its tables.
func (b *bench) storeFigures(ctx context.Context, fence, rows *int64) error {
	var there bool
	if err := b.sdb.QueryRowContext(ctx, "SELECT to_regclass('tributary.batch') IS NOT NULL AND to_regclass('tributary.claim') IS NOT NULL").Scan(&there); err != nil || !there {
		return err
	}
	return b.sdb.QueryRowContext(ctx, "SELECT (SELECT coalesce(sum(fence), 0)::bigint FROM tributary.claim), (SELECT coalesce(sum(rows), 0) FROM tributary.batch)").Scan(fence, rows)
}

// apply measures Kafka to the store: inserts, beside plain COPY of the same rows, and
// updates of each row.
func (b *bench) apply(ctx context.Context, r *report) error {
	r.step("Kafka to PostgreSQL, inserts")
	s, err := b.applied(ctx, "apply-inserts", b.rows)
	if err != nil {
		return err
	}
	r.step("plain COPY into the same table")
	plain, err := b.plainCopy(ctx, "ods.student")
	if err != nil {
		return err
	}
	s.over("plain COPY", plain)
	r.add(insertsFigure, s)
	r.add("plain COPY into the same table, the faster of two", sample{Rows: b.rows, Rate: plain})
	r.step("update %d rows in MariaDB", b.rows)
	if err := change(ctx, b.mdb, "xueji.student", b.rows); err != nil {
		return err
	}
	if s, err = b.captured(ctx, "capture-mariadb-updates", b.mariaSource(b.codecs[0]), b.rows, b.rows/transaction); err != nil {
		return err
	}
	s.TxnAllocs = 0 // of 1,000 rows
	r.add("MariaDB to Kafka, updates", s)
	if s, err = b.applied(ctx, "apply-updates", b.rows); err != nil {
		return err
	}
	r.add(updatesFigure, s)
	return nil
}

// plainCopy gives the rows per second of COPY into a table like one of the worker's, the
// better of two.
func (b *bench) plainCopy(ctx context.Context, table string) (float64, error) {
	c, err := pgx.Connect(ctx, b.store.PostgresURL("postgres"))
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }() // only this measurement's
	var with string
	if err := c.QueryRow(ctx, "SELECT coalesce('WITH (' || array_to_string(reloptions, ', ') || ')', '') FROM pg_class WHERE oid = $1::regclass", table).Scan(&with); err != nil {
		return 0, err
	}
	if _, err := c.Exec(ctx, "CREATE TABLE plain (LIKE "+table+" INCLUDING ALL) "+with); err != nil {
		return 0, err
	}
	var rows bytes.Buffer
	if _, err := c.PgConn().CopyTo(ctx, &rows, "COPY "+table+" TO STDOUT BINARY"); err != nil {
		return 0, err
	}
	best := 0.0
	for range 2 { // the first one warms the table's files
		begun := time.Now()
		tag, err := c.PgConn().CopyFrom(ctx, bytes.NewReader(rows.Bytes()), "COPY plain FROM STDIN BINARY")
		if err != nil {
			return 0, err
		}
		if tag.RowsAffected() != int64(b.rows) {
			return 0, fmt.Errorf("the store has %d rows of %d", tag.RowsAffected(), b.rows)
		}
		best = max(best, float64(b.rows)/time.Since(begun).Seconds())
		if _, err := c.Exec(ctx, "TRUNCATE plain"); err != nil {
			return 0, err
		}
	}
	_, err = c.Exec(ctx, "DROP TABLE plain")
	return best, err
}
