package sample

import "context"

// Missing gives those of the tables that the server doesn't have, or doesn't show to the
// source's user. It reads no row. ctx bounds it.
func Missing(ctx context.Context, o Options, ids []string) (missing []string, err error) {
	s, err := open(ctx, &o)
	if err != nil {
		return nil, err
	}
	defer s.close()
	there, err := s.names(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if !there[id] {
			missing = append(missing, id)
		}
	}
	return missing, nil
}
