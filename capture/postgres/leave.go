package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Leave takes away what the source has on its server: the slot and the publication. It gives
// the statements for what this user may not drop; none are left if there is nothing. It ends
// the connection that reads from the slot, so the caller has stopped reading. An error of the
// connection leaves either, and Leave may be called again.
func (r *Room) Leave(ctx context.Context) (remains []string, err error) {
	if err := r.GiveUp(ctx); forbidden(err) {
		remains = append(remains, "SELECT pg_drop_replication_slot('"+r.o.Slot+"')")
	} else if err != nil {
		return nil, err
	}
	s, err := Open(ctx, r.o)
	if err != nil {
		return remains, err
	}
	defer s.Close(ctx)
	name := pgx.Identifier{r.o.Publication}.Sanitize()
	if _, err := s.Rows(ctx, "drop the publication", "DROP PUBLICATION IF EXISTS "+name); forbidden(err) {
		remains = append(remains, "DROP PUBLICATION "+name)
	} else if err != nil {
		return remains, err
	}
	return remains, nil
}

// forbidden reports whether a privilege is missing (42501, insufficient_privilege).
func forbidden(err error) bool {
	pe, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pe.Code == "42501"
}
