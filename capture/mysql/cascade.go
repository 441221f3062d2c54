package mysql

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/tributary-cdc/tributary/capture"
)

// Cascade is a foreign key by which InnoDB changes or deletes rows of a table by itself.
type Cascade struct {
	Database, Table            string // that has the key
	Name                       string
	Columns                    string // in parentheses, as in statements
	ParentDatabase, Parent     string
	ParentColumns              string
	OnDelete, OnUpdate, Clause string // Clause is the key's whole line
}

// foreignKey is a line of SHOW CREATE TABLE. A rule that does nothing isn't printed.
var foreignKey = regexp.MustCompile("^CONSTRAINT `((?:[^`]|``)+)` FOREIGN KEY (\\([^)]+\\)) REFERENCES (?:`((?:[^`]|``)+)`\\.)?`((?:[^`]|``)+)` (\\([^)]+\\))" +
	"(?: ON DELETE (CASCADE|SET NULL|SET DEFAULT|NO ACTION|RESTRICT))?(?: ON UPDATE (CASCADE|SET NULL|SET DEFAULT|NO ACTION|RESTRICT))?")

// ParseCascade reads a line of SHOW CREATE TABLE; false for one that isn't a foreign key
// that changes rows.
func ParseCascade(database, table, line string) (Cascade, bool) {
	line = strings.TrimSuffix(strings.TrimSpace(line), ",")
	m := foreignKey.FindStringSubmatch(line)
	if m == nil {
		return Cascade{}, false
	}
	name := func(s string) string { return strings.ReplaceAll(s, "``", "`") }
	c := Cascade{Database: database, Table: table, Name: name(m[1]), Columns: m[2], ParentDatabase: name(m[3]), Parent: name(m[4]), ParentColumns: m[5],
		OnDelete: m[6], OnUpdate: m[7], Clause: line}
	if c.ParentDatabase == "" {
		c.ParentDatabase = database
	}
	changes := func(rule string) bool { return rule == "CASCADE" || strings.HasPrefix(rule, "SET ") }
	return c, changes(c.OnDelete) || changes(c.OnUpdate)
}

// AskForeignKeys lists the tables with foreign keys.
const AskForeignKeys = "SELECT DISTINCT TABLE_SCHEMA, TABLE_NAME FROM information_schema.KEY_COLUMN_USAGE WHERE REFERENCED_TABLE_NAME IS NOT NULL ORDER BY 1, 2"

// Cascades lists the foreign keys that change rows which the user may see; query answers
// statements as Session.Rows does. MariaDB shows their rules in
// information_schema only to users who have more than SELECT (measured on 10.11), so they
// are read from the tables' own statements.
func Cascades(query func(what, sql string) ([][]string, error)) ([]Cascade, error) {
	tables, err := query("list the tables with foreign keys", AskForeignKeys)
	if err != nil {
		return nil, err
	}
	var out []Cascade
	for _, t := range tables {
		rows, err := query(fmt.Sprintf("read the foreign keys of %s.%s", t[0], t[1]), "SHOW CREATE TABLE "+quote(t[0])+"."+quote(t[1]))
		if errors.Is(err, capture.ErrAccess) { // it can't be captured either
			continue
		}
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(rows[0][1]) {
			if c, ok := ParseCascade(t[0], t[1], line); ok {
				out = append(out, c)
			}
		}
	}
	return out, nil
}

func (r *Reader) cascades() ([]Cascade, error) {
	return Cascades(func(what, sql string) ([][]string, error) { return r.query(what, sql) })
}
