package state

import (
	"context"

	"github.com/tributary-cdc/tributary/cmd/hub/alarm"

	"github.com/tributary-cdc/tributary/schema/catalog"
)

// Registered gives the tables of all approved sources, by source and table, those
// of retired ones included.
func (s *State) Registered(ctx context.Context) ([]catalog.Registered, error) {
	return list[catalog.Registered](ctx, s, `SELECT s.id, s.org, o.name, o.path, s.engine, s.agent, s.standing, f."table", f.dataset, s.retired IS NOT NULL, greatest(s.since, r.decided, s.handed_over)
		FROM tributary.hub_feed f JOIN tributary.hub_source s ON s.id = f.source JOIN tributary.hub_org o ON o.code = s.org JOIN tributary.hub_request r ON r.id = s.request ORDER BY s.id, f."table"`)
}

// Certificates implements alarm.Book.
func (s *State) Certificates(ctx context.Context) ([]alarm.Agent, error) {
	return list[alarm.Agent](ctx, s, `SELECT a.id, a.org, o.path, max(c.ends), coalesce(max(f.detail), '') FROM tributary.hub_agent a JOIN tributary.hub_org o ON o.code = a.org
		JOIN tributary.hub_certificate c ON c.agent = a.id
		LEFT JOIN (SELECT DISTINCT ON (object) object, detail FROM tributary.hub_audit WHERE action = 'agent.forge' AND at > clock_timestamp() - interval '1 hour' ORDER BY object, id DESC) f ON f.object = a.id
		WHERE a.revoked IS NULL GROUP BY a.id, a.org, o.path`)
}
