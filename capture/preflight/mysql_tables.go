package preflight

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/tributary-cdc/tributary/capture/mysql"
	"github.com/tributary-cdc/tributary/capture/mysql/rowimage"
	"github.com/tributary-cdc/tributary/capture/pipeline"
)

// mysqlTable is a wanted table as the catalogue has it.
type mysqlTable struct {
	database, name, kind, engine string
	averageRow                   int64 // bytes, by the statistics
	columns                      []mysqlColumn
	primary                      bool
	uniques                      []index  // unique ones without nullable columns and prefixes
	server                       []string // the columns of the primary key
}

type mysqlColumn struct {
	rowimage.Info
	name, extra, generated string
	nullable               bool
}

// index is a key by its columns.
type index struct {
	name    string
	columns []string
}

func (t *mysqlTable) id() string     { return t.database + "." + t.name }
func (t *mysqlTable) quoted() string { return quote(t.database) + "." + quote(t.name) }

// catalogue reads the wanted tables and judges them.
func (c *mysqlServer) catalogue() error {
	by := map[string]*mysqlTable{}
	for _, read := range []func(map[string]*mysqlTable) error{c.list, c.columns, c.keys} {
		if err := read(by); err != nil {
			return err
		}
	}
	transactional, err := c.s.Rows("list the engines", askEngines)
	if err != nil {
		return err
	}
	keeps := map[string]bool{}
	for _, row := range transactional {
		keeps[strings.ToUpper(row[0])] = true
	}
	for _, t := range c.tables {
		for _, judge := range []func(*mysqlTable) error{c.key, c.types, c.names} {
			if err := judge(t); err != nil {
				return err
			}
		}
		if !keeps[strings.ToUpper(t.engine)] {
			c.r.add(Harms, "MYSQL_ENGINE", t.id(), "ENGINE = "+t.engine,
				Repair{SQL: "ALTER TABLE " + t.quoted() + " ENGINE = InnoDB", Undo: "ALTER TABLE " + t.quoted() + " ENGINE = " + t.engine, Rebuild: true})
		}
	}
	c.r.caps(c.o.MySQL.Caps, strings.EqualFold, c.bounded)
	if err := c.cascades(by); err != nil {
		return err
	}
	return c.filters()
}

// list reads which of the tables are wanted.
func (c *mysqlServer) list(by map[string]*mysqlTable) error {
	rows, err := c.s.Rows("list tables", askTables)
	if err != nil {
		return err
	}
	caseless, matched := c.is("lower_case_table_names", "1"), map[string]int{}
	for _, row := range rows {
		t := &mysqlTable{database: row[0], name: row[1], kind: row[2], engine: row[3]}
		if !mysql.Wanted(c.o.MySQL.Tables, t.id(), caseless) {
			continue
		}
		for _, p := range c.o.MySQL.Tables {
			if mysql.Wanted([]string{p}, t.id(), caseless) {
				matched[p]++
			}
		}
		var size [3]int64
		for i := range size {
			if size[i], err = strconv.ParseInt(row[4+i], 10, 64); err != nil {
				return fmt.Errorf("statistics of table %s: %w", t.id(), err)
			}
		}
		t.averageRow = size[2]
		c.r.Tables = append(c.r.Tables, Table{ID: t.id(), Rows: size[0], Bytes: size[1]})
		if t.kind != "BASE TABLE" {
			c.r.add(Refuses, "TABLE_VERSIONED", t.id(), t.kind, Repair{SQL: "ALTER TABLE " + t.quoted() + " DROP SYSTEM VERSIONING", Undo: "ALTER TABLE " + t.quoted() + " ADD SYSTEM VERSIONING", Rebuild: true, Decide: true})
		}
		c.tables, by[t.id()] = append(c.tables, t), t
	}
	c.selects(matched)
	c.r.shared(c.o.MySQL.Datasets)
	return nil
}

func (c *mysqlServer) columns(by map[string]*mysqlTable) error {
	rows, err := c.s.Rows("describe tables", askColumns)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if t := by[row[0]+"."+row[1]]; t != nil {
			t.columns = append(t.columns, mysqlColumn{Info: rowimage.Info{DataType: row[3], ColumnType: row[4], Charset: row[5]}, name: row[2], extra: strings.ToUpper(row[6]), generated: row[7], nullable: row[8] == "YES"})
		}
	}
	return nil
}

func (c *mysqlServer) keys(by map[string]*mysqlTable) error {
	rows, err := c.s.Rows("read the keys", askKeys)
	if err != nil {
		return err
	}
	unusable := map[*mysqlTable]string{} // the unique index that can't be a key
	for _, row := range rows {
		t := by[row[0]+"."+row[1]]
		switch {
		case t == nil:
		case row[2] == "PRIMARY":
			t.primary, t.server = true, append(t.server, row[3])
		case row[4] == "YES" || row[5] != "0" || row[3] == "":
			if unusable[t] = row[2]; len(t.uniques) > 0 && t.uniques[len(t.uniques)-1].name == row[2] {
				t.uniques = t.uniques[:len(t.uniques)-1]
			}
		case unusable[t] == row[2]:
		case row[6] == "1":
			t.uniques = append(t.uniques, index{row[2], []string{row[3]}})
		default:
			u := &t.uniques[len(t.uniques)-1]
			u.columns = append(u.columns, row[3])
		}
	}
	return nil
}

// types judges a table's columns: those that there is no rule for, that the log leaves
// out, or whose values may be too large for a record.
func (c *mysqlServer) types(t *mysqlTable) error {
	var wide []string
	for _, col := range t.columns {
		column, err := col.Column()
		if err == nil {
			_, err = rowimage.TypeOf(column)
		}
		object, text := t.id()+"."+col.name, col.Charset != "" && col.Charset != "binary"
		switch {
		case err != nil && strings.HasPrefix(col.ColumnType, "uuid"): // an old form that any rebuild ends
			c.r.add(Refuses, "TYPE_UNSUPPORTED", object, col.ColumnType, Repair{SQL: "ALTER TABLE " + t.quoted() + " FORCE", Rebuild: true})
		case err != nil:
			found, to := col.ColumnType, "LONGTEXT"
			if text {
				found, to = col.ColumnType+" CHARACTER SET "+col.Charset, col.ColumnType+" CHARACTER SET utf8mb4"
			}
			repairs, err := c.modify(t, col, to)
			if err != nil {
				return err
			}
			c.r.add(Refuses, "TYPE_UNSUPPORTED", object, found, repairs...)
		case strings.Contains(col.extra, "VIRTUAL") && c.virtualLost():
			as := func(kind string) string {
				return fmt.Sprintf("ALTER TABLE %s DROP COLUMN %s, ADD COLUMN %s %s AS (%s) %s", t.quoted(), quote(col.name), quote(col.name), col.ColumnType, col.generated, kind)
			}
			c.r.add(Refuses, "IMAGE_INCOMPLETE", object, col.ColumnType+" AS ("+col.generated+") VIRTUAL", Repair{SQL: as("STORED"), Undo: as("VIRTUAL"), Rebuild: true})
		}
		switch col.DataType {
		case "longblob", "longtext", "mediumblob", "mediumtext", "json":
			wide = append(wide, col.name)
		}
	}
	if t.averageRow > largeRow {
		wide = uncapped(wide, c.o.MySQL.Caps.Of(t.id(), c.fold()), strings.EqualFold)
		c.r.large(t.id(), wide, fmt.Sprintf("AVG_ROW_LENGTH = %d", t.averageRow))
	}
	return nil
}

// largeRow is an average size of rows, in bytes, at which single ones may be too large
// for a record.
const largeRow = pipeline.DefaultMaxRecord / 16

var columnCharset = regexp.MustCompile(` CHARACTER SET \w+| COLLATE \w+`)

// modify gives a column another type; all else of its definition stays.
func (c *mysqlServer) modify(t *mysqlTable, col mysqlColumn, to string) ([]Repair, error) {
	was, err := c.definition(t, col.name)
	if err != nil || was == "" {
		return nil, err
	}
	rest := columnCharset.ReplaceAllString(strings.TrimPrefix(was, col.ColumnType), "")
	alter := "ALTER TABLE " + t.quoted() + " MODIFY " + quote(col.name) + " "
	if col.Charset != "" && !strings.Contains(was, "CHARACTER SET") { // the table's, by now
		was = col.ColumnType + " CHARACTER SET " + col.Charset + strings.TrimPrefix(was, col.ColumnType)
	}
	return []Repair{{SQL: alter + to + rest, Undo: alter + was, Rebuild: true}}, nil
}

// definition gives what stands behind a column's name in the table's own statement; it is
// empty if the user may not read the table.
func (c *mysqlServer) definition(t *mysqlTable, column string) (string, error) {
	rows, seen, err := c.ask("read the definition of "+t.id(), "SHOW CREATE TABLE "+t.quoted())
	if err != nil || !seen {
		return "", err
	}
	for line := range strings.Lines(rows[0][1]) {
		if def, ok := strings.CutPrefix(strings.TrimSpace(line), quote(column)+" "); ok {
			return strings.TrimSuffix(def, ","), nil
		}
	}
	return "", fmt.Errorf("table %s: its statement has no line of column %s", t.id(), column)
}

// virtualLost reports whether the log has NULL in place of a column that isn't stored.
func (c *mysqlServer) virtualLost() bool {
	return c.mariadb && (mysql.VirtualDoubtful(c.version/10000, c.version/100%100) || !c.is("binlog_row_image", "FULL"))
}

// names judges names that a PostgreSQL store can't hold.
func (c *mysqlServer) names(t *mysqlTable) error {
	for _, col := range t.columns {
		if len(col.name) <= longName {
			continue
		}
		def, err := c.definition(t, col.name)
		if err != nil {
			return err
		}
		var repairs []Repair
		if alter, short := "ALTER TABLE "+t.quoted()+" CHANGE ", shortened(col.name); def != "" {
			repairs = []Repair{{SQL: alter + quote(col.name) + " " + quote(short) + " " + def, Undo: alter + quote(short) + " " + quote(col.name) + " " + def, Decide: true}}
		}
		c.r.add(Refuses, "NAME_TOO_LONG", t.id()+"."+col.name, fmt.Sprintf("%d > %d", len(col.name), longName), repairs...)
	}
	if n := len(t.columns); n > manyColumns {
		c.r.add(Refuses, "TABLE_TOO_WIDE", t.id(), fmt.Sprintf("%d > %d", n, manyColumns))
	}
	if len(t.name) > longName && c.o.MySQL.Datasets[t.id()] == "" {
		c.r.add(Refuses, "NAME_TOO_LONG", t.id(), fmt.Sprintf("%d > %d", len(t.name), longName), Repair{Agent: fmt.Sprintf("datasets: {%s: %s}", t.id(), shortened(t.name))})
	}
	return nil
}

// shortened cuts a name to what a store holds, between two characters.
func shortened(name string) string {
	for i := range name {
		if i > longName-4 {
			return name[:i]
		}
	}
	return name
}

// foreignKeys reads those that change rows. From a file of MySQL they come in the form of
// the tables' statements, which a script can't ask for.
func (c *mysqlServer) foreignKeys() ([]mysql.Cascade, error) {
	if !c.printed || c.mariadb {
		return mysql.Cascades(c.s.Rows)
	}
	rows, err := c.s.Rows("list the foreign keys", askForeignKeys)
	if err != nil {
		return nil, err
	}
	var out []mysql.Cascade
	for _, row := range rows {
		if k, ok := mysql.ParseCascade(row[0], row[1], row[2]); ok {
			out = append(out, k)
		}
	}
	return out, nil
}

// cascades lists the foreign keys through which InnoDB changes rows by itself.
func (c *mysqlServer) cascades(by map[string]*mysqlTable) error {
	if c.is("innodb_native_foreign_keys", "OFF") { // the server does it above the engine, and logs it
		return nil
	}
	keys, err := c.foreignKeys()
	if err != nil {
		return err
	}
	for _, k := range keys {
		t := by[k.Database+"."+k.Table]
		if t == nil {
			continue
		}
		drop, add := "ALTER TABLE "+t.quoted()+" DROP FOREIGN KEY "+quote(k.Name), "ALTER TABLE "+t.quoted()+" ADD "
		strict := fmt.Sprintf("CONSTRAINT %s FOREIGN KEY %s REFERENCES %s.%s %s", quote(k.Name), k.Columns, quote(k.ParentDatabase), quote(k.Parent), k.ParentColumns)
		c.r.add(Harms, "MYSQL_CASCADE", t.id(), k.Clause, Repair{SQL: drop, Undo: add + k.Clause, Decide: true}, Repair{SQL: add + strict, Undo: drop, Rebuild: true, Decide: true})
	}
	return nil
}

// filters looks for wanted databases that the server leaves out of its log.
func (c *mysqlServer) filters() error {
	if c.is("log_bin", "OFF") {
		return nil
	}
	rows, seen, err := c.ask("read the binary log's filters", c.masterStatus()...)
	if err != nil || !seen || len(rows) == 0 {
		return err
	}
	in := func(list, database string) bool {
		for _, d := range strings.Split(list, ",") {
			if strings.EqualFold(d, database) {
				return true
			}
		}
		return false
	}
	told := map[string]bool{}
	for _, t := range c.tables {
		only, ignored := rows[0][2], rows[0][3]
		if told[t.database] || !in(ignored, t.database) && (only == "" || in(only, t.database)) {
			continue
		}
		told[t.database] = true
		c.r.add(Refuses, "MYSQL_BINLOG_FILTER", t.database, fmt.Sprintf("Binlog_Do_DB = %q, Binlog_Ignore_DB = %q", only, ignored), Repair{Setting: "# binlog_do_db, binlog_ignore_db", Restart: true})
	}
	return nil
}

func (c *mysqlServer) masterStatus() []string {
	if c.mariadb {
		return []string{"SHOW MASTER STATUS"}
	}
	return []string{"SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"}
}
