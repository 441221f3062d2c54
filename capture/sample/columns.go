package sample

import "context"

// Columns gives the names of the columns of tables, in their order, by the tables' ids; none of
// a table that isn't there. It reads no row. ctx bounds it.
func Columns(ctx context.Context, o Options, ids []string) (map[string][]string, error) {
	s, tables, err := describe(ctx, &o, ids)
	if err != nil {
		return nil, err
	}
	defer s.close()
	out := make(map[string][]string, len(tables))
	for id, d := range tables {
		for _, c := range d.columns {
			out[id] = append(out[id], c.name)
		}
	}
	return out, nil
}
