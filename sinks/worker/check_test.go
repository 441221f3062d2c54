package worker

import (
	"context"
	"testing"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
	"github.com/tributary-cdc/tributary/stream/log"
)

// TestCheckOfNarrowTable: a verification is given up by a store that leaves out a column which
// it covers, and compared without the columns that it doesn't cover by any other.
func TestCheckOfNarrowTable(t *testing.T) {
	table := &schema.Table{Source: "s", Dataset: "t", Database: "d", Name: "t", Key: []int{1}}
	for _, name := range []string{"more", "id", "name"} {
		table.Columns = append(table.Columns, schema.Column{Name: name, Type: schema.Type{Kind: schema.Int64}})
	}
	for name, tt := range map[string]struct {
		left    []int // by the store
		without []string
		fit     bool
		columns int // that are compared
	}{
		"all":                   {nil, nil, true, 3},
		"all of the store":      {nil, []string{"more"}, true, 2},
		"what it leaves out":    {[]int{0}, []string{"more"}, true, 2},
		"more than that":        {[]int{0}, []string{"name", "more"}, true, 1},
		"it leaves one out":     {[]int{0}, nil, false, 3},
		"it leaves another out": {[]int{0}, []string{"name"}, false, 2},
	} {
		u := newBuilder(&Worker{}, "topic", map[tableKey]*stop{})
		u.ensure = func(context.Context, *schema.Table) (*narrow, error) {
			if tt.left == nil {
				return nil, nil
			}
			return newNarrow(table, tt.left), nil
		}
		u.last.id, u.last.table = 7, table
		var records log.Records
		envelope.AddCheck(&records, "s", &envelope.Check{SchemaID: 7, Check: event.Check{Phase: event.CheckRows, ID: "v", Table: "d.t", Without: tt.without}})
		batch, b := log.Batch{Count: 1, Data: records.Data()}, Batch{}
		for range 2 {
			err := batch.Each(func(_ log.Offset, r *log.Record) error {
				c, err := envelope.ParseControl(r)
				if err != nil {
					return err
				}
				return u.check(t.Context(), &b, &txn{source: "s", commit: &envelope.Commit{}}, &change{value: c.Body})
			})
			if err != nil {
				t.Fatal(name, ": ", err)
			}
		}
		c := b.Checks[0]
		if (c.Unfit == "") != tt.fit || len(c.Schema.Columns) != tt.columns || c.Schema.Columns[c.Schema.Key[0]].Name != "id" || c.Schema != b.Checks[1].Schema {
			t.Errorf("%s: unfit %q, compared %+v", name, c.Unfit, c.Schema)
		}
	}
}
