package sample

import "context"

// Columns gives the names of the columns of tables, in their order, by the tables' ids; none of
// a table that isn't there. It reads no row. ctx bounds it.
func Columns(ctx context.Context, o Options, ids []string) (map[string][]string, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	s, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer s.close()
	wanted := make(map[string]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	tables, err := s.describe(ctx, wanted)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]string, len(tables))
	for id, d := range tables {
		for _, c := range d.columns {
			out[id] = append(out[id], c.name)
		}
	}
	return out, nil
}
