package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/postgres/pgoutput"
	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// loader implements snapshot.Source.
type loader struct {
	r        *Reader  // with a session of its own
	snapshot string   // the function that tells a view's transactions
	barrier           // of a table that was added
	types    []uint32 // of the columns of the last answer
	proven   []uint32 // types that are those of the table that provenOf describes
	provenOf *schema.Table
}

// Source connects to the reader's database to load tables.
func (r *Reader) Source(ctx context.Context) (snapshot.Source, error) {
	aux, err := New(r.o)
	if err != nil {
		return nil, err
	}
	aux.additions.Reset(r.additions.List())
	l := &loader{r: aux}
	if err := l.open(ctx); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *loader) open(ctx context.Context) error {
	var err error
	if l.r.sql, err = l.r.connect(ctx); err != nil {
		return connection("connect to load tables", err)
	}
	var standby bool
	err = l.r.sql.QueryRow(ctx, `SELECT CASE WHEN current_setting('server_version_num')::int >= 130000 THEN 'pg_current_snapshot' ELSE 'txid_current_snapshot' END, pg_is_in_recovery()`).Scan(&l.snapshot, &standby)
	if err != nil {
		return connection("read settings", err)
	}
	if standby {
		return &capture.Coded{Code: "PG_STANDBY", Hint: "load the tables from the primary", Err: fmt.Errorf("a standby's views say nothing of the primary's log: %w", capture.ErrSettings)}
	}
	return nil
}

// Close implements snapshot.Source.
func (l *loader) Close() error { return l.r.Close() }

// publishedTables gives what the publication holds, or one table of it, with the columns that its stream
// has: those that the view names, from PostgreSQL 15 on, without those that the server
// computes, before 18 (15 to 17 name them although they aren't sent).
const publishedTables = `
SELECT c.oid, n.nspname::text, c.relname::text, c.relreplident::text, c.reltuples::bigint, a.names, a.types, a.mods, a.keys
FROM pg_publication_tables p JOIN pg_namespace n ON n.nspname = p.schemaname JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename,
  LATERAL (SELECT coalesce(array_agg(attname::text ORDER BY attnum), '{}') AS names, coalesce(array_agg(atttypid ORDER BY attnum), '{}') AS types,
    coalesce(array_agg(atttypmod ORDER BY attnum), '{}') AS mods, coalesce(array_agg(EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND a.attnum = ANY (i.indkey)
      AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END) ORDER BY attnum), '{}') AS keys FROM pg_attribute a
    WHERE a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND coalesce(to_jsonb(p)->'attnames' ? attname::text, true)
      AND (current_setting('server_version_num')::int >= 180000 OR coalesce(to_jsonb(a)->>'attgenerated', '') = '')) a
WHERE p.pubname = $1 AND $2::text IN ('', current_database() || '.' || n.nspname || '.' || c.relname) ORDER BY 2, 3`

// Tables implements snapshot.Source. It lists what the publication holds.
func (l *loader) Tables(ctx context.Context) ([]snapshot.Table, error) { return l.Table(ctx, "") }

// Table implements snapshot.Describer. Without an ID it gives all tables.
func (l *loader) Table(ctx context.Context, id string) ([]snapshot.Table, error) {
	rows, err := l.r.sql.Query(ctx, publishedTables, l.r.o.Publication, id)
	if err != nil {
		return nil, connection("list tables", err)
	}
	type entry struct {
		m        pgoutput.Msg
		estimate int64
	}
	var list []entry
	var e entry
	var ident string
	var columns []string
	var types []uint32
	var mods []int32
	var keys []bool
	_, err = pgx.ForEachRow(rows, []any{&e.m.RelationID, &e.m.Namespace, &e.m.Name, &ident, &e.estimate, &columns, &types, &mods, &keys}, func() error {
		e.m.Identity, e.m.Columns = ident[0], nil
		for i, name := range columns {
			e.m.Columns = append(e.m.Columns, pgoutput.Column{Name: name, TypeOID: types[i], Modifier: mods[i], Key: keys[i]})
		}
		list = append(list, e)
		return nil
	})
	if err != nil {
		return nil, connection("list tables", err)
	}
	var out []snapshot.Table
	for i := range list {
		l.r.relations = map[uint32]*relation{}
		rel, err := l.r.announce(ctx, &list[i].m)
		if err != nil {
			return nil, err
		}
		t := snapshot.Table{ID: l.r.o.Database + "." + list[i].m.Namespace + "." + list[i].m.Name, Schema: rel.table, Rows: list[i].estimate}
		if rel.stop != nil {
			t.Refused = rel.stop.Reason
		}
		if t.Schema != nil || t.Refused != "" { // else nobody has asked for it
			out = append(out, t)
		}
	}
	return out, nil
}

// Read implements snapshot.Source.
func (l *loader) Read(ctx context.Context, r snapshot.Request) (*snapshot.Chunk, error) {
	if l.r.sql == nil || l.r.sql.IsClosed() {
		if err := l.open(ctx); err != nil {
			return nil, err
		}
	}
	if err := l.renew(ctx, r.Table); err != nil {
		return nil, err
	}
	l.types = nil
	c, err := l.view(ctx, &r)
	var high uint64
	if l.r.sql.IsClosed() { // a chunk that was cut short has closed it
		if oerr := l.open(ctx); oerr != nil {
			return nil, errors.Join(err, oerr)
		}
		if err == nil {
			high, err = l.r.logEnd(ctx)
		}
	} else {
		var lerr error
		if high, lerr = l.leave(ctx, err == nil); lerr != nil {
			return nil, errors.Join(err, lerr)
		}
	}
	if terr := l.prove(ctx, r.Table); terr != nil { // it says why values couldn't be read
		return nil, terr
	}
	if err != nil {
		return nil, err
	}
	c.High = event.Place{Offset: high}
	return c, nil
}

// leave ends the view and gives the log's end if it is wanted. That must be read behind the
// rows: a table that is rewritten after its view was opened shows that view no row (manual,
// 13.6 "Caveats"), and is read again because its alteration lies before the chunk's high mark.
func (l *loader) leave(ctx context.Context, wanted bool) (uint64, error) {
	var end pgtypeLSN
	var failed error
	if wanted {
		text, err := l.ask(ctx, logEnd+"; ROLLBACK", 0)
		if err == nil {
			err = end.Scan(text)
		}
		if err == nil {
			return uint64(end), nil
		}
		if failed = connection("read the end of the log", err); l.r.sql.IsClosed() {
			return 0, failed
		}
	}
	if _, err := l.r.sql.Exec(ctx, "ROLLBACK"); err != nil { // behind an error it hasn't been run
		failed = errors.Join(failed, connection("end the view", err))
	}
	return 0, failed
}

// ask sends statements together, which costs one way there and back, and gives the value that
// the n-th of them, from 0, answers.
func (l *loader) ask(ctx context.Context, statements string, n int) (string, error) {
	results, err := l.r.sql.PgConn().Exec(ctx, statements).ReadAll()
	if err != nil {
		return "", err
	}
	if n >= len(results) || len(results[n].Rows) != 1 || len(results[n].Rows[0]) != 1 {
		return "", fmt.Errorf("%q answers otherwise: %w", statements, pgoutput.ErrMalformed)
	}
	return string(results[n].Rows[0][0]), nil
}

func (l *loader) view(ctx context.Context, r *snapshot.Request) (*snapshot.Chunk, error) {
	text, err := l.ask(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT "+l.snapshot+"()::text", 1)
	if err != nil {
		return nil, connection("open a view", err)
	}
	seen, err := parseView(text)
	if err != nil {
		return nil, err
	}
	for _, id := range r.Delivered.Txns {
		xid, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("transaction %q: %w", id, err)
		}
		if !seen.shows(uint32(xid)) {
			return nil, fmt.Errorf("transaction %s can't be seen: %w", id, snapshot.ErrView)
		}
	}
	if r.Delivered.Unnamed {
		if err := l.passes(&seen); err != nil {
			return nil, err
		}
	}
	return l.rows(ctx, r)
}

// view is a snapshot in PostgreSQL's sense (manual, 9.27.9 "Transaction ID and Snapshot
// Information"): transactions from max on, and those in running, can't be seen; min is
// the oldest that goes on.
type view struct {
	min     uint64
	max     uint64
	running []uint64
}

func parseView(text string) (v view, err error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return v, fmt.Errorf("snapshot %q: %w", text, pgoutput.ErrMalformed)
	}
	if v.min, err = strconv.ParseUint(parts[0], 10, 64); err != nil {
		return v, fmt.Errorf("snapshot %q: %w", text, err)
	}
	if v.max, err = strconv.ParseUint(parts[1], 10, 64); err != nil {
		return v, fmt.Errorf("snapshot %q: %w", text, err)
	}
	for _, x := range strings.Split(parts[2], ",") {
		if x == "" {
			continue
		}
		n, err := strconv.ParseUint(x, 10, 64)
		if err != nil {
			return v, fmt.Errorf("snapshot %q: %w", text, err)
		}
		v.running = append(v.running, n)
	}
	return v, nil
}

// shows reports whether a transaction, by the lower half of its id, can be seen. Ids
// that could be compared lie within 2^31 of each other.
func (v *view) shows(xid uint32) bool {
	d := int32(xid - uint32(v.max))
	return d < 0 && !slices.Contains(v.running, v.max+uint64(int64(d)))
}

// mostLeft is how many bytes of an answer are read for nothing so that the connection can
// stay: about what a new one costs.
const mostLeft = 1 << 20

// errFull ends a session whose answer is too long to be read for nothing.
var errFull = errors.New("the chunk is full")

// rows reads the chunk's rows, each value in the form that costs both sides least. A chunk
// that is full long before its rows are all ends the connection.
func (l *loader) rows(ctx context.Context, r *snapshot.Request) (*snapshot.Chunk, error) {
	sql, err := selectSQL(r)
	if err != nil {
		return nil, err
	}
	session := l.r.sql.PgConn()
	from, ok := session.CustomData()[tapped].(*tap)
	if !ok {
		return nil, errors.New("a session whose rows can't be taken")
	}
	plan, m := planRows(r.Table), r.Fresh()
	c, left, full := &snapshot.Chunk{Rows: m.Rows, Coded: m.Coded, Decode: plan.row}, 0, false
	from.take(func(b []byte) error {
		if full {
			if left += len(b); left > mostLeft {
				return errFull
			}
			return nil
		}
		m.Expect(len(b))
		err = c.Take(m.Arena.Copy(b), r, m)
		full = c.Bytes >= r.Bytes && c.Len() < r.Rows
		return err
	})
	answer := session.ExecParams(ctx, sql, nil, nil, nil, plan.formats)
	for _, f := range answer.FieldDescriptions() {
		l.types = append(l.types, f.DataTypeOID)
	}
	_, failed := answer.Close()
	from.take(nil)
	switch pe := (*pgconn.PgError)(nil); {
	case err != nil:
		return nil, err
	case left > mostLeft:
	case errors.As(failed, &pe) && (pe.Code == "42P01" || pe.Code == "42703"): // undefined table, column
		return nil, fmt.Errorf("read table %s: %w: %w: %w", r.Table.ID(), snapshot.ErrTable, capture.ErrConnection, failed)
	case failed != nil:
		return nil, connection("read table "+r.Table.ID(), failed)
	}
	return c, c.Finish(r, full)
}

// prove checks that the last answer had the types of the table that it was read as. A table
// that is altered between its description and its rows gives the bytes of one type where
// another is expected. Of a domain the answer has the base type, as the description does.
func (l *loader) prove(ctx context.Context, t *schema.Table) error {
	if l.types == nil || t == l.provenOf && slices.Equal(l.types, l.proven) {
		return nil
	}
	rows, err := l.r.sql.Query(ctx, `SELECT coalesce(format_type(typ, NULL), '') FROM unnest($1::oid[]) WITH ORDINALITY u(typ, n) ORDER BY n`, l.types)
	if err != nil {
		return connection("look at the types of table "+t.ID(), err)
	}
	natives, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return connection("look at the types of table "+t.ID(), err)
	}
	for i, native := range natives {
		if c := &t.Columns[i]; native != c.Type.Native {
			return fmt.Errorf("column %q of table %s is %s now, was %s: %w: %w", c.Name, t.ID(), native, c.Type.Native, snapshot.ErrTable, capture.ErrConnection)
		}
	}
	l.proven, l.provenOf = l.types, t
	return nil
}

// selectSQL reads a chunk in the order of the key.
func selectSQL(r *snapshot.Request) (string, error) {
	t := r.Table
	var cols, names []string
	for _, c := range t.Columns {
		cols = append(cols, pgx.Identifier{c.Name}.Sanitize())
	}
	for _, i := range t.Key {
		names = append(names, cols[i])
	}
	row := func(n int) string { return "(" + strings.Join(names[:n], ", ") + ")" }
	sql := "SELECT " + strings.Join(cols, ", ") + " FROM " + pgx.Identifier{t.Schema, t.Name}.Sanitize()
	if r.Keys != nil {
		var tuples []string
		for _, k := range r.Keys {
			text, err := literals(t, k)
			if err != nil {
				return "", err
			}
			tuples = append(tuples, text)
		}
		return sql + " WHERE " + row(len(names)) + " IN (" + strings.Join(tuples, ", ") + ")", nil
	}
	var conditions []string
	condition := func(operation string, values []event.Value) error {
		if len(values) == 0 {
			return nil
		}
		text, err := literals(t, values)
		conditions = append(conditions, row(len(values))+" "+operation+" "+text)
		return err
	}
	err := condition(">", r.After)
	if r.Range != nil {
		err = errors.Join(err, condition(">=", r.Range.From), condition("<=", r.Range.To))
	}
	if err != nil {
		return "", err
	}
	if len(conditions) > 0 {
		sql += " WHERE " + strings.Join(conditions, " AND ")
	}
	return fmt.Sprintf("%s ORDER BY %s LIMIT %d", sql, strings.Join(names, ", "), r.Rows), nil
}
