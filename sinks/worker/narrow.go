package worker

import (
	"context"
	"maps"
	"slices"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// ColumnsLeftOut is the code that tells people of columns that a store leaves out.
const ColumnsLeftOut = "COLUMNS_LEFT_OUT"

// narrow is a version of a table without the columns that the store leaves out.
type narrow struct {
	table *schema.Table
	keep  []int // the columns of table, as the version numbers them
	names []string
}

// newNarrow leaves columns out of a version, none of them of its key.
func newNarrow(t *schema.Table, left []int) *narrow {
	n := &narrow{table: &schema.Table{}}
	*n.table = *t
	n.table.Columns, n.table.Key = nil, nil
	for i, c := range t.Columns {
		if slices.Contains(left, i) {
			n.names = append(n.names, c.Name)
			continue
		}
		n.keep = append(n.keep, i)
		n.table.Columns = append(n.table.Columns, c)
	}
	for _, k := range t.Key {
		n.table.Key = append(n.table.Key, slices.Index(n.keep, k))
	}
	return n
}

// row leaves the columns' values out of a row.
func (n *narrow) row(r *event.Row) {
	r.Before, r.After = n.image(r.Before), n.image(r.After)
	kept := r.Anomalies[:0]
	for _, a := range r.Anomalies {
		if a.Column = slices.Index(n.keep, a.Column); a.Column >= 0 {
			kept = append(kept, a)
		}
	}
	r.Anomalies = kept
}

func (n *narrow) image(values []event.Value) []event.Value {
	if values == nil {
		return nil
	}
	for to, from := range n.keep {
		values[to] = values[from]
	}
	return values[:len(n.keep)]
}

// prepared is for tables that were ensured before.
func (v *versions) prepared() func(context.Context, *schema.Table) (*narrow, error) {
	known := maps.Clone(v.narrow)
	return func(_ context.Context, t *schema.Table) (*narrow, error) { return known[t], nil }
}

// leftOut notes which columns of a version the store leaves out, and says so when that
// is news.
func (s *session) leftOut(t *schema.Table, left []int) *narrow {
	var n *narrow
	var names []string
	if len(left) > 0 {
		n = newNarrow(t, left)
		names = n.names
	}
	news := false
	s.update(t.Source, func(st *SourceStatus) {
		if news = !slices.Equal(st.LeftOut[t.ID()], names); news {
			st.LeftOut = maps.Clone(st.LeftOut) // others may be reading it
			if names == nil {
				delete(st.LeftOut, t.ID())
			} else if st.LeftOut == nil {
				st.LeftOut = map[string][]string{t.ID(): names}
			} else {
				st.LeftOut[t.ID()] = names
			}
		}
	})
	if news {
		s.w.o.Logger.Warn("columns left out by the dataset's rule", "source", t.Source, "table", t.ID(), "columns", names)
		s.w.o.OnChange()
	}
	return n
}
