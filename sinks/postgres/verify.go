package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/verify"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
)

// verificationTables have each verification of a table, the rows that differ, and, while one
// is running, a hash of the key of each row that was there and hasn't changed since it began.
const verificationTables = `
CREATE TABLE IF NOT EXISTS tributary.verification (number bigint GENERATED ALWAYS AS IDENTITY UNIQUE, id text COLLATE "C" NOT NULL, source text COLLATE "C" NOT NULL,
  "table" text COLLATE "C" NOT NULL, dataset text NOT NULL, asked_by text NOT NULL, asked_at timestamptz NOT NULL, repair boolean NOT NULL,
  since_position text COLLATE "C" NOT NULL, state text NOT NULL, error text NOT NULL DEFAULT '', chunks bigint NOT NULL DEFAULT 0, rows bigint NOT NULL DEFAULT 0,
  missing bigint NOT NULL DEFAULT 0, surplus bigint NOT NULL DEFAULT 0, different bigint NOT NULL DEFAULT 0, repaired bigint NOT NULL DEFAULT 0,
  quarantined bigint NOT NULL DEFAULT 0, owned bigint NOT NULL DEFAULT 0, begun_at timestamptz NOT NULL DEFAULT clock_timestamp(), ended_at timestamptz,
  batch bigint NOT NULL, PRIMARY KEY (id, source, "table"));
CREATE TABLE IF NOT EXISTS tributary.verification_row (verification bigint NOT NULL, kind text NOT NULL, key text NOT NULL, repaired boolean NOT NULL,
  batch bigint NOT NULL, found_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX IF NOT EXISTS verification_row_of ON tributary.verification_row (verification);
CREATE TABLE IF NOT EXISTS tributary.verification_seen (verification bigint NOT NULL, key bigint NOT NULL);
`

// mostNamed is the number of rows that a verification names in the store; all are counted.
const mostNamed = 10_000

// checks compares what a verification says with the store, at this place of the stream, and
// leaves those rows in the batch that must be written.
func (a *applying) checks(ctx context.Context, b *worker.Batch) error {
	if len(b.Checks) == 0 {
		return nil
	}
	// Values are read as text that doesn't hang on the server's settings.
	for _, setting := range []string{"intervalstyle = 'iso_8601'", "extra_float_digits = 1", "bytea_output = 'hex'", "jit = off"} {
		a.queue.Queue("SET LOCAL " + setting)
	}
	if err := a.send(ctx); err != nil {
		return err
	}
	mend := map[string]bool{} // canonical keys of rows to be written
	for i := range b.Checks {
		if err := a.tryCheck(ctx, &b.Checks[i], mend); err != nil {
			return fmt.Errorf("verification %s of table %s: %w", b.Checks[i].ID, b.Checks[i].Table, err)
		}
	}
	for i := range b.Tables {
		if err := only(&b.Tables[i], mend); err != nil {
			return err
		}
	}
	return nil
}

// only takes out of a change what needs no repair.
func only(c *worker.TableChange, mend map[string]bool) error {
	kept := c.Upserts[:0]
	var key []byte
	for i := range c.Upserts {
		var err error
		if key, err = envelope.AppendKeyColumns(key[:0], c.Table, c.Upserts[i].Values); err != nil {
			return err
		}
		if mend[string(key)] {
			kept = append(kept, c.Upserts[i])
		}
	}
	if c.Upserts = kept; len(kept) == 0 {
		c.Nulled = worker.Nulled{}
	}
	return nil
}

// tryCheck carries out one step. A table that can't be read as it should be ends the
// verification, and nothing else.
func (a *applying) tryCheck(ctx context.Context, c *worker.Check, mend map[string]bool) error {
	if _, err := a.conn.Exec(ctx, "SAVEPOINT looking"); err != nil {
		return err
	}
	err := a.check(ctx, c, mend)
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || !refusesData(pe.Code) {
		return err
	}
	a.queue = &pgx.Batch{}
	if _, err := a.conn.Exec(ctx, "ROLLBACK TO SAVEPOINT looking"); err != nil {
		return err
	}
	return a.abandon(ctx, c.Source, c.Table, "the store's table can't be compared: "+pe.Message)
}

// check carries out one step.
func (a *applying) check(ctx context.Context, c *worker.Check, mend map[string]bool) error {
	if c.Phase == event.CheckBegun {
		if err := a.abandon(ctx, c.Source, c.Table, "another verification of the table has begun"); err != nil {
			return err
		}
		_, err := a.conn.Exec(ctx, `INSERT INTO tributary.verification (id, source, "table", dataset, asked_by, asked_at, repair, since_position, state, batch)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'running', $9)`, c.ID, c.Source, c.Table, c.Dataset, c.By, c.At, c.Repair, c.Since.String(), a.id)
		return err
	}
	r := running{applying: a, c: c, mend: mend}
	err := a.conn.QueryRow(ctx, `SELECT number, rows, (SELECT count(*) FROM tributary.verification_row WHERE verification = number) FROM tributary.verification
		WHERE id = $1 AND source = $2 AND "table" = $3 AND state = 'running'`, c.ID, c.Source, c.Table).Scan(&r.number, &r.rows, &r.named)
	if errors.Is(err, pgx.ErrNoRows) { // it was given up here, or began before this store
		return nil
	}
	switch {
	case err != nil:
		return err
	case c.Phase == event.CheckGivenUp:
		return a.giveUp(ctx, r.number, c.Reason)
	case c.Unfit != "":
		return a.giveUp(ctx, r.number, c.Unfit)
	case c.Phase == event.CheckRows:
		return r.chunk(ctx)
	}
	return r.end(ctx)
}

// abandon gives up what is running for a table.
func (a *applying) abandon(ctx context.Context, source, table, reason string) error {
	rows, err := a.conn.Query(ctx, `SELECT number FROM tributary.verification WHERE source = $1 AND "table" = $2 AND state = 'running'`, source, table)
	if err != nil {
		return err
	}
	numbers, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	for _, n := range numbers {
		err = errors.Join(err, a.giveUp(ctx, n, reason))
	}
	return err
}

func (a *applying) giveUp(ctx context.Context, number int64, reason string) error {
	_, err := a.conn.Exec(ctx, `UPDATE tributary.verification SET state = 'given_up', error = $2, ended_at = clock_timestamp(), batch = $3 WHERE number = $1`, number, reason, a.id)
	if err == nil {
		err = a.unsee(ctx, number)
	}
	return err
}

func (a *applying) unsee(ctx context.Context, number int64) error {
	_, err := a.conn.Exec(ctx, `DELETE FROM tributary.verification_seen WHERE verification = $1`, number)
	return err
}

// running is one verification that goes on.
type running struct {
	*applying
	c      *worker.Check
	mend   map[string]bool
	number int64
	rows   int64 // compared so far
	named  int64 // rows that are named so far
}

// chunk compares a chunk's rows.
func (r *running) chunk(ctx context.Context) error {
	v := newVerifier(r.plan(r.c.Schema))
	chunk := verify.Chunk{Rows: r.c.Rows, Held: r.c.Held}
	seen, err := v.compare(ctx, r.conn, r.c, &chunk)
	if err != nil {
		return err
	}
	if _, err := r.conn.CopyFrom(ctx, pgx.Identifier{"tributary", "verification_seen"}, []string{"verification", "key"},
		pgx.CopyFromSlice(len(seen), func(i int) ([]any, error) { return []any{r.number, seen[i]}, nil })); err != nil {
		return err
	}
	n := chunk.Counts
	for _, w := range chunk.Wrong {
		key := r.c.Rows[w.Place].Key
		if r.c.Repair {
			r.mend[string(key)] = true
			n.Repaired++
		}
		values, err := envelope.ParseKeyColumns(r.c.Schema, key)
		if err != nil {
			return err
		}
		if err := r.name(w.Kind, r.c.Schema, values); err != nil {
			return err
		}
	}
	r.queue.Queue(`UPDATE tributary.verification SET chunks = chunks + 1, rows = rows + $2, missing = missing + $3, different = different + $4, repaired = repaired + $5,
		quarantined = quarantined + $6, owned = owned + $7, batch = $8 WHERE number = $1`, r.number, n.Rows, n.Missing, n.Different, n.Repaired, n.Quarantined, n.Owned, r.id)
	return r.send(ctx)
}

// name notes a row that differs.
func (r *running) name(kind verify.Kind, t *schema.Table, key []event.Value) error {
	if r.named++; r.named > mostNamed {
		return nil
	}
	text, err := keyText(t, key)
	if err != nil {
		return err
	}
	r.queue.Queue(`INSERT INTO tributary.verification_row (verification, kind, key, repaired, batch) VALUES ($1, $2, $3, $4, $5)`, r.number, string(kind), text, r.c.Repair, r.id)
	return nil
}

// end looks for rows that no chunk has named and nobody has changed since, and closes the
// verification.
func (r *running) end(ctx context.Context) error {
	if r.rows != r.c.Total {
		return r.giveUp(ctx, r.number, fmt.Sprintf("%d rows were compared, the source has sent %d", r.rows, r.c.Total))
	}
	var n verify.Counts
	t, err := r.present(ctx)
	if err != nil {
		return err
	}
	if t != nil {
		if n, err = r.surplus(ctx, t); err != nil {
			return err
		}
	}
	if err := r.unsee(ctx, r.number); err != nil {
		return err
	}
	total := verify.Counts{}
	err = r.conn.QueryRow(ctx, `UPDATE tributary.verification SET surplus = $2, repaired = repaired + $3, quarantined = quarantined + $4, ended_at = clock_timestamp(), batch = $5
		WHERE number = $1 RETURNING missing, surplus, different, repaired`, r.number, n.Surplus, n.Repaired, n.Quarantined, r.id).
		Scan(&total.Missing, &total.Surplus, &total.Different, &total.Repaired)
	if err != nil {
		return err
	}
	stands := total.Outcome() == verify.Unequal
	r.c.Stands = &stands
	_, err = r.conn.Exec(ctx, `UPDATE tributary.verification SET state = $2 WHERE number = $1`, r.number, string(total.Outcome()))
	return err
}

// surplus finds rows that exist in the store only, and takes them away if it is asked to.
func (r *running) surplus(ctx context.Context, t *schema.Table) (n verify.Counts, err error) {
	v := newVerifier(newPlan(r.store.home(t.Source, t.Dataset), t, 0, release(r.conn)))
	var there bool
	if err := r.conn.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, v.p.table).Scan(&there); err != nil || !there {
		return n, err
	}
	places, err := v.unseen(ctx, r, &n)
	if err != nil {
		return n, err
	}
	if !r.c.Repair {
		return n, r.send(ctx)
	}
	for len(places) > 0 {
		some := places[:min(len(places), 5000)]
		places = places[len(some):]
		r.queue.Queue("DELETE FROM "+v.p.table+" WHERE ctid = ANY($1::text[]::tid[])", some)
	}
	n.Repaired = n.Surplus
	return n, r.send(ctx)
}

// present gives the version that the store has of the table; nil if it has none.
func (r *running) present(ctx context.Context) (*schema.Table, error) {
	return currentVersion(ctx, r.conn, r.c.Source, r.c.Table)
}

// keyHash is a hash of a row's key in the store.
func keyHash(p *plan, alias string) string {
	names := make([]string, len(p.key))
	for i, k := range p.key {
		names[i] = alias + "." + k + "::text"
	}
	return "hashtextextended(ARRAY[" + strings.Join(names, ", ") + "]::text, 0)"
}
