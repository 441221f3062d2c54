package postgres

import (
	"bytes"
	"fmt"

	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// unstorable puts NULL in place of texts that no type of PostgreSQL holds: those with the
// character U+0000 (PostgreSQL manual, "Character Types"). They count as the values that
// became NULL on their way. A key can't do without its value, so there the table stops.
// Doing it again changes nothing more.
func (p *plan) unstorable(c *worker.TableChange) error {
	for n := range c.Upserts {
		u := &c.Upserts[n]
		for _, i := range p.texts {
			v := &u.Values[i]
			if v.State != event.Present || bytes.IndexByte(v.B, 0) < 0 {
				continue
			}
			raw := fmt.Sprintf("%s: %.200s", c.Table.Columns[i].Name, bytes.ReplaceAll(v.B, []byte{0}, []byte(`\x00`)))
			if c.Table.IsKey(i) {
				return &worker.TableError{Table: c.Table, Err: fmt.Errorf("key with the character U+0000 at %s: %s: %w", u.Position, raw, worker.ErrTableRefused)}
			}
			if c.Nulled.Values++; c.Nulled.Values == 1 {
				c.Nulled.First, c.Nulled.Detail = u.Position, raw
			}
			*v = event.NullValue
		}
	}
	return nil
}
