package preflight

import (
	"fmt"
	"slices"
	"strings"
)

// key judges by what a table's rows are known, as the reader does: by the configuration's
// key, by the primary key, else by a unique index of columns that are NOT NULL; a table
// with none of them may be a log of its changes.
func (c *mysqlServer) key(t *mysqlTable) error {
	fold := c.fold()
	if keys := c.o.MySQL.Keyless.Key(t.id(), fold); keys != nil {
		return c.configured(t, keys)
	}
	if t.primary || len(t.uniques) > 0 {
		return nil
	}
	if c.o.MySQL.Keyless.Appends(t.id(), fold) {
		c.r.add(Advice, "TABLE_APPEND", t.id(), "")
		return nil
	}
	alter := "ALTER TABLE " + t.quoted()
	repairs := []Repair{{SQL: alter + " ADD COLUMN " + quote(addedKey) + " BIGINT UNSIGNED NOT NULL AUTO_INCREMENT" + c.invisible() + " PRIMARY KEY", Undo: alter + " DROP COLUMN " + quote(addedKey), Rebuild: true, Decide: c.invisible() == ""},
		{Agent: fmt.Sprintf("append: [%q]", t.id()), Instead: true}}
	for _, col := range t.columns {
		if strings.Contains(col.extra, "AUTO_INCREMENT") {
			repairs = []Repair{{SQL: alter + " ADD PRIMARY KEY (" + quote(col.name) + ")", Undo: alter + " DROP PRIMARY KEY", Rebuild: true},
				{Agent: fmt.Sprintf("keys: {%s: [%s]}", t.id(), col.name), Instead: true}}
		}
	}
	c.r.add(Refuses, "TABLE_NO_KEY", t.id(), "", repairs...)
	return nil
}

// fold gives names the form that the server keeps.
func (c *mysqlServer) fold() func(string) string {
	if c.is("lower_case_table_names", "1") {
		return strings.ToLower
	}
	return asIs
}

// bounded gives the table that a cap of the configuration is about; nil if there is none.
func (c *mysqlServer) bounded(name string) *capped {
	i := slices.IndexFunc(c.tables, func(t *mysqlTable) bool { return t.id() == c.fold()(name) })
	if i < 0 {
		return nil
	}
	t := c.tables[i]
	out := &capped{key: c.o.MySQL.Keyless.Key(t.id(), c.fold())}
	for _, col := range t.columns {
		out.columns = append(out.columns, col.name)
	}
	switch {
	case out.key != nil:
	case t.primary:
		out.key = t.server
	case len(t.uniques) > 0:
		out.key = t.uniques[0].columns
	}
	return out
}

// configured judges a key of the configuration: its columns must be there, and never NULL; and
// the log must have them, which with partial images it has of the server's own key only.
func (c *mysqlServer) configured(t *mysqlTable, keys []string) error {
	var found []string
	var repairs []Repair
	for _, k := range keys {
		i := slices.IndexFunc(t.columns, func(col mysqlColumn) bool { return strings.EqualFold(col.name, k) })
		switch {
		case i < 0:
			found = append(found, fmt.Sprintf("keys: no column %q", k))
		case t.columns[i].nullable:
			found = append(found, fmt.Sprintf("keys: %q NULL", t.columns[i].name))
			repair, err := c.notNull(t, t.columns[i])
			if err != nil {
				return err
			}
			repairs = append(repairs, repair...)
		}
	}
	if len(found) > 0 {
		c.r.add(Refuses, "TABLE_KEY_REFUSED", t.id(), strings.Join(found, "; "), repairs...)
		return nil
	}
	servers := t.uniques
	if t.primary {
		servers = []index{{"PRIMARY", t.server}}
	}
	lacks := slices.ContainsFunc(servers, func(i index) bool {
		return slices.ContainsFunc(keys, func(k string) bool {
			return !slices.ContainsFunc(i.columns, func(s string) bool { return strings.EqualFold(s, k) })
		})
	})
	if lacks && c.vars["binlog_row_image"] != "" && !c.is("binlog_row_image", "FULL") {
		c.r.add(Refuses, "IMAGE_INCOMPLETE", t.id(), fmt.Sprintf("keys: [%s], binlog_row_image = %s", strings.Join(keys, ", "), c.vars["binlog_row_image"]), c.set("binlog_row_image", "FULL"))
	}
	return nil
}

// notNull lets a column never be NULL; all else of its definition stays. Columns that the
// server computes can't be declared so.
func (c *mysqlServer) notNull(t *mysqlTable, col mysqlColumn) ([]Repair, error) {
	was, err := c.definition(t, col.name)
	if err != nil || was == "" || col.generated != "" {
		return nil, err
	}
	rest := strings.TrimPrefix(was, col.ColumnType)
	head, tail := rest, "" // texts of people begin with the first quote
	if at := strings.IndexByte(rest, '\''); at >= 0 {
		head, tail = rest[:at], rest[at:]
	}
	head = strings.Replace(strings.Replace(head, " DEFAULT NULL", "", 1), " NULL", "", 1)
	alter := "ALTER TABLE " + t.quoted() + " MODIFY " + quote(col.name) + " "
	return []Repair{{SQL: alter + col.ColumnType + notNullIn(head) + tail, Undo: alter + was, Rebuild: true}}, nil
}

// notNullIn puts NOT NULL behind the character set and collation that begin a definition's
// rest, as statements of the servers have it.
func notNullIn(head string) string {
	at := 0
	for _, m := range columnCharset.FindAllStringIndex(head, -1) {
		at = max(at, m[1])
	}
	return head[:at] + " NOT NULL" + head[at:]
}

// addedKey is the name of a key column that a table gets for the sake of capture.
const addedKey = "tributary_key"

// invisible hides a new column from statements that don't name it, where the server can.
func (c *mysqlServer) invisible() string {
	if c.mariadb && c.version >= 100303 || !c.mariadb && c.version >= 80023 {
		return " INVISIBLE"
	}
	return ""
}
