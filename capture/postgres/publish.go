package postgres

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/capture"
)

// publishable lists the tables that a publication can hold, each with the partitioned
// tables above it. $1 says that partitioned tables themselves can be published.
const publishable = `SELECT n.nspname::text, c.relname::text,
	ARRAY(WITH RECURSIVE up(oid) AS (SELECT inhparent FROM pg_inherits WHERE inhrelid = c.oid AND c.relispartition UNION SELECT i.inhparent FROM pg_inherits i JOIN up ON up.oid = i.inhrelid)
		SELECT pn.nspname || '.' || pc.relname FROM up JOIN pg_class pc ON pc.oid = up.oid JOIN pg_namespace pn ON pn.oid = pc.relnamespace WHERE $1)
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE (c.relkind = 'r' OR c.relkind = 'p' AND $1) AND c.relpersistence = 'p' AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' ORDER BY 1, 2`

// publish makes the publication of the wanted tables. From PostgreSQL 13 on a
// partitioned table is published as one table, and its partitions aren't beside it;
// before, each partition is a table of its own. From 18 on stored generated columns
// are published, too.
// Source: PostgreSQL manual, "CREATE PUBLICATION", of 12, 13 and 18.
func (r *Reader) publish(ctx context.Context) error {
	rows, err := r.sql.Query(ctx, publishable, r.version >= 130000)
	if err != nil {
		return connection("list tables", err)
	}
	var list []string
	var ns, name string
	var above []string
	if _, err := pgx.ForEachRow(rows, []any{&ns, &name, &above}, func() error {
		if r.wanted(ns+"."+name) && !r.anyWanted(above) {
			list = append(list, pgx.Identifier{ns, name}.Sanitize())
		}
		return nil
	}); err != nil {
		return connection("list tables", err)
	}
	if len(list) == 0 {
		return &capture.Coded{Code: "PG_NO_TABLE", Hint: "check the table patterns of the source", Err: fmt.Errorf("no table matches %v: %w", r.o.Tables, capture.ErrSettings)}
	}
	create := "CREATE PUBLICATION " + pgx.Identifier{r.o.Publication}.Sanitize() + " FOR TABLE " + strings.Join(list, ", ")
	switch {
	case r.version >= 180000:
		create += " WITH (publish_via_partition_root = true, publish_generated_columns = stored)"
	case r.version >= 130000:
		create += " WITH (publish_via_partition_root = true)"
	}
	if _, err := r.sql.Exec(ctx, create); err != nil {
		return &capture.Coded{Code: "PG_PUBLICATION", Hint: create, Err: connection("create the publication", err)}
	}
	return nil
}

// wanted reports whether the patterns name a table, or an order has added it.
func (r *Reader) wanted(name string) bool {
	for _, p := range r.o.Tables {
		if ok, err := path.Match(p, name); err == nil && ok {
			return true
		}
	}
	return r.additions.Has(r.o.Database + "." + name)
}

func (r *Reader) anyWanted(names []string) bool { return slices.ContainsFunc(names, r.wanted) }
