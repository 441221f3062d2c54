package mysql

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/tributary-cdc/tributary/capture/mysql/rowimage"
	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Range implements snapshot.Source.
func (l *loader) Range(ctx context.Context, t *schema.Table, b snapshot.Bounds) (*event.KeyRange, error) {
	defer interrupt(ctx, l.r.sql)()
	plan := l.plans[t]
	if plan == nil {
		return nil, fmt.Errorf("table %s wasn't described on this connection: %w", t.ID(), snapshot.ErrTable)
	}
	n := max(len(b.From), len(b.To))
	if n > len(t.Key) {
		return nil, fmt.Errorf("%s has values for %d columns, the key of table %s has %d: %w", b, n, t.ID(), len(t.Key), snapshot.ErrBadBounds)
	}
	rows, err := l.r.query("read the collations of "+t.ID(), `SELECT COLUMN_NAME, COALESCE(COLLATION_NAME, '') FROM information_schema.COLUMNS
		WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?`, t.Database, t.Name)
	if err != nil {
		return nil, err
	}
	collations := map[string]string{}
	for _, row := range rows {
		collations[row[0]] = row[1]
	}
	r := &event.KeyRange{}
	for _, i := range t.Key[:n] {
		c := &t.Columns[i]
		r.Columns = append(r.Columns, event.KeyColumn{Name: c.Name, Kind: c.Type.Kind, Order: order(c.Type.Kind, collations[c.Name])})
	}
	for _, end := range []struct {
		text []string
		into *[]event.Value
	}{{b.From, &r.From}, {b.To, &r.To}} {
		for k, text := range end.text {
			v, err := plan.Written(t.Key[k], text)
			if err != nil {
				return nil, fmt.Errorf("key column %q of table %s: %w: %w", r.Columns[k].Name, t.ID(), err, snapshot.ErrBadBounds)
			}
			*end.into = append(*end.into, v)
		}
	}
	return r, nil
}

// pointOrder are collations that compare text by code points. Those of other character
// sets compare by the codes there.
var pointOrder = regexp.MustCompile(`^(utf8|utf8mb3|utf8mb4|ascii)_(general_)?(nopad_|0900_)?bin$`)

// order tells how the server orders a column.
func order(k schema.Kind, collation string) event.KeyOrder {
	switch k {
	case schema.String:
		switch {
		case !pointOrder.MatchString(collation):
			return event.OrderForeign
		case strings.Contains(collation, "_nopad_"), strings.Contains(collation, "_0900_"):
			return event.OrderPoints
		}
		return event.OrderPadded
	case schema.Decimal, schema.Bytes:
		return event.OrderValue
	}
	if k.Numeric() {
		return event.OrderValue
	}
	return event.OrderForeign
}

// within compares a key with the ends of a range.
func within(plan *rowimage.TextPlan, names []string, r *event.KeyRange) (conditions []string, err error) {
	if r == nil {
		return nil, nil
	}
	for _, end := range []struct {
		values    []event.Value
		operation string
	}{{r.From, ">="}, {r.To, "<="}} {
		if len(end.values) == 0 {
			continue
		}
		text, err := plan.Literals(end.values)
		if err != nil {
			return nil, err
		}
		conditions = append(conditions, behind(names[:len(text)], text, end.operation))
	}
	return conditions, nil
}

// behind compares a key with values in the order of its columns. The first column stands
// alone as well, because the servers find no range in the rest.
func behind(names, values []string, operation string) string {
	n, strict := len(names)-1, operation[:1]
	out := names[n] + " " + operation + " " + values[n]
	for n--; n >= 0; n-- {
		out = fmt.Sprintf("%s %s %s OR %s = %s AND (%s)", names[n], strict, values[n], names[n], values[n], out)
	}
	if len(names) > 1 {
		return fmt.Sprintf("%s %s= %s AND (%s)", names[0], strict, values[0], out)
	}
	return out
}
