package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/stream/envelope"
	"github.com/tributary-cdc/tributary/stream/event"
)

// Check is a step of a verification as a batch brings it to the store.
type Check struct {
	Source string
	event.Check
	// Unfit says why the table can't be compared: some of its rows are known to be missing.
	Unfit string
	// Held reports whether a key, in its canonical form, is in quarantine: what the store
	// has of it is what was last accepted, and its difference is known.
	Held func(key []byte) bool
	// Stands is set by the store at a verification's end, unless it was given up: whether a
	// difference stands.
	Stands *bool
}

// verified notes how verifications have ended.
func (s *session) verified(checks []Check) {
	for _, c := range checks {
		if c.Stands == nil {
			continue
		}
		s.update(c.Source, func(st *SourceStatus) {
			st.Unequal = slices.DeleteFunc(slices.Clone(st.Unequal), func(t string) bool { return t == c.Table })
			if *c.Stands {
				st.Unequal = append(st.Unequal, c.Table)
			}
		})
		if *c.Stands { // keys may be a person's, and stand in the store only
			s.w.o.Logger.Warn("the store differs from the source", "source", c.Source, "table", c.Table, "verification", c.ID)
		}
		s.w.o.OnChange()
	}
}

// TablesUnequal is the code that tells people of tables that differ from their source.
const TablesUnequal = "VERIFY_DIFFERENT"

// check adds a step of a verification to a batch.
func (u *builder) check(ctx context.Context, b *Batch, t *txn, c *change) error {
	parsed, err := envelope.ParseCheck(c.value)
	if err != nil {
		return fmt.Errorf("verification in transaction %s of %s: %w", t.commit.Txn.Position, t.source, err)
	}
	k := tableKey{t.source, parsed.Table}
	held := u.keysOf(t.source).table(parsed.Table)
	out := Check{Source: t.source, Check: parsed.Check, Unfit: u.unfit(k), Held: func(key []byte) bool { _, ok := held.ids[string(key)]; return ok }}
	if out.Phase == event.CheckRows {
		var table *schema.Table
		if table, err = u.table(ctx, t, parsed.SchemaID); err != nil {
			return err
		}
		if out.Unfit == "" {
			n, err := u.ensure(ctx, table)
			if err != nil {
				return err
			}
			if n != nil && slices.ContainsFunc(n.names, func(name string) bool { return !slices.Contains(out.Without, name) }) {
				out.Unfit = "the store leaves columns out, which the verification covers: " + strings.Join(n.names, ", ")
			}
		}
		out.Schema = u.compared(table, out.Without)
	}
	b.Checks = append(b.Checks, out)
	return nil
}

// compared gives a version without columns, the same pointer each time, since stores keep
// plans per pointer.
func (u *builder) compared(t *schema.Table, without []string) *schema.Table {
	if len(without) == 0 {
		return t
	}
	k := part{t, strings.Join(without, "\x00")}
	if u.parts[k] == nil {
		if u.parts == nil {
			u.parts = map[part]*schema.Table{}
		}
		u.parts[k], _ = t.Without(without)
	}
	return u.parts[k]
}

// part names what of a version is compared.
type part struct {
	table   *schema.Table
	without string
}

// unfit says why a table can't be compared now, if it can't.
func (u *builder) unfit(k tableKey) string {
	if s := u.refused[k]; s != nil {
		return "the table has stopped in this store: " + coded(s.err)
	}
	if l, ok := u.loading[k]; ok && l.Range == nil {
		return "the table is being loaded"
	}
	return ""
}
