package capture

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Keyless says what is done with tables that have no primary key. Without a word on one
// it stops: nobody would know which row of a store a change means. Table names are as
// in a reader's patterns ("database.table", for PostgreSQL "schema.table"; a dot of a name has a
// backslash before it).
type Keyless struct {
	// Keys gives columns that a person knows to be unique and never NULL, in the order
	// in which a load reads them. They take the place of a primary key.
	Keys map[string][]string
	// Append are patterns of tables that are taken in append mode where they have no
	// key: a store keeps the log of their changes (schema.Table.Append).
	Append []string
}

// Fault is something wrong with a Keyless or with Caps.
type Fault uint8

// The faults.
const (
	FaultTable   Fault = iota // not the name of one table, in two parts
	FaultUnasked              // no pattern of the source takes the table
	FaultColumns              // no columns
	FaultColumn               // a column is empty or stands twice
	FaultPattern              // a pattern hasn't two parts
)

var faultTexts = [...]string{FaultTable: "isn't the name of one table, in two parts (a dot of a name has a backslash before it)", FaultUnasked: "is taken by no pattern of tables",
	FaultColumns: "has no columns", FaultColumn: "has a column that is empty or stands twice", FaultPattern: "is no pattern of two parts"}

// FaultError is a fault and where it is, e.g. `keys "xueji.kaoqin"`.
type FaultError struct {
	Place string
	Fault Fault
}

// Error gives place and fault.
func (e *FaultError) Error() string { return e.Place + " " + faultTexts[e.Fault] }

// Faults gives what is wrong, in order, given the patterns of all tables.
func (k *Keyless) Faults(tables []string) (out []*FaultError) {
	out = ColumnFaults("keys", k.Keys, tables)
	for _, p := range k.Append {
		if !IsPattern(p) {
			out = append(out, &FaultError{fmt.Sprintf("append %q", p), FaultPattern})
		}
	}
	return out
}

// ColumnFaults gives what is wrong with lists of columns by table, which stand at a place of
// the configuration, given the patterns of all tables.
func ColumnFaults(place string, columns map[string][]string, tables []string) (out []*FaultError) {
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		cols := columns[name]
		fault := func(f Fault) { out = append(out, &FaultError{fmt.Sprintf("%s %q", place, name), f}) }
		if f, bad := oneTable(name, tables); bad {
			fault(f)
		}
		for i, c := range cols {
			if c == "" || slices.Contains(cols[:i], c) {
				fault(FaultColumn)
			}
		}
		if len(cols) == 0 {
			fault(FaultColumns)
		}
	}
	return out
}

// Check gives the faults as one error.
func (k *Keyless) Check(tables []string) error {
	var all []error
	for _, f := range k.Faults(tables) {
		all = append(all, f)
	}
	return errors.Join(all...)
}

// Key gives the columns that are a table's key by configuration, nil if there are none.
// fold gives names the form that the server keeps.
func (k *Keyless) Key(table string, fold func(string) string) []string {
	for name, cols := range k.Keys {
		if own, ok := Name(name); ok && fold(own) == table {
			return cols
		}
	}
	return nil
}

// Appends reports whether a table is taken in append mode if it has no key.
func (k *Keyless) Appends(table string, fold func(string) string) bool {
	return MatchesAs(k.Append, table, fold)
}
