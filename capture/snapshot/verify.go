package snapshot

import (
	"context"
	"fmt"
	"time"

	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Verification is an order to compare a table with the stores.
type Verification struct {
	// ID names the order. Each order has another one.
	ID string `json:"id"`
	// By and At tell who has asked, and when.
	By string    `json:"by"`
	At time.Time `json:"at"`
	// Repair has the stores mend what differs. The rows then go through the log as well.
	Repair bool `json:"repair,omitempty"`
	// Without are columns that aren't compared, because a store leaves them out, by table.
	Without map[string][]string `json:"-"`
}

// verification is what a task must know of its order.
type verification struct {
	Verification
	// Columns are the table's own of Without.
	Columns []string `json:"without,omitempty"`
	// Told says that the log has the end of one that was given up.
	Told bool `json:"told,omitempty"`
}

// Verify orders that a captured table be compared with the stores while everything flows.
// It takes the way of a load, with digests in the place of rows. It asks the source. A table
// that isn't whole in the stores, or isn't delivered, is refused.
func (l *Loader) Verify(ctx context.Context, table string, v Verification) error {
	if err := l.free(table, true); err != nil {
		return err
	}
	return l.with(ctx, func(src Source) error {
		t, err := captured(ctx, src, table)
		if err != nil {
			return err
		}
		return l.order(verifying(table, t.Dataset, v))
	})
}

func verifying(table, dataset string, v Verification) progress {
	return progress{Progress: Progress{Table: table, Verify: v.ID}, Dataset: dataset, Check: &verification{Verification: v, Columns: v.Without[table]}}
}

// Unverified is a table that an order couldn't have compared.
type Unverified struct {
	Table string
	Err   error
}

// VerifyAll is Verify for all captured tables that exist, or those of them that wanted
// names by their IDs, if it isn't nil. It gives those that will be compared, and those that
// can't be.
func (l *Loader) VerifyAll(ctx context.Context, v Verification, wanted func(table string) bool) (ordered []string, refused []Unverified, err error) {
	err = l.with(ctx, func(src Source) error {
		tables, err := src.Tables(ctx)
		if err != nil {
			return err
		}
		for i := range tables {
			t := &tables[i]
			if wanted != nil && !wanted(t.ID) {
				continue
			}
			err := l.free(t.ID, true)
			switch {
			case err != nil:
			case t.Schema == nil:
				err = fmt.Errorf("table %s: %s: %w", t.ID, t.Refused, ErrTable)
			case t.Schema.Append:
				err = fmt.Errorf("table %s: %w", t.ID, ErrAppend)
			default:
				err = l.order(verifying(t.ID, t.Schema.Dataset, v))
			}
			if err != nil {
				refused = append(refused, Unverified{t.ID, err})
			} else {
				ordered = append(ordered, t.ID)
			}
		}
		return nil
	})
	return ordered, refused, err
}

// check says something of the task's verification.
func (t *task) check(phase event.CheckPhase) event.Check {
	return event.Check{Phase: phase, ID: t.Check.ID, Table: t.Table, Dataset: t.Dataset, Since: t.Since, Repair: t.Check.Repair}
}

// checkBegun says who has asked.
func (t *task) checkBegun() event.Check {
	c := t.check(event.CheckBegun)
	c.By, c.At, c.Without = t.Check.By, t.Check.At, t.Check.Columns
	return c
}

// givenUp reports whether the log still lacks the end of a verification that has none.
func (t *task) givenUp() bool {
	return t.Check != nil && !t.Check.Told && !t.Since.IsZero() && (t.Phase == Canceled || t.Phase == Failed)
}

// giveUp tells it.
func (t *task) giveUp() event.Check {
	told := *t.Check // the order is shared with the one that is kept until it is durable
	told.Told = true
	t.Check = &told
	c := t.check(event.CheckGivenUp)
	if c.Reason = t.Error; t.Phase == Canceled {
		c.Reason = "cancelled"
	}
	return c
}

// checkRows makes a chunk's rows into its check.
func (t *task) checkRows(c *chunk, rows []event.Row) (event.Check, error) {
	out := t.check(event.CheckRows)
	out.Schema, out.Without, out.Rows = c.req.Table, t.Check.Columns, make([]event.CheckedRow, len(rows))
	var d envelope.Digester
	var keys []byte
	compared, keep := out.Schema.Without(out.Without)
	kept := make([]event.Value, len(keep))
	for i := range rows {
		at := len(keys)
		var err error
		if keys, err = envelope.AppendKeyColumns(keys, out.Schema, rows[i].After); err != nil {
			return out, err
		}
		image := rows[i].After
		if keep != nil {
			for to, from := range keep {
				kept[to] = image[from]
			}
			image = kept
		}
		out.Rows[i] = event.CheckedRow{Key: keys[at:len(keys):len(keys)], Digest: d.Row(compared, image)}
	}
	return out, nil
}
