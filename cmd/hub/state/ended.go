package state

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tributary-cdc/tributary/cmd/hub/refusal"
	"github.com/tributary-cdc/tributary/schema/catalog"
)

// ended is how a source ends. What it has sent stays where it is, and so do its tables here.
const ended = `
ALTER TABLE tributary.hub_source ADD retired timestamptz;
ALTER TABLE tributary.hub_source ADD retired_by text NOT NULL DEFAULT '';
ALTER TABLE tributary.hub_source ADD reason text NOT NULL DEFAULT '';
ALTER TABLE tributary.hub_source ADD let_go timestamptz;
ALTER TABLE tributary.hub_source ADD remains text NOT NULL DEFAULT '';
ALTER TABLE tributary.hub_source ADD handed_over timestamptz;
CREATE INDEX ON tributary.hub_source (agent);
`

// owned is a source with what decides who may end it, locked.
type owned struct {
	org, path, agent string
	retired, paused  *time.Time
}

func ownedBy(ctx context.Context, tx pgx.Tx, scopes []string, id string) (o owned, err error) {
	err = tx.QueryRow(ctx, `SELECT s.org, o.path, s.agent, s.retired, s.paused FROM tributary.hub_source s JOIN tributary.hub_org o ON o.code = s.org WHERE s.id = $2 AND `+inScope(1)+` FOR UPDATE OF s`, scopes, id).Scan(&o.org, &o.path, &o.agent, &o.retired, &o.paused)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return o, refusal.New(refusal.Unknown, "SOURCE_NOT_SEEN", "%.80q", id)
	case err == nil && o.retired != nil:
		return o, refusal.New(refusal.Conflict, "SOURCE_RETIRED", "%s: %s", id, o.retired.UTC().Format("2006-01-02 15:04 UTC"))
	}
	return o, err
}

// Retire ends a source of an org in the scopes: its agent is to let go of it, another may be
// authoritative for its datasets, and nothing is complete by it any more.
func (s *State) Retire(ctx context.Context, by By, scopes []string, id, reason string) error {
	if !catalog.IsName(reason) {
		return refusal.New(refusal.Invalid, "REASON_MISSING", "")
	}
	return s.within(ctx, func(tx pgx.Tx) error {
		o, err := ownedBy(ctx, tx, scopes, id)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE tributary.hub_source SET retired = $2, retired_by = $3, reason = $4, paused = NULL, paused_by = '', pause_reason = '', version = version + 1 WHERE id = $1`, id, s.o.Now(), by.Name, reason); err != nil {
			return err
		}
		return note(ctx, tx, by, Entry{Action: "source.retire", Org: o.org, Path: o.path, Object: id, Detail: o.agent + "; " + reason})
	})
}

// maxRemains bounds what an agent says that it has left behind, in bytes.
const maxRemains = 8 << 10

// LetGo notes that an agent reads a source no more that was retired by a time, and which SQL takes
// away what it may not. Once more changes nothing.
func (s *State) LetGo(ctx context.Context, by By, a *Agent, id, remains string, at time.Time) error {
	if len(remains) > maxRemains {
		return refusal.New(refusal.Invalid, "INPUT_INVALID", "remains: %d > %d", len(remains), maxRemains)
	}
	return s.within(ctx, func(tx pgx.Tx) error {
		var known bool
		err := tx.QueryRow(ctx, `SELECT let_go IS NOT NULL AND remains = $4 FROM tributary.hub_source WHERE id = $1 AND agent = $2 AND retired <= $3 FOR UPDATE`, id, a.ID, at, remains).Scan(&known)
		if errors.Is(err, pgx.ErrNoRows) {
			return refusal.New(refusal.Unknown, "SOURCE_NOT_GRANTED", "%.80q", id)
		} else if err != nil || known {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE tributary.hub_source SET let_go = $2, remains = $3 WHERE id = $1`, id, s.o.Now(), remains); err != nil {
			return err
		}
		return note(ctx, tx, by, Entry{Action: "source.release", Org: a.Org, Path: a.Path, Object: id, Detail: remains})
	})
}

// Successor gives the agent to which a source of an org in the scopes may be handed over. The
// person doesn't hand over to an agent that they invited.
func (s *State) Successor(ctx context.Context, by By, scopes []string, id, agent string) (a *Agent, err error) {
	err = s.within(ctx, func(tx pgx.Tx) error { a, _, err = s.successor(ctx, tx, by, scopes, id, agent); return err })
	return a, err
}

func (s *State) successor(ctx context.Context, tx pgx.Tx, by By, scopes []string, id, agent string) (*Agent, owned, error) {
	o, err := ownedBy(ctx, tx, scopes, id)
	if err != nil {
		return nil, o, err
	}
	rows, err := tx.Query(ctx, `SELECT `+agentColumns+` FROM tributary.hub_agent a JOIN tributary.hub_org o ON o.code = a.org WHERE a.id = $1 AND a.org = $2 FOR SHARE OF a`, agent, o.org)
	if err != nil {
		return nil, o, err
	}
	a, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Agent])
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, o, refusal.New(refusal.Unknown, "AGENT_UNKNOWN", "%.80q", agent)
	case err != nil:
		return nil, o, err
	case a.Revoked != nil:
		return nil, o, refusal.New(refusal.Conflict, "CERTIFICATE_REVOKED", "%s", a.ID)
	case a.ID == o.agent:
		return nil, o, refusal.New(refusal.Conflict, "SOURCE_ITS_OWN", "%s: %s", id, a.ID)
	case a.Sponsor == by.Name:
		return nil, o, refusal.New(refusal.Denied, "REQUEST_OWN", "%s", by.Name)
	}
	return &a, o, nil
}

// HandOver gives a source of an org in the scopes to another agent of the org, and tells whose
// it was. It keeps its place in the log, so that the other goes on where the one before ended.
func (s *State) HandOver(ctx context.Context, by By, scopes []string, id, agent, reason, user string) (from string, err error) {
	if !catalog.IsName(reason) {
		return "", refusal.New(refusal.Invalid, "REASON_MISSING", "")
	}
	err = s.within(ctx, func(tx pgx.Tx) error {
		a, o, err := s.successor(ctx, tx, by, scopes, id, agent)
		if err != nil {
			return err
		}
		from = o.agent
		if _, err := tx.Exec(ctx, `UPDATE tributary.hub_source SET agent = $2, handed_over = $3, version = version + 1 WHERE id = $1`, id, a.ID, s.o.Now()); err != nil {
			return err
		}
		if user != "" {
			if err := given(ctx, tx, a.ID, user); err != nil {
				return err
			}
		}
		return note(ctx, tx, by, Entry{Action: "source.handover", Org: o.org, Path: o.path, Object: id, Detail: fmt.Sprintf("%s → %s; %s", from, a.ID, reason)})
	})
	return from, err
}

// Busy reports whether an agent has sources that it hasn't let go of.
func (s *State) Busy(ctx context.Context, agent string) (busy bool, err error) {
	err = s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM tributary.hub_source WHERE agent = $1 AND let_go IS NULL)`, agent).Scan(&busy)
	return busy, failed(err)
}

// Registration gives a source of an org in the scopes; nil if it isn't registered.
func (s *State) Registration(ctx context.Context, scopes []string, id string) (*Assignment, error) {
	found, err := list[Assignment](ctx, s, `SELECT `+assignmentColumns+` FROM tributary.hub_source s JOIN tributary.hub_org o ON o.code = s.org WHERE s.id = $2 AND `+inScope(1), scopes, id)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}
