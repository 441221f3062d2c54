package e2e

import (
	"fmt"
	"strings"
)

// name gives a name that nothing has had.
func (y *years) name(stem string) string {
	y.named++
	return fmt.Sprintf("%s_%d", stem, y.named)
}

func (y *years) rename(c *changing) bool {
	if c.fixed || c == y.changing {
		return false
	}
	to := c.table + "_2"
	if strings.HasSuffix(c.table, "_2") {
		to = strings.TrimSuffix(c.table, "_2")
	}
	if y.binlog && y.rng.IntN(2) == 0 {
		y.do(c, "RENAME TABLE %s TO %s", c.table, to)
	} else {
		y.do(c, "ALTER TABLE %s RENAME TO %s", c.table, to)
	}
	c.table = to
	return true
}

// publish takes a new table in PostgreSQL into what is captured.
func (y *years) publish(table string) {
	if !y.binlog && len(y.rows("SELECT pubname::text FROM pg_publication")) > 0 {
		y.run("ALTER PUBLICATION tributary_330108_moving ADD TABLE " + table)
	}
}

// create gives the statement that makes a table of c's columns.
func (y *years) create(c *changing) string {
	return fmt.Sprintf("CREATE TABLE %s (id int PRIMARY KEY, %s)", c.table, strings.Join(c.cols, ", "))
}

func (y *years) recreate(c *changing) bool {
	if c.fixed || c == y.changing {
		return false
	}
	y.do(c, "DROP TABLE %s", c.table)
	c.key = nil
	if y.rng.IntN(2) == 0 && len(c.cols) > 1 { // without one of its columns
		c.becomes(c.free(), "")
	}
	y.do(c, "%s", y.create(c))
	y.publish(c.table)
	c.insert()
	return true
}

func (y *years) truncate(c *changing) bool { return y.do(c, "TRUNCATE TABLE %s", c.table) }

// swap has two tables change their names, with their columns.
func (y *years) swap(c *changing) bool {
	o := y.tables[y.rng.IntN(len(y.tables))]
	if c == o || c.fixed || o.fixed || c == y.changing || o == y.changing {
		return false
	}
	x := y.name("swap")
	if y.binlog {
		y.do(c, "RENAME TABLE %s TO %s, %s TO %[1]s, %[2]s TO %[3]s", c.table, x, o.table)
	} else {
		y.do(c, "BEGIN; ALTER TABLE %s RENAME TO %s; ALTER TABLE %s RENAME TO %[1]s; ALTER TABLE %[2]s RENAME TO %[3]s; COMMIT", c.table, x, o.table)
	}
	c.table, o.table = o.table, c.table
	c.gone, o.gone = o.gone, c.gone // what the names have lost
	return true
}

// replace puts a changed copy in the table's place.
func (y *years) replace(c *changing) bool {
	col := c.free()
	if c.fixed || col == "" || len(c.cols) < 2 {
		return false
	}
	fresh, old := c.table+"_new", y.name(c.table+"_old")
	var names []string
	for _, o := range c.cols {
		if o != col {
			names = append(names, nameOf(o))
		}
	}
	like := fmt.Sprintf("CREATE TABLE %s LIKE %s", fresh, c.table)
	if !y.binlog {
		like = fmt.Sprintf("CREATE TABLE %s (LIKE %s INCLUDING ALL)", fresh, c.table)
	}
	y.do(c, "%s", like)
	y.do(c, "ALTER TABLE %s DROP COLUMN %s", fresh, nameOf(col))
	y.publish(fresh)
	y.run(fmt.Sprintf("INSERT INTO %s (id, %s) SELECT id, %[2]s FROM %s", fresh, strings.Join(names, ", "), c.table))
	if y.binlog {
		y.do(c, "RENAME TABLE %s TO %s, %s TO %[1]s", c.table, old, fresh)
	} else {
		y.do(c, "BEGIN; ALTER TABLE %s RENAME TO %s; ALTER TABLE %s RENAME TO %[1]s; COMMIT", c.table, old, fresh)
	}
	y.do(c, "DROP TABLE %s", old)
	c.becomes(col, "")
	return true
}

// partition changes the parts of the table that has some. Each has 100 numbers.
func (y *years) partition(c *changing) bool {
	if !c.fixed {
		return false
	}
	last := len(c.parts) - 1
	switch n := y.rng.IntN(4); {
	case n == 0 || last < 2:
		return y.room(c)
	case n == 1 && y.binlog:
		y.do(c, "ALTER TABLE %s DROP PARTITION p%d", c.table, c.parts[0])
		c.parts = c.parts[1:]
	case n == 1:
		y.do(c, "DROP TABLE %s_%d", c.table, c.parts[0])
		c.parts = c.parts[1:]
	case n == 2 && y.binlog:
		y.do(c, "ALTER TABLE %s TRUNCATE PARTITION p%d", c.table, c.parts[y.rng.IntN(last)])
	case n == 2:
		y.do(c, "TRUNCATE %s_%d", c.table, c.parts[y.rng.IntN(last)])
	case y.binlog: // the two first ones become one
		y.do(c, "ALTER TABLE %s REORGANIZE PARTITION p%d, p%d INTO (PARTITION p%[3]d VALUES LESS THAN (%d))", c.table, c.parts[0], c.parts[1], 100*(c.parts[1]+1))
		c.parts = c.parts[1:]
	default:
		at := c.parts[0]
		y.do(c, "ALTER TABLE %s DETACH PARTITION %[1]s_%d", c.table, at)
		y.do(c, "DROP TABLE %s_%d", c.table, at)
		c.parts = c.parts[1:]
	}
	return true
}

// room adds partitions, so that more numbers have one.
func (y *years) room(c *changing) bool {
	next := c.parts[len(c.parts)-1] + 1
	c.parts = append(c.parts, next)
	if y.binlog {
		return y.do(c, "ALTER TABLE %s ADD PARTITION (PARTITION p%d VALUES LESS THAN (%d))", c.table, next, 100*(next+1))
	}
	return y.do(c, "CREATE TABLE %s_%d PARTITION OF %[1]s FOR VALUES FROM (%[3]d) TO (%[4]d)", c.table, next, 100*next, 100*(next+1))
}

// online is what the tools' statements change: few rows, known by id alone.
func (y *years) online(c *changing) *online {
	if c != y.changing {
		return nil
	}
	if len(c.key) > 0 {
		y.rekey(c)
	}
	for len(c.cols) > 12 {
		y.drop(c)
	}
	const recent = 200
	y.run(fmt.Sprintf("DELETE FROM moving WHERE id <= %d", c.next-recent))
	return &online{changing: c, db: y.source, recent: recent}
}

func (y *years) ghost(c *changing) bool {
	o, col := y.online(c), c.free()
	if o == nil || col == "" {
		return false
	}
	def, now := c.defined(c.fresh())
	o.viaLog(fmt.Sprintf("add column %s%s, drop column %s", def, " FIRST", nameOf(col)), nameOf(col))
	c.becomes(col, "")
	c.cols = append(c.cols, now)
	y.ddl = append(y.ddl, fmt.Sprintf("(gh-ost: add column %s first, drop column %s)", def, nameOf(col)))
	return true
}

func (y *years) pt(c *changing) bool {
	o := y.online(c)
	if o == nil {
		return false
	}
	def, now := c.defined(c.fresh())
	o.viaTriggers("ADD COLUMN " + def)
	c.cols = append(c.cols, now)
	y.ddl = append(y.ddl, "(pt-online-schema-change: ADD COLUMN "+def+")")
	return true
}

// transaction commits several changes and rows at once.
func (y *years) transaction(c *changing) bool {
	y.run("BEGIN")
	for range 3 {
		c.step()
		[]func(*years, *changing) bool{(*years).add, (*years).drop, (*years).renameColumn, (*years).widen}[y.rng.IntN(4)](y, c)
		c.step()
	}
	y.run("COMMIT")
	return true
}
