package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/worker"
)

// large implements worker.Large on a connection of its own, which the claim names
// beside the partition's: a new holder ends both.
type large struct {
	a     *applying
	claim worker.Claim
	// staged are the plans whose staging tables were there before the piece.
	staged map[*plan]bool
}

// Begin implements worker.Store.
func (s *Store) Begin(ctx context.Context, claim worker.Claim) (worker.Large, error) {
	c, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	t := &large{claim: claim, staged: map[*plan]bool{}, a: &applying{lane: &lane{conn: c, plans: map[*schema.Table]*plan{}}, store: s, queue: &pgx.Batch{}}}
	if err := t.begin(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("begin a large transaction in %s: %w", claim.Partition, classify(err, false)), t.Close())
	}
	return t, nil
}

func (t *large) begin(ctx context.Context) error {
	tag, err := t.a.conn.Exec(ctx, `UPDATE tributary.claim SET backend = split_part(backend, ',', 1) || ',' || `+self+` WHERE partition = $1 AND fence = $2`,
		t.claim.Partition.String(), t.claim.Fence)
	if err != nil {
		return err
	}
	if tag.RowsAffected() != 1 {
		return worker.ErrClaimLost
	}
	t.a.begin(t.claim)
	t.a.queue.Queue("SET CONSTRAINTS ALL IMMEDIATE") // a refused row must show with its piece
	t.a.queue.Queue(nextBatch + ", clock_timestamp()").QueryRow(func(row pgx.Row) error {
		var at time.Time
		err := row.Scan(&t.a.id, &at)
		seen := time.Now()
		t.a.now = func() time.Time { return at.Add(time.Since(seen)) }
		return err
	})
	return t.a.send(ctx)
}

// Write implements worker.Large. The staging tables keep their rows until the
// transaction ends, so they are emptied first.
func (t *large) Write(ctx context.Context, tables []worker.TableChange, q []worker.Quarantined, held []worker.Held) error {
	t.a.queue.Queue("SAVEPOINT piece")
	clear(t.staged)
	for _, p := range t.a.plans {
		if p.inUse {
			t.staged[p] = true
			t.a.queue.Queue("TRUNCATE " + p.stage)
		}
	}
	err := t.write(ctx, tables, q, held)
	if mayLieInRows(err, tables) {
		err = errors.Join(t.blame(ctx, tables, err), t.restart(ctx))
	}
	if err != nil {
		return fmt.Errorf("apply a piece to %s: %w", t.claim.Partition, classify(err, false))
	}
	return nil
}

func (t *large) write(ctx context.Context, tables []worker.TableChange, q []worker.Quarantined, held []worker.Held) error {
	for i := range q {
		if err := t.a.hold(&q[i]); err != nil {
			return err
		}
	}
	for i := range held {
		if err := t.a.held(&held[i]); err != nil {
			return err
		}
	}
	if err := t.a.changes(ctx, tables); err != nil {
		return err
	}
	_, err := t.a.conn.Exec(ctx, "RELEASE SAVEPOINT piece")
	return err
}

// restart brings the transaction back to where the piece began.
func (t *large) restart(ctx context.Context) error {
	t.a.queue = &pgx.Batch{}
	for _, p := range t.a.plans { // a staging table that the piece has made goes with it
		p.inUse = t.staged[p]
	}
	_, err := t.a.conn.Exec(ctx, "ROLLBACK TO SAVEPOINT piece")
	return err
}

// blame finds out which rows of a piece the store refuses.
func (t *large) blame(ctx context.Context, tables []worker.TableChange, cause error) error {
	err := t.restart(ctx)
	if err == nil {
		var rows *worker.RowsError
		if rows, err = t.a.diagnose(ctx, tables); rows != nil {
			return rows
		}
	}
	if err != nil {
		return err
	}
	return cause
}

// Commit implements worker.Large.
func (t *large) Commit(ctx context.Context, b *worker.Batch) error {
	err := t.a.book(b)
	if err == nil {
		err = t.a.loads(ctx, b.Loads)
	}
	if err != nil {
		return fmt.Errorf("apply to %s: %w", t.claim.Partition, classify(err, false))
	}
	if err := t.a.lane.commit(ctx, t.claim); err != nil {
		return err
	}
	t.a.store.stale(t.claim.Partition)
	return nil
}

// Close implements worker.Large: the server rolls back what a connection leaves.
func (t *large) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := t.a.conn.Close(ctx); err != nil {
		return fmt.Errorf("close the connection of a large transaction: %w", err)
	}
	return nil
}
