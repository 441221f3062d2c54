package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/stream/event"
)

// Trace is the way of one row of a store.
type Trace struct {
	Source    string          `json:"source"`
	Row       json.RawMessage `json:"row"` // as the store has it, stamp included
	Position  event.Position  `json:"position"`
	Op        string          `json:"op"`
	Committed time.Time       `json:"committed_at"` // at the source
	Applied   time.Time       `json:"applied_at"`   // in the store
	Batch     TracedBatch     `json:"batch"`
	// File is the source's log file of the position, empty where it has none.
	File string `json:"file,omitempty"`
	// TxnID is the source's own name of the batch's last transaction.
	TxnID string `json:"last_transaction"`
}

// TracedBatch is the store transaction that wrote a row last.
type TracedBatch struct {
	ID        int64  `json:"id"`
	Partition string `json:"partition"`
	First     int64  `json:"first_offset"`
	Last      int64  `json:"last_offset"`
	Worker    string `json:"worker"`
	Fence     int64  `json:"fence"`
	From      string `json:"from_position"`
	To        string `json:"to_position"`
	Partial   bool   `json:"partial"`
	// Hops are the relays that the source's rows of the batch have passed, in order.
	Hops []string `json:"hops,omitempty"`
}

// Trace finds the rows of a dataset's table under a key, one per source that has it.
// The key's values come in the order of the table's key, without the source. No row
// is no error.
func (s *Store) Trace(ctx context.Context, dataset string, key []string) ([]Trace, error) {
	c, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }() // only read from
	return s.trace(ctx, c, dataset, key)
}

// ErrKeyValues says that the store's table has another number of key columns.
var ErrKeyValues = errors.New("the table has another key")

// ErrNoTable says that the store has no table of a name.
var ErrNoTable = errors.New("the store has no table of this name")

// trace looks into the dataset's table and into the mirrors of that name.
func (s *Store) trace(ctx context.Context, c *pgx.Conn, dataset string, key []string) ([]Trace, error) {
	rows, err := c.Query(ctx, `SELECT schema FROM tributary.target WHERE name = $1 AND to_regclass(format('%I.%I', schema, name)) IS NOT NULL UNION SELECT $2 WHERE to_regclass($3) IS NOT NULL ORDER BY 1`,
		dataset, s.o.Schema, ident(s.o.Schema, dataset))
	if err != nil {
		return nil, fmt.Errorf("trace %s: %w", dataset, err)
	}
	schemas, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("trace %s: %w", dataset, err)
	}
	if len(schemas) == 0 {
		return nil, fmt.Errorf("trace %s: %w", dataset, ErrNoTable)
	}
	var all []Trace
	for _, name := range schemas {
		found, err := traceIn(ctx, c, ident(name, dataset), key)
		if err != nil {
			return nil, fmt.Errorf("trace %s.%s: %w", name, dataset, err)
		}
		all = append(all, found...)
	}
	slices.SortStableFunc(all, func(a, b Trace) int { return strings.Compare(a.Source, b.Source) })
	return all, nil
}

func traceIn(ctx context.Context, c *pgx.Conn, table string, key []string) ([]Trace, error) {
	rows, err := c.Query(ctx, `SELECT quote_ident(a.attname), format_type(a.atttypid, a.atttypmod) FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY k(n, o)
		JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n WHERE i.indrelid = $1::regclass AND i.indisprimary AND a.attname <> '_source' ORDER BY o`, table)
	if err != nil {
		return nil, err
	}
	type column struct{ Name, Type string }
	cols, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	if err != nil {
		return nil, err
	}
	if len(cols) != len(key) {
		names := make([]string, len(cols))
		for i, c := range cols {
			names[i] = c.Name
		}
		return nil, fmt.Errorf("%w: (%s), %d values are given", ErrKeyValues, strings.Join(names, ", "), len(key))
	}
	where, args := make([]string, len(cols)), make([]any, len(cols))
	for i, c := range cols {
		where[i], args[i] = fmt.Sprintf("t.%s = $%d::text::%s", c.Name, i+1, c.Type), key[i]
	}
	rows, err = c.Query(ctx, `SELECT t._source, to_jsonb(t)::text, t._position, t._op, t._committed_at, t._applied_at, b.id, b.partition, b.first_offset, b.last_offset,
		b.worker, b.fence, b.partial, s.from_position, s.to_position, s.txn_id, p.file, s.hops FROM `+table+` t JOIN tributary.batch b ON b.id = t._batch
		JOIN tributary.batch_source s ON s.batch = b.id AND s.source = t._source JOIN tributary.progress p ON p.source = t._source WHERE `+strings.Join(where, " AND "), args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanTrace)
}

func scanTrace(row pgx.CollectableRow) (Trace, error) {
	var t Trace
	var image, position, file string
	err := row.Scan(&t.Source, &image, &position, &t.Op, &t.Committed, &t.Applied, &t.Batch.ID, &t.Batch.Partition, &t.Batch.First, &t.Batch.Last,
		&t.Batch.Worker, &t.Batch.Fence, &t.Batch.Partial, &t.Batch.From, &t.Batch.To, &t.TxnID, &file, &t.Batch.Hops)
	if err != nil {
		return t, err
	}
	t.Row = json.RawMessage(image)
	if t.Position, err = event.ParsePosition(position); err != nil {
		return t, err
	}
	// A binlog's files differ by their number, at least six digits wide (MySQL and
	// MariaDB manuals, "The Binary Log").
	if base, _, ok := strings.Cut(file, "."); ok && t.Position.File > 0 {
		t.File = fmt.Sprintf("%s.%06d", base, t.Position.File)
	}
	return t, nil
}

// Command is what shows the row's event at the source, without us: mariadb-binlog
// for a binlog, pg_waldump for PostgreSQL's WAL.
func (t *Trace) Command() string {
	if t.File != "" {
		return fmt.Sprintf("mariadb-binlog --read-from-remote-server --host=HOST --port=PORT --user=USER --password --verbose --base64-output=decode-rows --start-position=%d %s | sed '/^COMMIT/q'",
			t.Position.Offset, t.File)
	}
	const segment = 16 << 20 // bytes of a WAL segment (PostgreSQL manual, "WAL Internals")
	lsn := func(n uint64) string { return fmt.Sprintf("%X/%X", n>>32, uint32(n)) }
	return fmt.Sprintf(`pg_waldump --path="$PGDATA/pg_wal" --start=%s --end=%s`, lsn(t.Position.Offset/segment*segment), lsn(t.Position.Offset+64))
}
