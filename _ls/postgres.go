package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// postgres measures PostgreSQL to Kafka, beside pg_recvlogical and Debezium on the
// same WAL.
func (b *bench) postgres(ctx context.Context, r *report) error {
	const figure = "PostgreSQL to Kafka over TCP"
	for _, q := range []string{studentTable("student", "smallint", "timestamp"), studentTable("warm", "smallint", "timestamp")} {
		if _, err := b.pdb.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	rival, err := b.warmedUp(ctx, r, b.pg, "public")
	if err != nil {
		return err
	}
	if err := b.prepared(ctx, b.pgSource()); err != nil {
		return err
	}
	for _, slot := range ceilings {
		if _, err := b.pdb.ExecContext(ctx, "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", slot); err != nil {
			return err
		}
	}
	r.step("write %d rows into PostgreSQL", b.rows)
	if err := fill(ctx, b.pdb, "student", b.rows); err != nil {
		return err
	}
	// Before and after: the first reader warms the caches.
	before, err := b.ceiling(ctx, r, ceilings[0])
	if err != nil {
		return err
	}
	r.step("PostgreSQL to Kafka")
	s, err := b.captured(ctx, "capture-postgres", b.pgSource(), b.rows, b.rows/transaction)
	if err != nil {
		return err
	}
	after, err := b.ceiling(ctx, r, ceilings[1])
	if err != nil {
		return err
	}
	best := max(before, after)
	s.TxnAllocs = 0 // of 1,000 rows
	s.over("pg_recvlogical to /dev/null", best)
	r.add(figure, s)
	if best > 0 {
		r.add("pg_recvlogical to /dev/null over TCP, the faster of two", sample{Rows: b.rows, Rate: best})
	}
	return rival.compare(ctx, r, "Debezium, PostgreSQL to Kafka over TCP, warm", figure)
}

// ceilings are the slots that pg_recvlogical reads, each once.
var ceilings = [...]string{"ceiling_1", "ceiling_2"}

// ceiling gives pg_recvlogical's rows per second, 0 where the program isn't to be had.
func (b *bench) ceiling(ctx context.Context, r *report, slot string) (float64, error) {
	program, err := exec.LookPath(b.pg.Program("pg_recvlogical"))
	if err != nil {
		if program, err = exec.LookPath("pg_recvlogical"); err != nil {
			r.note("There is no pg_recvlogical on this machine (Debian: postgresql-client): PostgreSQL has no ceiling.")
			return 0, nil
		}
	}
	var publication, end string
	if err := b.pdb.QueryRowContext(ctx, "SELECT pubname, pg_current_wal_lsn() FROM pg_publication WHERE pubname LIKE 'tributary%'").Scan(&publication, &end); err != nil {
		return 0, fmt.Errorf("find the agent's publication: %w", err)
	}
	r.step("pg_recvlogical to /dev/null")
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-h", b.pg.Host, "-p", fmt.Sprint(b.pg.Port), "-U", b.pg.User, "-d", "postgres", "--slot", slot, "--start", "--no-loop",
		"--endpos", end, "-o", "proto_version=1", "-o", "publication_names="+publication, "-f", "-")
	cmd.Env = append(cmd.Environ(), "PGPASSWORD="+b.pg.Password)
	cmd.Stdout = nil // /dev/null
	begun := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, errors.Join(fmt.Errorf("pg_recvlogical: %w", err), ctx.Err())
	}
	return float64(b.rows) / time.Since(begun).Seconds(), nil
}
