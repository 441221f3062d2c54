package capture

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Keyless says what is done with tables that have no primary key. Without a word on one
// it stops: nobody would know which row of a store a change means. Table names are as
// in a reader's patterns ("database.table", for PostgreSQL "schema.table").
type Keyless struct {
	// Keys gives columns that a person knows to be unique and never NULL, in the order
	// in which a load reads them. They take the place of a primary key.
	Keys map[string][]string
	// Append are patterns of tables that are taken in append mode where they have no
	// key: a store keeps the log of their changes (schema.Table.Append).
	Append []string
}

// Check reports what is wrong with it, given the patterns of all tables.
func (k *Keyless) Check(tables []string) error {
	var all []error
	for _, name := range slices.Sorted(maps.Keys(k.Keys)) {
		cols := k.Keys[name]
		switch {
		case strings.Count(name, ".") != 1 || strings.ContainsAny(name, "*?["):
			all = append(all, fmt.Errorf("keys: %q isn't the name of one table, in two parts", name))
		case !matches(tables, name, strings.ToLower):
			all = append(all, fmt.Errorf("keys: no pattern of tables takes %q", name))
		}
		for i, c := range cols {
			if c == "" || slices.Contains(cols[:i], c) {
				all = append(all, fmt.Errorf("keys: column %q of %q is empty or stands twice", c, name))
			}
		}
		if len(cols) == 0 {
			all = append(all, fmt.Errorf("keys: %q has no columns", name))
		}
	}
	for _, p := range k.Append {
		if _, err := path.Match(p, ""); err != nil || strings.Count(p, ".") != 1 {
			all = append(all, fmt.Errorf("append: pattern %q has other than two parts", p))
		}
	}
	return errors.Join(all...)
}

// Key gives the columns that are a table's key by configuration, nil if there are none.
// fold gives names the form that the server keeps.
func (k *Keyless) Key(table string, fold func(string) string) []string {
	for name, cols := range k.Keys {
		if fold(name) == table {
			return cols
		}
	}
	return nil
}

// Appends reports whether a table is taken in append mode if it has no key.
func (k *Keyless) Appends(table string, fold func(string) string) bool {
	return matches(k.Append, table, fold)
}

func matches(patterns []string, table string, fold func(string) string) bool {
	table = fold(table)
	for _, p := range patterns {
		if ok, err := path.Match(fold(p), table); err == nil && ok {
			return true
		}
	}
	return false
}
