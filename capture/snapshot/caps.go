package snapshot

import (
	"fmt"
	"slices"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Capper is what a capture.Reader may be besides: one whose configuration bounds the values
// of single columns.
type Capper interface {
	// Caps gives the caps of a table's columns by the columns' index, nil if there are none.
	// It is called between Start and Next.
	Caps(t *schema.Table) map[int]capture.Cap
}

// caps knows the caps of tables. It belongs to the goroutine that calls Next.
type caps struct {
	of    Capper // nil if the reader has none
	known map[*schema.Table][]columnCap
}

// columnCap is a column's cap.
type columnCap struct {
	column int
	capture.Cap
}

// tablesCapped bounds the versions of tables that are kept; each DDL makes a new one.
const tablesCapped = 4096

// table gives a table's caps, in the order of its columns. A key is never cut: its row would
// be another one.
func (c *caps) table(t *schema.Table) []columnCap {
	found, there := c.known[t]
	if there {
		return found
	}
	for i, bound := range c.of.Caps(t) {
		if !slices.Contains(t.Key, i) {
			found = append(found, columnCap{i, bound})
		}
	}
	slices.SortFunc(found, func(a, b columnCap) int { return a.column - b.column })
	if c.known == nil || len(c.known) >= tablesCapped {
		c.known = map[*schema.Table][]columnCap{}
	}
	c.known[t] = found
	return found
}

// cut puts NULL and an anomaly in the place of values above their column's cap. Whether rows
// come from the stream or from a table, and whether they are written or compared, it is the
// same. A value that is to stop the source is the error if stops is set, and else left.
func (c *caps) cut(rows []event.Row, stops bool) error {
	if c.of == nil {
		return nil
	}
	var table *schema.Table
	var bounds []columnCap
	for i := range rows {
		row := &rows[i]
		if row.Table != table {
			table = row.Table
			bounds = c.table(table)
		}
		for _, b := range bounds {
			for before, image := range [2][]event.Value{row.After, row.Before} {
				if image == nil || image[b.column].State != event.Present || len(image[b.column].B) <= b.Bytes {
					continue
				}
				v := &image[b.column]
				if !b.Stop {
					row.Anomalies = append(slices.Clip(row.Anomalies), event.Anomaly{Column: b.column, Before: before == 1,
						Raw: fmt.Sprintf("%s: %d > %d", capture.TooLarge, len(v.B), b.Bytes)})
					*v = event.NullValue
				} else if stops {
					return &capture.Coded{Code: "COLUMN_TOO_LARGE", Hint: fmt.Sprintf("raise the cap of %s in caps, or set its action to omit", table.Columns[b.column].Name),
						Err: fmt.Errorf("column %q of the row of table %s with the key %s has %d bytes, more than its cap of %d", table.Columns[b.column].Name, table.ID(), envelope.KeyText(row), len(v.B), b.Bytes)}
				}
			}
		}
	}
	return nil
}
