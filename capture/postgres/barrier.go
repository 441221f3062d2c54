package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tributary-cdc/tributary/capture/snapshot"
	"github.com/tributary-cdc/tributary/schema"
)

// barrier keeps views of a table that was added apart from transactions of before. What
// they did to the table isn't in the stream: the reader passed it over, or the publication
// didn't hold the table when it was written. So a view must show all transactions that had
// begun by then.
//
// And they do harm beyond that: a server decodes such a transaction by the catalogue of its
// beginning, keeps in mind that the publication doesn't hold the table, and forgets that
// only once the table is put there again (measured on 10.23; 15.18 and 18.1 tell the
// transaction, and nothing but their versions would say so). So once they have ended the
// table must be put there anew, and what had begun by then is waited for once more.
type barrier struct {
	before  uint64 // a view must show all transactions before it; 0 if none is known yet
	renewed bool   // the table was put into the publication anew
	due     bool   // it is to be put there now
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
		return fmt.Errorf("the table is to be put into the publication anew first: %w", snapshot.ErrView)
	}
	return nil
}

// renew puts the table into the publication anew, if that is due and nobody else has done
// so. A publication for all tables, or for those of a schema, doesn't name it.
func (l *loader) renew(ctx context.Context, t *schema.Table) error {
	if !l.due {
		return nil
	}
	var written string
	var filtered bool // by rows or columns, which would be lost
	err := l.r.sql.QueryRow(ctx, `SELECT pr.xmin::text, to_jsonb(pr)->>'prqual' IS NOT NULL OR to_jsonb(pr)->>'prattrs' IS NOT NULL FROM pg_publication_rel pr JOIN pg_publication p ON p.oid = pr.prpubid JOIN pg_class c ON c.oid = pr.prrelid
		JOIN pg_namespace n ON n.oid = c.relnamespace WHERE p.pubname = $1 AND n.nspname = $2 AND c.relname = $3`, l.r.o.Publication, t.Schema, t.Name).Scan(&written, &filtered)
	if errors.Is(err, pgx.ErrNoRows) {
		l.barrier = barrier{renewed: true}
		return nil
	}
	if err != nil {
		return connection("look at the publication", err)
	}
	xid, err := strconv.ParseUint(written, 10, 32)
	if err != nil {
		return fmt.Errorf("transaction %q of the publication: %w", written, err)
	}
	if int32(uint32(xid)-uint32(l.before)) < 0 {
		if filtered {
			return fmt.Errorf("the publication has a filter for the table: drop the table there and add it again, in one transaction: %w", snapshot.ErrView)
		}
		if err := l.republish(ctx, t); err != nil {
			return err
		}
	}
	l.barrier = barrier{renewed: true}
	return nil
}

// republish takes the table out of the publication and puts it there again, for nobody to
// see between.
func (l *loader) republish(ctx context.Context, t *schema.Table) error {
	alter, table := "ALTER PUBLICATION "+pgx.Identifier{l.r.o.Publication}.Sanitize(), pgx.Identifier{t.Schema, t.Name}.Sanitize()
	sql := "BEGIN; " + alter + " DROP TABLE " + table + "; " + alter + " ADD TABLE " + table + "; COMMIT"
	err := pgx.BeginFunc(ctx, l.r.sql, func(tx pgx.Tx) error {
		for _, sql := range []string{"SET LOCAL lock_timeout = '3s'", alter + " DROP TABLE " + table, alter + " ADD TABLE " + table} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	})
	var pe *pgconn.PgError
	if errors.As(err, &pe) && pe.Code == "55P03" { // somebody has a lock on the table
		return fmt.Errorf("put table %s into the publication anew: %w: %w", t.ID(), snapshot.ErrView, err)
	}
	if errors.As(err, &pe) && pe.Code == "42501" { // a person's, who may have done it at the next look
		return fmt.Errorf("the publication's owner must put the table there anew: %s: %w", sql, snapshot.ErrView)
	}
	if err != nil {
		return connection("put table "+t.ID()+" into the publication anew", err)
	}
	return nil
}
