package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/postgres/pgoutput"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Identified is the condition, in SQL, that a table of pg_class has a replica identity by
// which the server takes updates and deletes of it once they are published. The index of
// a DEFERRABLE key is none.
// Source: PostgreSQL manual, "Logical Replication", "Publication"; "ALTER TABLE", "REPLICA IDENTITY".
func Identified(class string) string {
	return strings.ReplaceAll(`(@.relreplident = 'f' OR EXISTS (SELECT FROM pg_index ri WHERE ri.indrelid = @.oid AND ri.indisvalid AND ri.indisunique AND ri.indimmediate AND ri.indpred IS NULL
		AND CASE @.relreplident WHEN 'd' THEN ri.indisprimary WHEN 'i' THEN ri.indisreplident ELSE false END))`, "@", class)
}

// exposed gives schema and name of the first of a table c and its partitions that has no
// replica identity, so that the applications' own updates and deletes would fail there
// once the table was published; else it is empty.
var exposed = `ARRAY(SELECT x FROM unnest((SELECT min(ARRAY[ln.nspname::text, l.relname::text]) FROM pg_class l JOIN pg_namespace ln ON ln.oid = l.relnamespace
	WHERE l.relkind = 'r' AND NOT ` + Identified("l") + ` AND l.oid = ANY(ARRAY( -- an array, so that the index is used for each
		WITH RECURSIVE down(oid) AS (SELECT c.oid UNION SELECT i.inhrelid FROM pg_inherits i JOIN down ON down.oid = i.inhparent WHERE c.relkind = 'p') SELECT oid FROM down)))) x)`

// publishable lists the tables that a publication can hold, each with the partitioned
// tables above it. $1 says that partitioned tables themselves can be published.
var publishable = `SELECT c.oid, n.nspname::text, c.relname::text, c.relreplident::text, ` + exposed + `,
	ARRAY(WITH RECURSIVE up(oid) AS (SELECT inhparent FROM pg_inherits WHERE inhrelid = c.oid AND c.relispartition UNION SELECT i.inhparent FROM pg_inherits i JOIN up ON up.oid = i.inhrelid)
		SELECT pn.nspname || '.' || pc.relname FROM up JOIN pg_class pc ON pc.oid = up.oid JOIN pg_namespace pn ON pn.oid = pc.relnamespace WHERE $1)
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE (c.relkind = 'r' OR c.relkind = 'p' AND $1) AND c.relpersistence = 'p' AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' ORDER BY 2, 3`

// candidate is a wanted table that a publication can hold.
type candidate struct {
	id           uint32
	schema, name string
	identity     string   // relreplident
	exposed      []string // schema and name of what has no replica identity, if anything
}

func (c *candidate) ident() string { return pgx.Identifier{c.schema, c.name}.Sanitize() }

// candidates lists them. From PostgreSQL 13 on a partitioned table is one table, and its
// partitions aren't beside it; before, each partition is a table of its own.
func (r *Reader) candidates(ctx context.Context) (list []candidate, err error) {
	rows, err := r.sql.Query(ctx, publishable, r.version >= 130000)
	if err != nil {
		return nil, connection("list tables", err)
	}
	var c candidate
	var above []string
	if _, err := pgx.ForEachRow(rows, []any{&c.id, &c.schema, &c.name, &c.identity, &c.exposed, &above}, func() error {
		if r.wanted(c.schema+"."+c.name) && !r.anyWanted(above) {
			list = append(list, c)
			list[len(list)-1].exposed = slices.Clone(c.exposed)
		}
		return nil
	}); err != nil {
		return nil, connection("list tables", err)
	}
	return list, nil
}

// CreatePublication is the statement that makes a source's publication on a server of a
// version (server_version_num), of tables whose names are quoted. From PostgreSQL 13 on a
// partitioned table is published as one, from 18 on stored generated columns are, too.
// Source: PostgreSQL manual, "CREATE PUBLICATION", of 12, 13 and 18.
func CreatePublication(version int, name string, tables []string) string {
	create := "CREATE PUBLICATION " + pgx.Identifier{name}.Sanitize()
	if len(tables) > 0 {
		create += " FOR TABLE " + strings.Join(tables, ", ")
	}
	switch {
	case version >= 180000:
		create += " WITH (publish_via_partition_root = true, publish_generated_columns = stored)"
	case version >= 130000:
		create += " WITH (publish_via_partition_root = true)"
	}
	return create
}

// publish makes the publication of the wanted tables, without those whose updates and
// deletes would fail from then on: a guest breaks nothing in the house.
func (r *Reader) publish(ctx context.Context) error {
	all, err := r.candidates(ctx)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return &capture.Coded{Code: "PG_NO_TABLE", Hint: "check the table patterns of the source", Err: fmt.Errorf("no table matches %v: %w", r.o.Tables, capture.ErrSettings)}
	}
	var list []string
	for i := range all {
		if len(all[i].exposed) == 0 {
			list = append(list, all[i].ident())
		}
	}
	create := CreatePublication(r.version, r.o.Publication, list)
	if _, err := r.sql.Exec(ctx, create); err != nil {
		if pe, ok := errors.AsType[*pgconn.PgError](err); ok && pe.Code == "42P01" {
			return fmt.Errorf("create the publication: %w: %w", capture.ErrConnection, err) // dropped since it was listed
		}
		return &capture.Coded{Code: "PG_PUBLICATION", Hint: create, Err: connection("create the publication", err)}
	}
	return nil
}

// stopUnpublished stops the wanted tables that can't be published, with what a person
// has to do. They stop before anything is read: the publication may have been there
// already, and nothing of them would ever tell.
func (r *Reader) stopUnpublished(ctx context.Context) error {
	all, err := r.candidates(ctx)
	if err != nil {
		return err
	}
	rows, err := r.sql.Query(ctx, "SELECT schemaname || '.' || tablename FROM pg_publication_tables WHERE pubname = $1", r.o.Publication)
	if err != nil {
		return connection("list what is published", err)
	}
	published, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return connection("list what is published", err)
	}
	for i := range all {
		c := &all[i]
		if len(c.exposed) == 0 || slices.Contains(published, c.schema+"."+c.name) || slices.Contains(published, strings.Join(c.exposed, ".")) {
			continue
		}
		stop, err := r.unidentified(ctx, c)
		if err != nil {
			return err
		}
		stop.Reason += fmt.Sprintf("; then ALTER PUBLICATION %s ADD TABLE %s, which without it would make updates and deletes of the table fail", pgx.Identifier{r.o.Publication}.Sanitize(), c.ident())
		r.halt(stop)
	}
	return nil
}

// published reports whether the publication holds a table, by its ID.
func (r *Reader) published(ctx context.Context, id string) (there bool, err error) {
	err = r.sql.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_publication_tables WHERE pubname = $1 AND current_database() || '.' || schemaname || '.' || tablename = $2)", r.o.Publication, id).Scan(&there)
	if err != nil {
		return false, connection("look for table "+id+" in the publication", err)
	}
	return there, nil
}

// sent lists the columns of a table that changes carry, were it published.
const sent = `SELECT attname::text, atttypid FROM pg_attribute a WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND coalesce(to_jsonb(a)->>'attgenerated', '') = '' ORDER BY attnum`

// unidentified says why an exposed table can't be captured, and what repairs it: what
// stands against its key, else against its replica identity.
func (r *Reader) unidentified(ctx context.Context, c *candidate) (*event.TableStop, error) {
	m := pgoutput.Msg{RelationID: c.id, Namespace: c.schema, Name: c.name, Identity: c.identity[0]}
	rows, err := r.sql.Query(ctx, sent, c.id)
	if err != nil {
		return nil, connection("describe table "+c.ident(), err)
	}
	var column pgoutput.Column
	if _, err := pgx.ForEachRow(rows, []any{&column.Name, &column.TypeOID}, func() error {
		m.Columns = append(m.Columns, column)
		return nil
	}); err != nil {
		return nil, connection("describe table "+c.ident(), err)
	}
	rel, err := r.announce(ctx, &m)
	if err != nil {
		return nil, err
	}
	if rel.stop != nil {
		stop := *rel.stop
		return &stop, nil
	}
	var immediate bool // it has a primary key that can be its replica identity
	err = r.sql.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname = $2 AND i.indisprimary AND i.indimmediate)`, c.exposed[0], c.exposed[1]).Scan(&immediate)
	if err != nil {
		return nil, connection("look for the key of "+c.ident(), err)
	}
	table, identity := pgx.Identifier(c.exposed).Sanitize(), "FULL"
	if immediate && !rel.table.Append {
		identity = "DEFAULT"
	}
	return &event.TableStop{Table: rel.table.ID(), Code: "TABLE_NO_KEY", Reason: fmt.Sprintf("%s has no replica identity: ALTER TABLE %[1]s REPLICA IDENTITY %s", table, identity)}, nil
}

// wanted reports whether the patterns name a table, or an order has added it.
func (r *Reader) wanted(name string) bool {
	return capture.Matches(r.o.Tables, name) || r.additions.Has(r.o.Database+"."+name)
}

// Captures implements snapshot.Capturer.
func (r *Reader) Captures(table string) bool {
	name, ok := strings.CutPrefix(table, r.o.Database+".")
	return ok && r.wanted(name)
}

func (r *Reader) anyWanted(names []string) bool { return slices.ContainsFunc(names, r.wanted) }
