package preflight

import (
	"fmt"
	"slices"
	"strings"
)

var identities = map[string]string{"d": "DEFAULT", "n": "NOTHING", "f": "FULL", "i": "USING INDEX"}

func asIs(name string) string { return name }

// becomes gives a table another replica identity.
func (t *postgresTable) becomes(identity string) Repair {
	alter := "ALTER TABLE " + t.quoted() + " REPLICA IDENTITY "
	was := identities[t.identity]
	switch {
	case t.identity == "i" && t.index == "": // its index was dropped
		was = "DEFAULT"
	case t.identity == "i":
		was += " " + ident(t.index)
	}
	return Repair{SQL: alter + identity, Undo: alter + was}
}

// carries reports whether each change of the table has these columns of its old row.
func (t *postgresTable) carries(columns []string) bool {
	return t.identity == "f" || t.identified && !slices.ContainsFunc(columns, func(c string) bool { return !slices.Contains(t.carried, c) })
}

// keyed judges by what a table's rows are known, as the reader does, and whether changes
// carry it, in its partitions as well: there the server looks at it.
func (c *postgresServer) keyed(t *postgresTable, member bool) {
	code, found, steps := "TABLE_NO_KEY", []string(nil), []Repair(nil)
	carry := func(columns []string, identity func(*postgresTable) string) {
		for _, p := range t.all() {
			if columns == nil && p.identity == "f" || columns != nil && p.carries(columns) {
				continue
			}
			found = append(found, strings.TrimPrefix(p.id(), t.id())+" REPLICA IDENTITY "+identities[p.identity])
			steps = append(steps, p.becomes(identity(p)))
		}
	}
	full := func(*postgresTable) string { return "FULL" }
	keys, appends := c.o.Postgres.Keyless.Key(t.id(), asIs), c.o.Postgres.Keyless.Appends(t.id(), asIs)
	switch {
	case keys != nil:
		code = "TABLE_KEY_REFUSED"
		found, steps = c.configured(t, keys)
		if len(found) == len(steps) { // all of them are there
			carry(keys, func(p *postgresTable) string { return c.exactly(p, keys) })
		}
	case len(t.key) > 0:
		carry(t.key, func(p *postgresTable) string {
			if p.primary && t.identity != "i" {
				return "DEFAULT"
			}
			return "FULL"
		})
	case appends:
		c.r.add(Advice, "TABLE_APPEND", t.id(), "")
		carry(nil, full)
	default:
		found = []string{"REPLICA IDENTITY " + identities[t.identity]}
		steps = c.unkeyed(t)
	}
	if len(found) == 0 {
		return
	}
	if t.exposed() && !member && c.byHand {
		alter := "ALTER PUBLICATION " + ident(c.s.Publication())
		steps = append(steps, Repair{SQL: alter + " ADD TABLE " + t.quoted(), Undo: alter + " DROP TABLE " + t.quoted()})
	}
	c.r.add(Refuses, code, t.id(), strings.TrimSpace(strings.Join(found, "; ")), steps...)
}

// configured judges the columns of a key of the configuration. There is a step for each that
// may be NULL, and none for one that isn't there.
func (c *postgresServer) configured(t *postgresTable, keys []string) (found []string, steps []Repair) {
	for _, k := range keys {
		alter := "ALTER TABLE " + t.quoted() + " ALTER COLUMN " + ident(k)
		switch {
		case !slices.Contains(t.columns, k), slices.Contains(t.virtual, k), slices.Contains(t.stored, k) && !c.storedSent:
			found = append(found, fmt.Sprintf("keys: no column %q", k))
		case slices.Contains(t.nullable, k):
			found = append(found, fmt.Sprintf("keys: %q NULL", k))
			steps = append(steps, Repair{SQL: alter + " SET NOT NULL", Undo: alter + " DROP NOT NULL", Rebuild: true})
		}
	}
	return found, steps
}

// exactly gives the replica identity that carries the columns of a key: an index on them,
// or all columns.
func (c *postgresServer) exactly(t *postgresTable, keys []string) string {
	want := slices.Sorted(slices.Values(keys))
	for _, u := range t.uniques {
		if slices.Equal(want, slices.Sorted(slices.Values(u.columns))) {
			return "USING INDEX " + ident(u.name)
		}
	}
	return "FULL"
}

// unkeyed gives a table without a key one; or lets it be a log of its changes, which is a
// line of the agent's file.
func (c *postgresServer) unkeyed(t *postgresTable) (steps []Repair) {
	alter := "ALTER TABLE " + t.quoted()
	unique := slices.IndexFunc(t.uniques, func(u index) bool {
		return !slices.ContainsFunc(u.columns, func(c string) bool { return slices.Contains(t.nullable, c) })
	})
	switch {
	case t.kind == "p": // a key must have the columns by which it is partitioned
	case t.primary:
		steps = append(steps, t.becomes("DEFAULT"))
	case unique >= 0:
		steps = append(steps, t.becomes("USING INDEX "+ident(t.uniques[unique].name)))
	default:
		steps = append(steps, Repair{SQL: alter + " ADD COLUMN " + addedKey + " bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", Undo: alter + " DROP COLUMN " + addedKey, Rebuild: true})
		if t.identity == "n" || t.identity == "i" {
			steps = append(steps, t.becomes("DEFAULT"))
		}
	}
	instead := len(steps) > 0
	for _, p := range t.all() {
		if r := p.becomes("FULL"); p.identity != "f" {
			r.Instead = instead
			steps = append(steps, r)
		}
	}
	return append(steps, Repair{Agent: fmt.Sprintf("append: [%q]", t.id()), Instead: instead})
}
