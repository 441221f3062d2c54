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
		err = fmt.Errorf("apply to %s: %w", b.Claim.Partition, errors.Join(classify(err, false), l.rollback(ctx)))
	} else if err = l.commit(ctx, b.Claim); err == nil {
		l.batch = next
		return nil
	}
	if !mayLieInRows(err, b.Tables) {
		return err
	}
	return errors.Join(s.blame(ctx, l, b, err), l.rollback(ctx))
}

// blame finds out which rows of a batch the store refuses, in a transaction that the
// caller rolls back. If it is none of them, cause stays the error.
func (s *Store) blame(ctx context.Context, l *lane, b *worker.Batch, cause error) error {
	a := &applying{lane: l, store: s, id: l.batch, queue: &pgx.Batch{}}
	a.begin(b.Claim)
	err := a.send(ctx)
	if err == nil {
		var rows *worker.RowsError
		if rows, err = a.diagnose(ctx, b.Tables); rows != nil {
			return rows
		}
	}
	if err != nil {
		return fmt.Errorf("apply to %s: %w", b.Claim.Partition, classify(err, false))
	}
	return cause
}

// rollback ends a transaction even after ctx has ended, but doesn't wait for long.
func (l *lane) rollback(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_, err := l.conn.Exec(ctx, "ROLLBACK")
	return err
}

func (l *lane) commit(ctx context.Context, c worker.Claim) error {
	tag, err := l.conn.Exec(ctx, "COMMIT")
	if err != nil {
		return fmt.Errorf("commit to %s: %w", c.Partition, classify(err, true))
	}
	if tag.String() != "COMMIT" {
		return fmt.Errorf("commit to %s was answered by %s: %w", c.Partition, tag, worker.ErrRetry)
	}
	return nil
}

// applying is one batch on its way.
type applying struct {
	*lane
	store *Store
	id    int64
	now   func() time.Time // the store's clock
	queue *pgx.Batch       // statements that haven't been sent
	// staged are plans whose staging tables hold rows of a change before this one.
	staged map[*plan]bool
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
	if l.stale.Swap(false) {
		if err := l.conn.QueryRow(ctx, nextBatch).Scan(&l.batch); err != nil {
			return 0, err
		}
	}
	a := &applying{lane: l, store: s, id: l.batch, queue: &pgx.Batch{}}
	a.begin(b.Claim)
	book := a.book
	if b.Resume != nil {
		book = a.resume
	}
	if err := book(b); err != nil {
		return 0, err
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
	if err := a.checks(ctx, b); err != nil {
		return 0, err
	}
	if err := a.changes(ctx, b.Tables); err != nil {
		return 0, err
	}
	if b.Resume != nil {
		return next, a.resumed(ctx, b.Resume)
	}
	return next, a.loads(ctx, b.Loads)
}

// begin opens the transaction, if the claim still holds.
func (a *applying) begin(c worker.Claim) {
	a.queue.Queue("BEGIN")
	a.queue.Queue(share, c.Partition.String()).QueryRow(func(row pgx.Row) error { return lookAt(row, c) })
}

// book writes everything of a batch but its rows.
func (a *applying) book(b *worker.Batch) error {
	txns, rows, skipped, quarantined := 0, 0, 0, 0
	for _, st := range b.Steps {
		txns, rows, skipped, quarantined = txns+st.Txns, rows+st.Rows, skipped+st.Skipped+st.Held, quarantined+st.Quarantined
	}
	// The head's lock puts the batches of a partition in the order of their chain.
	a.queue.Queue(`WITH head AS (INSERT INTO tributary.head AS h (partition, batch, digest) VALUES ($2, $1, sha256(decode(repeat('00', 32), 'hex') || $11::bytea))
			ON CONFLICT (partition) DO UPDATE SET batch = excluded.batch, previous = h.batch, digest = sha256(h.digest || $11::bytea) RETURNING previous, digest)
		INSERT INTO tributary.batch (id, partition, worker, fence, first_offset, last_offset, transactions, rows, skipped, quarantined, partial, previous, digest)
		SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $9::int + $10::int > 0, previous, digest FROM head`,
		a.id, b.Claim.Partition.String(), b.Claim.Worker, b.Claim.Fence, int64(b.First), int64(b.Last), txns, rows, skipped, quarantined, b.Content[:])
	for i := range b.Steps {
		a.step(b, &b.Steps[i])
	}
	for _, h := range b.Halts {
		a.halt(h)
	}
	for i := range b.Held {
		if err := a.held(&b.Held[i]); err != nil {
			return err
		}
		a.limit(&b.Held[i], b.HeldLimit)
	}
	for i := range b.Quarantine {
		if err := a.hold(&b.Quarantine[i]); err != nil {
			return err
		}
	}
	return nil
}

// changes writes the rows.
func (a *applying) changes(ctx context.Context, tables []worker.TableChange) error {
	clear(a.staged)
	for i := range tables {
		c := &tables[i]
		if err := a.change(ctx, c); err != nil {
			return refusal(c.Table, err)
		}
	}
	return a.send(ctx)
}

// refusal pins an error that lies in the table or its rows on the table.
func refusal(t *schema.Table, err error) error {
	var pe *pgconn.PgError
	if errors.As(err, &pe) && refusesData(pe.Code) {
		return &worker.TableError{Table: t, Err: fmt.Errorf("%w: %w", worker.ErrTableRefused, discreet{err, pe})}
	}
	return err
}

// discreet is an error of the server whose text goes to logs and status records: values,
// which data exceptions (class 22) name in quotes, are left out of it.
type discreet struct {
	error
	pe *pgconn.PgError
}

// Error leaves out what stands between the first and the last quote.
func (d discreet) Error() string {
	text := d.error.Error()
	from, to := strings.IndexByte(text, '"'), strings.LastIndexByte(text, '"')
	if !strings.HasPrefix(d.pe.Code, "22") || from == to {
		return text
	}
	return text[:from+1] + "…" + text[to:]
}

// Unwrap gives the server's own.
func (d discreet) Unwrap() error { return d.error }

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
	}
	if st.Repair != event.NoRepair {
		a.repair(b, st)
	}
	if st.From.IsZero() || st.Introduces {
		a.queue.Queue(`INSERT INTO tributary.source AS s (source, state, org, engine, agent) VALUES ($1, 'streaming', nullif($2, ''), nullif($3, ''), nullif($4, ''))
			ON CONFLICT (source) DO UPDATE SET org = excluded.org, engine = excluded.engine, agent = excluded.agent
			WHERE excluded.org IS NOT NULL AND (s.org, s.engine, s.agent) IS DISTINCT FROM (excluded.org, excluded.engine, excluded.agent)`,
			st.Source.ID, st.Source.Org, string(st.Source.Engine), st.Source.Agent)
	}
	a.queue.Queue(query, args...).Exec(func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() != 1 {
			return fmt.Errorf("source %s isn't at %s: %w", st.Source.ID, st.From, worker.ErrProgressMoved)
		}
		return nil
	})
	n := len(st.Ends)
	ends, ids, offsets, rows := make([]string, n), make([]string, n), make([]int64, n), make([]int32, n)
	for i, e := range st.Ends {
		ends[i], ids[i], offsets[i], rows[i] = e.Position.String(), e.TxnID, int64(e.Commit), int32(e.Rows)
	}
	a.queue.Queue(`INSERT INTO tributary.batch_source (batch, source, from_position, to_position, txn_id, versions, policies, hops, ends, end_ids, end_offsets, end_rows)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		a.id, st.Source.ID, st.From.String(), st.To.String(), st.TxnID, texts(st.Versions), texts(st.Policies), texts(st.Hops), ends, ids, offsets, rows)
}

// texts is a list that isn't NULL.
func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

// bulkRows is the number of changed rows of one table from which on they go by COPY.
const bulkRows = 100

func (a *applying) plan(t *schema.Table) *plan {
	p := a.plans[t]
	if p == nil {
		p = newPlan(a.store.home(t.Source, t.Dataset), t, len(a.plans), release(a.conn))
		a.plans[t] = p
	}
	return p
}

// change writes the net effect on one table: base rows are read before anything is
// removed, then truncate, deletes, inserts and updates.
func (a *applying) change(ctx context.Context, c *worker.TableChange) error {
	p := a.plan(c.Table)
	if err := p.unstorable(c); err != nil {
		return err
	}
	if p.shared() {
		claimNothing(c)
	}
	parts := &a.lane.parts
	defer parts.forget()
	bulky := len(c.Upserts)+len(c.Deletes) >= bulkRows
	if bulky {
		if err := a.fit(ctx, p); err != nil {
			return err
		}
		parts.divide(p, c)
	} else {
		parts.each(p, c)
	}
	rows := make([][]any, len(parts.single))
	var d drift
	for i, u := range parts.single {
		var err error
		if rows[i], err = a.row(ctx, p, c, u); err != nil {
			return err
		}
		if rows[i] == nil && p.shared() {
			d.others.add(1, u.Position)
		}
	}
	if bulky {
		if err := parts.stage(ctx, a); err != nil {
			return err
		}
	}
	if c.Truncate {
		a.queue.Queue("DELETE FROM "+p.table+" WHERE _source = $1", c.Source)
	}
	if bulky {
		if err := parts.write(ctx, a, &d); err != nil {
			return err
		}
	} else {
		for _, k := range c.Deletes {
			a.queue.Queue("DELETE FROM "+p.table+" WHERE "+p.where, p.keyArgs(c.Source, k)...)
		}
	}
	for i, u := range parts.single {
		if rows[i] == nil {
			continue
		}
		q := a.put(p, c, u, rows[i])
		if u.Base != nil {
			q.QueryRow(func(row pgx.Row) error { return d.look(row, c.Table.Key, u) })
		}
	}
	// One send per table, so that an error says which table it lies in.
	if err := a.send(ctx); err != nil {
		return err
	}
	if !c.Loading && !c.Late {
		a.anomaly(c, "ROW_MISSING", d.missing.rows, d.missing.first, "")
	}
	a.anomaly(c, "ROW_OF_ANOTHER", d.others.rows, d.others.first, "")
	a.anomaly(c, "VALUE_NULLED", c.Nulled.Values, c.Nulled.First, c.Nulled.Detail)
	return nil
}

// claimNothing has rows that a load reads again, and that the source had before, or that come
// late, touched only where the source owns them: another one may have inserted the key since.
func claimNothing(c *worker.TableChange) {
	for i := range c.Upserts {
		u := &c.Upserts[i]
		if u.Base != nil || !c.Late && (u.Op != event.Read || u.New) {
			continue
		}
		u.New = false
		for _, k := range c.Table.Key {
			u.Base = append(u.Base, u.Values[k])
		}
	}
}

// put queues the statement for one row. One that its source had before is only touched
// if the source owns it.
func (a *applying) put(p *plan, c *worker.TableChange, u *worker.NetRow, values []any) *pgx.QueuedQuery {
	sql := p.upsert
	if u.Base != nil {
		sql = p.touch
	}
	return a.queue.Queue(sql, a.stamp(p, values, u)...)
}

// stamp adds the lineage to a row's columns, as plan.upsert takes it.
func (a *applying) stamp(p *plan, row []any, u *worker.NetRow) []any {
	row = append(row, p.schema.Source, u.Position.String(), string(rune(u.Op)), u.Committed, a.id)
	if p.schema.Append {
		row = append(row, int64(u.Order))
	}
	return row
}

func (p *plan) keyArgs(source string, values []event.Value) []any {
	args := []any{source}
	for n, i := range p.schema.Key {
		args = append(args, argument(p.schema.Columns[i].Type.Kind, values[n]))
	}
	return args
}

// row renders a row's columns; absent ones come from the row under its base key. It gives
// nil if that isn't loaded yet, or another source has taken the key.
func (a *applying) row(ctx context.Context, p *plan, c *worker.TableChange, u *worker.NetRow) ([]any, error) {
	args := make([]any, len(c.Table.Columns), len(c.Table.Columns)+6)
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
		if c.Loading || p.shared() {
			return nil, nil
		}
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
