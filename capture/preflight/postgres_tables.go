package preflight

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/postgres"
)

// postgresTable is a wanted table as the catalogue has it.
type postgresTable struct {
	schema, name      string
	kind, identity    string   // relkind; relreplident: d, n, f or i
	owned, written    bool     // by the source's user: it owns the table, it may write there
	readable, visible bool     // the user may select from it, may use its schema
	unlogged, secured bool     // UNLOGGED; rows are hidden from the user by policies
	identified        bool     // the server takes updates and deletes of it once they are published
	parent            string   // of a partition
	above             []string // the partitioned tables above it
	leaves            []*postgresTable
	primary           bool     // it has a primary key that can be its replica identity
	key               []string // the columns by which the reader knows its rows
	carried           []string // the columns of old rows in the log; all with identity f
	index             string   // of the replica identity, if it isn't the primary key's
	uniques           []index  // that may be the replica identity, but for NULL
	columns, nullable []string
	stored, virtual   []string // generated columns
	wide              []string // those whose values may lie in the TOAST table, of any size
	toast             int64    // bytes of large values per row
	rows, bytes       int64
}

func (t *postgresTable) id() string     { return t.schema + "." + t.name }
func (t *postgresTable) quoted() string { return ident(t.schema, t.name) }

// all gives the table and its partitions.
func (t *postgresTable) all() []*postgresTable { return append([]*postgresTable{t}, t.leaves...) }

// exposed reports whether the applications' own updates and deletes would fail somewhere
// once the table was published.
func (t *postgresTable) exposed() bool {
	return slices.ContainsFunc(t.all(), func(p *postgresTable) bool { return p.kind == "r" && !p.identified })
}

// ofIndex gives the columns of the table's index that fulfils a condition.
func ofIndex(condition string) string {
	return "ARRAY(SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) WHERE i.indrelid = c.oid AND " + condition + " ORDER BY a.attnum)"
}

// ofTable gives the names of the table's columns that fulfil a condition.
func ofTable(condition string) string {
	return "ARRAY(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND " + condition + " ORDER BY a.attnum)"
}

var listTables = `SELECT n.nspname, c.relname, c.relreplident, c.relkind, pg_has_role(c.relowner, 'USAGE'), has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'),
	has_table_privilege(c.oid, 'SELECT'), has_schema_privilege(n.oid, 'USAGE'), c.relpersistence = 'u', c.relrowsecurity AND row_security_active(c.oid),
	EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indimmediate), ` + postgres.Identified("c") + `,
	coalesce((SELECT pn.nspname || '.' || p.relname FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE i.inhrelid = c.oid AND c.relispartition), ''),
	coalesce((SELECT x.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisreplident), ''),
	ARRAY(WITH RECURSIVE up(oid) AS (SELECT inhparent FROM pg_inherits WHERE inhrelid = c.oid AND c.relispartition UNION SELECT i.inhparent FROM pg_inherits i JOIN up ON up.oid = i.inhrelid)
		SELECT pn.nspname || '.' || pc.relname FROM up JOIN pg_class pc ON pc.oid = up.oid JOIN pg_namespace pn ON pn.oid = pc.relnamespace),
	` + ofIndex("CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END") + `,
	` + ofIndex("i.indimmediate AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END") + `,
	` + ofTable("true") + `, ` + ofTable("NOT a.attnotnull") + `, ` + ofTable("to_jsonb(a)->>'attgenerated' = 's'") + `, ` + ofTable("to_jsonb(a)->>'attgenerated' = 'v'") + `, ` + ofTable("a.attstorage IN ('x', 'e') AND a.atttypmod < 0") + `,
	CASE WHEN c.reltuples > 0 AND c.reltoastrelid <> 0 THEN (pg_relation_size(c.reltoastrelid) / c.reltuples)::bigint ELSE 0 END,
	c.reltuples::bigint, (c.relpages::bigint + coalesce((SELECT t.relpages FROM pg_class t WHERE t.oid = c.reltoastrelid), 0)) * current_setting('block_size')::bigint
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind IN ('r', 'p') AND c.relpersistence IN ('p', 'u') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' ORDER BY 1, 2`

// listUniques lists the indexes that may be a replica identity if their columns are NOT NULL.
var listUniques = `SELECT n.nspname, c.relname, x.relname, ` + strings.Replace(ofTable("a.attnum = ANY (u.indkey)"), "ORDER BY a.attnum", "ORDER BY array_position(u.indkey::int[], a.attnum::int)", 1) + `
	FROM pg_index u JOIN pg_class x ON x.oid = u.indexrelid JOIN pg_class c ON c.oid = u.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE u.indisunique AND u.indimmediate AND u.indisvalid AND u.indpred IS NULL AND u.indexprs IS NULL AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' ORDER BY 1, 2, u.indnatts, 3`

// described reads a line of listTables.
func described(row []string) (*postgresTable, error) {
	t := &postgresTable{schema: row[0], name: row[1], identity: row[2], kind: row[3], parent: row[12], index: row[13]}
	for i, flag := range []*bool{&t.owned, &t.written, &t.readable, &t.visible, &t.unlogged, &t.secured, &t.primary, &t.identified} {
		*flag = row[4+i] == "t"
	}
	for i, list := range []*[]string{&t.above, &t.key, &t.carried, &t.columns, &t.nullable, &t.stored, &t.virtual, &t.wide} {
		*list = array(row[14+i])
	}
	for i, n := range []*int64{&t.toast, &t.rows, &t.bytes} {
		var err error
		if *n, err = strconv.ParseInt(row[22+i], 10, 64); err != nil {
			return nil, fmt.Errorf("statistics of table %s: %w", t.id(), err)
		}
	}
	return t, nil
}

// catalogue reads the wanted tables and judges them. From PostgreSQL 13 on a partitioned
// table is one, and its partitions aren't beside it.
func (c *postgresServer) catalogue(ctx context.Context) error {
	rows, err := c.s.Rows(ctx, "list tables", listTables)
	if err != nil {
		return err
	}
	roots, wanted := c.version >= 130000, c.o.Postgres.Tables
	matched, by := map[string]bool{}, map[string]*postgresTable{}
	indexes, err := c.s.Rows(ctx, "list unique indexes", listUniques)
	if err != nil {
		return err
	}
	uniques := map[string][]index{}
	for _, row := range indexes {
		id := row[0] + "." + row[1]
		uniques[id] = append(uniques[id], index{row[2], array(row[3])})
	}
	var parts []*postgresTable
	for _, row := range rows {
		t, err := described(row)
		if err != nil {
			return err
		}
		if t.uniques = uniques[t.id()]; t.kind == "p" && !roots {
			continue
		}
		for _, p := range wanted {
			matched[p] = matched[p] || capture.Matches([]string{p}, t.id())
		}
		switch {
		case roots && slices.ContainsFunc(t.above, func(id string) bool { return capture.Matches(wanted, id) }):
			parts = append(parts, t)
		case capture.Matches(wanted, t.id()):
			c.tables, by[t.id()] = append(c.tables, t), t
		}
	}
	for _, p := range parts {
		for _, id := range p.above {
			if t := by[id]; t != nil && p.kind == "r" {
				t.leaves = append(t.leaves, p)
				t.toast, t.rows, t.bytes = max(t.toast, p.toast), max(t.rows, 0)+max(p.rows, 0), t.bytes+p.bytes
			}
		}
	}
	for _, t := range c.tables {
		c.r.Tables = append(c.r.Tables, Table{ID: t.id(), Rows: t.rows, Bytes: t.bytes})
		c.judge(t)
	}
	c.r.shared(c.o.Postgres.Datasets)
	c.r.caps(c.o.Postgres.Caps, sameName, func(name string) *capped {
		t := by[name]
		if t == nil {
			return nil
		}
		if keys := c.o.Postgres.Keyless.Key(name, asIs); keys != nil {
			return &capped{t.columns, keys}
		}
		return &capped{t.columns, t.key}
	})
	for _, p := range wanted {
		if !matched[p] {
			c.r.add(Refuses, "PG_NO_TABLE", p, "")
		}
	}
	return nil
}

// array reads an array of names as the server prints it.
func array(s string) (out []string) {
	var b strings.Builder
	quoted, escaped := false, false
	for _, r := range strings.TrimSuffix(strings.TrimPrefix(s, "{"), "}") {
		switch {
		case escaped:
			escaped = false
			b.WriteRune(r)
		case r == '\\':
			escaped = true
		case r == '"':
			quoted = !quoted
		case r == ',' && !quoted:
			out = append(out, b.String())
			b.Reset()
		default:
			b.WriteRune(r)
		}
	}
	if b.Len() > 0 {
		out = append(out, b.String())
	}
	return out
}

func (c *postgresServer) judge(t *postgresTable) {
	user := ident(c.user)
	if !t.visible && !c.stranger {
		c.r.add(Refuses, "PG_GRANT", c.user, "USAGE ON SCHEMA "+ident(t.schema), Repair{SQL: "GRANT USAGE ON SCHEMA " + ident(t.schema) + " TO " + user, Undo: "REVOKE USAGE ON SCHEMA " + ident(t.schema) + " FROM " + user})
	}
	if !t.readable && !c.stranger {
		c.r.add(Refuses, "PG_GRANT", c.user, "SELECT ON "+t.quoted(), Repair{SQL: "GRANT SELECT ON " + t.quoted() + " TO " + user, Undo: "REVOKE SELECT ON " + t.quoted() + " FROM " + user})
	}
	if t.written && !t.owned && !c.super && !c.stranger {
		c.r.add(Advice, "PG_GRANT_EXCESS", c.user, "INSERT, UPDATE, DELETE, TRUNCATE ON "+t.quoted(),
			Repair{SQL: "REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON " + t.quoted() + " FROM " + user, Undo: "GRANT INSERT, UPDATE, DELETE, TRUNCATE ON " + t.quoted() + " TO " + user, Decide: true})
	}
	for _, p := range t.all() {
		if alter := "ALTER TABLE " + p.quoted(); p.unlogged {
			c.r.add(Refuses, "PG_UNLOGGED", p.id(), "UNLOGGED", Repair{SQL: alter + " SET LOGGED", Undo: alter + " SET UNLOGGED", Rebuild: true})
		}
	}
	if t.secured && !c.stranger {
		c.r.add(Refuses, "PG_ROW_SECURITY", t.id(), "row_security_active() = t", Repair{SQL: "ALTER ROLE " + user + " BYPASSRLS", Undo: "ALTER ROLE " + user + " NOBYPASSRLS"})
	}
	if t.parent != "" && c.version < 130000 {
		c.r.add(Advice, "PG_PARTITION", t.id(), "PARTITION OF "+t.parent)
	}
	if n := len(t.columns); n > manyColumns {
		c.r.add(Refuses, "TABLE_TOO_WIDE", t.id(), fmt.Sprintf("%d > %d", n, manyColumns))
	}
	if t.toast > largeRow {
		c.r.large(t.id(), uncapped(t.wide, c.o.Postgres.Caps.Of(t.id(), asIs), sameName), fmt.Sprintf("TOAST / reltuples = %d", t.toast))
	}
}
