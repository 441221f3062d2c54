package capture

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tributary-cdc/tributary/schema"
)

// Caps bound the values of single columns: by table, named as in a reader's patterns, and by
// column. Without a cap a row that is too large for a record stops its source.
type Caps map[string]map[string]Cap

// Cap bounds one column's values.
type Cap struct {
	// Bytes is the largest value that is carried whole: a text in UTF-8, a document or an
	// array in the form that the log has it in.
	Bytes int
	// Stop says that a larger one stops the source. Otherwise the row goes on with NULL in
	// its place, and an anomaly that says how large it was.
	Stop bool
}

// TooLarge begins the raw text of the anomaly of a value above its column's cap, whose size
// in bytes and whose cap follow.
const TooLarge = "TOO_LARGE"

// Faults gives what is wrong, in order. A table that no pattern takes isn't: it may be added
// while the source is read. Preflight warns of a cap that bounds nothing.
func (c Caps) Faults() (out []*FaultError) {
	for _, name := range slices.Sorted(maps.Keys(c)) {
		fault := func(f Fault) { out = append(out, &FaultError{fmt.Sprintf("caps %q", name), f}) }
		if _, one := Name(name); !one {
			fault(FaultTable)
		}
		if len(c[name]) == 0 {
			fault(FaultColumns)
		}
		if _, empty := c[name][""]; empty {
			fault(FaultColumn)
		}
	}
	return out
}

// Check gives the faults as one error.
func (c Caps) Check() error {
	var all []error
	for _, f := range c.Faults() {
		all = append(all, f)
	}
	return errors.Join(all...)
}

// Of gives a table's caps by column, nil if there are none. fold gives names the form that
// the server keeps.
func (c Caps) Of(table string, fold func(string) string) map[string]Cap {
	for name, columns := range c {
		if own, ok := Name(name); ok && fold(own) == table {
			return columns
		}
	}
	return nil
}

// Columns gives a table's caps by the index of its columns.
func (c Caps) Columns(t *schema.Table, name string, fold func(string) string, same func(a, b string) bool) (out map[int]Cap) {
	bounds := c.Of(name, fold)
	for i := range t.Columns {
		if b, ok := Column(bounds, t.Columns[i].Name, same); ok {
			if out == nil {
				out = map[int]Cap{}
			}
			out[i] = b
		}
	}
	return out
}

// Column gives a column's cap among those of its table. same compares names of columns as the
// server does.
func Column(caps map[string]Cap, name string, same func(a, b string) bool) (Cap, bool) {
	for column, bound := range caps {
		if same(column, name) {
			return bound, true
		}
	}
	return Cap{}, false
}

// oneTable tells what is wrong with the name of one table that patterns must take.
func oneTable(name string, tables []string) (f Fault, bad bool) {
	table, one := Name(name)
	switch {
	case !one:
		return FaultTable, true
	case !MatchesAs(tables, table, strings.ToLower):
		return FaultUnasked, true
	}
	return 0, false
}
