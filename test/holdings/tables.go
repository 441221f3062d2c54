// Package holdings makes databases of many tables in MariaDB: every type, keys of every
// kind, three character sets and more, from a seed. It decides names, types, rows and
// what is changed later; it knows nothing of who reads them.
package holdings

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/tributary-cdc/tributary/test/oracle"
)

// Options say how much there is.
type Options struct {
	Seed uint64
	// Tables is the number of tables, at least 10; Rows is that of their rows at the beginning.
	Tables, Rows int
	// Source is the id under which the store knows the database.
	Source string
}

// Database is a generated database. Its methods must not be called twice at once.
type Database struct {
	Tables []*Table
	rng    *rand.Rand
	source string
}

// Table is one of them.
type Table struct {
	Name    string
	Rows    int // at the beginning
	columns []column
	index   string
	next    int // number of the next new row
	// computed says that the server computes columns: MariaDB leaves those out of partial images.
	computed bool
	// old says that times have the format of before MySQL 5.6.
	old bool
}

type column struct {
	kind
	name string
	key  bool
}

// schema is the database's name.
const schema = "shiku"

// New decides on the tables.
func New(o Options) *Database {
	d := &Database{rng: rand.New(rand.NewPCG(o.Seed, 11)), source: o.Source}
	order := d.rng.Perm(len(kinds))
	next := 0
	var weights []int
	var sum int
	for i := range o.Tables {
		t := &Table{Name: fmt.Sprintf("t%03d", i), old: i%10 == 3}
		if i%7 == 2 {
			t.Name = fmt.Sprintf("表_%d", i)
		}
		k := keys[i%len(keys)]
		for n, c := range k.columns {
			t.columns = append(t.columns, column{kind: c, name: fmt.Sprintf("k%d", n), key: true})
		}
		t.index = k.index
		t.columns = append(t.columns, column{kind: kind{"bigint NOT NULL", "number", "{n}"}, name: "n"})
		count := 4 + d.rng.IntN(14)
		if i == 0 { // one with everything
			count = len(kinds)
		}
		for range count {
			c := column{kind: kinds[order[next%len(order)]], name: fmt.Sprintf("c%d", next%len(order))}
			if next++; next%5 == 0 {
				c.name = fmt.Sprintf("列 %d", next%len(order))
			}
			t.computed = t.computed || c.expr == ""
			t.columns = append(t.columns, c)
		}
		weight := 1 + d.rng.IntN(20)
		switch {
		case i%10 == 9:
			weight = 0 // empty
		case i%40 == 5: // a few have most of the rows
			weight = 100 * (1 + d.rng.IntN(4))
		}
		weights, sum = append(weights, weight), sum+weight
		d.Tables = append(d.Tables, t)
	}
	for i, t := range d.Tables {
		t.Rows = o.Rows * weights[i] / sum
		t.next = t.Rows + 1
	}
	return d
}

// Oracle gives what compares the tables with those of a store.
func (d *Database) Oracle(t *Table) *oracle.Table {
	out := &oracle.Table{Source: schema + "." + quote(t.Name), Store: `ods."` + t.Name + `"`, ID: d.source}
	for _, c := range t.columns {
		out.Columns = append(out.Columns, oracle.Column{Name: c.name, Family: c.family})
		if c.key {
			out.Key = append(out.Key, c.name)
		}
	}
	return out
}

func quote(name string) string { return "`" + name + "`" }

// value gives a column's expression for the row with the number n (an expression) and
// what chooses among equals.
func (c *column) value(n, s string) string {
	// The name makes the columns of a row differ.
	random := func(i int) string { return fmt.Sprintf("CRC32(CONCAT(%s, '%s/%d'))", n, c.name, i) }
	return strings.NewReplacer("{n}", "("+n+")", "{s}", "("+s+")", "{1}", random(1), "{2}", random(2), "{3}", random(3), "{4}", random(4),
		"{h}", "MD5(CONCAT("+n+", '"+c.name+"'))").Replace(c.expr)
}

// nullable gives it, or NULL now and then.
func (c *column) nullable(n string) string {
	v := c.value(n, n)
	if c.key || c.name == "n" {
		return v
	}
	return fmt.Sprintf("IF(CRC32(CONCAT(%s, '%s')) %% 17 = 0, NULL, %s)", n, c.name, v)
}

// create gives the statements that make a table.
func (t *Table) create() []string {
	var defs, key []string
	for _, c := range t.columns {
		defs = append(defs, quote(c.name)+" "+c.def)
		if c.key {
			key = append(key, quote(c.name))
		}
	}
	index := strings.Join(key, ", ")
	if t.index != "" {
		index = strings.ReplaceAll(t.index, "{1}", key[0])
	}
	format := "ON"
	if t.old {
		format = "OFF"
	}
	return []string{"SET GLOBAL mysql56_temporal_format = " + format,
		"CREATE TABLE " + schema + "." + quote(t.Name) + " (" + strings.Join(defs, ", ") + ", PRIMARY KEY (" + index + "), KEY (n)) ENGINE = InnoDB",
		"SET GLOBAL mysql56_temporal_format = ON"}
}

// insert gives the statement that inserts the rows with the numbers first to last.
func (t *Table) insert(first, last int) string {
	var names, values []string
	for i := range t.columns {
		if c := &t.columns[i]; c.expr != "" {
			names, values = append(names, quote(c.name)), append(values, c.nullable("CAST(seq AS SIGNED)"))
		}
	}
	return fmt.Sprintf("INSERT INTO %s.%s (%s) SELECT %s FROM %s", schema, quote(t.Name), strings.Join(names, ", "), strings.Join(values, ", "), sequence(first, last))
}

// sequence is a table of numbers (MariaDB Knowledge Base, "Sequence Storage Engine").
func sequence(first, last int) string {
	return "seq_" + strconv.Itoa(first) + "_to_" + strconv.Itoa(last)
}

// batch is the number of rows that one statement writes at the beginning.
const batch = 20_000

// Fill makes the tables and writes their rows. The connection must have the character
// set utf8mb4, the time zone +00:00 and an empty sql_mode; the user is an administrator.
func (d *Database) Fill(ctx context.Context, db *sql.DB) error {
	run := []string{"CREATE DATABASE " + schema + " CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", "CREATE TABLE " + schema + ".last (id int PRIMARY KEY)"}
	for _, t := range d.Tables {
		run = append(run, t.create()...)
		for first := 1; first <= t.Rows; first += batch {
			run = append(run, "USE "+schema, t.insert(first, min(first+batch-1, t.Rows)))
		}
	}
	c, err := db.Conn(ctx) // USE is a session's
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // goes back to the pool
	for _, sql := range run {
		if _, err := c.ExecContext(ctx, sql); err != nil {
			return fmt.Errorf("fill the tables: %.300s: %w", sql, err)
		}
	}
	return nil
}
