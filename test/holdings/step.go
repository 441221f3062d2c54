package holdings

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// Step writes one transaction: some rows of some tables are inserted, changed, moved to
// other keys or deleted. Now and then it is rolled back. It gives the rows that were
// changed for good.
func (d *Database) Step(ctx context.Context, c *sql.Conn) (rows int64, err error) {
	image := [...]string{"MINIMAL", "NOBLOB", "FULL"}[min(d.rng.IntN(12), 2)]
	if !d.o.Postgres {
		if _, err := c.ExecContext(ctx, "SET SESSION binlog_row_image = "+image); err != nil {
			return 0, err
		}
	}
	tx, err := c.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() {
		if rerr := tx.Rollback(); rerr != nil && !errors.Is(rerr, sql.ErrTxDone) {
			err = errors.Join(err, rerr)
		}
	}()
	for range 1 + d.rng.IntN(4) {
		t := d.Tables[d.rng.IntN(len(d.Tables))]
		if !d.o.Postgres && image != "FULL" && t.computed {
			continue
		}
		statement := d.statement(t)
		res, err := tx.ExecContext(ctx, statement)
		if err != nil {
			return 0, fmt.Errorf("%.300s: %w", statement, err)
		}
		n, err := res.RowsAffected()
		if err != nil {
			return 0, err
		}
		rows += n
	}
	if d.rng.IntN(20) == 0 {
		return 0, nil
	}
	return rows, tx.Commit()
}

// statement changes a few rows of a table.
func (d *Database) statement(t *Table) string {
	size := 1 + d.rng.IntN(20)
	first := 1 + d.rng.IntN(t.next)
	where := fmt.Sprintf(" WHERE n BETWEEN %d AND %d", first, first+size-1)
	update := "UPDATE " + t.name() + " SET "
	switch what := d.rng.IntN(100); {
	case what < 35:
		first = t.next
		t.next += size
		return t.insert(first, first+size-1)
	case what < 65:
		salt := fmt.Sprintf("n + %d", d.rng.IntN(1_000_000_000))
		var sets []string
		for i := range t.columns {
			if c := &t.columns[i]; !c.key && c.name != "n" && c.expr != "" && d.rng.IntN(3) == 0 {
				sets = append(sets, t.quoted(c.name)+" = "+t.nullable(c, salt))
			}
		}
		if len(sets) > 0 {
			return update + strings.Join(sets, ", ") + where
		}
		fallthrough
	case what < 75: // to new numbers, and so to new keys; n comes last, since what follows would see its new value
		shift := t.next - first
		t.next += size
		return update + t.moved(fmt.Sprintf("n + %d", shift), "n") + fmt.Sprintf(", n = n + %d", shift) + where
	case what < 85: // to a key that means the same number
		return update + t.moved("n", fmt.Sprintf("n + %d", d.rng.IntN(100))) + where
	}
	return "DELETE FROM " + t.name() + where
}

// moved gives the key's columns for the rows' new numbers.
func (t *Table) moved(n, s string) string {
	var sets []string
	for i := range t.columns {
		if c := &t.columns[i]; c.key {
			sets = append(sets, t.quoted(c.name)+" = "+t.value(c, n, s))
		}
	}
	return strings.Join(sets, ", ")
}

// Mark writes the last row of all, into a table of its own.
func (d *Database) Mark(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, "INSERT INTO "+d.schema+"last VALUES (1)")
	return err
}
