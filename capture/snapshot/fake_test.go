package snapshot

import (
	"context"
	"strconv"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/event"
)

// integers are sources whose keys are one integer.
type integers struct{}

// Include implements Source.
func (integers) Include(context.Context, string) error { return nil }

// Range implements Source.
func (integers) Range(_ context.Context, t *schema.Table, b Bounds) (*event.KeyRange, error) {
	r := &event.KeyRange{Columns: []event.KeyColumn{{Name: t.Columns[t.Key[0]].Name, Kind: schema.Int64}}}
	for _, end := range []struct {
		text []string
		into *[]event.Value
	}{{b.From, &r.From}, {b.To, &r.To}} {
		for _, text := range end.text {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return nil, ErrBadBounds
			}
			*end.into = append(*end.into, event.Signed(n))
		}
	}
	return r, nil
}

// inside reports whether a key lies in a range.
func inside(r *event.KeyRange, id int64) bool {
	return r == nil || (len(r.From) == 0 || id >= r.From[0].Int()) && (len(r.To) == 0 || id <= r.To[0].Int())
}
