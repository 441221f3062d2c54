package postgres

import (
	"bytes"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/schema"
	"github.com/tributary-cdc/tributary/sinks/worker"
	"github.com/tributary-cdc/tributary/stream/event"
)

// infinite gives the first release whose type holds the infinities of a portable type;
// 0 if all do, or the type has none (PostgreSQL manual, release notes of 14 and 17).
func infinite(t *schema.Type) int {
	switch {
	case t.Kind == schema.Decimal:
		return 14
	case t.Kind == schema.Interval:
		return 17
	case t.Kind == schema.Array && t.Elem != nil:
		return infinite(t.Elem)
	}
	return 0
}

// release is the first number of a server's version; 0 if it doesn't say.
func release(c *pgx.Conn) (n int) {
	for _, d := range c.PgConn().ParameterStatus("server_version") {
		if d < '0' || d > '9' {
			break
		}
		n = 10*n + int(d-'0')
	}
	return n
}

// unstorable puts NULL in place of values that the server's types don't hold: texts with
// the character U+0000, in any release (PostgreSQL manual, "Character Types"), and
// infinities that a newer release has. They count as the values that became NULL on their
// way. A key can't do without its value, so there the table stops. Doing it again changes
// nothing more.
func (p *plan) unstorable(c *worker.TableChange) error {
	for n := range c.Upserts {
		u := &c.Upserts[n]
		for _, i := range p.texts {
			if v := &u.Values[i]; v.State == event.Present && bytes.IndexByte(v.B, 0) >= 0 {
				if err := p.nullify(c, u, i, "the character U+0000"); err != nil {
					return err
				}
			}
		}
		for _, i := range p.bounds { // -infinity, Infinity, or an array with such an element
			if v := &u.Values[i]; v.State == event.Present && bytes.Contains(v.B, []byte("nfinity")) {
				if err := p.nullify(c, u, i, "an infinity"); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (p *plan) nullify(c *worker.TableChange, u *worker.NetRow, i int, what string) error {
	v := &u.Values[i]
	raw := fmt.Sprintf("%s: %.200s", c.Table.Columns[i].Name, bytes.ReplaceAll(v.B, []byte{0}, []byte(`\x00`)))
	if c.Table.IsKey(i) {
		return &worker.TableError{Table: c.Table, Err: fmt.Errorf("key with %s at %s: %s: %w", what, u.Position, raw, worker.ErrTableRefused)}
	}
	if c.Nulled.Values++; c.Nulled.Values == 1 {
		c.Nulled.First, c.Nulled.Detail = u.Position, raw
	}
	*v = event.NullValue
	return nil
}
