package preflight

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tributary-cdc/tributary/capture"
)

// postgresTable is a wanted table as the catalogue has it.
type postgresTable struct {
	schema, name      string
	identity          string // relreplident: d, n, f or i
	owned, written    bool   // by the source's user: it owns the table, it may write there
	readable, visible bool   // the user may select from it, may use its schema
	unlogged, secured bool   // UNLOGGED; rows are hidden from the user by policies
	parent            string // of a partition
	primary, chosen   bool   // it has a primary key; it has an index as replica identity
	uniques           []string
	computed          []string // generated columns
	toast             int64    // bytes of large values per row
}

func (t *postgresTable) id() string     { return t.schema + "." + t.name }
func (t *postgresTable) quoted() string { return ident(t.schema, t.name) }

const listTables = `SELECT n.nspname, c.relname, c.relreplident, pg_has_role(c.relowner, 'USAGE'), has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'),
	has_table_privilege(c.oid, 'SELECT'), has_schema_privilege(n.oid, 'USAGE'), c.relpersistence = 'u', c.relrowsecurity AND row_security_active(c.oid),
	coalesce((SELECT pn.nspname || '.' || p.relname FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE i.inhrelid = c.oid AND c.relispartition), ''),
	EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary), EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident),
	ARRAY(SELECT x.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
		AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey) AND NOT a.attnotnull) ORDER BY i.indnatts, 1),
	ARRAY(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND coalesce(to_jsonb(a)->>'attgenerated', '') <> '' ORDER BY a.attnum),
	CASE WHEN c.reltuples > 0 AND c.reltoastrelid <> 0 THEN (pg_relation_size(c.reltoastrelid) / c.reltuples)::bigint ELSE 0 END,
	c.reltuples::bigint, (c.relpages::bigint + coalesce((SELECT t.relpages FROM pg_class t WHERE t.oid = c.reltoastrelid), 0)) * current_setting('block_size')::bigint
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind = 'r' AND c.relpersistence IN ('p', 'u') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' ORDER BY 1, 2`

// catalogue reads the wanted tables and judges them.
func (c *postgresServer) catalogue(ctx context.Context) error {
	rows, err := c.s.Rows(ctx, "list tables", listTables)
	if err != nil {
		return err
	}
	matched, family := map[string]bool{}, map[string]string{}
	for _, row := range rows {
		t := &postgresTable{schema: row[0], name: row[1], identity: row[2], parent: row[9], uniques: array(row[12]), computed: array(row[13])}
		if !capture.Matches(c.o.Postgres.Tables, t.id()) {
			continue
		}
		for i, flag := range []*bool{&t.owned, &t.written, &t.readable, &t.visible, &t.unlogged, &t.secured} {
			*flag = row[3+i] == "t"
		}
		t.primary, t.chosen = row[10] == "t", row[11] == "t"
		for _, p := range c.o.Postgres.Tables {
			matched[p] = matched[p] || capture.Matches([]string{p}, t.id())
		}
		toast, terr := strconv.ParseInt(row[14], 10, 64)
		count, cerr := strconv.ParseInt(row[15], 10, 64)
		size, serr := strconv.ParseInt(row[16], 10, 64)
		if err := errors.Join(terr, cerr, serr); err != nil {
			return fmt.Errorf("statistics of table %s: %w", t.id(), err)
		}
		t.toast = toast
		c.tables, family[t.id()] = append(c.tables, t), t.parent
		c.r.Tables = append(c.r.Tables, Table{ID: t.id(), Rows: count, Bytes: size})
		c.judge(t)
	}
	c.r.shared(c.o.Postgres.Datasets, family)
	for _, p := range c.o.Postgres.Tables {
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
	alter, user := "ALTER TABLE "+t.quoted(), ident(c.user)
	c.key(t)
	if !t.visible {
		c.r.add(Refuses, "PG_GRANT", c.user, "USAGE ON SCHEMA "+ident(t.schema), Repair{SQL: "GRANT USAGE ON SCHEMA " + ident(t.schema) + " TO " + user, Undo: "REVOKE USAGE ON SCHEMA " + ident(t.schema) + " FROM " + user})
	}
	if !t.readable {
		c.r.add(Refuses, "PG_GRANT", c.user, "SELECT ON "+t.quoted(), Repair{SQL: "GRANT SELECT ON " + t.quoted() + " TO " + user, Undo: "REVOKE SELECT ON " + t.quoted() + " FROM " + user})
	}
	if t.written && !t.owned && !c.super {
		c.r.add(Advice, "PG_GRANT_EXCESS", c.user, "INSERT, UPDATE, DELETE, TRUNCATE ON "+t.quoted(),
			Repair{SQL: "REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON " + t.quoted() + " FROM " + user, Undo: "GRANT INSERT, UPDATE, DELETE, TRUNCATE ON " + t.quoted() + " TO " + user, Decide: true})
	}
	if t.unlogged {
		c.r.add(Refuses, "PG_UNLOGGED", t.id(), "UNLOGGED", Repair{SQL: alter + " SET LOGGED", Undo: alter + " SET UNLOGGED", Rebuild: true})
	}
	if t.secured {
		c.r.add(Refuses, "PG_ROW_SECURITY", t.id(), "row_security_active() = t", Repair{SQL: "ALTER ROLE " + user + " BYPASSRLS", Undo: "ALTER ROLE " + user + " NOBYPASSRLS"})
	}
	if t.parent != "" && c.o.Postgres.Datasets[t.id()] == "" {
		_, parent, _ := strings.Cut(t.parent, ".")
		c.r.add(Advice, "PG_PARTITION", t.id(), "PARTITION OF "+t.parent, Repair{Agent: fmt.Sprintf("datasets: {%s: %s}", t.id(), parent)})
	}
	if t.toast > largeRow {
		c.r.add(Harms, "ROW_TOO_LARGE", t.id(), fmt.Sprintf("TOAST / reltuples = %d", t.toast))
	}
}

// key judges a table's key and replica identity. A published table without one refuses
// the application's own updates and deletes.
func (c *postgresServer) key(t *postgresTable) {
	alter := "ALTER TABLE " + t.quoted()
	identities := map[string]string{"d": "DEFAULT", "n": "NOTHING", "f": "FULL", "i": "USING INDEX"}
	switch {
	case t.identity == "i" && t.chosen, t.identity != "i" && t.identity != "n" && t.primary:
		return
	}
	undo := alter + " REPLICA IDENTITY " + identities[t.identity]
	if t.identity == "i" { // its index was dropped
		undo = alter + " REPLICA IDENTITY DEFAULT"
	}
	var steps []Repair
	switch {
	case t.primary:
		steps = []Repair{{SQL: alter + " REPLICA IDENTITY DEFAULT", Undo: undo}}
	case len(t.uniques) > 0:
		steps = []Repair{{SQL: alter + " REPLICA IDENTITY USING INDEX " + ident(t.uniques[0]), Undo: undo}}
	default:
		steps = []Repair{{SQL: alter + " ADD COLUMN " + addedKey + " bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", Undo: alter + " DROP COLUMN " + addedKey, Rebuild: true}}
		if t.identity == "n" || t.identity == "i" {
			steps = append(steps, Repair{SQL: alter + " REPLICA IDENTITY DEFAULT", Undo: undo})
		}
	}
	c.r.add(Refuses, "TABLE_NO_KEY", t.id(), "REPLICA IDENTITY "+identities[t.identity], steps...)
}
