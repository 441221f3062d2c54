package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// within gives the condition that a row's key lies in a range, in the order of the
// source's server, and adds its values to args. A range whose order can't be told here
// is refused: rows that exist would be taken away.
func (a *applying) within(ctx context.Context, table string, r *event.KeyRange, args *[]any) (string, error) {
	if !r.Tellable() {
		return "", fmt.Errorf("rows of %s between two keys in an order that only the source knows: %w", table, worker.ErrTableRefused)
	}
	types := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		err := a.conn.QueryRow(ctx, `SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = $1::regclass AND attname = $2 AND NOT attisdropped`, table, c.Name).Scan(&types[i])
		if err != nil {
			return "", fmt.Errorf("key column %q of %s: %w", c.Name, table, err)
		}
	}
	var out strings.Builder
	for _, end := range []struct {
		operation string
		values    []event.Value
	}{{">=", r.From}, {"<=", r.To}} {
		if len(end.values) == 0 {
			continue
		}
		var columns, values []string
		for i, v := range end.values {
			*args = append(*args, fmt.Sprint(argument(r.Columns[i].Kind, v)))
			column, value := ident(r.Columns[i].Name), fmt.Sprintf("$%d::text::%s", len(*args), types[i])
			switch r.Columns[i].Order {
			case event.OrderPoints:
				column, value = column+` COLLATE "C"`, value+` COLLATE "C"`
			case event.OrderPadded:
				size := fmt.Sprintf("greatest(length(%s), length(%s))", column, value)
				column, value = fmt.Sprintf(`rpad(%s, %s) COLLATE "C"`, column, size), fmt.Sprintf(`rpad(%s, %s) COLLATE "C"`, value, size)
			}
			columns, values = append(columns, column), append(values, value)
		}
		fmt.Fprintf(&out, " AND (%s) %s (%s)", strings.Join(columns, ", "), end.operation, strings.Join(values, ", "))
	}
	return out.String(), nil
}
