package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tributary-cdc/tributary/capture/snapshot"
)

// barrier keeps views of a table that was added apart from transactions of before. What
// they did to the table isn't in the stream: the reader passed it over, or the publication
// didn't hold the table when it was written. So a view must show all transactions that had
// begun by then.
//
// And they do harm beyond that: a server decodes such a transaction by the catalogue of its
// beginning, keeps in mind that the table isn't published, and forgets that at the next
// change of a publication only (measured on 15.13; newer minor releases tell the
// transaction). So once they have ended the publication is written anew, as it is, and
// what had begun by then is waited for once more.
type barrier struct {
	before  uint64 // a view must show all transactions before it; 0 if none is known yet
	renewed bool   // the publication was written anew, or isn't ours
	due     bool   // it is to be written now
}

// passes reports, with ErrView, what a view lacks.
func (b *barrier) passes(seen *view) error {
	if b.before == 0 {
		b.before = seen.max
	}
	if seen.min < b.before {
		return fmt.Errorf("transaction %d had begun before the table was added and goes on: %w", seen.min, snapshot.ErrView)
	}
	if !b.renewed {
		b.due = true
		return fmt.Errorf("the publication is to be written anew first: %w", snapshot.ErrView)
	}
	return nil
}

// renew writes the publication anew, if that is due.
func (l *loader) renew(ctx context.Context) error {
	if !l.due {
		return nil
	}
	var publish string
	err := l.r.sql.QueryRow(ctx, `SELECT concat_ws(', ', CASE WHEN pubinsert THEN 'insert' END, CASE WHEN pubupdate THEN 'update' END, CASE WHEN pubdelete THEN 'delete' END,
		CASE WHEN to_jsonb(p)->>'pubtruncate' = 'true' THEN 'truncate' END) FROM pg_publication p WHERE pubname = $1`, l.r.o.Publication).Scan(&publish)
	if err != nil {
		return connection("look at the publication", err)
	}
	_, err = l.r.sql.Exec(ctx, "ALTER PUBLICATION "+pgx.Identifier{l.r.o.Publication}.Sanitize()+" SET (publish = '"+strings.ReplaceAll(publish, "'", "''")+"')")
	var pe *pgconn.PgError
	if err != nil && (!errors.As(err, &pe) || pe.Code != "42501") { // another role's: see DESIGN.md
		return connection("write the publication anew", err)
	}
	l.barrier = barrier{renewed: true}
	return nil
}
