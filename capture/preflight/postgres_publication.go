package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tributary-cdc/tributary/capture"
	"github.com/tributary-cdc/tributary/capture/postgres"
)

// publication judges whether what is wanted is published, or whether the agent may
// publish it; and the tables' keys, which a publication must not do without.
func (c *postgresServer) publication(ctx context.Context) error {
	name := c.s.Publication()
	rows, err := c.s.Rows(ctx, "look at the publication", askPublication(name))
	if err != nil || len(c.tables) == 0 {
		return err
	}
	if len(rows) == 0 {
		return c.unpublished(ctx, name)
	}
	row := rows[0]
	c.byHand, c.storedSent = true, row[5] == "s"
	var lacks, are []string
	all := []string{"insert", "update", "delete", "truncate"}
	if c.version < 110000 {
		all = all[:3]
	}
	for i, op := range all {
		if row[1+i] != "t" {
			lacks = append(lacks, op)
		} else {
			are = append(are, op)
		}
	}
	if len(lacks) > 0 {
		set := func(ops []string) string {
			return "ALTER PUBLICATION " + ident(name) + " SET (publish = " + text(strings.Join(ops, ", ")) + ")"
		}
		c.r.add(Refuses, "PG_PUBLISHED", name, "publish: "+strings.Join(are, ", "), Repair{SQL: set(all), Undo: set(are)})
	}
	if err := c.members(ctx, name); err != nil {
		return err
	}
	if row[6] != "t" {
		c.parted(name)
	}
	c.generated(name)
	return c.filtered(ctx, name)
}

// unpublished judges a source without a publication: the agent makes it if the user owns
// the tables and may create in the database. It leaves out what must not be in one.
func (c *postgresServer) unpublished(ctx context.Context, name string) error {
	rows, err := c.s.Rows(ctx, "look at the database's privileges", askCreate)
	if err != nil {
		return err
	}
	allowed, able := rows[0][0] == "t", false
	var list []string
	for _, t := range c.tables {
		if t.unlogged {
			continue
		}
		able = true
		if !t.exposed() {
			list = append(list, t.quoted())
			allowed = allowed && (t.owned || c.super)
		}
	}
	allowed = allowed || c.stranger // the source's user may own them
	c.byHand, c.storedSent = !allowed, c.version >= 180000
	for _, t := range c.tables {
		c.keyed(t, false)
	}
	if !able {
		return nil
	}
	create := Repair{SQL: postgres.CreatePublication(c.version, name, list), Undo: "DROP PUBLICATION " + ident(name)}
	if allowed {
		c.r.Makes = append(c.r.Makes, create)
	} else {
		c.r.add(Refuses, "PG_PUBLICATION", name, "", create)
	}
	c.generated(name)
	return nil
}

// members looks for wanted tables that the publication doesn't hold. One whose updates
// and deletes would fail there is repaired before it is added.
func (c *postgresServer) members(ctx context.Context, name string) error {
	rows, err := c.s.Rows(ctx, "list what is published", askMembers(name))
	if err != nil {
		return err
	}
	held := map[string]bool{}
	for _, row := range rows {
		held[row[0]+"."+row[1]] = true
	}
	for _, t := range c.tables {
		member := slices.ContainsFunc(t.all(), func(p *postgresTable) bool { return held[p.id()] })
		c.keyed(t, member)
		if !member && !t.unlogged && !t.exposed() {
			alter := "ALTER PUBLICATION " + ident(name)
			c.r.add(Refuses, "PG_PUBLISHED", t.id(), name, Repair{SQL: alter + " ADD TABLE " + t.quoted(), Undo: alter + " DROP TABLE " + t.quoted()})
		}
	}
	return nil
}

// parted judges a publication whose partitioned tables arrive as their partitions: where
// those aren't wanted by their own names, nothing of them is captured.
func (c *postgresServer) parted(name string) {
	var found []string
	severity := Harms
	for _, t := range c.tables {
		if t.kind != "p" {
			continue
		}
		found = append(found, t.id())
		if slices.ContainsFunc(t.leaves, func(p *postgresTable) bool { return !capture.Matches(c.o.Postgres.Tables, p.id()) }) {
			severity = Refuses
		}
	}
	if len(found) > 0 {
		set := "ALTER PUBLICATION " + ident(name) + " SET (publish_via_partition_root = "
		c.r.add(severity, "PG_PARTITION", name, strings.Join(found, ", "), Repair{SQL: set + "true)", Undo: set + "false)"})
	}
}

// generated lists columns that the server computes and leaves out of the stream: stored
// ones before PostgreSQL 18, and there if the publication doesn't say otherwise; virtual
// ones always.
func (c *postgresServer) generated(publication string) {
	for _, t := range c.tables {
		f := Finding{Code: "PG_GENERATED", Severity: Harms, Object: t.id()}
		var found []string
		if !c.storedSent {
			found = slices.Clone(t.stored)
		}
		if alter := "ALTER PUBLICATION " + ident(publication) + " SET (publish_generated_columns = "; c.version >= 180000 && len(found) > 0 {
			f.Repairs = []Repair{{SQL: alter + "stored)", Undo: alter + "none)"}}
		} else if c.version >= 130000 {
			for _, column := range found { // a plain column from here on; the application fills it
				f.Repairs = append(f.Repairs, Repair{SQL: "ALTER TABLE " + t.quoted() + " ALTER COLUMN " + ident(column) + " DROP EXPRESSION", Decide: true})
			}
		}
		for _, column := range t.virtual {
			found = append(found, column+" VIRTUAL")
		}
		if f.Found = strings.Join(found, ", "); len(found) > 0 {
			c.r.Findings = append(c.r.Findings, f)
		}
	}
}

// filtered lists tables of which the publication leaves rows or columns out.
func (c *postgresServer) filtered(ctx context.Context, name string) error {
	if c.version < 150000 {
		return nil
	}
	rows, err := c.s.Rows(ctx, "look at the publication's filters", askFilters(name))
	if err != nil {
		return err
	}
	for _, row := range rows {
		alter, table := "ALTER PUBLICATION "+ident(name), ident(row[0], row[1])
		with := table
		var found []string
		if row[3] != "" {
			with += " (" + row[3] + ")"
			found = append(found, row[3])
		}
		if row[2] != "" {
			with += " WHERE (" + row[2] + ")"
			found = append(found, "WHERE "+row[2])
		}
		c.r.add(Harms, "PG_PUBLICATION_FILTER", row[0]+"."+row[1], fmt.Sprintf("%s: %s", name, strings.Join(found, "; ")),
			Repair{SQL: alter + " DROP TABLE " + table, Undo: alter + " ADD TABLE " + with}, Repair{SQL: alter + " ADD TABLE " + table, Undo: alter + " DROP TABLE " + table})
	}
	return nil
}
