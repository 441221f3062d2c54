// Package holdings makes databases of many tables in MariaDB or PostgreSQL: every type, keys of every
// kind, three character sets and more, from a seed. It decides names, types, rows and
// what is changed later; it knows nothing of who reads them.
package holdings

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/tributary-cdc/tributary/test/oracle"
)

// kind is a type with the expression of its values. In an expression {n} is the row's
// number, {1} to {4} are pseudo-random numbers of 32 bits made of it, and {h} is a
// pseudo-random text of 32 hexadecimal digits.
type kind struct {
	def    string // in CREATE TABLE
	family string // see oracle.Canonical
	expr   string // empty for a column that the server computes
}

// key is a primary key: the values of its columns are a row's own by its number {n}. {s}
// chooses between values that mean the same row, e.g. those that a collation takes for equal.
type key struct {
	columns []kind
	index   string // the columns in PRIMARY KEY, where that isn't their list
}

// dialect is how a server wants it.
type dialect struct {
	kinds []kind
	keys  []key
	quote string // around names
	// schema is what stands before a table's name.
	schema string
	seq    string // the number of a row in sequence
	// random makes a number of 32 bits of a row's number, the column's name and a digit;
	// hash makes 32 hexadecimal digits of the first two.
	random, hash string
	sequence     func(first, last int) string
	before       []string                // statements before any table is made
	format       map[bool]string         // statement before a table is made, by Table.odd
	after        func(t *Table) []string // statements after it
}

// Options say how much there is.
type Options struct {
	Seed uint64
	// Tables is the number of tables, at least 10; Rows is that of their rows at the beginning.
	Tables, Rows int
	// Source is the id under which the store knows the database.
	Source string
	// Postgres is for PostgreSQL; else it is MariaDB.
	Postgres bool
}

// Database is a generated database. Its methods must not be called twice at once.
type Database struct {
	Tables []*Table
	rng    *rand.Rand
	o      Options
	*dialect
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
	odd      bool // a tenth of the tables
	*dialect
}

type column struct {
	kind
	name string
	key  bool
}

// New decides on the tables.
func New(o Options) *Database {
	d := &Database{rng: rand.New(rand.NewPCG(o.Seed, 11)), o: o, dialect: &mariadb}
	if o.Postgres {
		d.dialect = &postgres
	}
	kinds, keys := d.kinds, d.keys
	order := d.rng.Perm(len(kinds))
	next := 0
	var weights []int
	var sum int
	for i := range o.Tables {
		t := &Table{Name: fmt.Sprintf("t%03d", i), odd: i%10 == 3, dialect: d.dialect}
		if i%7 == 2 {
			t.Name = fmt.Sprintf("表_%d", i)
		}
		k := keys[i%len(keys)]
		for n, c := range k.columns {
			t.columns = append(t.columns, column{kind: c, name: fmt.Sprintf("k%d", n), key: true})
		}
		t.index = k.index
		t.columns = append(t.columns, column{kind: kind{"bigint NOT NULL", map[bool]string{true: "pg", false: "number"}[o.Postgres], "{n}"}, name: "n"})
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
	out := &oracle.Table{Source: t.name(), Store: `ods."` + t.Name + `"`, ID: d.o.Source, Postgres: d.o.Postgres}
	for _, c := range t.columns {
		out.Columns = append(out.Columns, oracle.Column{Name: c.name, Family: c.family})
		if c.key {
			out.Key = append(out.Key, c.name)
		}
	}
	return out
}

// name gives the table's name with its schema.
func (t *Table) name() string { return t.schema + t.quoted(t.Name) }

func (d *dialect) quoted(name string) string { return d.quote + name + d.quote }

// value gives a column's expression for the row with the number n (an expression) and
// what chooses among equals.
func (d *dialect) value(c *column, n, s string) string {
	// The name makes the columns of a row differ.
	random := func(i int) string { return fmt.Sprintf(d.random, n, c.name, i) }
	return strings.NewReplacer("{n}", "("+n+")", "{s}", "("+s+")", "{1}", random(1), "{2}", random(2), "{3}", random(3), "{4}", random(4),
		"{h}", fmt.Sprintf(d.hash, n, c.name)).Replace(c.expr)
}

// nullable gives it, or NULL now and then.
func (d *dialect) nullable(c *column, n string) string {
	v := d.value(c, n, n)
	if c.key || c.name == "n" {
		return v
	}
	return fmt.Sprintf("CASE WHEN "+d.random+" %% 17 = 0 THEN NULL ELSE %s END", n, c.name, 0, v)
}

// create gives the statements that make a table.
func (t *Table) create() (out []string) {
	var defs, key []string
	for _, c := range t.columns {
		defs = append(defs, t.quoted(c.name)+" "+c.def)
		if c.key {
			key = append(key, t.quoted(c.name))
		}
	}
	index := strings.Join(key, ", ")
	if t.index != "" {
		index = strings.ReplaceAll(t.index, "{1}", key[0])
	}
	if s := t.format[t.odd]; s != "" {
		out = append(out, s)
	}
	out = append(out, "CREATE TABLE "+t.name()+" ("+strings.Join(defs, ", ")+", PRIMARY KEY ("+index+"))", "CREATE INDEX "+t.quoted("by_n_"+t.Name)+" ON "+t.name()+" (n)")
	if t.after != nil {
		out = append(out, t.after(t)...)
	}
	return out
}

// insert gives the statement that inserts the rows with the numbers first to last.
func (t *Table) insert(first, last int) string {
	var names, values []string
	for i := range t.columns {
		if c := &t.columns[i]; c.expr != "" {
			names, values = append(names, t.quoted(c.name)), append(values, t.nullable(c, t.seq))
		}
	}
	return fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s", t.name(), strings.Join(names, ", "), strings.Join(values, ", "), t.sequence(first, last))
}

// batch is the number of rows that one statement writes at the beginning.
const batch = 20_000

// Fill makes the tables and writes their rows. The user is an administrator; sessions in
// MariaDB must have the character set utf8mb4, the time zone +00:00 and an empty sql_mode.
func (d *Database) Fill(ctx context.Context, db *sql.DB) error {
	run := append([]string(nil), d.before...)
	run = append(run, "CREATE TABLE "+d.schema+"last (id int PRIMARY KEY)")
	for _, t := range d.Tables {
		run = append(run, t.create()...)
		for first := 1; first <= t.Rows; first += batch {
			run = append(run, t.insert(first, min(first+batch-1, t.Rows)))
		}
	}
	if s := d.format[false]; s != "" {
		run = append(run, s)
	}
	for _, sql := range run {
		if _, err := db.ExecContext(ctx, sql); err != nil {
			return fmt.Errorf("fill the tables: %.300s: %w", sql, err)
		}
	}
	return nil
}
