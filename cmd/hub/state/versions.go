package state

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/cmd/hub/watch"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/log"
)

// versions has the newest version of each table, to say what the next one changes: some
// 1 KB each.
const versions = `
CREATE TABLE tributary.hub_version (source text COLLATE "C", "table" text COLLATE "C", definition jsonb NOT NULL, PRIMARY KEY (source, "table"));
CREATE TABLE tributary.hub_versions_read (topic text COLLATE "C" PRIMARY KEY, next bigint NOT NULL);
`

// maxDifferences are those of one event; what is beyond is counted.
const maxDifferences = 20

// VersionsRead implements watch.Archive.
func (s *State) VersionsRead(ctx context.Context) (map[string]log.Offset, error) {
	rows, err := s.pool.Query(ctx, `SELECT topic, next FROM tributary.hub_versions_read`)
	if err != nil {
		return nil, err
	}
	out, topic, next := map[string]log.Offset{}, "", int64(0)
	_, err = pgx.ForEachRow(rows, []any{&topic, &next}, func() error { out[topic] = log.Offset(next); return nil })
	return out, err
}

// tableOf is a table of a source.
type tableOf struct{ source, table string }

// KeepVersions implements watch.Archive. The first version of a table is no change.
func (s *State) KeepVersions(ctx context.Context, topic string, read, next log.Offset, found []watch.Version) (log.Offset, error) {
	err := s.within(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('tributary versions', 0))`); err != nil {
			return err
		}
		now := int64(0)
		if err := tx.QueryRow(ctx, `SELECT coalesce((SELECT next FROM tributary.hub_versions_read WHERE topic = $1), 0)`, topic).Scan(&now); err != nil {
			return err
		}
		if log.Offset(now) != read {
			next = log.Offset(now)
			return nil
		}
		known, err := newest(ctx, tx, found)
		if err != nil {
			return err
		}
		var b pgx.Batch
		changed := map[tableOf]bool{}
		for _, v := range found {
			at, name := v.At.UTC(), tableOf{v.Table.Source, v.Table.ID()}
			if now := s.o.Now(); at.After(now) { // an agent's clock that is ahead
				at = now
			}
			if was := known[name]; was != nil {
				if told := schema.Differences(was, v.Table); len(told) > 0 && s.o.Now().Sub(at) < eventsKept {
					b.Queue(`INSERT INTO tributary.hub_event (at, source, kind, word, was, detail) SELECT $1, $2, $3, $4, '', $5
						WHERE (SELECT count(*) FROM tributary.hub_event WHERE source = $2 AND at > $1::timestamptz - interval '1 day' AND at <= $1) < $6`,
						at, name.source, TableAltered, cutTo(name.table, 200), shown(told), eventsPerDay)
				}
			}
			known[name], changed[name] = v.Table, true
		}
		for name := range changed {
			kept, err := json.Marshal(known[name])
			if err != nil {
				return err
			}
			b.Queue(`INSERT INTO tributary.hub_version (source, "table", definition) VALUES ($1, $2, $3) ON CONFLICT (source, "table") DO UPDATE SET definition = excluded.definition`, name.source, name.table, kept)
		}
		b.Queue(`INSERT INTO tributary.hub_versions_read (topic, next) VALUES ($1, $2) ON CONFLICT (topic) DO UPDATE SET next = excluded.next`, topic, int64(next))
		return tx.SendBatch(ctx, &b).Close()
	})
	return next, err
}

// newest gives the versions that the tables of others had before them.
func newest(ctx context.Context, tx pgx.Tx, found []watch.Version) (map[tableOf]*schema.Table, error) {
	var sources, tables []string
	for _, v := range found {
		sources, tables = append(sources, v.Table.Source), append(tables, v.Table.ID())
	}
	rows, err := tx.Query(ctx, `SELECT definition FROM tributary.hub_version WHERE (source, "table") IN (SELECT * FROM unnest($1::text[], $2::text[]))`, sources, tables)
	if err != nil {
		return nil, err
	}
	known, t := map[tableOf]*schema.Table{}, (*schema.Table)(nil)
	_, err = pgx.ForEachRow(rows, []any{&t}, func() error { known[tableOf{t.Source, t.ID()}] = t; t = nil; return nil })
	return known, err
}

// shown gives differences as one text.
func shown(told []string) string {
	more := ""
	if n := len(told) - maxDifferences; n > 0 {
		told, more = told[:maxDifferences], fmt.Sprintf("; … +%d", n)
	}
	return cutTo(strings.Join(told, "; "), 1000) + more
}
