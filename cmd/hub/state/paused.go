package state

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/schema/catalog"
)

// pausing is which sources aren't to be read for now, by whose order.
const pausing = `
ALTER TABLE tributary.hub_source ADD paused timestamptz;
ALTER TABLE tributary.hub_source ADD paused_by text NOT NULL DEFAULT '';
ALTER TABLE tributary.hub_source ADD pause_reason text NOT NULL DEFAULT '';
`

// SetPaused has the agent of a source of an org in the scopes read it no more for now, or
// again. It counts when the agent hears of it. An order that changes nothing is refused.
func (s *State) SetPaused(ctx context.Context, by By, scopes []string, id, reason string, on bool) error {
	if !catalog.IsName(reason) {
		return refusal.New(refusal.Invalid, "REASON_MISSING", "")
	}
	return s.within(ctx, func(tx pgx.Tx) error {
		o, err := ownedBy(ctx, tx, scopes, id)
		switch {
		case err != nil:
			return err
		case on && o.paused != nil:
			return refusal.New(refusal.Conflict, "SOURCE_PAUSED_BY_HUB", "%s: %s", id, o.paused.UTC().Format("2006-01-02 15:04 UTC"))
		case !on && o.paused == nil:
			return refusal.New(refusal.Conflict, "SOURCE_NOT_PAUSED", "%s", id)
		}
		var at *time.Time
		action, who, why := "source.resume", "", ""
		if on {
			now := s.o.Now()
			at, action, who, why = &now, "source.pause", by.Name, reason
		}
		if _, err := tx.Exec(ctx, `UPDATE tributary.hub_source SET paused = $2, paused_by = $3, pause_reason = $4 WHERE id = $1`, id, at, who, why); err != nil {
			return err
		}
		return note(ctx, tx, by, Entry{Action: action, Org: o.org, Path: o.path, Object: id, Detail: o.agent + "; " + reason})
	})
}
