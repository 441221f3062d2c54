package preflight

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tributary-cdc/tributary/capture"
)

// sameName compares names as PostgreSQL does.
func sameName(a, b string) bool { return a == b }

// uncapped gives those of a table's columns whose values may be of any size: no cap of the
// configuration leaves the larger ones out.
func uncapped(columns []string, caps map[string]capture.Cap, same func(a, b string) bool) (out []string) {
	for _, name := range columns {
		if c, ok := capture.Column(caps, name, same); !ok || c.Stop {
			out = append(out, name)
		}
	}
	return out
}

// large warns of a table's rows, unless caps bound all that may be large.
func (r *Report) large(table string, columns []string, found string) {
	if len(columns) == 0 {
		return
	}
	lines := make([]string, len(columns))
	for i, name := range columns {
		lines[i] = name + ": {size: 1MB, action: omit}"
	}
	r.add(Harms, "ROW_TOO_LARGE", table, strings.Join(columns, ", ")+": "+found, Repair{Agent: fmt.Sprintf("caps: {%s: {%s}}", table, strings.Join(lines, ", "))})
}

// capped is what the caps of a table are held against.
type capped struct {
	columns, key []string
}

// caps judges the configuration's caps: those of tables and columns that don't exist, and of
// columns of a key, bound nothing. find gives a table by its name in the configuration.
func (r *Report) caps(all capture.Caps, same func(a, b string) bool, find func(name string) *capped) {
	for _, table := range slices.Sorted(maps.Keys(all)) {
		t := find(table)
		if t == nil {
			r.add(Harms, "CAP_UNUSED", table, "caps: no table")
			continue
		}
		has := func(names []string, name string) bool {
			return slices.ContainsFunc(names, func(n string) bool { return same(n, name) })
		}
		for _, name := range slices.Sorted(maps.Keys(all[table])) {
			switch {
			case !has(t.columns, name):
				r.add(Harms, "CAP_UNUSED", table, fmt.Sprintf("caps: no column %q", name))
			case has(t.key, name):
				r.add(Harms, "CAP_UNUSED", table, fmt.Sprintf("caps: %q PRIMARY KEY", name))
			}
		}
	}
}
