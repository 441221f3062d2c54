package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Viewer reads a store for people, on one connection that can't write. It connects
// when it is asked, and again after a failure. It is safe for concurrent use; one
// question is answered at a time.
type Viewer struct {
	s    *Store
	turn chan struct{}
	conn *pgx.Conn
}

// Viewer makes one. It is closed apart from the store.
func (s *Store) Viewer() *Viewer { return &Viewer{s: s, turn: make(chan struct{}, 1)} }

// Recent is a source transaction that the store has.
type Recent struct {
	Batch     int64
	Source    string
	From, To  string // positions; the batch moved the source from the one to the other
	Position  string // of the transaction
	TxnID     string // the source's own name of it
	Partition string
	Offset    int64 // of its commit record in the log
	Rows      int   // that it changed, before merging
	Partial   bool  // rows of stopped tables are missing in the batch
	Applied   time.Time
}

// Dataset is a dataset's table with the columns of its key, without the source.
type Dataset struct {
	Name string
	Key  []string
}

// lookBack bounds the batches among which those of some topics are looked for.
const lookBack = 20_000

// Recent gives the last transactions, at most worker.MaxEnds of a source in a batch, of the
// n newest batches, the newest first; with topics those from these topics, of the last
// 20,000 batches. Changes that a table kept while it was stopped count as one.
func (v *Viewer) Recent(ctx context.Context, n int, topics []string) (found []Recent, err error) {
	err = v.ask(ctx, func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, `SELECT b.id, s.source, s.from_position, s.to_position, e.position, e.id, b.partition, e.commit, e.rows, b.partial, b.applied_at
			FROM (SELECT * FROM tributary.batch WHERE $2::text[] IS NULL OR id > (SELECT max(id) FROM tributary.batch) - $3 AND `+ofTopics("partition", 2)+`
				ORDER BY id DESC LIMIT $1) b JOIN tributary.batch_source s ON s.batch = b.id,
			unnest(coalesce(s.ends, ARRAY[s.to_position]), coalesce(s.end_ids, ARRAY[s.txn_id]), coalesce(s.end_offsets, ARRAY[b.last_offset]), coalesce(s.end_rows, ARRAY[b.rows])) e (position, id, commit, rows)
			ORDER BY b.id DESC, e.commit DESC, s.source`, n, topics, lookBack)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Recent])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the newest batches: %w", err)
	}
	return found, nil
}

// ofTopics is the condition that a partition is one of the topics of a parameter.
func ofTopics(column string, n int) string {
	return fmt.Sprintf("split_part(%s, '/', 1) = ANY($%d::text[])", column, n)
}

// Datasets gives the tables of the store, by name; with topics those that sources of these
// topics have. Mirrors of one name are one.
func (v *Viewer) Datasets(ctx context.Context, topics []string) (found []Dataset, err error) {
	err = v.ask(ctx, func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, `SELECT DISTINCT ON (t.relname) t.relname, ARRAY(SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY k(n, o)
				JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.n WHERE a.attname <> '_source' ORDER BY k.o)
			FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace JOIN pg_index i ON i.indrelid = t.oid AND i.indisprimary
			WHERE (n.nspname = $1 OR EXISTS (SELECT FROM tributary.target m WHERE m.schema = n.nspname AND m.name = t.relname))
			AND t.relkind IN ('r', 'p') AND EXISTS (SELECT FROM pg_attribute s WHERE s.attrelid = t.oid AND s.attname = '_source' AND NOT s.attisdropped)
			AND ($2::text[] IS NULL OR EXISTS (SELECT FROM tributary.target m JOIN tributary.progress p USING (source) WHERE m.name = t.relname AND `+ofTopics("p.partition", 2)+`))
			ORDER BY t.relname, n.nspname <> $1, n.nspname`, v.s.o.Schema, topics)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Dataset])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the store's tables: %w", err)
	}
	return found, nil
}

// Trace is Store.Trace on the viewer's connection.
func (v *Viewer) Trace(ctx context.Context, dataset string, key []string) (found []Trace, err error) {
	err = v.ask(ctx, func(c *pgx.Conn) error {
		found, err = v.s.trace(ctx, c, dataset, key)
		return err
	})
	return found, err
}

// deadlocks is how often a question is asked anew that the server has ended because of a
// deadlock. A worker that starts changes tables and views in the order in which they depend on
// each other, while a question locks them in the order in which it names them; neither can have
// the other's.
const deadlocks = 3

// ask waits for the viewer's turn, connects if need be, and lets f ask, once more after a
// deadlock: it changes nothing.
func (v *Viewer) ask(ctx context.Context, f func(*pgx.Conn) error) error {
	select {
	case v.turn <- struct{}{}:
		defer func() { <-v.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if v.conn == nil || v.conn.IsClosed() {
		config := v.s.config.Copy()
		config.RuntimeParams["application_name"] = "tributary-view"
		config.RuntimeParams["default_transaction_read_only"] = "on"
		c, err := v.s.dial(ctx, config)
		if err != nil {
			return err
		}
		v.conn = c
	}
	for n := 0; ; n++ {
		err := f(v.conn)
		if pe, ok := errors.AsType[*pgconn.PgError](err); !ok || pe.Code != "40P01" || n == deadlocks {
			return err
		}
	}
}

// Close ends the connection. No question may be asked any more.
func (v *Viewer) Close(ctx context.Context) error {
	v.turn <- struct{}{}
	if v.conn == nil {
		return nil
	}
	return v.conn.Close(ctx)
}
