// Package values holds values of every type of MySQL, MariaDB and PostgreSQL that tests
// send by every way: the limits, what is empty, negative, rare, or no value of its type. It
// decides what a value means; it knows no reader and no store.
package values

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Value is one value of a column of its own.
type Value struct {
	Type    string // in CREATE TABLE
	Literal string // in INSERT, or an expression
	// Family says how the value is compared: number, padded, float, double, bit, text, bytes, date,
	// datetime, time, uuid, inet4, inet6, vector; for PostgreSQL same, float, double, text,
	// padded text, bytes.
	Family string
	// Kind is the portable kind, for PostgreSQL.
	Kind schema.Kind
	Want event.Value
	// Anomaly is the value's text where its portable type can't hold it; Want is NULL.
	Anomaly string
	// Unstorable says that the log holds the value, but PostgreSQL doesn't.
	Unstorable bool
	// On names the servers that have the type: empty for all, else "mysql" or "mariadb"
	// with the first release, e.g. "mariadb 10.7"; for PostgreSQL the release alone.
	On string
	// Extension of PostgreSQL that has the type.
	Extension string
	// StoreFrom is the first release of PostgreSQL whose store holds the value, if not all do.
	StoreFrom string
	// Filled says that the type has a default.
	Filled bool
}

// Group is a table's worth of values.
type Group struct {
	Name   string
	Values []Value
	// External keeps PostgreSQL from compressing large values, so that they lie outside
	// of their rows.
	External bool
}

// For gives the groups for a server by the text of its version.
func For(version string) []Group {
	var out []Group
	for _, g := range groups {
		kept := Group{Name: g.Name}
		for _, v := range g.Values {
			if v.on(version) {
				kept.Values = append(kept.Values, v)
			}
		}
		out = append(out, kept)
	}
	return out
}

// on tells releases apart by their first two numbers.
func (v *Value) on(version string) bool {
	if v.On == "" {
		return true
	}
	engine, since, _ := strings.Cut(v.On, " ")
	if (engine == "mariadb") != strings.Contains(version, "MariaDB") {
		return false
	}
	return since == "" || release(version) >= release(since)
}

func release(version string) int {
	out := 0
	version, _, _ = strings.Cut(version, " ")
	for _, part := range append(strings.SplitN(version, ".", 3), "0")[:2] {
		n, err := strconv.Atoi(part)
		if err != nil {
			return 0
		}
		out = out*1000 + n
	}
	return out
}

// Create gives the statement that makes a group's table, with the key id and a column
// touched that updates may change.
func (g *Group) Create() string {
	defs := []string{"id int PRIMARY KEY", "touched int NOT NULL DEFAULT 0"}
	for i, v := range g.Values {
		defs = append(defs, fmt.Sprintf("c%d %s", i, v.Type))
	}
	sql := "CREATE TABLE " + g.Name + " (" + strings.Join(defs, ", ") + ")"
	for i := 0; g.External && i < len(g.Values); i++ {
		sql += fmt.Sprintf("; ALTER TABLE %s ALTER c%d SET STORAGE EXTERNAL", g.Name, i)
	}
	return sql
}

// Insert gives the statement that inserts the values under a key.
func (g *Group) Insert(id int) string {
	names, literals := []string{"id"}, []string{strconv.Itoa(id)}
	for i, v := range g.Values {
		names, literals = append(names, fmt.Sprintf("c%d", i)), append(literals, v.Literal)
	}
	return "INSERT INTO " + g.Name + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(literals, ", ") + ")"
}

// Generated reports whether the server computes the value from other columns.
func (v *Value) Generated() bool { return strings.Contains(v.Type, " AS (") }

// Columns is the number of columns before those of the values.
const Columns = 2

func text(s string) event.Value { return event.Raw([]byte(s)) }

func micro(s string) event.Value {
	t, err := time.Parse("2006-01-02 15:04:05.999999", s)
	if err != nil {
		panic(err) // a slip of the pen in this package
	}
	return event.Signed(t.UnixMicro())
}

func day(s string) event.Value {
	return event.Signed(int64(micro(s+" 00:00:00").N) / 86_400_000_000)
}

func float(f float64) event.Value { return event.Number(math.Float64bits(f)) }

func single(f float32) event.Value { return event.Number(uint64(math.Float32bits(f))) }
