package console

import (
	"context"
	"slices"
	"strings"

	"github.com/tributary-cdc/tributary/sinks/postgres"
	"github.com/tributary-cdc/tributary/stream/kafka"
	"github.com/tributary-cdc/tributary/stream/log"
	"github.com/tributary-cdc/tributary/stream/status"
)

// Part is what somebody may see: orgs by code. Nil is everything, also what belongs to no
// org; one without orgs is nothing.
type Part map[string]bool

type partKey struct{}

// Within gives a context whose requests see the part only.
func Within(ctx context.Context, p Part) context.Context { return context.WithValue(ctx, partKey{}, p) }

// Menu is what stands around the page for somebody who has logged in: the other pages that they
// may see, and themselves.
type Menu struct {
	Name  string // leads to /me
	Label string // of the menu, for those who don't see it
	Items []MenuItem
}

// MenuItem is a page in the menu.
type MenuItem struct {
	Path, Text string
	Here       bool
}

type menuKey struct{}

// Under gives a context whose requests are shown the page under a menu, with links to sources.
func Under(ctx context.Context, m *Menu) context.Context { return context.WithValue(ctx, menuKey{}, m) }

func menuOf(ctx context.Context) *Menu {
	m, _ := ctx.Value(menuKey{}).(*Menu) // none: the page stands alone
	return m
}

func partOf(ctx context.Context) Part {
	p, _ := ctx.Value(partKey{}).(Part) // none: everything
	return p
}

// sees reports whether an org belongs to the part.
func (p Part) sees(org string) bool { return p == nil || p[org] }

// records are the newest ones about orgs of the part.
func (c *Console) records(p Part) []status.Record {
	all := c.o.Board.Records()
	if p == nil {
		return all
	}
	return slices.DeleteFunc(all, func(r status.Record) bool { return !p[r.Org] })
}

// topics are those that hold changes of the part; nil for all.
func (p Part) topics() []string {
	if p == nil {
		return nil
	}
	names := []string{}
	for org := range p {
		names = append(names, kafka.Changes(org))
	}
	slices.Sort(names)
	return names
}

// cut leaves of traced rows those that came by topics of the part.
func (p Part) cut(rows []postgres.Trace) []postgres.Trace {
	if p == nil {
		return rows
	}
	return slices.DeleteFunc(rows, func(r postgres.Trace) bool {
		from, err := log.ParsePartition(r.Batch.Partition)
		org, ok := kafka.OrgOf(from.Topic)
		return err != nil || !ok || !p[org]
	})
}

// named reports whether a table is among those that the part has.
func named(tables []postgres.Dataset, name string) bool {
	return slices.ContainsFunc(tables, func(d postgres.Dataset) bool { return d.Name == name })
}

// key tells parts apart.
func (p Part) key() string {
	if p == nil {
		return "*"
	}
	return strings.Join(p.topics(), "\n")
}
