package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Apply implements worker.Store. A small batch takes a round trip for the claim and
// the positions, one per table, and the commit.
func (s *Store) Apply(ctx context.Context, b *worker.Batch) error {
	l, err := s.lane(b.Claim.Partition)
	if err != nil {
		return err
	}
	next, err := s.write(ctx, l, b)
	if err != nil {
		err = classify(err, false)
		if _, rerr := l.conn.Exec(context.WithoutCancel(ctx), "ROLLBACK"); rerr != nil {
			err = errors.Join(err, rerr)
		}
		return fmt.Errorf("apply to %s: %w", b.Claim.Partition, err)
	}
	tag, err := l.conn.Exec(ctx, "COMMIT")
	if err != nil {
		return fmt.Errorf("commit to %s: %w", b.Claim.Partition, classify(err, true))
	}
	if tag.String() != "COMMIT" {
		return fmt.Errorf("commit to %s was answered by %s: %w", b.Claim.Partition, tag, worker.ErrRetry)
	}
	l.batch = next
	return nil
}

// applying is one batch on its way.
type applying struct {
	*lane
	store *Store
	id    int64
	now   func() time.Time // the store's clock
	queue *pgx.Batch       // statements that haven't been sent
}

// send sends what is queued. The first error in the order of the queue counts.
func (a *applying) send(ctx context.Context) error {
	if a.queue.Len() == 0 {
		return nil
	}
	err := a.conn.SendBatch(ctx, a.queue).Close()
	a.queue = &pgx.Batch{}
	return err
}

// write does everything but the commit. It returns the id for the next batch.
func (s *Store) write(ctx context.Context, l *lane, b *worker.Batch) (next int64, err error) {
	txns, rows, skipped := 0, 0, 0
	for _, st := range b.Steps {
		txns, rows, skipped = txns+st.Txns, rows+st.Rows, skipped+st.Skipped
	}
	a := &applying{lane: l, store: s, id: l.batch, queue: &pgx.Batch{}}
	a.queue.Queue("BEGIN")
	a.queue.Queue(share, b.Claim.Partition.String()).QueryRow(func(row pgx.Row) error { return lookAt(row, b.Claim) })
	a.queue.Queue(`INSERT INTO tributary.batch (id, partition, worker, fence, first_offset, last_offset, transactions, rows, skipped, partial)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9 > 0)`,
		a.id, b.Claim.Partition.String(), b.Claim.Worker, b.Claim.Fence, int64(b.First), int64(b.Last), txns, rows, skipped)
	for i := range b.Steps {
		a.step(b, &b.Steps[i])
	}
	for _, h := range b.Halts {
		a.halt(h)
	}
	a.queue.Queue(nextBatch + ", clock_timestamp()").QueryRow(func(row pgx.Row) error {
		var at time.Time
		err := row.Scan(&next, &at)
		seen := time.Now()
		a.now = func() time.Time { return at.Add(time.Since(seen)) }
		return err
	})
	// Apart from the rows: a fenced worker takes none of their locks, and trouble with
	// the bookkeeping is never taken for a table's.
	if err := a.send(ctx); err != nil {
		return 0, err
	}
	for i := range b.Tables {
		c := &b.Tables[i]
		if err := a.change(ctx, c); err != nil {
			return 0, refusal(c.Table, err)
		}
	}
	return next, a.send(ctx)
}

// refusal pins an error that lies in the table or its rows on the table.
func refusal(t *schema.Table, err error) error {
	var pe *pgconn.PgError
	if errors.As(err, &pe) && refusesData(pe.Code) {
		return &worker.TableError{Table: t, Err: fmt.Errorf("%w: %w", worker.ErrTableRefused, err)}
	}
	return err
}

// step is the compare-and-set of one source's position.
func (a *applying) step(b *worker.Batch, st *worker.Step) {
	args := []any{st.Source.ID, b.Claim.Partition.String(), st.To.String(), int64(st.Commit), st.Producer.ID, int32(st.Producer.Epoch),
		int64(st.Open), int64(st.ReadFrom), st.TxnID, st.File, st.Committed, a.id}
	query := `INSERT INTO tributary.progress (source, partition, applied, commit_offset, producer_id, producer_epoch, open_offset, read_from, txn_id, file, committed_at, applied_at, batch)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, clock_timestamp(), $12) ON CONFLICT (source) DO NOTHING`
	if !st.From.IsZero() {
		query = `UPDATE tributary.progress SET partition = $2, applied = $3, commit_offset = $4, producer_id = $5, producer_epoch = $6, open_offset = $7,
			read_from = $8, txn_id = $9, file = $10, committed_at = $11, applied_at = clock_timestamp(), batch = $12 WHERE source = $1 AND applied = $13`
		args = append(args, st.From.String())
	} else {
		a.queue.Queue(`INSERT INTO tributary.source (source, state) VALUES ($1, 'streaming') ON CONFLICT DO NOTHING`, st.Source.ID)
	}
	a.queue.Queue(query, args...).Exec(func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() != 1 {
			return fmt.Errorf("source %s isn't at %s: %w", st.Source.ID, st.From, worker.ErrProgressMoved)
		}
		return nil
	})
	a.queue.Queue(`INSERT INTO tributary.batch_source VALUES ($1, $2, $3, $4, $5)`, a.id, st.Source.ID, st.From.String(), st.To.String(), st.TxnID)
}

// bulkRows is the number of changed rows of one table from which on they go by COPY.
const bulkRows = 100

func (a *applying) plan(t *schema.Table) *plan {
	p := a.plans[t]
	if p == nil {
		p = newPlan(a.store.o.Schema, t, len(a.plans))
		a.plans[t] = p
	}
	return p
}

// change writes the net effect on one table: base rows are read before anything is
// removed, then truncate, deletes, inserts and updates.
func (a *applying) change(ctx context.Context, c *worker.TableChange) error {
	p := a.plan(c.Table)
	single := c.Upserts
	var parts *bulk
	if len(c.Upserts)+len(c.Deletes) >= bulkRows {
		parts = divide(p, c)
		single = parts.single
	}
	rows := make([][]any, len(single))
	for i := range single {
		var err error
		if rows[i], err = a.row(ctx, p, c, &single[i]); err != nil {
			return err
		}
	}
	var d drift
	if parts != nil {
		if err := parts.stage(ctx, a); err != nil {
			return err
		}
	}
	if c.Truncate {
		a.queue.Queue("DELETE FROM "+p.table+" WHERE _source = $1", c.Source)
	}
	if parts != nil {
		if err := parts.write(ctx, a, &d); err != nil {
			return err
		}
	} else {
		for _, k := range c.Deletes {
			a.queue.Queue("DELETE FROM "+p.table+" WHERE "+p.where, p.keyArgs(c.Source, k)...)
		}
	}
	for i := range single {
		u := &single[i]
		q := a.queue.Queue(p.upsert, append(rows[i], c.Source, u.Position.String(), string(rune(u.Op)), u.Committed, a.id)...)
		if u.Base != nil && sameKey(c.Table.Key, u) {
			q.QueryRow(func(row pgx.Row) error { return d.look(row, u) })
		}
	}
	// One send per table, so that an error says which table it lies in.
	if err := a.send(ctx); err != nil {
		return err
	}
	a.anomaly(c, "ROW_MISSING", d.rows, d.first, "")
	a.anomaly(c, "VALUE_NULLED", c.Nulled.Values, c.Nulled.First, c.Nulled.Detail)
	return nil
}

func (p *plan) keyArgs(source string, values []event.Value) []any {
	args := []any{source}
	for n, i := range p.schema.Key {
		args = append(args, argument(p.schema.Columns[i].Type.Kind, values[n]))
	}
	return args
}

// row renders a row's columns; absent ones come from the row under its base key.
func (a *applying) row(ctx context.Context, p *plan, c *worker.TableChange, u *worker.NetRow) ([]any, error) {
	args := make([]any, len(c.Table.Columns), len(c.Table.Columns)+5)
	var absent []int
	var names []string
	for i, col := range c.Table.Columns {
		if u.Values[i].State == event.Absent {
			absent = append(absent, i)
			names = append(names, p.names[i]+"::text")
			continue
		}
		args[i] = argument(col.Type.Kind, u.Values[i])
	}
	if len(absent) == 0 {
		return args, nil
	}
	if u.Base == nil {
		return nil, &worker.TableError{Table: c.Table, Err: fmt.Errorf("row at %s lacks columns and has no base: %w", u.Position, worker.ErrTableRefused)}
	}
	found := make([]any, len(absent))
	texts := make([]*string, len(absent))
	for i := range texts {
		found[i] = &texts[i]
	}
	err := a.conn.QueryRow(ctx, "SELECT "+strings.Join(names, ", ")+" FROM "+p.table+" WHERE "+p.where, p.keyArgs(c.Source, u.Base)...).Scan(found...)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, absentBase(c.Table, u.Position.String())
	}
	if err != nil {
		return nil, err
	}
	for n, i := range absent {
		if texts[n] != nil {
			args[i] = *texts[n]
		}
	}
	return args, nil
}

// absentBase: a row came without some columns, and the store hasn't got it either.
func absentBase(t *schema.Table, position string) error {
	return &worker.TableError{Table: t, Err: fmt.Errorf("the row that %s changes isn't in the store: %w", position, worker.ErrTableRefused)}
}
