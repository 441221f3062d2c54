package state

import (
	"context"

	"github.com/tributary-cdc/tributary/schema/catalog"
)

// Registered is a table that an approved source sends.
type Registered struct {
	Source   string
	Org      string
	OrgName  string
	Path     string
	Engine   string
	Agent    string
	Standing catalog.Standing
	Table    string
	Dataset  string
}

// Registered gives the tables of all approved sources, by source and table.
func (s *State) Registered(ctx context.Context) ([]Registered, error) {
	return list[Registered](ctx, s, `SELECT s.id, s.org, o.name, o.path, s.engine, s.agent, s.standing, f."table", f.dataset
		FROM tributary.hub_feed f JOIN tributary.hub_source s ON s.id = f.source JOIN tributary.hub_org o ON o.code = s.org ORDER BY s.id, f."table"`)
}
