package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// A partitioned table that is published as one table changes in ways that its stream
// doesn't tell: a partition that is truncated by itself, dropped or detached takes its
// rows along, and one that is attached brings rows. So the partitions are watched. A
// new one that was made as a partition was empty then; an attached one is told by the
// catalogue's entries of its columns, which ATTACH writes anew, all of them.
// Source: PostgreSQL manual, "CREATE PUBLICATION" (publish_via_partition_root).

const partitionsOf = `
SELECT p.schemaname::text, p.tablename::text, l.oid, l.relfilenode,
  NOT EXISTS (SELECT FROM pg_attribute col WHERE col.attrelid = l.oid AND col.attnum > 0 AND NOT col.attisdropped AND (col.xmin::text, col.cmin::text) = (a.xmin::text, a.cmin::text))
FROM pg_publication_tables p JOIN pg_namespace n ON n.nspname = p.schemaname JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename AND c.relkind = 'p',
  LATERAL pg_partition_tree(c.oid) tree JOIN pg_class l ON l.oid = tree.relid JOIN pg_attribute a ON a.attrelid = l.oid AND a.attnum = -6
WHERE p.pubname = $1 AND (SELECT count(*) FROM pg_partitioned_table) > 0`

// partition is a part of a table.
type partition struct {
	file     uint32 // 0 if it has parts itself
	attached bool   // it was a table before
}

// tree holds a table's partitions by their ids, and the table itself.
type tree map[uint32]partition

// suspicion is a change of partitions, with a place in the log behind all that was written
// before. Up to there the stream may explain it, and brings rows that are gone since: a
// load that begins earlier would leave them in the store.
type suspicion struct {
	seen  tree
	until uint64
}

// readTrees reads the partitions of the captured tables, by the tables' ids.
func (r *Reader) readTrees(ctx context.Context) (map[string]tree, error) {
	rows, err := r.sql.Query(ctx, partitionsOf, r.o.Publication)
	if err != nil {
		return nil, connection("read the tables' partitions", err)
	}
	out := map[string]tree{}
	var schema, name string
	var id uint32
	var p partition
	if _, err := pgx.ForEachRow(rows, []any{&schema, &name, &id, &p.file, &p.attached}, func() error {
		if name = schema + "." + name; !r.wanted(name) {
			return nil
		}
		table := r.o.Database + "." + name
		if out[table] == nil {
			out[table] = tree{}
		}
		out[table][id] = p
		return nil
	}); err != nil {
		return nil, connection("read the tables' partitions", err)
	}
	return out, nil
}

// The state has a table's partitions as "table/id".

// known gives the tables whose partitions the state has, with their files.
func (r *Reader) known() map[string]map[uint32]uint32 {
	out := map[string]map[uint32]uint32{}
	for name, file := range r.state.Parts {
		at := strings.LastIndexByte(name, '/')
		id, err := strconv.ParseUint(name[at+1:], 10, 32)
		if at < 0 || err != nil {
			continue
		}
		if out[name[:at]] == nil {
			out[name[:at]] = map[uint32]uint32{}
		}
		out[name[:at]][uint32(id)] = file
	}
	return out
}

// remember puts a table's partitions into the state.
func (r *Reader) remember(table string, now tree) {
	if r.state.Parts == nil {
		r.state.Parts = map[string]uint32{}
	}
	maps.DeleteFunc(r.state.Parts, func(name string, _ uint32) bool {
		at := strings.LastIndexByte(name, '/')
		return at >= 0 && name[:at] == table
	})
	for id, p := range now {
		r.state.Parts[table+"/"+strconv.FormatUint(uint64(id), 10)] = p.file
	}
}

// watchPartitions has the tables read again whose partitions have changed without a word
// in the stream. It is called between transactions, and looks once in a second.
func (r *Reader) watchPartitions(ctx context.Context) error {
	if r.version < 130000 || time.Since(r.watchedAt) < time.Second {
		return nil
	}
	r.watchedAt = time.Now()
	trees, err := r.readTrees(ctx)
	if err != nil {
		return err
	}
	known := r.known()
	for table := range known {
		if trees[table] == nil { // the table itself is gone, which others see
			delete(r.suspects, table)
			r.remember(table, nil)
		}
	}
	for _, table := range slices.Sorted(maps.Keys(trees)) {
		if r.state.stopOf(table) != nil {
			continue
		}
		now := trees[table]
		change, explicable := changed(known[table], now)
		s, suspected := r.suspects[table]
		switch {
		case change == "" || explicable && r.truncated[table]: // TRUNCATE of the whole table gives each part another file
			delete(r.suspects, table)
			delete(r.truncated, table)
			r.remember(table, now)
		case !suspected || !maps.Equal(s.seen, now):
			end, err := r.logEnd(ctx)
			if err != nil {
				return err
			}
			r.suspects[table] = suspicion{now, end}
		case r.end.Offset >= s.until:
			delete(r.suspects, table)
			r.remember(table, now)
			if err := r.alter(ctx, event.Alteration{Table: table, Reason: change, Reread: true}); err != nil {
				return err
			}
		}
	}
	return nil
}

// changed tells what can't be read from the stream; explicable says that a TRUNCATE of
// the whole table in the stream would explain it.
func changed(before map[uint32]uint32, now tree) (what string, explicable bool) {
	if before == nil {
		return "", false
	}
	for id := range before {
		if _, there := now[id]; !there {
			return fmt.Sprintf("the partition with the id %d was dropped or detached, with its rows", id), false
		}
	}
	for id, p := range now {
		file, there := before[id]
		switch {
		case !there && p.attached:
			return fmt.Sprintf("a table with the id %d was attached as a partition, with its rows", id), false
		case there && file != p.file:
			what = fmt.Sprintf("the partition with the id %d has another file than before: it was truncated by itself, or rewritten", id)
		}
	}
	return what, what != ""
}

// within tells a partition whose rows come as those of a published table above it: the
// server describes it beside that one (PostgreSQL source, maybe_send_schema), and it is
// no table of its own.
func (r *Reader) within(ctx context.Context, id uint32) (yes bool, err error) {
	if r.version < 130000 {
		return false, nil
	}
	err = r.sql.QueryRow(ctx, `SELECT c.relispartition AND NOT EXISTS (SELECT FROM pg_publication_tables p JOIN pg_namespace n ON n.nspname = p.schemaname
		WHERE p.pubname = $2 AND p.tablename = c.relname AND n.oid = c.relnamespace) FROM pg_class c WHERE c.oid = $1`, id, r.o.Publication).Scan(&yes)
	if errors.Is(err, pgx.ErrNoRows) { // dropped since
		return false, nil
	}
	if err != nil {
		return false, connection("look for the table of a partition", err)
	}
	return yes, nil
}

// otherIdentity finds a partition whose changes are named by other columns than those that
// the whole table needs: the server goes by the partition's own replica identity, whatever
// the table's is. Of one without any identity it refuses updates and deletes itself.
// Source: PostgreSQL source, CheckCmdReplicaIdentity, ExtractReplicaIdentity.
const otherIdentity = `SELECT l.oid::regclass::text FROM pg_partition_tree($1::oid::regclass) tree JOIN pg_class l ON l.oid = tree.relid
	JOIN pg_index i ON i.indrelid = l.oid AND CASE l.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident END
	WHERE tree.isleaf AND tree.relid <> $1::oid AND EXISTS (SELECT unnest($2::text[]) EXCEPT SELECT attname::text FROM pg_attribute a WHERE a.attrelid = l.oid AND a.attnum = ANY(i.indkey)) ORDER BY 1 LIMIT 1`

// parts says why the partitions of a table can't tell which of its rows they mean.
func (r *Reader) parts(ctx context.Context, t *schema.Table, id uint32) (reason string, err error) {
	if r.version < 130000 {
		return "", nil
	}
	var needed []string
	for i, c := range t.Columns {
		if t.Append || t.IsKey(i) {
			needed = append(needed, c.Name)
		}
	}
	var leaf string
	switch err := r.sql.QueryRow(ctx, otherIdentity, id, needed).Scan(&leaf); {
	case errors.Is(err, pgx.ErrNoRows):
		return "", nil
	case err != nil:
		return "", connection("read the identities of partitions of "+t.ID(), err)
	}
	return fmt.Sprintf("changes of the partition %s don't carry what a row is known by: ALTER TABLE %[1]s REPLICA IDENTITY FULL", leaf), nil
}

// named reports whether a change says which row it means. If not, its table stops.
func (r *Reader) named(row *event.Row) bool {
	t := row.Table
	ok := !t.Append || whole(row)
	for _, i := range t.Key {
		ok = ok && (row.Before == nil || row.Before[i].State == event.Present)
	}
	if !ok {
		r.halt(&event.TableStop{Table: t.ID(), Code: "TABLE_NO_KEY", Reason: "a change doesn't carry what a row is known by: give each partition of the table the REPLICA IDENTITY of the whole, or FULL"})
	}
	return ok
}
