package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// maxRefused is the number of rows of one table and batch above which the trouble
// is taken to lie in the table.
const maxRefused = 1000

// refusesRow tells errors that may lie in single rows: data exceptions, broken constraints
// (classes 22 and 23), and rows that are too large. A value that isn't of its type, and a column that
// the source doesn't have, concern the table.
func refusesRow(t *schema.Table, pe *pgconn.PgError) bool {
	switch pe.Code {
	case "22P02", "22P03", "22007": // no text, no binary, no date and time of the type
		return false
	case rowTooLarge:
		return true
	case "23502": // not null
		return t.Column(pe.ColumnName) >= 0
	}
	return strings.HasPrefix(pe.Code, "22") || strings.HasPrefix(pe.Code, "23")
}

// mayLieInRows tells whether it is worth to look for the rows that an error means.
func mayLieInRows(err error, tables []worker.TableChange) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && slices.ContainsFunc(tables, func(c worker.TableChange) bool { return refusesRow(c.Table, pe) })
}

// diagnose finds the rows that the store refuses by writing all of them one way or
// another, within a transaction that the caller rolls back. Without a refused row the
// result is nil: what was wrong lies elsewhere.
func (a *applying) diagnose(ctx context.Context, tables []worker.TableChange) (*worker.RowsError, error) {
	var all worker.RowsError
	if _, err := a.conn.Exec(ctx, "SET CONSTRAINTS ALL IMMEDIATE"); err != nil {
		return nil, err
	}
	for i := range tables {
		if err := a.probe(ctx, &tables[i], &all); err != nil {
			return nil, refusal(tables[i].Table, err)
		}
	}
	if len(all.Rows) == 0 {
		return nil, nil
	}
	return &all, nil
}

// probe writes one table's changes by statements, and leaves out what is refused.
func (a *applying) probe(ctx context.Context, c *worker.TableChange, all *worker.RowsError) error {
	p := a.plan(c.Table)
	rows := make([][]any, len(c.Upserts))
	for i := range c.Upserts { // before anything is removed
		var err error
		if rows[i], err = a.row(ctx, p, c, &c.Upserts[i]); err != nil {
			return err
		}
	}
	if c.Truncate {
		if _, err := a.conn.Exec(ctx, "DELETE FROM "+p.table+" WHERE _source = $1", c.Source); err != nil {
			return err
		}
	}
	s := search{a: a, table: c.Table, all: all, limit: len(all.Rows) + maxRefused}
	s.queue = func(i int) {
		a.queue.Queue("DELETE FROM "+p.table+" WHERE "+p.where, p.keyArgs(c.Source, c.Deletes[i])...)
	}
	s.key = func(i int) []event.Value { return c.Deletes[i] }
	if err := s.run(ctx, 0, len(c.Deletes)); err != nil {
		return err
	}
	s.queue = func(i int) {
		if rows[i] != nil {
			a.put(p, c, &c.Upserts[i], rows[i])
		}
	}
	s.key = func(i int) []event.Value {
		if c.Table.Append {
			return worker.AppendedKey(&c.Upserts[i])
		}
		key := make([]event.Value, len(c.Table.Key))
		for n, col := range c.Table.Key {
			key[n] = c.Upserts[i].Values[col]
		}
		return key
	}
	return s.run(ctx, 0, len(c.Upserts))
}

// search finds the refused ones among statements by halves.
type search struct {
	a     *applying
	table *schema.Table
	queue func(int)
	key   func(int) []event.Value
	all   *worker.RowsError
	limit int
}

// run executes the statements from lo to hi but for those that are refused.
func (s *search) run(ctx context.Context, lo, hi int) error {
	if lo >= hi {
		return nil
	}
	s.a.queue.Queue("SAVEPOINT half")
	for i := lo; i < hi; i++ {
		s.queue(i)
	}
	s.a.queue.Queue("RELEASE SAVEPOINT half")
	err := s.a.send(ctx)
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || !refusesRow(s.table, pe) {
		return err
	}
	for _, sql := range []string{"ROLLBACK TO SAVEPOINT half", "RELEASE SAVEPOINT half"} {
		if _, err := s.a.conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	if hi-lo > 1 {
		mid := (lo + hi) / 2
		if err := s.run(ctx, lo, mid); err != nil {
			return err
		}
		return s.run(ctx, mid, hi)
	}
	if len(s.all.Rows) == s.limit {
		return fmt.Errorf("more than %d rows are refused, one of them: %w", maxRefused, err)
	}
	s.all.Rows = append(s.all.Rows, worker.Refusal{Table: s.table, Key: s.key(lo), Code: pe.Code, Text: pe.Message})
	return nil
}

// hold writes what a batch has for a key in quarantine.
func (a *applying) hold(q *worker.Quarantined) error {
	key, err := keyText(q.Table, q.Key)
	if err != nil {
		return err
	}
	var row *string
	if q.Row != nil {
		text, err := rowText(q.Table, q.Row)
		if err != nil {
			return err
		}
		row = &text
	}
	a.queue.Queue(`INSERT INTO tributary.quarantine AS q (source, "table", key_bytes, dataset, key, position, op, "row", code, error, batch, followers, last_position)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::bigint - 1, $13) ON CONFLICT (source, "table", key_bytes) DO UPDATE
		SET followers = q.followers + $12::bigint, last_position = excluded.last_position, last_op = excluded.op, last_row = excluded."row", last_batch = excluded.batch`,
		q.Table.Source, q.Table.ID(), []byte(q.ID), q.Table.Dataset, key, q.First.String(), string(rune(q.Op)), row, q.Code, q.Text, a.id, int64(q.Changes), q.Last.String())
	return nil
}

// keyText is a key as a JSON array.
func keyText(t *schema.Table, key []event.Value) (string, error) {
	out := make([]any, len(key))
	for n, kind := range worker.KeyKinds(t) {
		out[n] = jsonValue(kind, key[n])
	}
	return jsonText(t, out)
}

// rowText is a row as a JSON object in the order of its columns, without absent ones.
func rowText(t *schema.Table, values []event.Value) (string, error) {
	var fields []string
	for i, v := range values {
		if v.State == event.Absent {
			continue
		}
		name, err := jsonText(t, t.Columns[i].Name)
		if err != nil {
			return "", err
		}
		value, err := jsonText(t, jsonValue(t.Columns[i].Type.Kind, v))
		if err != nil {
			return "", err
		}
		fields = append(fields, name+":"+value)
	}
	return "{" + strings.Join(fields, ",") + "}", nil
}

func jsonText(t *schema.Table, v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", fmt.Errorf("value of table %s as JSON: %w", t.ID(), err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// jsonValue is a value as JSON has it; what JSON's numbers can't hold is text.
func jsonValue(k schema.Kind, v event.Value) any {
	arg := argument(k, v)
	switch f := arg.(type) {
	case float64:
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Sprint(f)
		}
	case float32:
		if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
			return fmt.Sprint(f)
		}
	}
	return arg
}

// heldKeys reads the keys in quarantine.
func heldKeys(ctx context.Context, c *pgx.Conn) ([]worker.QuarantinedKey, error) {
	rows, err := c.Query(ctx, `SELECT source, "table", key_bytes FROM tributary.quarantine`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (worker.QuarantinedKey, error) {
		var k worker.QuarantinedKey
		var id []byte
		err := row.Scan(&k.Source, &k.Table, &id)
		k.ID = string(id)
		return k, err
	})
}
