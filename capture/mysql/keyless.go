package mysql

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// identify gives a table the key of the configuration, or takes it in append mode, or
// refuses it: by what can a store know its rows?
func (r *Reader) identify(t *schema.Table, d *description) {
	name := t.Database + "." + t.Name
	refuse := func(code, format string, args ...any) {
		if d.bad == "" {
			d.code, d.bad = code, fmt.Sprintf(format, args...)
		}
	}
	if cols := r.o.Keyless.Key(name, r.fold); cols != nil {
		t.Key = nil
		for _, c := range cols {
			i := slices.IndexFunc(t.Columns, func(col schema.Column) bool { return strings.EqualFold(col.Name, c) })
			switch {
			case i < 0:
				refuse("TABLE_KEY_REFUSED", "the configuration's key has the column %q, the table hasn't", c)
			case t.Columns[i].Nullable:
				refuse("TABLE_KEY_REFUSED", "column %q of the configuration's key may be NULL: ALTER TABLE %s MODIFY %s ... NOT NULL", t.Columns[i].Name, quotedName(t), quote(t.Columns[i].Name))
			default:
				t.Key = append(t.Key, i)
			}
		}
		return
	}
	if len(t.Key) > 0 {
		return
	}
	t.Key, t.Append = nil, r.o.Keyless.Appends(name, r.fold)
	if !t.Append {
		refuse("TABLE_NO_KEY", "no key: ALTER TABLE %s ADD PRIMARY KEY (...), or ALTER TABLE %[1]s ADD COLUMN row_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT INVISIBLE PRIMARY KEY (MySQL 8.0.23, MariaDB 10.3 and newer); or name unique columns in keys, or the table in append", quotedName(t))
	}
}

// Caps implements snapshot.Capper.
func (r *Reader) Caps(t *schema.Table) map[int]capture.Cap {
	return r.o.Caps.Columns(t, t.Database+"."+t.Name, r.fold, strings.EqualFold)
}

// keyOf gives the columns of the key by which the server itself knows a table's rows, and
// which its log names: the primary key, else the first unique one of whole columns that
// are NOT NULL (MySQL manual, "SHOW INDEX Statement", which lists keys in that order).
func (r *Reader) keyOf(database, table string) (key []string, err error) {
	rows, err := r.query("read the key of "+database+"."+table, "SHOW INDEX FROM "+quote(database)+"."+quote(table))
	const nonUnique, keyName, columnName, subPart, null = 1, 2, 4, 7, 9
	for len(rows) > 0 {
		name := rows[0][keyName]
		n := slices.IndexFunc(rows, func(row []string) bool { return row[keyName] != name })
		if n < 0 {
			n = len(rows)
		}
		usable := true
		key = nil
		for _, row := range rows[:n] {
			key = append(key, row[columnName])
			usable = usable && row[nonUnique] == "0" && row[null] != "YES" && (row[subPart] == "" || name == "PRIMARY") && row[columnName] != ""
		}
		if usable {
			return key, err
		}
		rows = rows[n:]
	}
	return nil, err
}

func quotedName(t *schema.Table) string { return quote(t.Database) + "." + quote(t.Name) }

// identified completes what an update leaves out of a row's identity, and stops a table
// whose images can't tell which row they mean: with binlog_row_image = MINIMAL or NOBLOB
// an image has the key that the server knows, which need not be ours, and of a table
// without any unique key all columns.
func (r *Reader) identified(rel *relation, row *event.Row) bool {
	t := rel.table
	missing := -1
	need := func(i int) {
		if row.Op == event.Update && row.After[i].State == event.Absent { // it didn't change
			row.After[i] = row.Before[i]
		}
		if row.Before != nil && row.Before[i].State == event.Absent {
			missing = i
		}
	}
	if t.Append {
		for i := range t.Columns {
			need(i)
		}
	} else {
		for _, i := range t.Key {
			need(i)
		}
	}
	if missing >= 0 {
		r.stop(rel, "IMAGE_INCOMPLETE", fmt.Sprintf("images of changed rows lack column %q, by which a row is known: SET GLOBAL binlog_row_image = 'FULL'", t.Columns[missing].Name))
		return false
	}
	return true
}
