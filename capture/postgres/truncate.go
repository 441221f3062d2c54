package postgres

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/stream/event"
)

// A server whose publications don't know TRUNCATE (PostgreSQL 10) leaves it out of
// the stream without a word. But it gives the table another file, so the files are
// watched: a table with a new one stops, for nothing tells a TRUNCATE from a rewrite
// that keeps the rows.
// Source: PostgreSQL 10 manual, 31.7 (restrictions), 51.11 (pg_class.relfilenode).

const publishedFiles = `SELECT p.schemaname::text, p.tablename::text, c.relfilenode FROM pg_publication_tables p
	JOIN pg_namespace n ON n.nspname = p.schemaname JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename WHERE p.pubname = $1`

// blind asks whether the server leaves TRUNCATE out.
func (r *Reader) blind(ctx context.Context) (blind bool, err error) {
	err = r.sql.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'pg_publication'::regclass AND attname = 'pubtruncate')`).Scan(&blind)
	if err != nil {
		return false, connection("look for TRUNCATE in publications", err)
	}
	return blind, nil
}

// files reads which file each captured table has now, by the table's id.
func (r *Reader) files(ctx context.Context) (map[string]uint32, error) {
	rows, err := r.sql.Query(ctx, publishedFiles, r.o.Publication)
	if err != nil {
		return nil, connection("read the tables' files", err)
	}
	out := map[string]uint32{}
	var schema, name string
	var file uint32
	if _, err := pgx.ForEachRow(rows, []any{&schema, &name, &file}, func() error {
		if name = schema + "." + name; r.wanted(name) {
			out[r.o.Database+"."+name] = file
		}
		return nil
	}); err != nil {
		return nil, connection("read the tables' files", err)
	}
	return out, nil
}

// watchFiles stops the tables that have another file than before, on a server that
// doesn't tell of TRUNCATE, or whose partitions have. It is called between transactions.
func (r *Reader) watchFiles(ctx context.Context) error {
	if !r.truncateUnseen {
		return r.watchPartitions(ctx)
	}
	now, err := r.files(ctx)
	if err != nil {
		return err
	}
	for _, table := range slices.Sorted(maps.Keys(now)) {
		before, known := r.state.Files[table]
		if !known || before == now[table] || r.state.stopOf(table) != nil {
			continue
		}
		stop := &event.TableStop{Table: table, Code: "TRUNCATE_UNSEEN",
			Reason: "the table has another file than before: it was truncated, which this server doesn't say, or rewritten"}
		r.stop(stop)
	}
	r.state.Files = now
	return nil
}

// halt records that a table has stopped and says so.
func (r *Reader) halt(stop *event.TableStop) {
	r.state.Stopped = append(r.state.Stopped, *stop)
	r.stateAt = time.Time{} // the next segment carries the state
	seg := event.Segment{Kind: event.TableStopped, Stop: stop}
	if r.seg != nil {
		seg.Txn = r.seg.Txn
	}
	r.queue.PushSegment(seg)
}
