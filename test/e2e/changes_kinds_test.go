package e2e

import (
	"fmt"
	"slices"
	"strings"
)

// change is a kind of DDL.
type change struct {
	name string
	on   func(*years) bool // the servers that have it
	// do changes a table, and reports whether it has something to change.
	do func(*years, *changing) bool
}

func everywhere(*years) bool { return true }
func binlog(y *years) bool   { return y.binlog }
func postgres(y *years) bool { return !y.binlog }

// changes are the kinds of DDL, in the order of the page.
var changes = []change{
	{"ADD a column, in any place, with and without a default, NULL and NOT NULL", everywhere, (*years).add},
	{"ADD several columns in one statement", everywhere, (*years).addSeveral},
	{"ALGORITHM=INSTANT", func(y *years) bool { return y.binlog && (y.engine == "mysql" || y.version >= 1003) }, (*years).instant},
	{"DROP a column", everywhere, (*years).drop},
	{"DROP a column and ADD one of its name, in one statement", everywhere, (*years).dropAdd},
	{"ADD a column that was dropped", everywhere, (*years).back},
	{"rename a column", everywhere, (*years).renameColumn},
	{"move a column", binlog, (*years).move},
	{"widen a type", everywhere, (*years).widen},
	{"narrow a type", everywhere, (*years).narrow},
	{"change of the character set, of a column and of a table", binlog, (*years).charset},
	{"change of the sign", binlog, (*years).sign},
	{"NULL ↔ NOT NULL", everywhere, (*years).nullable},
	{"another default, and rows that leave the column out", everywhere, (*years).standard},
	{"another key", everywhere, (*years).rekey},
	{"index, comment", everywhere, (*years).index},
	{"RENAME a TO b", everywhere, (*years).rename},
	{"DROP TABLE and CREATE TABLE again", everywhere, (*years).recreate},
	{"TRUNCATE", everywhere, (*years).truncate},
	{"RENAME a TO x, b TO a, x TO b", everywhere, (*years).swap},
	{"CREATE TABLE … LIKE, INSERT … SELECT, RENAME a TO b, c TO a", everywhere, (*years).replace},
	{"ADD, DROP, TRUNCATE, REORGANIZE PARTITION", func(y *years) bool { return y.parts() }, (*years).partition},
	{"the statements of gh-ost", binlog, (*years).ghost},
	{"the statements of pt-online-schema-change", binlog, (*years).pt},
	{"several of these in one transaction, with rows between", postgres, (*years).transaction},
}

// parts reports whether the server has partitioned tables that are captured as one.
func (y *years) parts() bool { return y.binlog || y.version >= 13 }

// do changes a table's definition.
func (y *years) do(c *changing, format string, args ...any) bool {
	sql := fmt.Sprintf(format, args...)
	y.ddl = append(y.ddl, sql)
	y.run(sql)
	if y.down != nil && y.down == y.s.procs[1] {
		y.whileDown++
	}
	return true
}

// fresh gives a column that the table hasn't had, "name type".
func (c *changing) fresh() string {
	types := []string{"smallint", "int", "decimal(9,2)", "varchar(20)"}
	typ := types[c.rng.IntN(len(types))]
	c.made++
	return fmt.Sprintf("c%d_%s %s", c.made, strings.TrimRight(typ, "(,0123456789)"), typ)
}

// free chooses a column that isn't in the key, of some types if any are given.
func (c *changing) free(types ...string) string {
	var all []string
	for _, col := range c.cols {
		if !slices.Contains(c.key, nameOf(col)) && (len(types) == 0 || slices.Contains(types, base(col))) {
			all = append(all, col)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return all[c.rng.IntN(len(all))]
}

// base is a column's type without what stands behind it.
func base(col string) string { typ, _, _ := strings.Cut(typeOf(col), " "); return typ }

// plain is a column with its type alone.
func plain(col string) string { return nameOf(col) + " " + base(col) }

// becomes puts a column's new definition in its place; none if it is gone.
func (c *changing) becomes(col, now string) {
	at := slices.Index(c.cols, col)
	if now == "" {
		c.cols, c.gone = slices.Delete(c.cols, at, at+1), append(c.gone, plain(col))
		return
	}
	c.cols[at] = now
}

// defined gives a new column's definition with a default, NOT NULL, or neither; a table
// in PostgreSQL takes no NOT NULL without a default.
func (c *changing) defined(col string) (def, now string) {
	switch c.rng.IntN(3) {
	case 0:
		return col, col
	case 1:
		return col + " DEFAULT " + c.value(col), col
	}
	return col + " NOT NULL DEFAULT " + c.value(col), col + " NOT NULL"
}

// place is where a new column stands.
func (y *years) place(c *changing) string {
	switch n := y.rng.IntN(3); {
	case !y.binlog || n == 0:
		return ""
	case n == 1 || len(c.cols) == 0:
		return " FIRST"
	}
	return " AFTER " + nameOf(c.cols[y.rng.IntN(len(c.cols))])
}

func (y *years) add(c *changing) bool {
	if len(c.cols) > 12 {
		return false
	}
	def, now := c.defined(c.fresh())
	y.do(c, "ALTER TABLE %s ADD %s%s", c.table, def, y.place(c))
	c.cols = append(c.cols, now)
	return true
}

func (y *years) addSeveral(c *changing) bool {
	if len(c.cols) > 12 {
		return false
	}
	a, b := c.fresh(), c.fresh()
	if y.binlog {
		y.do(c, "ALTER TABLE %s ADD (%s, %s)", c.table, a, b)
	} else {
		y.do(c, "ALTER TABLE %s ADD %s, ADD %s", c.table, a, b)
	}
	c.cols = append(c.cols, a, b)
	return true
}

func (y *years) instant(c *changing) bool {
	def, now := c.defined(c.fresh())
	sql := fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s, ALGORITHM=INSTANT", c.table, def)
	if len(c.cols) > 12 || y.exec(sql) != nil { // not of a table that was changed in some other ways
		return false
	}
	y.ddl = append(y.ddl, sql)
	c.cols = append(c.cols, now)
	return true
}

func (y *years) drop(c *changing) bool {
	col := c.free()
	if col == "" || len(c.cols) < 2 {
		return false
	}
	y.do(c, "ALTER TABLE %s DROP COLUMN %s", c.table, nameOf(col))
	c.becomes(col, "")
	return true
}

func (y *years) dropAdd(c *changing) bool {
	col := c.free()
	if col == "" {
		return false
	}
	y.do(c, "ALTER TABLE %s DROP COLUMN %s, ADD COLUMN %s", c.table, nameOf(col), plain(col))
	c.becomes(col, plain(col))
	return true
}

func (y *years) back(c *changing) bool {
	if len(c.gone) == 0 {
		return false
	}
	col := c.gone[0]
	c.gone = c.gone[1:]
	if slices.ContainsFunc(c.cols, func(o string) bool { return nameOf(o) == nameOf(col) }) {
		return false
	}
	def, now := c.defined(col)
	y.do(c, "ALTER TABLE %s ADD %s%s", c.table, def, y.place(c))
	c.cols = append(c.cols, now)
	return true
}

func (y *years) renameColumn(c *changing) bool {
	col := c.free()
	if col == "" {
		return false
	}
	c.made++
	to := fmt.Sprintf("c%d_%s", c.made, strings.Split(nameOf(col), "_")[1])
	switch {
	case !y.binlog:
		y.do(c, "ALTER TABLE %s RENAME %s TO %s", c.table, nameOf(col), to)
	case y.engine == "mysql" || y.version >= 1005:
		y.do(c, "ALTER TABLE %s RENAME COLUMN %s TO %s", c.table, nameOf(col), to)
	default:
		y.do(c, "ALTER TABLE %s CHANGE %s %s %s", c.table, nameOf(col), to, typeOf(col))
	}
	c.gone = append(c.gone, plain(col))
	c.becomes(col, to+" "+typeOf(col))
	return true
}

// modify gives a column another definition, whose first word is its type.
func (y *years) modify(c *changing, col, now, place string) bool {
	if y.binlog {
		y.do(c, "ALTER TABLE %s MODIFY %s%s", c.table, now, place)
	} else {
		y.do(c, "ALTER TABLE %s ALTER %s TYPE %s", c.table, nameOf(col), base(now))
	}
	c.becomes(col, now)
	return true
}

func (y *years) move(c *changing) bool {
	col := c.free()
	return col != "" && y.modify(c, col, col, []string{" FIRST", " AFTER id"}[y.rng.IntN(2)])
}

// typed is a column with another type, and what stands behind that.
func typed(col, typ string) string {
	return nameOf(col) + " " + strings.Replace(typeOf(col), base(col), typ, 1)
}

func (y *years) widen(c *changing) bool {
	col := c.free("smallint", "int", "decimal(9,2)", "varchar(20)")
	return col != "" && y.modify(c, col, typed(col, wider[base(col)]), "")
}

// fits are values of the narrower types.
var fits = map[string]struct{ to, value string }{
	"bigint": {"int", "77"}, "int": {"smallint", "7"}, "decimal(18,4)": {"decimal(9,2)", "1.25"}, "varchar(60)": {"varchar(20)", "'二年级'"},
}

func (y *years) narrow(c *changing) bool {
	col := c.free("bigint", "int", "decimal(18,4)", "varchar(60)")
	if col == "" {
		return false
	}
	y.run(fmt.Sprintf("UPDATE %s SET %s = %s", c.table, nameOf(col), fits[base(col)].value))
	return y.modify(c, col, typed(col, fits[base(col)].to), "")
}

func (y *years) charset(c *changing) bool {
	set := []string{"gbk", "utf8mb4", "gb2312"}[y.rng.IntN(3)]
	col := c.free("varchar(20)", "varchar(60)")
	switch {
	case y.rng.IntN(3) == 0 && len(c.key) == 0: // of all columns, and of those to come
		for i, o := range c.cols {
			c.cols[i] = strings.Split(o, " CHARACTER")[0]
			if strings.HasSuffix(o, "NOT NULL") && !strings.HasSuffix(c.cols[i], "NOT NULL") {
				c.cols[i] += " NOT NULL"
			}
		}
		return y.do(c, "ALTER TABLE %s CONVERT TO CHARACTER SET %s", c.table, set)
	case col == "":
		return false
	}
	now := plain(col) + " CHARACTER SET " + set
	if strings.HasSuffix(col, "NOT NULL") {
		now += " NOT NULL"
	}
	return y.modify(c, col, now, "")
}

func (y *years) sign(c *changing) bool {
	col := c.free("smallint", "int", "bigint")
	if col == "" {
		return false
	}
	if strings.Contains(col, "unsigned") {
		y.run(fmt.Sprintf("UPDATE %s SET %s = 5", c.table, nameOf(col)))
		return y.modify(c, col, strings.Replace(col, " unsigned", "", 1), "")
	}
	y.run(fmt.Sprintf("UPDATE %s SET %s = 6 WHERE %[2]s < 0", c.table, nameOf(col)))
	return y.modify(c, col, typed(col, base(col)+" unsigned"), "")
}

func (y *years) nullable(c *changing) bool {
	col := c.free()
	if col == "" {
		return false
	}
	now, rule := strings.TrimSuffix(col, " NOT NULL"), "DROP"
	if now == col {
		now, rule = col+" NOT NULL", "SET"
		y.run(fmt.Sprintf("UPDATE %s SET %s = %s WHERE %[2]s IS NULL", c.table, nameOf(col), c.value(col)))
	}
	if y.binlog {
		return y.modify(c, col, now, "")
	}
	c.becomes(col, now)
	return y.do(c, "ALTER TABLE %s ALTER %s %s NOT NULL", c.table, nameOf(col), rule)
}

// standard writes rows without a column between two changes of its default. With minimal
// images the log leaves the value out.
func (y *years) standard(c *changing) bool {
	col := c.free()
	if col == "" {
		return false
	}
	image := "FULL"
	if y.binlog && y.rng.IntN(2) == 0 {
		image = "MINIMAL"
	}
	if y.binlog {
		y.run("SET SESSION binlog_row_image = " + image)
	}
	var names []string
	for _, o := range c.cols {
		if o != col {
			names = append(names, o)
		}
	}
	all := c.cols
	for range 3 {
		y.do(c, "ALTER TABLE %s ALTER %s SET DEFAULT %s", c.table, nameOf(col), c.value(col))
		c.cols = names
		c.insert()
		c.cols = all
	}
	if y.binlog {
		y.run("SET SESSION binlog_row_image = FULL")
	}
	return true
}

// rekey gives the table another key, or its first one back.
func (y *years) rekey(c *changing) bool {
	key := "id"
	col := c.free("smallint", "int", "varchar(20)")
	switch {
	case len(c.key) > 0:
		c.key = nil
	case col == "" || c.fixed:
		return false
	default:
		if !strings.HasSuffix(col, "NOT NULL") {
			y.run(fmt.Sprintf("UPDATE %s SET %s = %s WHERE %[2]s IS NULL", c.table, nameOf(col), c.value(col)))
			if y.binlog {
				y.modify(c, col, col+" NOT NULL", "")
			} else {
				c.becomes(col, col+" NOT NULL")
			}
		}
		c.key = []string{nameOf(col)}
		key = []string{"id, " + nameOf(col), nameOf(col) + ", id"}[y.rng.IntN(2)]
	}
	if y.binlog {
		return y.do(c, "ALTER TABLE %s DROP PRIMARY KEY, ADD PRIMARY KEY (%s)", c.table, key)
	}
	old := y.rows(fmt.Sprintf("SELECT conname::text FROM pg_constraint WHERE conrelid = '%s'::regclass AND contype = 'p'", c.table))[0]
	return y.do(c, "ALTER TABLE %s DROP CONSTRAINT %s, ADD CONSTRAINT %s PRIMARY KEY (%s)", c.table, old, y.name("key"), key)
}

func (y *years) index(c *changing) bool {
	col := c.free()
	if col == "" {
		return false
	}
	name := y.name("by")
	y.do(c, "CREATE INDEX %s ON %s (%s)", name, c.table, nameOf(col))
	if y.binlog {
		y.do(c, "ALTER TABLE %s COMMENT '学生, %s'", c.table, name)
		return y.do(c, "ALTER TABLE %s DROP INDEX %s", c.table, name)
	}
	y.do(c, "COMMENT ON TABLE %s IS '学生, %s'", c.table, name)
	return y.do(c, "DROP INDEX %s", name)
}
